//! `tweedie preview`: a latent as a picture.

use crate::names::find;
use crate::report::{Outcome, say};
use anyhow::{Context, Result, bail};
use files::picture::save_png;
use files::{TensorFile, atomic};
use image::RgbImage;
use image::imageops::{self, FilterType};
use serde_json::json;
use std::path::PathBuf;
use tweedie::math::catalog::Entry;
use tweedie::math::{LatentFormat, Recipe};

/// Show a latent as a picture by the preview matrix of its model, without an autoencoder
///
/// Reads a clean sample in the scale of the network, `[batch, channels, height, width]` or `[batch, channels, frames, height,
/// width]`, and writes a PNG as ComfyUI previews it: a pixel for each cell of the latent, or 2 x 2 in formats that fold patches
/// into channels. Computed in f64.
#[derive(clap::Args, Clone, Debug)]
pub struct Preview {
    /// The safetensors file that holds the latent
    #[arg(value_name = "LATENT.safetensors")]
    input: PathBuf,

    /// The model of the latent; `tweedie list models` has them all
    #[arg(long, value_name = "NAME", required_unless_present = "format", value_parser = recipe)]
    model: Option<&'static Entry<Recipe>>,

    /// The format of the latent; `tweedie list latents` has them all
    #[arg(long, value_name = "NAME", conflicts_with = "model", value_parser = format)]
    format: Option<&'static Entry<LatentFormat>>,

    /// The tensor to show [default: the only one in the file, or x0, or latent]
    #[arg(long, value_name = "NAME")]
    tensor: Option<String>,

    /// The index of the sample in the batch, from 0
    #[arg(long, value_name = "N", default_value_t = 0)]
    sample: usize,

    /// The index of the frame in a video's latent, from 0
    #[arg(long, value_name = "N", default_value_t = 0)]
    frame: usize,

    /// Enlarge each pixel to N x N
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    enlarge: u32,

    /// The PNG to write; it appears whole or not at all
    #[arg(long, value_name = "FILE.png")]
    out: PathBuf,
}

fn recipe(text: &str) -> Result<&'static Entry<Recipe>, String> {
    find(&Recipe::CATALOGUE, text)
}

fn format(text: &str) -> Result<&'static Entry<LatentFormat>, String> {
    find(&LatentFormat::CATALOGUE, text)
}

/// The largest picture that is written, in pixels.
const MOST_PIXELS: usize = 100_000_000;

impl Preview {
    pub fn run(&self, json: bool) -> Outcome {
        atomic::check_destination(&self.out)?;
        let format = self.latent_format()?;
        let file = TensorFile::open(&self.input)?;
        let name = self.name(&file)?;
        let latent = file.floats(&name)?;
        let [frames, height, width] = match latent.shape[..] {
            [_, channels, height, width] if channels == format.channels => [1, height, width],
            [_, channels, frames, height, width] if channels == format.channels => [frames, height, width],
            _ => {
                let channels = format.channels;
                let expected =
                    format!("[batch, {channels}, height, width] or [batch, {channels}, frames, height, width]");
                return Err(
                    anyhow::anyhow!("tensor `{name}`: expected shape {expected}, found {:?}", latent.shape).into()
                );
            }
        };
        let samples = latent.batch();
        let elements = latent.per_sample();
        let values = latent.data.chunks(elements.max(1)).nth(self.sample);
        let values =
            values.with_context(|| format!("--sample: expected one below {samples}, found {}", self.sample))?;
        let bytes = format.preview_of(values, [frames, height, width], self.frame).context(name)?;
        let edge = format.preview.map_or(1, |preview| preview.edge());
        let size = [width, height].map(|cells| u32::try_from(cells * edge).unwrap_or(u32::MAX));
        let pixels = bytes.len() / 3 * (self.enlarge * self.enlarge) as usize;
        if pixels > MOST_PIXELS {
            return Err(anyhow::anyhow!("expected a picture of at most {MOST_PIXELS} pixels, found {pixels}").into());
        }
        let picture = RgbImage::from_raw(size[0], size[1], bytes).context("a picture beyond its own size")?;
        let [width, height] = size.map(|pixels| pixels * self.enlarge);
        save_png(&imageops::resize(&picture, width, height, FilterType::Nearest), &self.out)?;
        let out = self.out.display();
        if json {
            return say(json!({ "width": width, "height": height, "out": out.to_string() }));
        }
        say(format_args!("{width} x {height} pixels -> {out}"))
    }

    fn latent_format(&self) -> Result<LatentFormat> {
        match (self.format, self.model) {
            (Some(entry), _) => Ok(entry.make),
            (None, Some(entry)) => {
                let latent = entry.make.facts.latent;
                latent.with_context(|| {
                    format!("--model: the latents of {} are not known; expected --format NAME", entry.name)
                })
            }
            (None, None) => bail!("expected --model NAME or --format NAME"),
        }
    }

    fn name(&self, file: &TensorFile) -> Result<String> {
        if let Some(name) = &self.tensor {
            return Ok(name.clone());
        }
        let names = file.names();
        match &names[..] {
            [only] => Ok(only.clone()),
            _ => {
                let usual = ["x0", "latent"].into_iter().find(|name| file.has(name));
                usual.map(str::to_owned).with_context(|| format!("expected --tensor NAME, one of {}", names.join(", ")))
            }
        }
    }
}
