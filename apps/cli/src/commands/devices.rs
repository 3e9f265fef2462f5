//! `tweedie devices`: the adapters that can run the shaders.

use crate::engine::gpu_failure;
use crate::report::{Outcome, say};
use serde_json::json;
use tweedie::headless::{Gpu, HeadlessError};

/// List the GPU adapters that can run tweedie, best first
///
/// The index or any part of the name selects an adapter for the other commands (--adapter). Software drivers such as Mesa's
/// llvmpipe count. Exits with 3 if there is none.
#[derive(clap::Args, Clone, Debug)]
pub struct Devices {
    /// Only adapters of this API: vulkan, metal, dx12 or gl
    #[arg(long, value_name = "API", value_parser = backend)]
    backend: Option<wgpu::Backend>,
}

fn backend(name: &str) -> Result<wgpu::Backend, String> {
    match name.to_ascii_lowercase().as_str() {
        "vulkan" => Ok(wgpu::Backend::Vulkan),
        "metal" => Ok(wgpu::Backend::Metal),
        "dx12" => Ok(wgpu::Backend::Dx12),
        "gl" | "gles" | "opengl" => Ok(wgpu::Backend::Gl),
        _ => Err("expected vulkan, metal, dx12 or gl".to_owned()),
    }
}

impl Devices {
    pub fn run(&self, json: bool) -> Outcome {
        let found: Vec<_> = pollster::block_on(Gpu::adapters())
            .into_iter()
            .enumerate()
            .map(|(index, adapter)| (index, adapter.get_info(), adapter.limits(), adapter.features()))
            .filter(|(_, info, ..)| self.backend.is_none_or(|backend| backend == info.backend))
            .collect();
        if found.is_empty() {
            return Err(gpu_failure(HeadlessError::NoAdapter));
        }
        for (index, info, limits, features) in &found {
            let timestamps = features.contains(wgpu::Features::TIMESTAMP_QUERY);
            let line = if json {
                json!({
                    "index": index,
                    "name": info.name,
                    "backend": info.backend.to_string(),
                    "type": format!("{:?}", info.device_type),
                    "driver": info.driver,
                    "driver_info": info.driver_info,
                    "max_buffer_size": limits.max_buffer_size,
                    "max_storage_buffer_binding_size": limits.max_storage_buffer_binding_size,
                    "timestamp_queries": timestamps,
                })
                .to_string()
            } else {
                format!(
                    "{index}: {}, binds up to {} MiB, {} timestamps",
                    Gpu::describe(info),
                    limits.max_storage_buffer_binding_size >> 20,
                    if timestamps { "with" } else { "without" },
                )
            };
            say(line)?;
        }
        Ok(())
    }
}
