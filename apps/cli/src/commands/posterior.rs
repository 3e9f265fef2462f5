//! `tweedie posterior`: the Gaussian of the step before.

use super::{Prediction, PredictionArgs};
use crate::levels;
use crate::report::{Outcome, say};
use anyhow::{Result, bail};
use files::TensorWriter;
use serde_json::json;
use tweedie::Quantity;
use tweedie::math::{NoiseLevel, Posterior as Gaussian, Process, Told, solve};
use tweedie::table::Table;

/// The mean and variance of q(x_s | x_t, x0), from a prediction
///
/// Reads `x_t`, `prediction` and the levels, `t`, `sigma` or `time` as for `tweedie convert`; and the cleaner levels s as `t_to`,
/// `sigma_to` or `time_to`, where they are not those of the timestep before. Writes `mean`, and for each sample `variance`
/// and `log_variance_clipped` (entry 0 replaced by entry 1, as in guided-diffusion). The x0 that the prediction implies is
/// not clipped.
#[derive(clap::Args, Clone, Debug)]
pub struct Posterior {
    #[command(flatten)]
    arguments: PredictionArgs,
}

/// The variance below which `log_variance_clipped` does not go, as in diffusers.
const LEAST_VARIANCE: f64 = 1e-20;

/// The posterior of each sample: a table of means with the row of each, the variances, and their logarithms.
struct Steps {
    table: Table,
    rows: Vec<u32>,
    variances: Vec<f64>,
    logarithms: Vec<f64>,
}

impl Posterior {
    pub fn run(&self, json: bool) -> Outcome {
        let PredictionArgs { holes, finite, compute, files, .. } = &self.arguments;
        let mut input = self.arguments.read()?;
        let from = input.from;
        let schedule = &input.schedule;
        holes.check(&input.timesteps, |t| {
            solve(schedule.levels()[t], from, Quantity::X0).map_err(|error| error.at(t))
        })?;
        let steps = if follows_chain(&input) { by_chain(&input)? } else { by_levels(&input)? };
        input.timesteps = steps.rows;
        let table = input.of_output(&steps.table);
        let job = input.job(&table, false);
        let outputs = compute.open()?.run("posterior mean", &job)?;
        finite.check("mean", &outputs.out0, &job)?;
        let x_t = &input.x_t;
        let mut writer = TensorWriter::new();
        outputs.out0.write(&mut writer, "mean", &x_t.shape)?;
        let batch = [x_t.batch()];
        writer.doubles("variance", &batch, &steps.variances)?;
        writer.doubles("log_variance_clipped", &batch, &steps.logarithms)?;
        writer.save(&files.out)?;
        let out = files.out.display();
        if json {
            return say(json!({ "shape": x_t.shape, "from": from.name(), "out": out.to_string() }));
        }
        say(format_args!("{:?}: posterior mean and variance from {} -> {out}", x_t.shape, from))
    }
}

/// The name of the tensor of cleaner levels that the file brings.
fn target(input: &Prediction) -> Option<(&'static str, &'static str)> {
    [("t_to", "t"), ("sigma_to", "sigma"), ("time_to", "time")].into_iter().find(|(name, _)| input.file.has(name))
}

/// True if each step leads to the timestep before, in a schedule that has one.
fn follows_chain(input: &Prediction) -> bool {
    input.whole && target(input).is_none() && input.model.process() != Process::Flow
}

fn by_chain(input: &Prediction) -> Result<Steps> {
    let Prediction { schedule, timesteps, from, .. } = input;
    let of_samples = |table: &[f64]| timesteps.iter().map(|&t| table[t as usize]).collect::<Vec<f64>>();
    Ok(Steps {
        table: schedule.posterior_mean_where_defined(*from),
        rows: timesteps.clone(),
        variances: of_samples(&schedule.posterior_variance()?),
        logarithms: of_samples(&schedule.posterior_log_variance_clipped()?),
    })
}

fn by_levels(input: &Prediction) -> Result<Steps> {
    let Prediction { schedule, timesteps, from, .. } = input;
    let cleaner = cleaner(input)?;
    let mut posteriors = Vec::new();
    for (sample, (&row, &to)) in timesteps.iter().zip(&cleaner).enumerate() {
        match Gaussian::between(schedule.levels()[row as usize], to) {
            Some(posterior) => posteriors.push(posterior),
            None => bail!("sample {sample}: no forward step leads from the level that the posterior is asked for"),
        }
    }
    let rows = posteriors.iter().zip(timesteps).map(|(posterior, &row)| {
        let x0 = solve(schedule.levels()[row as usize], *from, Quantity::X0).ok()?;
        let mean = posterior.mean_of(x0);
        mean.iter().all(|number| number.is_finite()).then_some([mean, x0])
    });
    let variances: Vec<f64> = posteriors.iter().map(|posterior| posterior.variance).collect();
    Ok(Steps {
        table: Table::with_undefined(rows),
        rows: (0..timesteps.len() as u32).collect(),
        logarithms: variances.iter().map(|variance| variance.max(LEAST_VARIANCE).ln()).collect(),
        variances,
    })
}

/// The level that each sample's step leads to: of the file, or of the timestep before.
fn cleaner(input: &Prediction) -> Result<Vec<NoiseLevel>> {
    let Prediction { file, model, x_t, timesteps, whole, .. } = input;
    if let Some((name, kind)) = target(input) {
        return levels::level_list(file, name, kind, x_t, model);
    }
    if !whole {
        bail!("expected a tensor `t_to`, `sigma_to` or `time_to`: the cleaner level of each sample");
    }
    let rises = matches!(model.told_number(), Told::RisingTime(_));
    let most = model.schedule().len() as f64;
    let before = |&t: &u32| {
        let t = if rises { (f64::from(t) + 1.0).min(most) } else { (f64::from(t) - 1.0).max(0.0) };
        Ok(model.level_at(t)?)
    };
    timesteps.iter().map(before).collect()
}
