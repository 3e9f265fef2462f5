//! Output, errors and exit codes of the tool.
//!
//! Scripts read the exit code, people read one line, programs read `--json`; all three are decided here, so that no
//! command invents its own. A backtrace or a panic message would tell a user about our code instead of their file.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use crate::interrupt;
use clap::Parser;
use clap::error::ErrorKind as Usage;

/// Why a run failed. The discriminant is the exit code; 0 is success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Everything ran, but a comparison exceeded its bound, or a result the range of its type.
    Check = 1,
    /// Bad usage, or a file that cannot be read, understood or written.
    Input = 2,
    /// No usable adapter, or the GPU reported an error.
    Gpu = 3,
    /// Ctrl-C.
    Interrupted = interrupt::EXIT_CODE,
}

/// An error with the exit code that it ends the run with.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    cause: anyhow::Error,
}

/// Result of a command.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A comparison exceeded its bound, or a result the range of its type (exit code 1).
    pub fn check(cause: impl Into<anyhow::Error>) -> Self {
        Self { kind: Kind::Check, cause: cause.into() }
    }

    /// The arguments or a file are wrong (exit code 2).
    pub fn input(cause: impl Into<anyhow::Error>) -> Self {
        Self { kind: Kind::Input, cause: cause.into() }
    }

    /// No usable adapter, or an error on it (exit code 3).
    pub fn gpu(cause: impl Into<anyhow::Error>) -> Self {
        Self { kind: Kind::Gpu, cause: cause.into() }
    }

    /// Ctrl-C ended the run before its file was written (exit code 130).
    pub fn interrupted() -> Self {
        Self { kind: Kind::Interrupted, cause: anyhow::anyhow!("interrupted; no file was written") }
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        self.kind as u8
    }

    /// The object that `--json` prints instead of the error line.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({ "error": self.to_string(), "code": self.code() })
    }
}

/// Most errors in a tool that reads files are about the files, so `?` on a plain error means "bad input".
impl From<anyhow::Error> for Failure {
    fn from(cause: anyhow::Error) -> Self {
        Self::input(cause)
    }
}

/// The causes joined by `: ` on one line, whatever line breaks they bring along.
///
/// A cause that the text before it already quotes (many error types print their source themselves) is not repeated.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = String::new();
        for cause in self.cause.chain() {
            let text = one_line(&cause.to_string());
            if line.is_empty() {
                line = text;
            } else if !text.is_empty() && !line.ends_with(&text) {
                line = format!("{line}: {text}");
            }
        }
        f.write_str(&line)
    }
}

/// Prints the error, if there is one, and turns the result into the exit code of the process.
pub fn finish(result: Outcome, json: bool) -> ExitCode {
    let Err(failure) = result else {
        return ExitCode::SUCCESS;
    };
    // Where even the report cannot be written, the exit code is all that is left.
    let _ = if json { say(failure.json()) } else { complain(&failure) };
    ExitCode::from(failure.code())
}

/// Parses the command line, or returns the exit code of the process.
///
/// Help goes to stdout and is a success. A usage error becomes one line like every other error, and JSON where
/// `--json` is among the arguments.
pub fn parse<C: Parser>() -> Result<C, ExitCode> {
    C::try_parse().map_err(|error| match error.kind() {
        Usage::DisplayHelp | Usage::DisplayVersion => finish(say_styled(&error), false),
        Usage::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print(); // the whole help, on stderr
            ExitCode::from(Kind::Input as u8)
        }
        _ => finish(Err(Failure::input(anyhow::anyhow!(usage_line(&error.to_string())))), wants_json()),
    })
}

/// Prints a line on stdout, without the panic of `println!`.
///
/// A reader that has closed the pipe (`tweedie ... | head -1`) is no error: the rest of the output is dropped and the work goes
/// on, because its files are still wanted.
pub fn say(line: impl fmt::Display) -> Outcome {
    forgive_closed_pipe(writeln!(io::stdout().lock(), "{line}"))
}

/// Prints a warning on stderr, on one line; a failure to write it is ignored.
pub fn warn(line: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "warning: {line}");
}

fn complain(failure: &Failure) -> Outcome {
    forgive_closed_pipe(writeln!(io::stderr().lock(), "error: {failure}"))
}

fn say_styled(help: &clap::Error) -> Outcome {
    forgive_closed_pipe(help.print())
}

fn forgive_closed_pipe(written: io::Result<()>) -> Outcome {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::input(anyhow::Error::new(error).context("cannot write to standard output")))
        }
        _ => Ok(()),
    }
}

/// Parsing failed, so whether the caller wants JSON can only be read from the raw arguments.
fn wants_json() -> bool {
    let arguments: Vec<_> = std::env::args_os().skip(1).take_while(|argument| argument != "--").collect();
    json_on_stdout(&arguments)
}

/// True if `--json` asks for standard output: as a flag, and in `bench`, where it has a value, with `-`.
fn json_on_stdout(arguments: &[OsString]) -> bool {
    let Some(at) = arguments.iter().position(|argument| argument == "--json") else { return false };
    let has_a_value = arguments[..at].iter().any(|argument| argument == "bench");
    !has_a_value || arguments.get(at + 1).is_some_and(|value| value == "-")
}

/// Returns clap's paragraphs without the usage block, on one line.
fn usage_line(message: &str) -> String {
    let told = message
        .lines()
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .collect::<Vec<_>>()
        .join("\n");
    let paragraphs = told.strip_prefix("error: ").unwrap_or(&told).split("\n\n").map(one_line);
    let told = paragraphs.filter(|paragraph| !paragraph.is_empty()).collect::<Vec<_>>().join("; ");
    format!("{told} (--help explains the options)")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    #[test]
    fn causes_are_joined_on_one_line() {
        let cause = Err::<(), _>(anyhow!("second\n  line")).context("first").unwrap_err();
        assert_eq!(Failure::from(cause).to_string(), "first: second line");
    }

    #[test]
    fn a_cause_that_was_already_quoted_is_not_repeated() {
        let cause = Err::<(), _>(anyhow!("disk full")).context("cannot write: disk full").unwrap_err();
        assert_eq!(Failure::input(cause).to_string(), "cannot write: disk full");
    }

    #[test]
    fn each_kind_has_its_code() {
        assert_eq!(Failure::check(anyhow!("x")).code(), 1);
        assert_eq!(Failure::from(anyhow!("x")).code(), 2);
        assert_eq!(Failure::gpu(anyhow!("x")).code(), 3);
        assert_eq!(Failure::interrupted().code(), 130);
    }

    #[test]
    fn a_json_file_leaves_errors_as_text() {
        let asked = |line: &str| json_on_stdout(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert!(asked("verify --json") && asked("--json bench") && asked("bench --json - --runs x"));
        assert!(!asked("verify") && !asked("bench --json lines.jsonl --runs x"));
    }

    #[test]
    fn json_carries_text_and_code() {
        let json = Failure::input(anyhow!("say \"no\"")).json().to_string();
        assert_eq!(json, r#"{"code":2,"error":"say \"no\""}"#);
    }

    #[test]
    fn a_usage_error_loses_its_usage_block() {
        let text = "error: unexpected argument '--x' found\n\n  tip: try '--y'\n\nUsage: t [OPTIONS]\n\nFor more information, try '--help'.";
        assert_eq!(usage_line(text), "unexpected argument '--x' found; tip: try '--y' (--help explains the options)");
    }

    #[test]
    fn a_closed_pipe_is_forgiven_and_a_full_disk_is_not() {
        assert!(forgive_closed_pipe(Err(ErrorKind::BrokenPipe.into())).is_ok());
        assert!(forgive_closed_pipe(Err(ErrorKind::StorageFull.into())).is_err());
    }
}
