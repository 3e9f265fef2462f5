//! The network on the GPU, as an application would have it.

use crate::{Ask, Mixture};
use tweedie::wgpu::{self, BufferUsages, util::DeviceExt};

/// Tensors that the network reads and writes: f32, sample after sample without gaps, usage STORAGE.
#[derive(Clone, Copy, Debug)]
pub struct Tensors<'a> {
    /// Number of samples; at most 65,535.
    pub batch: u32,
    /// The samples, in the network's scale.
    pub x: &'a wgpu::Buffer,
    /// The answers.
    pub prediction: &'a wgpu::Buffer,
}

/// Source of the call's index.
#[derive(Clone, Copy, Debug)]
pub enum Calls<'a> {
    /// From the host, at each recording.
    Recorded,
    /// From a `u32` at the beginning of this buffer, which the application advances.
    Counted(&'a wgpu::Buffer),
}

/// A network that is ready to be recorded.
#[derive(Debug)]
pub struct Network {
    weigh: wgpu::ComputePipeline,
    answer: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    counted: bool,
    /// Bytes from one call to the next in the list of calls.
    stride: u32,
    groups: [[u32; 2]; 2],
}

/// Most threads of a workgroup, as in `mixture.wgsl`.
const MOST_WIDTH: u32 = 64;

impl Network {
    /// Compiles the network, and uploads everything that the calls of a loop need.
    #[must_use]
    pub fn new(device: &wgpu::Device, mixture: &Mixture, asks: &[Ask], tensors: Tensors<'_>, calls: Calls<'_>) -> Self {
        let (elements, components) = (mixture.elements() as u32, mixture.components() as u32);
        let Tensors { batch, x, prediction } = tensors;
        let upload = |label, contents: &[u8]| {
            device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
                label: Some(label),
                contents,
                usage: BufferUsages::STORAGE,
            })
        };
        let fits = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("networks::fits"),
            size: u64::from(batch) * u64::from(components) * 4,
            usage: BufferUsages::STORAGE,
            mapped_at_creation: false,
        });
        let means = upload("networks::means", bytemuck::cast_slice(&mixture.means));
        let log_weights = upload("networks::log_weights", bytemuck::cast_slice(&mixture.log_weights));
        let stride = device.limits().min_storage_buffer_offset_alignment;
        let list = upload("networks::calls", &numbers(asks.len(), stride));
        let asks = upload("networks::asks", bytemuck::cast_slice(asks));
        let counter = match calls {
            Calls::Recorded => &list,
            Calls::Counted(buffer) => buffer,
        };

        let layout = layout(device);
        let module = device.create_shader_module(wgpu::include_wgsl!("mixture.wgsl"));
        let width = elements.next_power_of_two().min(MOST_WIDTH);
        let constants = [
            ("width", f64::from(width)),
            ("elements", f64::from(elements)),
            ("components", f64::from(components)),
            ("deviation", f64::from(mixture.deviation)),
        ];
        let pipeline = |entry: &str| {
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(&format!("networks::{entry}")),
                layout: Some(&device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                    label: Some("networks::layout"),
                    bind_group_layouts: &[Some(&layout)],
                    immediate_size: 0,
                })),
                module: &module,
                entry_point: Some(entry),
                compilation_options: wgpu::PipelineCompilationOptions { constants: &constants, ..Default::default() },
                cache: None,
            })
        };
        let word = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: counter,
            offset: 0,
            size: std::num::NonZero::new(4),
        });
        let others = [&asks, &means, &log_weights, x, &fits, prediction].map(|buffer| buffer.as_entire_binding());
        let entries: Vec<_> = (0..)
            .zip(std::iter::once(word).chain(others))
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource })
            .collect();
        Self {
            weigh: pipeline("weigh"),
            answer: pipeline("answer"),
            group: device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("networks::group"),
                layout: &layout,
                entries: &entries,
            }),
            counted: matches!(calls, Calls::Counted(_)),
            stride,
            groups: [[components, batch], [elements.div_ceil(width), batch]],
        }
    }

    /// Dispatches of one recording.
    #[must_use]
    pub const fn dispatches(&self) -> usize {
        self.groups.len()
    }

    /// Records a call of the network into the caller's pass: two dispatches. A network with [`Calls::Counted`] ignores
    /// `call`.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>, call: u32) {
        let offset = if self.counted { 0 } else { call * self.stride };
        pass.set_bind_group(0, &self.group, &[offset]);
        for (pipeline, [across, down]) in [&self.weigh, &self.answer].into_iter().zip(self.groups) {
            pass.set_pipeline(pipeline);
            pass.dispatch_workgroups(across, down, 1);
        }
    }
}

/// 0, 1, 2, ... this many bytes apart: a dynamic offset picks one.
fn numbers(count: usize, stride: u32) -> Vec<u8> {
    let spaced = |k: usize| (k as u32).to_le_bytes().into_iter().chain(std::iter::repeat_n(0, stride as usize - 4));
    (0..count).flat_map(spaced).collect()
}

fn layout(device: &wgpu::Device) -> wgpu::BindGroupLayout {
    let written = [5, 6];
    let entry = |binding| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Storage { read_only: !written.contains(&binding) },
            has_dynamic_offset: binding == 0,
            min_binding_size: None,
        },
        count: None,
    };
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some("networks::bindings"),
        entries: &(0..7).map(entry).collect::<Vec<_>>(),
    })
}
