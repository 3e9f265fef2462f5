//! Pipelines: each is compiled once, by the first thread that needs it, while other threads compile others.

use crate::gpu::shader::bindings::layout_entries;
use crate::gpu::shader::compose::{Native, dump};
use crate::gpu::shader::params::{BRANCHES, WORKGROUP};
use crate::gpu::shader::variant::{Variant, Walk};
use std::sync::{Arc, OnceLock};

/// The key of a pipeline.
#[expect(clippy::large_enum_variant, reason = "there is one a pipeline, and nearly all are the large variant")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PipelineKey {
    /// A kernel of an op: its variant and the tile of its workgroups.
    Op(Variant, Tile),
    /// A kernel that stands alone, by its name, which is also its entry point.
    Alone(&'static str),
}

/// The lanes and samples that a workgroup covers, and the lanes of an invocation. Walks other than the one over lanes only
/// distinguish one sample from several, and walks over chunks also whether the chunks are whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tile {
    pub lanes: u32,
    pub samples: u32,
    pub lanes_each: u32,
    /// True if workgroups whose invocations take four lanes each end where the samples do.
    pub is_whole: bool,
}

/// What compiling needs of a device.
#[derive(Debug)]
pub(crate) struct Compiler {
    pub device: wgpu::Device,
    pub native: Native,
    pub cache: Option<wgpu::PipelineCache>,
}

/// A pipeline that is compiled when it is first needed. Its bind groups can be made before that.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub layout: wgpu::BindGroupLayout,
    compiler: Arc<Compiler>,
    key: PipelineKey,
    /// The text of a kernel that stands alone; that of an op is composed when it is compiled.
    text: String,
    compiled: OnceLock<wgpu::ComputePipeline>,
}

impl Tile {
    /// A workgroup along a line of lanes, which the walk treats as one sample.
    pub const LINE: Self = Self { lanes: WORKGROUP, samples: 1, lanes_each: 1, is_whole: false };
    /// A workgroup of several samples, however many.
    pub const SHARED: Self = Self { lanes: 1, samples: WORKGROUP, lanes_each: 1, is_whole: false };

    /// The pipeline constants of a walk. Naming a constant that a shader lacks is an error.
    fn constants(self, variant: &Variant, native: Native) -> Vec<(&'static str, f64)> {
        let is_line = self.samples == 1;
        let rows = native.wide && is_line && variant.op.adds_up();
        let whole_tiles = ("whole_tiles", f64::from(u8::from(self.is_whole)));
        match variant.walk {
            Walk::Lanes => vec![
                ("tile_x", f64::from(self.lanes)),
                ("tile_y", f64::from(self.samples)),
                ("lanes_each", f64::from(self.lanes_each)),
                whole_tiles,
            ],
            Walk::Chunks | Walk::UnalignedChunks => vec![
                ("one_sample", f64::from(u8::from(is_line))),
                ("rows_each", f64::from(if rows { BRANCHES } else { 1 })),
                whole_tiles,
            ],
            Walk::Flat => vec![("of_two", f64::from(u8::from(self == Self::SHARED)))],
            Walk::Words | Walk::Pairs => Vec::new(),
        }
    }
}

impl PipelineKey {
    /// The prefix of the labels of its wgpu objects.
    fn label(&self) -> String {
        let name = match self {
            PipelineKey::Op(variant, _) => variant.op.name(),
            PipelineKey::Alone(name) => name,
        };
        format!("tweedie::{name}")
    }
}

impl Pipeline {
    /// The pipeline of a kernel of an op.
    pub fn of_op(compiler: &Arc<Compiler>, variant: Variant, tile: Tile) -> Self {
        Self::new(compiler, PipelineKey::Op(variant, tile), String::new(), &layout_entries(&variant))
    }

    /// The pipeline of a kernel that stands alone. Its name is also its entry point; its workgroup memory is not cleared.
    pub fn alone(
        compiler: &Arc<Compiler>,
        name: &'static str,
        text: String,
        bindings: &[wgpu::BindGroupLayoutEntry],
    ) -> Self {
        Self::new(compiler, PipelineKey::Alone(name), text, bindings)
    }

    fn new(compiler: &Arc<Compiler>, key: PipelineKey, text: String, entries: &[wgpu::BindGroupLayoutEntry]) -> Self {
        let label = key.label() + "::bindings";
        let descriptor = wgpu::BindGroupLayoutDescriptor { label: Some(&label), entries };
        let layout = compiler.device.create_bind_group_layout(&descriptor);
        Self { layout, compiler: Arc::clone(compiler), key, text, compiled: OnceLock::new() }
    }

    /// Returns `true` if it has been compiled.
    pub fn is_compiled(&self) -> bool {
        self.compiled.get().is_some()
    }

    /// The compiled pipeline. Compiles it if necessary, or waits for the thread that is compiling it.
    pub fn compiled(&self) -> &wgpu::ComputePipeline {
        self.compiled.get_or_init(|| match &self.key {
            PipelineKey::Op(variant, tile) => self.compile_op(variant, *tile),
            PipelineKey::Alone(name) => {
                // Kernels that stand alone write workgroup memory before they read it.
                let options =
                    wgpu::PipelineCompilationOptions { zero_initialize_workgroup_memory: false, ..Default::default() };
                self.compile(&self.text, name, options)
            }
        })
    }

    fn compile_op(&self, variant: &Variant, tile: Tile) -> wgpu::ComputePipeline {
        let constants = &tile.constants(variant, self.compiler.native);
        let zero_initialize_workgroup_memory = variant.clears_workgroup_memory();
        let options = wgpu::PipelineCompilationOptions { constants, zero_initialize_workgroup_memory };
        self.compile(&variant.compose(self.compiler.native), variant.walk.entry_point(), options)
    }

    fn compile(
        &self,
        text: &str,
        entry_point: &str,
        compilation_options: wgpu::PipelineCompilationOptions<'_>,
    ) -> wgpu::ComputePipeline {
        dump(entry_point, text);
        let Compiler { device, cache, .. } = &*self.compiler;
        let label = |part: &str| format!("{}::{part}", self.key.label());
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(&label("shader")),
            source: wgpu::ShaderSource::Wgsl(text.into()),
        });
        let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(&label("layout")),
            bind_group_layouts: &[Some(&self.layout)],
            immediate_size: 0,
        });
        device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&label("pipeline")),
            layout: Some(&layout),
            module: &module,
            entry_point: Some(entry_point),
            compilation_options,
            cache: cache.as_ref(),
        })
    }
}
