//! The noise of another system, drawn in a kernel: a small dispatch that fills a buffer from counters.
//!
//! **Theory.** Where each element of a draw follows from a counter of its own, as on CUDA and in JAX, nothing needs to come from
//! the host; see [`Source`](crate::noise::Source).
//!
//! **Practice.** [`SourceDraw::new`] takes the state of a [`Generator`], [`SourceDraw::set`] that of a later draw. Sequential
//! sources (torch on a CPU, numpy) are drawn by the host and written to a tensor, 4 bytes a number. Host twin of
//! `shaders/standalone/draw_source.wgsl`: [`Generator::draw`].

use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, check_limit};
use crate::gpu::plan::words::WordRange;
use crate::gpu::shader::bindings::{entry, storage};
use crate::gpu::shader::codes::{Code, SourceKind};
use crate::gpu::shader::params::SourceParams;
use crate::gpu::shader::standalone::draw_source;
use crate::gpu::standalone_pass::{StandalonePass, workgroups};
use crate::noise::counters::Counters;
use crate::noise::generator::Generator;
use wgpu::BufferUsages;

/// Fills f32 numbers with one draw of a counter-based source of noise.
#[derive(Debug)]
pub struct SourceDraw {
    pass: StandalonePass,
    params: wgpu::Buffer,
    /// The parameters without the generator's state.
    shape: SourceParams,
}

impl SourceDraw {
    /// The largest difference between a number from the kernel and the host's number of the same counter, up to `|z|` = 5.
    /// Beyond that, JAX's normals may differ more: `1 - x^2` has few bits there, and a driver may fuse or round it.
    pub const TOLERANCE: f64 = 1e-5;

    /// Prepares the generator's next draw of `count` numbers into the f32 numbers from byte `offset` of a buffer with usage
    /// STORAGE. The generator does not move: [`Generator::advance`] does that.
    ///
    /// # Errors
    /// [`PlanError::Noise`] for a source that draws in sequence; [`PlanError`] for no numbers, a buffer that is too small or
    /// lacks the usage, an offset that is not a multiple of 4, or more than the device binds.
    pub fn new(
        context: &Context,
        generator: &Generator,
        count: u32,
        buffer: &wgpu::Buffer,
        offset: u64,
    ) -> Result<Self, PlanError> {
        if count == 0 {
            return Err(PlanError::NoWords);
        }
        let words = WordRange::at((buffer, offset), count);
        words.check("noise")?;
        words.check_binding("noise", context)?;
        check_limit("noise", "numbers of a draw", Generator::MAX_ELEMENTS as u64, u64::from(count))?;
        let workgroups = workgroups("noise", u64::from(count))?;
        let (out, first) = words.binding(context);
        let unused = [0; 3];
        let shape = SourceParams {
            count,
            first,
            groups_x: workgroups[0],
            kind: 0,
            key: [0; 2],
            call: [0; 2],
            threads: 1,
            unused,
        };
        let bindings = [entry(0, storage(true), false), entry(1, wgpu::BufferBindingType::Uniform, false)];
        let pipeline = context.small_pipeline("draw_source", draw_source, &bindings);
        let uniform = BufferUsages::UNIFORM | BufferUsages::COPY_DST;
        let written = at(shape, generator)?;
        let params = context.buffer_with("tweedie::SourceDraw::params", uniform, bytemuck::bytes_of(&written))?;
        let resources = [out.resource(), params.as_entire_binding()];
        let pass = StandalonePass::new(context, "tweedie::SourceDraw::group", pipeline, resources, workgroups);
        Ok(Self { pass, params, shape })
    }

    /// Sets the state that later submits draw from, through the caller's queue: a later draw, another seed, or another
    /// counter-based source.
    ///
    /// # Errors
    /// [`PlanError::Noise`] for a source that draws in sequence; then nothing changes.
    pub fn set(&self, queue: &wgpu::Queue, generator: &Generator) -> Result<(), PlanError> {
        queue.write_buffer(&self.params, 0, bytemuck::bytes_of(&at(self.shape, generator)?));
        Ok(())
    }

    /// Records the draw into the caller's pass: one dispatch.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        self.pass.record(pass);
    }
}

/// The parameters of the next draw of a generator.
fn at(shape: SourceParams, generator: &Generator) -> Result<SourceParams, PlanError> {
    let halves = |word: u64| [word as u32, (word >> 32) as u32];
    let of = |kind: SourceKind| SourceParams { kind: kind.code(), ..shape };
    match generator.counters(shape.count as usize) {
        Some(Counters::Cuda { seed, call, threads }) => {
            let threads = threads as u32; // at most the numbers of a draw, in blocks of 256
            Ok(SourceParams { key: halves(seed), call: halves(call), threads, ..of(SourceKind::Cuda) })
        }
        Some(Counters::Nv { seed, call }) => {
            Ok(SourceParams { key: halves(seed), call: halves(call), ..of(SourceKind::Nv) })
        }
        Some(Counters::Jax { key, original }) => {
            let kind = if original { SourceKind::JaxOriginal } else { SourceKind::Jax };
            Ok(SourceParams { key, ..of(kind) })
        }
        None => {
            let (expected, found) = ("torch-cuda, nv, jax or jax-original", generator.source().name());
            Err(PlanError::Noise { what: "noise drawn from counters", expected, found })
        }
    }
}
