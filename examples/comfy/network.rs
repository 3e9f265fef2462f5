//! The network, which is the application's own. It reads the numbers of a call on the GPU.

use tweedie::LoopCall;
use tweedie::wgpu::{self, util::DeviceExt};

/// The elements of a sample.
pub const ELEMENTS: usize = 12;

const MEANS: [f32; ELEMENTS] = [
    -0.135_082_74,
    0.231_219_19,
    0.644_562_07,
    0.472_935_94,
    -0.911_685_3,
    0.374_297_65,
    -0.083_383_37,
    -0.904_985_5,
    1.104_856_7,
    0.566_838,
    -0.837_802_23,
    -0.068_053_015,
];
const DEVIATIONS: [f32; ELEMENTS] = [
    0.704_142_15,
    0.421_113_22,
    0.910_539_5,
    0.976_032,
    0.956_853_87,
    0.658_304_2,
    0.534_686_15,
    0.882_368_3,
    1.100_247_7,
    0.487_927_35,
    0.921_977_76,
    0.884_169_76,
];

/// The network on its buffers.
pub struct Network {
    device: wgpu::Device,
    pipeline: wgpu::ComputePipeline,
    data: wgpu::Buffer,
    x: wgpu::Buffer,
    prediction: wgpu::Buffer,
}

impl Network {
    pub fn new(device: &wgpu::Device, x: &wgpu::Buffer, prediction: &wgpu::Buffer) -> Self {
        let module = device.create_shader_module(wgpu::include_wgsl!("network.wgsl"));
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("comfy::network"),
            layout: None,
            module: &module,
            entry_point: Some("answer"),
            compilation_options: Default::default(),
            cache: None,
        });
        let data: Vec<f32> =
            MEANS.into_iter().zip(DEVIATIONS).flat_map(|(mean, deviation)| [mean, deviation]).collect();
        let data = device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
            label: Some("comfy::data"),
            contents: bytemuck::cast_slice(&data),
            usage: wgpu::BufferUsages::STORAGE,
        });
        Self { device: device.clone(), pipeline, data, x: x.clone(), prediction: prediction.clone() }
    }

    /// Records the prediction of a call.
    pub fn record(&self, encoder: &mut wgpu::CommandEncoder, call: &LoopCall<'_>) {
        let told = wgpu::BufferBinding { buffer: call.values, offset: call.offset, size: wgpu::BufferSize::new(8) };
        let [data, x, prediction] = [&self.data, &self.x, &self.prediction].map(wgpu::Buffer::as_entire_binding);
        let resources = [wgpu::BindingResource::Buffer(told), data, x, prediction];
        let entries = (0..).zip(resources).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource });
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("comfy::network"),
            layout: &self.pipeline.get_bind_group_layout(0),
            entries: &entries.collect::<Vec<_>>(),
        });
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups((self.x.size() / 4).div_ceil(64) as u32, 1, 1);
    }
}
