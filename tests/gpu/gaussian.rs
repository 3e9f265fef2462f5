//! A network on wgpu for normally distributed data, written as an application would write its own.

use crate::harness::Harness;
use tweedie::LoopCall;
use tweedie::math::run::RunLoop;
use wgpu::util::DeviceExt;

/// The network, on the buffers of one prediction.
pub struct Gaussian {
    pipeline: wgpu::ComputePipeline,
    /// A bind group for each call.
    groups: Vec<wgpu::BindGroup>,
    workgroups: u32,
}

/// The part of a buffer that holds the output.
pub struct Output<'a> {
    pub buffer: &'a wgpu::Buffer,
    pub offset: u64,
    pub bytes: u64,
}

impl Gaussian {
    /// Prepares the calls of a loop; `calls` are its own.
    pub fn new(
        harness: &Harness,
        run: &RunLoop,
        calls: &[LoopCall<'_>],
        input: &wgpu::Buffer,
        output: &Output<'_>,
        [mean, deviation]: [&[f64]; 2],
    ) -> Self {
        let device = &harness.gpu.device;
        let pipeline = harness.pipeline(include_str!("gaussian.wgsl"), "answer");
        let data: Vec<f32> = mean.iter().zip(deviation).flat_map(|(m, s)| [*m as f32, *s as f32]).collect();
        let data = harness.gpu.upload("data", bytemuck::cast_slice(&data));
        let group = |call: &LoopCall<'_>| {
            let ([of_x, of_output], alpha) = (run.model().denoised(call.sigma), run.model().alpha(call.sigma));
            let model = [alpha, of_x, of_output, 1.0 - of_x * alpha].map(|number| number as f32);
            let model = device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
                label: None,
                contents: bytemuck::cast_slice(&model),
                usage: wgpu::BufferUsages::UNIFORM,
            });
            let part = |buffer, offset, size| {
                wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size: wgpu::BufferSize::new(size) })
            };
            let resources = [
                part(call.values, call.offset, 16),
                model.as_entire_binding(),
                part(input, 0, output.bytes),
                data.as_entire_binding(),
                part(output.buffer, output.offset, output.bytes),
            ];
            let entries = (0..).zip(resources).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource });
            device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &pipeline.get_bind_group_layout(0),
                entries: &entries.collect::<Vec<_>>(),
            })
        };
        let groups = calls.iter().map(group).collect();
        Self { groups, pipeline, workgroups: (output.bytes / 4).div_ceil(64) as u32 }
    }

    pub fn record(&self, encoder: &mut wgpu::CommandEncoder, call: usize) {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.groups[call], &[]);
        pass.dispatch_workgroups(self.workgroups, 1, 1);
    }
}
