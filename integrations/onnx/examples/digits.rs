//! Handwritten digits by an ONNX network on the CPU, in the loop of a sampler on the host.
//!
//! ```text
//! cargo run --manifest-path integrations/onnx/Cargo.toml --target-dir target/onnx --example digits -- digits.png
//!     --compare     the same digits by the kernels of apps/digits on this machine's adapter: difference, and times in turns
//! ```
//!
//! Labels, seed, sampler, calls and guidance are those of the example `digits` at the root. Each row of the picture is a class.

use anyhow::{Context as _, Result};
use clap::Parser;
use digits::architecture::SIDE;
use digits::{Generation, Kernels, NO_CLASS, SamplerRequest, Weights};
use files::Picture;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};
use tweedie::headless::Gpu;
use tweedie::{Context, NoiseKey, Quantity};
use tweedie_onnx::{DIGITS, Network, write_digits};

/// The side, in the picture, of a pixel of the network.
const SCALE: usize = 3;
/// Runs of the engine and of the kernels when they are compared; the kernels' first run includes the driver's compilation.
const TURNS: usize = 3;

/// Generates handwritten digits by a network on the CPU.
#[derive(Parser)]
#[command(name = "digits")]
struct Options {
    /// The picture to write: a row for each class.
    output: PathBuf,
    /// Digits of each class.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=25))]
    columns: u8,
    /// The sampler, as `tweedie list samplers` names it.
    #[arg(long, default_value = "dpm++")]
    solver: String,
    /// Calls of the network.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    calls: u16,
    /// The scale of classifier-free guidance; 1 means no guidance.
    #[arg(long, default_value_t = 2.0, allow_negative_numbers = true, value_parser = finite)]
    guidance: f64,
    /// The seed of the noise.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Also generate the digits by the kernels, on this machine's adapter, and print the difference and the times of both.
    #[arg(long)]
    compare: bool,
    /// A JSON file for the results of the comparison.
    #[arg(long, requires = "compare", value_name = "FILE.json")]
    results: Option<PathBuf>,
}

fn finite(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| "expected a finite number".to_owned())
}

fn main() -> Result<()> {
    let options = Options::parse();
    let model = digits::model(Quantity::V)?;
    let sampler = digits::sampler(&model, &options.solver, options.calls.into()).context("--solver")?.clipped(1.0)?;
    let columns = usize::from(options.columns);
    let labels: Vec<u32> = (0..NO_CLASS).flat_map(|class| std::iter::repeat_n(class, columns)).collect();
    let key = NoiseKey::seed(options.seed);
    let request = SamplerRequest { labels: &labels, sampler: &sampler, guidance: options.guidance, key };
    let network = Network::read(DIGITS)?;
    let digits = if options.compare {
        compare(&network, &request, options.results.as_deref())?
    } else {
        write_digits(&network, &request)?
    };
    files::picture::save_png(&sheet(&digits, columns)?.to_rgb(), &options.output)?;
    println!("-> {}", options.output.display());
    Ok(())
}

/// Generates the digits by the engine and by the kernels, several times in turns, and prints the shortest times and the difference.
fn compare(network: &Network, request: &SamplerRequest<'_>, results: Option<&Path>) -> Result<Vec<f64>> {
    let gpu = pollster::block_on(Gpu::open(std::env::var("TWEEDIE_ADAPTER").ok().as_deref()))?;
    let adapter = Gpu::describe(&gpu.info);
    let (context, kernels) = (Context::new(&gpu.device), Kernels::new(&gpu.device)?);
    let generation = Generation::of_sampler(&context, &kernels, &Weights::trained(Quantity::V)?, request)?;
    let (mut digits, mut engine, mut wgsl) = (Vec::new(), f64::INFINITY, f64::INFINITY);
    for _ in 0..TURNS {
        let begun = Instant::now();
        digits = write_digits(network, request)?;
        engine = begun.elapsed().as_secs_f64().min(engine);
        let begun = Instant::now();
        gpu.submit(|encoder| generation.record(&mut encoder.begin_compute_pass(&Default::default())))??;
        wgsl = begun.elapsed().as_secs_f64().min(wgsl);
    }
    let bytes = pollster::block_on(gpu.download(generation.pictures(), 0..generation.pictures().size()))?;
    let expected: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
    let apart = digits.iter().zip(&expected).map(|(a, b)| (a - f64::from(*b)).abs());
    let difference = apart.max_by(f64::total_cmp).context("expected a pixel, found none")?;
    let ratio = wgsl / engine;
    println!("adapter: {adapter}");
    println!("{} digits in {} calls: rten {engine:.2} s", request.labels.len(), generation.calls());
    println!("the same by WGSL: {wgsl:.2} s, {ratio:.2} times as long; pixels differ by at most {difference:.1e}");
    if let Some(path) = results {
        let date = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let numbers = serde_json::json!({
            "date": date.split('T').next(), "adapter": adapter, "engine": "rten 0.27", "turns": TURNS,
            "digits": request.labels.len(), "calls": generation.calls(), "guidance": request.guidance,
            "engine_seconds": engine, "wgsl_seconds": wgsl, "wgsl_per_engine": ratio, "largest_difference": difference,
        });
        files::atomic::write(path, format!("{numbers:#}\n").as_bytes())?;
    }
    Ok(digits)
}

/// Arranges pictures in rows of `columns`, with each pixel as a square.
fn sheet(pictures: &[f64], columns: usize) -> Result<Picture> {
    let side = SIDE as usize;
    let (width, height) = (columns * side * SCALE, pictures.len() / (columns * side * side) * side * SCALE);
    let pixel = |i: usize| {
        let (x, y) = (i % width / SCALE, i / width / SCALE);
        pictures[(y / side * columns + x / side) * side * side + y % side * side + x % side] as f32
    };
    let plane: Vec<f32> = (0..width * height).map(pixel).collect();
    Picture::from_planar(width, height, plane.repeat(3))
}
