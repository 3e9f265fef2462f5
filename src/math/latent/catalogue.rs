//! The formats by name.

use super::format::LatentFormat;
use super::{picture_previews as pictures, statistics, video_previews as videos};
use crate::math::catalog::entry::{Catalogue, Entry};
use crate::math::catalog::error::CatalogError;

impl LatentFormat {
    /// All known formats, by the names of their classes in ComfyUI.
    pub const CATALOGUE: Catalogue<Self> = Catalogue { entries: ENTRIES };

    /// Returns the format of this name or synonym.
    ///
    /// # Errors
    /// [`CatalogError::Unknown`], which lists the names that are accepted.
    pub fn named(name: &str) -> Result<Self, CatalogError> {
        Ok(Self::CATALOGUE.find(name)?.make)
    }

    /// Stable Diffusion 1 and 2.
    pub const SD15: Self = Self { scale: 0.18215, preview: Some(pictures::SD15), ..Self::PLAIN };
    /// Stable Diffusion XL.
    pub const SDXL: Self = Self { scale: 0.13025, preview: Some(pictures::SDXL), ..Self::PLAIN };
    /// Stable Diffusion 3 and 3.5.
    pub const SD3: Self =
        Self { channels: 16, scale: 1.5305, shift: 0.0609, preview: Some(pictures::SD3), ..Self::PLAIN };
    /// FLUX.1, and many models after it.
    pub const FLUX: Self =
        Self { channels: 16, scale: 0.3611, shift: 0.1159, preview: Some(pictures::FLUX), ..Self::PLAIN };
    /// FLUX.2: patches of 2x2 cells, which its autoencoder normalizes.
    pub const FLUX2: Self = Self { channels: 128, spatial: 16, preview: Some(pictures::FLUX2), ..Self::PLAIN };
    /// The upscaler of Stable Diffusion.
    pub const SD_X4: Self = Self { scale: 0.08333, preview: Some(pictures::SD_X4), ..Self::PLAIN };
    /// Playground 2.5, whose channels have a mean and a deviation.
    pub const PLAYGROUND: Self = Self {
        scale: 0.5,
        statistics: Some(statistics::PLAYGROUND),
        preview: Some(pictures::PLAYGROUND),
        ..Self::PLAIN
    };
    /// The prior of Stable Cascade.
    pub const SC_PRIOR: Self = Self { channels: 16, spatial: 42, preview: Some(pictures::SC_PRIOR), ..Self::PLAIN };
    /// The decoder of Stable Cascade.
    pub const SC_B: Self = Self { spatial: 4, scale: 1.0 / 0.43, preview: Some(pictures::SC_B), ..Self::PLAIN };
    /// HunyuanImage 2.1.
    pub const HUNYUAN_IMAGE21: Self =
        Self { channels: 64, spatial: 32, scale: 0.75289, preview: Some(pictures::HUNYUAN_IMAGE21), ..Self::PLAIN };
    /// Chroma Radiance, which works on pixels.
    pub const RADIANCE: Self = Self { channels: 3, spatial: 1, preview: Some(pictures::RADIANCE), ..Self::PLAIN };
    /// SANA; no preview is known.
    pub const SANA: Self = Self { channels: 32, spatial: 32, scale: 0.41407, ..Self::PLAIN };

    /// A video of 16 channels, a cell for 4 frames of 8x8 pixels.
    const VIDEO: Self = Self { channels: 16, dimensions: 3, temporal: 4, ..Self::PLAIN };

    /// Wan 2.1, and Wan 2.2 A14B; Qwen-Image.
    pub const WAN21: Self = Self { statistics: Some(statistics::WAN21), preview: Some(videos::WAN21), ..Self::VIDEO };
    /// Wan 2.2 5B.
    pub const WAN22: Self = Self {
        channels: 48,
        spatial: 16,
        statistics: Some(statistics::WAN22),
        preview: Some(videos::WAN22),
        ..Self::VIDEO
    };
    /// HunyuanVideo 1.
    pub const HUNYUAN_VIDEO: Self = Self { scale: 0.476986, preview: Some(videos::HUNYUAN_VIDEO), ..Self::VIDEO };
    /// HunyuanVideo 1.5.
    pub const HUNYUAN_VIDEO15: Self =
        Self { channels: 32, spatial: 16, scale: 1.03682, preview: Some(videos::HUNYUAN_VIDEO15), ..Self::VIDEO };
    /// CogVideoX 2B; no preview is known.
    pub const COGVIDEOX: Self = Self { scale: 1.15258426, ..Self::VIDEO };
    /// CogVideoX 5B and 1.5; no preview is known.
    pub const COGVIDEOX15: Self = Self { scale: 0.7, ..Self::VIDEO };
    /// LTX-Video and LTX-2, whose latents the autoencoder normalizes.
    pub const LTXV: Self = Self { channels: 128, spatial: 32, temporal: 8, preview: Some(videos::LTXV), ..Self::VIDEO };
    /// Mochi.
    pub const MOCHI: Self = Self {
        channels: 12,
        temporal: 6,
        statistics: Some(statistics::MOCHI),
        preview: Some(videos::MOCHI),
        ..Self::VIDEO
    };
    /// Cosmos 1, whose latents the autoencoder normalizes.
    pub const COSMOS1: Self = Self { temporal: 8, preview: Some(videos::COSMOS1), ..Self::VIDEO };
    /// MiniMax H3.
    pub const MINIMAX_H3: Self = Self { channels: 24, spatial: 16, preview: Some(videos::MINIMAX_H3), ..Self::VIDEO };

    /// Stable Audio. Its `spatial` is 8, as in ComfyUI, but means nothing for audio.
    pub const STABLE_AUDIO: Self = Self { channels: 64, dimensions: 1, temporal: 2048, ..Self::PLAIN };
}

const fn entry(
    name: &'static str,
    synonyms: &'static [&'static str],
    summary: &'static str,
    make: LatentFormat,
) -> Entry<LatentFormat> {
    Entry::new("latent format", name, synonyms, summary, &[], make)
}

const ENTRIES: &[Entry<LatentFormat>] = &[
    entry("sd15", &["sd"], "Stable Diffusion 1 and 2 (Rombach et al. 2022)", LatentFormat::SD15),
    entry("sdxl", &[], "Stable Diffusion XL (Podell et al. 2023)", LatentFormat::SDXL),
    entry("sdxl-playground-2-5", &["playground-2.5"], "Playground 2.5 (Li et al. 2024)", LatentFormat::PLAYGROUND),
    entry("sd-x4", &[], "the upscaler of Stable Diffusion (Rombach et al. 2022)", LatentFormat::SD_X4),
    entry("sd3", &[], "Stable Diffusion 3 and 3.5 (Esser et al. 2024)", LatentFormat::SD3),
    entry("flux", &["flux.1"], "FLUX.1, Chroma, Lumina 2, Z-Image, HiDream I1, OmniGen 2", LatentFormat::FLUX),
    entry("flux2", &["flux.2"], "FLUX.2, in patches of 2x2", LatentFormat::FLUX2),
    entry("sc-prior", &[], "Stable Cascade's prior (Pernias et al. 2023)", LatentFormat::SC_PRIOR),
    entry("sc-b", &[], "Stable Cascade's decoder (Pernias et al. 2023)", LatentFormat::SC_B),
    entry("hunyuanimage21", &[], "HunyuanImage 2.1", LatentFormat::HUNYUAN_IMAGE21),
    entry("chromaradiance", &["pixels"], "pixels in -1..1 (Chroma Radiance)", LatentFormat::RADIANCE),
    entry("sana", &["dc-ae"], "SANA (Xie et al. 2024)", LatentFormat::SANA),
    entry("wan21", &["qwen-image"], "Wan 2.1, Wan 2.2 A14B, Qwen-Image, Cosmos Predict 2", LatentFormat::WAN21),
    entry("wan22", &[], "Wan 2.2 5B", LatentFormat::WAN22),
    entry("hunyuanvideo", &[], "HunyuanVideo 1", LatentFormat::HUNYUAN_VIDEO),
    entry("hunyuanvideo15", &[], "HunyuanVideo 1.5", LatentFormat::HUNYUAN_VIDEO15),
    entry("cogvideox", &["cogvideox-2b"], "CogVideoX 2B (Yang et al. 2024)", LatentFormat::COGVIDEOX),
    entry("cogvideox1-5", &["cogvideox-5b"], "CogVideoX 5B and 1.5 (Yang et al. 2024)", LatentFormat::COGVIDEOX15),
    entry("ltxv", &["ltx-video", "ltx-2"], "LTX-Video and LTX-2", LatentFormat::LTXV),
    entry("mochi", &[], "Mochi 1", LatentFormat::MOCHI),
    entry("cosmos1cv8x8x8", &["cosmos-1"], "Cosmos 1", LatentFormat::COSMOS1),
    entry("minimaxh3video", &["minimax-h3"], "MiniMax H3", LatentFormat::MINIMAX_H3),
    entry("stableaudio1", &["stable-audio"], "Stable Audio (Evans et al. 2024)", LatentFormat::STABLE_AUDIO),
];
