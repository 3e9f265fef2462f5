//! Timesteps drawn on the GPU: one small dispatch that fills the buffer from which noising and loss read them.
//!
//! **Theory.** A distribution divides the 2^32 random words into consecutive ranges; see
//! [`TimestepDensity`](crate::math::TimestepDensity), whose draws are the same to the bit.
//!
//! **Practice.** [`TimestepDraw::plan`] makes a plan that holds the ends of the ranges, which may be replaced between submits
//! (importance sampling: [`Plan::set_ends`]), and a key for each recorded step. Host twin of
//! `shaders/standalone/draw_timesteps.wgsl`: the density's `draw`.

use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, check_limit};
use crate::gpu::plan::ends::{Ends, check_ends, inner_ends};
use crate::gpu::plan::entry::Part;
use crate::gpu::plan::keys::{Drawing, Keys};
use crate::gpu::plan::place::Places;
use crate::gpu::plan::plan::{Dispatch, Offsets, Plan, Shared};
use crate::gpu::plan::role::RESULTS;
use crate::gpu::plan::rows::Accepts;
use crate::gpu::plan::words::{SampleWords, WordRange};
use crate::gpu::shader::bindings::{entry, storage};
use crate::gpu::shader::params::TimestepParams;
use crate::gpu::shader::standalone::{DRAW_SEEDS_BINDING, DRAW_TIMESTEPS, draw_timesteps};
use crate::gpu::standalone_pass::workgroups;
use crate::noise::{NoiseKey, TIMESTEP_BLOCK};
use std::sync::Arc;
use wgpu::BufferUsages;

/// The request for the plan of a draw of timesteps.
#[derive(Clone, Copy, Debug)]
pub struct TimestepDraw<'a> {
    /// The end of each timestep's range of words, rising to 2^32: [`TimestepDensity::ends`](crate::math::TimestepDensity).
    pub ends: &'a [u64],
    /// Samples of the batch.
    pub batch: u32,
    /// Timesteps of a sample: one for each of its [groups](crate::Groups), or 1 for the whole sample. The timestep of a group
    /// does not depend on how many groups follow it.
    pub groups: u32,
    /// Seed, stream and first sample. Recording step `k` draws from stream `key.stream + k`.
    pub key: NoiseKey,
    /// The number of steps that may be recorded without setting a key: 1 to 65,536.
    pub steps: u32,
    /// A seed and an index for each sample instead of the key's, as in [`Drawn::seeds`](crate::gpu::Drawn::seeds); not for a
    /// stratified draw, whose samples share the strata of one seed.
    pub seeds: Option<(&'a wgpu::Buffer, u64)>,
    /// The number of samples of the whole batch, on all devices together, for a stratified draw; `None` for independent draws.
    pub stratified: Option<u32>,
    /// The buffer for the timesteps, `[batch, groups]` of `u32`, with usage STORAGE.
    pub buffer: &'a wgpu::Buffer,
    /// Bytes before the first timestep: a multiple of 4.
    pub offset: u64,
}

impl TimestepDraw<'_> {
    /// Makes the plan: compiles a small shader, uploads 4 bytes a timestep and a key a step. It is recorded with
    /// [`Recording::per_sample`](crate::gpu::Recording::per_sample) at a noise step.
    ///
    /// # Errors
    /// [`PlanError`] for a buffer that does not fit, no samples, no groups, no timesteps, no steps, ends that do not rise to
    /// 2^32, seeds for a stratified draw or in the buffer of the timesteps, or more than the device binds.
    pub fn plan(&self, context: &Context) -> Result<Plan, PlanError> {
        self.with_keys(context, None)
    }

    /// Makes the plan with keys that another one has uploaded already.
    pub(crate) fn with_keys(&self, context: &Context, keys: Option<&Arc<Keys>>) -> Result<Plan, PlanError> {
        if self.batch == 0 || self.groups == 0 {
            return Err(PlanError::EmptyShape { batch: self.batch, elements: self.groups });
        }
        let found = u64::from(self.batch) * u64::from(self.groups);
        let count = u32::try_from(found).map_err(|_| PlanError::Runs { most: u32::MAX, found })?;
        let words = WordRange::at((self.buffer, self.offset), count).in_role(RESULTS);
        words.check("timesteps")?;
        if self.ends.is_empty() {
            return Err(PlanError::Rule { what: "the number of ends", expected: "at least 1", found: 0.0 });
        }
        if let Err((timestep, found)) = check_ends(self.ends) {
            return Err(PlanError::Ends { timestep, found });
        }
        let allowed = context.limits().max_storage_buffer_binding_size;
        check_limit("table", "max_storage_buffer_binding_size", allowed, self.ends.len() as u64 * 4)?;
        words.check_binding("timesteps", context)?;
        let seeds = self.seed_words(context)?;
        let label = "tweedie::TimestepDraw::keys";
        let drawing = Drawing::white(self.key, self.steps);
        let keys = match keys {
            Some(keys) => Arc::clone(keys),
            None => Arc::new(Keys::new(context, label, Some(drawing))?),
        };
        let workgroups = workgroups("timesteps", found)?;
        let (ends, inner) = inner_ends(self.ends);
        let (out, first) = words.binding(context);
        let params = TimestepParams {
            batch: count,
            ends: inner,
            first,
            // 0 tells the kernel that the draw is not stratified.
            whole: self.stratified.map_or(0, |whole| whole.max(1)),
            groups_x: workgroups[0],
            block: TIMESTEP_BLOCK,
            groups: self.groups,
            unused: 0,
        };
        let (uniform, table) =
            (BufferUsages::UNIFORM | BufferUsages::COPY_DST, BufferUsages::STORAGE | BufferUsages::COPY_DST);
        let params = context.buffer_with("tweedie::TimestepDraw::params", uniform, bytemuck::bytes_of(&params))?;
        let ends = context.buffer_with("tweedie::TimestepDraw::ends", table, bytemuck::cast_slice(&ends))?;
        let mut parts = vec![Part::whole(&params), keys.binding(), Part::whole(&ends), out];
        parts.extend(seeds.map(|seeds| seeds.binding(context).0));
        let mut places = Places::of_results("timesteps", &words);
        seeds.iter().for_each(|seeds| places.add_read("seeds", seeds));
        let shared = Shared {
            label: "tweedie::TimestepDraw::pass".to_owned(),
            dispatches: vec![dispatch(context, &parts, workgroups)],
            keys,
            upload: None,
            accepts: Accepts::Nothing,
            row_stride: 0,
            undefined: Vec::new(),
            looks_up: true,
            status: None,
            ends: Some(Ends { params, ends, timesteps: self.ends.len() }),
            clean_stats: None,
        };
        Ok(Plan::bound(context, Arc::new(shared), places))
    }

    /// The seeds of the samples.
    fn seed_words(&self, context: &Context) -> Result<Option<WordRange<'_>>, PlanError> {
        let Some(seeds) = self.seeds else { return Ok(None) };
        if self.stratified.is_some() {
            let (expected, found) = ("one key for all samples", "a seed for each");
            return Err(PlanError::Noise { what: "stratified timesteps", expected, found });
        }
        let words = SampleWords::of_seeds(seeds).of_batch(self.batch);
        words.check("seeds")?;
        words.check_whole("seeds", "offset of the seeds", context)?;
        let written = WordRange::at((self.buffer, self.offset), self.batch);
        if written.buffer == words.buffer {
            // WebGPU forbids a dispatch that reads and writes one buffer through two bindings.
            return Err(PlanError::Overlap { output: "timesteps", other: "seeds" });
        }
        Ok(Some(words))
    }
}

fn dispatch(context: &Context, parts: &[Part<'_>], workgroups: [u32; 3]) -> Dispatch {
    let uniform = wgpu::BufferBindingType::Uniform;
    let mut bindings = vec![
        entry(0, uniform, false),
        entry(1, uniform, true),
        entry(2, storage(false), false),
        entry(3, storage(true), false),
    ];
    let seeded = parts.len() > bindings.len();
    bindings.extend(seeded.then(|| entry(DRAW_SEEDS_BINDING, storage(false), false)));
    let name = DRAW_TIMESTEPS[usize::from(seeded)];
    let pipeline = context.small_pipeline(name, || draw_timesteps(seeded), &bindings);
    let label = "tweedie::TimestepDraw::group".to_owned();
    let entries = (0..).zip(parts).map(|(binding, part)| part.entry(binding)).collect();
    // Its only dynamic offset is the key's.
    Dispatch { pipeline, label, entries, workgroups, offsets: Offsets::KeyAndRow }
}
