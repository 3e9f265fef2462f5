//! `tweedie posterior`: the Gaussian of a sample at a cleaner level.

use super::{Prediction, PredictionArgs};
use crate::engine::Values;
use crate::levels;
use crate::maps::Pass;
use crate::output::Output;
use crate::report::{Outcome, say};
use anyhow::{Context, Result, bail};
use files::Announced;
use safetensors::Dtype;
use serde_json::json;
use tweedie::Quantity;
use tweedie::math::{NoiseLevel, Posterior as Gaussian, Process, Told, solve};
use tweedie::table::{Matrix, Table};

/// Compute the mean and variance of q(x_s | x_t, x0) from a prediction
///
/// Reads `x_t`, `prediction` and the levels, `t`, `sigma` or `time` as for `tweedie noise`; and the cleaner levels s as
/// `t_to`, `sigma_to` or `time_to`, unless they are those of the next cleaner timestep. Writes `mean`, and for each sample
/// `variance` and `log_variance_clipped`: the logarithm of the variance, or of 1e-20 if that is larger. Where the steps are
/// those of a schedule, from each timestep to the one before, timestep 0 has the logarithm of timestep 1, as in
/// guided-diffusion; other levels and flows have no such rule. The x0 that the prediction implies is not clipped.
#[derive(clap::Args, Clone, Debug)]
pub struct Posterior {
    #[command(flatten)]
    arguments: PredictionArgs,
}

/// The variance below which `log_variance_clipped` does not go, as in diffusers.
const LEAST_VARIANCE: f64 = 1e-20;

/// The posterior of each sample: a table of means and each sample's row in it, the variances, and their logarithms.
struct Steps {
    table: Table,
    rows: Vec<u32>,
    variances: Vec<f64>,
    logarithms: Vec<f64>,
}

impl Steps {
    /// The row of a sample's mean, or the reason why there is none.
    fn mean(&self, input: &Prediction, sample: usize) -> Result<Matrix> {
        let t = input.timesteps[sample] as usize;
        solve(input.schedule.levels()[t], input.from, Quantity::X0).map_err(|error| input.at(t, error))?;
        let row = self.table.row(self.rows[sample] as usize);
        row.copied().context("the mean of the posterior is beyond f64")
    }
}

impl Posterior {
    pub fn run(&self, json: bool) -> Outcome {
        let PredictionArgs { holes, finite, compute, files, .. } = &self.arguments;
        let mut input = self.arguments.read()?;
        let from = input.from;
        let to = levels::cleaner(&input.file, &input.x_t, &input.model)?;
        // Each step of a schedule leads to the timestep before; a flow's timesteps are times.
        let chain = to.is_none() && input.whole && input.model.process() != Process::Flow;
        let steps = if chain { by_chain(&input)? } else { by_levels(&input, to)? };
        let samples: Vec<u32> = (0..steps.rows.len() as u32).collect();
        holes.check(&samples, |sample| steps.mean(&input, sample))?;
        input.timesteps = steps.rows;
        let engine = compute.open()?;
        let table = holes.held(&engine, &input.timesteps, input.model.on_output(&steps.table))?;
        let x_t = &input.x_t;
        let job = input.job(vec![Pass { table, outputs: vec!["mean"] }]);
        let of_samples = ["variance", "log_variance_clipped"];
        let mut announced = job.announced(&engine);
        announced.extend(of_samples.map(|name| Announced::new(name, Dtype::F64, &[x_t.batch()])));
        let mut output = Output::create(&files.out, *finite, announced)?;
        engine.map("posterior mean", &job, &mut output)?;
        for (name, values) in of_samples.into_iter().zip([steps.variances, steps.logarithms]) {
            output.append(name, Values::Double(values))?;
        }
        output.finish()?;
        let out = files.out.display();
        if json {
            return say(json!({ "shape": x_t.shape, "from": from.name(), "out": out.to_string() }));
        }
        say(format_args!("{:?}: posterior mean and variance from {} -> {out}", x_t.shape, from))
    }
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

fn by_levels(input: &Prediction, to: Option<Vec<NoiseLevel>>) -> Result<Steps> {
    let Prediction { schedule, timesteps, from, .. } = input;
    let cleaner = to.map_or_else(|| timesteps_before(input), Ok)?;
    let mut posteriors = Vec::new();
    for (sample, (&row, &to)) in timesteps.iter().zip(&cleaner).enumerate() {
        match Gaussian::between(schedule.levels()[row as usize], to) {
            Some(posterior) => posteriors.push(posterior),
            None => bail!("sample {sample}: expected a cleaner level to go to, from which a forward step leads back"),
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

/// The levels of the timesteps before, of samples at whole timesteps.
fn timesteps_before(input: &Prediction) -> Result<Vec<NoiseLevel>> {
    let Prediction { model, timesteps, whole, .. } = input;
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
