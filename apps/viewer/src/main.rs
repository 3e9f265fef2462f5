//! The viewer as a program.

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use tweedie::headless;
use tweedie_viewer::restart::Restart;
use tweedie_viewer::state::{State, View};
use tweedie_viewer::window::{Options, run};

/// A window on the algebra of diffusion models, on the GPU
///
/// A picture, its noised form, the training targets, and what is recovered from predictions with an error; every sampler at
/// work on an ideal denoiser, step by step, back and forth; and digits that a trained network writes, whole or only where a
/// part of one was erased. WGPU_BACKEND chooses an API (vulkan, metal, dx12, gl).
///
/// Exit codes: 0 the window was closed, 2 wrong usage, 3 no window or no adapter.
#[derive(Parser)]
#[command(name = "tweedie-viewer", version)]
struct Arguments {
    /// A PNG or JPEG of any size [default: a generated one]
    #[arg(value_name = "IMAGE")]
    image: Option<PathBuf>,

    /// Begin with the sampling view
    #[arg(long)]
    sampling: bool,

    /// Begin with the digits view
    #[arg(long, conflicts_with = "sampling")]
    digits: bool,

    /// The adapter: a part of its name, as --adapters lists them [default: the best one]
    #[arg(long, value_name = "ADAPTER")]
    adapter: Option<String>,

    /// List the adapters, and open no window
    #[arg(long)]
    adapters: bool,

    /// Write what the window shows into this file after each frame, for tests
    #[arg(long, value_name = "FILE", hide = true)]
    trace: Option<PathBuf>,

    /// Continue after a window that had to stop, with the state that it wrote
    #[arg(long, value_name = "JSON", hide = true)]
    resume: Option<String>,

    /// Lose a device within a frame instead of before one, for tests
    #[arg(long, hide = true)]
    lose_midway: bool,
}

/// No window, or no adapter.
const NO_WINDOW: u8 = 3;

fn main() -> ExitCode {
    let Arguments { image, sampling, digits, adapter, adapters, trace, resume, lose_midway } = Arguments::parse();
    if adapters {
        return list();
    }
    let mut options = Options { adapter, trace, lose_midway, ..Options::default() };
    let mut state = State::default();
    if sampling {
        state.view = View::Sampling;
    }
    if digits {
        state.view = View::Digits;
    }
    if let Some(image) = image {
        state.open(&image); // a broken file is reported in the window, which opens all the same
    }
    if let Some(restart) = resume.map(|text| Restart::read(&text)) {
        (options.place, options.brief) = (restart.place, restart.brief);
        state = restart.state;
    }
    match run(state, &options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tweedie-viewer: {error}");
            ExitCode::from(NO_WINDOW)
        }
    }
}

/// Lists the adapters that can compute, best first.
fn list() -> ExitCode {
    let adapters = pollster::block_on(headless::Gpu::adapters());
    for adapter in &adapters {
        println!("{}", headless::Gpu::describe(&adapter.get_info()));
    }
    if adapters.is_empty() {
        eprintln!("tweedie-viewer: {}", headless::HeadlessError::NoAdapter);
        return ExitCode::from(NO_WINDOW);
    }
    ExitCode::SUCCESS
}
