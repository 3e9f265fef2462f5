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
//! second output may be left out. The kernel reads each input once and writes each output once, and moves nothing else.
//!
//! **Practice.** [`Map::plan`] makes a [`Plan`], which is recorded into the caller's pass. [`Plan::fill`] is the map that writes
//! noise alone.
//!
//! Host twin of `shaders/op/map.wgsl`: [`Map::reference`].

use crate::gpu::compare::Expected;
use crate::gpu::context::Context;
use crate::gpu::error::PlanError;
use crate::gpu::inputs::{Drawn, Noise, Timesteps};
use crate::gpu::plan::builder::PlanBuilder;
use crate::gpu::plan::job::{Job, Roles};
use crate::gpu::plan::keys::Keys;
use crate::gpu::plan::plan::Plan;
use crate::gpu::plan::rows::Accepts;
use crate::gpu::shader::op::Op;
use crate::gpu::shader::slots::{SLOTS, map as slots};
use crate::gpu::tensor::{Shape, Tensor};
use crate::table::{Matrix, Table};
use std::sync::Arc;

/// The request for the plan of a map.
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
    /// The second input: a tensor, or noise; [`Noise::None`] reads as zero.
    pub in1: Noise<'a>,
    /// The first output. An output may be the very same elements as an input.
    pub out0: Tensor<'a>,
    /// The second output.
    pub out1: Option<Tensor<'a>>,
}

impl Map<'_> {
    /// Makes the plan.
    ///
    /// Cost: the first plan of a kind compiles a shader (milliseconds to a second, depending on the driver); every plan uploads
    /// 16 bytes a row (one aligned slot a row for one timestep per batch), which wgpu carries out with the next submit. A
    /// recording is one dispatch, or one for each window of buffers that are larger than the device binds at once, and one
    /// ahead of them on devices with few storage buffers, where a dispatch first lays out the row of each sample.
    ///
    /// # Errors
    /// [`PlanError`] lists the inputs that are rejected.
    pub fn plan(&self, context: &Context) -> Result<Plan, PlanError> {
        self.in_roles(context, Op::Map.roles(), None)
    }

    /// Makes a plan whose tensors have these names, by slot, with keys that another plan has uploaded already.
    pub(crate) fn in_roles(
        &self,
        context: &Context,
        roles: Roles,
        keys: Option<&Arc<Keys>>,
    ) -> Result<Plan, PlanError> {
        let mut tensors = [None; SLOTS];
        tensors[slots::IN0] = self.in0;
        tensors[slots::IN1] = self.in1.tensor();
        tensors[slots::OUT0] = Some(self.out0);
        tensors[slots::OUT1] = self.out1;
        let rows = self.table.rounded()?;
        let (shape, runs) = self.timesteps.runs_of(self.shape)?;
        let job = Job::new(Op::Map, shape, self.timesteps, tensors, &rows);
        let job = Job { roles, keys, runs, accepts: Accepts::Map, ..job }.drawing(self.in1, slots::NOISE_OUT);
        PlanBuilder::plan(context, &job, |plan| plan.stream(&job))
    }
}

impl Plan {
    /// Makes a plan that fills a tensor with standard normal noise: a map with the row (0, 1) and no first input. It is recorded
    /// at timestep 0.
    ///
    /// # Errors
    /// As [`Map::plan`].
    pub fn fill(context: &Context, shape: Shape, noise: Drawn<'_>, out: Tensor<'_>) -> Result<Self, PlanError> {
        let table = Table::new([[[0.0, 1.0], [0.0, 0.0]]]);
        let (timesteps, in1) = (Timesteps::Batch, Noise::Drawn(noise));
        Map { table: &table, shape, timesteps, in0: None, in1, out0: out, out1: None }.plan(context)
    }
}

impl Map<'_> {
    /// Applies one row to two numbers in f64: the twin of the kernels' innermost line.
    ///
    /// Each result carries the sum of the magnitudes of its terms, with which its error bound scales (see
    /// [`compare`](crate::gpu::compare)).
    pub fn apply(m: &Matrix, in0: f64, in1: f64) -> [Expected; 2] {
        m.map(|[c0, c1]| Expected { value: c0 * in0 + c1 * in1, magnitude: (c0 * in0).abs() + (c1 * in1).abs() })
    }

    /// Computes the outputs of a map in f64: `[out0, out1]`, sample after sample without gaps.
    ///
    /// `timesteps` holds one row index per sample; `in0` and `in1` hold the batch without gaps. A sample whose timestep is
    /// out of range or without a row is NaN, as on the GPU. Shorter inputs end the result early.
    pub fn reference(
        table: &Table,
        timesteps: &[u32],
        elements: usize,
        in0: &[f64],
        in1: &[f64],
    ) -> [Vec<Expected>; 2] {
        let samples = in0.chunks(elements.max(1)).zip(in1.chunks(elements.max(1))).zip(timesteps);
        samples
            .flat_map(|((in0, in1), &t)| {
                // Out of range and undefined are the same to a kernel, which reads NaN for both.
                let row = table.row(t as usize);
                in0.iter().zip(in1).map(move |(&a, &b)| row.map_or([Expected::UNDEFINED; 2], |m| Self::apply(m, a, b)))
            })
            .map(|[first, second]| (first, second))
            .unzip::<_, _, Vec<_>, Vec<_>>()
            .into()
    }
}
