//! A diffusion model from end to end on the GPU: tweedie around a small network that is written in plain WGSL.
//!
//! A multilayer perceptron learns three distributions on the plane (two moons, a Swiss roll, a checkerboard), each with all
//! three predictions (epsilon, x0, v), and draws samples with DDIM and DDPM. The energy distance of these samples from held-out
//! data is compared with that of fresh data of the same size.
//!
//! ```text
//! cargo run --example train_2d                    all nine trainings, and a picture: out/train_2d.svg
//! cargo run --example train_2d -- --quick         a few seconds: one short training, and all checks
//!     --steps N     training steps                --out FILE    where the picture goes
//! ```
//!
//! `docs/train_2d.png` is the picture of `--steps 2000`:
//! `rsvg-convert --zoom 1.5 out/train_2d.svg | pngquant 16 --nofs - > docs/train_2d.png`.
//!
//! Exit code 0: all good, 1: a check failed or something went wrong, 2: bad usage, 3: no adapter.
//!
//! Where to look first: `training` is the loop with tweedie in it, `sampler` draws samples, `network` is the
//! application's own work. Every sum is made in a fixed order, so weights and samples are the same to the last bit in every run on
//! a device; `check` verifies that.

mod adam;
mod check;
mod data;
mod energy;
mod kernel;
mod network;
mod options;
mod picture;
mod sampler;
mod streams;
mod training;

use clap::Parser as _;
use data::{Data, Point, gaussian_like};
use energy::Yardstick;
use options::Options;
use picture::Panel;
use sampler::{Generator, Way};
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use training::Trainer;
use tweedie::headless::{Gpu, HeadlessError};
use tweedie::math::sampler::{Ddpm, FirstOrder, Variance};
use tweedie::wgpu::Buffer;
use tweedie::{Context, Quantity, Schedule, Shape};

/// Features, hidden units, outputs.
const WIDTHS: [u32; 5] = [32, 64, 64, 64, network::TILE];
const BATCH: Shape = Shape::new(256, 2);
/// Generated points, and held-out ones.
const SAMPLES: u32 = 2048;
/// Fresh sets, which show how far from the held-out set a perfect model would be.
const FRESH: u32 = 16;
const PREDICTIONS: [Quantity; 3] = [Quantity::Epsilon, Quantity::X0, Quantity::V];
const WAYS: [Way; 2] = [
    Way { name: "DDIM", solver: &FirstOrder::ddim(0.0), calls: 50 },
    Way { name: "DDPM", solver: &Ddpm::new(Variance::FixedSmall), calls: 100 },
];
/// The largest allowed distance of samples from the held-out set, as a multiple of that of fresh data. Trained models reach 1 to 3,
/// and a Gaussian with the right mean and covariance only 10 and more, so rounding on another device does not matter.
const ALLOWED: f64 = 5.0;

/// The device, and what all parts of the example share.
#[derive(Debug)]
pub struct Setup {
    gpu: Gpu,
    context: Context,
    schedule: Schedule,
    /// Features of each timestep for the network.
    embedding: Buffer,
}

impl Setup {
    async fn new() -> Result<Self, Box<dyn Error>> {
        let gpu = Gpu::open(None).await?;
        let schedule = Schedule::linear(1000, 1e-4, 0.02)?;
        let embedding = network::embedding(&schedule, WIDTHS[0]);
        let embedding = gpu.upload("embedding", bytemuck::cast_slice(&embedding));
        Ok(Self { context: Context::new(&gpu.device), schedule, embedding, gpu })
    }
}

fn main() -> ExitCode {
    match pollster::block_on(run(&Options::parse())) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("train_2d: {error}");
            let no_adapter = matches!(error.downcast_ref(), Some(HeadlessError::NoAdapter));
            if no_adapter { ExitCode::from(3) } else { ExitCode::FAILURE }
        }
    }
}

async fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    let begun = Instant::now();
    let setup = Setup::new().await?;
    println!("adapter: {}\n", Gpu::describe(&setup.gpu.info));
    let mut good = check::all(&setup, &WIDTHS, BATCH).await?;

    let trainer = Trainer::new(&setup, &WIDTHS, BATCH, options.steps);
    let generator = Generator::new(&setup, &trainer.weights, SAMPLES);
    let (data, predictions): (&[_], &[_]) =
        if options.quick { (&[Data::Moons], &[Quantity::V]) } else { (&Data::ALL, &PREDICTIONS) };
    let mut rows = Vec::new();
    for &data in data {
        let (panels, within) = learn(&setup, &trainer, &generator, data, predictions).await?;
        rows.push(panels);
        good &= within;
    }
    save(&options.out, &picture::svg(&rows)).map_err(|error| format!("{}: {error}", options.out.display()))?;
    println!("\n{}: held-out points, then samples. {:.0?} in all", options.out.display(), begun.elapsed());
    println!("{}", if good { "all checks passed" } else { "a CHECK FAILED" });
    Ok(good)
}

/// Learns one data set with each prediction and prints the results. Returns a row of the picture, and whether all were good.
async fn learn(
    setup: &Setup,
    trainer: &Trainer,
    generator: &Generator,
    data: Data,
    predictions: &[Quantity],
) -> Result<(Vec<Panel>, bool), Box<dyn Error>> {
    let (yardstick, mut good) = yardstick(data);
    let mut panels = vec![panel(data.name().to_owned(), "#444", yardstick.held_out().to_vec())];
    for &prediction in predictions {
        let begun = Instant::now();
        let loss = trainer.run(setup, data, prediction).await?;
        print!("    {prediction:<8} last loss {loss:.3}");
        for way in WAYS {
            let samples = generator.sample(setup, prediction, way).await?;
            let multiples = yardstick.multiples(&samples);
            good &= multiples <= ALLOWED; // false for NaN
            print!("   {} {multiples:5.2}", way.name);
            panels.push(panel(format!("{prediction}, {}: {multiples:.1}", way.name), "#1f77b4", samples));
        }
        println!("   {:.1?}", begun.elapsed());
    }
    Ok((panels, good))
}

/// Prints how far a perfect model would be for this data set, and checks that a poor one is told apart from it.
fn yardstick(data: Data) -> (Yardstick, bool) {
    let points = |key| data.points(key, SAMPLES as usize);
    let fresh: Vec<_> = (0..FRESH).map(|i| points(streams::next(streams::FRESH, i))).collect();
    let yardstick = Yardstick::new(points(streams::HELD_OUT), &fresh);
    let control = yardstick.multiples(&gaussian_like(yardstick.held_out(), streams::CONTROL));
    println!("\n{}: energy distance of {SAMPLES} fresh points from as many held-out ones", data.name());
    println!("    {:.5}, +- {:.5} from set to set; this is 1 in what follows", yardstick.mean, yardstick.spread);
    println!("    a Gaussian of the same mean and covariance: {control:.1}; at most {ALLOWED} is good");
    (yardstick, control > ALLOWED)
}

/// Writes a file, in a new folder if need be.
fn save(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text)
}

fn panel(text: String, colour: &'static str, points: Vec<Point>) -> Panel {
    Panel { text, points, colour }
}

#[cfg(test)]
mod tests {
    use super::{adam, network};
    use naga::valid::{Capabilities, ValidationFlags, Validator};

    /// Every kernel is plain WebGPU: it needs no feature of a device.
    #[test]
    fn every_shader_is_valid_without_features() {
        let products = network::FINISHES.map(|finish| [network::MATMUL, finish].concat());
        let others = [network::EMBED, adam::ADAM].map(str::to_owned);
        for text in products.into_iter().chain(others) {
            let module = naga::front::wgsl::parse_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
            validator.validate(&module).unwrap_or_else(|error| panic!("{error}: {text}"));
        }
    }
}
