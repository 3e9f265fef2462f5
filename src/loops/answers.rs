//! The work of calls whose outputs first become one clean sample, because of a mask or a guider.

use super::asked::{Asked, Levels};
use super::builder::{Around, Builder, Work};
use super::source::Source;
use crate::error::Error;
use crate::gpu::error::PlanError;
use crate::gpu::guide::Guide;
use crate::gpu::guide_finish::GuideFinish;
use crate::gpu::inputs::Recording;
use crate::gpu::step::inputs::{Inpainting, Step};
use crate::gpu::tensor::{Shape, Tensor};
use crate::loop_error::LoopError;
use crate::math::guidance::call::Over;
use crate::math::run::applied::Space;
use crate::table::finish::Finish;
use crate::table::guide::GuideRow;
use crate::table::step::StepRow;

/// The clean samples that a step takes in place of the network's outputs.
pub(super) struct Answers {
    /// The sample that the network is shown, if it is not the sampler's.
    pub shown: Option<wgpu::Buffer>,
    /// The guided clean sample, with the known region in it.
    pub given: wgpu::Buffer,
    /// The clean sample of the unconditional prediction, if anything needs it.
    pub unconditional: Option<wgpu::Buffer>,
}

/// What guidance mixes of the unconditional, the third and the fourth prediction, if some call asks for them.
type Others = [Option<wgpu::Buffer>; 3];

impl Builder<'_> {
    /// Adds the plans that turn the network's outputs for the sample `x` into clean samples, at each of these calls. Their rows are
    /// those of `levels`.
    pub fn answers(
        &mut self,
        levels: Levels<'_>,
        asked: &[Asked],
        x: Tensor<'_>,
        source: &Source<'_>,
        around: &mut [Around],
    ) -> Result<Answers, Error> {
        let tensors = self.tensors;
        let Some(mask) = tensors.mask else {
            let (guided, unconditional) = self.clean(levels, asked, x, around)?;
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
        // The kernel keeps its known sample where the mask is 1: here that is the sample of the run.
        let rows: Vec<StepRow> = levels
            .rows
            .iter()
            .map(|asked| {
                let ([x, z], input) = (level(asked), asked.facts.input);
                StepRow { x, z, stream: Some(0), known: [1.0, 0.0], input, ..StepRow::IDENTITY }
            })
            .collect();
        let masks = self.masks(mask, asked, around)?;
        let show = Step {
            known: Some(Inpainting { mask: masks.at(0), x0: x }),
            noise,
            next: Tensor::f32(&shown),
            input: tensors.input.filter(|_| !tensors.is_twice),
            calls: levels.at,
            ..Step::in_place(&rows, shape, latent, tensors.prediction)
        };
        let show = show.plan(context)?;
        let rows = vec![StepRow { known: [1.0, 0.0], ..StepRow::IDENTITY }; levels.rows.len()];
        let given = self.own("given");
        for (around, work) in around.iter_mut().zip(self.masked(&masks, levels, asked.len(), show)?) {
            around.before.push(work);
        }
        let (guided, unconditional) = self.clean(levels, asked, Tensor::f32(&shown), around)?;
        let mix = Step {
            known: Some(Inpainting { mask: masks.at(0), x0: Tensor::f32(&guided) }),
            next: Tensor::f32(&given),
            calls: levels.at,
            ..Step::in_place(&rows, shape, latent, tensors.prediction)
        };
        let mix = mix.plan(context)?;
        for (around, work) in around.iter_mut().zip(self.masked(&masks, levels, asked.len(), mix)?) {
            around.after.push(work);
        }
        Ok(Answers { shown: Some(shown), given, unconditional })
    }

    /// Adds the plans that turn each output into a clean sample and mix these by guidance. Returns the mixture, and the clean sample
    /// of the unconditional prediction. A guider that mixes another quantity is given that, and its mixture becomes a clean sample.
    fn clean(
        &mut self,
        levels: Levels<'_>,
        asked: &[Asked],
        shown: Tensor<'_>,
        around: &mut [Around],
    ) -> Result<(wgpu::Buffer, Option<wgpu::Buffer>), Error> {
        let (context, run, shape, tensors) = (self.context, self.run, self.shape, self.tensors);
        let others = [tensors.unconditional, tensors.third, tensors.fourth];
        // Apart from guidance, the rows of a sampler may read it themselves.
        let needs_unconditional = run.calls().iter().any(|call| Answers::row(call.row).needs_unconditional());
        // A guidance scale mixes the first two outputs at once; a guider mixes the clean samples of all.
        let has_guider = run.guider().is_some();
        let is_used = |asked: &Asked, i: usize| has_guider && asked.guide.asks[i] || i == 0 && needs_unconditional;
        let scale = Some(run.guidance()).filter(|scale| !has_guider && *scale != 1.0);
        let conditional = self.own("clean");
        let guidance = scale.map_or([1.0, 0.0], |scale| [scale, 1.0 - scale]);
        let rows = given(levels.rows, guidance);
        let step = Step {
            unconditional: tensors.unconditional.filter(|_| scale.is_some()),
            next: Tensor::f32(&conditional),
            calls: levels.at,
            ..Step::in_place(&rows, shape, shown, tensors.prediction)
        };
        let work = self.at_calls(levels, asked.len(), step.plan(context)?);
        around.iter_mut().zip(work).for_each(|(around, work)| around.after.push(work));
        let mut clean: Others = [None, None, None];
        for (i, (output, name)) in others.into_iter().zip(["unconditional", "third", "fourth"]).enumerate() {
            let Some(output) = output.filter(|_| asked.iter().any(|asked| is_used(asked, i))) else { continue };
            let buffer = self.own(name);
            let rows = given(levels.rows, [1.0, 0.0]);
            let step =
                Step { next: Tensor::f32(&buffer), calls: levels.at, ..Step::in_place(&rows, shape, shown, output) };
            let work = self.at_calls(levels, asked.len(), step.plan(context)?);
            for ((around, work), _) in around.iter_mut().zip(work).zip(asked).filter(|(_, asked)| is_used(asked, i)) {
                around.after.push(work);
            }
            clean[i] = Some(buffer);
        }
        let mixed = if has_guider { self.guide(asked, conditional, &clean, around)? } else { conditional };
        let guided = if levels.rows.iter().any(|asked| asked.space != Space::CLEAN) {
            self.restored(levels, shown, &mixed, around)?
        } else {
            mixed
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

    /// Adds the plan that turns a mixture of another quantity into a clean sample.
    fn restored(
        &mut self,
        levels: Levels<'_>,
        shown: Tensor<'_>,
        mixed: &wgpu::Buffer,
        around: &mut [Around],
    ) -> Result<wgpu::Buffer, Error> {
        let guided = self.own("guided");
        let row = |asked: &Asked| {
            let Space { of_x, of_clean } = asked.space;
            StepRow { x0: [-of_x / of_clean, 1.0 / of_clean, 0.0], x: 0.0, clean: 1.0, ..StepRow::IDENTITY }
        };
        let rows: Vec<StepRow> = levels.rows.iter().map(row).collect();
        let back = Step {
            next: Tensor::f32(&guided),
            calls: levels.at,
            ..Step::in_place(&rows, self.shape, shown, Tensor::f32(mixed))
        };
        let work = self.at_calls(levels, around.len(), back.plan(self.context)?);
        around.iter_mut().zip(work).for_each(|(around, work)| around.after.push(work));
        Ok(guided)
    }

    /// Adds the plans that mix the predictions of a call, and returns the mixture.
    fn guide(
        &mut self,
        asked: &[Asked],
        conditional: wgpu::Buffer,
        others: &Others,
        around: &mut [Around],
    ) -> Result<wgpu::Buffer, Error> {
        let rows: Vec<GuideRow> = asked.iter().map(|asked| asked.guide.row).collect();
        let has_momentum = rows.iter().any(|row| row.momentum != 0.0 || row.keeps());
        let own = (has_momentum && self.tensors.momentum.is_none()).then(|| self.own("momentum"));
        let of =
            |i: usize| others[i].as_ref().filter(|_| asked.iter().any(|asked| asked.guide.asks[i])).map(Tensor::f32);
        // A mixture that is finished is compared with the conditional prediction, which must then be kept.
        let finished = asked.iter().any(|asked| asked.guide.finish.is_some()).then(|| self.own("mixture"));
        let guide = Guide {
            unconditional: of(0),
            third: of(1),
            fourth: of(2),
            momentum: own.as_ref().map(Tensor::f32).or(self.tensors.momentum.filter(|_| has_momentum)),
            guided: Tensor::f32(finished.as_ref().unwrap_or(&conditional)),
            ..Guide::in_place(&rows, self.summed_over(asked)?, Tensor::f32(&conditional))
        };
        let work = self.add(guide.plan(self.context)?);
        around.iter_mut().enumerate().for_each(|(k, around)| around.after.push(work(k)));
        let Some(mixture) = finished else { return Ok(conditional) };
        self.finish(asked, [&mixture, &conditional], others[0].as_ref(), around)?;
        Ok(mixture)
    }

    /// The batch as the sums of the guider see it: the elements that share a sum count as a sample.
    fn summed_over(&self, asked: &[Asked]) -> Result<Shape, PlanError> {
        // Calls without guidance have no sums.
        let over = asked.iter().map(|asked| asked.guide.over).find(|over| *over != Over::Sample);
        let Some((over, dims)) = over.zip(self.tensors.dims) else { return Ok(self.shape) };
        let found = over.elements(dims).max(1) as u64;
        let too_large = |_| PlanError::SampleSize { tensor: "conditional", most: u32::MAX, found };
        let elements = u32::try_from(found).map_err(too_large)?;
        let groups = u32::try_from(self.shape.total() / found).map_err(too_large)?;
        Ok(Shape::new(groups, elements))
    }

    /// Adds the plans that change a mixture at each position. Calls with the same change share a plan.
    fn finish(
        &mut self,
        asked: &[Asked],
        [mixture, conditional]: [&wgpu::Buffer; 2],
        unconditional: Option<&wgpu::Buffer>,
        around: &mut [Around],
    ) -> Result<(), Error> {
        let dims = self.tensors.dims.unwrap_or_default();
        let at = Recording::per_sample();
        let mut made: Vec<(Finish, usize)> = Vec::new();
        for (asked, around) in asked.iter().zip(around) {
            let Some(finish) = asked.guide.finish else { continue };
            let plan = match made.iter().find(|(other, _)| *other == finish) {
                Some(&(_, plan)) => plan,
                None => {
                    let (guided, conditional) = ((mixture, 0), (conditional, 0));
                    let unconditional = unconditional.map(|buffer| (buffer, 0));
                    let request = GuideFinish { finish, dims, guided, conditional, unconditional };
                    self.plans.push(request.plan(self.context)?);
                    made.push((finish, self.plans.len() - 1));
                    self.plans.len() - 1
                }
            };
            around.after.push(Work { plan, at });
        }
        Ok(())
    }
}

/// The rows that turn an output into the quantity that guidance mixes.
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
