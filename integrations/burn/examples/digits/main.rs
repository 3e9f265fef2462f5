//! The U-Net of the digits in Burn, with the weights of `apps/digits`.
//!
//! ```text
//! cargo burn digits samples                                      the same digits by Burn and by WGSL: how far apart they are
//! cargo burn digits noise noise.safetensors --steps 100          noise for a training in PyTorch
//! cargo burn digits train batches.safetensors                    the same training in Burn: its curves and those of PyTorch
//! ```
//!
//! Between the last two, `continue.py` in this folder trains in PyTorch.

mod batches;
mod report;
mod samples;
mod train;
mod unet;

use anyhow::{Context as _, Result};
use batches::Batches;
use burn::module::Module as _;
use burn::tensor::{DType, Device, Tensor};
use clap::{Parser, Subcommand};
use digits::architecture::SIDE;
use digits::{NO_CLASS, PREDICTIONS, SamplerRequest, Weights};
use safetensors::tensor::TensorView;
use samples::{ByKernels, by_burn, difference};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;
use train::Run;
use tweedie::NoiseKey;
use tweedie::gpu::{Drawn, Plan, Recording};
use tweedie_burn::Bridge;
use unet::UNet;

/// The weights of [`PREDICTIONS`], in the same order.
const WEIGHTS: [&[u8]; 3] = [
    include_bytes!("../../../../apps/digits/weights/v.safetensors"),
    include_bytes!("../../../../apps/digits/weights/x0.safetensors"),
    include_bytes!("../../../../apps/digits/weights/epsilon.safetensors"),
];

/// The digits in Burn.
#[derive(Parser, Debug)]
struct Arguments {
    /// Prints the device and exits, with code 3 if there is none.
    #[arg(long)]
    adapter: bool,
    #[command(subcommand)]
    job: Option<Job>,
}

#[derive(Subcommand, Debug)]
enum Job {
    /// Generates a digit of each class by Burn and by WGSL, for each of the three networks, and prints the largest difference.
    Samples {
        /// Calls of DPM-Solver++ 2M.
        #[arg(long, default_value_t = 10)]
        calls: usize,
        /// The scale of classifier-free guidance.
        #[arg(long, default_value_t = 2.0)]
        guidance: f64,
        /// A JSON file for the results.
        #[arg(long)]
        results: Option<PathBuf>,
    },
    /// Writes the noise of a training: `[steps, batch, 1, 32, 32]` in f32. Each step has a stream of the seed.
    Noise {
        output: PathBuf,
        #[arg(long, default_value_t = 100)]
        steps: u32,
        #[arg(long, default_value_t = 16)]
        batch: usize,
        #[arg(long, default_value_t = 2026)]
        seed: u64,
    },
    /// Trains the network for v on the batches of a run in PyTorch, with tweedie's noise and loss.
    Train {
        batches: PathBuf,
        /// The folder for the report and its plot.
        #[arg(long, default_value = "target/burn/digits")]
        out: PathBuf,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let opened = Device::wgpu_options().init_with_setup();
    if arguments.adapter && opened.is_err() {
        std::process::exit(3);
    }
    let (device, setup) = opened.context("no device for Burn's wgpu backend")?;
    let bridge = Bridge::new(&device, &setup);
    let adapter = tweedie::headless::Gpu::describe(&setup.adapter.get_info());
    println!("adapter: {adapter}");
    match arguments.job {
        None => Ok(()),
        Some(Job::Samples { calls, guidance, results }) => {
            compare(&bridge, &adapter, calls, guidance, results.as_deref())
        }
        Some(Job::Noise { output, steps, batch, seed }) => noise(&bridge, &output, steps, batch, seed),
        Some(Job::Train { batches, out }) => train(&bridge, adapter, &batches, &out),
    }
}

/// Compares a digit of each class by Burn and by WGSL.
fn compare(bridge: &Bridge, adapter: &str, calls: usize, guidance: f64, results: Option<&Path>) -> Result<()> {
    let (labels, kernels): (Vec<u32>, _) = ((0..NO_CLASS).collect(), ByKernels::open()?);
    let mut rows = Vec::new();
    for (predicts, file) in PREDICTIONS.into_iter().zip(WEIGHTS) {
        let sampler = digits::sampler(&digits::model(predicts)?, "dpm++", calls)?.clipped(1.0)?;
        let request = SamplerRequest { labels: &labels, sampler: &sampler, guidance, key: NoiseKey::seed(0) };
        let network = UNet::read(file, bridge.device())?;
        let begun = Instant::now();
        let found = by_burn(bridge, &network, &request)?;
        let burn_seconds = begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        let expected = kernels.write(&Weights::read(file)?, &request)?;
        let wgsl_seconds = begun.elapsed().as_secs_f64();
        let apart = difference(&found, &expected)?;
        println!("{predicts}: {} digits in {calls} calls, pixels differ by at most {apart:.1e}", labels.len());
        println!("{predicts}: Burn {burn_seconds:.1} s, WGSL {wgsl_seconds:.1} s");
        rows.push(serde_json::json!({
            "predicts": predicts.name(), "largest_difference": apart,
            "burn_seconds": burn_seconds, "wgsl_seconds": wgsl_seconds,
        }));
    }
    let Some(path) = results else { return Ok(()) };
    let date = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    let numbers = serde_json::json!({
        "date": date.split('T').next(), "adapter": adapter, "fusion": cfg!(feature = "fusion"),
        "digits": labels.len(), "calls": calls, "guidance": guidance, "networks": rows,
    });
    Ok(std::fs::write(path, format!("{numbers:#}\n"))?)
}

/// Writes the noise that a training of this seed draws.
fn noise(bridge: &Bridge, output: &Path, steps: u32, batch: usize, seed: u64) -> Result<()> {
    let side = SIDE as usize;
    let mut numbers: Vec<f32> = Vec::new();
    for step in 0..steps {
        let drawn: Tensor<4> = bridge.empty("noise", [batch, 1, side, side], DType::F32)?;
        let lent = bridge.lend_out("noise", &drawn)?;
        let key = Drawn::new(NoiseKey::seed(seed).stream(step));
        let plan = Plan::fill(bridge.context(), lent.shape(), key, lent.tensor())?;
        bridge.submit(plan.dispatches(), |pass| plan.record(pass, Recording::timestep(0)))?;
        numbers.extend(drawn.into_data().try_to_vec::<f32>()?);
    }
    let bytes: &[u8] = bytemuck::cast_slice(&numbers);
    let view = TensorView::new(safetensors::Dtype::F32, vec![steps as usize, batch, 1, side, side], bytes)?;
    let about = HashMap::from([("seed".to_owned(), seed.to_string())]);
    safetensors::serialize_to_file([("noise", view)], Some(about), output)?;
    println!("-> {}", output.display());
    Ok(())
}

/// Trains on the batches of PyTorch, and writes the losses and norms of both.
fn train(bridge: &Bridge, adapter: String, batches: &Path, out: &Path) -> Result<()> {
    let bytes = std::fs::read(batches).with_context(|| batches.display().to_string())?;
    let batches = Batches::read(&bytes)?;
    let mut run = Run::new(bridge, WEIGHTS[0], batches.seed)?;
    let begun = Instant::now();
    let mut found = [Vec::new(), Vec::new()];
    for step in 0..batches.steps() {
        let course = run.step(batches.at(step))?;
        for (numbers, tensor) in found.iter_mut().zip([course.loss, course.norm]) {
            numbers.extend(tensor.into_data().try_to_vec::<f32>()?);
        }
        let [losses, norms] = &found;
        println!(
            "step {}: loss {:.5}, in PyTorch {:.5}; norm {:.4}, in PyTorch {:.4}; {:.0} s",
            step + 1,
            losses[step],
            batches.losses[step],
            norms[step],
            batches.norms[step],
            begun.elapsed().as_secs_f64()
        );
    }
    let seconds = begun.elapsed().as_secs_f64();
    let report = report::Report::new(&batches, adapter, run.network.num_params(), seconds, found)?;
    std::fs::create_dir_all(out)?;
    std::fs::write(out.join("digits.json"), serde_json::to_string_pretty(&report)? + "\n")?;
    std::fs::write(out.join("digits.svg"), report.drawing()?)?;
    for (name, curves) in [("loss", &report.losses), ("norm", &report.norms)] {
        let (most, step, first) = (curves.largest_difference, curves.at_step, curves.first_difference);
        println!("{name}: apart by {first:.1e} in the first step, by at most {most:.1e} in step {step}");
    }
    println!("-> {}", out.display());
    Ok(())
}
