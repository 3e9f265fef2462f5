//! Draws pictures straight from the buffers that kernels write: a render pipeline, and a quad for each picture.

use crate::buffers::ImageSlice;
use std::collections::HashMap;
use tweedie::wgpu;

/// A picture and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    /// Left, top, right, bottom in clip space: -1 to 1, upwards.
    pub corners: [f32; 4],
    /// The picture.
    pub picture: ImageSlice,
    /// Factor of its values, before -1 becomes black and 1 full intensity.
    pub gain: f32,
    /// True if each of its pixels covers whole pixels of the window, and needs no interpolation.
    pub crisp: bool,
}

/// As `Instance` in `picture.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
struct Instance {
    place: [f32; 4],
    shape: [u32; 4],
    gain: f32,
}

/// The pictures of a window.
#[derive(Debug)]
pub struct ImageRenderer {
    /// Interpolated, and crisp.
    pipelines: [wgpu::RenderPipeline; 2],
    layout: wgpu::BindGroupLayout,
    /// A bind group for each buffer that is drawn from.
    groups: HashMap<wgpu::Buffer, wgpu::BindGroup>,
    places: Vec<Placement>,
    instances: wgpu::Buffer,
}

/// The most pictures that are drawn.
const MOST: usize = 64;

impl ImageRenderer {
    /// Compiles the pipelines for targets of this format.
    #[must_use]
    pub fn new(device: &wgpu::Device, format: wgpu::TextureFormat) -> Self {
        let module = device.create_shader_module(wgpu::include_wgsl!("picture.wgsl"));
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("scenes::image_renderer::bindings"),
            entries: &[wgpu::BindGroupLayoutEntry {
                binding: 0,
                visibility: wgpu::ShaderStages::FRAGMENT,
                ty: wgpu::BindingType::Buffer {
                    ty: wgpu::BufferBindingType::Storage { read_only: true },
                    has_dynamic_offset: false,
                    min_binding_size: None,
                },
                count: None,
            }],
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("scenes::image_renderer::layout"),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipelines = [false, true].map(|crisp| pipeline(device, &module, &pipeline_layout, format, crisp));
        let instances = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("scenes::image_renderer::instances"),
            size: (MOST * size_of::<Instance>()) as u64,
            usage: wgpu::BufferUsages::VERTEX | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Self { pipelines, layout, groups: HashMap::new(), places: Vec::new(), instances }
    }

    /// Places these pictures, and no others. Uploads their places if those have changed, but never a pixel.
    pub fn place(&mut self, device: &wgpu::Device, queue: &wgpu::Queue, mut places: Vec<Placement>) {
        places.truncate(MOST);
        if places == self.places {
            return;
        }
        let instance = |place: &Placement| {
            let ImageSlice { size: [width, height], offset, channels, .. } = place.picture;
            let plane = if channels == 1 { 0 } else { width * height };
            Instance { place: place.corners, shape: [width, height, offset as u32, plane], gain: place.gain }
        };
        let instances: Vec<Instance> = places.iter().map(instance).collect();
        queue.write_buffer(&self.instances, 0, bytemuck::cast_slice(&instances));
        self.groups.retain(|buffer, _| places.iter().any(|place| place.picture.buffer == *buffer));
        for Placement { picture: ImageSlice { buffer, .. }, .. } in &places {
            self.groups.entry(buffer.clone()).or_insert_with(|| {
                device.create_bind_group(&wgpu::BindGroupDescriptor {
                    label: Some("scenes::image_renderer::group"),
                    layout: &self.layout,
                    entries: &[wgpu::BindGroupEntry { binding: 0, resource: buffer.as_entire_binding() }],
                })
            });
        }
        self.places = places;
    }

    /// Draws the pictures that were placed.
    pub fn draw(&self, pass: &mut wgpu::RenderPass<'_>) {
        pass.set_vertex_buffer(0, self.instances.slice(..));
        for (index, place) in (0..).zip(&self.places) {
            if let Some(group) = self.groups.get(&place.picture.buffer) {
                pass.set_pipeline(&self.pipelines[usize::from(place.crisp)]);
                pass.set_bind_group(0, group, &[]);
                pass.draw(0..4, index..index + 1);
            }
        }
    }
}

fn pipeline(
    device: &wgpu::Device,
    module: &wgpu::ShaderModule,
    layout: &wgpu::PipelineLayout,
    format: wgpu::TextureFormat,
    crisp: bool,
) -> wgpu::RenderPipeline {
    let number = |condition: bool| f64::from(u8::from(condition));
    let constants = [("srgb_target", number(format.is_srgb())), ("crisp", number(crisp))];
    device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
        label: Some("scenes::image_renderer::pipeline"),
        layout: Some(layout),
        vertex: wgpu::VertexState {
            module,
            entry_point: Some("corner"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            buffers: &[Some(wgpu::VertexBufferLayout {
                array_stride: size_of::<Instance>() as u64,
                step_mode: wgpu::VertexStepMode::Instance,
                attributes: &wgpu::vertex_attr_array![0 => Float32x4, 1 => Uint32x4, 2 => Float32],
            })],
        },
        primitive: wgpu::PrimitiveState {
            topology: wgpu::PrimitiveTopology::TriangleStrip,
            ..wgpu::PrimitiveState::default()
        },
        depth_stencil: None,
        multisample: wgpu::MultisampleState::default(),
        fragment: Some(wgpu::FragmentState {
            module,
            entry_point: Some("pixel"),
            compilation_options: wgpu::PipelineCompilationOptions { constants: &constants, ..Default::default() },
            targets: &[Some(format.into())],
        }),
        multiview_mask: None,
        cache: None,
    })
}
