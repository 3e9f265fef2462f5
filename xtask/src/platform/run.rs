//! Runs a step: its output is shown as it comes, and read.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;
use std::time::{Instant, SystemTime};

use super::PlatformError;
use super::output::Output;
use super::record::{Record, Verdict};
use super::steps::Step;
use crate::process::{cargo, exit_code};

/// Runs a step to its end. That it fails is a result, not an error.
pub fn run(root: &Path, step: &Step) -> Result<Record, PlatformError> {
    let date = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let begun = Instant::now();
    let (commit, tweedie) = (commit(root), version(root));
    let mut output = Output::default();
    let code = match follow(root, step, &mut output) {
        Ok(code) => code,
        Err(error) => {
            output.read(&format!("cannot run {}: {error}", step.command.join(" ")));
            1
        }
    };
    let reason = output.trouble(code).or_else(|| step.driver.trouble(output.with()));
    Ok(Record {
        step: step.name.to_owned(),
        result: if reason.is_none() { Verdict::Passed } else { Verdict::Failed },
        reason,
        ran: output.ran(),
        with: output.with().unwrap_or_default().to_owned(),
        on: format!("{} {}", std::env::consts::ARCH, std::env::consts::OS),
        date: date.split('T').next().unwrap_or(&date).to_owned(),
        seconds: begun.elapsed().as_secs(),
        tweedie,
        commit,
        counts: counts(root, step),
    })
}

/// Runs the command and returns its exit code. Both streams go through one pipe, so that lines stay in order.
fn follow(root: &Path, step: &Step, output: &mut Output) -> std::io::Result<u8> {
    let (reader, writer) = std::io::pipe()?;
    let mut command = match step.command {
        ["cargo", ..] => cargo(),
        [program, ..] => Command::new(root.join(program)),
        [] => return Err(std::io::ErrorKind::NotFound.into()),
    };
    command.args(&step.command[1..]).current_dir(root).envs(step.environment.iter().copied());
    command.stdin(std::process::Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    drop(command); // it holds the pipe's other end open
    for line in BufReader::new(reader).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        output.read(&line);
    }
    Ok(exit_code(child.wait()?))
}

/// Reads the counts that a step has written; empty if it writes none.
fn counts(root: &Path, step: &Step) -> Vec<serde_json::Value> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let text = step.counts.and_then(|file| std::fs::read_to_string(target.join(file)).ok());
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// The commit, and `+` if something other than results differs from it.
fn commit(root: &Path) -> String {
    let Some(commit) = said(root, Command::new("git").args(["rev-parse", "--short=10", "HEAD"])) else {
        return "unknown".to_owned();
    };
    let others = ["status", "--porcelain", "--", ".", ":!docs/platforms", ":!README.md"];
    let changes = said(root, Command::new("git").args(others)).is_some_and(|changes| !changes.is_empty());
    if changes { commit + "+" } else { commit }
}

/// The library's version: `path+file:///somewhere#tweedie@0.1.0`.
fn version(root: &Path) -> String {
    let id = said(root, cargo().args(["pkgid", "--package", "tweedie"]));
    id.and_then(|id| id.rsplit(['@', '#']).next().map(str::to_owned)).unwrap_or_else(|| "unknown".to_owned())
}

/// Returns the output of a program that succeeds.
fn said(root: &Path, command: &mut Command) -> Option<String> {
    let output = command.current_dir(root).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
