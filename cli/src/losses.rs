//! Losses over whole tensors in memory, computed where `--on` says.

use crate::array::Array;
use crate::compute::{Engine, Values};
use crate::report::{Failure, Outcome};
use anyhow::anyhow;
use tweedie::gpu::loss::{Batch, Of, reference};
use tweedie::table::{LossRow, Penalty, Table};

/// A loss of a batch.
pub struct LossJob<'a> {
    pub table: &'a Table<LossRow>,
    pub penalty: Penalty,
    /// A row of the table for each sample, in range.
    pub timesteps: &'a [u32],
    pub prediction: &'a Array,
    /// The two other inputs; one that no row looks at may be missing.
    pub inputs: [Option<&'a Array>; 2],
    /// What the gradient is of.
    pub of: Of,
}

/// What comes of it.
pub struct LossOutputs {
    /// The weighted mean of each sample.
    pub samples: Vec<f64>,
    /// Their mean.
    pub mean: f64,
    /// With respect to the prediction.
    pub gradient: Values,
}

impl Engine {
    /// Runs a loss.
    pub fn losses(&self, job: &LossJob<'_>) -> Outcome<LossOutputs> {
        match self {
            Engine::Cpu => Ok(on_cpu(job)),
            Engine::Gpu(_) => Err(Failure::input(anyhow!("--on gpu: losses are computed with --on cpu only"))),
        }
    }
}

fn on_cpu(job: &LossJob<'_>) -> LossOutputs {
    let batch = Batch {
        timesteps: job.timesteps,
        elements: job.prediction.per_sample(),
        prediction: &job.prediction.data,
        inputs: job.inputs.map(|array| array.map_or(&[][..], |array| &array.data)),
    };
    let losses = reference(job.table, job.penalty, &batch, job.of);
    LossOutputs {
        samples: losses.samples.iter().map(|loss| loss.value).collect(),
        mean: losses.mean.value,
        gradient: Values::Double(losses.gradient.iter().map(|slope| slope.value).collect()),
    }
}
