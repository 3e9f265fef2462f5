//! `tweedie posterior`: the Gaussian of the step before.

use super::{Prediction, PredictionArgs};
use crate::report::{Outcome, say};
use files::TensorWriter;
use serde_json::json;
use tweedie::Quantity;
use tweedie::math::solve;

/// The mean and variance of q(x_{t-1} | x_t, x0), from a prediction
///
/// Reads `x_t`, `prediction` and `t`; writes `mean`, and for each sample `variance` and `log_variance_clipped` (entry 0
/// replaced by entry 1, as in guided-diffusion). The x0 that the prediction implies is not clipped.
#[derive(clap::Args, Clone, Debug)]
pub struct Posterior {
    #[command(flatten)]
    arguments: PredictionArgs,
}

impl Posterior {
    pub fn run(&self, json: bool) -> Outcome {
        let PredictionArgs { from, holes, compute, files, .. } = &self.arguments;
        let input = self.arguments.read()?;
        let Prediction { schedule, x_t, timesteps, .. } = &input;
        let variances = schedule.posterior_variance().map_err(anyhow::Error::from)?;
        let log_variances = schedule.posterior_log_variance_clipped().map_err(anyhow::Error::from)?;
        let table = schedule.posterior_mean_where_defined(*from);
        holes.check(timesteps, |t| solve(schedule.levels()[t], *from, Quantity::X0).map_err(|error| error.at(t)))?;
        let outputs = compute.open()?.run("posterior mean", &input.job(&table, false))?;
        let of_samples = |table: &[f64]| timesteps.iter().map(|&t| table[t as usize]).collect::<Vec<f64>>();
        let mut writer = TensorWriter::new();
        outputs.out0.write(&mut writer, "mean", &x_t.shape)?;
        let batch = [x_t.batch()];
        writer.doubles("variance", &batch, &of_samples(&variances))?;
        writer.doubles("log_variance_clipped", &batch, &of_samples(&log_variances))?;
        writer.save(&files.out)?;
        let out = files.out.display();
        if json {
            return say(json!({ "shape": x_t.shape, "from": from.name(), "out": out.to_string() }));
        }
        say(format_args!("{:?}: posterior mean and variance from {} -> {out}", x_t.shape, from))
    }
}
