//! A digit with an erased part: what is left of it is known, and the rest is written again.

use digits::architecture::{PIXELS, SIDE};
use std::sync::Arc;

/// A digit and the part of it that is erased.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    digit: Arc<[f32]>,
    /// For each pixel, true where it is erased.
    erased: Vec<bool>,
}

/// A line that a brush draws, in pixels of the digit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stroke {
    /// The brush's middle at the beginning and at the end: across, down.
    pub ends: [[f32; 2]; 2],
    /// The radius of the brush.
    pub radius: f32,
}

impl Region {
    /// A digit with nothing erased; `None` unless these are as many numbers as a digit has, all finite.
    #[must_use]
    pub fn of(digit: &[f32]) -> Option<Self> {
        let fits = digit.len() == PIXELS as usize && digit.iter().all(|value| value.is_finite());
        fits.then(|| Self { digit: digit.into(), erased: vec![false; PIXELS as usize] })
    }

    /// Erases the pixels whose middle a stroke covers.
    pub fn erase(&mut self, stroke: &Stroke) {
        for (index, erased) in (0..PIXELS).zip(&mut self.erased) {
            let middle = [index % SIDE, index / SIDE].map(|at| at as f32 + 0.5);
            *erased |= stroke.distance(middle) <= stroke.radius;
        }
    }

    /// Erases these pixels, by their indices in row-major order.
    pub fn erase_pixels(&mut self, pixels: impl IntoIterator<Item = usize>) {
        for pixel in pixels {
            if let Some(erased) = self.erased.get_mut(pixel) {
                *erased = true;
            }
        }
    }

    /// The pixels that are erased, by their indices in row-major order.
    pub fn erased(&self) -> impl Iterator<Item = usize> {
        self.erased.iter().enumerate().filter_map(|(pixel, erased)| erased.then_some(pixel))
    }

    /// The digit as it was.
    #[must_use]
    pub fn digit(&self) -> &[f32] {
        &self.digit
    }

    /// The mask of an inpainting: 1 where the digit is known.
    #[must_use]
    pub fn mask(&self) -> Vec<f32> {
        self.erased.iter().map(|erased| f32::from(u8::from(!erased))).collect()
    }

    /// The rest of the digit; NaN where it is erased.
    #[must_use]
    pub fn left(&self) -> Vec<f32> {
        let pixels = self.digit.iter().zip(&self.erased);
        pixels.map(|(&value, &erased)| if erased { f32::NAN } else { value }).collect()
    }
}

impl Stroke {
    /// The distance of a point from the line.
    fn distance(&self, point: [f32; 2]) -> f32 {
        let [from, to] = self.ends;
        let along = [to[0] - from[0], to[1] - from[1]];
        let away = [point[0] - from[0], point[1] - from[1]];
        let square = along[0] * along[0] + along[1] * along[1];
        let part = if square > 0.0 { (along[0] * away[0] + along[1] * away[1]) / square } else { 0.0 };
        let part = part.clamp(0.0, 1.0);
        (away[0] - part * along[0]).hypot(away[1] - part * along[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stroke_erases_what_it_covers() {
        let mut region = Region::of(&vec![0.5; PIXELS as usize]).unwrap();
        assert_eq!((region.erased().count(), region.mask().iter().sum::<f32>()), (0, 1024.0));
        // Four pixels across, and half a pixel around their middles.
        region.erase(&Stroke { ends: [[3.5, 7.5], [6.5, 7.5]], radius: 0.5 });
        let row = 7 * SIDE as usize;
        assert_eq!(region.erased().collect::<Vec<_>>(), [row + 3, row + 4, row + 5, row + 6]);
        assert!(region.left()[row + 3].is_nan() && region.left()[row + 7] == 0.5 && region.mask()[row + 3] == 0.0);
        // A point erases a disc, and what lies outside of the picture nothing.
        region.erase(&Stroke { ends: [[20.0, 20.0]; 2], radius: 1.0 });
        assert_eq!(region.erased().count(), 4 + 4);
        region.erase(&Stroke { ends: [[-9.0, -9.0], [90.0, -9.0]], radius: 2.0 });
        region.erase(&Stroke { ends: [[f32::NAN; 2]; 2], radius: 2.0 });
        assert_eq!(region.erased().count(), 8);
    }

    #[test]
    fn only_a_digit_can_be_erased_from() {
        let mut digit = vec![0.0; PIXELS as usize];
        assert!(Region::of(&digit).is_some() && Region::of(&digit[1..]).is_none());
        digit[9] = f32::NAN;
        assert!(Region::of(&digit).is_none());
    }
}
