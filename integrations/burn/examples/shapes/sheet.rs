//! Samples side by side: a row for each class and prediction, a block of columns for each sampler, held-out pictures first.

use super::pictures::{CLASSES, PIXELS, SIDE};
use std::path::Path;

/// Pictures of a class in a block, and the factor by which they are enlarged.
const ACROSS: usize = 5;
const SCALE: usize = 2;
const CELL: usize = SIDE * SCALE + 2;
const GAP: usize = 10;
const PAPER: u8 = 96;

pub struct Sheet {
    each: usize,
    held_out: Vec<f32>,
    /// A block for each sampler of each prediction.
    blocks: Vec<Vec<f32>>,
}

/// Samplers of a prediction.
const SAMPLERS: usize = 3;

impl Sheet {
    pub fn new(each: usize, held_out: &[f32]) -> Self {
        Self { each, held_out: held_out.to_vec(), blocks: Vec::new() }
    }

    /// The next sampler's samples, of all classes.
    pub fn add(&mut self, samples: &[f32]) {
        self.blocks.push(samples.to_vec());
    }

    pub fn save(&self, path: &Path) -> anyhow::Result<()> {
        let predictions = self.blocks.len().div_ceil(SAMPLERS);
        let width = (SAMPLERS + 1) * (ACROSS * CELL + GAP) + GAP;
        let height = predictions * (CLASSES * CELL + GAP) + GAP;
        let mut picture = vec![PAPER; width * height];
        for row in 0..predictions {
            let first = row * SAMPLERS;
            let samplers = &self.blocks[first..(first + SAMPLERS).min(self.blocks.len())];
            for (column, block) in std::iter::once(&self.held_out).chain(samplers).enumerate() {
                let corner = [GAP + column * (ACROSS * CELL + GAP), GAP + row * (CLASSES * CELL + GAP)];
                self.block(&mut picture, width, corner, block);
            }
        }
        let file = std::io::BufWriter::new(std::fs::File::create(path)?);
        let mut encoder = png::Encoder::new(file, width as u32, height as u32);
        encoder.set_color(png::ColorType::Grayscale);
        Ok(encoder.write_header()?.write_image_data(&picture)?)
    }

    fn block(&self, picture: &mut [u8], width: usize, [left, top]: [usize; 2], samples: &[f32]) {
        for class in 0..CLASSES {
            let of_class = samples.chunks_exact(PIXELS).skip(class * self.each).take(ACROSS.min(self.each));
            for (column, pixels) in of_class.enumerate() {
                for y in 0..SIDE * SCALE {
                    for x in 0..SIDE * SCALE {
                        let value = pixels[y / SCALE * SIDE + x / SCALE];
                        let gray = ((value + 1.0) * 127.5).clamp(0.0, 255.0) as u8;
                        picture[(top + class * CELL + y) * width + left + column * CELL + x] = gray;
                    }
                }
            }
        }
    }
}
