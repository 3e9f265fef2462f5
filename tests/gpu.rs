//! Everything that needs an adapter. Without one, each test is listed as ignored; `TWEEDIE_REQUIRE_ADAPTER=1`, which the
//! project's test command sets, makes that a failure instead.

#[path = "gpu/adaptive_loops.rs"]
mod adaptive_loops;
#[path = "gpu/applications.rs"]
mod applications;
#[path = "gpu/batching.rs"]
mod batching;
#[path = "gpu/bench_kinds.rs"]
mod bench_kinds;
#[path = "gpu/chains.rs"]
mod chains;
#[path = "gpu/closed_loop.rs"]
mod closed_loop;
#[path = "gpu/contract.rs"]
mod contract;
#[path = "gpu/draws.rs"]
mod draws;
#[path = "gpu/edges.rs"]
mod edges;
#[path = "gpu/extended.rs"]
mod extended;
#[path = "gpu/failures.rs"]
mod failures;
#[path = "gpu/first_use.rs"]
mod first_use;
#[path = "gpu/four_buffers.rs"]
mod four_buffers;
#[path = "gpu/gaussian.rs"]
mod gaussian;
#[path = "gpu/gradient_scales.rs"]
mod gradient_scales;
#[path = "gpu/groups.rs"]
mod groups;
#[path = "gpu/guide.rs"]
mod guide;
#[path = "gpu/guide_levels.rs"]
mod guide_levels;
#[path = "gpu/harness.rs"]
mod harness;
#[path = "gpu/joining.rs"]
mod joining;
#[path = "gpu/latent_previews.rs"]
mod latent_previews;
#[path = "gpu/likelihoods.rs"]
mod likelihoods;
#[cfg(feature = "run-files")]
#[path = "gpu/loop_records.rs"]
mod loop_records;
#[path = "gpu/loop_refusals.rs"]
mod loop_refusals;
#[path = "gpu/loop_scene.rs"]
mod loop_scene;
#[path = "gpu/loops.rs"]
mod loops;
#[path = "gpu/losses.rs"]
mod losses;
#[path = "gpu/maps.rs"]
mod maps;
#[path = "gpu/memory.rs"]
mod memory;
#[path = "gpu/mixed_precision.rs"]
mod mixed_precision;
#[path = "gpu/moved.rs"]
mod moved;
#[path = "gpu/moved_roles.rs"]
mod moved_roles;
#[path = "gpu/own_seeds.rs"]
mod own_seeds;
#[path = "gpu/pixels.rs"]
mod pixels;
#[path = "gpu/restart.rs"]
mod restart;
#[path = "gpu/runs.rs"]
mod runs;
#[path = "gpu/sampling.rs"]
mod sampling;
#[path = "gpu/scales.rs"]
mod scales;
mod shader_catalog;
#[path = "gpu/solvers.rs"]
mod solvers;
#[path = "gpu/sources.rs"]
mod sources;
#[path = "gpu/stage.rs"]
mod stage;
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
use shader_catalog::Catalogue;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;

/// The name and function of a test that needs an adapter. It fails by panicking, like any other test.
type Test = (&'static str, fn(&Harness));

/// Storage buffers that a shader may have on every WebGPU device.
const USUAL_BUFFERS: u32 = 8;
/// Tests that are ignored on a device with fewer storage buffers. Such a device refuses a plan that needs more than it has,
/// which the tests of `four_buffers` check.
const NEED_USUAL_BUFFERS: &[&str] = &[
    // A learned variance, together with noise in a tensor or gradients in buffers of their own.
    "vlb_terms::bit_identical_in_every_run_and_batch",
    "vlb_terms::numbers_that_are_none",
    "vlb_terms::an_error_beyond_the_clip_that_rounds_away",
    "vlb_terms::extremes",
    "likelihoods::guided_diffusion",
    "likelihoods::primitives_of_guided_diffusion",
    "likelihoods::every_variance_and_prediction",
    "chains::guided_diffusion",
    "gradient_scales::of_a_term_of_the_bound",
    "gradient_scales::of_a_training_step",
    "moved_roles::of_maps",
    "moved_roles::of_losses",
    "moved_roles::of_terms_of_the_bound",
    // A plan within fewer storage buffers has more dispatches than the list of the benchmarks.
    "bench_kinds::kinds_are_their_plans",
    // Guidance, noise that no row uses, or seeds together with memory.
    "steps::what_a_row_does_not_need_may_hold_anything",
    "sampling::plans_beside_each_other_remember_together",
    "joining::a_server_refuses_what_it_cannot_run",
    "moved_roles::of_steps",
    "batching::a_request_of_any_sampler_is_as_alone",
    "batching::a_request_that_does_not_fit_is_refused",
    "edges::slices_are_rescaled_as_their_sum",
    "edges::a_wrong_slice_is_seen_under_a_rescale",
    "edges::small_windows_give_the_bits_of_one",
    "extended::every_part_of_a_row",
    "extended::a_wrong_part_fails",
    // Noise, memory and the network's input together.
    "loop_records::every_recorded_run_in_one_submit",
    "loops::a_run_that_adds_no_noise_keeps_its_region_clean",
    "loops::a_sampler_is_the_loop_of_its_plans",
    "loops::nothing_waits_inside_a_loop",
    "loops::noise_of_every_form_is_the_same_run",
    "loops::a_run_goes_on_from_what_was_kept",
    "loops::guiders_and_masks_in_tensors",
    "loops::differential_masks_are_those_of_the_host",
    "loops::two_schedules_at_once",
    "adaptive_loops::steps_are_those_of_the_host",
    "adaptive_loops::every_sample_goes_its_own_way",
    "adaptive_loops::attempts_after_the_end_change_nothing",
    "adaptive_loops::noise_makes_good_what_a_step_goes_too_far",
    // Up to four predictions, their result and their sums.
    "guide::every_guider_size_and_storage",
    "guide::a_wrong_weight_fails",
    "guide::momentum_of_a_run",
    "guide::every_sample_at_its_own_call",
    "guide::bit_identical_in_every_run_and_batch",
    "guide::what_a_row_does_not_read_may_hold_anything",
    "guide::other_rows_and_other_tensors",
    "guide::what_is_missing_is_named",
    // Networks that bind seven storage buffers.
    "applications::guided_2m_in_one_submit",
    "sampling::every_solver_ends_where_its_twin_does",
    "sampling::a_wrong_coefficient_ends_elsewhere",
    "sampling::deterministic_solvers_end_where_the_ode_does",
    "sampling::every_solver_has_the_right_moments",
    "sampling::a_mixture_in_the_plane",
    "sampling::a_set_of_pictures",
    "sampling::from_zero_terminal_snr",
    // Binding limits below those of any device. With four storage buffers, the rows of all samples lie in a single one.
    "maps::windows_of_a_small_binding_limit",
    "sums::windows_of_short_samples",
    "groups::windows_give_the_bits_of_one",
];

/// The environment variable that names the folder into which shaders are dumped.
const DUMP: &str = "TWEEDIE_DUMP_WGSL";

/// Runs the tests in a child process that dumps every shader it compiles, and checks the dumped shaders against the
/// catalogue. Where a dump is already requested, the tests run in this process and the dump is left as it is.
fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if arguments.list || std::env::var_os(DUMP).is_some() {
        return run(&arguments);
    }
    let folder = std::env::temp_dir().join(format!("tweedie-shaders-{}", std::process::id()));
    let checked = run_and_check(&folder);
    let _ = std::fs::remove_dir_all(&folder);
    match checked {
        Ok(code) => code,
        Err(error) => {
            eprintln!("shaders: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_and_check(folder: &Path) -> Result<ExitCode, String> {
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let status = Command::new(program).args(std::env::args_os().skip(1)).env(DUMP, folder).status();
    let status = status.map_err(|error| error.to_string())?;
    let code = u8::try_from(status.code().unwrap_or(1)).unwrap_or(1);
    let compiled = compiled(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    if compiled.is_empty() {
        // Nothing is compiled without an adapter, or where the arguments choose no test that compiles.
        println!("shaders: none were compiled, so none were looked for in the catalogue");
    } else {
        let catalogue = Catalogue::of(&tweedie::gpu::every_shader());
        let missing = |(name, text): &(String, String)| {
            let entry_point = name.rsplit_once('_').map_or("", |(entry_point, _)| entry_point);
            Some(format!("{name} has a line that no listed shader has: {}", catalogue.missing(entry_point, text)?))
        };
        let missing: Vec<String> = compiled.iter().filter_map(missing).collect();
        if !missing.is_empty() {
            return Err(format!("{} are not in the catalogue:\n{}", missing.len(), missing.join("\n")));
        }
        println!("shaders: {} compiled, each of a kind that is in the catalogue", compiled.len());
    }
    Ok(ExitCode::from(code))
}

/// Returns the name and text of each shader in a dump.
fn compiled(folder: &Path) -> std::io::Result<Vec<(String, String)>> {
    let named = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok((name, std::fs::read_to_string(path)?))
    };
    std::fs::read_dir(folder)?.map(named).collect()
}

fn has_pipeline_caches(harness: &Harness) -> bool {
    harness.gpu.device.features().contains(wgpu::Features::PIPELINE_CACHE)
}

fn run(arguments: &Arguments) -> ExitCode {
    let harness = match pollster::block_on(Harness::open()) {
        Ok(harness) => Some(Arc::new(harness)),
        Err(error) => {
            eprintln!("no adapter, so the GPU tests are ignored: {error}");
            None
        }
    };
    if harness.is_none() && std::env::var_os("TWEEDIE_REQUIRE_ADAPTER").is_some() {
        eprintln!("TWEEDIE_REQUIRE_ADAPTER is set and there is no adapter");
        return ExitCode::FAILURE;
    }
    if let Some(harness) = &harness {
        println!("adapter: {}", tweedie::headless::Gpu::describe(&harness.gpu.info));
    }
    let tests: Vec<Test> = [
        maps::TESTS,
        draws::TESTS,
        sources::TESTS,
        steps::TESTS,
        sampling::TESTS,
        scales::TESTS,
        guide::TESTS,
        guide_levels::TESTS,
        groups::TESTS,
        #[cfg(feature = "run-files")]
        loop_records::TESTS,
        loop_refusals::TESTS,
        loops::TESTS,
        losses::TESTS,
        sums::TESTS,
        vlb_terms::TESTS,
        likelihoods::TESTS,
        chains::TESTS,
        adaptive_loops::TESTS,
        applications::TESTS,
        batching::TESTS,
        mixed_precision::TESTS,
        restart::TESTS,
        timesteps::TESTS,
        training::TESTS,
        contract::TESTS,
        moved::TESTS,
        moved_roles::TESTS,
        bench_kinds::TESTS,
        runs::TESTS,
        gradient_scales::TESTS,
        joining::TESTS,
        extended::TESTS,
        edges::TESTS,
        memory::TESTS,
        own_seeds::TESTS,
        pixels::TESTS,
        latent_previews::TESTS,
        first_use::TESTS,
        four_buffers::TESTS,
        failures::TESTS,
    ]
    .concat();
    let few = harness.as_ref().is_some_and(|harness| harness.is_narrow());
    if few {
        println!("ignored with fewer than {USUAL_BUFFERS} storage buffers: {}", NEED_USUAL_BUFFERS.join(", "));
    }
    let no_cache = harness.as_ref().is_some_and(|harness| !has_pipeline_caches(harness));
    if no_cache {
        println!("ignored without pipeline caches: {}", first_use::WITH_CACHE);
    }
    let trials = tests
        .into_iter()
        .map(|(name, test)| {
            let lacking = few && NEED_USUAL_BUFFERS.contains(&name) || no_cache && name == first_use::WITH_CACHE;
            let ignored = harness.is_none() || lacking;
            let harness = harness.clone();
            Trial::test(name, move || {
                // An ignored test may be run all the same: --include-ignored.
                let harness = harness.ok_or("expected an adapter, found none")?;
                let start = std::time::Instant::now();
                test(&harness);
                println!("{name}: {:.1} s", start.elapsed().as_secs_f32());
                Ok(())
            })
            .with_ignored_flag(ignored)
        })
        .collect();
    libtest_mimic::run(arguments, trials).exit_code()
}
