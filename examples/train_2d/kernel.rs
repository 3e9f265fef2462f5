//! What this application needs of wgpu: a compiled shader, and a dispatch of it with everything bound.

use tweedie::headless::{Gpu, HeadlessError};
use tweedie::wgpu::{self, util::DeviceExt as _};

/// A compiled compute shader.
#[derive(Debug)]
pub struct Kernel {
    pipeline: wgpu::ComputePipeline,
}

/// A kernel with its buffers and its number of workgroups: recording it is one line and allocates nothing.
#[derive(Debug)]
pub struct Dispatch {
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    workgroups: u32,
}

impl Kernel {
    /// Compiles the only entry point of a shader, with its `override` constants.
    pub fn new(device: &wgpu::Device, label: &str, wgsl: &str, constants: &[(&str, f64)]) -> Self {
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(label),
            source: wgpu::ShaderSource::Wgsl(wgsl.into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(label),
            layout: None,
            module: &module,
            entry_point: None,
            compilation_options: wgpu::PipelineCompilationOptions { constants, ..Default::default() },
            cache: None,
        });
        Self { pipeline }
    }

    /// Binds buffers, in the order of their binding numbers.
    pub fn bind(&self, device: &wgpu::Device, buffers: &[wgpu::BufferBinding<'_>], workgroups: u32) -> Dispatch {
        let resources = buffers.iter().cloned().map(wgpu::BindingResource::Buffer);
        let entries: Vec<_> =
            (0..).zip(resources).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
        let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &self.pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        Dispatch { pipeline: self.pipeline.clone(), bindings, workgroups }
    }
}

impl Dispatch {
    /// Records the dispatch.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bindings, &[]);
        pass.dispatch_workgroups(self.workgroups, 1, 1);
    }
}

/// Creates a uniform buffer that holds these bytes and may be copied to.
pub fn uniform(device: &wgpu::Device, label: &str, contents: &[u8]) -> wgpu::Buffer {
    let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
    device.create_buffer_init(&wgpu::util::BufferInitDescriptor { label: Some(label), contents, usage })
}

/// All of a buffer.
pub fn whole(buffer: &wgpu::Buffer) -> wgpu::BufferBinding<'_> {
    buffer.as_entire_buffer_binding()
}

/// Waits for all submitted work and reads a buffer.
pub async fn download<T: bytemuck::Pod>(gpu: &Gpu, buffer: &wgpu::Buffer) -> Result<Vec<T>, HeadlessError> {
    Ok(bytemuck::pod_collect_to_vec(&gpu.download(buffer, 0..buffer.size()).await?))
}
