//! The digits that no network here was trained on, in two halves: a reference, and others that show how far real digits are
//! from it.

use crate::classifier::{CLASSES, Classifier, FEATURES, Judgement};
use crate::distances::{Reference, Spread};
use anyhow::{Context as _, Result, ensure};
use digits::architecture::{PIXELS, SIDE};
use safetensors::SafeTensors;
use tweedie::NoiseKey;

const FILE: &[u8] = include_bytes!("held_out.safetensors");
/// Rows and columns of a picture in the file; the network's have a black frame around them.
const INNER: usize = 28;
/// The number of sets of digits that are drawn from the second half.
pub const DRAWS: usize = 200;

/// Pictures of 32 x 32 in `-1..=1`, and their classes.
#[derive(Debug)]
pub struct HeldOut {
    pub pictures: Vec<f32>,
    pub labels: Vec<usize>,
}

/// The reference half of the digits, and the other one by class.
#[derive(Debug)]
pub struct Halves {
    pub reference: Reference,
    pub other: [Vec<Judgement>; CLASSES],
    /// The part of all digits that the classifier recognises.
    pub accuracy: f64,
}

/// The distances of real digits from real digits.
#[derive(Clone, Copy, Debug)]
pub struct Floor {
    pub energy: Spread,
    pub frechet: Spread,
}

impl HeldOut {
    /// Reads the digits in this folder.
    pub fn read() -> Result<Self> {
        let file = SafeTensors::deserialize(FILE).context("held_out.safetensors")?;
        let (images, labels) = (file.tensor("images")?, file.tensor("labels")?);
        let count = labels.data().len();
        ensure!(
            images.data().len() == count * INNER * INNER,
            "expected pictures of {INNER} x {INNER} for {count} labels"
        );
        let mut pictures = vec![-1.0; count * PIXELS as usize];
        let frame = (SIDE as usize - INNER) / 2;
        for (row, bytes) in images.data().chunks(INNER).enumerate() {
            let (picture, y) = (row / INNER, row % INNER + frame);
            let begin = picture * PIXELS as usize + y * SIDE as usize + frame;
            let line = &mut pictures[begin..begin + INNER];
            line.iter_mut().zip(bytes).for_each(|(pixel, byte)| *pixel = f32::from(*byte) / 127.5 - 1.0);
        }
        let labels: Vec<usize> = labels.data().iter().map(|label| usize::from(*label)).collect();
        ensure!(labels.iter().all(|label| *label < CLASSES), "expected labels below {CLASSES}");
        Ok(Self { pictures, labels })
    }

    /// PyTorch's features and logits of the first digits.
    #[cfg(test)]
    pub fn recorded() -> Result<(Vec<f32>, Vec<f32>)> {
        let file = SafeTensors::deserialize(FILE)?;
        let numbers = |name| anyhow::Ok(bytemuck::pod_collect_to_vec(file.tensor(name)?.data()));
        Ok((numbers("features")?, numbers("logits")?))
    }

    /// Splits the digits: every second one is in the reference.
    pub fn halves(&self, classifier: &Classifier) -> Halves {
        let judged = classifier.judge(&self.pictures);
        let right = judged.iter().zip(&self.labels).filter(|(it, label)| it.class() == **label).count();
        let mut other: [Vec<Judgement>; CLASSES] = Default::default();
        let mut reference = Vec::new();
        for (index, (digit, label)) in judged.iter().zip(&self.labels).enumerate() {
            if index % 2 == 0 {
                reference.push(digit.features);
            } else {
                other[*label].push(digit.clone());
            }
        }
        Halves { reference: Reference::new(reference), other, accuracy: right as f64 / judged.len() as f64 }
    }
}

impl Halves {
    /// The largest number of samples for which there are real digits of the same classes.
    pub fn most_samples(&self) -> usize {
        CLASSES * self.other.iter().map(Vec::len).min().unwrap_or(0)
    }

    /// The distances of the same number of real digits of the same classes, drawn from the second half without repetition.
    pub fn floor(&self, labels: &[u32], seed: u64) -> Floor {
        let (mut energies, mut frechets) = (Vec::new(), Vec::new());
        for draw in 0..DRAWS {
            let drawn = self.drawn(labels, NoiseKey::seed(seed).stream(draw as u32));
            energies.push(self.reference.energy(&drawn));
            frechets.push(self.reference.frechet(&drawn));
        }
        Floor { energy: Spread::of(&energies), frechet: Spread::of(&frechets) }
    }

    fn drawn(&self, labels: &[u32], key: NoiseKey) -> Vec<[f64; FEATURES]> {
        let mut left: Vec<Vec<usize>> =
            self.other.iter().enumerate().map(|(class, all)| shuffled(all.len(), class, key)).collect();
        let next = |label: &u32| {
            let class = *label as usize;
            left[class].pop().map(|index| self.other[class][index].features)
        };
        labels.iter().filter_map(next).collect()
    }
}

/// The indices below a count in random order.
fn shuffled(count: usize, class: usize, key: NoiseKey) -> Vec<usize> {
    let keys = NoiseKey::normals(key.seed, key.stream, class as u64, count);
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|a, b| keys[*a].total_cmp(&keys[*b]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_digits_are_of_the_classes_asked_for_and_none_is_drawn_twice() {
        let halves = HeldOut::read().unwrap().halves(&Classifier::trained().unwrap());
        let labels: Vec<u32> = (0..halves.most_samples() as u32).map(|i| i % CLASSES as u32).collect();
        let drawn = halves.drawn(&labels, NoiseKey::seed(0));
        assert_eq!(drawn.len(), labels.len());
        for (i, features) in drawn.iter().enumerate() {
            assert!(halves.other[i % CLASSES].iter().any(|digit| digit.features == *features));
            assert!(drawn[..i].iter().all(|earlier| earlier != features));
        }
        assert!(halves.drawn(&labels, NoiseKey::seed(0).stream(1)) != drawn);
    }
}
