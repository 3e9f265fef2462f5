//! Everything that needs an adapter. Without one, each test is listed as ignored; `TWEEDIE_REQUIRE_ADAPTER=1`, which the
//! project's test command sets, makes that a failure instead.

#[path = "gpu/chains.rs"]
mod chains;
#[path = "gpu/closed_loop.rs"]
mod closed_loop;
#[path = "gpu/contract.rs"]
mod contract;
#[path = "gpu/draws.rs"]
mod draws;
#[path = "gpu/failures.rs"]
mod failures;
#[path = "gpu/four_buffers.rs"]
mod four_buffers;
#[path = "gpu/harness.rs"]
mod harness;
#[path = "gpu/likelihoods.rs"]
mod likelihoods;
#[path = "gpu/losses.rs"]
mod losses;
#[path = "gpu/maps.rs"]
mod maps;
#[path = "gpu/sampling.rs"]
mod sampling;
#[path = "gpu/scales.rs"]
mod scales;
#[path = "gpu/solvers.rs"]
mod solvers;
#[path = "gpu/steps.rs"]
mod steps;
#[path = "gpu/sums.rs"]
mod sums;
#[expect(dead_code, reason = "what is not about random numbers serves the tests that need no adapter")]
mod support;
#[path = "gpu/timesteps.rs"]
mod timesteps;
#[path = "gpu/training.rs"]
mod training;
#[path = "gpu/vlb_terms.rs"]
mod vlb_terms;

use harness::Harness;
use libtest_mimic::{Arguments, Trial};
use std::sync::Arc;

/// A test that needs an adapter: it fails by panicking, like any other test.
type Test = (&'static str, fn(&Harness));

/// Storage buffers of a term of the variational bound with a learned variance and noise that is given: a device with fewer
/// says so, and `four_buffers` tests that it does. Tests that are about nothing else are ignored there; and so are those whose own
/// networks take seven, and those that ask for bindings smaller than any device has, of which the four-buffer form lays out its rows
/// in one.
const FIVE: u32 = 5;
const OF_FIVE: &[&str] = &[
    "vlb_terms::bit_identical_in_every_run_and_batch",
    "vlb_terms::numbers_that_are_none",
    "vlb_terms::extremes",
    "likelihoods::guided_diffusion",
    "likelihoods::primitives_of_guided_diffusion",
    "likelihoods::every_variance_and_prediction",
    "chains::guided_diffusion",
    "sampling::every_solver_ends_where_its_twin_does",
    "sampling::a_wrong_coefficient_ends_elsewhere",
    "sampling::deterministic_solvers_end_where_the_ode_does",
    "sampling::every_solver_has_the_right_moments",
    "sampling::a_mixture_in_the_plane",
    "sampling::a_set_of_pictures",
    "sampling::from_zero_terminal_snr",
    "maps::windows_of_a_small_binding_limit",
    "sums::windows_of_short_samples",
];

fn main() -> std::process::ExitCode {
    let arguments = Arguments::from_args();
    let harness = match pollster::block_on(Harness::open()) {
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
        println!("adapter: {}", tweedie::headless::describe(&harness.gpu.info));
    }
    let tests: Vec<Test> = [
        maps::TESTS,
        draws::TESTS,
        steps::TESTS,
        sampling::TESTS,
        scales::TESTS,
        losses::TESTS,
        sums::TESTS,
        vlb_terms::TESTS,
        likelihoods::TESTS,
        chains::TESTS,
        timesteps::TESTS,
        training::TESTS,
        contract::TESTS,
        four_buffers::TESTS,
        failures::TESTS,
    ]
    .concat();
    let few =
        harness.as_ref().is_some_and(|harness| harness.gpu.device.limits().max_storage_buffers_per_shader_stage < FIVE);
    if few {
        println!("ignored with fewer than {FIVE} storage buffers: {}", OF_FIVE.join(", "));
    }
    let trials = tests
        .into_iter()
        .map(|(name, test)| {
            let ignored = harness.is_none() || few && OF_FIVE.contains(&name);
            let harness = harness.clone();
            Trial::test(name, move || {
                if let Some(harness) = harness {
                    let start = std::time::Instant::now();
                    test(&harness);
                    println!("{name}: {:.1} s", start.elapsed().as_secs_f32());
                }
                Ok(())
            })
            .with_ignored_flag(ignored)
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
