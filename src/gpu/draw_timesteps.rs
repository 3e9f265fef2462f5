//! Timesteps drawn on the GPU: one small dispatch that fills the buffer from which noising and loss read them.
//!
//! **Theory.** A distribution is a division of the 2^32 random words into consecutive ranges; see
//! [`TimestepDensity`](crate::math::TimestepDensity), whose draws these are to the bit.
//!
//! **Practice.** A [`TimestepPlan`] holds the ends of the ranges, which may be replaced between submits (importance
//! sampling), and a key for each recorded step. Host twin of `shaders/standalone/draw_timesteps.wgsl`: the density's `draw`.

use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, RecordError, check_limit};
use crate::gpu::plan::entry::Part;
use crate::gpu::plan::keys::{Drawing, Keys};
use crate::gpu::plan::layout::binding_alignment;
use crate::gpu::plan::place::Places;
use crate::gpu::plan::plan::{Dispatch, Offsets};
use crate::gpu::plan::role::RESULTS;
use crate::gpu::plan::words::WordRange;
use crate::gpu::shader::bindings::{entry, storage};
use crate::gpu::shader::params::{MAX_GROUPS, SMALL_WORKGROUP, TimestepParams};
use crate::gpu::shader::standalone;
use crate::gpu::tensor::Tensor;
use crate::noise::{NoiseKey, TIMESTEP_BLOCK};
use std::mem::offset_of;
use std::sync::Arc;
use wgpu::BufferUsages;

/// The number of random words that timesteps share.
const WORDS: u64 = 1 << 32;

/// The inputs of a [`TimestepPlan`].
#[derive(Clone, Copy, Debug)]
pub struct TimestepDraw<'a> {
    /// The end of each timestep's range of words, rising to 2^32: [`TimestepDensity::ends`](crate::math::TimestepDensity).
    pub ends: &'a [u64],
    /// Samples of the batch.
    pub batch: u32,
    /// Seed, stream and first sample. Recording step `k` draws from stream `key.stream + k`.
    pub key: NoiseKey,
    /// The number of steps that may be recorded without setting a key: at least 1.
    pub steps: u32,
    /// For a stratified draw, the samples of the whole batch, those of all devices together.
    pub stratified: Option<u32>,
    /// The buffer for the timesteps, one `u32` a sample, with usage STORAGE.
    pub buffer: &'a wgpu::Buffer,
    /// Bytes before the first timestep: a multiple of 4.
    pub offset: u64,
}

/// A draw that is ready to be recorded.
#[derive(Debug)]
pub struct TimestepPlan {
    shared: Arc<Shared>,
    group: wgpu::BindGroup,
    places: Places,
}

/// The part of a draw that does not depend on the place of its timesteps.
#[derive(Debug)]
struct Shared {
    dispatch: Dispatch,
    params: wgpu::Buffer,
    ends: wgpu::Buffer,
    timesteps: usize,
    keys: Keys,
}

impl TimestepPlan {
    /// Makes a plan: compiles a small shader, uploads 4 bytes a timestep and a key a step.
    ///
    /// # Errors
    /// [`PlanError`] for a buffer that does not fit, no samples, no timesteps, no steps, ends that do not rise to 2^32, or
    /// more than the device binds.
    pub fn new(context: &Context, draw: &TimestepDraw<'_>) -> Result<Self, PlanError> {
        if draw.batch == 0 {
            return Err(PlanError::EmptyShape { batch: 0, elements: 1 });
        }
        let words = WordRange::at((draw.buffer, draw.offset), draw.batch).in_role(RESULTS);
        words.check("timesteps")?;
        if draw.ends.is_empty() {
            return Err(PlanError::EmptyTable);
        }
        if let Err((timestep, found)) = check_ends(draw.ends) {
            return Err(PlanError::Ends { timestep, found });
        }
        let allowed = context.limits().max_storage_buffer_binding_size;
        check_limit("table", "max_storage_buffer_binding_size", allowed, draw.ends.len() as u64 * 4)?;
        words.check_binding("timesteps", context)?;
        let keys = Keys::new(context, "tweedie::Timesteps::keys", Some(Drawing::white(draw.key, draw.steps)))?;
        // More workgroups than an axis has go along the second axis.
        let groups = draw.batch.div_ceil(SMALL_WORKGROUP);
        let workgroups = [groups.min(MAX_GROUPS), groups.div_ceil(MAX_GROUPS), 1];
        let (ends, count) = inner_ends(draw.ends);
        let (out, first) = words.binding(context);
        // 0 tells the kernel that the draw is not stratified.
        let whole = draw.stratified.map_or(0, |whole| whole.max(1));
        let params = TimestepParams {
            batch: draw.batch,
            ends: count,
            first,
            whole,
            groups_x: workgroups[0],
            block: TIMESTEP_BLOCK,
            unused: [0; 2],
        };
        let (uniform, table) =
            (BufferUsages::UNIFORM | BufferUsages::COPY_DST, BufferUsages::STORAGE | BufferUsages::COPY_DST);
        let params = context.buffer_with("tweedie::Timesteps::params", uniform, bytemuck::bytes_of(&params))?;
        let ends = context.buffer_with("tweedie::Timesteps::ends", table, bytemuck::cast_slice(&ends))?;
        let dispatch = dispatch(context, [Part::whole(&params), keys.binding(), Part::whole(&ends), out], workgroups);
        let shared = Arc::new(Shared { dispatch, params, ends, timesteps: draw.ends.len(), keys });
        Ok(Self::bound(context, shared, Places::of_results("timesteps", &words)))
    }

    fn bound(context: &Context, shared: Arc<Shared>, places: Places) -> Self {
        Self { group: shared.dispatch.bind(context, &places), shared, places }
    }

    /// The same draw into other memory, in the role `timesteps`; see [`MapPlan::moved`](crate::gpu::MapPlan::moved).
    ///
    /// # Errors
    /// As there.
    pub fn moved(&self, context: &Context, tensors: &[(&str, Tensor<'_>)]) -> Result<Self, PlanError> {
        let places = self.places.moved(tensors, binding_alignment(context))?;
        Ok(Self::bound(context, Arc::clone(&self.shared), places))
    }

    /// Returns `true` for the role of the timesteps.
    pub(crate) fn has_role(&self, role: &str) -> bool {
        self.places.has_role(role)
    }

    /// Records the draw of a step into the caller's pass: one small dispatch.
    ///
    /// # Errors
    /// [`RecordError::Step`].
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>, step: u32) -> Result<(), RecordError> {
        let key = self.shared.keys.offset(step)?;
        self.shared.dispatch.record(pass, &self.group, &[key]);
        Ok(())
    }

    /// Gives a step another key through the caller's queue: it holds for all that is submitted after this call.
    ///
    /// # Errors
    /// [`RecordError::Step`].
    pub fn set_key(&self, queue: &wgpu::Queue, step: u32, key: NoiseKey) -> Result<(), RecordError> {
        self.shared.keys.set(queue, step, key)
    }

    /// Draws from another distribution over as many timesteps from now on, through the caller's queue.
    ///
    /// # Errors
    /// [`RecordError::Timesteps`] unless there are as many, [`RecordError::Ends`] unless they rise to 2^32; then nothing
    /// changes.
    pub fn set_ends(&self, queue: &wgpu::Queue, ends: &[u64]) -> Result<(), RecordError> {
        if ends.len() != self.shared.timesteps {
            return Err(RecordError::Timesteps { expected: self.shared.timesteps, found: ends.len() });
        }
        check_ends(ends).map_err(|(timestep, found)| RecordError::Ends { timestep, found })?;
        let (ends, count) = inner_ends(ends);
        queue.write_buffer(&self.shared.ends, 0, bytemuck::cast_slice(&ends));
        // The second word of the parameters is the number of ends.
        queue.write_buffer(&self.shared.params, offset_of!(TimestepParams, ends) as u64, bytemuck::bytes_of(&count));
        Ok(())
    }
}

/// Checks that the ends of ranges rise to 2^32, or hold their height; else the first timestep whose end does not, and its
/// end.
fn check_ends(ends: &[u64]) -> Result<(), (usize, u64)> {
    let mut before = 0;
    for (timestep, &end) in ends.iter().enumerate() {
        let is_last = timestep + 1 == ends.len();
        if end < before || end > WORDS || (is_last && end != WORDS) {
            return Err((timestep, end));
        }
        before = end;
    }
    Ok(())
}

/// The ends that a word can reach, padded to one for each timestep, and their number. The last timestep ends at 2^32,
/// which no word reaches.
fn inner_ends(ends: &[u64]) -> (Vec<u32>, u32) {
    let inner = ends.iter().map_while(|&end| u32::try_from(end).ok()).take(ends.len() - 1);
    let mut words: Vec<u32> = inner.collect();
    let count = words.len() as u32;
    words.resize(ends.len(), u32::MAX);
    (words, count)
}

fn dispatch(context: &Context, parts: [Part<'_>; 4], workgroups: [u32; 3]) -> Dispatch {
    let uniform = wgpu::BufferBindingType::Uniform;
    let bindings = [
        entry(0, uniform, false),
        entry(1, uniform, true),
        entry(2, storage(false), false),
        entry(3, storage(true), false),
    ];
    let pipeline = context.small_pipeline("draw_timesteps", standalone::draw_timesteps, &bindings);
    let label = "tweedie::Timesteps::group".to_owned();
    let entries = (0..).zip(parts).map(|(binding, part)| part.entry(binding)).collect();
    // Its only dynamic offset is the key's.
    Dispatch { pipeline, label, entries, workgroups, offsets: Offsets::KeyAndRow }
}
