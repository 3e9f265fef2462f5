//! The two yardsticks: `copy_buffer_to_buffer`, and a copy shader that streams.
//!
//! Half of the bytes that move are read and half are written. Buffers are cut where the device's limits demand it.

use anyhow::Result;
use std::rc::Rc;
use tweedie::headless::Gpu;

/// Bytes of a workgroup: 256 threads of four `vec4`.
const TILE: u64 = 256 * 4 * 16;
/// Workgroups of one dispatch, within every device's 65,535 in x.
const MOST_TILES: u64 = 32_768;

/// The compiled copy shader.
pub struct Copier {
    pipeline: wgpu::ComputePipeline,
    most: u64,
}

/// Source and target of one command, and the binding of the shader.
#[derive(Debug)]
pub struct Piece {
    source: wgpu::Buffer,
    target: wgpu::Buffer,
    group: wgpu::BindGroup,
    bytes: u64,
}

/// A copy, ready to be recorded.
pub type Pieces = Rc<Vec<Piece>>;

impl Copier {
    pub fn new(gpu: &Gpu) -> Self {
        let module = gpu.device.create_shader_module(wgpu::include_wgsl!("stream_copy.wgsl"));
        let pipeline = gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("tweedie-bench::stream_copy"),
            layout: None,
            module: &module,
            entry_point: None,
            compilation_options: Default::default(),
            cache: None,
        });
        let limits = gpu.device.limits();
        let most = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).min(MOST_TILES * TILE);
        Self { pipeline, most: most / TILE * TILE }
    }

    /// Makes the buffers of a copy that moves this many bytes.
    pub fn pieces(&self, gpu: &Gpu, bytes: u64) -> Result<Pieces> {
        let half = half(bytes);
        let starts = (0..half).step_by(usize::try_from(self.most)?);
        let pieces = starts.map(|start| self.piece(gpu, self.most.min(half - start))).collect();
        gpu.check()?;
        Ok(Rc::new(pieces))
    }

    fn piece(&self, gpu: &Gpu, bytes: u64) -> Piece {
        let [source, target] =
            ["tweedie-bench::copy_from", "tweedie-bench::copy_to"].map(|label| gpu.buffer(label, bytes));
        let entry =
            |(binding, buffer)| wgpu::BindGroupEntry { binding, resource: wgpu::Buffer::as_entire_binding(buffer) };
        let group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("tweedie-bench::copy"),
            layout: &self.pipeline.get_bind_group_layout(0),
            entries: &[(0, &source), (1, &target)].map(entry),
        });
        Piece { source, target, group, bytes }
    }

    /// Records the copy as a shader.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>, pieces: &[Piece]) {
        pass.set_pipeline(&self.pipeline);
        for piece in pieces {
            pass.set_bind_group(0, &piece.group, &[]);
            pass.dispatch_workgroups(piece.bytes.div_ceil(TILE) as u32, 1, 1);
        }
    }
}

/// Records the copy as a command of wgpu.
pub fn encode(encoder: &mut wgpu::CommandEncoder, pieces: &[Piece]) {
    for piece in pieces {
        encoder.copy_buffer_to_buffer(&piece.source, 0, &piece.target, 0, piece.bytes);
    }
}

/// Bytes that are copied so that `bytes` move, in whole vec4.
pub const fn half(bytes: u64) -> u64 {
    (bytes / 2).next_multiple_of(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_is_read_and_half_is_written() {
        assert_eq!([0, 2, 32, 34, 300].map(half), [0, 16, 16, 32, 160]);
    }
}
