//! The work of a run's rows, of its start and of its end.

use super::answers::Answers;
use super::asked::Asked;
use super::builder::{Around, Builder, Work};
use super::source::Source;
use crate::error::Error;
use crate::gpu::inputs::{Noise, Recording, Timesteps};
use crate::gpu::map::Map;
use crate::gpu::step::inputs::Step;
use crate::gpu::tensor::Tensor;
use crate::loop_error::LoopError;
use crate::table::Table;
use crate::table::step::StepRow;

const STEP_NOISE: LoopError =
    LoopError::Missing { tensor: "steps", reason: "the sampler of the run draws noise between its steps" };

impl Builder<'_> {
    /// Adds the plans of the rows, on the outputs of the network or on the clean samples made from them.
    pub fn steps(
        &mut self,
        asked: &mut [Asked],
        source: &Source<'_>,
        answers: Option<&Answers>,
        around: &mut [Around],
    ) -> Result<(), Error> {
        let (context, run, shape, tensors) = (self.context, self.run, self.shape, self.tensors);
        let mut rows = Vec::new();
        for (call, written_out) in run.calls().iter().zip(run.rows()) {
            rows.push(source.fitted(if answers.is_some() { Answers::row(call.row) } else { written_out })?);
        }
        if rows.is_empty() {
            return Ok(());
        }
        let drawing: Vec<usize> = (0..rows.len()).filter(|&k| rows[k].draws(false)).collect();
        let noise = drawing.first().map_or(Noise::None, |&first| source.row(first));
        if !drawing.is_empty() && noise.is_none() {
            return Err(STEP_NOISE.into());
        }
        let needs_unconditional = rows.iter().any(StepRow::needs_unconditional);
        let (prediction, unconditional) = match answers {
            None => (tensors.prediction, tensors.unconditional),
            Some(answers) => (Tensor::f32(&answers.given), answers.unconditional.as_ref().map(Tensor::f32)),
        };
        let step = Step {
            unconditional: unconditional.filter(|_| needs_unconditional),
            noise,
            x0: tensors.preview.filter(|_| answers.is_none()),
            input: self.next_input(),
            memory: tensors.memory,
            ..Step::in_place(&rows, shape, tensors.x, prediction)
        };
        let first = step.plan(context)?;
        // Noise of the host is at another place for each row.
        let is_uploaded = matches!(source, Source::Host(_));
        let mut elsewhere = Vec::new();
        for &row in drawing.iter().skip(1).filter(|_| is_uploaded) {
            if let Noise::Tensor(tensor) = source.row(row) {
                elsewhere.push((row, first.moved(context, &[("noise", tensor)])?));
            }
        }
        let one = self.add(first);
        let mut work: Vec<Work> = (0..rows.len()).map(one).collect();
        for (row, plan) in elsewhere {
            work[row] = self.add(plan)(row);
        }
        for (asked, around) in asked.iter_mut().zip(around) {
            around.after.extend(asked.rows.clone().filter_map(|row| work.get(row).copied()));
            let draws = |row: &usize| matches!(source, Source::Tensors { .. }) && drawing.contains(row);
            asked.facts.draw = asked.rows.clone().find(draws).map(|row| run.calls()[row].noise);
        }
        Ok(())
    }

    /// The input of the network, if the step before it writes it. With a mask the network is shown another sample; for two
    /// predictions in one batch, both halves are written at once.
    pub fn next_input(&self) -> Option<Tensor<'_>> {
        self.tensors.input.filter(|_| self.tensors.mask.is_none() && !self.tensors.is_twice)
    }

    /// Adds the plan that writes the network's input twice, one after the other.
    pub fn inputs(&mut self, asked: &[Asked], shown: Tensor<'_>, around: &mut [Around]) -> Result<(), Error> {
        let Some(input) = self.tensors.input.filter(|_| self.tensors.is_twice) else { return Ok(()) };
        let bytes = self.shape.total() * input.storage.bytes();
        let table = Table::new(asked.iter().map(|asked| [[asked.facts.input, 0.0]; 2]));
        let map = Map {
            table: &table,
            shape: self.shape,
            timesteps: Timesteps::Batch,
            in0: Some(shown),
            in1: Noise::None,
            out0: input,
            out1: Some(input.at(input.offset + bytes)),
        };
        let work = self.add(map.in_roles(self.context, &["x", "noise", "input", "input", "keep"], None)?);
        around.iter_mut().enumerate().for_each(|(k, around)| around.before.push(work(k)));
        Ok(())
    }

    /// Adds the plans that make the first sample, and the network's first input, unless that is made before each call. `input` is
    /// the scale of the first call.
    pub fn start(&mut self, source: &Source<'_>, input: Option<f64>) -> Result<Vec<Work>, Error> {
        let (run, tensors) = (self.run, self.tensors);
        let (kept, churn) = run.churn();
        let [of_latent, of_noise] = run.start().map(|factor| factor * kept);
        let first = match source {
            Source::Host(uploaded) => [uploaded.of_latent, 1.0],
            _ => [of_latent, of_noise],
        };
        let noise = source.start();
        if first[1] != 0.0 && noise.is_none() {
            return Err(LoopError::Missing { tensor: "start", reason: "the run starts with noise" }.into());
        }
        let shown = tensors.input.filter(|_| self.next_input().is_some() && input.is_some());
        let input = input.unwrap_or(1.0);
        let table = Table::new([[first, first.map(|factor| factor * input)]]);
        let map = Map {
            table: &table,
            shape: self.shape,
            timesteps: Timesteps::Batch,
            in0: tensors.latent_image,
            in1: noise,
            out0: tensors.x,
            out1: shown,
        };
        let plan = map.in_roles(self.context, &["latent_image", "noise", "x", "input", "keep"], None)?;
        let mut work = vec![self.add(plan)(0)];
        // Uploaded noise already contains the churn of the first step.
        for &(draw, factor) in churn.iter().filter(|_| !matches!(source, Source::Host(_))) {
            let Source::Drawn(key) = source else {
                let what = "churn before the first call with noise from a tensor";
                return Err(LoopError::Unsupported { what, instead: "LoopNoise::Host or LoopNoise::Drawn" }.into());
            };
            let rows = [StepRow { z: factor, stream: u32::try_from(draw).ok(), input, ..StepRow::IDENTITY }];
            let step = Step::in_place(&rows, self.shape, tensors.x, tensors.prediction);
            let step = Step { noise: Noise::drawn(*key), input: shown, ..step };
            work.push(self.add(step.plan(self.context)?)(0));
        }
        Ok(work)
    }

    /// Adds the plan that scales the last sample, unless the factor is 1.
    pub fn end(&mut self) -> Result<Option<Work>, Error> {
        let (factor, tensors) = (self.run.end(), self.tensors);
        if factor == 1.0 {
            return Ok(None);
        }
        let rows = [StepRow { x: factor, ..StepRow::IDENTITY }];
        let plan = Step::in_place(&rows, self.shape, tensors.x, tensors.prediction).plan(self.context)?;
        Ok(Some(Work { at: Recording::call(0), ..self.add(plan)(0) }))
    }
}
