//! Numbers on their way from the GPU to the host, without waiting for them.

use std::sync::{Arc, OnceLock};
use tweedie::wgpu::{self, BufferUsages};

/// A copy that has been recorded, and is mapped once it has been submitted.
#[derive(Debug)]
pub struct Readout {
    staging: wgpu::Buffer,
    /// True if it could be mapped, once that is known.
    mapped: Option<Arc<OnceLock<bool>>>,
}

impl Readout {
    /// Records the copy of `count` floats, beginning with `first`, into the caller's encoder.
    #[must_use]
    pub fn record(
        encoder: &mut wgpu::CommandEncoder,
        device: &wgpu::Device,
        from: &wgpu::Buffer,
        [first, count]: [u64; 2],
    ) -> Self {
        let staging = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("scenes::readout"),
            size: 4 * count,
            usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        encoder.copy_buffer_to_buffer(from, 4 * first, &staging, 0, 4 * count);
        Self { staging, mapped: None }
    }

    /// Returns the numbers once they have arrived; to be called after the submit until then. An error is an empty list.
    pub fn arrived(&mut self) -> Option<Vec<f32>> {
        let Some(mapped) = &self.mapped else {
            let mapped = Arc::new(OnceLock::new());
            self.mapped = Some(Arc::clone(&mapped));
            self.staging.map_async(wgpu::MapMode::Read, .., move |result| {
                let _ = mapped.set(result.is_ok()); // it is called once
            });
            return None;
        };
        let view = mapped.get()?.then(|| self.staging.get_mapped_range(..).ok()).flatten();
        Some(view.map_or_else(Vec::new, |view| bytemuck::pod_collect_to_vec(&view)))
    }
}
