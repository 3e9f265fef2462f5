//! `tweedie schedule`: a noise schedule as numbers, as a file and as a picture.

use crate::model_args::ModelArgs;
use crate::report::{Outcome, say};
use files::{TensorWriter, atomic};
use plots::Scale;
use plots::curves::{self, Panel, Series};
use serde_json::{Value, json};
use std::path::PathBuf;
use tweedie::math::flow::shifted;
use tweedie::math::{Model, NoiseLevel, Process, Told, solve};
use tweedie::{Quantity, Schedule};

/// Show a noise schedule: a summary, its tables as a file, its curves as a plot
///
/// Everything is computed in f64 without cancellation, so the tables are right to the last digits even where f32 pipelines
/// lose four of them (at the first timesteps).
#[derive(clap::Args, Clone, Debug)]
pub struct ScheduleCommand {
    /// Write F64 tensors: alphas_cumprod, sqrt_alphas_cumprod, sqrt_one_minus_alphas_cumprod, snr, posterior_variance,
    /// posterior_log_variance_clipped, posterior_mean_coef1 and posterior_mean_coef2
    ///
    /// Also betas, if the schedule has them; and for any process but vp, alpha and sigma (the coefficients of signal and noise)
    /// and told (the number that the network is given as its time). The tensors named after alphas_cumprod are shares of the
    /// variance: alphas_cumprod is alpha^2/(alpha^2 + sigma^2).
    #[arg(long, value_name = "FILE.safetensors")]
    out: Option<PathBuf>,

    /// Plot abar, the log signal-to-noise ratio, and how the error of each prediction is amplified
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,

    /// Shift the times of a flow towards noise, as runs do
    #[arg(long, value_name = "K", allow_negative_numbers = true)]
    shift: Option<f64>,

    #[command(flatten)]
    model: ModelArgs,
}

impl ScheduleCommand {
    pub fn run(&self, json: bool) -> Outcome {
        let shown = self.shown()?;
        let schedule = &shown.schedule;
        if self.out.is_some() && self.out == self.plot {
            return Err(anyhow::anyhow!("--out and --plot name the same file").into());
        }
        // Everything that can fail comes before the first file is replaced.
        let paths = [&self.out, &self.plot].into_iter().flatten();
        paths.clone().try_for_each(|path| atomic::check_destination(path))?;
        let drawing = self.plot.as_ref().map(|path| Ok::<_, anyhow::Error>((path, drawing(schedule)?))).transpose()?;
        if let Some(path) = &self.out {
            tables(&shown)?.save(path)?;
        }
        if let Some((path, drawing)) = drawing {
            atomic::write(path, drawing.as_bytes())?;
        }
        let files = paths;
        if json {
            let files: Vec<String> = files.map(|path| path.display().to_string()).collect();
            return say(json!({ "timesteps": schedule.len(), "rows": summary(&shown), "files": files }));
        }
        say(timesteps(schedule.len()))?;
        say(format_args!(
            "{:>6}  {:>12} {:>12} {:>12} {:>12} {:>10}",
            "t", "beta", "abar", "sqrt(1-abar)", "snr", "log snr"
        ))?;
        let rows = Rows::of(schedule);
        for t in shown_rows(schedule.len()) {
            let Row { beta, abar, noise, snr, log_snr } = rows.row(t);
            let t = shown.timestep(t);
            let t = if t.fract() == 0.0 { format!("{t}") } else { format!("{t:.1}") };
            let beta = beta.map_or_else(|| "-".to_owned(), |beta| format!("{beta:.6e}"));
            say(format_args!("{t:>6}  {beta:>12} {abar:>12.6e} {noise:>12.6e} {snr:>12.5e} {log_snr:>10.4}"))?;
        }
        if schedule.levels().last().is_some_and(|level| level.alpha() == 0.0) {
            say("The last timestep is pure noise (zero terminal SNR): predict v there; epsilon determines nothing.")?;
        }
        files.into_iter().try_for_each(|path| say(format_args!("-> {}", path.display())))
    }
}

/// The distance from a whole timestep that counts as rounding.
const WHOLE: f64 = 1e-9;

/// A schedule and its model.
struct Shown {
    schedule: Schedule,
    model: Model,
}

impl Shown {
    /// The timestep of a row: `T` times the time of a flow of `T` timesteps, in the direction of the model's time; else the
    /// row.
    fn timestep(&self, row: usize) -> f64 {
        let (level, all) = (self.schedule.levels()[row], self.schedule.len() as f64);
        let timestep = match (self.model.process(), self.model.told_number()) {
            (Process::Flow, Told::RisingTime(_)) => all * level.alpha(),
            (Process::Flow, _) => all * level.sigma(),
            _ => row as f64,
        };
        let whole = timestep.round();
        if (timestep - whole).abs() < WHOLE { whole } else { timestep }
    }
}

impl ScheduleCommand {
    fn shown(&self) -> anyhow::Result<Shown> {
        let model = self.model.open()?.model(None)?;
        let schedule = match self.shift {
            None => model.schedule().clone(),
            Some(_) if model.process() != Process::Flow => {
                anyhow::bail!("--shift does not apply to a {} process", model.process())
            }
            Some(shift) => {
                let times = model.schedule().levels().iter().map(|level| shifted(level.sigma(), shift));
                Schedule::rectified_flow_times(&times.collect::<Result<Vec<_>, _>>()?)?
            }
        };
        Ok(Shown { schedule, model })
    }
}

fn timesteps(count: usize) -> String {
    format!("{count} timestep{}", if count == 1 { "" } else { "s" })
}

/// The timesteps of the summary: the ends, and a few between.
fn shown_rows(steps: usize) -> Vec<usize> {
    let last = steps - 1;
    let mut shown: Vec<usize> =
        [0, 1, last / 10, last / 4, last / 2, last * 3 / 4, last * 9 / 10, last.saturating_sub(1), last]
            .into_iter()
            .filter(|&t| t <= last)
            .collect();
    shown.sort_unstable();
    shown.dedup();
    shown
}

/// The numbers of a timestep, as in the tensors of `--out`.
struct Row {
    beta: Option<f64>,
    abar: f64,
    /// `sqrt(1 - abar)`.
    noise: f64,
    snr: f64,
    log_snr: f64,
}

/// The tables from which rows are taken.
struct Rows<'a> {
    betas: Option<&'a [f64]>,
    /// Those of the other fields of a row, in order.
    columns: [Vec<f64>; 4],
}

impl<'a> Rows<'a> {
    fn of(schedule: &'a Schedule) -> Self {
        let noise = schedule.sqrt_one_minus_alphas_cumprod();
        Self {
            betas: schedule.betas(),
            columns: [schedule.alphas_cumprod(), noise, schedule.snr(), schedule.log_snr()],
        }
    }

    fn row(&self, t: usize) -> Row {
        let [abar, noise, snr, log_snr] = self.columns.each_ref().map(|column| column[t]);
        Row { beta: self.betas.map(|betas| betas[t]), abar, noise, snr, log_snr }
    }
}

fn summary(shown: &Shown) -> Vec<Value> {
    let schedule = &shown.schedule;
    let rows = Rows::of(schedule);
    let row = |row: usize| {
        let Row { beta, abar, noise, snr, log_snr } = rows.row(row);
        let level = schedule.levels()[row];
        let t = shown.timestep(row);
        let t = if t.fract() == 0.0 { Value::from(t as u64) } else { Value::from(t) };
        // JSON has no infinity; null stands for it.
        json!({
            "t": t,
            "alpha": level.alpha(),
            "sigma": level.sigma(),
            "told": shown.model.told(level),
            "beta": beta,
            "alphas_cumprod": abar,
            "sqrt_one_minus_alphas_cumprod": noise,
            "snr": snr,
            "log_snr": log_snr,
        })
    };
    shown_rows(schedule.len()).into_iter().map(row).collect()
}

fn tables(shown: &Shown) -> anyhow::Result<TensorWriter> {
    let schedule = &shown.schedule;
    let mut writer = TensorWriter::new();
    let mut add = |name: &str, values: Vec<f64>| writer.doubles(name, &[schedule.len()], &values);
    if let Some(betas) = schedule.betas() {
        add("betas", betas.to_vec())?;
    }
    // The roots below are of shares of the variance: alpha and sigma themselves where the process preserves it.
    if schedule.process() != Process::VariancePreserving {
        let each = |value: &dyn Fn(NoiseLevel) -> f64| schedule.levels().iter().map(|&level| value(level)).collect();
        add("alpha", each(&NoiseLevel::alpha))?;
        add("sigma", each(&NoiseLevel::sigma))?;
        add("told", each(&|level| shown.model.told(level)))?;
    }
    add("alphas_cumprod", schedule.alphas_cumprod())?;
    add("sqrt_alphas_cumprod", schedule.sqrt_alphas_cumprod())?;
    add("sqrt_one_minus_alphas_cumprod", schedule.sqrt_one_minus_alphas_cumprod())?;
    add("snr", schedule.snr())?;
    add("posterior_variance", schedule.posterior_variance()?)?;
    add("posterior_log_variance_clipped", schedule.posterior_log_variance_clipped()?)?;
    add("posterior_mean_coef1", schedule.posterior_mean_coef1()?)?;
    add("posterior_mean_coef2", schedule.posterior_mean_coef2()?)?;
    Ok(writer)
}

/// The most points of a curve; more than the drawing has columns would only make the file large.
const MOST_POINTS: usize = 2000;

fn drawing(schedule: &Schedule) -> anyhow::Result<String> {
    let every = schedule.len().div_ceil(MOST_POINTS).max(1);
    let curve = |name: &str, value: &dyn Fn(usize) -> f64| -> Series {
        let last = schedule.len() - 1;
        let points = (0..last).step_by(every).chain([last]);
        (name.to_owned(), points.map(|t| (t as f64, value(t))).collect())
    };
    let level = |t: usize| schedule.levels()[t];
    let amplification = |into: Quantity| {
        let from = |given: Quantity| {
            let value = move |t: usize| solve(level(t), given, into).map_or(f64::NAN, |[_, c1]| c1.abs());
            curve(&format!("predicting {given}"), &value)
        };
        let series = vec![from(Quantity::Epsilon), from(Quantity::X0), from(Quantity::V)];
        Panel::new(format!("an error of the prediction, in {into}"), "amplification", Scale::Decades, series)
    };
    // Roots of shares of the variance only where the process preserves it.
    let [signal, noise] = match schedule.process() {
        Process::VariancePreserving => ["sqrt(abar)", "sqrt(1 - abar)"],
        _ => ["alpha", "sigma"],
    };
    let coefficients = vec![
        curve("abar", &|t| level(t).alpha_bar()),
        curve(signal, &|t| level(t).alpha()),
        curve(noise, &|t| level(t).sigma()),
    ];
    let log_snr = curve("log snr", &|t| level(t).log_snr());
    let panels = [
        Panel::new("signal and noise", "coefficient", Scale::Linear, coefficients),
        Panel::new("log signal-to-noise ratio", "ln(snr)", Scale::Linear, vec![log_snr]),
        amplification(Quantity::X0),
        amplification(Quantity::Epsilon),
    ];
    let title = format!("noise schedule of {}", timesteps(schedule.len()));
    curves::draw(&title, "timestep", Scale::Linear, &panels)
}
