//! `tweedie demo`: the algebra on a picture, checked, timed and drawn.

use crate::engine::{Adapter, ComputeArgs, On, front_failure, gpu_failure, plan_failure};
use crate::filmstrip::{Caption, Filmstrip, Row};
use crate::progress::Progress;
use crate::report::{Failure, Outcome, say};
use crate::schedule_args::ScheduleArgs;
use anyhow::{Context as _, anyhow};
use files::{Picture, picture};
use pictures::test_card::test_card;
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;
use tweedie::gpu::compare::{Comparison, Exact};
use tweedie::gpu::map::reference;
use tweedie::gpu::{At, Drawn, Map, MapPlan, NoiseKey, Second, Timesteps};
use tweedie::headless::describe;
use tweedie::table::Table;
use tweedie::{Conversion, Diffusion, Holes, Noising, Quantity, Shape, Tensor};

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

/// What one parameterization gives: a picture and its error, a column each.
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
        let diffusion = Diffusion::new(self.schedule.build()?);
        let original = match &self.image {
            Some(path) => Picture::open(path, WIDTH, HEIGHT)?,
            None => test_card(WIDTH, HEIGHT),
        };
        let adapter = Adapter::open(self.compute.adapter.as_deref(), self.compute.storage)?;
        std::fs::create_dir_all(&self.out).with_context(|| self.out.display().to_string())?;
        let mut show = Show::new(&adapter, &diffusion, &original, self);
        let x_t = show.noised()?;
        let mut rows = Vec::new();
        let mut progress = Progress::new("demo", PARAMETERIZATIONS.len() as u64);
        for quantity in PARAMETERIZATIONS {
            rows.push(show.recover(quantity)?);
            progress.advance(1);
        }
        drop(progress);
        let Show { lines, times, .. } = show;
        let path = self.out.join("filmstrip.png");
        picture::save_png(&self.filmstrip(&diffusion, &original, &times, x_t, &rows).render()?, &path)?;
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
        diffusion: &Diffusion,
        original: &Picture,
        times: &[u32],
        x_t: Vec<Picture>,
        rows: &[Recovered],
    ) -> Filmstrip {
        let levels = diffusion.schedule().levels();
        let column_labels =
            times.iter().map(|&t| format!("t = {t}\n{}", snr_label(levels[t as usize].snr()))).collect();
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
    adapter: &'a Adapter,
    diffusion: &'a Diffusion,
    original: &'a Picture,
    error: f64,
    key: NoiseKey,
    shape: Shape,
    times: Vec<u32>,
    /// One sample, which every sample of the batch reads.
    x0: wgpu::Buffer,
    t: wgpu::Buffer,
    x_t: wgpu::Buffer,
    /// What the reference is computed from: the picture as it is stored, once for each sample, and the noise in f64.
    x0_exact: Vec<f64>,
    noise_exact: Vec<f64>,
    lines: Vec<Line>,
}

impl<'a> Show<'a> {
    fn new(adapter: &'a Adapter, diffusion: &'a Diffusion, original: &'a Picture, demo: &Demo) -> Self {
        let last = (diffusion.schedule().len() - 1) as f64;
        let times: Vec<u32> = COLUMNS.iter().map(|part| (part * last).round() as u32).collect();
        let shape = Shape::new(times.len() as u32, original.data.len() as u32);
        let stored = adapter.storage.decode(&adapter.storage.encode(&original.data));
        let one: Vec<f64> = stored.into_iter().take(original.data.len()).map(f64::from).collect();
        let key = NoiseKey::seed(demo.seed);
        Self {
            adapter,
            diffusion,
            original,
            error: demo.error,
            key,
            x0_exact: one.repeat(times.len()),
            noise_exact: key.reference(times.len(), original.data.len()),
            shape,
            x0: adapter.upload("demo::x0", &original.data),
            t: adapter.gpu.upload("demo::t", bytemuck::cast_slice(&times)),
            x_t: adapter.buffer("demo::x_t", shape.total()),
            times,
            lines: Vec::new(),
        }
    }

    fn picture_of_every_sample(&self) -> Tensor<'_> {
        self.adapter.tensor(&self.x0).stride(0)
    }

    /// x_t alone, from noise that is drawn in the kernel.
    fn noised(&mut self) -> Outcome<Vec<Picture>> {
        let plan = self.diffusion.noising(
            &self.adapter.context,
            &Noising {
                shape: self.shape,
                timesteps: Timesteps::per_sample(&self.t),
                x0: self.picture_of_every_sample(),
                epsilon: Second::Drawn(Drawn::new(self.key)),
                first: (Quantity::Xt, self.adapter.tensor(&self.x_t)),
                second: None,
            },
        );
        let seconds = self.time(&plan.map_err(front_failure)?)?;
        let table = self.diffusion.schedule().noising(None).map_err(anyhow::Error::from)?;
        let [exact, _] = self.reference(&table, &self.x0_exact, &self.noise_exact);
        let found = self.read(&self.x_t)?;
        self.line("x_t, noise drawn".into(), seconds, (0, 1), &[(&found, &exact, 1.0)]);
        self.pictures(&found)
    }

    /// One parameterization: its target, a prediction that errs, and what comes back.
    fn recover(&mut self, quantity: Quantity) -> Outcome<Recovered> {
        let adapter = self.adapter;
        let [target, prediction, x0, epsilon] =
            ["demo::target", "demo::prediction", "demo::x0_from", "demo::epsilon_from"]
                .map(|label| adapter.buffer(label, self.shape.total()));

        // The training pair: one dispatch, noise drawn and never stored.
        let pair = self.diffusion.noising(
            &adapter.context,
            &Noising {
                shape: self.shape,
                timesteps: Timesteps::per_sample(&self.t),
                x0: self.picture_of_every_sample(),
                epsilon: Second::Drawn(Drawn::new(self.key)),
                first: (Quantity::Xt, adapter.tensor(&self.x_t)),
                second: Some((quantity, adapter.tensor(&target))),
            },
        );
        let seconds = self.time(&pair.map_err(front_failure)?)?;
        let schedule = self.diffusion.schedule();
        let table = schedule.noising(Some(quantity)).map_err(anyhow::Error::from)?;
        let [x_t_exact, target_exact] = self.reference(&table, &self.x0_exact, &self.noise_exact);
        let (x_t, target_found) = (self.read(&self.x_t)?, self.read(&target)?);
        let outputs = [(&x_t[..], &x_t_exact[..], 1.0), (&target_found[..], &target_exact[..], 1.0)];
        self.line(format!("x_t and {quantity} target, noise drawn"), seconds, (0, 2), &outputs);

        // A prediction: the target and an error of the same relative size for all. It is one more map: a row (1, size) for
        // each sample.
        let elements = self.original.data.len();
        let sizes = target_found.chunks(elements).map(|sample| self.error * root_mean_square(sample));
        let errs = Table::new(sizes.map(|size| [[1.0, size], [0.0, 0.0]]));
        let rows: Vec<u32> = (0..self.shape.batch).collect();
        let rows_buffer = adapter.gpu.upload("demo::rows", bytemuck::cast_slice(&rows));
        let place = Quantity::ALL.iter().position(|known| *known == quantity).unwrap_or(0);
        let error_key = self.key.stream(1 + place as u32);
        let err = MapPlan::new(
            &adapter.context,
            &Map {
                table: &errs,
                shape: self.shape,
                timesteps: Timesteps::per_sample(&rows_buffer),
                in0: Some(adapter.tensor(&target)),
                in1: Second::Drawn(Drawn::new(error_key)),
                out0: adapter.tensor(&prediction),
                out1: None,
            },
        );
        adapter.run(&err.map_err(plan_failure)?, At::per_sample())?;
        let predicted = self.read(&prediction)?;

        // Back: x0 and epsilon from x_t and the prediction, in one dispatch. Epsilon says nothing about the picture where
        // there is none left (zero terminal SNR), and NaN is the honest answer.
        let conversion = self.diffusion.conversion(
            &adapter.context,
            &Conversion {
                shape: self.shape,
                timesteps: Timesteps::per_sample(&self.t),
                x_t: adapter.tensor(&self.x_t),
                prediction: (quantity, adapter.tensor(&prediction)),
                first: (Quantity::X0, adapter.tensor(&x0)),
                second: Some((Quantity::Epsilon, adapter.tensor(&epsilon))),
                holes: Holes::Nan,
            },
        );
        let seconds = self.time(&conversion.map_err(front_failure)?)?;
        let table = schedule.conversion_where_defined(quantity, Quantity::X0, Some(Quantity::Epsilon));
        let wide = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
        let [x0_exact, epsilon_exact] = self.reference(&table, &wide(&x_t), &wide(&predicted));
        let (x0_found, epsilon_found) = (self.read(&x0)?, self.read(&epsilon)?);
        let outputs = [(&x0_found[..], &x0_exact[..], 0.0), (&epsilon_found[..], &epsilon_exact[..], 0.0)];
        self.line(format!("{quantity} to x0 and epsilon"), seconds, (2, 2), &outputs);

        let pictures = self.pictures(&x0_found)?;
        let errors = x0_found.chunks(elements).map(|sample| difference(sample, &self.original.data)).collect();
        Ok(Recovered { quantity, pictures, errors })
    }

    fn reference(&self, table: &Table, in0: &[f64], in1: &[f64]) -> [Vec<Exact>; 2] {
        reference(table, &self.times, self.original.data.len(), in0, in1)
    }

    fn read(&self, buffer: &wgpu::Buffer) -> Outcome<Vec<f32>> {
        let mut values = self.adapter.storage.decode(&self.adapter.download(buffer, self.shape.total())?);
        values.truncate(self.shape.total() as usize);
        Ok(values)
    }

    fn pictures(&self, values: &[f32]) -> Outcome<Vec<Picture>> {
        let Picture { width, height, data, .. } = self.original;
        let pictures = values.chunks(data.len()).map(|sample| Picture::from_planar(*width, *height, sample.to_vec()));
        Ok(pictures.collect::<anyhow::Result<_>>()?)
    }

    /// Seconds of one recording: the median of several submits of several recordings each, after one to warm up.
    fn time(&self, plan: &MapPlan) -> Outcome<f64> {
        self.adapter.run(plan, At::per_sample())?;
        let mut seconds = Vec::with_capacity(SUBMITS);
        for _ in 0..SUBMITS {
            let begun = Instant::now();
            let recorded = self.adapter.gpu.submit(|encoder| {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                (0..RECORDINGS).try_for_each(|_| plan.record(&mut pass, At::per_sample()))
            });
            recorded.map_err(gpu_failure)?.map_err(|error| Failure::gpu(anyhow!(error)))?;
            seconds.push(begun.elapsed().as_secs_f64() / f64::from(RECORDINGS));
        }
        seconds.sort_by(f64::total_cmp);
        Ok(seconds[SUBMITS / 2])
    }

    /// Adds a line: outputs with their references and the coefficient of drawn noise in them; tensors read and written.
    fn line(&mut self, op: String, seconds: f64, (read, written): (u64, u64), outputs: &[(&[f32], &[Exact], f64)]) {
        let storage = self.adapter.storage;
        let mut total = Comparison::new(storage);
        for (found, exact, noise) in outputs {
            let mut comparison = Comparison::new(storage).with_noise(*noise);
            comparison.add_all(found, exact);
            total.merge(&comparison);
        }
        // The picture is read once for the whole batch, so it hardly counts.
        let picture = if read == 0 { self.original.data.len() as u64 } else { 0 };
        let bytes = ((read + written) * self.shape.total() + picture) * storage.bytes();
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
    let squares = a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
    (squares.sum::<f64>() / a.len() as f64).sqrt()
}

fn root_mean_square(values: &[f32]) -> f64 {
    (values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
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
        assert_eq!(root_mean_square(&[3.0, -3.0]), 3.0);
    }
}
