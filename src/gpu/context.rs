//! The wgpu plumbing, once: a device's limits, its compiled pipelines, and buffers that are written when they are made.

use super::finish::Finish;
use super::source::{Rows, Source, TABLE_BINDING, Walk};
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
    pipelines: Mutex<HashMap<PipelineKey, Arc<Pipeline>>>,
}

/// What a pipeline is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::large_enum_variant, reason = "keys are few, and copied where plans are made alone")]
pub(crate) enum PipelineKey {
    /// A kernel that reads tensors, and the tile of its workgroups.
    Kernel { source: Source, tile: Tile },
    /// The end of a reduction.
    Finish(Finish),
}

/// How a workgroup of `walk_lanes` covers lanes and samples; the other walks have no choice to make.
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
        Self { inner: Arc::new(Inner { device: device.clone(), limits: device.limits(), pipelines: Mutex::default() }) }
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

    fn compile(&self, key: PipelineKey) -> Pipeline {
        let device = self.device();
        let label = |role| format!("tweedie::{}::{role}", key.name());
        let text = key.compose();
        dump(&key, &text);
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(&label("shader")),
            source: wgpu::ShaderSource::Wgsl(text.into()),
        });
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(&label("bindings")),
            entries: &key.layout_entries(),
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
            entry_point: Some(key.entry_point()),
            compilation_options: wgpu::PipelineCompilationOptions { constants: &key.constants(), ..Default::default() },
            cache: None,
        });
        Pipeline { layout, pipeline }
    }

    /// A buffer with these bytes in it, padded to whole words.
    pub(crate) fn buffer_with(&self, label: &str, usage: wgpu::BufferUsages, bytes: &[u8]) -> wgpu::Buffer {
        let buffer = self.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: (bytes.len() as u64).next_multiple_of(4).max(4),
            usage,
            mapped_at_creation: true,
        });
        // Mapping at creation fails on a lost device alone, and that device's work is lost anyway.
        if let Ok(mut view) = buffer.slice(..).get_mapped_range_mut() {
            view.slice(..bytes.len()).copy_from_slice(bytes);
        }
        buffer.unmap();
        buffer
    }
}

impl PipelineKey {
    /// For labels: `tweedie::Map::...`.
    fn name(&self) -> &'static str {
        match self {
            Self::Kernel { source, .. } => source.op.name(),
            Self::Finish(finish) => finish.name(),
        }
    }

    fn compose(&self) -> String {
        match self {
            Self::Kernel { source, .. } => source.compose(),
            Self::Finish(finish) => finish.compose(),
        }
    }

    fn entry_point(&self) -> &'static str {
        match self {
            Self::Kernel { source, .. } => source.walk.entry_point(),
            Self::Finish(_) => Finish::ENTRY_POINT,
        }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        match *self {
            Self::Kernel { source: Source { walk: Walk::Lanes, .. }, tile } => vec![
                ("tile_x", f64::from(tile.lanes)),
                ("tile_y", f64::from(tile.samples)),
                ("lanes_each", f64::from(tile.lanes_each)),
            ],
            _ => Vec::new(),
        }
    }

    fn layout_entries(&self) -> Vec<wgpu::BindGroupLayoutEntry> {
        let entry = |binding, ty, has_dynamic_offset| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
            count: None,
        };
        let storage = |(binding, writable): (u32, bool)| {
            entry(binding, wgpu::BufferBindingType::Storage { read_only: !writable }, false)
        };
        let uniform = |binding, dynamic| entry(binding, wgpu::BufferBindingType::Uniform, dynamic);
        match self {
            Self::Kernel { source, .. } => {
                let mut entries = vec![uniform(0, false), uniform(1, true)];
                match source.rows {
                    Rows::Batch => entries.push(uniform(TABLE_BINDING, true)),
                    Rows::Uniform(_) => entries.push(uniform(TABLE_BINDING, false)),
                    Rows::Storage => {}
                }
                entries.extend(source.storage_bindings().into_iter().map(storage));
                entries
            }
            Self::Finish(_) => vec![uniform(0, false), storage((1, true)), storage((2, true))],
        }
    }
}

/// Writes a composed shader into the folder that `TWEEDIE_DUMP_WGSL` names, for people and other compilers to read.
fn dump(key: &PipelineKey, text: &str) {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let Some(folder) = std::env::var_os("TWEEDIE_DUMP_WGSL") else {
        return;
    };
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let name = format!("{}_{:016x}.wgsl", key.entry_point(), hasher.finish());
    // A debugging aid: a folder that cannot be written must not fail the application.
    let _ = std::fs::write(std::path::Path::new(&folder).join(name), text);
}
