//! Computes a run of a run file on an adapter, call by call.
//!
//! A call without a mask and without guidance by statistics is one dispatch of a step. With them it is made of the same op: the sample
//! as the network is shown it, the clean sample of each output, their guidance, the known region, and the step on the result.

use crate::engine::{Adapter, narrow, plan_failure};
use crate::report::{Failure, Outcome};
use crate::run_tape::RunTape;
use anyhow::anyhow;
use tweedie::gpu::{Guide, Inpainting, Noise, Plan, Recording, Step};
use tweedie::math::guidance::{GuiderCall, Over};
use tweedie::math::run::{RunError, RunLoop, RunRecord};
use tweedie::table::{GuideRow, StepRow};
use tweedie::{Shape, wgpu};

/// The buffers of a run.
struct Buffers {
    x: wgpu::Buffer,
    /// The sample as the network is shown it, where a region is known.
    shown: wgpu::Buffer,
    outputs: [wgpu::Buffer; 4],
    /// The clean samples of the outputs.
    clean: [wgpu::Buffer; 4],
    noise: wgpu::Buffer,
    x0: wgpu::Buffer,
    momentum: wgpu::Buffer,
    /// 1 where the sample is known.
    known: wgpu::Buffer,
    latent: wgpu::Buffer,
    start_noise: wgpu::Buffer,
}

/// A run on its way.
struct Drive<'a> {
    adapter: &'a Adapter,
    run: &'a RunLoop,
    tape: &'a RunTape,
    total: u64,
    shape: Shape,
    buffers: Buffers,
}

impl Adapter {
    /// Runs a loop over what was recorded.
    pub fn replay_run(&self, run: &RunLoop, tape: &RunTape) -> Outcome<RunRecord> {
        let batch = tape.shape.first().copied().unwrap_or(1);
        let elements = self.elements(batch, tape.total() / batch.max(1))?;
        let shape = Shape::new(batch as u32, elements);
        let total = shape.total();
        self.require_room("a batch", shape)?;
        for array in tape.arrays() {
            self.require_fit(&array.header, 0, &array.data)?;
        }
        let inputs = tape.inputs();
        let zeros = vec![0.0; tape.total()];
        if run.calls().is_empty() {
            let untouched = inputs.latent_image.unwrap_or(&zeros).to_vec();
            return Ok(RunRecord { samples: vec![untouched.clone()], output: untouched, ..RunRecord::default() });
        }
        let upload = |label: &str, values: Option<&[f64]>| {
            self.upload(&format!("tweedie-cli::{label}"), &narrow(values.unwrap_or(&zeros)))
        };
        let buffer = |label: &str| upload(label, None);
        let buffers = Buffers {
            x: upload("x", Some(&run.first_sample(&inputs)?)),
            shown: buffer("shown"),
            outputs: ["conditional", "unconditional", "third", "fourth"].map(buffer),
            clean: ["clean", "clean_unconditional", "clean_third", "clean_fourth"].map(buffer),
            noise: buffer("noise"),
            x0: buffer("x0"),
            momentum: buffer("momentum"),
            known: buffer("known"),
            latent: upload("latent_image", inputs.latent_image),
            start_noise: upload("start_noise", inputs.inpaint_noise.or(inputs.noise)),
        };
        Drive { adapter: self, run, tape, total, shape, buffers }.go()
    }
}

impl Drive<'_> {
    fn read(&self, buffer: &wgpu::Buffer) -> Outcome<Vec<f64>> {
        let bytes = self.adapter.download(buffer, self.total)?;
        let values = self.adapter.storage.decode(&bytes).into_iter().map(f64::from);
        Ok(values.take(self.total as usize).collect())
    }

    fn refill(&self, buffer: &wgpu::Buffer, values: &[f64]) {
        if !values.is_empty() {
            self.adapter.refill(buffer, &narrow(values));
        }
    }

    fn step<'b>(&self, rows: &'b [StepRow], x: &'b wgpu::Buffer, prediction: &'b wgpu::Buffer) -> Step<'b> {
        Step::in_place(rows, self.shape, self.adapter.tensor(x), self.adapter.tensor(prediction))
    }

    fn planned(&self, step: &Step<'_>) -> Outcome<Plan> {
        step.plan(&self.adapter.context).map_err(plan_failure)
    }

    /// Runs all calls.
    fn go(&self) -> Outcome<RunRecord> {
        let (run, b) = (self.run, &self.buffers);
        let tensor = |buffer| self.adapter.tensor(buffer);
        let is_masked = self.tape.mask.is_some();
        let is_direct = !is_masked && run.guider().is_none();
        let calls = run.calls();
        // A tensor of noise holds what two noises of a row come to.
        let one_noise = |row: StepRow| match row.second_z.0 {
            0.0 => row,
            _ => StepRow { z: 1.0, second_z: (0.0, 0), ..row },
        };
        let rows: Vec<StepRow> = calls
            .iter()
            .zip(run.rows())
            .map(|(call, written_out)| match is_direct {
                true => one_noise(written_out),
                // The prediction is a clean sample.
                false => StepRow { x0: [0.0, 1.0, 0.0], guidance: [1.0, 0.0], ..one_noise(call.row) },
            })
            .collect();
        let needs_unconditional = rows.iter().any(|row| row.unconditional_clean != 0.0 || row.kept[2] != 0.0);
        let draws = rows.iter().any(|row| row.draws(false));
        let (prediction, unconditional) =
            if is_direct { (&b.outputs[0], &b.outputs[1]) } else { (&b.clean[0], &b.clean[1]) };
        let needs_other = needs_unconditional || (is_direct && run.needs_unconditional());
        let step = self.planned(&Step {
            unconditional: needs_other.then(|| tensor(unconditional)),
            noise: if draws { Noise::Tensor(tensor(&b.noise)) } else { Noise::None },
            x0: Some(tensor(&b.x0)),
            ..self.step(&rows, &b.x, prediction)
        })?;
        let (mut asked, mut before) = (0, None);
        let mut record = RunRecord::default();
        for (k, (call, asks)) in calls.iter().zip(run.asks()).enumerate() {
            if *asks {
                if before != Some(call.step) {
                    record.samples.push(self.read(&b.x)?);
                    before = Some(call.step);
                }
                let sigma = run.call_sigmas().get(asked).copied().unwrap_or(f64::NAN);
                for (buffer, values) in b.outputs.iter().zip(self.tape.outputs(asked)?) {
                    self.refill(buffer, values);
                }
                record.call_sigma.push(sigma);
                record.timesteps.push(call.timestep);
                if is_direct {
                    record.call_x.push(self.read(&b.x)?);
                } else {
                    let [shown, guided] =
                        self.answered(call.row.x0, sigma, (call.step, call.timestep), needs_unconditional)?;
                    record.call_x.push(shown);
                    record.pred_x0.push(guided);
                }
                asked += 1;
            }
            self.fill_noise(&call.row, call.noise)?;
            self.adapter.run(&step, Recording::call(k as u32))?;
            if *asks && is_direct {
                record.pred_x0.push(self.read(&b.x0)?);
            }
        }
        let result = self.read(&b.x)?;
        record.output = result.iter().map(|x| x * run.end()).collect();
        record.samples.push(result);
        Ok(record)
    }

    /// Writes the noise of a row: one, or what two come to.
    fn fill_noise(&self, row: &StepRow, draw: usize) -> Outcome {
        let inputs = self.tape.inputs();
        if row.z == 0.0 && row.second_z.0 == 0.0 {
            return Ok(());
        }
        let first = if row.z == 0.0 { Vec::new() } else { self.run.noise(&inputs, draw)? };
        let values = match row.second_z {
            (0.0, _) => first,
            (c, second) => {
                let second = self.run.noise(&inputs, second as usize)?;
                let of_first = |i: usize| first.get(i).map_or(0.0, |z| row.z * z);
                second.iter().enumerate().map(|(i, z)| of_first(i) + c * z).collect()
            }
        };
        self.refill(&self.buffers.noise, &values);
        Ok(())
    }

    /// Makes of the outputs the clean sample that the step takes: guided, and with the known region in it. Returns the sample as the
    /// network was shown it, and the guided clean sample without the region.
    fn answered(
        &self,
        x0: [f64; 3],
        sigma: f64,
        (step, told): (usize, f64),
        needs_unconditional: bool,
    ) -> Outcome<[Vec<f64>; 2]> {
        let (run, b) = (self.run, &self.buffers);
        let tensor = |buffer| self.adapter.tensor(buffer);
        let inputs = self.tape.inputs();
        let mask = run.mask(&inputs, told);
        let shown = if mask.is_some() { &b.shown } else { &b.x };
        let inpainting = Inpainting { mask: tensor(&b.known), x0: tensor(&b.latent) };
        if let Some(mask) = &mask {
            self.refill(&b.known, &mask.iter().map(|m| 1.0 - m).collect::<Vec<_>>());
            let rows = [StepRow { known: run.model().start(sigma, false), ..StepRow::IDENTITY }];
            let plan = self.planned(&Step {
                known: Some(inpainting),
                noise: Noise::Tensor(tensor(&b.start_noise)),
                next: tensor(&b.shown),
                ..self.step(&rows, &b.x, &b.outputs[0])
            })?;
            self.adapter.run(&plan, Recording::call(0))?;
        }
        let call = match run.guider() {
            Some(guider) => {
                let steps = run.sigmas().len().saturating_sub(1).max(1);
                guider.call(step.min(steps - 1), steps).map_err(RunError::from)?
            }
            None => GuiderCall::CONDITIONAL,
        };
        if call.finish.is_some() || call.over != Over::Sample || call.row.rescale != 0.0 {
            let reason = "a guidance that compares channels or samples, or rescales, is computed in f64";
            return Err(Failure::input(anyhow!("{reason}: expected --on cpu")));
        }
        // Each output as a clean sample; a guidance scale mixes the first two at once.
        let mixes = run.guider().is_none() && run.needs_unconditional();
        let scale = run.guidance();
        for (i, output) in b.outputs.iter().enumerate() {
            let is_used = i == 0 || (i == 1 && needs_unconditional) || call.asks.get(i.wrapping_sub(1)) == Some(&true);
            if !is_used {
                continue;
            }
            let guidance = if mixes && i == 0 { [scale, 1.0 - scale] } else { [1.0, 0.0] };
            let rows = [StepRow { x0, x: 0.0, clean: 1.0, guidance, ..StepRow::IDENTITY }];
            let plan = self.planned(&Step {
                next: tensor(&b.clean[i]),
                unconditional: (guidance[1] != 0.0).then(|| tensor(&b.outputs[1])),
                ..self.step(&rows, shown, output)
            })?;
            self.adapter.run(&plan, Recording::call(0))?;
        }
        if run.guider().is_some() {
            self.guide(&call)?;
        }
        let found = [self.read(shown)?, self.read(&b.clean[0])?];
        if mask.is_some() {
            let rows = [StepRow { known: [1.0, 0.0], ..StepRow::IDENTITY }];
            let plan =
                self.planned(&Step { known: Some(inpainting), ..self.step(&rows, &b.clean[0], &b.outputs[0]) })?;
            self.adapter.run(&plan, Recording::call(0))?;
        }
        Ok(found)
    }

    /// Guides the clean samples, in the place of the conditional one.
    fn guide(&self, call: &GuiderCall) -> Outcome {
        let b = &self.buffers;
        let given = |i: usize| call.asks[i].then(|| self.adapter.tensor(&b.clean[i + 1]));
        let rows: [GuideRow; 1] = [call.row];
        let keeps = call.row.momentum != 0.0 || call.row.keeps();
        let plan = Guide {
            unconditional: given(0),
            third: given(1),
            fourth: given(2),
            momentum: keeps.then(|| self.adapter.tensor(&b.momentum)),
            ..Guide::in_place(&rows, self.shape, self.adapter.tensor(&b.clean[0]))
        };
        let plan = plan.plan(&self.adapter.context).map_err(plan_failure)?;
        self.adapter.run(&plan, Recording::call(0))
    }
}
