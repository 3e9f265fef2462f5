//! `tweedie posterior`: the Gaussian of the step before.

use super::{Files, HoleArgs, quantity, schedule};
use crate::compute::{ComputeArgs, Input, Job};
use crate::report::{Outcome, say};
use crate::schedule_args::ScheduleArgs;
use crate::tensor_file::TensorFile;
use crate::tensor_writer::TensorWriter;
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
    files: Files,

    /// What the prediction is: epsilon, x0, v, score or flow
    #[arg(long, value_name = "QUANTITY", value_parser = quantity)]
    from: Quantity,

    #[command(flatten)]
    holes: HoleArgs,

    #[command(flatten)]
    schedule: ScheduleArgs,

    #[command(flatten)]
    compute: ComputeArgs,
}

impl Posterior {
    pub fn run(&self, json: bool) -> Outcome {
        self.files.check()?;
        let schedule = schedule(&self.schedule)?;
        let file = TensorFile::open(&self.files.input)?;
        let x_t = file.finite_floats("x_t")?;
        let prediction = file.floats_like("prediction", &x_t)?;
        let timesteps = file.timesteps("t", &x_t, schedule.len())?;
        let variances = schedule.posterior_variance().map_err(anyhow::Error::from)?;
        let log_variances = schedule.posterior_log_variance_clipped().map_err(anyhow::Error::from)?;
        let table = schedule.posterior_mean_where_defined(self.from);
        let why = |t: usize| {
            let x0 = solve(schedule.levels()[t], self.from, Quantity::X0);
            x0.err().map_or(String::new(), |error| error.at(t).to_string())
        };
        self.holes.check(&timesteps, |t| table.row(t).is_some(), why)?;
        let job = Job {
            table: &table,
            batch: x_t.batch(),
            elements: x_t.per_sample(),
            timesteps: &timesteps,
            in0: &x_t,
            in1: Input::Given(&prediction),
            both: false,
        };
        let outputs = self.compute.open()?.run("posterior mean", &job)?;
        let of_samples = |table: &[f64]| timesteps.iter().map(|&t| table[t as usize]).collect::<Vec<f64>>();
        let mut writer = TensorWriter::new();
        outputs.out0.write(&mut writer, "mean", &x_t.shape)?;
        let batch = [x_t.batch()];
        writer.doubles("variance", &batch, &of_samples(&variances))?;
        writer.doubles("log_variance_clipped", &batch, &of_samples(&log_variances))?;
        writer.save(&self.files.out)?;
        let out = self.files.out.display();
        if json {
            return say(json!({ "shape": x_t.shape, "from": self.from.name(), "out": out.to_string() }));
        }
        say(format_args!("{:?}: posterior mean and variance from {} -> {out}", x_t.shape, self.from))
    }
}
