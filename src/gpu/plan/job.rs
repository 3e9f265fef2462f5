//! The request for a plan of any op.

use crate::gpu::inputs::{Noise, Runs, Timesteps};
use crate::gpu::plan::keys::{Drawing, Keys};
use crate::gpu::plan::rows::Accepts;
use crate::gpu::plan::words::{Partials, SampleWords, WordRange};
use crate::gpu::shader::op::Op;
use crate::gpu::shader::slots::{Part, SLOTS};
use crate::gpu::shader::variant::Draw;
use crate::gpu::tensor::{Shape, Tensor};
use crate::table::RoundedTable;
use std::sync::Arc;

/// The names of an op's tensors in a request, by slot.
pub(crate) type Roles = &'static [&'static str];

/// An op, its tensors and coefficients, and everything else that its kernels bind.
#[derive(Clone)]
pub(crate) struct Job<'a> {
    pub op: Op,
    /// The batch. With timesteps per group, each run of a group counts as a sample.
    pub shape: Shape,
    /// The runs, with timesteps per group.
    pub runs: Option<Runs>,
    pub timesteps: Timesteps<'a>,
    /// The caller's names of the tensors, by the op's slots.
    pub roles: Roles,
    /// The tensors, by the op's slots.
    pub tensors: [Option<Tensor<'a>>; SLOTS],
    pub rows: &'a RoundedTable,
    /// The rows that may replace them later.
    pub accepts: Accepts,
    /// The noise that is drawn.
    pub drawn: Option<Drawing>,
    /// The keys of that noise, if another plan has uploaded them.
    pub keys: Option<&'a Arc<Keys>>,
    /// A seed for each sample.
    pub seeds: Option<SampleWords<'a>>,
    /// The factor of the gradients on the GPU, and its counts.
    pub scaler: Option<WordRange<'a>>,
    /// What a reduction has found for each sample: a factor and a threshold of a step, or the sums of guidance.
    pub scales: Option<&'a wgpu::Buffer>,
    /// The buffer for statistics of clean samples.
    pub clean_stats: Option<&'a wgpu::Buffer>,
    /// The memory for the result of each chunk; present for a reduction.
    pub partials: Option<Partials<'a>>,
    /// Slices of a prediction.
    pub slices: u32,
    /// The lowest bit of the digit that is counted.
    pub digit: u32,
    /// Clean samples are clamped to `-limit..=limit`.
    pub limit: f32,
    /// The error at which the parabola of a loss turns into a line.
    pub delta: f32,
}

impl<'a> Job<'a> {
    /// A job that draws no noise.
    pub fn new(
        op: Op,
        shape: Shape,
        timesteps: Timesteps<'a>,
        tensors: [Option<Tensor<'a>>; SLOTS],
        rows: &'a RoundedTable,
    ) -> Self {
        let (drawn, keys, seeds, scaler, scales, clean_stats, partials) = (None, None, None, None, None, None, None);
        let (slices, digit, limit, delta) = (1, 0, f32::MAX, f32::MAX);
        let (roles, accepts) = (op.roles(), Accepts::Nothing);
        Self {
            op,
            shape,
            runs: None,
            timesteps,
            roles,
            tensors,
            rows,
            accepts,
            drawn,
            keys,
            seeds,
            scaler,
            scales,
            clean_stats,
            partials,
            slices,
            digit,
            limit,
            delta,
        }
    }

    /// The job with this noise, if it is drawn; a tensor that it is written to goes into the slot `kept`.
    pub fn drawing(mut self, noise: Noise<'a>, kept: usize) -> Self {
        let Some(drawn) = noise.draws() else { return self };
        self.tensors[kept] = drawn.keep;
        Self { drawn: Some(Drawing::of(drawn)), seeds: drawn.seeds.map(SampleWords::of_seeds), ..self }
    }

    /// The tensors that are present, with their slots.
    pub fn tensors(&self) -> impl Iterator<Item = (usize, Tensor<'a>)> + '_ {
        self.tensors.iter().enumerate().filter_map(|(slot, tensor)| Some((slot, (*tensor)?)))
    }

    /// A label for a wgpu object of the plan.
    pub fn label(&self, role: &str) -> String {
        format!("tweedie::{}::{role}", self.op.name())
    }

    /// The caller's name of a slot's tensor.
    pub fn name(&self, slot: usize) -> &'static str {
        self.roles.get(slot).copied().unwrap_or(self.op.slots()[slot].name)
    }

    pub fn is_output(&self, slot: usize) -> bool {
        self.op.slots().get(slot).is_some_and(|slot| slot.is_output())
    }

    /// The slots of the outputs.
    pub fn outputs(&self) -> Vec<usize> {
        self.tensors().map(|(slot, _)| slot).filter(|&slot| self.is_output(slot)).collect()
    }

    /// The slots that are written: outputs and memory.
    pub fn written(&self) -> Vec<usize> {
        self.tensors().map(|(slot, _)| slot).filter(|&slot| !self.op.slots()[slot].is_input()).collect()
    }

    /// The same job without outputs.
    pub fn without_outputs(&self) -> Self {
        let mut job = Self { op: self.op.unscaled(), scaler: None, ..self.clone() };
        self.outputs().into_iter().for_each(|slot| job.tensors[slot] = None);
        job
    }

    /// The timesteps, if they lie on the GPU.
    pub fn timesteps(&self) -> Option<SampleWords<'a>> {
        // The rows of a step and of guidance are calls.
        let name = if self.op.has_calls() { "calls" } else { "timesteps" };
        let words = SampleWords::of_timesteps(self.timesteps).map(|words| words.named(name));
        words.map(|words| match self.runs {
            Some(runs) => words.whole(self.samples().batch * runs.groups),
            None => words,
        })
    }

    /// The runs and the groups of a sample: 1 each without timesteps per group.
    pub fn runs_and_groups(&self) -> [u32; 2] {
        self.runs.map_or([1; 2], |runs| [runs.each, runs.groups])
    }

    /// The seeds of the samples.
    pub fn seeds(&self) -> Option<SampleWords<'a>> {
        self.seeds.map(|seeds| if self.runs.is_some() { seeds.whole(self.samples().batch) } else { seeds })
    }

    /// The caller's batch, which counts samples and not their runs.
    pub fn samples(&self) -> Shape {
        let each = self.runs.map_or(1, |runs| runs.each.max(1));
        Shape::new(self.shape.batch / each, self.shape.elements.saturating_mul(each))
    }

    /// The words that are read for each sample.
    pub fn sample_words(&self) -> impl Iterator<Item = SampleWords<'a>> {
        self.timesteps().into_iter().chain(self.seeds())
    }

    /// The elements that a tensor of this slot has for each sample.
    pub fn elements_of(&self, slot: usize) -> u64 {
        let elements = u64::from(self.shape.elements);
        match self.op.slots()[slot].part {
            // The remembered clean samples of a sample lie together; the place of the latest moves with the call.
            Part::Memory => u64::from(self.depth()) * elements,
            _ if self.op.slices(slot) => u64::from(self.slices) * elements,
            _ => elements,
        }
    }

    /// The shape of a tensor of this slot.
    pub fn shape_of(&self, slot: usize) -> Shape {
        Shape::new(self.shape.batch, self.elements_of(slot).min(u64::from(u32::MAX)) as u32)
    }

    /// The number of clean samples that a step remembers.
    pub fn depth(&self) -> u32 {
        match self.op {
            Op::Step(variant) => variant.depth,
            _ => 0,
        }
    }

    /// How kernels draw noise.
    pub fn draw(&self) -> Draw {
        let Some(drawing) = self.drawn else { return Draw::No };
        let perturbed = drawing.perturbed.is_some();
        if self.seeds.is_some() { Draw::PerSample { perturbed } } else { Draw::Batch { perturbed } }
    }

    /// The batch as one long sample, where all samples have the same row, no noise and no scales of their own, and no gaps.
    ///
    /// Short samples then fill the lanes and workgroups of a long one.
    pub fn as_one_sample(&self) -> Self {
        let shape = self.shape;
        let gapless = |tensor: &Tensor<'_>| tensor.stride_in(shape) == u64::from(shape.elements);
        // Drawn noise depends on the sample, and so do scales.
        let alike = matches!(self.timesteps, Timesteps::Batch) && self.drawn.is_none() && self.scales.is_none();
        // Remembered clean samples of the merged sample are counted in 32 bits too.
        let counted = u32::try_from(shape.total() * u64::from(self.depth().max(1)));
        match counted.map(|_| shape.total() as u32) {
            Ok(total) if alike && self.tensors().all(|(_, tensor)| gapless(&tensor)) => {
                let tensors = self.tensors.map(|tensor| tensor.map(|tensor| Tensor { stride: None, ..tensor }));
                Self { shape: Shape::new(1, total), tensors, ..self.clone() }
            }
            _ => self.clone(),
        }
    }
}
