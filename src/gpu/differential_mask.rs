//! The masks of differential diffusion, computed on the GPU from a mask in a buffer.
//!
//! Each call has a threshold to which the mask is compared; see [`RunLoop::mask`](crate::math::run::RunLoop::mask), the host
//! twin of `shaders/standalone/differential_mask.wgsl`.

use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, check_limit};
use crate::gpu::plan::entry::Part;
use crate::gpu::plan::place::Places;
use crate::gpu::plan::plan::{Dispatch, Offsets, Plan};
use crate::gpu::plan::role::RESULTS;
use crate::gpu::plan::words::WordRange;
use crate::gpu::shader::bindings::{entry, storage};
use crate::gpu::shader::params::MaskParams;
use crate::gpu::shader::standalone::{differential_mask, differential_mask_name};
use crate::gpu::standalone_pass::workgroups;
use crate::gpu::tensor::{Shape, Tensor};
use wgpu::BufferUsages;

/// The request for the plan of the masks of all calls.
pub(crate) struct DifferentialMask<'a> {
    pub mask: Tensor<'a>,
    pub shape: Shape,
    /// The buffer for the mask of the recorded call: f32 without gaps from its first byte. Not the buffer of `mask`.
    pub of_call: &'a wgpu::Buffer,
    /// The threshold of each call.
    pub thresholds: &'a [f64],
    /// The share of the binary mask in the result, from 0 to 1.
    pub strength: f64,
}

impl DifferentialMask<'_> {
    /// Makes the plan, which is recorded at a call: one dispatch.
    pub fn plan(&self, context: &Context) -> Result<Plan, PlanError> {
        let (shape, kind) = (self.shape, self.mask.storage);
        let count = shape.total();
        check_limit("elements of a mask", "elements that a kernel counts", u64::from(u32::MAX), count)?;
        let (mask, first_element) = WordRange::of_tensor("mask", self.mask, shape, 0)?;
        mask.check_binding("mask", context)?;
        let (mask, first_word) = mask.binding(context);
        let of_call = WordRange::at((self.of_call, 0), count as u32).in_role(RESULTS);
        of_call.check_binding("mask", context)?;
        let workgroups = workgroups("mask", count)?;
        let params = MaskParams {
            elements: shape.elements,
            total: count as u32,
            stride: self.mask.stride_in(shape) as u32,
            first: first_word * (4 / kind.bytes() as u32) + first_element,
            groups_x: workgroups[0],
            threshold: 0.0,
            strength: self.strength as f32,
            unused: 0,
        };
        let size = size_of::<MaskParams>() as u32;
        let stride = size.next_multiple_of(context.limits().min_uniform_buffer_offset_alignment);
        let mut bytes = vec![0; self.thresholds.len() * stride as usize];
        for (slot, threshold) in bytes.chunks_exact_mut(stride as usize).zip(self.thresholds) {
            let params = MaskParams { threshold: *threshold as f32, ..params };
            slot[..size as usize].copy_from_slice(bytemuck::bytes_of(&params));
        }
        let params = context.buffer_with("tweedie::DifferentialMask::params", BufferUsages::UNIFORM, &bytes)?;
        let bindings = [
            entry(0, wgpu::BufferBindingType::Uniform, true),
            entry(1, storage(false), false),
            entry(2, storage(true), false),
        ];
        let pipeline = context.small_pipeline(differential_mask_name(kind), || differential_mask(kind), &bindings);
        let parts = [Part::own(&params, 0, u64::from(size)), mask, of_call.binding(context).0];
        let dispatch = Dispatch {
            pipeline,
            label: "tweedie::DifferentialMask::group".to_owned(),
            entries: (0..).zip(parts).map(|(binding, part)| part.entry(binding)).collect(),
            workgroups,
            offsets: Offsets::Column(stride),
        };
        let (places, calls) = (Places::of_results("mask", &of_call), Some(self.thresholds.len()));
        Plan::standalone(context, "tweedie::DifferentialMask", vec![dispatch], places, calls)
    }
}
