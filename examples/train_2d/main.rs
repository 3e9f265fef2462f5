//! A diffusion model from end to end on the GPU: tweedie around a small network that is written and trained in plain WGSL.
//!
//! A multilayer perceptron learns three distributions on the plane (two moons, a swiss roll, a checkerboard), each with all
//! three predictions (epsilon, x0, v), and draws samples with DDIM and DDPM. The energy distance of these samples from held-out
//! data is held against the distance that fresh data of the same size have.
//!
//! ```text
//! cargo run --example train_2d                    all nine trainings, and a picture: train_2d.svg
//! cargo run --example train_2d -- --quick         some seconds: one short training, and all checks
//!     --steps N     training steps                --out FILE    where the picture goes
//! ```
//!
//! Exit code 0: all good, 1: a check failed or something went wrong, 3: no adapter. Where to look first: [`training`] is the
//! loop, [`network`] the application's own work, [`sampler`] the way back from noise.
//!
//! Every sum is made in a fixed order, so weights and samples are the same to the last bit in every run on a device.

mod adam;
mod check;
mod data;
mod energy;
mod kernel;
mod loss;
mod network;
mod picture;
mod sampler;
mod training;

use data::{Data, Point};
use energy::Yardstick;
use network::{Forward, Inputs};
use picture::Panel;
use sampler::{Sampler, Way};
use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;
use training::{Training, streams};
use tweedie::gpu::{Context, Shape};
use tweedie::headless::{Gpu, HeadlessError, describe};
use tweedie::wgpu::Buffer;
use tweedie::{Diffusion, Quantity, Schedule};

/// Features, hidden units, outputs.
const WIDTHS: [u32; 5] = [16, 64, 64, 64, network::TILE];
const BATCH: u32 = 256;
/// Generated points, and held-out ones.
const SAMPLES: u32 = 1024;
/// Fresh sets, to learn what an energy distance of 0 looks like.
const FRESH: u32 = 16;
const PREDICTIONS: [Quantity; 3] = [Quantity::Epsilon, Quantity::X0, Quantity::V];
/// The samplers: name, eta, calls of the network.
const SAMPLERS: [(&str, f64, u32); 2] = [("DDIM", 0.0, 40), ("DDPM", 1.0, 100)];

fn main() -> ExitCode {
    let outcome = Options::parse(std::env::args().skip(1)).and_then(|options| pollster::block_on(run(&options)));
    match outcome {
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
    let gpu = Gpu::open(None).await?;
    println!("adapter: {}", describe(&gpu.info));
    println!("grad: {:?}", check::backward(&gpu).await?);
    let context = Context::new(&gpu.device);
    let diffusion = Diffusion::new(Schedule::linear(1000, 1e-4, 0.02)?);
    let embedding = network::embedding(diffusion.schedule(), WIDTHS[0]);
    let embedding = gpu.upload("embedding", bytemuck::cast_slice(&embedding));
    let training = Training::new(&gpu, &diffusion, &WIDTHS, &embedding, Shape::new(BATCH, 2), options.steps);
    let x = gpu.buffer("samples", 8 * u64::from(SAMPLES));
    let t = gpu.buffer("t", 4 * u64::from(SAMPLES));
    let network = Forward::new(&gpu, &training.weights, Inputs { x_t: &x, timesteps: &t, embedding: &embedding }, SAMPLES);
    println!("setup {:.1?}", begun.elapsed());
    let mut rows = vec![];
    for data in Data::ALL {
        let held_out = data.points(streams::HELD_OUT, SAMPLES as usize);
        let fresh: Vec<_> = (0..FRESH).map(|i| data.points(streams::FRESH.stream(streams::FRESH.stream + i), SAMPLES as usize)).collect();
        let yardstick = Yardstick::new(held_out.clone(), &fresh);
        println!("{}: {:.5} {:.5}", data.name(), yardstick.mean, yardstick.spread);
        let mut row = vec![Panel { text: data.name().into(), points: held_out, colour: "gray" }];
        for prediction in PREDICTIONS {
            let begun = Instant::now();
            let loss = training.run(&gpu, &context, data, prediction).await?;
            print!("  {prediction:8} loss {loss:.4} {:.1?}", begun.elapsed());
            for (name, eta, calls) in SAMPLERS {
                let begun = Instant::now();
                let way = Way { prediction, eta, calls, key: streams::SAMPLING_NOISE };
                let sampler = Sampler::new(&gpu, &context, diffusion.schedule(), &way, [&x, network.prediction()], Shape::new(SAMPLES, 2))?;
                gpu.submit(|encoder| sampler.record(encoder, &network, &t))??;
                let points: Vec<Point> = bytemuck::pod_collect_to_vec(&gpu.download(&x, 0..x.size()).await?);
                let d = yardstick.multiples(&points);
                print!("   {name} {d:.2} {:.1?}", begun.elapsed());
                row.push(Panel { text: format!("{prediction} {name} {d:.1}"), points, colour: "steelblue" });
            }
            println!();
        }
        rows.push(row);
    }
    std::fs::write(&options.out, picture::svg(&rows))?;
    println!("total {:.1?}", begun.elapsed());
    Ok(true)
}

struct Options { quick: bool, steps: u32, out: String }
impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut o = Self { quick: false, steps: 1500, out: "train_2d.svg".into() };
        while let Some(a) = arguments.next() {
            match a.as_str() {
                "--quick" => o.quick = true,
                "--steps" => o.steps = arguments.next().ok_or("steps")?.parse()?,
                "--out" => o.out = arguments.next().ok_or("out")?,
                _ => return Err("what".into()),
            }
        }
        Ok(o)
    }
}
