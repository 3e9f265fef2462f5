//! The tool as a process: what a shell sees of it.

use assert_cmd::Command;

fn tweedie() -> Command {
    Command::cargo_bin("tweedie").expect("the tool is built")
}

/// Checks that a run fails with one line on stderr and nothing else.
fn refuses(arguments: &[&str], words: &str) {
    let output = tweedie().args(arguments).output().expect("the tool runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.starts_with("error: ") && text.trim_end().lines().count() == 1, "{text}");
    assert!(text.contains(words), "{text}");
    assert!(output.stdout.is_empty());
}

#[test]
fn mistakes_are_one_line_and_code_2() {
    refuses(&["--schedule", "bogus"], "squaredcos_cap_v2");
    refuses(&["--schedul", "linear"], "--schedule");
    refuses(
        &["--betas", "nowhere.safetensors"],
        "nowhere.safetensors: expected a safetensors file, found no such file",
    );
    refuses(&["--betas", "."], "found a directory");
}

#[test]
fn json_errors_go_to_stdout() {
    for arguments in [["--json", "--betas", "nowhere"], ["--json", "--schedule", "bogus"]] {
        let output = tweedie().args(arguments).output().expect("the tool runs");
        assert_eq!(output.status.code(), Some(2));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(json["code"], 2);
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn help_succeeds() {
    tweedie().arg("--help").assert().success();
    tweedie().arg("--version").assert().success();
}

#[cfg(unix)]
#[test]
fn a_reader_that_left_is_no_error() {
    use std::process::{Command, Stdio};
    for arguments in [vec![], vec!["--help"], vec!["--json", "--betas", "nowhere"]] {
        let mut child = Command::new(assert_cmd::cargo::cargo_bin("tweedie"))
            .args(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the tool runs");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("the tool ends");
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(if arguments.len() == 3 { 2 } else { 0 }));
    }
}
