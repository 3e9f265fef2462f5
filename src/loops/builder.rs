//! The plans of a loop under construction, and the masks of its calls.

use super::asked::{Asked, Levels};
use super::call::ALIGNMENT;
use super::tensors::{LoopMask, LoopTensors, check_count};
use crate::error::Error;
use crate::gpu::context::Context;
use crate::gpu::differential_mask::DifferentialMask;
use crate::gpu::inputs::Recording;
use crate::gpu::plan::plan::Plan;
use crate::gpu::tensor::{Shape, Tensor};
use crate::math::run::run_loop::RunLoop;

/// A recording of a plan at one of its rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    pub plan: usize,
    pub at: Recording,
}

/// The work around a call of the network.
#[derive(Clone, Debug, Default)]
pub(super) struct Around {
    pub before: Vec<Work>,
    pub after: Vec<Work>,
}

/// The plans of a loop, and their ingredients.
pub(super) struct Builder<'a> {
    pub context: &'a Context,
    pub run: &'a RunLoop,
    pub shape: Shape,
    pub tensors: LoopTensors<'a>,
    pub plans: Vec<Plan>,
}

impl Builder<'_> {
    /// Adds a plan. Returns a function that gives its work at a row.
    pub fn add(&mut self, plan: Plan) -> impl Fn(usize) -> Work + use<> {
        self.plans.push(plan);
        let plan = self.plans.len() - 1;
        move |row| Work { plan, at: Recording::call(row as u32) }
    }

    /// Creates a tensor of the loop's own, in f32, filled with zeros.
    pub fn own(&self, name: &str) -> wgpu::Buffer {
        let label = format!("tweedie::Loop::{name}");
        self.context.zeroed_buffer(&label, wgpu::BufferUsages::STORAGE, 4 * self.shape.total())
    }

    /// Adds a plan with rows for these levels, and returns its work at each call.
    pub fn at_calls(&mut self, levels: Levels<'_>, calls: usize, plan: Plan) -> Vec<Work> {
        self.plans.push(plan);
        let plan = self.plans.len() - 1;
        (0..calls).map(|call| Work { plan, at: levels.recording(call) }).collect()
    }

    /// Adds a plan with a row for each call; if calls have masks of their own, also one moved to each mask. Returns the work of each
    /// call.
    pub fn masked(
        &mut self,
        masks: &Masks<'_>,
        levels: Levels<'_>,
        calls: usize,
        first: Plan,
    ) -> Result<Vec<Work>, Error> {
        let others: Vec<Plan> = (1..masks.count.min(calls))
            .map(|k| first.moved(self.context, &[("known.mask", masks.at(k))]))
            .collect::<Result<_, _>>()?;
        let mut work = self.at_calls(levels, calls, first);
        for (k, plan) in others.into_iter().enumerate() {
            work[k + 1] = self.add(plan)(k + 1);
        }
        Ok(work)
    }

    /// The masks of the calls.
    pub fn masks<'m>(
        &mut self,
        mask: LoopMask<'m>,
        asked: &[Asked],
        around: &mut [Around],
    ) -> Result<Masks<'m>, Error> {
        match mask {
            LoopMask::Tensor(mask) if self.run.is_differential() => {
                let of_call = self.own("mask");
                let each = asked.iter().filter_map(|asked| self.run.mask_threshold(asked.facts.told));
                let (strengths, thresholds): (Vec<f64>, Vec<f64>) = each.unzip();
                let strength = strengths.first().copied().unwrap_or(0.0);
                let request =
                    DifferentialMask { mask, shape: self.shape, of_call: &of_call, thresholds: &thresholds, strength };
                let work = self.add(request.plan(self.context)?);
                around.iter_mut().enumerate().for_each(|(k, around)| around.before.push(work(k)));
                Ok(Masks { of: Whose::Own(of_call), stride: 0, count: 1 })
            }
            LoopMask::Tensor(tensor) => Ok(Masks { of: Whose::Given(tensor), stride: 0, count: 1 }),
            LoopMask::Host(mask) => {
                check_count("mask", mask.len(), self.shape)?;
                let count = if self.run.is_differential() { asked.len() } else { 1 };
                let stride = (4 * self.shape.total()).next_multiple_of(ALIGNMENT);
                let mut bytes = Vec::new();
                for (k, asked) in asked.iter().take(count).enumerate() {
                    bytes.resize(k * stride as usize, 0);
                    let mask = self.run.mask(Some(mask), asked.facts.told).unwrap_or_default();
                    bytes.extend(mask.iter().flat_map(|m| (*m as f32).to_le_bytes()));
                }
                let buffer = self.context.buffer_with("tweedie::Loop::masks", wgpu::BufferUsages::STORAGE, &bytes)?;
                Ok(Masks { of: Whose::Own(buffer), stride, count })
            }
        }
    }
}

/// The masks of the calls: one for all, or one for each.
pub(super) struct Masks<'a> {
    of: Whose<'a>,
    stride: u64,
    count: usize,
}

enum Whose<'a> {
    Given(Tensor<'a>),
    Own(wgpu::Buffer),
}

impl Masks<'_> {
    /// The mask of a call.
    pub fn at(&self, call: usize) -> Tensor<'_> {
        let offset = call.min(self.count.saturating_sub(1)) as u64 * self.stride;
        match &self.of {
            Whose::Given(tensor) => *tensor,
            Whose::Own(buffer) => Tensor::f32(buffer).at(offset),
        }
    }
}
