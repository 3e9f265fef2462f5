//! Runs other programs, and returns their exit codes.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use crate::Step;

/// The cargo that runs this program, in an environment where graphics drivers can start.
pub fn cargo() -> Command {
    program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A program that cargo has built next to this one, in the same environment.
pub fn built(name: &str) -> Command {
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    program(std::env::current_exe().map_or_else(|_| PathBuf::from(&file), |ours| ours.with_file_name(&file)))
}

fn program(file: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(file);
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        command.env("XDG_RUNTIME_DIR", runtime_folder());
    }
    command
}

/// A value for `XDG_RUNTIME_DIR`. Without it Mesa complains and some loaders fail, and containers seldom have it.
fn runtime_folder() -> PathBuf {
    let ours = std::env::current_exe().ok();
    let beside = ours.as_deref().and_then(std::path::Path::parent);
    let folder = beside.map_or_else(std::env::temp_dir, |folder| folder.join("runtime")); // in the target directory
    // If it cannot be made, most drivers still work, with a warning.
    let _ = std::fs::create_dir_all(&folder);
    folder
}

/// Runs a program to its end. Whatever keeps it from starting counts as exit code 1.
pub fn run(command: &mut Command) -> Step {
    match code_of(command) {
        0 => Ok(()),
        code => Err(code),
    }
}

/// Runs a program, and returns its exit code; 1 if it did not start, or was killed.
pub fn code_of(command: &mut Command) -> u8 {
    match command.status() {
        Ok(status) => exit_code(status),
        Err(error) => {
            eprintln!("error: cannot run {}: {error}", command.get_program().display());
            1
        }
    }
}

/// The exit code of a status; 1 if a signal ended the program.
pub fn exit_code(status: ExitStatus) -> u8 {
    status.code().map_or(1, |code| u8::try_from(code).unwrap_or(1))
}

/// Runs a program without output, and returns whether it succeeds.
pub fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).stdin(std::process::Stdio::null()).output();
    output.is_ok_and(|output| output.status.success())
}
