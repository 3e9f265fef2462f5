//! Everything that needs an adapter. Without one, each test is listed as ignored; `TWEEDIE_REQUIRE_ADAPTER=1` makes that a
//! failure instead.

mod bridge;
mod devices;
mod digits_unet;
mod harness;
mod sampling;
mod shapes;
mod training;

use harness::Harness;
use libtest_mimic::{Arguments, Trial};
use std::sync::Arc;

/// A test that needs an adapter: it fails by panicking, like any other test.
type Test = (&'static str, fn(&Harness));

fn main() -> std::process::ExitCode {
    let mut arguments = Arguments::from_args();
    // Burn's streams belong to threads, and the tests look at what shares a page.
    arguments.test_threads = Some(1);
    let harness = match Harness::open() {
        Ok(harness) => Some(Arc::new(harness)),
        Err(error) => {
            eprintln!("no adapter, so the GPU tests are ignored: {error}");
            None
        }
    };
    if harness.is_none() && std::env::var_os("TWEEDIE_REQUIRE_ADAPTER").is_some() {
        eprintln!("TWEEDIE_REQUIRE_ADAPTER is set and there is no adapter");
        return std::process::ExitCode::FAILURE;
    }
    if let Some(harness) = &harness {
        let fusion = if cfg!(feature = "fusion") { "on" } else { "off" };
        println!("adapter: {}\nfusion: {fusion}", harness.adapter);
    }
    let tests =
        [bridge::TESTS, training::TESTS, sampling::TESTS, devices::TESTS, shapes::TESTS, digits_unet::TESTS].concat();
    let trials = tests.into_iter().map(|(name, test): Test| {
        let ignored = harness.is_none();
        let harness = harness.clone();
        let run = move || {
            if let Some(harness) = harness {
                test(&harness);
                harness.check();
            }
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(ignored)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
