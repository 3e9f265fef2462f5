//! The kernels of pixels and of previews: one text for each storage of the floats, and for a buffer or a texture.

use crate::gpu::shader::params;
use crate::gpu::shader::template::{fill, section};
use crate::gpu::storage::Storage;

const PIXELS: &str = include_str!("../../../shaders/standalone/pixels.wgsl");
const PREVIEW: &str = include_str!("../../../shaders/standalone/latent_preview.wgsl");

/// A kernel that writes pixels or reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PixelKernel {
    ToFloats,
    ToPixels,
    ToTexture,
    Preview,
    PreviewTexture,
}

impl PixelKernel {
    const ALL: [Self; 5] = [Self::ToFloats, Self::ToPixels, Self::ToTexture, Self::Preview, Self::PreviewTexture];

    /// The name, which is also the entry point.
    pub fn name(self, storage: Storage) -> &'static str {
        let [f32, f16, bf16] = match self {
            Self::ToFloats => ["pixels_to_f32", "pixels_to_f16", "pixels_to_bf16"],
            Self::ToPixels => ["f32_to_pixels", "f16_to_pixels", "bf16_to_pixels"],
            Self::ToTexture => ["f32_to_texture", "f16_to_texture", "bf16_to_texture"],
            Self::Preview => ["preview_f32", "preview_f16", "preview_bf16"],
            Self::PreviewTexture => ["preview_texture_f32", "preview_texture_f16", "preview_texture_bf16"],
        };
        match storage {
            Storage::F32 => f32,
            Storage::F16 => f16,
            Storage::Bf16 => bf16,
        }
    }

    /// The WGSL.
    pub fn compose(self, storage: Storage) -> String {
        let (file, sections): (&str, &[&str]) = match self {
            Self::ToFloats => (PIXELS, &["common", "to_floats"]),
            Self::ToPixels => (PIXELS, &["common", "quantize", "to_pixels"]),
            Self::ToTexture => (PIXELS, &["common", "quantize", "to_texture"]),
            Self::Preview => (PREVIEW, &["common", "to_buffer", "entry"]),
            Self::PreviewTexture => (PREVIEW, &["common", "to_texture", "entry"]),
        };
        let text: String = sections.iter().map(|name| section(file, name)).collect();
        let holes = [("entry_point", self.name(storage)), ("storage", storage.name())];
        params::constants() + storage.wgsl() + &fill(&text, &[], &holes)
    }

    /// Every kernel: its entry point and its text.
    pub fn every() -> impl Iterator<Item = (&'static str, String)> {
        let each = |kernel: Self| Storage::ALL.map(|storage| (kernel.name(storage), kernel.compose(storage)));
        Self::ALL.into_iter().flat_map(each)
    }
}
