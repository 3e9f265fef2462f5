//! Pixels and floats: integers of 8 or 16 bits to the floats of a network, and back into a buffer or a texture.
//!
//! **Theory.** The pixels of a picture are integers in sRGB, and networks take them scaled linearly: 0 becomes the lower end of a
//! range of floats and the largest integer its upper end, usually -1 and 1. No transfer curve is applied.
//!
//! **Practice.** A [`PixelConversion`] describes the floats; the pixels lie in a [`PixelBuffer`] or become a texture. Pictures
//! have 1 channel (grey), 3 or 4. Grey becomes three equal colours, a missing fourth channel is opaque, and a fourth channel that
//! is not wanted is left out. Each conversion is one dispatch that reads and writes every element once.
//! [`PixelConversion::float_of`] and [`PixelConversion::whole_of`] are the reference in f64.

use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, check_limit};
use crate::gpu::plan::words::WordRange;
use crate::gpu::shader::bindings::{entry, storage};
use crate::gpu::shader::params::PixelParams;
use crate::gpu::shader::pixels::PixelKernel;
use crate::gpu::standalone_pass::{StandalonePass, workgroups};
use crate::gpu::tensor::{Shape, Tensor};
use crate::gpu::texture::{check_texture, texture_entry};
use wgpu::{BindingResource, BufferUsages};

/// The order of the channels of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PixelLayout {
    /// `[height, width, channel]`.
    Interleaved,
    /// `[channel, height, width]`.
    Planar,
}

/// The bits of a channel of a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PixelDepth {
    /// 0 to 255, four to a word.
    U8,
    /// 0 to 65535, two to a word, little-endian.
    U16,
}

/// The rounding of a number to a whole one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PixelRounding {
    /// To the nearest, halves up.
    Nearest,
    /// Down, as ComfyUI does.
    Down,
}

/// Pixels of one or several pictures in a buffer with usage STORAGE, one picture after the other without a gap.
#[derive(Clone, Copy, Debug)]
pub struct PixelBuffer<'a> {
    /// The buffer.
    pub buffer: &'a wgpu::Buffer,
    /// Bytes before the first pixel: a multiple of 4.
    pub offset: u64,
    /// The bits of a channel.
    pub depth: PixelDepth,
    /// The channels: 1, 3 or 4.
    pub channels: u32,
    /// The order of the channels.
    pub layout: PixelLayout,
}

/// The request for a conversion between pixels and floats. It describes the floats.
#[derive(Clone, Copy, Debug)]
pub struct PixelConversion<'a> {
    /// The number of pictures.
    pub images: u32,
    /// Rows of a picture.
    pub height: u32,
    /// Pixels of a row.
    pub width: u32,
    /// The floats, one picture after the other without a gap.
    pub floats: Tensor<'a>,
    /// Their channels: 1, 3 or 4.
    pub channels: u32,
    /// The order of their channels.
    pub layout: PixelLayout,
    /// The floats of black and of white: `[-1.0, 1.0]` or `[0.0, 1.0]`.
    pub range: [f64; 2],
    /// The rounding to pixels.
    pub rounding: PixelRounding,
}

/// A planned conversion.
#[derive(Debug)]
pub struct PixelPlan(StandalonePass);

impl PixelPlan {
    /// Records the conversion into the caller's pass: one dispatch.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        self.0.record(pass);
    }
}

impl PixelDepth {
    const fn bits(self) -> u32 {
        match self {
            Self::U8 => 8,
            Self::U16 => 16,
        }
    }

    /// The largest whole number.
    #[must_use]
    pub const fn largest(self) -> u32 {
        (1 << self.bits()) - 1
    }
}

impl PixelRounding {
    const fn added(self) -> f32 {
        match self {
            Self::Nearest => 0.5,
            Self::Down => 0.0,
        }
    }
}

/// The pixels' side of a conversion.
#[derive(Clone, Copy)]
struct Side {
    depth: PixelDepth,
    channels: u32,
    layout: PixelLayout,
}

/// A texture: four channels of 8 bits.
const TEXTURE: Side = Side { depth: PixelDepth::U8, channels: 4, layout: PixelLayout::Interleaved };

impl PixelConversion<'_> {
    /// The float that a whole number becomes.
    #[must_use]
    pub fn float_of(&self, whole: u32, depth: PixelDepth) -> f64 {
        let [least, most] = self.range;
        least + f64::from(whole) * ((most - least) / f64::from(depth.largest()))
    }

    /// The whole number that a float becomes, clamped to the range; NaN becomes 0.
    #[must_use]
    pub fn whole_of(&self, float: f64, depth: PixelDepth) -> u32 {
        let [least, most] = self.range;
        let inside = (float.max(least).min(most) - least) / (most - least) * f64::from(depth.largest());
        (inside + f64::from(self.rounding.added())).floor() as u32
    }

    /// Plans the conversion of pixels to floats.
    ///
    /// # Errors
    /// [`PlanError`] for no pictures or pixels, channels that do not fit, a range that does not rise, floats with gaps, buffers
    /// that do not fit, and pixels and floats in one buffer.
    pub fn from_pixels(&self, context: &Context, pixels: PixelBuffer<'_>) -> Result<PixelPlan, PlanError> {
        self.check_channels(pixels.channels, self.channels, ["pixels", "floats"])?;
        let (words, side) = self.words(context, &pixels)?;
        let (floats, first) = self.floats(context)?;
        let elements = self.shape()?.total();
        let each = u64::from(self.floats.storage.elements_per_word());
        let groups = workgroups("floats", elements / each + 1)?;
        let first_word = words.binding(context).1;
        let params = PixelParams { total: elements as u32, first_word, ..self.params(side, first, groups[0])? };
        let bindings = [entry(1, storage(false), false), entry(2, storage(true), false)];
        let resources = [words.binding(context).0.resource(), floats.binding(context).0.resource()];
        self.plan(context, PixelKernel::ToFloats, params, bindings, resources, groups)
    }

    /// Plans the conversion of floats to pixels.
    ///
    /// # Errors
    /// As [`from_pixels`](Self::from_pixels).
    pub fn into_pixels(&self, context: &Context, pixels: PixelBuffer<'_>) -> Result<PixelPlan, PlanError> {
        self.check_channels(self.channels, pixels.channels, ["floats", "pixels"])?;
        let (words, side) = self.words(context, &pixels)?;
        let (floats, first) = self.floats(context)?;
        let total = self.elements(pixels.channels)?;
        let groups = workgroups("pixels", words.count)?;
        let first_word = words.binding(context).1;
        let params = PixelParams { total, first_word, ..self.params(side, first, groups[0])? };
        let bindings = [entry(1, storage(false), false), entry(2, storage(true), false)];
        let resources = [floats.binding(context).0.resource(), words.binding(context).0.resource()];
        self.plan(context, PixelKernel::ToPixels, params, bindings, resources, groups)
    }

    /// Plans the conversion of the first picture to an `rgba8unorm` texture with usage STORAGE_BINDING, from its first texel on.
    ///
    /// # Errors
    /// As [`from_pixels`](Self::from_pixels), and [`PlanError::Texture`] for a texture that does not fit.
    pub fn into_texture(&self, context: &Context, view: &wgpu::TextureView) -> Result<PixelPlan, PlanError> {
        self.check_channels(self.channels, TEXTURE.channels, ["floats", "texture"])?;
        let one = Self { images: 1, ..*self };
        check_texture(view, self.width, self.height)?;
        let (floats, first) = one.floats(context)?;
        let total = one.elements(1)?;
        let groups = workgroups("texture", u64::from(total))?;
        let params = PixelParams { total, ..one.params(TEXTURE, first, groups[0])? };
        let bindings = [entry(1, storage(false), false), texture_entry(2)];
        let resources = [floats.binding(context).0.resource(), BindingResource::TextureView(view)];
        one.plan(context, PixelKernel::ToTexture, params, bindings, resources, groups)
    }

    /// Checks that both numbers of channels are 1, 3 or 4, and that grey is made from grey only.
    fn check_channels(&self, from: u32, to: u32, names: [&'static str; 2]) -> Result<(), PlanError> {
        for (found, what) in [from, to].into_iter().zip(names) {
            if !matches!(found, 1 | 3 | 4) {
                return Err(PlanError::Channels { what, expected: "1, 3 or 4 channels".to_owned(), found });
            }
        }
        if to == 1 && from != 1 {
            let expected = format!("the 3 or 4 channels of the {}", names[0]);
            return Err(PlanError::Channels { what: names[1], expected, found: to });
        }
        Ok(())
    }

    fn elements(&self, channels: u32) -> Result<u32, PlanError> {
        let pixels = u64::from(self.width) * u64::from(self.height);
        let found = pixels.saturating_mul(u64::from(channels)).saturating_mul(u64::from(self.images));
        if found == 0 {
            return Err(PlanError::EmptyShape { batch: self.images, elements: 0 });
        }
        u32::try_from(found).map_err(|_| PlanError::SampleSize { tensor: "pixels", most: u32::MAX, found })
    }

    /// The shape of the floats.
    fn shape(&self) -> Result<Shape, PlanError> {
        let total = self.elements(self.channels)?;
        Ok(Shape::new(self.images, total / self.images.max(1)))
    }

    /// The words of the floats, and the first element in their binding.
    fn floats(&self, context: &Context) -> Result<(WordRange<'_>, u32), PlanError> {
        let shape = self.shape()?;
        if let Some(found) = self.floats.stride.filter(|stride| *stride != shape.elements && self.images > 1) {
            let (what, expected) = ("stride of the floats", "equal to the elements of a picture");
            return Err(PlanError::Rule { what, expected, found: f64::from(found) });
        }
        let (words, lead) = WordRange::of_tensor("floats", self.floats, shape, 0)?;
        words.check_binding("floats", context)?;
        let first = words.binding(context).1 * self.floats.storage.elements_per_word() + lead;
        Ok((words, first))
    }

    /// The words of the pixels.
    fn words<'b>(&self, context: &Context, pixels: &PixelBuffer<'b>) -> Result<(WordRange<'b>, Side), PlanError> {
        let &PixelBuffer { buffer, offset, depth, channels, layout } = pixels;
        let count = self.elements(channels)?.div_ceil(32 / depth.bits());
        let words = WordRange::at((buffer, offset), count);
        words.check("pixels")?;
        words.check_binding("pixels", context)?;
        if buffer == self.floats.buffer {
            // WebGPU forbids a dispatch that reads and writes one buffer through two bindings.
            return Err(PlanError::Overlap { output: "pixels", other: "floats" });
        }
        Ok((words, Side { depth, channels, layout }))
    }

    fn params(&self, side: Side, first_float: u32, groups_x: u32) -> Result<PixelParams, PlanError> {
        let [least, most] = self.range;
        let [step, steps] = {
            let (span, largest) = (most - least, f64::from(side.depth.largest()));
            [(span / largest) as f32, (largest / span) as f32]
        };
        let fits = [least as f32, most as f32, step, steps].iter().all(|number| number.is_finite());
        if !fits || step <= 0.0 || steps <= 0.0 {
            let (what, expected) = ("range[1]", "finite and above range[0]");
            return Err(PlanError::Rule { what, expected, found: most });
        }
        let planar = |layout: PixelLayout| u32::from(layout == PixelLayout::Planar);
        let limit = u64::from(u32::MAX);
        check_limit("pixels", "pixels that a kernel counts", limit, u64::from(self.width) * u64::from(self.height))?;
        Ok(PixelParams {
            pixels: self.width * self.height,
            total: 0,
            float_channels: self.channels,
            float_planar: planar(self.layout),
            pixel_channels: side.channels,
            pixel_planar: planar(side.layout),
            first_float,
            first_word: 0,
            groups_x,
            bits: side.depth.bits(),
            rounding: self.rounding.added(),
            least: least as f32,
            most: most as f32,
            step,
            steps,
            width: self.width,
        })
    }

    fn plan(
        &self,
        context: &Context,
        kernel: PixelKernel,
        params: PixelParams,
        [first, second]: [wgpu::BindGroupLayoutEntry; 2],
        resources: [BindingResource<'_>; 2],
        groups: [u32; 3],
    ) -> Result<PixelPlan, PlanError> {
        let label = "tweedie::PixelConversion::params";
        let params = context.buffer_with(label, BufferUsages::UNIFORM, bytemuck::bytes_of(&params))?;
        let bindings = [entry(0, wgpu::BufferBindingType::Uniform, false), first, second];
        let stored = self.floats.storage;
        let pipeline = context.small_pipeline(kernel.name(stored), || kernel.compose(stored), &bindings);
        let resources = [params.as_entire_binding()].into_iter().chain(resources);
        let label = "tweedie::PixelConversion::group";
        Ok(PixelPlan(StandalonePass::new(context, label, pipeline, resources, groups)))
    }
}
