//! `tweedie demo`: the algebra on a picture, checked, timed and drawn.

use crate::batch::{Batch, Held};
use crate::engine::{Adapter, ComputeArgs, On, gpu_failure};
use crate::filmstrip::{Caption, Filmstrip, Row};
use crate::progress::Progress;
use crate::report::{Failure, Outcome, say};
use crate::schedule_args::ScheduleArgs;
use crate::study::measurement::{differences, root_mean_square};
use anyhow::{Context as _, anyhow};
use files::{Picture, picture};
use pictures::test_card::test_card;
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;
use tweedie::gpu::compare::{Comparison, Expected};
use tweedie::gpu::map::reference;
use tweedie::gpu::{NoiseKey, Plan, Recording};
use tweedie::headless::describe;
use tweedie::math::NoiseLevel;
use tweedie::table::Table;
use tweedie::{Quantity, Schedule};

/// Noise a picture, predict, and recover it: the three parameterizations side by side
///
/// Noises a picture on the GPU at timesteps from almost clean to almost pure noise, builds the training target of each
/// parameterization, lets each prediction err by the same relative amount, converts it back to a picture, checks every
/// step against the f64 reference, prints errors and throughput, and draws it all as DIR/filmstrip.png.
#[derive(clap::Args, Clone, Debug)]
pub struct Demo {
    /// A PNG or JPEG of any size [default: a generated one]
    #[arg(value_name = "IMAGE")]
    image: Option<PathBuf>,

    /// The folder for the results; it is made if it does not exist
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,

    /// The relative error of each prediction: noise of this size against the root mean square of what is predicted
    #[arg(long, value_name = "E", default_value_t = 0.25, allow_negative_numbers = true)]
    error: f64,

    /// The seed of the noise
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    #[command(flatten)]
    schedule: ScheduleArgs,

    #[command(flatten)]
    compute: ComputeArgs,
}

/// The box that a picture is fitted into: large enough to look at, small enough for ten seconds on two cores.
const WIDTH: u32 = 256;
const HEIGHT: u32 = 192;

/// The timesteps of the columns, as fractions of T - 1.
const COLUMNS: [f64; 8] = [0.0, 0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 1.0];

/// Recordings in one timed submit, and how many submits are timed.
const RECORDINGS: u32 = 4;
const SUBMITS: usize = 5;

const PARAMETERIZATIONS: [Quantity; 3] = [Quantity::Epsilon, Quantity::X0, Quantity::V];

/// One line of the table.
struct Line {
    op: String,
    comparison: Comparison,
    seconds: f64,
    bytes: u64,
}

/// Recovered pictures and errors of one parameterization, a column each.
struct Recovered {
    quantity: Quantity,
    pictures: Vec<Picture>,
    errors: Vec<f64>,
}

impl Demo {
    pub fn run(&self, json: bool) -> Outcome {
        if self.compute.on == On::Cpu {
            return Err(anyhow!("the demo shows the GPU; --on cpu is for noise, convert and posterior").into());
        }
        if !(0.0..=10.0).contains(&self.error) {
            return Err(anyhow!("--error: expected a number from 0 to 10, found {}", self.error).into());
        }
        let begun = Instant::now();
        let schedule = self.schedule.build()?;
        let last = (schedule.len() - 1) as f64;
        let times = COLUMNS.map(|part| (part * last).round() as u32);
        let levels = times.map(|t| schedule.levels()[t as usize]);
        let original = match &self.image {
            Some(path) => Picture::open(path, WIDTH, HEIGHT)?,
            None => test_card(WIDTH, HEIGHT),
        };
        let adapter = Adapter::open(self.compute.adapter.as_deref(), self.compute.storage)?;
        std::fs::create_dir_all(&self.out).with_context(|| self.out.display().to_string())?;
        let mut show = Show::new(&adapter, &levels, &original, self)?;
        let x_t = show.noised()?;
        let mut rows = Vec::new();
        let mut progress = Progress::new("demo", PARAMETERIZATIONS.len() as u64);
        for quantity in PARAMETERIZATIONS {
            rows.push(show.recover(quantity)?);
            progress.advance(1);
        }
        drop(progress);
        let lines = show.lines;
        let path = self.out.join("filmstrip.png");
        picture::save_png(&self.filmstrip(&levels, &original, &times, x_t, &rows).render()?, &path)?;
        let seconds = begun.elapsed().as_secs_f64();
        if json {
            for line in &lines {
                say(object(&adapter, line))?;
            }
            say(json!({ "filmstrip": path.display().to_string(), "seconds": seconds }))?;
        } else {
            self.print(&adapter, &original, &lines, &rows, &times)?;
            say(format_args!("-> {} ({seconds:.1} s in all)", path.display()))?;
        }
        let failed = lines.iter().filter(|line| !line.comparison.passes()).count();
        if failed > 0 {
            return Err(Failure::check(anyhow!("{failed} of {} checks are out of their bound", lines.len())));
        }
        Ok(())
    }

    fn filmstrip(
        &self,
        levels: &[NoiseLevel],
        original: &Picture,
        times: &[u32],
        x_t: Vec<Picture>,
        rows: &[Recovered],
    ) -> Filmstrip {
        let column_labels =
            times.iter().zip(levels).map(|(t, level)| format!("t = {t}\n{}", snr_label(level.snr()))).collect();
        let noisy_errors: Vec<f64> = x_t.iter().map(|picture| difference(&picture.data, &original.data)).collect();
        let noisy = Row {
            label: "x_t\nthe noisy picture".into(),
            captions: noisy_errors.iter().map(|&error| caption(error, false)).collect(),
            pictures: x_t,
        };
        // A prediction that gives a worse picture than the noisy one it was made from has failed there.
        let recovered = rows.iter().map(|row| Row {
            label: format!("x_0 from {}\n{}", symbol(row.quantity), remark(row.quantity)),
            pictures: row.pictures.clone(),
            captions: row
                .errors
                .iter()
                .zip(&noisy_errors)
                .map(|(&error, before)| caption(error, error > *before))
                .collect(),
        });
        Filmstrip {
            title: "One picture, three parameterizations".into(),
            subtitle: format!(
                "Each prediction carries the same relative error of {:.0}%. What it costs depends on what is predicted, and when.",
                self.error * 100.0
            ),
            column_labels,
            rows: std::iter::once(noisy).chain(recovered).collect(),
        }
    }

    fn print(
        &self,
        adapter: &Adapter,
        original: &Picture,
        lines: &[Line],
        rows: &[Recovered],
        times: &[u32],
    ) -> Outcome {
        let Picture { width, height, .. } = original;
        say(format_args!("{}", describe(&adapter.gpu.info)))?;
        let storage = adapter.storage;
        say(format_args!("{width} x {height} picture at {} timesteps, {storage}, seed {}", times.len(), self.seed))?;
        say(format_args!("\n{:<34} {:>9} {:>8} {:>9} {:>8}", "op", "of bound", "ULP", "ms", "GB/s"))?;
        for line in lines {
            let verdict = if line.comparison.passes() { "" } else { "  FAILED" };
            say(format_args!(
                "{:<34} {:>9.3} {:>8.2} {:>9.3} {:>8.2}{verdict}",
                line.op,
                line.comparison.worst_bound,
                line.comparison.worst_ulps,
                line.seconds * 1e3,
                line.bytes as f64 / line.seconds / 1e9,
            ))?;
        }
        say(format_args!(
            "\nerror of the recovered picture (rms), from predictions that are {}% off:",
            self.error * 100.0
        ))?;
        say(format_args!("{:<10}{}", "t", times.iter().map(|t| format!("{t:>9}")).collect::<String>()))?;
        for row in rows {
            let errors: String = row.errors.iter().map(|error| format!("{error:>9.3}")).collect();
            say(format_args!("{:<10}{errors}", row.quantity.name()))?;
        }
        Ok(())
    }
}

/// The work on the GPU: the picture once, a sample for each column.
struct Show<'a> {
    batch: Batch<'a>,
    original: &'a Picture,
    error: f64,
    /// Inputs of the reference: the picture as it is stored, once for each sample, and the noise in f64.
    x0_exact: Vec<f64>,
    noise_exact: Vec<f64>,
    lines: Vec<Line>,
}

impl<'a> Show<'a> {
    fn new(adapter: &'a Adapter, levels: &[NoiseLevel], original: &'a Picture, demo: &Demo) -> Outcome<Self> {
        let elements = original.data.len();
        let key = NoiseKey::seed(demo.seed);
        let stored = adapter.storage.decode(&adapter.storage.encode(&original.data));
        let one: Vec<f64> = stored.into_iter().take(elements).map(f64::from).collect();
        Ok(Self {
            batch: Batch::new(adapter, &original.data, levels, key)?,
            original,
            error: demo.error,
            x0_exact: one.repeat(levels.len()),
            noise_exact: key.reference(levels.len(), elements),
            lines: Vec::new(),
        })
    }

    /// x_t alone, from noise that is drawn in the kernel.
    fn noised(&mut self) -> Outcome<Vec<Picture>> {
        let seconds = self.noise(None)?;
        let table = self.schedule().noising(None).map_err(anyhow::Error::from)?;
        let [exact, _] = self.reference(&table, &self.x0_exact, &self.noise_exact);
        let found = self.batch.read(&self.batch.x_t)?;
        self.line("x_t, noise drawn".into(), seconds, (0, 1), &[(&found, &exact, 1.0)]);
        self.pictures(&found)
    }

    /// Writes x_t and perhaps a target, and returns the seconds that it took.
    fn noise(&self, target: Option<Held<'_>>) -> Outcome<f64> {
        let plan = self.batch.noising(None, target)?;
        self.time(&plan.ok_or_else(|| Failure::input(anyhow!("the target does not exist at every timestep")))?)
    }

    /// One parameterization: its target, a prediction that errs, and the recovered picture.
    fn recover(&mut self, quantity: Quantity) -> Outcome<Recovered> {
        let [target, prediction, x0, epsilon] =
            ["demo::target", "demo::prediction", "demo::x0_from", "demo::epsilon_from"]
                .map(|label| self.batch.buffer(label));

        // The training pair: one dispatch, noise drawn and never stored.
        let seconds = self.noise(Some((quantity, &target)))?;
        let table = self.schedule().noising(Some(quantity)).map_err(anyhow::Error::from)?;
        let [x_t_exact, target_exact] = self.reference(&table, &self.x0_exact, &self.noise_exact);
        let (x_t, target_found) = (self.batch.read(&self.batch.x_t)?, self.batch.read(&target)?);
        let outputs = [(&x_t[..], &x_t_exact[..], 1.0), (&target_found[..], &target_exact[..], 1.0)];
        self.line(format!("x_t and {quantity} target, noise drawn"), seconds, (0, 2), &outputs);

        // The prediction errs by the same relative size for every parameterization.
        let elements = self.original.data.len();
        let size = |sample: &[f32]| self.error * root_mean_square(sample.iter().map(|&value| f64::from(value)));
        let sizes: Vec<f64> = target_found.chunks(elements).map(size).collect();
        let place = Quantity::ALL.iter().position(|known| *known == quantity).unwrap_or(0);
        self.batch.predict(&sizes, [&target, &prediction], self.batch.key.stream(1 + place as u32))?;
        let predicted = self.batch.read(&prediction)?;

        // Back: x0 and epsilon from x_t and the prediction, in one dispatch. Epsilon says nothing about the picture where
        // there is none left (zero terminal SNR), and NaN is the honest answer.
        let wanted = [(Quantity::X0, &x0), (Quantity::Epsilon, &epsilon)];
        let seconds = self.time(&self.batch.conversion((quantity, &prediction), &wanted)?)?;
        let table = self.schedule().conversion_where_defined(quantity, Quantity::X0, Some(Quantity::Epsilon));
        let wide = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
        let [x0_exact, epsilon_exact] = self.reference(&table, &wide(&x_t), &wide(&predicted));
        let (x0_found, epsilon_found) = (self.batch.read(&x0)?, self.batch.read(&epsilon)?);
        let outputs = [(&x0_found[..], &x0_exact[..], 0.0), (&epsilon_found[..], &epsilon_exact[..], 0.0)];
        self.line(format!("{quantity} to x0 and epsilon"), seconds, (2, 2), &outputs);

        let pictures = self.pictures(&x0_found)?;
        let errors = x0_found.chunks(elements).map(|sample| difference(sample, &self.original.data)).collect();
        Ok(Recovered { quantity, pictures, errors })
    }

    fn schedule(&self) -> &Schedule {
        &self.batch.schedule
    }

    fn reference(&self, table: &Table, in0: &[f64], in1: &[f64]) -> [Vec<Expected>; 2] {
        reference(table, &self.batch.levels, self.original.data.len(), in0, in1)
    }

    fn pictures(&self, values: &[f32]) -> Outcome<Vec<Picture>> {
        let Picture { width, height, data, .. } = self.original;
        let pictures = values.chunks(data.len()).map(|sample| Picture::from_planar(*width, *height, sample.to_vec()));
        Ok(pictures.collect::<anyhow::Result<_>>()?)
    }

    /// Seconds of one recording: the median of several submits of several recordings each, after one to warm up.
    fn time(&self, plan: &Plan) -> Outcome<f64> {
        self.batch.run(plan)?;
        let mut seconds = Vec::with_capacity(SUBMITS);
        for _ in 0..SUBMITS {
            let begun = Instant::now();
            let recorded = self.batch.adapter.gpu.submit(|encoder| {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                (0..RECORDINGS).try_for_each(|_| plan.record(&mut pass, Recording::per_sample()))
            });
            recorded.map_err(gpu_failure)?.map_err(|error| Failure::gpu(anyhow!(error)))?;
            seconds.push(begun.elapsed().as_secs_f64() / f64::from(RECORDINGS));
        }
        seconds.sort_by(f64::total_cmp);
        Ok(seconds[SUBMITS / 2])
    }

    /// Adds a line: outputs with their references and the coefficient of drawn noise in them; tensors read and written.
    fn line(&mut self, op: String, seconds: f64, (read, written): (u64, u64), outputs: &[(&[f32], &[Expected], f64)]) {
        let storage = self.batch.adapter.storage;
        let mut total = Comparison::new(storage);
        for (found, exact, noise) in outputs {
            let mut comparison = Comparison::new(storage).with_noise(*noise);
            comparison.add_all(found, exact);
            total.merge(&comparison);
        }
        // The picture is read once for the whole batch, so it hardly counts.
        let picture = if read == 0 { self.original.data.len() as u64 } else { 0 };
        let bytes = ((read + written) * self.batch.shape.total() + picture) * storage.bytes();
        self.lines.push(Line { op, comparison: total, seconds, bytes });
    }
}

fn object(adapter: &Adapter, line: &Line) -> serde_json::Value {
    json!({
        "adapter": describe(&adapter.gpu.info),
        "op": line.op,
        "storage": adapter.storage.name(),
        "of_bound": line.comparison.worst_bound,
        "ulps": line.comparison.worst_ulps,
        "passed": line.comparison.passes(),
        "ms": line.seconds * 1e3,
        "gbps": line.bytes as f64 / line.seconds / 1e9,
    })
}

fn symbol(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Epsilon => "ε",
        Quantity::X0 => "x_0",
        Quantity::V => "v",
        other => other.name(),
    }
}

fn remark(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Epsilon => "fails at high noise",
        Quantity::X0 => "wasteful at low noise",
        Quantity::V => "balanced throughout",
        _ => "",
    }
}

fn snr_label(snr: f64) -> String {
    if snr == 0.0 {
        return "pure noise".into();
    }
    // Two significant digits, without an exponent.
    let decimals = (1.0 - snr.log10().floor()).clamp(0.0, 9.0) as usize;
    format!("snr {snr:.decimals$}")
}

fn caption(error: f64, worse: bool) -> Caption {
    match (error.is_nan(), worse) {
        (true, _) => Caption { text: "undefined".into(), alarming: true },
        (_, true) => Caption { text: format!("rms error {error:.2}: worse than x_t"), alarming: true },
        _ => Caption { text: format!("rms error {error:.2}"), alarming: false },
    }
}

fn difference(a: &[f32], b: &[f32]) -> f64 {
    root_mean_square(differences(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_are_honest_about_nothing() {
        assert_eq!(caption(f64::NAN, false).text, "undefined");
        assert_eq!(caption(0.123, false).text, "rms error 0.12");
        assert!(caption(0.123, true).alarming);
        assert_eq!(snr_label(32.3), "snr 32");
        assert_eq!(snr_label(0.000_404), "snr 0.00040");
        assert_eq!(snr_label(0.0), "pure noise");
    }

    #[test]
    fn differences_are_root_mean_squares() {
        assert_eq!(difference(&[1.0, 2.0], &[1.0, 0.0]), 2f64.sqrt());
    }
}
