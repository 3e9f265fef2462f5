//! Tests of the viewer's buffers against the f64 references, of its drawing, pixel by pixel, and of its content, without a
//! window.
//!
//! Tests that need an adapter are listed as ignored where there is none; `TWEEDIE_REQUIRE_ADAPTER=1`, which the project's
//! test command sets, makes that a failure. The window itself is tested by `xtask/scripts/viewer.sh`, with real input events.

mod content;
mod digits;
mod drawing;
mod harness;
mod plane;
mod sampling;

use harness::Harness;
use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let harness = match Harness::open() {
        Ok(harness) => Some(Arc::new(Mutex::new(harness))),
        Err(error) => {
            eprintln!("no adapter, so the tests that need one are ignored: {error}");
            None
        }
    };
    if harness.is_none() && std::env::var_os("TWEEDIE_REQUIRE_ADAPTER").is_some() {
        eprintln!("TWEEDIE_REQUIRE_ADAPTER is set and there is no adapter");
        return ExitCode::FAILURE;
    }
    let needy =
        [plane::TESTS, sampling::TESTS, digits::TESTS, drawing::TESTS].concat().into_iter().map(|(name, test)| {
            let harness = harness.clone();
            let run = move || {
                if let Some(harness) = harness {
                    let begun = Instant::now();
                    test(&harness.lock().unwrap_or_else(PoisonError::into_inner));
                    println!("{name}: {:.1} s", begun.elapsed().as_secs_f32());
                }
                Ok(())
            };
            (name, run)
        });
    let ignored = harness.is_none();
    let needy = needy.map(|(name, run)| Trial::test(name, run).with_ignored_flag(ignored));
    let plain = content::TESTS.iter().map(|&(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&arguments, needy.chain(plain).collect()).exit_code()
}
