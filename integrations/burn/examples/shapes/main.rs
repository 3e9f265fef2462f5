//! Trains a small U-Net with Burn to predict epsilon, x0 and v, samples from each with three samplers and guidance, and judges
//! the samples by numbers and in a picture.
//!
//! `cargo burn` runs it; the README beside this crate has its figures.

mod judge;
mod pictures;
mod sheet;
mod train;
mod unet;

use anyhow::Context as _;
use burn::module::Module as _;
use burn::tensor::{DType, Device, Tensor};
use clap::{Parser, ValueEnum};
use pictures::{CLASSES, PIXELS, SIDE};
use std::path::PathBuf;
use std::time::Instant;
use train::{Run, Setting, TIMESTEPS};
use tweedie::Quantity;
use tweedie::gpu::NoiseKey;
use tweedie::math::sampler::{Ddpm, Denoiser, DpmSolver, FirstOrder, Grid, Sampler, Variance};
use tweedie::math::{NoiseLevel, Spacing};
use tweedie::table::Clip;
use tweedie_burn::{Bridge, Guide, Sampling};
use unet::{NO_CLASS, UNet};

/// Trains, samples and judges.
#[derive(Parser, Debug)]
struct Arguments {
    /// Size and length: `small` takes minutes on two cores, `gpu` minutes on a GPU.
    #[arg(long, value_enum, default_value_t = Size::Small)]
    size: Size,
    /// Training steps, instead of those of the size.
    #[arg(long)]
    steps: Option<u32>,
    /// The network's prediction: epsilon, x0 or v; all three if not given.
    #[arg(long)]
    predicts: Option<String>,
    /// The folder for checkpoints, report and picture. A training that was stopped resumes from its checkpoint there.
    #[arg(long, default_value = "target/burn/shapes")]
    out: PathBuf,
    /// Prints the device and exits, with code 3 if there is none.
    #[arg(long)]
    adapter: bool,
    /// Steps from one checkpoint to the next.
    #[arg(long, default_value_t = 100)]
    every: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Size {
    Small,
    Gpu,
}

impl Size {
    const fn setting(self) -> Setting {
        match self {
            Self::Small => Setting { width: 16, batch: 32, steps: 500, rate: 3e-3 },
            Self::Gpu => Setting { width: 64, batch: 256, steps: 8000, rate: 1e-3 },
        }
    }

    /// Samples of each class, for each sampler.
    const fn each(self) -> usize {
        match self {
            Self::Small => 16,
            Self::Gpu => 256,
        }
    }
}

/// The scale of guidance by the class.
const GUIDE: f64 = 2.0;
/// The key of every sampler, so that all begin with the same noise.
const KEY: NoiseKey = NoiseKey::seed(2026);
const CLASSIFIER_STEPS: u64 = 300;

/// The figures of a set of samples.
#[derive(Debug, serde::Serialize)]
struct Row {
    predicts: String,
    sampler: String,
    calls: usize,
    energy: f64,
    accuracy: f64,
    seconds: f64,
}

#[derive(Debug, serde::Serialize)]
struct Report {
    adapter: String,
    fusion: bool,
    setting: Setting,
    parameters: usize,
    samples: usize,
    guide: f64,
    /// Seconds of a training step, of each prediction.
    step_seconds: Vec<(String, f64)>,
    losses: Vec<(String, f32)>,
    plans_made: u64,
    plans_moved: u64,
    classifier: f64,
    /// The energy distance between sets of held-out pictures, each as large as the samples: the mean and the largest of eight.
    held_out: [f64; 2],
    /// The energy distance of noise that has the pictures' mean and deviation.
    noise: f64,
    noise_accuracy: f64,
    rows: Vec<Row>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let opened = Device::wgpu_options().init_with_setup();
    if arguments.adapter && opened.is_err() {
        std::process::exit(3);
    }
    let (device, setup) = opened.context("no device for Burn's wgpu backend")?;
    let bridge = Bridge::new(&device, &setup);
    let adapter = tweedie::headless::Gpu::describe(&setup.adapter.get_info());
    println!("adapter: {adapter}");
    if arguments.adapter {
        return Ok(());
    }
    let mut setting = arguments.size.setting();
    setting.steps = arguments.steps.unwrap_or(setting.steps);
    std::fs::create_dir_all(&arguments.out)?;

    let each = arguments.size.each();
    let classes: Vec<i32> = (0..CLASSES).flat_map(|class| vec![class as i32; each]).collect();
    let bed = Bed::new(&bridge, classes)?;
    let mut report = bed.report(adapter, setting);
    println!(
        "classifier: {:.1}% of held-out pictures; energy distance of held-out pictures {:.4} (at most {:.4}), of noise {:.3}",
        100.0 * report.classifier,
        report.held_out[0],
        report.held_out[1],
        report.noise
    );
    let mut sheet = sheet::Sheet::new(each, &bed.held_out);
    for predicts in [Quantity::Epsilon, Quantity::X0, Quantity::V] {
        if arguments.predicts.as_ref().is_some_and(|only| *only != predicts.to_string()) {
            continue;
        }
        let network = trained(&bridge, predicts, setting, &arguments, &mut report)?;
        for (name, sampler) in samplers(predicts)? {
            let begun = Instant::now();
            let calls = sampler.calls().len();
            let samples = sampled(&bridge, &network, sampler, &bed.classes)?;
            let seconds = begun.elapsed().as_secs_f64();
            let energy = judge::energy(&samples, &bed.held_out);
            let accuracy = judge::accuracy(&bed.classifier, samples.clone(), &bed.classes, &device);
            println!(
                "{predicts}, {name}: {calls} calls, energy distance {energy:.4}, class accuracy {:.1}%, {seconds:.0} s",
                100.0 * accuracy
            );
            sheet.add(&samples);
            report.rows.push(Row {
                predicts: predicts.to_string(),
                sampler: name.to_owned(),
                calls,
                energy,
                accuracy,
                seconds,
            });
        }
    }
    sheet.save(&arguments.out.join("shapes.png"))?;
    std::fs::write(arguments.out.join("shapes.json"), serde_json::to_string_pretty(&report)? + "\n")?;
    println!("{}", arguments.out.join("shapes.png").display());
    Ok(())
}

/// The pictures and the classifier by which samples are judged.
struct Bed {
    classes: Vec<i32>,
    held_out: Vec<f32>,
    classifier: unet::Classifier,
    device: Device,
}

impl Bed {
    fn new(bridge: &Bridge, classes: Vec<i32>) -> anyhow::Result<Self> {
        let device = bridge.device().clone();
        device.seed(7);
        let classifier = judge::classifier(&device, CLASSIFIER_STEPS);
        let held_out = held_out(0, &classes);
        Ok(Self { classes, held_out, classifier, device })
    }

    fn report(&self, adapter: String, setting: Setting) -> Report {
        let others: Vec<f64> =
            (1..=8).map(|set| judge::energy(&held_out(set, &self.classes), &self.held_out)).collect();
        let count = self.held_out.len() as f32;
        let mean = self.held_out.iter().sum::<f32>() / count;
        let deviation = (self.held_out.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / count).sqrt();
        let noise = tweedie::NoiseKey::normals(5, 0, 0, self.held_out.len());
        let noise: Vec<f32> = noise.into_iter().map(|z| mean + deviation * z as f32).collect();
        let accuracy = |pixels: &[f32]| judge::accuracy(&self.classifier, pixels.to_vec(), &self.classes, &self.device);
        Report {
            adapter,
            fusion: cfg!(feature = "fusion"),
            setting,
            parameters: UNet::new(setting.width, TIMESTEPS, &self.device).num_params(),
            samples: self.classes.len(),
            guide: GUIDE,
            step_seconds: Vec::new(),
            losses: Vec::new(),
            plans_made: 0,
            plans_moved: 0,
            classifier: accuracy(&self.held_out),
            held_out: [others.iter().sum::<f64>() / 8.0, others.iter().copied().fold(f64::MIN, f64::max)],
            noise: judge::energy(&noise, &self.held_out),
            noise_accuracy: accuracy(&noise),
            rows: Vec::new(),
        }
    }
}

/// A set of held-out pictures of these classes.
fn held_out(set: u64, classes: &[i32]) -> Vec<f32> {
    let first = set * classes.len() as u64;
    classes.iter().zip(first..).flat_map(|(&class, index)| judge::HELD_OUT.of_class(index, class as usize)).collect()
}

/// Trains, or resumes a training that was stopped.
fn trained(
    bridge: &Bridge,
    predicts: Quantity,
    setting: Setting,
    arguments: &Arguments,
    report: &mut Report,
) -> anyhow::Result<UNet> {
    let folder = arguments.out.join(predicts.to_string());
    let mut run = Run::new(bridge, predicts, setting)?;
    if run.resume(&folder)? {
        println!("{predicts}: resumes at step {} from {}", run.step, folder.display());
    }
    let (begun, first) = (Instant::now(), run.step);
    let mut recent = Vec::new();
    while run.step < setting.steps {
        recent.push(run.step()?);
        if run.step.is_multiple_of(arguments.every) || run.step == setting.steps {
            // Only reading the losses waits for the GPU.
            let losses: Vec<f32> = Tensor::cat(std::mem::take(&mut recent), 0)
                .into_data()
                .convert::<f32>()
                .try_to_vec()
                .unwrap_or_default();
            let mean = losses.iter().sum::<f32>() / losses.len() as f32;
            let each = begun.elapsed().as_secs_f64() / f64::from(run.step - first);
            println!("{predicts}: step {}, loss {mean:.4}, {each:.3} s a step", run.step);
            run.save(&folder)?;
            if run.step == setting.steps {
                report.losses.push((predicts.to_string(), mean));
                report.step_seconds.push((predicts.to_string(), each));
            }
        }
    }
    report.plans_made += run.plans_made();
    report.plans_moved += run.plans_moved();
    Ok(run.network.valid())
}

/// The samplers by name, with their numbers of steps.
fn samplers(predicts: Quantity) -> anyhow::Result<[(&'static str, Sampler); 3]> {
    let schedule = train::schedule()?;
    let denoiser = Denoiser::new(predicts).clipped(Clip::Range(1.0));
    let grid = |steps| -> anyhow::Result<Grid> {
        let timesteps = Spacing::Trailing.timesteps(TIMESTEPS, steps)?;
        Ok(Grid::of_schedule(&schedule, &timesteps, NoiseLevel::CLEAN)?)
    };
    Ok([
        ("DDIM", Sampler::new(&FirstOrder::ddim(0.0), &grid(20)?, &denoiser)?),
        ("DDPM", Sampler::new(&Ddpm::new(Variance::FixedSmall), &grid(30)?, &denoiser)?),
        ("DPM-Solver++ 2M", Sampler::new(&DpmSolver::new(2), &grid(12)?, &denoiser)?),
    ])
}

/// Draws samples of these classes, pixel after pixel.
fn sampled(bridge: &Bridge, network: &UNet, sampler: Sampler, classes: &[i32]) -> anyhow::Result<Vec<f32>> {
    let device = bridge.device();
    let (count, none) = (classes.len(), vec![NO_CLASS as i32; classes.len()]);
    let class = train::words([classes, &none].concat(), device);
    let sampling = Sampling::new(bridge, sampler).guided(Guide::new(GUIDE));
    let mut run = sampling.start([count, 1, SIDE, SIDE], DType::F32, KEY)?;
    while let Some(call) = run.call() {
        let t = train::words(vec![call.timestep as i32; 2 * count], device);
        let x = Tensor::cat(vec![run.input(), run.input()], 0);
        let prediction = network.forward(x, t, class.clone());
        run.step(prediction)?;
    }
    let pixels: Vec<f32> = run.finish().into_data().convert::<f32>().try_to_vec().unwrap_or_default();
    anyhow::ensure!(pixels.len() == count * PIXELS, "expected {} pixels, found {}", count * PIXELS, pixels.len());
    Ok(pixels)
}
