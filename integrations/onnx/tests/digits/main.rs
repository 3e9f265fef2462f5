//! The digits of the engine: its network against PyTorch, and its loops against those of WGSL. Without an adapter the loops are
//! listed as ignored; `TWEEDIE_REQUIRE_ADAPTER=1` makes that a failure.

mod changes;
mod loops;
mod network;

use digits::Kernels;
use libtest_mimic::{Arguments, Failed, Trial};
use std::process::ExitCode;
use std::sync::Arc;
use tweedie::Context;
use tweedie::headless::Gpu;

/// The device that the loops share.
struct Stage {
    gpu: Gpu,
    context: Context,
    kernels: Kernels,
}

impl Stage {
    /// Opens the device; `None` without an adapter that has WebGPU's default limits.
    fn open() -> Option<Self> {
        let which = std::env::var("TWEEDIE_ADAPTER").ok();
        let gpu = pollster::block_on(Gpu::open(which.as_deref())).ok()?;
        let (context, kernels) = (Context::new(&gpu.device), Kernels::new(&gpu.device).ok()?);
        Some(Self { gpu, context, kernels })
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let stage = Stage::open().map(Arc::new);
    match &stage {
        Some(stage) => println!("adapter: {}", Gpu::describe(&stage.gpu.info)),
        None if std::env::var_os("TWEEDIE_REQUIRE_ADAPTER").is_some() => {
            eprintln!("TWEEDIE_REQUIRE_ADAPTER is set and there is no adapter");
            return ExitCode::FAILURE;
        }
        None => {}
    }
    let failed = |error: anyhow::Error| Failed::from(format!("{error:#}"));
    let on_cpu = network::TESTS.iter().map(|&(name, test)| Trial::test(name, move || test().map_err(failed)));
    let on_gpu = loops::TESTS.iter().map(|&(name, test)| {
        let stage = stage.clone();
        let run = move || stage.map_or(Ok(()), |stage| test(&stage)).map_err(failed);
        Trial::test(name, run)
    });
    let ignored = stage.is_none();
    let trials = on_cpu.chain(on_gpu.map(|trial| trial.with_ignored_flag(ignored)));
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
