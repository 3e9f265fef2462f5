//! The classifier that judges digits, trained by `examples/digits/classifier.py`. It runs on the host.

use anyhow::{Context as _, Result, ensure};
use digits::architecture::{PIXELS, SIDE};
use half::f16;
use safetensors::{Dtype, SafeTensors};

/// Features of a picture.
pub const FEATURES: usize = 32;
/// Classes of digits.
pub const CLASSES: usize = 10;

/// The input channels of each convolution, and the output channels of the last one.
const CHANNELS: [usize; 4] = [1, 12, 24, 48];
const WEIGHTS: &[u8] = include_bytes!("classifier.safetensors");

/// A picture's features, and the logits of its classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    pub features: [f64; FEATURES],
    pub logits: [f64; CLASSES],
}

impl Judgement {
    /// The most likely class.
    pub fn class(&self) -> usize {
        let better = |best: usize, class: usize| if self.logits[class] > self.logits[best] { class } else { best };
        (0..CLASSES).fold(0, better)
    }
}

/// A linear map of channels or of features: weights row by row, and a bias for each row.
#[derive(Debug)]
struct Layer {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

/// The trained classifier.
#[derive(Debug)]
pub struct Classifier {
    convolutions: Vec<Layer>,
    features: Layer,
    classes: Layer,
}

impl Classifier {
    /// Reads the weights in this folder.
    pub fn trained() -> Result<Self> {
        let file = SafeTensors::deserialize(WEIGHTS).context("classifier.safetensors")?;
        let layer = |name: &str, inputs: usize, outputs: usize| -> Result<Layer> {
            let [weight, bias] = ["weight", "bias"].map(|part| numbers(&file, &format!("{name}.{part}")));
            let layer = Layer { weight: weight?, bias: bias? };
            let found = [layer.weight.len(), layer.bias.len()];
            ensure!(
                found == [inputs * outputs, outputs],
                "{name}: expected {inputs} x {outputs} weights, found {found:?}"
            );
            Ok(layer)
        };
        let convolution = |i: usize| layer(&format!("conv{}", i + 1), 9 * CHANNELS[i], CHANNELS[i + 1]);
        let side = SIDE as usize >> (CHANNELS.len() - 1);
        Ok(Self {
            convolutions: (0..CHANNELS.len() - 1).map(convolution).collect::<Result<_>>()?,
            features: layer("features", CHANNELS[3] * side * side, FEATURES)?,
            classes: layer("classes", FEATURES, CLASSES)?,
        })
    }

    /// Judges pictures of 32 x 32 pixels in `-1..=1`, one after the other.
    pub fn judge(&self, pictures: &[f32]) -> Vec<Judgement> {
        pictures.chunks_exact(PIXELS as usize).map(|picture| self.judge_one(picture)).collect()
    }

    fn judge_one(&self, picture: &[f32]) -> Judgement {
        let (mut x, mut side) = (picture.to_vec(), SIDE as usize);
        for layer in &self.convolutions {
            x = halved(&layer.convolved(&x, side), side);
            side /= 2;
        }
        let features = self.features.applied(&x);
        let logits = self.classes.applied(&features.iter().map(|it| it.max(0.0)).collect::<Vec<_>>());
        Judgement {
            features: std::array::from_fn(|i| f64::from(features[i])),
            logits: std::array::from_fn(|i| f64::from(logits[i])),
        }
    }
}

impl Layer {
    fn applied(&self, x: &[f32]) -> Vec<f32> {
        let dot = |row: &[f32]| row.iter().zip(x).map(|(weight, x)| weight * x).sum::<f32>();
        self.weight.chunks(x.len()).zip(&self.bias).map(|(row, bias)| dot(row) + bias).collect()
    }

    /// Applies a 3 x 3 convolution with zeros around the picture, and ReLU.
    fn convolved(&self, x: &[f32], side: usize) -> Vec<f32> {
        let channels = x.len() / (side * side);
        let wide = side + 2;
        let mut padded = vec![0.0; channels * wide * wide];
        for (row, values) in x.chunks(side).enumerate() {
            let begin = (row / side * wide + row % side + 1) * wide + 1;
            padded[begin..begin + side].copy_from_slice(values);
        }
        let mut output = Vec::with_capacity(self.bias.len() * side * side);
        for (kernels, bias) in self.weight.chunks(9 * channels).zip(&self.bias) {
            let begin = output.len();
            output.resize(begin + side * side, *bias);
            for (plane, kernel) in padded.chunks(wide * wide).zip(kernels.chunks(9)) {
                for (y, row) in output[begin..].chunks_mut(side).enumerate() {
                    for (tap, weight) in kernel.iter().enumerate() {
                        let place = (y + tap / 3) * wide + tap % 3;
                        let inputs = &plane[place..place + side];
                        row.iter_mut().zip(inputs).for_each(|(sum, input)| *sum += weight * input);
                    }
                }
            }
        }
        output.iter_mut().for_each(|value| *value = value.max(0.0));
        output
    }
}

/// The largest value of each 2 x 2 pixels.
fn halved(x: &[f32], side: usize) -> Vec<f32> {
    let pairs = x.chunks(2 * side).flat_map(|rows| {
        let (upper, lower) = rows.split_at(side);
        upper.chunks(2).zip(lower.chunks(2))
    });
    pairs.map(|(upper, lower)| upper.iter().chain(lower).copied().fold(f32::NEG_INFINITY, f32::max)).collect()
}

/// The numbers of a tensor in f16.
fn numbers(file: &SafeTensors<'_>, name: &str) -> Result<Vec<f32>> {
    let view = file.tensor(name).with_context(|| name.to_owned())?;
    ensure!(view.dtype() == Dtype::F16, "{name}: expected F16, found {}", view.dtype());
    let (words, _) = view.data().as_chunks::<2>();
    Ok(words.iter().map(|word| f16::from_le_bytes(*word).to_f32()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::held_out::HeldOut;

    /// Sums in f32 in another order: up to 768 products of up to 20 each, through four layers.
    const F32: f64 = 1e-3;

    /// The least part of the held-out digits that the classifier must recognise.
    const GOOD: f64 = 0.98;

    #[test]
    fn features_and_logits_are_those_of_pytorch() {
        let classifier = Classifier::trained().unwrap();
        let held_out = HeldOut::read().unwrap();
        let (features, logits) = HeldOut::recorded().unwrap();
        let count = features.len() / FEATURES;
        assert_eq!((count, logits.len()), (8, 8 * CLASSES));
        let found = classifier.judge(&held_out.pictures[..count * PIXELS as usize]);
        for (i, judgement) in found.iter().enumerate() {
            let off = |found: &[f64], expected: &[f32]| {
                found.iter().zip(expected).map(|(a, b)| (a - f64::from(*b)).abs()).fold(0.0, f64::max)
            };
            let of = |all: &'_ [f32], width: usize| all[i * width..(i + 1) * width].to_vec();
            let worst =
                off(&judgement.features, &of(&features, FEATURES)).max(off(&judgement.logits, &of(&logits, CLASSES)));
            assert!(worst < F32, "digit {i}: off by {worst:.1e}");
        }
        assert!(found[0].features != found[1].features);
    }

    #[test]
    fn held_out_digits_are_recognised() {
        let held_out = HeldOut::read().unwrap();
        let found = Classifier::trained().unwrap().judge(&held_out.pictures);
        let right = found.iter().zip(&held_out.labels).filter(|(it, label)| it.class() == **label).count();
        let part = right as f64 / found.len() as f64;
        assert!(part >= GOOD, "{part}");
    }
}
