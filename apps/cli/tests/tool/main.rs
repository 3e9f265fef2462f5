//! The tool as a process, on good and bad files.
//!
//! Tests that need an adapter are listed as ignored where `tweedie devices` finds none; `TWEEDIE_REQUIRE_ADAPTER=1`,
//! which the project's test command sets, makes that a failure.

mod bad_files;
mod bench;
mod classes;
mod configs;
mod draws;
mod finite;
mod grids;
mod guide;
mod jumps;
mod large_files;
mod levels;
mod loss;
mod misc;
mod model_files;
mod models;
mod randn;
mod randn_options;
mod recipes;
mod replay;
mod runs;
mod sample;
mod samplers;
mod schedules;
mod solvers;
mod study;
mod support;
mod tensors;
mod vectors;

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;
use std::time::Instant;

/// A test: its name, what it needs, and its function, which fails by panicking.
type Test = (&'static str, Needs, fn());

/// Requirement of a test.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    Adapter,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let adapter = match support::run("devices") {
        run if run.code == Some(0) => true,
        run if run.code == Some(3) => {
            eprintln!("no adapter, so the tests that need one are ignored: {}", run.stderr.trim());
            false
        }
        run => {
            eprintln!("`tweedie devices` ended with {:?}: {}", run.code, run.stderr.trim());
            return ExitCode::FAILURE;
        }
    };
    if !adapter && std::env::var_os("TWEEDIE_REQUIRE_ADAPTER").is_some() {
        eprintln!("TWEEDIE_REQUIRE_ADAPTER is set and there is no adapter");
        return ExitCode::FAILURE;
    }
    let groups: [(&str, &[Test]); 26] = [
        ("schedules", schedules::TESTS),
        ("vectors", vectors::TESTS),
        ("draws", draws::TESTS),
        ("randn", randn::TESTS),
        ("randn_options", randn_options::TESTS),
        ("recipes", recipes::TESTS),
        ("replay", replay::TESTS),
        ("jumps", jumps::TESTS),
        ("guide", guide::TESTS),
        ("loss", loss::TESTS),
        ("samplers", samplers::TESTS),
        ("study", study::TESTS),
        ("bad_files", bad_files::TESTS),
        ("sample", sample::TESTS),
        ("bench", bench::TESTS),
        ("misc", misc::TESTS),
        ("models", models::TESTS),
        ("levels", levels::TESTS),
        ("classes", classes::TESTS),
        ("configs", configs::TESTS),
        ("finite", finite::TESTS),
        ("model_files", model_files::TESTS),
        ("solvers", solvers::TESTS),
        ("grids", grids::TESTS),
        ("runs", runs::TESTS),
        ("large_files", large_files::TESTS),
    ];
    let trials = groups.iter().flat_map(|(group, tests)| {
        tests.iter().map(move |&(name, needs, test)| {
            let name = format!("{group}::{name}");
            let title = name.clone();
            let run = move || {
                let begun = Instant::now();
                test();
                println!("{title}: {:.1} s", begun.elapsed().as_secs_f32());
                Ok(())
            };
            Trial::test(name, run).with_ignored_flag(needs == Needs::Adapter && !adapter)
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
