//! Computes a run of a run file on an adapter: a recorded loop, each of whose calls is given what was recorded.

use crate::engine::{Adapter, front_failure, gpu_failure, narrow};
use crate::report::{Failure, Outcome};
use crate::run_tape::RunTape;
use anyhow::anyhow;
use tweedie::error::LoopError;
use tweedie::math::run::{RunLoop, RunRecord};
use tweedie::{Error, Loop, LoopMask, LoopTensors, Shape, wgpu};

impl Adapter {
    /// Runs a loop over what was recorded.
    pub fn replay_run(&self, run: &RunLoop, tape: &RunTape) -> Outcome<RunRecord> {
        let batch = tape.shape.first().copied().unwrap_or(1);
        let elements = self.elements(batch, tape.total() / batch.max(1))?;
        let shape = Shape::new(batch as u32, elements);
        self.require_room("a batch", shape)?;
        for array in tape.arrays() {
            self.require_fit(&array.header, 0, &array.data)?;
        }
        let inputs = tape.inputs();
        let buffer = |label: &str| self.buffer(&format!("tweedie-cli::{label}"), shape.total());
        let [x, input, preview] = ["x", "input", "preview"].map(buffer);
        let outputs = ["conditional", "unconditional", "third", "fourth"].map(buffer);
        let latent = inputs.latent_image.map(|image| self.upload("tweedie-cli::latent_image", &narrow(image)));
        let [prediction, others @ ..] = outputs.each_ref().map(|buffer| self.tensor(buffer));
        let [unconditional, third, fourth] = others.map(Some);
        let tensors = LoopTensors {
            unconditional,
            third,
            fourth,
            latent_image: latent.as_ref().map(|buffer| self.tensor(buffer)),
            mask: inputs.mask.map(LoopMask::Host),
            preview: Some(self.tensor(&preview)),
            dims: Some(&tape.shape),
            ..LoopTensors::new(self.tensor(&x), self.tensor(&input), prediction)
        };
        let recorded = Loop::new(&self.context, run, shape, &tensors, run.noise(&inputs)?).map_err(loop_failure)?;
        let (mut record, mut step) = (RunRecord::default(), None);
        self.record(|encoder| recorded.record_start(encoder))?;
        for index in 0..recorded.calls() {
            self.record(|encoder| recorded.before_call(encoder, index).map(drop))?;
            let Some(call) = recorded.call(index) else { break };
            let sample = self.read(&x, shape)?;
            // The network is given the sample in its own scale, and with the known region in it.
            let shown = match inputs.mask {
                None => sample.clone(),
                Some(_) => self.read(&input, shape)?.into_iter().map(|shown| shown / call.input).collect(),
            };
            if step != Some(call.step) {
                record.samples.push(sample);
                step = Some(call.step);
            }
            record.call_x.push(shown);
            record.call_sigma.push(call.sigma);
            record.timesteps.push(call.told);
            for (buffer, values) in outputs.iter().zip(tape.outputs(index)?) {
                self.refill(buffer, &narrow(values));
            }
            self.record(|encoder| recorded.after_call(encoder, index))?;
            record.pred_x0.push(self.read(&preview, shape)?);
        }
        record.output = self.read(&x, shape)?;
        record.samples.push(record.output.iter().map(|x| x / run.end()).collect());
        Ok(record)
    }

    fn read(&self, buffer: &wgpu::Buffer, shape: Shape) -> Outcome<Vec<f64>> {
        let bytes = self.download(buffer, shape.total())?;
        let values = self.storage.decode(&bytes).into_iter().map(f64::from);
        Ok(values.take(shape.total() as usize).collect())
    }

    fn record(&self, record: impl FnOnce(&mut wgpu::CommandEncoder) -> Result<(), Error>) -> Outcome {
        self.gpu.submit(record).map_err(gpu_failure)?.map_err(loop_failure)
    }
}

/// Classifies an error; for a run that cannot be recorded, it asks for `--on cpu`.
fn loop_failure(error: Error) -> Failure {
    match error {
        Error::Loop(LoopError::Unsupported { what, .. }) => {
            Failure::input(anyhow!("{} is computed in f64: expected --on cpu", what.trim_end_matches(',')))
        }
        error => front_failure(error),
    }
}
