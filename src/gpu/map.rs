//! map: every op that is a 2x2 matrix per timestep, as one streaming kernel.
//!
//! **Theory.** Noising, training targets, conversions between predictions and the posterior mean are all
//!
//! ```text
//! out0 = m[0][0] * in0 + m[0][1] * in1
//! out1 = m[1][0] * in0 + m[1][1] * in1
//! ```
//!
//! with the matrix `m` of each sample's timestep. `in1` may be noise that is drawn in the kernel and never stored, and the
//! second output may be left out. The kernel reads each input once and writes each output once; nothing else moves.
//!
//! **Practice.** A [`MapPlan`] is made once for a shape, a table and a set of buffers: it compiles (at the first plan of
//! its kind), uploads the table and makes the bind groups. Recording it afterwards is a few calls on the caller's pass:
//! no submit, no poll, no allocation, no upload. It holds its buffers alive. One plan may be recorded any number of times.
//!
//! Host twin of `shaders/op/map.wgsl`: [`reference()`].

use crate::gpu::compare::Expected;
use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, RecordError};
use crate::gpu::inputs::{At, Drawn, Second, Timesteps};
use crate::gpu::plan::builder::PlanBuilder;
use crate::gpu::plan::job::{Job, Roles};
use crate::gpu::plan::keys::Drawing;
use crate::gpu::plan::plan::Plan;
use crate::gpu::shader::op::{Op, SLOTS, map as slots};
use crate::gpu::tensor::{Shape, Tensor};
use crate::noise::NoiseKey;
use crate::table::{Matrix, Table};

/// The inputs of a [`MapPlan`].
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    /// A matrix per timestep.
    pub table: &'a Table,
    /// The batch.
    pub shape: Shape,
    /// The row that each sample uses.
    pub timesteps: Timesteps<'a>,
    /// The first input; `None` reads as zero.
    pub in0: Option<Tensor<'a>>,
    /// The second input.
    pub in1: Second<'a>,
    /// The first output. An output may be the very same elements as an input.
    pub out0: Tensor<'a>,
    /// The second output.
    pub out1: Option<Tensor<'a>>,
}

/// A map that is ready to be recorded.
#[derive(Debug)]
pub struct MapPlan {
    plan: Plan,
}

impl MapPlan {
    /// Makes a plan.
    ///
    /// Cost: the first plan of a kind compiles a shader (milliseconds to a second, by the driver); every plan uploads 16
    /// bytes a row (one aligned slot a row for one timestep per batch), which wgpu carries out with the next submit. See
    /// [`PlanError`] for what is rejected.
    pub fn new(context: &Context, map: &Map<'_>) -> Result<Self, PlanError> {
        Self::in_roles(context, map, Op::Map.roles())
    }

    /// Makes a plan whose tensors have these names, by slot.
    pub(crate) fn in_roles(context: &Context, map: &Map<'_>, roles: Roles) -> Result<Self, PlanError> {
        let drawn = map.in1.drawn();
        let mut tensors = [None; SLOTS];
        tensors[slots::IN0] = map.in0;
        tensors[slots::IN1] = map.in1.tensor();
        tensors[slots::OUT0] = Some(map.out0);
        tensors[slots::OUT1] = map.out1;
        tensors[slots::NOISE_OUT] = drawn.and_then(|drawn| drawn.keep);
        let rows = map.table.rounded()?;
        let job = Job::new(Op::Map, map.shape, map.timesteps, tensors, &rows);
        let job = Job { drawn: drawn.map(Drawing::of), roles, ..job };
        Ok(Self { plan: PlanBuilder::plan(context, &job, |plan| plan.stream(&job))? })
    }

    /// Makes a plan that fills a tensor with standard normal noise: the row (0, 1) and no first input. It is recorded at
    /// timestep 0.
    pub fn fill(context: &Context, shape: Shape, noise: Drawn<'_>, out: Tensor<'_>) -> Result<Self, PlanError> {
        let table = Table::new([[[0.0, 1.0], [0.0, 0.0]]]);
        let (timesteps, in1) = (Timesteps::Batch, Second::Drawn(noise));
        Self::new(context, &Map { table: &table, shape, timesteps, in0: None, in1, out0: out, out1: None })
    }

    /// Records the map into the caller's pass: one dispatch, or one for each window of buffers that are larger than the
    /// device binds at once, and one ahead of them in the four-buffer form (see `guide`). Sets the pipeline and bind group
    /// 0. No heap allocation, no upload, no submit.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>, at: At) -> Result<(), RecordError> {
        self.plan.record(pass, at)
    }

    /// Records the map into a compute pass of its own.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder, at: At) -> Result<(), RecordError> {
        self.plan.encode(encoder, at)
    }

    /// The same plan on other tensors, by their roles: the names of the request's fields. It costs bind groups and nothing
    /// else. Roles that are not named stay where they are. Both plans share keys, rows and status.
    ///
    /// A tensor must have the storage and stride of the one before, and an offset that differs by a multiple of the device's
    /// `min_storage_buffer_offset_alignment`. Tensors share a buffer with an output exactly where they did, and work in
    /// place where they did: name both. Words (timesteps, seeds, results) are given as f32 tensors.
    ///
    /// # Errors
    /// [`PlanError::Moved`] names the role and what differs, [`PlanError::Role`] lists the roles; or what else is wrong with
    /// a tensor.
    pub fn moved(&self, context: &Context, tensors: &[(&str, Tensor<'_>)]) -> Result<Self, PlanError> {
        Ok(Self { plan: self.plan.moved(context, tensors)? })
    }

    /// Returns `true` if a tensor of the plan has this role.
    pub(crate) fn has_role(&self, role: &str) -> bool {
        self.plan.has_role(role)
    }

    /// Dispatches of one recording.
    pub fn dispatches(&self) -> usize {
        self.plan.dispatches()
    }

    /// Gives a noise step another key, stream included, through the caller's queue. It holds for all that is submitted
    /// after this call; loops longer than the plan's steps need it. Recording itself never writes.
    pub fn set_key(&self, queue: &wgpu::Queue, step: u32, key: NoiseKey) -> Result<(), RecordError> {
        self.plan.set_key(queue, step, key)
    }

    /// The status buffer, for timesteps from a buffer. Its first `u32` counts the samples whose timestep was out of range
    /// or without a row, over all recordings since it was last cleared. The caller's encoder may copy and clear it. One
    /// of several plans over the same timesteps is enough to look at.
    pub fn status(&self) -> Option<&wgpu::Buffer> {
        self.plan.status()
    }
}

/// One row applied to two numbers in f64: the twin of the kernels' innermost line.
///
/// Each result carries the sum of the magnitudes of its terms, which its error bound scales with (see
/// [`compare`](crate::gpu::compare)).
pub fn apply(m: &Matrix, in0: f64, in1: f64) -> [Expected; 2] {
    m.map(|[c0, c1]| Expected { value: c0 * in0 + c1 * in1, magnitude: (c0 * in0).abs() + (c1 * in1).abs() })
}

/// The outputs of a map in f64: `[out0, out1]`, sample after sample without gaps.
///
/// `timesteps` holds one row index per sample; `in0` and `in1` hold the batch without gaps. A sample whose timestep is
/// out of range or without a row is NaN, as on the GPU. Shorter inputs end the result early.
pub fn reference(table: &Table, timesteps: &[u32], elements: usize, in0: &[f64], in1: &[f64]) -> [Vec<Expected>; 2] {
    let samples = in0.chunks(elements.max(1)).zip(in1.chunks(elements.max(1))).zip(timesteps);
    samples
        .flat_map(|((in0, in1), &t)| {
            // Out of range and undefined are the same to a kernel, which reads NaN for both.
            let row = table.row(t as usize);
            in0.iter().zip(in1).map(move |(&a, &b)| row.map_or([Expected::UNDEFINED; 2], |m| apply(m, a, b)))
        })
        .map(|[first, second]| (first, second))
        .unzip::<_, _, Vec<_>, Vec<_>>()
        .into()
}
