//! The quality of samples in numbers: how far they are from pictures that were never trained on, and whether they are of the
//! requested class.

use super::pictures::{PIXELS, Pictures, SIDE};
use super::train::words;
use super::unet::Classifier;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLoss;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};

/// Pictures that no network is trained on.
pub const HELD_OUT: Pictures = Pictures { seed: 1000 };
const CLASSIFIED: Pictures = Pictures { seed: 2000 };

/// The energy distance of two sets, `2 E|x-y| - E|x-x'| - E|y-y'|`, with x' another sample than x (Szekely & Rizzo 2013): 0
/// in expectation exactly where both are of one distribution.
pub fn energy(a: &[f32], b: &[f32]) -> f64 {
    2.0 * mean_distance(a, b, false) - mean_distance(a, a, true) - mean_distance(b, b, true)
}

fn mean_distance(a: &[f32], b: &[f32], same: bool) -> f64 {
    let mut sum = 0.0;
    for x in a.chunks_exact(PIXELS) {
        for y in b.chunks_exact(PIXELS) {
            sum += f64::from(x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum::<f32>()).sqrt();
        }
    }
    let (a, b) = (a.len() / PIXELS, b.len() / PIXELS);
    sum / (a as f64 * (if same { b - 1 } else { b }) as f64)
}

/// Trains a classifier for this many steps.
pub fn classifier(device: &Device, steps: u64) -> Classifier {
    const BATCH: usize = 32;
    let device = device.clone().autodiff();
    let mut network = Classifier::new(&device);
    let mut optimizer = AdamConfig::new().init();
    let loss = CrossEntropyLoss::new(None, &device);
    for step in 0..steps {
        let (pixels, classes) = CLASSIFIED.batch(step * BATCH as u64, BATCH);
        let logits = network.forward(tensor(pixels, &device));
        let gradients = loss.forward(logits, words(classes, &device)).backward();
        let gradients = GradientsParams::from_grads(gradients, &network);
        network = optimizer.step(3e-3, network, gradients);
    }
    network.valid()
}

/// The part of the pictures that the classifier assigns to their class, 0 to 1.
pub fn accuracy(classifier: &Classifier, pixels: Vec<f32>, classes: &[i32], device: &Device) -> f64 {
    let logits = classifier.forward(tensor(pixels, device));
    let found: Vec<i32> =
        logits.argmax(1).reshape([classes.len()]).into_data().convert::<i32>().try_to_vec().unwrap_or_default();
    let right = found.iter().zip(classes).filter(|(found, class)| found == class).count();
    right as f64 / classes.len() as f64
}

fn tensor(pixels: Vec<f32>, device: &Device) -> Tensor<4> {
    let batch = pixels.len() / PIXELS;
    Tensor::from_data(TensorData::new(pixels, [batch, 1, SIDE, SIDE]), device)
}
