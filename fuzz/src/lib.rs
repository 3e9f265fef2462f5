//! Arbitrary bytes and numbers for everything of tweedie that reads them.
//!
//! **Theory.** Whatever a reader is given, it answers with a value that keeps its promises, or with an error: no panic, no
//! hang, no memory that does not stand in proportion to the input. Whatever a plan builder accepts, wgpu accepts too.
//!
//! **Practice.** A target is a function of bytes that panics where a promise is broken. `xtask/scripts/fuzz.sh` runs all of them
//! under libFuzzer; `cargo test` here runs them on the files in `seeds`, among which is every input that ever broke one.

#[path = "../../apps/cli/src/array.rs"]
pub mod array;
pub mod study;
#[path = "../../apps/cli/src/tensor_file.rs"]
pub mod tensor_file;
#[path = "../../apps/cli/src/tensor_header.rs"]
pub mod tensor_header;
#[cfg(test)] // by the tests of tensor_file, which clippy looks at
#[path = "../../apps/cli/src/tensor_writer.rs"]
pub mod tensor_writer;

pub use pictures::{atomic, picture, test_card};
pub use tweedie_bench::lines;

mod configs;
mod files;
mod numbers;
mod plans;
mod samplers;
mod schedules;

/// A target: it panics where a promise is broken.
pub type Target = fn(&[u8]);

/// All of them, by the names of the programs.
pub const TARGETS: [(&str, Target); 8] = [
    ("tensors", files::tensors),
    ("arrays", files::arrays),
    ("pictures", files::pictures),
    ("measurements", files::measurements),
    ("configs", configs::run),
    ("schedules", schedules::run),
    ("samplers", samplers::run),
    ("plans", plans::run),
];

/// Runs the target of this name.
///
/// # Panics
/// Where the target does, and for a name that is none's.
pub fn run(name: &str, data: &[u8]) {
    match TARGETS.iter().find(|(known, _)| *known == name) {
        Some((_, target)) => target(data),
        None => panic!("no target has the name {name}"),
    }
}
