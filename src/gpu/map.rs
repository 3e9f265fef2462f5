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

use super::{Shape, Tensor};
use crate::gpu::compare::Exact;
use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, RecordError};
use crate::gpu::noise::{NoiseKey, Perturbation};
use crate::gpu::plan::builder::PlanBuilder;
use crate::gpu::plan::job::{Drawing, Job};
use crate::gpu::plan::plan::Plan;
use crate::gpu::shader::op::{Op, SLOTS, map as slots};
use crate::table::{Matrix, Table};

/// Which row of the table each sample uses.
#[derive(Clone, Copy, Debug)]
pub enum Timesteps<'a> {
    /// One for the whole batch, named at each recording by [`At::timestep`].
    Batch,
    /// One `u32` per sample, read from this buffer on the GPU. A value that is not in the table, or names a hole of it,
    /// makes that sample NaN and is counted in [`MapPlan::status`].
    PerSample {
        /// The buffer, with usage STORAGE.
        buffer: &'a wgpu::Buffer,
        /// Bytes before the first timestep: a multiple of 4.
        offset: u64,
    },
    /// One `u32` for the whole batch, read from this buffer on the GPU: a counter that the application, or
    /// [`Counter`](super::Counter), advances between recordings. Out of range, every sample becomes NaN.
    Shared {
        /// The buffer, with usage STORAGE.
        buffer: &'a wgpu::Buffer,
        /// Bytes before the timestep: a multiple of 4.
        offset: u64,
    },
}

impl<'a> Timesteps<'a> {
    /// A timestep for each sample, from the beginning of a buffer.
    pub const fn per_sample(buffer: &'a wgpu::Buffer) -> Self {
        Timesteps::PerSample { buffer, offset: 0 }
    }
}

/// The second input of a map.
#[derive(Clone, Copy, Debug)]
pub enum Second<'a> {
    /// A tensor.
    Given(Tensor<'a>),
    /// Standard normal noise, drawn in the kernel.
    Drawn(Drawn<'a>),
}

/// Noise that a kernel draws.
#[derive(Clone, Copy, Debug)]
pub struct Drawn<'a> {
    /// Seed, stream and first sample. Recording step `k` draws from stream `key.stream + k`.
    pub key: NoiseKey,
    /// How many noise steps may be recorded without setting a key: at least 1.
    pub steps: u32,
    /// Where to write the noise too, if anywhere.
    pub keep: Option<Tensor<'a>>,
    /// What is added to the noise, if anything.
    pub perturbed: Option<Perturbed>,
}

/// Noise that is not white: what is added to each element of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Perturbed {
    /// How much of what. Leave [`Perturbation::input`] at 0 for a target and for the loss, which do not see it.
    pub by: Perturbation,
    /// The elements of a channel: a sample is channel after channel.
    pub channel: u32,
}

impl<'a> Drawn<'a> {
    /// Noise of one step, not kept.
    pub const fn new(key: NoiseKey) -> Self {
        Self { key, steps: 1, keep: None, perturbed: None }
    }

    /// With this many noise steps, on consecutive streams.
    pub const fn steps(self, steps: u32) -> Self {
        Self { steps, ..self }
    }

    /// With something added to it; each channel of a sample has this many elements.
    pub const fn perturbed(self, by: Perturbation, channel: u32) -> Self {
        Self { perturbed: Some(Perturbed { by, channel }), ..self }
    }

    /// And written out.
    pub const fn keep(self, tensor: Tensor<'a>) -> Self {
        Self { keep: Some(tensor), ..self }
    }
}

/// What a [`MapPlan`] is made of.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    /// A matrix per timestep.
    pub table: &'a Table,
    /// The batch.
    pub shape: Shape,
    /// Which row each sample uses.
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

/// Which timestep and noise step a recording uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct At {
    /// The timestep of the whole batch, for [`Timesteps::Batch`]; `None` for [`Timesteps::PerSample`].
    pub timestep: Option<u32>,
    /// The noise step, below [`Drawn::steps`]: it draws from the plan's stream plus this, or with the key that
    /// [`MapPlan::set_key`] gave it. 0 where no noise is drawn.
    pub step: u32,
}

impl At {
    /// This timestep for the whole batch.
    pub const fn timestep(timestep: u32) -> Self {
        Self { timestep: Some(timestep), step: 0 }
    }

    /// This call of a loop for the whole batch; see [`StepPlan`](super::StepPlan).
    pub const fn call(call: u32) -> Self {
        Self::timestep(call)
    }

    /// Each sample's own timestep, or the batch's, from a buffer.
    pub const fn per_sample() -> Self {
        Self { timestep: None, step: 0 }
    }

    /// The same at this noise step.
    pub const fn step(self, step: u32) -> Self {
        Self { step, ..self }
    }
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
        let (drawn, given) = match map.in1 {
            Second::Given(tensor) => (None, Some(tensor)),
            Second::Drawn(drawn) => (Some(drawn), None),
        };
        let mut tensors = [None; SLOTS];
        tensors[slots::IN0] = map.in0;
        tensors[slots::IN1] = given;
        tensors[slots::OUT0] = Some(map.out0);
        tensors[slots::OUT1] = map.out1;
        tensors[slots::NOISE_OUT] = drawn.and_then(|drawn| drawn.keep);
        let rows = map.table.rounded()?;
        let job = Job {
            rows: rows.iter().map(|row| row.as_ref().map(<[f32; 4]>::as_slice)).collect(),
            drawn: drawn.map(Drawing::of),
            ..Job::new(Op::Map, map.shape, map.timesteps, tensors)
        };
        Ok(Self { plan: PlanBuilder::plan(context, &job, |draft| draft.stream(&job))? })
    }

    /// Makes a plan that fills a tensor with standard normal noise: the row (0, 1) and no first input. It is recorded at
    /// timestep 0.
    pub fn fill(context: &Context, shape: Shape, noise: Drawn<'_>, out: Tensor<'_>) -> Result<Self, PlanError> {
        let table = Table::new([[[0.0, 1.0], [0.0, 0.0]]]);
        let (timesteps, in1) = (Timesteps::Batch, Second::Drawn(noise));
        Self::new(context, &Map { table: &table, shape, timesteps, in0: None, in1, out0: out, out1: None })
    }

    /// Records the map into the caller's pass: one dispatch, or one for each window of buffers that are larger than the
    /// device binds at once, and one ahead where it binds few buffers at all (see `guide`). Sets the pipeline and bind group 0. No heap allocation, no upload, no submit.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>, at: At) -> Result<(), RecordError> {
        self.plan.record(pass, at)
    }

    /// Records the map into a compute pass of its own.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder, at: At) -> Result<(), RecordError> {
        self.plan.encode(encoder, at)
    }

    /// Dispatches of one recording.
    pub fn dispatches(&self) -> usize {
        self.plan.dispatches.len()
    }

    /// Gives a noise step another key, stream included, through the caller's queue: it holds for whatever is submitted
    /// after this call. For loops longer than the plan's steps. Recording itself never writes.
    pub fn set_key(&self, queue: &wgpu::Queue, step: u32, key: NoiseKey) -> Result<(), RecordError> {
        self.plan.set_key(queue, step, key)
    }

    /// For timesteps from a buffer: a buffer whose first `u32` counts the samples whose timestep was out of range or at a
    /// hole, over all recordings since it was last cleared. It may be copied from and cleared by the caller's encoder. Of
    /// several plans over the same timesteps, looking at one is enough.
    pub fn status(&self) -> Option<&wgpu::Buffer> {
        self.plan.status.as_ref()
    }
}

/// One row applied to two numbers in f64: the twin of the kernels' innermost line.
///
/// Each result carries the sum of the magnitudes of its terms, which its error bound scales with (see
/// [`compare`](super::compare)).
pub fn apply(m: &Matrix, in0: f64, in1: f64) -> [Exact; 2] {
    m.map(|[c0, c1]| Exact { value: c0 * in0 + c1 * in1, magnitude: (c0 * in0).abs() + (c1 * in1).abs() })
}

/// What a map must give, in f64: `[out0, out1]`, sample after sample without gaps.
///
/// `timesteps` holds one row index per sample; `in0` and `in1` hold the batch without gaps. A sample whose timestep is
/// out of range or a hole is NaN, as on the GPU. Shorter inputs end the result early.
pub fn reference(table: &Table, timesteps: &[u32], elements: usize, in0: &[f64], in1: &[f64]) -> [Vec<Exact>; 2] {
    let undefined = [Exact { value: f64::NAN, magnitude: f64::NAN }; 2];
    let samples = in0.chunks(elements.max(1)).zip(in1.chunks(elements.max(1))).zip(timesteps);
    samples
        .flat_map(|((in0, in1), &t)| {
            let row = table.row(t as usize);
            in0.iter().zip(in1).map(move |(&a, &b)| row.map_or(undefined, |m| apply(m, a, b)))
        })
        .map(|[first, second]| (first, second))
        .unzip::<_, _, Vec<_>, Vec<_>>()
        .into()
}
