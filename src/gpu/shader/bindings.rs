//! The bindings of a kernel: their numbers, and how a pipeline declares them.

use crate::gpu::shader::slots::SLOTS;
use crate::gpu::shader::variant::{Draw, Operand, Rows, Variant};

pub(crate) const TABLE_BINDING: u32 = 2;
pub(crate) const TIMESTEPS_BINDING: u32 = 3;
pub(crate) const STATUS_BINDING: u32 = 4;
/// The binding of the first slot; the others follow.
pub(crate) const SLOT_BINDING: u32 = 5;
pub(crate) const SEEDS_BINDING: u32 = SLOT_BINDING + SLOTS as u32;
pub(crate) const SCALES_BINDING: u32 = SEEDS_BINDING + 1;
pub(crate) const CLEAN_STATS_BINDING: u32 = SEEDS_BINDING + 2;
pub(crate) const SCRATCH_BINDING: u32 = SEEDS_BINDING + 3;
pub(crate) const SCALER_BINDING: u32 = SEEDS_BINDING + 4;

/// A storage buffer of a kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StorageBinding {
    /// Its name for the caller.
    pub name: &'static str,
    pub binding: u32,
    pub writable: bool,
}

impl Variant {
    /// The storage buffers that are bound.
    pub fn storage_bindings(&self) -> Vec<StorageBinding> {
        let slots = self.op.slots().iter().zip(self.operands).zip(SLOT_BINDING..);
        let slots = slots.filter_map(|((slot, operand), binding)| match operand {
            Operand::Binding { writable, .. } => Some(StorageBinding { name: slot.name, binding, writable }),
            _ => None,
        });
        // A device may bind as few as four storage buffers, so each of these is there only where the kernel reads it.
        let others = [
            (self.rows == Rows::Storage, "table", TABLE_BINDING, false),
            (self.rows.are_looked_up(), "timesteps", TIMESTEPS_BINDING, self.timesteps_writable),
            (self.counts_undefined(), "status", STATUS_BINDING, true),
            (matches!(self.draw, Draw::PerSample { .. }), "seeds", SEEDS_BINDING, self.seeds_writable),
            (self.op.scaled() && !self.scales_uniform, "scales", SCALES_BINDING, false),
            (self.step().clean_stats, "clean_stats", CLEAN_STATS_BINDING, true),
            (self.op.scales_gradients(), "scale", SCALER_BINDING, true),
            (self.walk.reduces(), "scratch", SCRATCH_BINDING, true),
        ];
        let others = others.into_iter().filter(|(present, ..)| *present);
        slots.chain(others.map(|(_, name, binding, writable)| StorageBinding { name, binding, writable })).collect()
    }
}

/// A binding of a kernel.
pub(crate) fn entry(binding: u32, ty: wgpu::BufferBindingType, has_dynamic_offset: bool) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
        count: None,
    }
}

/// A storage buffer's binding type.
pub(crate) fn storage(writable: bool) -> wgpu::BufferBindingType {
    wgpu::BufferBindingType::Storage { read_only: !writable }
}

/// The bindings of a composed kernel.
pub(crate) fn layout_entries(variant: &Variant) -> Vec<wgpu::BindGroupLayoutEntry> {
    let uniform = wgpu::BufferBindingType::Uniform;
    // Binding 1 is the noise key of a step, chosen by a dynamic offset as the row of a batch is.
    let mut entries = vec![entry(0, uniform, false), entry(1, uniform, true)];
    match variant.rows {
        Rows::Batch => entries.push(entry(TABLE_BINDING, uniform, true)),
        Rows::Uniform(_) | Rows::PerSample => entries.push(entry(TABLE_BINDING, uniform, false)),
        Rows::Storage => {}
    }
    if variant.scales_uniform {
        entries.push(entry(SCALES_BINDING, uniform, false));
    }
    let bound = variant.storage_bindings().into_iter();
    entries.extend(bound.map(|StorageBinding { binding, writable, .. }| entry(binding, storage(writable), false)));
    entries
}

/// Declares a binding in WGSL.
pub(crate) fn declaration(binding: u32, space: &str, name: &str, ty: &str) -> String {
    format!("@group(0) @binding({binding}) var<{space}> {name}: {ty};\n")
}

/// The access mode of a storage binding.
pub(crate) fn access(writable: bool) -> &'static str {
    if writable { "read_write" } else { "read" }
}
