//! The page in a browser, with real input events: what it computes is compared with the f64 references, what it shows is
//! compared pixel by pixel, and every check of `tweedie verify` is run in it.
//!
//! `xtask/scripts/browser.sh` builds the page, finds a Chromium and runs all of it. Elsewhere these tests are listed as ignored.

mod checks;
mod chromium;
mod digits;
mod page;
mod plane;
mod trouble;

use host::build::folder;
use host::site::Site;
use libtest_mimic::{Arguments, Trial};
use page::Test;
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1); // one software GPU is enough for the machine
    // Without the script, which has just built the page, an outdated one might be tested.
    let wanted = std::env::var_os("TWEEDIE_BROWSER").is_some();
    let ready = wanted && chromium::find().is_some() && folder().join("index.html").is_file();
    if wanted && !ready {
        eprintln!("TWEEDIE_BROWSER is set, and there is no Chromium or no page in {}", folder().display());
        return ExitCode::FAILURE;
    }
    let site = match Site::open(&folder(), 0) {
        Ok(site) => Arc::new(site),
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::FAILURE;
        }
    };
    let address = site.address();
    std::thread::spawn(move || site.serve());
    let tests: Vec<(&'static str, Test)> = [plane::TESTS, digits::TESTS, trouble::TESTS, checks::TESTS].concat();
    let trials = tests.into_iter().map(|(name, test)| {
        let address = address.clone();
        Trial::test(name, move || test(&address).map_err(Into::into)).with_ignored_flag(!ready)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
