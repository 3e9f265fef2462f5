//! The first programs of the README stay short: lines, and types of ours.

use std::collections::BTreeSet;

/// The Rust block of the README that contains this text.
fn program(text: &str) -> &'static str {
    let readme = include_str!("../README.md");
    let blocks = readme.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.into_iter().find(|block| block.contains(text)).expect("a program")
}

/// Lines of code, without comments and blank lines.
fn lines(program: &str) -> usize {
    program.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//")).count()
}

/// The types that the program imports from the crate.
fn types(program: &str) -> BTreeSet<&str> {
    let imports = program.lines().filter(|line| line.starts_with("use tweedie"));
    let names = imports.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'));
    names.filter(|name| name.starts_with(char::is_uppercase)).collect()
}

#[test]
fn the_sampling_loop_is_short() {
    let program = program("dpm_solver_pp");
    assert!(lines(program) <= 17, "{} lines", lines(program));
    // `tweedie::Error` is written where it is used.
    assert!(types(program).len() < 10, "{:?}", types(program));
    assert_eq!(program.matches("use tweedie::{").count(), 1, "one import path");
    assert!(program.lines().filter(|line| !line.contains("//")).all(|line| line.len() <= 100));
    // Nothing of ours is used without an import.
    assert!(!program.contains("tweedie::gpu") && !program.contains('*'));
}
