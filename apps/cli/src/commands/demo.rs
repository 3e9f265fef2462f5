//! `tweedie demo`: the ops on a picture, checked, timed and drawn.

use crate::demo_engine::{Line, Recovered, Show, difference};
use crate::digit_sheet;
use crate::engine::{Adapter, ComputeArgs, On};
use crate::filmstrip::{Caption, Filmstrip, Row};
use crate::model_args::ModelArgs;
use crate::progress::Progress;
use crate::report::{Failure, Outcome, say};
use anyhow::{Context as _, anyhow};
use files::{Picture, picture};
use pictures::test_card::test_card;
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;
use tweedie::Quantity;
use tweedie::gpu::NoiseKey;
use tweedie::headless::Gpu;
use tweedie::math::NoiseLevel;

/// Noise a picture and recover it from predictions: the three parameterizations side by side
///
/// Noises a picture on the GPU at timesteps from almost clean to almost pure noise, computes the training target of each
/// parameterization, makes each prediction wrong by the same relative amount, converts it back to a picture, checks every
/// step against the f64 reference, prints errors and throughput, and draws the pictures as DIR/filmstrip.png. Then three
/// trained networks generate handwritten digits, drawn as DIR/digits.png. Exits with 1 if an error exceeds its bound.
#[derive(clap::Args, Clone, Debug)]
pub struct Demo {
    /// A PNG or JPEG of any size [default: a generated one]
    #[arg(value_name = "IMAGE")]
    image: Option<PathBuf>,

    /// The folder for the results, created if it does not exist
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,

    /// The relative error of each prediction: noise of this size relative to the root mean square of what is predicted
    #[arg(long, value_name = "E", default_value_t = 0.25, allow_negative_numbers = true)]
    error: f64,

    /// The seed of the noise
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// Leave out the generated digits, which take some seconds without a GPU
    #[arg(long)]
    no_digits: bool,

    #[command(flatten)]
    model: ModelArgs,

    #[command(flatten)]
    compute: ComputeArgs,
}

/// The box that a picture is fitted into: large enough to look at, small enough to take ten seconds on two cores.
const WIDTH: u32 = 256;
const HEIGHT: u32 = 192;

/// The timesteps of the columns, as fractions of T - 1.
const COLUMNS: [f64; 8] = [0.0, 0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 1.0];

/// Predictions, each with its symbol and a remark.
const PARAMETERIZATIONS: [(Quantity, &str, &str); 3] = [
    (Quantity::Epsilon, "ε", "fails at high noise"),
    (Quantity::X0, "x_0", "wasteful at low noise"),
    (Quantity::V, "v", "balanced throughout"),
];

impl Demo {
    pub fn run(&self, json: bool) -> Outcome {
        if self.compute.on == On::Cpu {
            return Err(anyhow!(
                "the demo runs on a GPU alone; --on cpu is for noise, convert, posterior, replay, guide and loss"
            )
            .into());
        }
        if !(0.0..=10.0).contains(&self.error) {
            return Err(anyhow!("--error: expected a number from 0 to 10, found {}", self.error).into());
        }
        let begun = Instant::now();
        let schedule = self.model.schedule()?;
        let last = (schedule.len() - 1) as f64;
        let times = COLUMNS.map(|part| (part * last).round() as u32);
        let levels = times.map(|t| schedule.levels()[t as usize]);
        let original = match &self.image {
            Some(path) => Picture::open(path, WIDTH, HEIGHT)?,
            None => test_card(WIDTH, HEIGHT),
        };
        let adapter = self.compute.adapter()?;
        std::fs::create_dir_all(&self.out).with_context(|| self.out.display().to_string())?;
        let mut show = Show::new(&adapter, &levels, &original, self.error, NoiseKey::seed(self.seed))?;
        let x_t = show.noised()?;
        let mut rows = Vec::new();
        let mut progress = Progress::new("demo", PARAMETERIZATIONS.len() as u64);
        for (quantity, ..) in PARAMETERIZATIONS {
            rows.push(show.recover(quantity)?);
            progress.advance(1);
        }
        drop(progress);
        let lines = show.lines;
        let path = self.out.join("filmstrip.png");
        picture::save_png(&self.filmstrip(&levels, &original, &times, x_t, &rows).render()?, &path)?;
        if json {
            lines.iter().try_for_each(|line| say(object(&adapter, line)))?;
        } else {
            self.print(&adapter, &original, &lines, &rows, &times)?;
            say(format_args!("-> {}", path.display()))?;
        }
        let digits = if self.no_digits { None } else { self.digits(&adapter, json)? };
        let seconds = begun.elapsed().as_secs_f64();
        if json {
            let files = [Some(("filmstrip", path)), digits.map(|path| ("digits", path))].into_iter().flatten();
            let files = files.map(|(name, path)| (name.to_owned(), json!(path.display().to_string())));
            say(files.chain([("seconds".to_owned(), json!(seconds))]).collect::<serde_json::Value>())?;
        } else {
            say(format_args!("{seconds:.1} s in all"))?;
        }
        let failed = lines.iter().filter(|line| !line.comparison.passes()).count();
        if failed > 0 {
            return Err(Failure::check(anyhow!("{failed} of {} checks exceed their bounds", lines.len())));
        }
        Ok(())
    }

    /// Writes the sheet of generated digits, where the adapter can compute it.
    fn digits(&self, adapter: &Adapter, json: bool) -> Outcome<Option<PathBuf>> {
        let Some(sheet) = digit_sheet::generate(adapter)? else { return Ok(None) };
        let path = self.out.join("digits.png");
        picture::save_png(&sheet.picture.render()?, &path)?;
        if !json {
            say(format_args!("-> {} ({} digits, {:.1} s)", path.display(), sheet.count, sheet.seconds))?;
        }
        Ok(Some(path))
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
        let recovered = PARAMETERIZATIONS.iter().zip(rows).map(|((_, sign, remark), row)| Row {
            label: format!("x_0 from {sign}\n{remark}"),
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
        say(format_args!("{}", Gpu::describe(&adapter.gpu.info)))?;
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

fn object(adapter: &Adapter, line: &Line) -> serde_json::Value {
    json!({
        "adapter": Gpu::describe(&adapter.gpu.info),
        "op": line.op,
        "storage": adapter.storage.name(),
        "of_bound": line.comparison.worst_bound,
        "ulps": line.comparison.worst_ulps,
        "passed": line.comparison.passes(),
        "ms": line.seconds * 1e3,
        "gbps": line.bytes as f64 / line.seconds / 1e9,
    })
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
}
