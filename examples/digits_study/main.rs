//! The study of the three networks for handwritten digits: their digits, measured against real ones.
//!
//! ```text
//! cargo run --release --example digits_study -- measure --out NAME.json
//! cargo run --release --example digits_study -- measure --solvers dpm++ --calls 32 --guidance 1,2,3 --clipping on
//! cargo run --release --example digits_study -- draw NAME.json --levels examples/digits/results/2026-11-30_cpu.json
//! ```
//!
//! The networks run on the adapter, the classifier and the distances on the host. Exit code 0: done, 1: a file, a setting or the
//! device failed, 2: a usage error, 3: no adapter.

mod classifier;
mod distances;
mod drawing;
mod held_out;
mod options;
mod results;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use classifier::{CLASSES, Classifier};
use digits::{Generation, Kernels, SamplerRequest, Weights};
use drawing::Levels;
use held_out::{Halves, HeldOut};
use options::{Clipping, Command, Draw, Measure, Options};
use results::{Results, Row};
use std::process::ExitCode;
use std::time::{Instant, SystemTime};
use tweedie::headless::{Gpu, HeadlessError};
use tweedie::{Context, NoiseKey, Quantity, Sampler};

/// Digits that are generated at once.
const BATCH: usize = 64;
/// Clean samples are clipped to `-1..=1`, the range of pictures.
const RANGE: f64 = 1.0;

fn main() -> ExitCode {
    let done = match Options::parse().command {
        Command::Measure(options) => measure(&options),
        Command::Draw(options) => draw(&options),
    };
    let Err(error) = done else { return ExitCode::SUCCESS };
    eprintln!("digits_study: {error:#}");
    let no_adapter = matches!(error.downcast_ref(), Some(HeadlessError::NoAdapter));
    ExitCode::from(if no_adapter { 3 } else { 1 })
}

/// One setting.
struct Setting<'a> {
    weights: &'a Weights,
    sampler: Sampler,
    /// The row without its results.
    row: Row,
}

/// The device, the classifier and the real digits of a study.
struct Study<'a> {
    gpu: &'a Gpu,
    context: Context,
    kernels: Kernels,
    classifier: Classifier,
    halves: Halves,
    labels: Vec<u32>,
    key: NoiseKey,
}

fn measure(options: &Measure) -> Result<()> {
    let classifier = Classifier::trained()?;
    let halves = HeldOut::read()?.halves(&classifier);
    let (samples, most) = (usize::from(options.samples), halves.most_samples());
    ensure!(
        samples <= most,
        "--samples: expected at most {most}, the number of real digits to compare with, found {samples}"
    );
    let weights: Vec<Weights> = options.predicts.iter().map(|name| trained(name)).collect::<Result<_>>()?;
    let settings = settings(options, &weights)?;
    if let Some(folder) = options.out.parent() {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    files::atomic::check_destination(&options.out)?;
    let gpu = pollster::block_on(Gpu::open(options.adapter.as_deref()))?;
    let labels: Vec<u32> = (0..u32::from(options.samples)).map(|i| i % CLASSES as u32).collect();
    let floor = halves.floor(&labels, options.seed);
    let mut results = Results {
        adapter: Gpu::describe(&gpu.info).to_string(),
        date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        samples,
        seed: options.seed,
        spacing: "trailing".to_owned(),
        classifier_accuracy: halves.accuracy,
        floor: floor.into(),
        rows: Vec::new(),
    };
    println!("{}", results.adapter);
    println!("the classifier recognises {:.1} % of the held-out digits", 100.0 * halves.accuracy);
    for (name, floor) in [("energy", floor.energy), ("Frechet", floor.frechet)] {
        println!("{name} distance of {samples} real digits: {:.4} +- {:.4}", floor.mean, floor.deviation);
    }
    let (context, kernels) = (Context::new(&gpu.device), Kernels::new(&gpu.device)?);
    let study = Study { gpu: &gpu, context, kernels, classifier, halves, labels, key: NoiseKey::seed(options.seed) };
    for (index, setting) in settings.iter().enumerate() {
        let row = study.row(setting)?;
        println!(
            "{}/{} {} {} {} calls, guidance {}, {}: energy {:.4} ({:.2} floors), Frechet {:.3}, accuracy {:.1} %, {:.1} s",
            index + 1,
            settings.len(),
            row.predicts,
            row.solver,
            row.calls_made,
            row.guidance,
            if row.clipped { "clipped" } else { "not clipped" },
            row.energy,
            row.energy / floor.energy.mean,
            row.frechet,
            100.0 * row.accuracy,
            row.seconds,
        );
        results.rows.push(row);
        results.write(&options.out)?;
    }
    println!("-> {}", options.out.display());
    Ok(())
}

fn trained(name: &str) -> Result<Weights> {
    Ok(Weights::trained(name.parse::<Quantity>()?)?)
}

/// All combinations, with the clipping as the outermost loop. All samplers are made before anything is generated.
fn settings<'a>(options: &Measure, weights: &'a [Weights]) -> Result<Vec<Setting<'a>>> {
    let mut settings = Vec::new();
    for clipping in &options.clipping {
        for &guidance in &options.guidance {
            for weights in weights {
                let model = digits::model(weights.prediction())?;
                for solver in &options.solvers {
                    for &calls in &options.calls {
                        let calls = usize::from(calls);
                        let named = || format!("--solvers {solver} --calls {calls}");
                        let sampler = digits::sampler(&model, solver, calls).with_context(named)?;
                        let clipped = *clipping == Clipping::On;
                        let sampler = if clipped { sampler.clipped(RANGE).with_context(named)? } else { sampler };
                        let row = Row {
                            predicts: weights.prediction().name().to_owned(),
                            solver: Sampler::CATALOGUE.find(solver)?.name.to_owned(),
                            calls,
                            calls_made: sampler.calls().len(),
                            guidance,
                            clipped,
                            energy: f64::NAN,
                            frechet: f64::NAN,
                            accuracy: f64::NAN,
                            seconds: 0.0,
                        };
                        settings.push(Setting { weights, sampler, row });
                    }
                }
            }
        }
    }
    Ok(settings)
}

impl Study<'_> {
    /// Generates the digits of a setting and measures them.
    fn row(&self, setting: &Setting<'_>) -> Result<Row> {
        let begun = Instant::now();
        let mut pictures = Vec::new();
        for (batch, labels) in self.labels.chunks(BATCH).enumerate() {
            pictures.extend(self.generated(setting, labels, (batch * BATCH) as u64)?);
        }
        let seconds = begun.elapsed().as_secs_f64();
        let Row { predicts, solver, calls, .. } = &setting.row;
        ensure!(
            pictures.iter().all(|x| x.is_finite()),
            "{predicts} with {solver} in {calls} calls: expected finite pixels, found others"
        );
        // The range of a picture file.
        pictures.iter_mut().for_each(|x| *x = x.clamp(-1.0, 1.0));
        let judged = self.classifier.judge(&pictures);
        let right = judged.iter().zip(&self.labels).filter(|(it, label)| it.class() == **label as usize).count();
        let features: Vec<_> = judged.iter().map(|it| it.features).collect();
        Ok(Row {
            energy: self.halves.reference.energy(&features),
            frechet: self.halves.reference.frechet(&features),
            accuracy: right as f64 / judged.len() as f64,
            seconds,
            ..setting.row.clone()
        })
    }

    /// Generates the digits of a batch, with a submit for each call, so that a slow device is not blocked for the whole loop.
    fn generated(&self, setting: &Setting<'_>, labels: &[u32], first_sample: u64) -> Result<Vec<f32>> {
        let key = NoiseKey { first_sample, ..self.key };
        let request = SamplerRequest { labels, sampler: &setting.sampler, guidance: setting.row.guidance, key };
        let generation = Generation::of_sampler(&self.context, &self.kernels, setting.weights, &request)?;
        for call in 0..generation.calls() {
            self.gpu.submit(|encoder| {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                if call == 0 {
                    generation.record_start(&mut pass)?;
                }
                generation.record_call(&mut pass, call)
            })??;
        }
        let bytes = pollster::block_on(self.gpu.download(generation.pictures(), 0..generation.pictures().size()))?;
        Ok(bytemuck::pod_collect_to_vec(&bytes))
    }
}

fn draw(options: &Draw) -> Result<()> {
    let studies = options.study.iter().map(|path| Results::read(path)).collect::<Result<Vec<_>>>()?;
    let levels = options.levels.as_deref().map(Levels::read).transpose()?;
    let levels = levels.map(|levels| levels.draw()).transpose()?;
    let pictures = [("digits_study.svg", Some(drawing::distances(&studies)?)), ("digits_levels.svg", levels)];
    std::fs::create_dir_all(&options.out).with_context(|| options.out.display().to_string())?;
    for (name, svg) in pictures {
        if let Some(svg) = svg {
            let path = options.out.join(name);
            files::atomic::write(&path, svg.as_bytes())?;
            println!("-> {}", path.display());
        }
    }
    Ok(())
}
