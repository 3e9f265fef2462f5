//! Axes, and the frames that two of them span.
//!
//! The ranges keep to values that can be divided, and ticks are counted, not searched for: a strange schedule may have
//! extreme values, on which a search for round numbers need not end.

use crate::canvas::{Canvas, GRID, PALE, Point, RIGHT_EDGE, UPPER_EDGE};
use anyhow::Result;

/// Values beyond this are left out like infinities. No schedule has such numbers except by accident.
const LARGEST: f64 = 1e30;
/// The smallest span of an axis relative to its values. Below it, ticks could not be told apart in print.
const NARROWEST: f64 = 1e-6;
/// The widest span of a logarithmic axis in powers of its base: one absurd value must not flatten all others.
const MOST_POWERS: f64 = 16.0;
/// Ticks of an axis. More would crowd.
const MOST_TICKS: f64 = 7.0;
/// Rounding of a logarithm or a division that must not cost a tick.
const ROUNDING: f64 = 1e-9;

/// The map from values to distances along an axis.
#[derive(Clone, Copy, Debug)]
pub enum Scale {
    /// Equal distances for equal differences.
    Linear,
    /// Equal distances for equal ratios, ticks at powers of ten.
    Decades,
    /// Equal distances for equal ratios, ticks at powers of a base, labelled by a function.
    Powers(f64, fn(f64) -> String),
}

impl Scale {
    fn base(self) -> Option<f64> {
        match self {
            Scale::Linear => None,
            Scale::Decades => Some(10.0),
            Scale::Powers(base, _) => Some(base),
        }
    }

    /// The value, or its logarithm; none for what cannot be drawn.
    fn coordinate(self, value: f64) -> Option<f64> {
        let coordinate = |value: f64| self.base().map_or(value, |base| value.ln() / base.ln());
        Some(coordinate(value)).filter(|it| it.abs() <= coordinate(LARGEST))
    }
}

/// A range of values.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    /// The distance between two ticks.
    step: f64,
}

impl Axis {
    /// Spans all values. A linear axis has a part of their range to spare at both ends, a logarithmic one ends at powers
    /// of its base.
    pub fn over(values: impl Iterator<Item = f64>, scale: Scale, spare: f64) -> Self {
        let coordinates = values.filter_map(|value| scale.coordinate(value));
        let extent = coordinates.map(|it| (it, it)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let (low, high) = extent.unwrap_or((0.0, 1.0));
        if scale.base().is_some() {
            let top = (high - ROUNDING).ceil();
            let bottom = (low + ROUNDING).floor().clamp(top - MOST_POWERS, top - 1.0);
            return Self::new(scale, bottom, top);
        }
        let largest = low.abs().max(high.abs());
        let narrow = high - low <= (NARROWEST * largest).max(1.0 / LARGEST);
        let spare = if narrow { 0.5 * largest.max(1.0) } else { spare * (high - low) };
        Self::new(scale, low - spare, high + spare)
    }

    /// A linear axis from 0 to a tenth more than the largest value, and at least to 1.
    pub fn from_zero(values: impl Iterator<Item = f64>) -> Self {
        let values = values.filter(|value| Scale::Linear.coordinate(*value).is_some());
        Self::new(Scale::Linear, 0.0, 1.1 * values.fold(1.0, f64::max))
    }

    fn new(scale: Scale, low: f64, high: f64) -> Self {
        let least = (high - low) / MOST_TICKS;
        let power = 10f64.powf(least.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * power).into_iter().find(|step| *step >= least);
        let whole = if scale.base().is_some() { 1.0 } else { 0.0 };
        Self { scale, low, high, step: step.unwrap_or(least).max(whole) }
    }

    /// The part of the axis that lies below a value; none for a value that cannot be drawn.
    pub fn part(&self, value: f64) -> Option<f64> {
        let part = (self.scale.coordinate(value)? - self.low) / (self.high - self.low);
        (part >= -ROUNDING).then_some(part)
    }

    /// Ticks as parts of the axis, with their labels.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let [first, last] = [self.low / self.step - ROUNDING, self.high / self.step + ROUNDING];
        let ticks = (first.ceil() as i64..=last.floor() as i64).map(|count| count as f64 * self.step);
        ticks.map(|tick| ((tick - self.low) / (self.high - self.low), self.label(tick))).collect()
    }

    fn label(&self, tick: f64) -> String {
        match self.scale {
            Scale::Linear => self.decimal(tick),
            Scale::Decades => format!("10{}", raised(tick)),
            Scale::Powers(base, label) => label(base.powf(tick)),
        }
    }

    /// A number with as many digits as tell it from its neighbours.
    fn decimal(&self, tick: f64) -> String {
        let [first, last] = [self.low.abs().max(self.high.abs()), self.step].map(|it| it.log10().floor());
        let text = if tick != 0.0 && !(-4.0..6.0).contains(&first) {
            format!("{tick:.*e}", (first - last) as usize)
        } else {
            format!("{tick:.*}", (-last).max(0.0) as usize)
        };
        text.replace('-', "−")
    }
}

fn raised(exponent: f64) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let raise = |letter: char| letter.to_digit(10).map_or('⁻', |digit| DIGITS[digit as usize]);
    format!("{exponent:.0}").chars().map(raise).collect()
}

/// The rectangle that a plot is drawn in, in pixels.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

impl Frame {
    /// The point at these parts of the two axes.
    pub fn at(&self, across: f64, up: f64) -> Point {
        (self.left + across * (self.right - self.left), self.bottom - up * (self.bottom - self.top))
    }

    /// Grid lines across at the ticks of y, with their labels.
    pub fn draw_y(&self, canvas: &Canvas<'_>, axis: &Axis) -> Result<()> {
        for (part, label) in axis.ticks() {
            let left = self.at(0.0, part);
            canvas.line(&[left, self.at(1.0, part)], GRID, 1.0)?;
            canvas.text(&label, (12.0, PALE), RIGHT_EDGE, (left.0 - 8.0, left.1))?;
        }
        Ok(())
    }

    /// Grid lines upright at the ticks of x, with their labels.
    pub fn draw_x(&self, canvas: &Canvas<'_>, axis: &Axis) -> Result<()> {
        for (part, label) in axis.ticks() {
            let foot = self.at(part, 0.0);
            canvas.line(&[foot, self.at(part, 1.0)], GRID, 1.0)?;
            canvas.text(&label, (12.0, PALE), UPPER_EDGE, (foot.0, foot.1 + 8.0))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(axis: Axis) -> String {
        let show = |(part, label): (f64, String)| format!("{label} {:.0}", 100.0 * part);
        axis.ticks().into_iter().map(show).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn ticks_are_round_and_in_place() {
        let linear = |values: [f64; 2]| ticks(Axis::over(values.into_iter(), Scale::Linear, 0.0));
        assert_eq!(linear([0.0, 1000.0]), "0 0, 200 20, 400 40, 600 60, 800 80, 1000 100");
        assert_eq!(linear([-0.1, 0.4]), "−0.1 0, 0.0 20, 0.1 40, 0.2 60, 0.3 80, 0.4 100");
        assert_eq!(linear([0.0, 2e9]), "0 0, 5.0e8 25, 1.0e9 50, 1.5e9 75, 2.0e9 100");
    }

    #[test]
    fn logarithmic_ticks_are_powers() {
        let decades = |values: [f64; 2]| ticks(Axis::over(values.into_iter(), Scale::Decades, 0.05));
        assert_eq!(decades([0.02, 98.0]), "10⁻² 0, 10⁻¹ 25, 10⁰ 50, 10¹ 75, 10² 100");
        assert_eq!(decades([1e-29, 1e6]), "10⁻¹⁰ 0, 10⁻⁵ 31, 10⁰ 62, 10⁵ 94");
        let fours = Scale::Powers(4.0, |value| format!("{value}"));
        assert_eq!(ticks(Axis::over([5.0, 256.0].into_iter(), fours, 0.0)), "4 0, 16 33, 64 67, 256 100");
    }

    #[test]
    fn an_axis_from_zero_passes_over_what_is_no_number() {
        let axis = Axis::from_zero([0.3, 2.0, f64::NAN, f64::INFINITY].into_iter());
        assert_eq!((axis.part(0.0), axis.part(2.2), axis.part(f64::NAN)), (Some(0.0), Some(1.0), None));
        assert_eq!(ticks(axis), "0.0 0, 0.5 23, 1.0 45, 1.5 68, 2.0 91");
    }
}
