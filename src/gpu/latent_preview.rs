//! Previews: the colours of a latent by the matrix of its format, in one dispatch.
//!
//! **Practice.** A preview of a running loop reads the clean sample that a step has written, and writes the texture that a window
//! shows. Its f64 reference is [`LatentFormat::preview_of`](crate::math::LatentFormat::preview_of). Each element of the frame is
//! read once, and 4 bytes a pixel are written.

use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, check_limit};
use crate::gpu::plan::words::WordRange;
use crate::gpu::shader::bindings::{entry, storage};
use crate::gpu::shader::params::PreviewParams;
use crate::gpu::shader::pixels::PixelKernel;
use crate::gpu::standalone_pass::{StandalonePass, workgroups};
use crate::gpu::tensor::{Shape, Tensor};
use crate::gpu::texture::{check_texture, texture_entry};
use wgpu::{BindingResource, BufferUsages};

/// The request for a preview of one frame of one sample: a latent `[channel, frame, height, width]` in the scale of the network.
#[derive(Clone, Copy, Debug)]
pub struct LatentPreview<'a> {
    /// The latents of a batch.
    pub latent: Tensor<'a>,
    /// Red, green and blue of each channel: [`Preview::factors`](crate::math::Preview::factors).
    pub factors: &'a [[f64; 3]],
    /// The colour of 0: [`Preview::bias`](crate::math::Preview::bias).
    pub bias: [f64; 3],
    /// Pixels of the preview along an edge of a cell of the latent: [`Preview::edge`](crate::math::Preview::edge), usually 1. The
    /// latent has `edge * edge` channels for each of the factors.
    pub edge: u32,
    /// Frames of the latent; 1 for a picture.
    pub frames: u32,
    /// Rows of the latent.
    pub height: u32,
    /// Cells of a row of the latent.
    pub width: u32,
    /// The sample that is shown.
    pub sample: u32,
    /// The frame that is shown.
    pub frame: u32,
}

/// A planned preview.
#[derive(Debug)]
pub struct PreviewPlan(StandalonePass);

impl PreviewPlan {
    /// Records the preview into the caller's pass: one dispatch.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        self.0.record(pass);
    }
}

impl LatentPreview<'_> {
    /// Plans a preview as `rgba8` words, red in the lowest byte, from byte `offset` of a buffer with usage STORAGE. `pitch` is
    /// the number of pixels from one row to the next: a multiple of 64 for a copy to a texture.
    ///
    /// # Errors
    /// [`PlanError`] for a frame without cells, a sample or a frame that the latent does not have, no factors or factors beyond
    /// f32, a pitch below the width of the preview, and buffers that do not fit.
    pub fn into_buffer(
        &self,
        context: &Context,
        (buffer, offset): (&wgpu::Buffer, u64),
        pitch: u32,
    ) -> Result<PreviewPlan, PlanError> {
        let [width, height] = self.size()?;
        if pitch < width {
            let (expected, found) = ("at least the width of the preview in pixels", f64::from(pitch));
            return Err(PlanError::Rule { what: "pitch", expected, found });
        }
        let count = u64::from(pitch) * u64::from(height - 1) + u64::from(width);
        check_limit("preview", "words of a buffer", u64::from(u32::MAX), count)?;
        let words = WordRange { count, ..WordRange::at((buffer, offset), 0) };
        words.check("preview")?;
        words.check_binding("preview", context)?;
        if buffer == self.latent.buffer {
            // WebGPU forbids a dispatch that reads and writes one buffer through two bindings.
            return Err(PlanError::Overlap { output: "preview", other: "latent" });
        }
        let (part, first_word) = words.binding(context);
        let output = (part.resource(), entry(3, storage(true), false));
        self.plan(context, PixelKernel::Preview, output, [first_word, pitch])
    }

    /// Plans a preview in an `rgba8unorm` texture with usage STORAGE_BINDING, from its first texel on.
    ///
    /// # Errors
    /// As [`into_buffer`](Self::into_buffer), and [`PlanError::Texture`] for a texture that does not fit.
    pub fn into_texture(&self, context: &Context, view: &wgpu::TextureView) -> Result<PreviewPlan, PlanError> {
        let [width, height] = self.size()?;
        check_texture(view, width, height)?;
        let output = (BindingResource::TextureView(view), texture_entry(3));
        self.plan(context, PixelKernel::PreviewTexture, output, [0, 0])
    }

    /// The width and the height of the preview.
    fn size(&self) -> Result<[u32; 2], PlanError> {
        if [self.width, self.height, self.frames, self.edge].contains(&0) || self.factors.is_empty() {
            return Err(PlanError::EmptyShape { batch: self.frames, elements: 0 });
        }
        if self.frame >= self.frames {
            let (expected, found) = ("below the number of frames", f64::from(self.frame));
            return Err(PlanError::Rule { what: "frame", expected, found });
        }
        let axis = |cells: u32| {
            let pixels = u64::from(cells) * u64::from(self.edge);
            check_limit("preview", "pixels of an edge", u64::from(u16::MAX), pixels).map(|()| pixels as u32)
        };
        Ok([axis(self.width)?, axis(self.height)?])
    }

    /// The shape of the sample that is shown.
    fn shape(&self) -> Result<Shape, PlanError> {
        let channels = self.factors.len() as u64 * u64::from(self.edge) * u64::from(self.edge);
        let cells = u64::from(self.width) * u64::from(self.height);
        let found = cells.saturating_mul(u64::from(self.frames)).saturating_mul(channels);
        let elements = u32::try_from(found);
        let elements = elements.map_err(|_| PlanError::SampleSize { tensor: "latent", most: u32::MAX, found })?;
        Ok(Shape::new(1, elements))
    }

    fn plan(
        &self,
        context: &Context,
        kernel: PixelKernel,
        (output, output_entry): (BindingResource<'_>, wgpu::BindGroupLayoutEntry),
        [first_word, pitch]: [u32; 2],
    ) -> Result<PreviewPlan, PlanError> {
        let ([width, height], shape) = (self.size()?, self.shape()?);
        let (words, lead) = WordRange::of_tensor("latent", self.latent, shape, self.sample)?;
        words.check_binding("latent", context)?;
        let (part, first) = words.binding(context);
        let numbers = self.factors.iter().chain([&self.bias]).flat_map(|&[r, g, b]| [r, g, b, 0.0]);
        let matrix: Vec<f32> = numbers.map(|number| number as f32).collect();
        if let Some(found) = matrix.iter().find(|number| !number.is_finite()) {
            let (what, expected) = ("factors or bias", "finite in f32");
            return Err(PlanError::Rule { what, expected, found: f64::from(*found) });
        }
        let groups = workgroups("preview", u64::from(width) * u64::from(height))?;
        let cells = self.width * self.height;
        let params = PreviewParams {
            width,
            height,
            channels: self.factors.len() as u32,
            edge: self.edge,
            cells: cells * self.frames,
            row: self.width,
            first: first * self.latent.storage.elements_per_word() + lead + self.frame * cells,
            first_word,
            pitch,
            groups_x: groups[0],
            unused: [0; 6],
        };
        let label = "tweedie::LatentPreview::params";
        let params = context.buffer_with(label, BufferUsages::UNIFORM, bytemuck::bytes_of(&params))?;
        let label = "tweedie::LatentPreview::matrix";
        let matrix = context.buffer_with(label, BufferUsages::STORAGE, bytemuck::cast_slice(&matrix))?;
        let bindings = [
            entry(0, wgpu::BufferBindingType::Uniform, false),
            entry(1, storage(false), false),
            entry(2, storage(false), false),
            output_entry,
        ];
        let stored = self.latent.storage;
        let pipeline = context.small_pipeline(kernel.name(stored), || kernel.compose(stored), &bindings);
        let resources = [params.as_entire_binding(), part.resource(), matrix.as_entire_binding(), output];
        let label = "tweedie::LatentPreview::group";
        Ok(PreviewPlan(StandalonePass::new(context, label, pipeline, resources, groups)))
    }
}
