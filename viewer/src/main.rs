//! The viewer as a program.

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use tweedie_viewer::state::{State, View};
use tweedie_viewer::window::{Options, run};

/// A window on the algebra of diffusion models, on the GPU
///
/// A picture, its noised form, the training targets, and what comes back of predictions that err; and every sampler at
/// work on an ideal denoiser, step by step, back and forth. WGPU_BACKEND chooses an API (vulkan, metal, dx12, gl).
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

    /// The adapter: its index or a part of its name [default: the best one]
    #[arg(long, value_name = "ADAPTER")]
    adapter: Option<String>,

    /// Write what the window shows into this file after each frame, for tests
    #[arg(long, value_name = "FILE", hide = true)]
    trace: Option<PathBuf>,
}

fn main() -> ExitCode {
    let Arguments { image, sampling, adapter, trace } = Arguments::parse();
    let mut state = State::default();
    if sampling {
        state.view = View::Sampling;
    }
    if let Some(image) = image {
        state.open(&image); // a broken one is told in the window, which opens all the same
    }
    match run(state, &Options { adapter, trace }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tweedie-viewer: {error}");
            ExitCode::from(3)
        }
    }
}
