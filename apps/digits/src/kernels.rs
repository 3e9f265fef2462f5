//! The kernels: WGSL text composed from a few files, compiled, and bound to buffers.

use crate::error::DigitsError;
use tweedie::wgpu;

const CONV: &str = include_str!("shaders/conv.wgsl");
const NORM: &str = include_str!("shaders/norm.wgsl");
const EMBEDDING: &str = include_str!("shaders/embedding.wgsl");
const READ_SAME: &str = include_str!("shaders/read_same.wgsl");
const READ_HALVED: &str = include_str!("shaders/read_halved.wgsl");
const READ_DOUBLED: &str = include_str!("shaders/read_doubled.wgsl");
const FINISH_PLAIN: &str = include_str!("shaders/finish_plain.wgsl");
const FINISH_RESIDUAL: &str = include_str!("shaders/finish_residual.wgsl");
const FINISH_SKIP: &str = include_str!("shaders/finish_skip.wgsl");

/// The most storage buffers of a kernel: those of [`Kernel::ConvSkip`].
const STORAGE_BUFFERS: u32 = 7;

/// A kernel. Those of a convolution differ in the size of its input, or in what is added.
#[derive(Clone, Copy, Debug)]
pub enum Kernel {
    Embedding,
    Norm,
    Conv,
    ConvHalved,
    ConvDoubled,
    ConvResidual,
    ConvSkip,
}

impl Kernel {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Embedding,
        Self::Norm,
        Self::Conv,
        Self::ConvHalved,
        Self::ConvDoubled,
        Self::ConvResidual,
        Self::ConvSkip,
    ];

    /// Its WGSL text, with one entry point.
    pub fn text(self) -> String {
        let parts: &[&str] = match self {
            Self::Embedding => &[EMBEDDING],
            Self::Norm => &[NORM],
            Self::Conv => &[CONV, READ_SAME, FINISH_PLAIN],
            Self::ConvHalved => &[CONV, READ_HALVED, FINISH_PLAIN],
            Self::ConvDoubled => &[CONV, READ_DOUBLED, FINISH_PLAIN],
            Self::ConvResidual => &[CONV, READ_SAME, FINISH_RESIDUAL],
            Self::ConvSkip => &[CONV, READ_SAME, FINISH_SKIP],
        };
        parts.concat()
    }
}

/// A kernel with its buffers and its number of workgroups.
#[derive(Clone, Debug)]
pub struct Dispatch {
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    workgroups: [u32; 2],
}

impl Dispatch {
    /// Records it.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        let [across, down] = self.workgroups;
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bindings, &[]);
        pass.dispatch_workgroups(across, down, 1);
    }
}

/// The kernels of a device. Networks share them; the driver compiles each once.
#[derive(Clone, Debug)]
pub struct Kernels {
    device: wgpu::Device,
    pipelines: [wgpu::ComputePipeline; Kernel::ALL.len()],
}

impl Kernels {
    /// Compiles the kernels.
    ///
    /// # Errors
    /// [`DigitsError::StorageBuffers`] for a device below WebGPU's default limits.
    pub fn new(device: &wgpu::Device) -> Result<Self, DigitsError> {
        let found = device.limits().max_storage_buffers_per_shader_stage;
        if found < STORAGE_BUFFERS {
            return Err(DigitsError::StorageBuffers { expected: STORAGE_BUFFERS, found });
        }
        Ok(Self { device: device.clone(), pipelines: Kernel::ALL.map(|kernel| compile(device, kernel)) })
    }

    /// The device.
    #[must_use]
    pub const fn device(&self) -> &wgpu::Device {
        &self.device
    }

    /// Binds a uniform block and buffers, in the order of their binding numbers.
    pub(crate) fn bind(
        &self,
        kernel: Kernel,
        block: &[u32],
        buffers: &[wgpu::BindingResource<'_>],
        workgroups: [u32; 2],
    ) -> Dispatch {
        let block = self.filled("digits::block", bytemuck::cast_slice(block), wgpu::BufferUsages::UNIFORM);
        let resources = std::iter::once(block.as_entire_binding()).chain(buffers.iter().cloned());
        let entries: Vec<_> =
            (0..).zip(resources).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
        let pipeline = self.pipelines[kernel as usize].clone();
        let bindings = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("digits::bindings"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        Dispatch { pipeline, bindings, workgroups }
    }

    /// A storage buffer that holds these numbers.
    pub(crate) fn upload<T: bytemuck::NoUninit>(&self, label: &str, numbers: &[T]) -> wgpu::Buffer {
        self.filled(label, bytemuck::cast_slice(numbers), wgpu::BufferUsages::STORAGE)
    }

    /// A buffer that holds these bytes. wgpu's own `create_buffer_init` panics on a lost device. Here nothing is written on one,
    /// and the loss is reported to whoever submits work to it.
    fn filled(&self, label: &str, contents: &[u8], usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: (contents.len() as u64)
                .next_multiple_of(wgpu::COPY_BUFFER_ALIGNMENT)
                .max(wgpu::COPY_BUFFER_ALIGNMENT),
            usage,
            mapped_at_creation: true,
        });
        if let Ok(mut view) = buffer.get_mapped_range_mut(..) {
            view.slice(..contents.len()).copy_from_slice(contents);
        }
        buffer.unmap();
        buffer
    }

    /// A storage buffer for so many numbers, which may be copied from.
    pub(crate) fn buffer(&self, label: &str, numbers: u64) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: numbers * 4,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        })
    }
}

fn compile(device: &wgpu::Device, kernel: Kernel) -> wgpu::ComputePipeline {
    let label = format!("digits::{kernel:?}");
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(&label),
        source: wgpu::ShaderSource::Wgsl(kernel.text().into()),
    });
    device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(&label),
        layout: None,
        module: &module,
        entry_point: None,
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use naga::valid::{Capabilities, ValidationFlags, Validator};

    impl Kernel {
        fn module(self) -> naga::Module {
            naga::front::wgsl::parse_str(&self.text()).unwrap_or_else(|error| panic!("{self:?}: {error}"))
        }

        pub fn workgroup_size(self) -> [u32; 3] {
            self.module().entry_points[0].workgroup_size
        }
    }

    #[test]
    fn every_kernel_is_valid() {
        let mut most = 0;
        for kernel in Kernel::ALL {
            let module = kernel.module();
            let mut validator = Validator::new(ValidationFlags::all(), Capabilities::SHADER_FLOAT16_IN_FLOAT32);
            validator.validate(&module).unwrap_or_else(|error| panic!("{kernel:?}: {error:?}"));
            assert_eq!(module.entry_points.len(), 1, "{kernel:?}");
            let storage = |global: &naga::GlobalVariable| matches!(global.space, naga::AddressSpace::Storage { .. });
            most = most.max(module.global_variables.iter().filter(|(_, global)| storage(global)).count());
        }
        assert_eq!(most, STORAGE_BUFFERS as usize);
        for (number, kernel) in Kernel::ALL.into_iter().enumerate() {
            assert_eq!(kernel as usize, number);
        }
    }
}
