//! Steps that the GPU chooses: the error of a step, and the controller that accepts or rejects it.
//!
//! **Theory.** Two results of different order are computed from the same network outputs. The root mean square of their
//! difference, relative to a tolerance, is the error. From it a controller derives the factor of the next step size, and accepts
//! this step or rejects it. Steps are whole units of a table in ln sigma, so the network's time and all coefficients are rows
//! that the host has computed in f64.
//!
//! **Practice.** The controller writes words from which each plan of a loop reads the index of its row. Host twin of
//! `shaders/standalone/step_error.wgsl` and `shaders/standalone/choose_step.wgsl`:
//! [`RunLoop::on_table`](crate::math::run::RunLoop::on_table).

use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, check_limit};
use crate::gpu::plan::entry::Part;
use crate::gpu::plan::fold_pass::FoldPass;
use crate::gpu::plan::layout::chunks;
use crate::gpu::plan::place::Places;
use crate::gpu::plan::plan::{Dispatch, Offsets, Plan};
use crate::gpu::plan::role::RESULTS;
use crate::gpu::plan::words::WordRange;
use crate::gpu::shader::bindings::{entry, storage};
use crate::gpu::shader::params::{ChooseParams, ErrorParams, MAX_GROUPS, SMALL_WORKGROUP};
use crate::gpu::shader::standalone::{choose_step, step_error};
use crate::gpu::tensor::Shape;
use wgpu::BufferUsages;

/// The request for a plan that computes the mean square of a step's error.
pub(crate) struct StepError<'a> {
    pub shape: Shape,
    /// The results of lower and of higher order, and the last accepted result of lower order: f32 without gaps, whole buffers.
    pub tensors: [&'a wgpu::Buffer; 3],
    pub rtol: f64,
    pub atol: f64,
    /// The mean square of each sample.
    pub errors: &'a wgpu::Buffer,
    /// The mean square of the batch, if that is wanted.
    pub mean: Option<&'a wgpu::Buffer>,
}

impl StepError<'_> {
    /// Makes the plan: two dispatches, and one more for the mean of the batch.
    pub fn plan(&self, context: &Context) -> Result<Plan, PlanError> {
        let (shape, allowed) = (self.shape, context.limits().max_storage_buffer_binding_size);
        check_limit("a batch in f32", "max_storage_buffer_binding_size", allowed, 4 * shape.total())?;
        check_limit("elements of a batch", "elements that a kernel counts", u64::from(u32::MAX), shape.total())?;
        let parts = chunks(shape.elements);
        let all = u64::from(parts) * u64::from(shape.batch);
        check_limit("chunks", "max_compute_workgroups_per_dimension", u64::from(MAX_GROUPS).pow(2), all)?;
        let groups_x = all.min(u64::from(MAX_GROUPS)) as u32;
        let params = ErrorParams {
            elements: shape.elements,
            chunks: parts,
            samples: shape.batch,
            groups_x,
            rtol: self.rtol as f32,
            atol: self.atol as f32,
            unused: [0; 2],
        };
        let bytes = bytemuck::bytes_of(&params);
        let params = context.buffer_with("tweedie::StepError::params", BufferUsages::UNIFORM, bytes)?;
        let sums = context.zeroed_buffer("tweedie::StepError::sums", BufferUsages::STORAGE, 4 * all);
        let bindings = [
            entry(0, wgpu::BufferBindingType::Uniform, false),
            entry(1, storage(false), false),
            entry(2, storage(false), false),
            entry(3, storage(false), false),
            entry(4, storage(true), false),
        ];
        let [low, high, before] = self.tensors;
        let entries = (0..).zip([&params, low, high, before, &sums].map(Part::whole));
        let summing = Dispatch {
            pipeline: context.small_pipeline("step_error", step_error, &bindings),
            label: "tweedie::StepError::group".to_owned(),
            entries: entries.map(|(binding, part)| part.entry(binding)).collect(),
            workgroups: [groups_x, (all as u32).div_ceil(groups_x), 1],
            offsets: Offsets::None,
        };
        let errors = WordRange::of(self.errors).in_role(RESULTS);
        let of_element = (1.0 / f64::from(shape.elements)) as f32;
        let fold = FoldPass::total([shape.batch, parts], of_element, WordRange::of(&sums), errors);
        let mut dispatches = vec![summing, fold.dispatch(context)?];
        if let Some(mean) = self.mean {
            let of_sample = (1.0 / f64::from(shape.batch)) as f32;
            let fold = FoldPass::total([1, shape.batch], of_sample, errors, WordRange::of(mean));
            dispatches.push(fold.dispatch(context)?);
        }
        Plan::standalone(context, "tweedie::StepError", dispatches, Places::of_results("errors", &errors), None)
    }
}

/// The request for the plan of a controller.
pub(crate) struct StepChoice<'a> {
    pub params: ChooseParams,
    /// The mean squared errors: an f32 for each sample, or one for the batch.
    pub errors: &'a wgpu::Buffer,
    pub table: &'a wgpu::Buffer,
    /// The buffer that the controller writes: numbers for the network, words that steps look up, states.
    pub run: &'a wgpu::Buffer,
}

impl StepChoice<'_> {
    /// Makes the plan: one dispatch, which begins a run at call 0, and accepts or rejects a step at call 1.
    pub fn plan(&self, context: &Context) -> Result<Plan, PlanError> {
        let most = u64::from(MAX_GROUPS) * u64::from(SMALL_WORKGROUP);
        check_limit("samples", "max_compute_workgroups_per_dimension", most, u64::from(self.params.samples))?;
        let size = size_of::<ChooseParams>() as u32;
        let stride = size.next_multiple_of(context.limits().min_uniform_buffer_offset_alignment);
        let mut bytes = vec![0; 2 * stride as usize];
        for (slot, begins) in bytes.chunks_exact_mut(stride as usize).zip([1, 0]) {
            let params = ChooseParams { begins, ..self.params };
            slot[..size as usize].copy_from_slice(bytemuck::bytes_of(&params));
        }
        let params = context.buffer_with("tweedie::StepChoice::params", BufferUsages::UNIFORM, &bytes)?;
        let bindings = [
            entry(0, wgpu::BufferBindingType::Uniform, true),
            entry(1, storage(false), false),
            entry(2, storage(false), false),
            entry(3, storage(true), false),
        ];
        let parts = [Part::own(&params, 0, u64::from(size)), Part::whole(self.errors), Part::whole(self.table)];
        let run = WordRange::of(self.run).in_role(RESULTS);
        let entries = (0..).zip(parts.into_iter().chain([run.binding(context).0]));
        let dispatch = Dispatch {
            pipeline: context.small_pipeline("choose_step", choose_step, &bindings),
            label: "tweedie::StepChoice::group".to_owned(),
            entries: entries.map(|(binding, part)| part.entry(binding)).collect(),
            workgroups: [self.params.samples.div_ceil(SMALL_WORKGROUP), 1, 1],
            offsets: Offsets::Column(stride),
        };
        Plan::standalone(context, "tweedie::StepChoice", vec![dispatch], Places::of_results("run", &run), Some(2))
    }
}
