//! Handwritten digits: a trained U-Net in plain WGSL between tweedie's steps, the whole loop in one submit.
//!
//! ```text
//! cargo run --release --example digits -- digits.png
//! cargo run --release --example digits -- digits.png --predicts epsilon --columns 6 --guidance 4
//! ```
//!
//! The network is the crate `apps/digits`, trained by `train.py`. Each row of the picture is a class. Exit code 0: done, 1: a
//! file or the device failed, 2: a usage error, 3: no adapter.

use anyhow::Context as _;
use clap::Parser;
use clap::builder::PossibleValuesParser;
use digits::architecture::{SIDE, operations};
use digits::{Generation, Kernels, NO_CLASS, SamplerRequest, Weights};
use files::Picture;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use tweedie::headless::{Gpu, HeadlessError};
use tweedie::{Context, NoiseKey};

/// The side, in the picture, of a pixel of the network.
const SCALE: usize = 3;

/// Generates handwritten digits.
#[derive(Parser)]
#[command(name = "digits")]
struct Options {
    /// The picture to write: a row for each class.
    output: PathBuf,
    /// The quantity that the network predicts.
    #[arg(long, default_value = "v", value_parser = PossibleValuesParser::new(["v", "x0", "epsilon"]))]
    predicts: String,
    /// Weights written by `train.py`, in place of those of the repository; the file names what they predict.
    #[arg(long, conflicts_with = "predicts")]
    weights: Option<PathBuf>,
    /// Digits of each class.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=25))]
    columns: u8,
    /// The sampler, as `tweedie list samplers` names it.
    #[arg(long, default_value = "dpm++")]
    solver: String,
    /// Calls of the network; the sampler takes as many steps as these allow.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    calls: u16,
    /// The scale of classifier-free guidance; 1 means no guidance.
    #[arg(long, default_value_t = 2.0, allow_negative_numbers = true, value_parser = finite)]
    guidance: f64,
    /// The seed of the noise.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Runs of the loop that are timed; the first includes the driver's compilation.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    runs: u8,
}

fn finite(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| "expected a finite number".to_owned())
}

fn main() -> ExitCode {
    let Err(error) = run(&Options::parse()) else { return ExitCode::SUCCESS };
    eprintln!("digits: {error:#}");
    let no_adapter = matches!(error.downcast_ref(), Some(HeadlessError::NoAdapter));
    ExitCode::from(if no_adapter { 3 } else { 1 })
}

fn run(options: &Options) -> anyhow::Result<()> {
    let weights = match &options.weights {
        Some(path) => {
            let read = || anyhow::Ok(Weights::read(&std::fs::read(path)?)?);
            read().with_context(|| path.display().to_string())?
        }
        None => Weights::trained(options.predicts.parse()?)?,
    };
    let model = digits::model(weights.prediction())?;
    let sampler = digits::sampler(&model, &options.solver, options.calls.into()).context("--solver")?.clipped(1.0)?;
    let gpu = pollster::block_on(Gpu::open(None))?;
    println!("{}", Gpu::describe(&gpu.info));
    let columns = usize::from(options.columns);
    let labels: Vec<u32> = (0..NO_CLASS).flat_map(|class| std::iter::repeat_n(class, columns)).collect();
    let key = NoiseKey::seed(options.seed);
    let request = SamplerRequest { labels: &labels, sampler: &sampler, guidance: options.guidance, key };
    let (context, kernels) = (Context::new(&gpu.device), Kernels::new(&gpu.device)?);
    let generation = Generation::of_sampler(&context, &kernels, &weights, &request)?;
    let (digits, calls) = (labels.len(), generation.calls());
    let predictions = digits as u64 * u64::from(calls * generation.predictions());
    let work = (operations() * predictions) as f64;
    for _ in 0..options.runs {
        let begun = Instant::now();
        gpu.submit(|encoder| generation.record(&mut encoder.begin_compute_pass(&Default::default())))??;
        let seconds = begun.elapsed().as_secs_f64();
        let speed = work / seconds / 1e9;
        println!("{digits} digits in {calls} calls, {predictions} predictions: {seconds:.2} s, {speed:.1} GFLOP/s");
    }
    let bytes = pollster::block_on(gpu.download(generation.pictures(), 0..generation.pictures().size()))?;
    let picture = sheet(&bytemuck::pod_collect_to_vec(&bytes), columns)?;
    files::picture::save_png(&picture.to_rgb(), &options.output)?;
    println!("-> {}", options.output.display());
    Ok(())
}

/// Arranges pictures in rows of `columns`, with each pixel as a square.
fn sheet(pictures: &[f32], columns: usize) -> anyhow::Result<Picture> {
    let side = SIDE as usize;
    let (width, height) = (columns * side * SCALE, pictures.len() / (columns * side * side) * side * SCALE);
    let pixel = |i: usize| {
        let (x, y) = (i % width / SCALE, i / width / SCALE);
        pictures[(y / side * columns + x / side) * side * side + y % side * side + x % side]
    };
    let plane: Vec<f32> = (0..width * height).map(pixel).collect();
    Picture::from_planar(width, height, plane.repeat(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_stand_in_rows() {
        let pixels = (SIDE * SIDE) as usize;
        let pictures: Vec<f32> = (0..4).flat_map(|picture| vec![picture as f32 / 4.0; pixels]).collect();
        let sheet = sheet(&pictures, 2).unwrap();
        let side = SIDE as usize * SCALE;
        assert_eq!((sheet.width, sheet.height), (2 * side, 2 * side));
        let corners = [0, side, side * sheet.width, side * sheet.width + side];
        assert_eq!(corners.map(|corner| sheet.data[corner]), [0.0, 0.25, 0.5, 0.75]);
        assert_eq!(sheet.data[side - 1], 0.0);
    }
}
