//! The work of calls whose outputs are made into one clean sample first: by a mask, or by a guider.

use super::asked::Asked;
use super::builder::{Around, Builder};
use super::source::Source;
use crate::error::Error;
use crate::gpu::guide::Guide;
use crate::gpu::step::inputs::{Inpainting, Step};
use crate::gpu::tensor::Tensor;
use crate::loop_error::LoopError;
use crate::math::run::applied::Space;
use crate::table::guide::GuideRow;
use crate::table::step::StepRow;

/// The clean samples that a step takes in the place of the network's outputs.
pub(super) struct Answers {
    /// The sample as the network is shown it, where that is not the sampler's.
    pub shown: Option<wgpu::Buffer>,
    /// The guided one, with the known region in it.
    pub given: wgpu::Buffer,
    /// That of the unconditional prediction.
    pub unconditional: wgpu::Buffer,
}

impl Builder<'_> {
    /// Adds the plans that make the clean samples.
    pub fn answers(&mut self, asked: &[Asked], source: &Source<'_>, around: &mut [Around]) -> Result<Answers, Error> {
        let clean = ["clean", "unconditional", "third", "fourth"].map(|name| self.own(name));
        let tensors = self.tensors;
        let Some(mask) = tensors.mask else {
            let guided = self.clean(asked, tensors.x, &clean, around)?;
            let [given, unconditional, ..] = clean;
            return Ok(Answers { shown: None, given: guided.unwrap_or(given), unconditional });
        };
        let [shown, zeros] = ["shown", "latent_image"].map(|name| self.own(name));
        let latent = tensors.latent_image.unwrap_or(Tensor::f32(&zeros));
        let (context, shape, model) = (self.context, self.shape, self.run.model());
        let noise = source.known(self.run);
        if noise.is_none() && self.run.adds_noise() {
            return Err(LoopError::Missing { tensor: "known", reason: "the known region has noise in it" }.into());
        }
        let level = |asked: &Asked| {
            let [of_latent, of_noise] = model.start(asked.facts.sigma, false);
            [of_latent, if noise.is_none() { 0.0 } else { of_noise }]
        };
        // The kernel takes what it calls the known sample where the mask is 1: here that is the sample of the run.
        let rows: Vec<StepRow> = asked
            .iter()
            .map(|asked| {
                let ([x, z], input) = (level(asked), asked.facts.input);
                StepRow { x, z, stream: Some(0), known: [1.0, 0.0], input, ..StepRow::IDENTITY }
            })
            .collect();
        let masks = self.masks(mask, asked)?;
        let show = Step {
            known: Some(Inpainting { mask: masks.at(0), x0: tensors.x }),
            noise,
            next: Tensor::f32(&shown),
            input: tensors.input.filter(|_| !tensors.is_twice),
            ..Step::in_place(&rows, shape, latent, tensors.prediction)
        };
        let show = show.plan(context)?;
        let rows = vec![StepRow { known: [1.0, 0.0], ..StepRow::IDENTITY }; asked.len()];
        let given = self.own("given");
        for (around, work) in around.iter_mut().zip(self.masked(&masks, asked.len(), show)?) {
            around.before.push(work);
        }
        let guided = self.clean(asked, Tensor::f32(&shown), &clean, around)?;
        let mix = Step {
            known: Some(Inpainting { mask: masks.at(0), x0: Tensor::f32(guided.as_ref().unwrap_or(&clean[0])) }),
            next: Tensor::f32(&given),
            ..Step::in_place(&rows, shape, latent, tensors.prediction)
        };
        let mix = mix.plan(context)?;
        for (around, work) in around.iter_mut().zip(self.masked(&masks, asked.len(), mix)?) {
            around.after.push(work);
        }
        let [_, unconditional, ..] = clean;
        Ok(Answers { shown: Some(shown), given, unconditional })
    }

    /// Adds the plans that make each output a clean sample, and guide them into the first; returns the guided one where it lies
    /// elsewhere. A guider that mixes another quantity is given that, and its mixture is made a clean sample.
    fn clean(
        &mut self,
        asked: &[Asked],
        shown: Tensor<'_>,
        clean: &[wgpu::Buffer; 4],
        around: &mut [Around],
    ) -> Result<Option<wgpu::Buffer>, Error> {
        let (context, run, shape, tensors) = (self.context, self.run, self.shape, self.tensors);
        let outputs = [Some(tensors.prediction), tensors.unconditional, tensors.third, tensors.fourth];
        // A guidance scale mixes the first two at once.
        let scale = run.guider().is_none().then(|| run.guidance()).filter(|scale| *scale != 1.0);
        let needs_unconditional = run.needs_unconditional();
        for (i, output) in outputs.into_iter().enumerate() {
            let is_used = |asked: &Asked| match i {
                0 => true,
                1 if needs_unconditional => true,
                _ => asked.guide.asks[i - 1],
            };
            let Some(output) = output.filter(|_| asked.iter().any(is_used)) else { continue };
            let guidance = scale.filter(|_| i == 0).map_or([1.0, 0.0], |scale| [scale, 1.0 - scale]);
            let row = |asked: &Asked| {
                let ([of_x, of_output], space) = (asked.x0, asked.space);
                let x0 = [space.of_x + space.of_clean * of_x, space.of_clean * of_output, 0.0];
                StepRow { x0, x: 0.0, clean: 1.0, guidance, ..StepRow::IDENTITY }
            };
            let rows: Vec<StepRow> = asked.iter().map(row).collect();
            let unconditional = tensors.unconditional.filter(|_| guidance[1] != 0.0);
            let next = Tensor::f32(&clean[i]);
            let step = Step { unconditional, next, ..Step::in_place(&rows, shape, shown, output) };
            let work = self.add(step.plan(context)?);
            for (k, around) in around.iter_mut().enumerate().filter(|(k, _)| is_used(&asked[*k])) {
                around.after.push(work(k));
            }
        }
        if run.guider().is_some() {
            self.guide(asked, clean, around)?;
        }
        let guided = if asked.iter().any(|asked| asked.space != Space::CLEAN) {
            let guided = self.own("guided");
            let row = |asked: &Asked| {
                let Space { of_x, of_clean } = asked.space;
                StepRow { x0: [-of_x / of_clean, 1.0 / of_clean, 0.0], x: 0.0, clean: 1.0, ..StepRow::IDENTITY }
            };
            let rows: Vec<StepRow> = asked.iter().map(row).collect();
            let mixed = Tensor::f32(&clean[0]);
            let back = Step { next: Tensor::f32(&guided), ..Step::in_place(&rows, shape, shown, mixed) };
            let work = self.add(back.plan(context)?);
            around.iter_mut().enumerate().for_each(|(k, around)| around.after.push(work(k)));
            Some(guided)
        } else {
            None
        };
        let result = guided.as_ref().unwrap_or(&clean[0]);
        if let Some(preview) = tensors.preview {
            let rows = [StepRow::IDENTITY];
            let copy = Step { next: preview, ..Step::in_place(&rows, shape, Tensor::f32(result), tensors.prediction) };
            let work = self.add(copy.plan(context)?);
            around.iter_mut().for_each(|around| around.after.push(work(0)));
        }
        Ok(guided)
    }

    fn guide(&mut self, asked: &[Asked], clean: &[wgpu::Buffer; 4], around: &mut [Around]) -> Result<(), Error> {
        let rows: Vec<GuideRow> = asked.iter().map(|asked| asked.guide.row).collect();
        let momentum = self.own("momentum");
        let has_momentum = rows.iter().any(|row| row.momentum != 0.0 || row.keeps());
        let of = |i: usize| asked.iter().any(|asked| asked.guide.asks[i]).then(|| Tensor::f32(&clean[i + 1]));
        let guide = Guide {
            unconditional: of(0),
            third: of(1),
            fourth: of(2),
            momentum: has_momentum.then(|| self.tensors.momentum.unwrap_or(Tensor::f32(&momentum))),
            ..Guide::in_place(&rows, self.shape, Tensor::f32(&clean[0]))
        };
        let work = self.add(guide.plan(self.context)?);
        around.iter_mut().enumerate().for_each(|(k, around)| around.after.push(work(k)));
        Ok(())
    }
}

impl Answers {
    /// The row of a step on clean samples.
    pub fn row(row: StepRow) -> StepRow {
        StepRow { x0: [0.0, 1.0, 0.0], guidance: [1.0, 0.0], ..row }
    }
}
