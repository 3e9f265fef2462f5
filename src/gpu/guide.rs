//! guide: several predictions of one call mixed into one.
//!
//! **Theory.** [`GuideRow`] has the formula. A mixture whose weights are fixed for a call is one streaming kernel. Where the
//! weights follow from sums over a sample, a reduction computes all sums at once, in an order that depends on the size of a
//! sample alone: each result is the same in every batch.
//!
//! **Practice.** [`Guide::plan`] makes a [`Plan`] of the calls of a [`Guider`](crate::math::Guider). Recorded before a step, it
//! writes the guided prediction, which the step takes as its only prediction: guidance therefore works with every solver,
//! storage and mask. The guided prediction may replace the conditional one. The host names the call at each recording, or the
//! GPU reads it for each sample.
//!
//! Host twin of `shaders/guide/mixture.wgsl` and `shaders/guide/sums.wgsl`:
//! [`GuidanceLoop`](crate::math::guidance::GuidanceLoop).

use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, check_limit};
use crate::gpu::inputs::Timesteps;
use crate::gpu::plan::builder::PlanBuilder;
use crate::gpu::plan::job::Job;
use crate::gpu::plan::layout::chunks;
use crate::gpu::plan::plan::Plan;
use crate::gpu::plan::reduce::ReductionPass;
use crate::gpu::plan::rows::{Accepts, GuideBounds};
use crate::gpu::plan::words::WordRange;
use crate::gpu::shader::fold::Fold;
use crate::gpu::shader::op::Op;
use crate::gpu::shader::params::{CO_MOMENTS_BYTES, FoldParams};
use crate::gpu::shader::slots::{SLOTS, guide as slots};
use crate::gpu::tensor::{Shape, Tensor};
use crate::table::guide::GuideRow;
use wgpu::BufferUsages;

/// The request for the plan of guidance.
///
/// ```
/// use tweedie::gpu::Guide;
/// use tweedie::math::Guider;
/// use tweedie::table::GuideRow;
/// use tweedie::{Context, Plan, Shape, Tensor};
///
/// /// Adaptive projected guidance of 20 calls, over the conditional prediction.
/// fn plan(context: &Context, [conditional, unconditional]: [Tensor<'_>; 2]) -> Result<Plan, tweedie::Error> {
///     let guider = Guider::CATALOGUE.find("apg")?.build(&[("guidance_scale", 7.5), ("eta", 0.0)])?;
///     let rows: Vec<GuideRow> = guider.calls(20)?.map(|call| call.row).collect();
///     let shape = Shape::new(2, 4 * 64 * 64);
///     let guide = Guide { unconditional: Some(unconditional), ..Guide::in_place(&rows, shape, conditional) };
///     Ok(guide.plan(context)?)
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Guide<'a> {
    /// A row for each call.
    pub rows: &'a [GuideRow],
    /// The batch. Sums run over the elements of a sample.
    pub shape: Shape,
    /// The call that each sample is at.
    pub calls: Timesteps<'a>,
    /// The prediction with the condition.
    pub conditional: Tensor<'a>,
    /// The prediction without it.
    pub unconditional: Option<Tensor<'a>>,
    /// The third prediction of the [method](crate::math::guidance).
    pub third: Option<Tensor<'a>>,
    /// The fourth prediction of the [method](crate::math::guidance).
    pub fourth: Option<Tensor<'a>>,
    /// The running sum of differences, for rows with momentum: read and written. The rows of
    /// [`Guider::calls`](crate::math::Guider::calls) ignore what it holds before the first call.
    pub momentum: Option<Tensor<'a>>,
    /// The tensor for the guided prediction. It may be the very same elements as a prediction.
    pub guided: Tensor<'a>,
}

impl<'a> Guide<'a> {
    /// A request whose result replaces the conditional prediction, with one call for the batch; the other predictions are for
    /// `..`.
    pub const fn in_place(rows: &'a [GuideRow], shape: Shape, conditional: Tensor<'a>) -> Self {
        Self {
            rows,
            shape,
            calls: Timesteps::Batch,
            conditional,
            unconditional: None,
            third: None,
            fourth: None,
            momentum: None,
            guided: conditional,
        }
    }

    /// Makes the plan of all calls.
    ///
    /// A recording is one dispatch, and two more before it if a row's weights follow from sums or its result is rescaled; more
    /// for buffers that are larger than the device binds at once.
    ///
    /// # Errors
    /// [`PlanError`] lists the inputs that are rejected.
    pub fn plan(&self, context: &Context) -> Result<Plan, PlanError> {
        let summed = self.rows.iter().any(GuideRow::sums);
        let bounds = GuideBounds {
            predictions: [self.unconditional, self.third, self.fourth].map(|tensor| tensor.is_some()),
            momentum: self.momentum.is_some(),
            sums: summed,
        };
        let rows = bounds.rounded(0, self.rows)?;
        let mut tensors = [None; SLOTS];
        tensors[slots::CONDITIONAL] = Some(self.conditional);
        tensors[slots::UNCONDITIONAL] = self.unconditional;
        tensors[slots::THIRD] = self.third;
        tensors[slots::FOURTH] = self.fourth;
        tensors[slots::MOMENTUM] = self.momentum;
        tensors[slots::GUIDED] = Some(self.guided);
        tensors[slots::NEXT_MOMENTUM] = self.momentum;
        let (shape, runs) = self.calls.runs_of(self.shape)?;
        if summed && runs.is_some() {
            let (expected, found) = ("weights that are fixed for a call", "weights that follow from sums of a sample");
            return Err(PlanError::Grouped { expected, found });
        }
        let job = Job::new(Op::Guide { summed }, shape, self.calls, tensors, &rows);
        let job = Job { runs, accepts: Accepts::Guide(bounds), ..job };
        PlanBuilder::plan(context, &job, |plan| {
            let moments = summed.then(|| moments(plan, &job)).transpose()?;
            plan.stream(&Job { scales: moments.as_ref(), ..job.clone() })
        })
    }
}

/// Adds the reduction that computes the sums of each sample, and returns the buffer of the sums.
fn moments(plan: &mut PlanBuilder<'_>, job: &Job<'_>) -> Result<wgpu::Buffer, PlanError> {
    let allowed = plan.context.limits().max_storage_buffer_binding_size;
    let size = CO_MOMENTS_BYTES * u64::from(job.shape.batch);
    check_limit("samples", "max_storage_buffer_binding_size", allowed, size)?;
    let moments = plan.context.zeroed_buffer("tweedie::Guide::moments", BufferUsages::STORAGE, size);
    let parts = chunks(job.shape.elements);
    let mut tensors = job.tensors;
    tensors[slots::INPUTS..].fill(None);
    let reduction = ReductionPass {
        job: Job { op: Op::GuideSums, tensors, ..job.clone() },
        partial_bytes: CO_MOMENTS_BYTES * u64::from(parts),
        digits: &[0],
        fold: Fold::Guide,
        params: FoldParams { parts, ..FoldParams::default() },
        output: WordRange::of(&moments),
        mean: None,
    };
    reduction.add_to(plan)?;
    Ok(moments)
}
