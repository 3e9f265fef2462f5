//! Arbitrary bytes and numbers for everything in tweedie that reads them.
//!
//! **Theory.** Whatever a reader is given, it returns a value that keeps its promises, or an error: no panic, no hang, no memory
//! out of proportion to the input. Whatever a plan builder accepts, wgpu accepts too.
//!
//! **Practice.** A target is a function of bytes that panics where a promise is broken. `xtask/scripts/fuzz.sh` runs all of them
//! under libFuzzer; `cargo test` here runs them on the files in `seeds`, among which is every input that ever broke one.

mod configs;
mod noises;
mod numbers;
mod options;
mod plans;
mod readers;
mod runs;
mod samplers;
mod schedules;
mod sums;

/// A fuzz target: a function that panics where a promise is broken.
pub type Target = fn(&[u8]);

/// All targets, by the names of their programs.
pub const TARGETS: [(&str, Target); 11] = [
    ("tensors", readers::tensors),
    ("arrays", readers::arrays),
    ("pictures", readers::pictures),
    ("measurements", readers::measurements),
    ("configs", configs::run),
    ("schedules", schedules::run),
    ("samplers", samplers::run),
    ("plans", plans::run),
    ("noises", noises::run),
    ("runs", runs::run),
    ("workflows", runs::workflow),
];

/// Runs the target of this name.
///
/// # Panics
/// The target panics, or no target has this name.
pub fn run(name: &str, data: &[u8]) {
    match TARGETS.iter().find(|(known, _)| *known == name) {
        Some((_, target)) => target(data),
        None => panic!("no target has the name {name}"),
    }
}

/// Runs the target of this name on the files that the command line lists, to reproduce a finding.
///
/// # Errors
/// Reading a file fails.
///
/// # Panics
/// As [`run`].
pub fn run_files(name: &str) -> std::io::Result<()> {
    std::env::args_os().skip(1).try_for_each(|file| {
        run(name, &std::fs::read(file)?);
        Ok(())
    })
}

/// Defines the program of the target that has the program's name. Under cargo-fuzz, libFuzzer calls the target.
#[macro_export]
macro_rules! program {
    () => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::run(env!("CARGO_BIN_NAME"), data));

        #[cfg(not(fuzzing))]
        fn main() -> std::io::Result<()> {
            $crate::run_files(env!("CARGO_BIN_NAME"))
        }
    };
}
