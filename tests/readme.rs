//! The first programs of the README stay short, in lines and in types of this crate.

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

/// The types of the crate that the program names: in imports, which may span lines, and by a path.
fn types(program: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let named = program.split("tweedie::").skip(1).flat_map(|rest| {
        let path = rest.find(|c| !is_name(c) && c != ':').unwrap_or(rest.len());
        let end = if rest[path..].starts_with('{') { rest.find('}') } else { Some(path) };
        rest[..end.expect("a closed list")].split(move |c| !is_name(c))
    });
    named.filter(|name| name.starts_with(char::is_uppercase)).collect()
}

fn assert_short(program: &str, most_lines: usize, most_types: usize) {
    assert!(lines(program) <= most_lines, "{} lines", lines(program));
    assert!(types(program).len() <= most_types, "{:?}", types(program));
    assert_eq!(program.matches("use tweedie::{").count(), 1, "one import path");
    // Nothing else of the crate is used by its path, except the error.
    let paths = program.matches("tweedie::").count() - program.matches("tweedie::Error").count();
    assert!(paths == 1 && !program.contains("::*"));
}

#[test]
fn a_training_pair_is_short() {
    assert_short(program("training_pair"), 22, 11);
}

#[test]
fn the_sampling_loop_is_short() {
    let program = program("dpm_solver_pp");
    assert_short(program, 17, 10);
    assert!(program.lines().filter(|line| !line.contains("//")).all(|line| line.len() <= 100));
}

#[test]
fn every_type_of_ours_is_counted() {
    let program = "use tweedie::{\n    Context,\n    Shape, wgpu,\n};\nfn f(x: wgpu::Buffer) -> tweedie::gpu::Plan { tweedie::Error }";
    assert_eq!(types(program), ["Context", "Shape", "Plan", "Error"].into());
}
