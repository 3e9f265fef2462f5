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
    /// That of the unconditional prediction, if anything needs it.
    pub unconditional: Option<wgpu::Buffer>,
}

/// The predictions that guidance mixes, of the unconditional, the third and the fourth one, if some call asks for them.
type Others = [Option<wgpu::Buffer>; 3];

impl Builder<'_> {
    /// Adds the plans that make the clean samples.
    pub fn answers(&mut self, asked: &[Asked], source: &Source<'_>, around: &mut [Around]) -> Result<Answers, Error> {
        let tensors = self.tensors;
        let Some(mask) = tensors.mask else {
            let (guided, unconditional) = self.clean(asked, tensors.x, around)?;
            return Ok(Answers { shown: None, given: guided, unconditional });
        };
        let shown = self.own("shown");
        let zeros;
        let latent = match tensors.latent_image {
            Some(latent) => latent,
            None => {
                zeros = self.own("latent_image");
                Tensor::f32(&zeros)
            }
        };
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
        let (guided, unconditional) = self.clean(asked, Tensor::f32(&shown), around)?;
        let mix = Step {
            known: Some(Inpainting { mask: masks.at(0), x0: Tensor::f32(&guided) }),
            next: Tensor::f32(&given),
            ..Step::in_place(&rows, shape, latent, tensors.prediction)
        };
        let mix = mix.plan(context)?;
        for (around, work) in around.iter_mut().zip(self.masked(&masks, asked.len(), mix)?) {
            around.after.push(work);
        }
        Ok(Answers { shown: Some(shown), given, unconditional })
    }

    /// Adds the plans that make each output a clean sample, and guide them into one; returns that and the one of the unconditional
    /// prediction. A guider that mixes another quantity is given that, and its mixture is made a clean sample.
    fn clean(
        &mut self,
        asked: &[Asked],
        shown: Tensor<'_>,
        around: &mut [Around],
    ) -> Result<(wgpu::Buffer, Option<wgpu::Buffer>), Error> {
        let (context, run, shape, tensors) = (self.context, self.run, self.shape, self.tensors);
        let others = [tensors.unconditional, tensors.third, tensors.fourth];
        let needs_unconditional = run.needs_unconditional();
        let is_used = |asked: &Asked, i: usize| asked.guide.asks[i] || i == 0 && needs_unconditional;
        // A guidance scale mixes the first two at once.
        let scale = run.guider().is_none().then(|| run.guidance()).filter(|scale| *scale != 1.0);
        let conditional = self.own("clean");
        let guidance = scale.map_or([1.0, 0.0], |scale| [scale, 1.0 - scale]);
        let rows = given(asked, guidance);
        let step = Step {
            unconditional: tensors.unconditional.filter(|_| scale.is_some()),
            next: Tensor::f32(&conditional),
            ..Step::in_place(&rows, shape, shown, tensors.prediction)
        };
        let work = self.add(step.plan(context)?);
        around.iter_mut().enumerate().for_each(|(k, around)| around.after.push(work(k)));
        let mut clean: Others = [None, None, None];
        for (i, (output, name)) in others.into_iter().zip(["unconditional", "third", "fourth"]).enumerate() {
            let Some(output) = output.filter(|_| asked.iter().any(|asked| is_used(asked, i))) else { continue };
            let buffer = self.own(name);
            let rows = given(asked, [1.0, 0.0]);
            let step = Step { next: Tensor::f32(&buffer), ..Step::in_place(&rows, shape, shown, output) };
            let work = self.add(step.plan(context)?);
            for (k, around) in around.iter_mut().enumerate().filter(|(k, _)| is_used(&asked[*k], i)) {
                around.after.push(work(k));
            }
            clean[i] = Some(buffer);
        }
        if run.guider().is_some() {
            self.guide(asked, &conditional, &clean, around)?;
        }
        let guided = if asked.iter().any(|asked| asked.space != Space::CLEAN) {
            self.restored(asked, shown, &conditional, around)?
        } else {
            conditional
        };
        if let Some(preview) = tensors.preview {
            let rows = [StepRow::IDENTITY];
            let copy = Step { next: preview, ..Step::in_place(&rows, shape, Tensor::f32(&guided), tensors.prediction) };
            let work = self.add(copy.plan(context)?);
            around.iter_mut().for_each(|around| around.after.push(work(0)));
        }
        let [unconditional, ..] = clean;
        Ok((guided, unconditional))
    }

    /// Adds the plan that makes what guidance mixed a clean sample again.
    fn restored(
        &mut self,
        asked: &[Asked],
        shown: Tensor<'_>,
        mixed: &wgpu::Buffer,
        around: &mut [Around],
    ) -> Result<wgpu::Buffer, Error> {
        let guided = self.own("guided");
        let row = |asked: &Asked| {
            let Space { of_x, of_clean } = asked.space;
            StepRow { x0: [-of_x / of_clean, 1.0 / of_clean, 0.0], x: 0.0, clean: 1.0, ..StepRow::IDENTITY }
        };
        let rows: Vec<StepRow> = asked.iter().map(row).collect();
        let back = Step { next: Tensor::f32(&guided), ..Step::in_place(&rows, self.shape, shown, Tensor::f32(mixed)) };
        let work = self.add(back.plan(self.context)?);
        around.iter_mut().enumerate().for_each(|(k, around)| around.after.push(work(k)));
        Ok(guided)
    }

    fn guide(
        &mut self,
        asked: &[Asked],
        conditional: &wgpu::Buffer,
        others: &Others,
        around: &mut [Around],
    ) -> Result<(), Error> {
        let rows: Vec<GuideRow> = asked.iter().map(|asked| asked.guide.row).collect();
        let momentum = self.own("momentum");
        let has_momentum = rows.iter().any(|row| row.momentum != 0.0 || row.keeps());
        let of =
            |i: usize| others[i].as_ref().filter(|_| asked.iter().any(|asked| asked.guide.asks[i])).map(Tensor::f32);
        let guide = Guide {
            unconditional: of(0),
            third: of(1),
            fourth: of(2),
            momentum: has_momentum.then(|| self.tensors.momentum.unwrap_or(Tensor::f32(&momentum))),
            ..Guide::in_place(&rows, self.shape, Tensor::f32(conditional))
        };
        let work = self.add(guide.plan(self.context)?);
        around.iter_mut().enumerate().for_each(|(k, around)| around.after.push(work(k)));
        Ok(())
    }
}

/// The rows that make an output what guidance mixes.
fn given(asked: &[Asked], guidance: [f64; 2]) -> Vec<StepRow> {
    let row = |asked: &Asked| {
        let ([of_x, of_output], space) = (asked.x0, asked.space);
        let x0 = [space.of_x + space.of_clean * of_x, space.of_clean * of_output, 0.0];
        StepRow { x0, x: 0.0, clean: 1.0, guidance, ..StepRow::IDENTITY }
    };
    asked.iter().map(row).collect()
}

impl Answers {
    /// The row of a step on clean samples.
    pub fn row(row: StepRow) -> StepRow {
        StepRow { x0: [0.0, 1.0, 0.0], guidance: [1.0, 0.0], ..row }
    }
}
