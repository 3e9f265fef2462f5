//! Losses over whole tensors in memory, computed where `--on` says.

use crate::engine::{Adapter, Engine, Values, narrow, plan_failure};
use crate::report::Outcome;
use files::Array;
use tweedie::gpu::loss::Batch;
use tweedie::gpu::{Gradient, GradientScale, Loss, Noise, Recording, Reduction, Timesteps};
use tweedie::table::{LossRow, Penalty, Table};
use tweedie::{Shape, Storage};

/// A loss of a batch.
pub struct LossJob<'a> {
    pub table: &'a Table<LossRow>,
    pub penalty: Penalty,
    /// A row of the table for each sample, in range.
    pub timesteps: &'a [u32],
    pub prediction: &'a Array,
    /// The two other inputs; one that no row looks at may be missing.
    pub inputs: [Option<&'a Array>; 2],
    /// Reduction that the gradient is of.
    pub of: Reduction,
}

/// Outputs of a loss job; on the GPU, sums are F32 whatever the storage.
pub struct LossOutputs {
    /// The weighted mean of each sample.
    pub samples: Values,
    /// Their mean.
    pub mean: Values,
    /// With respect to the prediction.
    pub gradient: Values,
}

impl Engine {
    /// Runs a loss.
    pub fn losses(&self, job: &LossJob<'_>) -> Outcome<LossOutputs> {
        match self {
            Engine::Cpu => Ok(on_cpu(job)),
            Engine::Gpu(adapter) => adapter.losses(job),
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
    let losses = Loss::reference(job.table, job.penalty, &batch, job.of);
    LossOutputs {
        samples: Values::Double(losses.samples.iter().map(|loss| loss.value).collect()),
        mean: Values::Double(vec![losses.mean.value]),
        gradient: Values::Double(losses.gradient.iter().map(|slope| slope.value).collect()),
    }
}

impl Adapter {
    /// The whole batch at once, because its mean is one number.
    fn losses(&self, job: &LossJob<'_>) -> Outcome<LossOutputs> {
        let batch = job.prediction.batch();
        let shape = Shape::new(batch as u32, self.elements(batch, job.prediction.per_sample())?);
        self.require_room("a tensor", shape)?;
        let upload = |label: &str, array: &Array| -> Outcome<wgpu::Buffer> {
            self.require_fit(array)?;
            Ok(self.upload(label, &narrow(&array.data)))
        };
        let prediction = upload("tweedie-cli::prediction", job.prediction)?;
        let input = |index: usize| job.inputs[index].map(|array| upload("tweedie-cli::input", array)).transpose();
        let (in0, in1) = (input(0)?, input(1)?);
        let times = self.gpu.upload("tweedie-cli::t", bytemuck::cast_slice(job.timesteps));
        let [samples, mean] =
            [u64::from(shape.batch), 1].map(|count| self.gpu.buffer("tweedie-cli::loss", Storage::F32.bytes() * count));
        let gradient = self.buffer("tweedie-cli::gradient", shape.total());
        let loss = Loss {
            table: job.table,
            penalty: job.penalty,
            shape,
            timesteps: Timesteps::per_sample(&times),
            prediction: self.tensor(&prediction),
            in0: in0.as_ref().map(|buffer| self.tensor(buffer)),
            in1: in1.as_ref().map_or(Noise::None, |buffer| Noise::Tensor(self.tensor(buffer))),
            losses: (&samples, 0),
            mean: Some((&mean, 0)),
            gradient: Some(Gradient { tensor: self.tensor(&gradient), reduction: job.of, scale: GradientScale::ONE }),
        };
        let plan = loss.plan(&self.context).map_err(plan_failure)?;
        self.run(&plan, Recording::per_sample())?;
        let read =
            |storage, buffer, count| self.download_as(storage, buffer, count).map(|it| Values::Stored(storage, it));
        Ok(LossOutputs {
            samples: read(Storage::F32, &samples, shape.batch.into())?,
            mean: read(Storage::F32, &mean, 1)?,
            gradient: read(self.storage, &gradient, shape.total())?,
        })
    }
}
