//! The wgpu plumbing, once: a device's limits, its compiled pipelines, and buffers that are written when they are made.

use crate::gpu::error::PlanError;
use crate::gpu::shader::bindings::layout_entries;
use crate::gpu::shader::compose::{Native, dump};
use crate::gpu::shader::variant::{Variant, Walk};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A device as this crate uses it, with the pipelines that were compiled for it.
///
/// Cheap to clone; clones share the pipelines. Make one per [`wgpu::Device`] and keep it: a pipeline is compiled by the
/// first plan that needs it. Nothing here submits, polls, maps or writes through a queue.
#[derive(Clone, Debug)]
pub struct Context {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    device: wgpu::Device,
    limits: wgpu::Limits,
    native: Native,
    pipelines: Mutex<HashMap<PipelineKey, Arc<Pipeline>>>,
    small: Mutex<HashMap<&'static str, Arc<Pipeline>>>,
}

/// What a pipeline is compiled for: a text and the tile of a workgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PipelineKey {
    pub variant: Variant,
    pub tile: Tile,
}

/// How a workgroup of `walk/lanes.wgsl` covers lanes and samples; the other walks have no choice to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tile {
    pub lanes: u32,
    pub samples: u32,
    pub lanes_each: u32,
}

#[derive(Debug)]
pub(crate) struct Pipeline {
    pub layout: wgpu::BindGroupLayout,
    pub pipeline: wgpu::ComputePipeline,
}

impl Context {
    /// For the host application's own device. Costs nothing: shaders are compiled when a plan needs them.
    pub fn new(device: &wgpu::Device) -> Self {
        Self {
            inner: Arc::new(Inner {
                device: device.clone(),
                limits: device.limits(),
                native: native_of(device),
                pipelines: Mutex::default(),
                small: Mutex::default(),
            }),
        }
    }

    /// The device that this context was made for.
    pub fn device(&self) -> &wgpu::Device {
        &self.inner.device
    }

    pub(crate) fn limits(&self) -> &wgpu::Limits {
        &self.inner.limits
    }

    /// How many pipelines have been compiled so far: plans that share one do not add to it.
    pub fn compiled_pipelines(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PipelineKey, Arc<Pipeline>>> {
        // A panic while the map was locked cannot have left it half changed: it only ever gains whole entries.
        self.inner.pipelines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pipeline(&self, key: PipelineKey) -> Arc<Pipeline> {
        let mut pipelines = self.lock();
        Arc::clone(pipelines.entry(key).or_insert_with(|| Arc::new(self.compile(key))))
    }

    /// The pipeline of a small kernel of its own: its name is also its entry point. It finds workgroup memory as it is.
    pub(crate) fn small_pipeline(
        &self,
        name: &'static str,
        text: impl FnOnce() -> String,
        bindings: &[wgpu::BindGroupLayoutEntry],
    ) -> Arc<Pipeline> {
        let mut small = self.inner.small.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(small.entry(name).or_insert_with(|| {
            let options =
                wgpu::PipelineCompilationOptions { zero_initialize_workgroup_memory: false, ..Default::default() };
            let pipeline = self.assemble(&format!("tweedie::{name}"), &text(), bindings, name, options);
            Arc::new(pipeline)
        }))
    }

    fn assemble(
        &self,
        label: &str,
        text: &str,
        bindings: &[wgpu::BindGroupLayoutEntry],
        entry_point: &str,
        compilation_options: wgpu::PipelineCompilationOptions<'_>,
    ) -> Pipeline {
        dump(entry_point, text);
        let device = self.device();
        let label = |part: &str| format!("{label}::{part}");
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(&label("shader")),
            source: wgpu::ShaderSource::Wgsl(text.into()),
        });
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(&label("bindings")),
            entries: bindings,
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(&label("layout")),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&label("pipeline")),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some(entry_point),
            compilation_options,
            cache: None,
        });
        Pipeline { layout, pipeline }
    }

    fn compile(&self, key: PipelineKey) -> Pipeline {
        let text = key.variant.compose(self.inner.native);
        let tile = [
            ("tile_x", f64::from(key.tile.lanes)),
            ("tile_y", f64::from(key.tile.samples)),
            ("lanes_each", f64::from(key.tile.lanes_each)),
        ];
        let constants: &[_] = if key.variant.walk == Walk::Lanes { &tile } else { &[] };
        let label = format!("tweedie::{}", key.variant.op.name());
        let zero_initialize_workgroup_memory = key.variant.clears_workgroup_memory();
        let options = wgpu::PipelineCompilationOptions { constants, zero_initialize_workgroup_memory };
        self.assemble(&label, &text, &layout_entries(&key.variant), key.variant.walk.entry_point(), options)
    }

    /// A buffer with these bytes in it, padded to whole words.
    pub(crate) fn buffer_with(
        &self,
        label: &str,
        usage: wgpu::BufferUsages,
        bytes: &[u8],
    ) -> Result<wgpu::Buffer, PlanError> {
        let buffer = self.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: (bytes.len() as u64).next_multiple_of(4).max(4),
            usage,
            mapped_at_creation: true,
        });
        // A buffer that is mapped at creation can be written to, unless there is none.
        match buffer.slice(..).get_mapped_range_mut() {
            Ok(mut view) => view.slice(..bytes.len()).copy_from_slice(bytes),
            Err(_) => return Err(PlanError::Device { buffer: label.to_owned(), bytes: buffer.size() }),
        }
        buffer.unmap();
        Ok(buffer)
    }
}

/// What shaders may use on a device beyond WebGPU.
fn native_of(device: &wgpu::Device) -> Native {
    let int64 = device.features().contains(wgpu::Features::SHADER_INT64);
    let info = device.adapter_info();
    // Measured on Mesa's lavapipe alone.
    let software = info.device_type == wgpu::DeviceType::Cpu && info.backend == wgpu::Backend::Vulkan;
    Native { int64, wide: int64 && software }
}
