//! Runs of 1, 2 and 4 processes on this machine, against each other. Without an adapter or `mpirun`, each test is listed as ignored;
//! `TWEEDIE_REQUIRE_ADAPTER=1` makes that a failure. `TWEEDIE_RENEW=1` writes the measured numbers to `results/ranks.json`.

mod draws;
mod failures;
mod launch;
mod stage;
mod weights;

use libtest_mimic::{Arguments, Failed, Trial};
use stage::Stage;
use std::process::ExitCode;
use std::sync::Arc;

/// A test of runs.
type Test = (&'static str, fn(&Stage) -> anyhow::Result<()>);

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Only one run at a time, so that what is measured is that run.
    arguments.test_threads = Some(1);
    let stage = match Stage::open() {
        Ok(stage) => Some(Arc::new(stage)),
        Err(error) => {
            eprintln!("no run is possible, so the tests are ignored: {error:#}");
            None
        }
    };
    match &stage {
        Some(stage) => println!("adapter: {}", stage.adapter),
        None if std::env::var_os("TWEEDIE_REQUIRE_ADAPTER").is_some() => return ExitCode::FAILURE,
        None => {}
    }
    let tests = [draws::TESTS, weights::TESTS, failures::TESTS].concat();
    let trials = tests.into_iter().map(|(name, test)| {
        let (ignored, stage) = (stage.is_none(), stage.clone());
        let failed = |error: anyhow::Error| Failed::from(format!("{error:#}"));
        let run = move || stage.map_or(Ok(()), |stage| test(&stage)).map_err(failed);
        Trial::test(name, run).with_ignored_flag(ignored)
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    match stage.filter(|_| !conclusion.has_failed()).map_or(Ok(()), |stage| stage.renew()) {
        Ok(()) => conclusion.exit_code(),
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
