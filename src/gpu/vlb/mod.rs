//! bound: a term of the variational bound for each sample, their mean, and the gradients, in one pass over the tensors.
//!
//! **Theory.** [`BoundRow`] says what is computed: a divergence, a decoder's likelihood or a squared error, whatever the
//! prediction and the variance. The posterior's mean and the model's are never formed, only their difference, so nothing of
//! it cancels; exponentials and logarithms are polynomials of the kernel's own. Sums are trees of a fixed order, as those of
//! a [loss](super::loss).
//!
//! **Practice.** A [`VlbPlan`] is recorded as a [`LossPlan`](super::LossPlan) is, each sample at its own timestep; a
//! [`ChainPlan`] keeps the terms of all timesteps and adds them up. The gradients are the full ones of the bound, that of
//! the prediction and that of the learned variance. Training with a hybrid loss stops the first: leave it out.
//!
//! Host twin of `shaders/op/vlb.wgsl`: [`reference()`].

mod chain;
mod reference;

pub use chain::{ChainPlan, ChainTerms};
pub use reference::{Batch, Terms, reference};

use super::{Shape, Tensor};
use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, RecordError};
use crate::gpu::loss::Of;
use crate::gpu::map::{At, Second, Timesteps};
use crate::gpu::noise::NoiseKey;
use crate::gpu::plan::job::{Drawing, Job};
use crate::gpu::plan::plan::Plan;
use crate::gpu::plan::sums::Sums;
use crate::gpu::shader::op::{Op, SLOTS, vlb as slots};
use crate::table::{BoundRow, Table, Term};

/// What a term or a gradient may be off by, in units of the bound of a [`Comparison`](crate::gpu::compare::Comparison), which
/// allows for four roundings: those of an exponential or a logarithm of ours, of products and two quotients around it, which
/// WGSL permits to be off by 2.5 ULP; of a term, one for each doubling of its elements, of which most cancel.
pub const ROUNDINGS: f64 = 2.0;

/// What a term of the bound is computed from.
#[derive(Clone, Copy, Debug)]
pub struct VlbInputs<'a> {
    /// A row for each timestep.
    pub table: &'a Table<BoundRow>,
    /// The clean sample that the prediction implies is clamped to `-clip..=clip`.
    pub clip: Option<f64>,
    /// The batch.
    pub shape: Shape,
    /// The network's output.
    pub prediction: Tensor<'a>,
    /// Its second output, if a row looks at it: what its variance is learned by.
    pub learned: Option<Tensor<'a>>,
    /// The clean sample.
    pub x0: Tensor<'a>,
    /// The noise, given or drawn as for the noising, or the noisy sample: what the rows are for, if one looks at it.
    pub in1: Option<Second<'a>>,
    /// As [`Loss::seeds`](super::Loss::seeds).
    pub seeds: Option<(&'a wgpu::Buffer, u64)>,
}

/// What a [`VlbPlan`] is made of.
#[derive(Clone, Copy, Debug)]
pub struct VlbTerms<'a> {
    /// What the terms are computed from.
    pub inputs: VlbInputs<'a>,
    /// Which row each sample uses.
    pub timesteps: Timesteps<'a>,
    /// Where the term of each sample goes: an `f32` each, from this byte of a buffer with usage STORAGE.
    pub terms: (&'a wgpu::Buffer, u64),
    /// Where their mean goes: one `f32`.
    pub mean: Option<(&'a wgpu::Buffer, u64)>,
    /// Where the gradient with respect to the prediction goes. It may be the very same elements as the prediction. Where x0
    /// is clipped it is 0.
    pub gradient: Option<Tensor<'a>>,
    /// Where the gradient with respect to the second output goes. It may be the very same elements.
    pub learned_gradient: Option<Tensor<'a>>,
    /// What the gradients are of.
    pub of: Of,
}

/// A term of the bound that is ready to be recorded.
#[derive(Debug)]
pub struct VlbPlan {
    plan: Plan,
}

impl VlbPlan {
    /// Makes a plan.
    ///
    /// Cost: the first plan of a kind compiles one to three shaders; every plan uploads 32 bytes a row and allocates, where
    /// samples have more, 4 bytes for each 4096 elements of them, up to 8 MiB.
    ///
    /// # Errors
    /// [`PlanError`] says what is rejected.
    pub fn new(context: &Context, bound: &VlbTerms<'_>) -> Result<Self, PlanError> {
        let VlbTerms { inputs, timesteps, terms, mean, gradient, learned_gradient, of } = *bound;
        inputs.check()?;
        let share = of.share(inputs.shape);
        let table = inputs.scaled(share);
        let rows = table.rounded()?;
        let mut job = inputs.job(timesteps, &rows);
        job.tensors[slots::GRADIENT] = gradient;
        job.tensors[slots::LEARNED_GRADIENT] = learned_gradient;
        let sums = Sums { job, factor: 1.0 / share, samples: ("terms", terms), mean };
        Ok(Self { plan: sums.plan(context)? })
    }

    /// Records the term into the caller's pass. Sets the pipeline and bind group 0. No heap allocation, no upload, no submit.
    ///
    /// # Errors
    /// [`RecordError`]; then nothing has been recorded.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>, at: At) -> Result<(), RecordError> {
        self.plan.record(pass, at)
    }

    /// Records the term into a compute pass of its own.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder, at: At) -> Result<(), RecordError> {
        self.plan.encode(encoder, at)
    }

    /// Dispatches of one recording.
    pub fn dispatches(&self) -> usize {
        self.plan.dispatches.len()
    }

    /// As [`MapPlan::set_key`](super::MapPlan::set_key).
    ///
    /// # Errors
    /// [`RecordError`] for a plan that draws no noise, and a step that it does not have.
    pub fn set_key(&self, queue: &wgpu::Queue, step: u32, key: NoiseKey) -> Result<(), RecordError> {
        self.plan.set_key(queue, step, key)
    }

    /// For timesteps from a buffer: as [`MapPlan::status`](super::MapPlan::status).
    pub fn status(&self) -> Option<&wgpu::Buffer> {
        self.plan.status.as_ref()
    }
}

impl<'a> VlbInputs<'a> {
    /// The rows with all that multiplies the gradients in their weight, so that it is rounded once.
    fn scaled(&self, share: f64) -> Table<BoundRow> {
        let factor = share / f64::from(self.shape.elements.max(1));
        self.table.map(|row| row.times(factor))
    }

    /// What sums the terms up, without gradients.
    fn job<'b>(&self, timesteps: Timesteps<'b>, rows: &'b [Option<[f32; 8]>]) -> Job<'b>
    where
        'a: 'b,
    {
        let (given, drawn) = match self.in1 {
            Some(Second::Given(tensor)) => (Some(tensor), None),
            Some(Second::Drawn(drawn)) => (None, Some(drawn)),
            None => (None, None),
        };
        let mut tensors = [None; SLOTS];
        tensors[slots::PREDICTION] = Some(self.prediction);
        tensors[slots::LEARNED] = self.learned;
        tensors[slots::X0] = Some(self.x0);
        tensors[slots::IN1] = given;
        tensors[slots::NOISE_OUT] = drawn.and_then(|drawn| drawn.keep);
        Job {
            rows: rows.iter().map(|row| row.as_ref().map(<[f32; 8]>::as_slice)).collect(),
            drawn: drawn.map(Drawing::of),
            seeds: drawn.and(self.seeds).map(|(buffer, offset)| Tensor::f32(buffer).at(offset)),
            limit: self.clip.map_or(f32::MAX, |clip| clip as f32),
            ..Job::new(Op::Vlb { clips: self.clip.is_some() }, self.shape, timesteps, tensors)
        }
    }

    fn check(&self) -> Result<(), PlanError> {
        if let Some(found) = self.clip.filter(|clip| !(clip.is_finite() && (*clip as f32).is_normal() && *clip > 0.0)) {
            return Err(PlanError::Rule { what: "clip range", expected: "finite and above 0", found });
        }
        let missing = |what, absent: bool, looks: &dyn Fn(&BoundRow) -> bool| {
            let row = self.table.rows().iter().position(|row| absent && row.as_ref().is_some_and(looks));
            row.map_or(Ok(()), |row| Err(PlanError::Missing { what, row }))
        };
        missing("in1", self.in1.is_none(), &|row| row.inputs[1] != 0.0)?;
        missing("learned", self.learned.is_none(), &|row| row.log_ratio[1] != 0.0 && row.term != Term::SquaredError)
    }
}
