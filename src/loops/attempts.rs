//! The plans of an attempt at a step whose size the GPU chooses: stages, results of two orders, their error, and the choice.

use super::answers::Answers;
use super::asked::{Asked, Levels};
use super::builder::{Around, Builder, Work};
use super::call::{ALIGNMENT, stride};
use super::source::Source;
use crate::error::Error;
use crate::gpu::adaptive::{StepChoice, StepError};
use crate::gpu::context::Context;
use crate::gpu::error::check_limit;
use crate::gpu::guide::Guide;
use crate::gpu::inputs::{Noise, Recording, Timesteps};
use crate::gpu::map::Map;
use crate::gpu::plan::plan::Plan;
use crate::gpu::shader::codes::{ChosenWord, Code, MOST_STAGES};
use crate::gpu::shader::params::{ChooseParams, STATE_WORDS};
use crate::gpu::step::inputs::Step;
use crate::gpu::tensor::{Shape, Tensor};
use crate::math::run::adaptive::{Adaptive, Stages};
use crate::table::guide::{GuideRow, Weights};
use crate::table::step::StepRow;
use crate::table::{Table, UNITS};
use wgpu::BufferUsages;

/// The elements over which the error of a step is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorOver {
    /// Those of each sample: each has steps of its own, so its result does not depend on the batch.
    Sample,
    /// Those of the whole batch: all samples take the same steps (ComfyUI, k-diffusion).
    Batch,
}

/// The buffer that the controller writes: numbers for the network, words for the plans, and states that the caller may read.
pub(super) struct RunBuffer {
    pub buffer: wgpu::Buffer,
    words: u64,
    pitch: u64,
    /// The byte at which the states begin.
    pub state: u64,
}

/// The number of kinds of words: the level of each stage, and those of [`ChosenWord`].
const KINDS: u64 = MOST_STAGES as u64 + ChosenWord::ALL.len() as u64;

impl RunBuffer {
    pub fn new(context: &Context, shape: Shape, order: usize) -> Result<Self, Error> {
        let pitch = (4 * u64::from(shape.batch)).next_multiple_of(ALIGNMENT);
        let words = order as u64 * stride(shape);
        let state = words + KINDS * pitch;
        let size = state + 4 * u64::from(STATE_WORDS) * u64::from(shape.batch);
        let allowed = context.limits().max_storage_buffer_binding_size;
        check_limit("states of samples", "max_storage_buffer_binding_size", allowed, size)?;
        let usage = BufferUsages::STORAGE | BufferUsages::UNIFORM | BufferUsages::COPY_SRC;
        Ok(Self { buffer: context.zeroed_buffer("tweedie::Loop::run", usage, size), words, pitch, state })
    }

    /// The words of a kind, one for each sample.
    fn words(&self, kind: u32) -> Timesteps<'_> {
        Timesteps::PerSample { buffer: &self.buffer, offset: self.words + u64::from(kind) * self.pitch }
    }

    /// The words with the levels of a stage.
    fn levels(&self, stage: usize) -> Timesteps<'_> {
        self.words(stage as u32)
    }
}

/// The inputs of the plans of an attempt.
pub(super) struct Attempts<'a> {
    pub adaptive: &'a Adaptive,
    pub run: &'a RunBuffer,
    /// The levels of the table.
    pub levels: &'a [Asked],
    /// The number of attempts that are recorded.
    pub count: u32,
    pub over: ErrorOver,
}

impl Attempts<'_> {
    /// Adds the plans, which all attempts share. Returns the work that begins a run, and the work around each call.
    pub fn add_to(
        &self,
        it: &mut Builder<'_>,
        asked: &[Asked],
        source: &Source<'_>,
    ) -> Result<(Vec<Work>, Vec<Around>), Error> {
        let Self { adaptive, run, count, .. } = self;
        let order = adaptive.order;
        let [second, low, high, before] = ["second", "low", "high", "before"].map(|name| it.own(name));
        let third = if order > 2 { it.own("third") } else { second.clone() };
        let samples = [it.tensors.x, Tensor::f32(&second), Tensor::f32(&third)];
        let mixtures: Vec<Stages> =
            (0..=UNITS).map(|units| Stages::of(order, f64::from(units) * adaptive.unit())).collect();
        let mut clean: Vec<Answers> = Vec::new();
        let mut arounds = vec![vec![Around::default(); *count as usize]; order];
        for (stage, arounds) in arounds.iter_mut().enumerate() {
            let levels = Levels { rows: self.levels, at: run.levels(stage) };
            let calls: Vec<Asked> = asked.iter().skip(stage).step_by(order).cloned().collect();
            let answers = it.answers(levels, &calls, samples[stage], source, arounds)?;
            let shown = answers.shown.as_ref().map_or(samples[stage], Tensor::f32);
            if let Some(input) = self.input(it, shown, run.levels(stage))? {
                // After the plans that make the shown sample.
                arounds.iter_mut().for_each(|around| around.before.push(input));
            }
            clean.push(answers);
            let given: Vec<&wgpu::Buffer> = clean.iter().map(|answers| &answers.given).collect();
            let mixed = if stage + 1 < order {
                vec![(mixtures.iter().map(|it| it.inner[stage]).collect::<Vec<_>>(), [&second, &third][stage])]
            } else {
                vec![
                    (mixtures.iter().map(|it| it.low).collect(), &low),
                    (mixtures.iter().map(|it| it.high).collect(), &high),
                ]
            };
            for (coefficients, to) in mixed {
                let work = self.mix(it, &coefficients, &given, to)?;
                arounds.iter_mut().for_each(|around| around.after.push(work));
            }
        }
        let (begin, finish) = self.decide(it, [&low, &high, &before], source)?;
        if let Some(last) = arounds.last_mut() {
            last.iter_mut().for_each(|around| around.after.extend(&finish));
        }
        let in_order = (0..*count as usize).flat_map(|attempt| arounds.iter().map(move |of| of[attempt].clone()));
        Ok((begin, in_order.collect()))
    }

    /// The work that writes the network's input, unless the plan of a mask does so.
    fn input(&self, it: &mut Builder<'_>, shown: Tensor<'_>, at: Timesteps<'_>) -> Result<Option<Work>, Error> {
        let tensors = it.tensors;
        let Some(input) = tensors.input.filter(|_| tensors.mask.is_none() || tensors.is_twice) else { return Ok(None) };
        let bytes = it.shape.total() * input.storage.bytes();
        let table = Table::new(self.levels.iter().map(|level| [[level.facts.input, 0.0]; 2]));
        let map = Map {
            table: &table,
            shape: it.shape,
            timesteps: at,
            in0: Some(shown),
            in1: Noise::None,
            out0: input,
            out1: tensors.is_twice.then(|| input.at(input.offset + bytes)),
        };
        let plan = map.in_roles(it.context, &["x", "noise", "input", "input", "keep"], None)?;
        Ok(Some(looked_up(it, plan)))
    }

    /// The work that writes the sample plus a sum of its differences from clean samples. The coefficients are those of a step of so
    /// many units.
    fn mix(
        &self,
        it: &mut Builder<'_>,
        coefficients: &[[f64; 3]],
        clean: &[&wgpu::Buffer],
        to: &wgpu::Buffer,
    ) -> Result<Work, Error> {
        let row = |first: &[f64; 3]| GuideRow {
            first: *first,
            weights: Weights::Fixed([1.0, 1.0, 0.0]),
            ..GuideRow::CONDITIONAL
        };
        let rows: Vec<GuideRow> = coefficients.iter().map(row).collect();
        let of = |stage: usize| clean.get(stage).map(|buffer| Tensor::f32(buffer));
        let guide = Guide {
            unconditional: of(0),
            third: of(1),
            fourth: of(2),
            calls: self.run.words(ChosenWord::Step.code()),
            guided: Tensor::f32(to),
            ..Guide::in_place(&rows, it.shape, it.tensors.x)
        };
        let plan = guide.plan(it.context)?;
        Ok(looked_up(it, plan))
    }

    /// The work that begins a run, and the work that judges a step and takes it.
    fn decide(
        &self,
        it: &mut Builder<'_>,
        [low, high, before]: [&wgpu::Buffer; 3],
        source: &Source<'_>,
    ) -> Result<(Vec<Work>, Vec<Work>), Error> {
        let (context, shape, control) = (it.context, it.shape, self.adaptive.control());
        let words = |name: &str, count: u32| {
            context.zeroed_buffer(&format!("tweedie::Loop::{name}"), BufferUsages::STORAGE, 4 * u64::from(count))
        };
        let (errors, mean) = (words("errors", shape.batch), words("error", 1));
        let is_one = self.over == ErrorOver::Batch;
        let error = StepError {
            shape,
            tensors: [low, high, before],
            rtol: control.rtol,
            atol: control.atol,
            errors: &errors,
            mean: is_one.then_some(&mean),
        };
        let error = error.plan(context)?;
        let table = self.table();
        let table =
            context.buffer_with("tweedie::Loop::levels", BufferUsages::STORAGE, bytemuck::cast_slice(&table))?;
        let params = ChooseParams {
            samples: shape.batch,
            order: self.adaptive.order as u32,
            error_stride: u32::from(!is_one),
            begins: 0,
            powers: control.powers.map(|power| power as f32),
            safety: control.safety as f32,
            first_step: control.first_step as f32,
            words: (self.run.words / 4) as u32,
            pitch: (self.run.pitch / 4) as u32,
            told: (stride(shape) / 4) as u32,
            state: (self.run.state / 4) as u32,
            unused: [0; 3],
        };
        let errors = if is_one { &mean } else { &errors };
        let choice = StepChoice { params, errors, table: &table, run: &self.run.buffer }.plan(context)?;
        let mut finish = vec![looked_up(it, error)];
        let noise = self.noise(it, source)?;
        finish.extend(noise.as_ref().map(|(draw, ..)| *draw));
        let choose = it.add(choice);
        finish.push(choose(1));
        finish.extend(noise.as_ref().map(|(_, scale, _)| *scale));
        // At first, the sample itself counts as the last accepted result of lower order.
        let keep = self.chosen(it, Tensor::f32(before), low, None)?;
        finish.push(self.chosen(it, it.tensors.x, high, noise.as_ref().map(|(_, _, z)| z))?);
        finish.push(keep);
        let rows = [StepRow::IDENTITY];
        let copy =
            Step { next: Tensor::f32(before), ..Step::in_place(&rows, shape, it.tensors.x, it.tensors.prediction) };
        let copy = it.add(copy.plan(context)?);
        Ok((vec![choose(0), copy(0)], finish))
    }

    /// The table of the controller: the numbers for the network at each level, then, for each step, the units that its solver covers.
    fn table(&self) -> Vec<f32> {
        let told = self.levels.iter().flat_map(|level| [level.facts.told, level.facts.sigma, level.facts.input, 0.0]);
        let further = (0..=UNITS).map(|units| match self.adaptive.eta > 0.0 {
            true => f64::from(self.adaptive.further_units(units)),
            false => f64::from(units),
        });
        told.chain(further).map(|number| number as f32).collect()
    }

    /// The work that draws the noise of a step, the work that scales it by the sigma that the step reaches, and the noise itself.
    fn noise(&self, it: &mut Builder<'_>, source: &Source<'_>) -> Result<Option<(Work, Work, wgpu::Buffer)>, Error> {
        let Source::Drawn(key) = source else { return Ok(None) };
        if self.adaptive.eta == 0.0 || self.adaptive.s_noise == 0.0 {
            return Ok(None);
        }
        let z = it.own("noise");
        let streams: Vec<StepRow> =
            (0..self.count).map(|k| StepRow { x: 0.0, z: 1.0, stream: Some(k), ..StepRow::IDENTITY }).collect();
        let draw = Step {
            noise: Noise::drawn(*key),
            next: Tensor::f32(&z),
            calls: self.run.words(ChosenWord::Draw.code()),
            ..Step::in_place(&streams, it.shape, it.tensors.x, it.tensors.prediction)
        };
        let draw = draw.plan(it.context)?;
        let table = Table::new(self.levels.iter().map(|level| [[level.facts.sigma, 0.0], [0.0; 2]]));
        let scale = Map {
            table: &table,
            shape: it.shape,
            timesteps: self.run.words(ChosenWord::Reached.code()),
            in0: Some(Tensor::f32(&z)),
            in1: Noise::None,
            out0: Tensor::f32(&z),
            out1: None,
        };
        let scale = scale.plan(it.context)?;
        Ok(Some((looked_up(it, draw), looked_up(it, scale), z)))
    }

    /// The work that replaces a tensor by a result where the step is accepted, with noise that makes up for the extra distance that
    /// the solver went down.
    fn chosen(
        &self,
        it: &mut Builder<'_>,
        tensor: Tensor<'_>,
        result: &wgpu::Buffer,
        noise: Option<&wgpu::Buffer>,
    ) -> Result<Work, Error> {
        let unit = self.adaptive.unit();
        let taken = |units: u32| StepRow {
            x0: [0.0, 1.0, 0.0],
            x: 0.0,
            clean: 1.0,
            z: match noise {
                Some(_) => self.adaptive.s_noise * (-(-2.0 * f64::from(units) * unit).exp_m1()).sqrt(),
                None => 0.0,
            },
            ..StepRow::IDENTITY
        };
        // Without noise, a solver covers exactly its step.
        let most = if noise.is_some() { UNITS } else { 0 };
        let rows: Vec<StepRow> = [StepRow::IDENTITY].into_iter().chain((0..=most).map(taken)).collect();
        let step = Step {
            noise: noise.map_or(Noise::None, |z| Noise::Tensor(Tensor::f32(z))),
            calls: self.run.words(ChosenWord::Choice.code()),
            ..Step::in_place(&rows, it.shape, tensor, Tensor::f32(result))
        };
        let plan = step.plan(it.context)?;
        Ok(looked_up(it, plan))
    }
}

/// Adds a plan that looks up its rows, and returns its work.
fn looked_up(it: &mut Builder<'_>, plan: Plan) -> Work {
    Work { at: Recording::per_sample(), ..it.add(plan)(0) }
}
