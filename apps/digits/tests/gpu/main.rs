//! The network on an adapter, layer by layer against PyTorch. Without one, each test is listed as ignored;
//! `TWEEDIE_REQUIRE_ADAPTER=1` makes that a failure.

mod generation;
mod layers;
mod noising;
mod recorded;
mod refusals;

use digits::Kernels;
use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;
use std::sync::Arc;
use tweedie::Context;
use tweedie::headless::Gpu;

/// A test fails by panicking, like any other.
type Test = (&'static str, fn(&Stage));

/// The device that the tests share.
struct Stage {
    gpu: Gpu,
    context: Context,
    kernels: Kernels,
}

impl Stage {
    /// None without an adapter that has WebGPU's default limits.
    fn open() -> Option<Self> {
        let which = std::env::var("TWEEDIE_ADAPTER").ok();
        let gpu = pollster::block_on(Gpu::open(which.as_deref())).ok()?;
        let (context, kernels) = (Context::new(&gpu.device), Kernels::new(&gpu.device).ok()?);
        Some(Self { gpu, context, kernels })
    }

    fn read(&self, buffer: &wgpu::Buffer) -> Vec<f32> {
        let bytes = pollster::block_on(self.gpu.download(buffer, 0..buffer.size())).expect("readback");
        bytemuck::pod_collect_to_vec(&bytes)
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let stage = Stage::open().map(Arc::new);
    if stage.is_none() && std::env::var_os("TWEEDIE_REQUIRE_ADAPTER").is_some() {
        eprintln!("TWEEDIE_REQUIRE_ADAPTER is set and there is no adapter");
        return ExitCode::FAILURE;
    }
    let groups: [(&str, &[Test]); 4] = [
        ("layers", layers::TESTS),
        ("noising", noising::TESTS),
        ("generation", generation::TESTS),
        ("refusals", refusals::TESTS),
    ];
    let tests = groups.iter().flat_map(|(group, tests)| tests.iter().map(move |test| (group, test)));
    let trials = tests.map(|(group, &(name, test))| {
        let stage = stage.clone();
        let run = move || {
            if let Some(stage) = stage {
                test(&stage);
            }
            Ok(())
        };
        Trial::test(format!("{group}::{name}"), run)
    });
    let ignored = stage.is_none();
    libtest_mimic::run(&arguments, trials.map(|trial| trial.with_ignored_flag(ignored)).collect()).exit_code()
}
