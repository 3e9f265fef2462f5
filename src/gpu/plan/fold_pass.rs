//! The second half of a reduction: the dispatch that combines the partial results of a sample's chunks into its result.

use crate::gpu::context::Context;
use crate::gpu::error::PlanError;
use crate::gpu::plan::entry::Part;
use crate::gpu::plan::layout::team;
use crate::gpu::plan::plan::{Dispatch, Offsets};
use crate::gpu::plan::words::WordRange;
use crate::gpu::shader::bindings::{entry, storage};
use crate::gpu::shader::fold::Fold;
use crate::gpu::shader::params::{FoldParams, MAX_GROUPS, WORKGROUP};
use wgpu::BufferUsages;

/// A fold of partial results.
pub(crate) struct FoldPass<'a> {
    pub fold: Fold,
    /// The parameters of the fold, without those that follow from the place of the words.
    pub params: FoldParams,
    pub partials: WordRange<'a>,
    pub output: WordRange<'a>,
}

impl<'a> FoldPass<'a> {
    /// The sum of `parts` numbers for each of `samples`, times a factor.
    pub fn total(
        [samples, parts]: [u32; 2],
        factor: f32,
        partials: WordRange<'a>,
        output: WordRange<'a>,
    ) -> FoldPass<'a> {
        let params = FoldParams { samples, ..total_params(parts, factor, 0) };
        FoldPass { fold: Fold::Total, params, partials, output }
    }

    /// The dispatch. Where each row of the table has a column of its own in the results, a dynamic offset selects it.
    pub fn dispatch(&self, context: &Context) -> Result<Dispatch, PlanError> {
        // A workgroup has one set of bins for the digits, so it takes one sample at a time.
        let team = if self.fold == Fold::Histogram { WORKGROUP } else { team(self.params.parts, 1) };
        let teams = self.params.samples.div_ceil(WORKGROUP / team);
        let groups = teams.min(MAX_GROUPS);
        let (partials, first_part) = self.partials.binding(context);
        let (output, first_result) = self.output.binding(context);
        let pitch = self.params.pitch.max(1);
        let params = FoldParams {
            groups_x: groups,
            first_result,
            first_part,
            team,
            pitch,
            nan_bits: f32::NAN.to_bits(),
            ..self.params
        };
        let label = |role| format!("tweedie::{}::{role}", self.fold.name());
        let (params, stride) = columns(context, &label("params"), params)?;
        let params = Part::own(&params, 0, size_of::<FoldParams>() as u64);
        // The binding of partial results is writable because results may lie in the same buffer.
        let bindings = [
            entry(0, wgpu::BufferBindingType::Uniform, true),
            entry(1, storage(true), false),
            entry(2, storage(true), false),
        ];
        let pipeline = context.small_pipeline(self.fold.name(), || self.fold.compose(), &bindings);
        let entries = (0..).zip([params, partials, output]).map(|(binding, part)| part.entry(binding)).collect();
        let workgroups = [groups, teams.div_ceil(groups), 1];
        Ok(Dispatch { pipeline, label: label("group"), entries, workgroups, offsets: Offsets::Column(stride) })
    }
}

/// The parameters of a sum of `parts`, times a factor, with `pitch` columns.
pub(crate) fn total_params(parts: u32, factor: f32, pitch: u32) -> FoldParams {
    FoldParams { parts, pitch, factor, ..FoldParams::default() }
}

/// The parameters for each column of the results, and the bytes from one column's parameters to the next.
fn columns(context: &Context, label: &str, params: FoldParams) -> Result<(wgpu::Buffer, u32), PlanError> {
    let size = size_of::<FoldParams>() as u32;
    let stride = size.next_multiple_of(context.limits().min_uniform_buffer_offset_alignment);
    let mut bytes = vec![0; (params.pitch * stride) as usize];
    for (slot, column) in bytes.chunks_exact_mut(stride as usize).zip(0..) {
        let params = FoldParams { first_result: params.first_result + column, ..params };
        slot[..size as usize].copy_from_slice(bytemuck::bytes_of(&params));
    }
    let buffer = context.buffer_with(label, BufferUsages::UNIFORM, &bytes)?;
    Ok((buffer, if params.pitch == 1 { 0 } else { stride }))
}
