//! What both plots are drawn on: an SVG of tenths of a pixel, axes with round marks, and a legend.

use anyhow::Result;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// `plotters` places everything on whole units: tenths of a pixel, which keep curves smooth.
pub const PIXEL: i32 = 10;
pub const WIDTH: i32 = 960;
/// From the edges of the picture to the axes.
pub const LEFT: i32 = 66;
pub const RIGHT: i32 = 26;

pub const INK: RGBColor = RGBColor(40, 44, 60);
pub const PALE: RGBColor = RGBColor(104, 110, 130);
const GRID: RGBColor = RGBColor(228, 231, 239);
/// Told apart by the colour-blind too (Okabe and Ito).
const COLOURS: [(u8, u8, u8); 7] =
    [(86, 180, 233), (0, 114, 178), (0, 158, 115), (230, 159, 0), (213, 94, 0), (204, 121, 167), (120, 120, 120)];

pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub fn colour(index: usize) -> RGBColor {
    let (red, green, blue) = COLOURS[index % COLOURS.len()];
    RGBColor(red, green, blue)
}

/// A white SVG of this height in pixels, and what `draw` draws on it.
pub fn svg(height: i32, draw: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
    let mut svg = String::new();
    let size = [WIDTH, height].map(|pixels| (pixels * PIXEL) as u32);
    let root = SVGBackend::with_string(&mut svg, (size[0], size[1])).into_drawing_area();
    root.fill(&WHITE)?;
    draw(&root)?;
    root.present()?;
    drop(root);
    let shown = |unit: i32| format!(r#"width="{}" height="{}""#, WIDTH * PIXEL / unit, height * PIXEL / unit);
    let round = r#" stroke-linejoin="round" stroke-linecap="round""#;
    Ok(svg.replacen(&shown(1), &(shown(PIXEL) + round), 1))
}

/// Where in the picture, in pixels.
pub type Place = (f64, f64);

fn units((x, y): Place) -> (i32, i32) {
    let scale = |it: f64| (it * f64::from(PIXEL)).round() as i32;
    (scale(x), scale(y))
}

pub fn line(area: &Area<'_>, points: &[Place], colour: RGBColor, width: f64) -> Result<()> {
    let style = colour.stroke_width((width * f64::from(PIXEL)) as u32);
    Ok(area.draw(&PathElement::new(points.iter().copied().map(units).collect::<Vec<_>>(), style))?)
}

pub fn block(area: &Area<'_>, from: Place, to: Place, colour: RGBColor) -> Result<()> {
    Ok(area.draw(&Rectangle::new([units(from), units(to)], colour.filled()))?)
}

pub fn dot(area: &Area<'_>, at: Place, radius: f64, colour: RGBColor) -> Result<()> {
    Ok(area.draw(&Circle::new(units(at), (radius * f64::from(PIXEL)) as i32, colour.filled()))?)
}

/// Text of so many pixels; where its given corner or middle is.
pub fn write(area: &Area<'_>, text: &str, size: i32, colour: RGBColor, at: Place, anchor: (HPos, VPos)) -> Result<()> {
    // `plotters` takes the height of a line for the size of a font, and divides by this number.
    let font = ("Helvetica, Arial, sans-serif", 1.24 * f64::from(size * PIXEL)).into_font();
    let style = font.color(&colour).pos(Pos::new(anchor.0, anchor.1));
    Ok(area.draw_text(text, &style, units(at))?)
}

/// Names beside blocks of their colours, in rows; returns how high they are.
pub fn legend(area: Option<&Area<'_>>, names: &[(String, RGBColor)], top: f64) -> Result<f64> {
    const ROW: f64 = 22.0;
    let (mut x, mut y) = (f64::from(LEFT), top);
    for (name, colour) in names {
        let width = 30.0 + 6.9 * name.chars().count() as f64;
        if x > f64::from(LEFT) && x + width > f64::from(WIDTH - RIGHT) {
            (x, y) = (f64::from(LEFT), y + ROW);
        }
        if let Some(area) = area {
            block(area, (x, y - 5.0), (x + 12.0, y + 5.0), *colour)?;
            write(area, name, 13, INK, (x + 18.0, y), (HPos::Left, VPos::Center))?;
        }
        x += width;
    }
    Ok(y + ROW - top)
}

/// A linear or logarithmic range of values.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    low: f64,
    high: f64,
    log: bool,
}

impl Scale {
    /// From 0 to a little above the largest value.
    pub fn from_zero(values: impl Iterator<Item = f64>) -> Self {
        Self { low: 0.0, high: values.filter(|it| it.is_finite()).fold(1.0, f64::max) * 1.1, log: false }
    }

    /// Around positive values, a factor apart from both ends.
    pub fn logarithmic(values: impl Iterator<Item = f64>, room: f64) -> Self {
        let positive = values.filter(|it| it.is_finite() && *it > 0.0);
        let (low, high) = positive.fold((f64::INFINITY, 0.0f64), |(low, high), it| (low.min(it), high.max(it)));
        let (low, high) = if low <= high { (low, high) } else { (1.0, 10.0) };
        Self { low: low / room, high: high * room, log: true }
    }

    /// 0 at the low end, 1 at the high one.
    pub fn place(&self, value: f64) -> f64 {
        if self.log {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }

    /// The value at a place.
    pub fn at(&self, place: f64) -> f64 {
        if self.log { self.low * (self.high / self.low).powf(place) } else { self.low + place * (self.high - self.low) }
    }

    /// Round values within a linear range.
    pub fn marks(&self) -> Vec<f64> {
        let least = (self.high - self.low) / 7.0;
        let power = 10f64.powf(least.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|it| it * power).into_iter().find(|it| *it >= least).unwrap_or(least);
        (0..).map(|index| f64::from(index) * step).take_while(|it| *it <= self.high).collect()
    }

    /// The powers of a base within a logarithmic range.
    pub fn powers(&self, base: f64) -> Vec<f64> {
        let exponent = |it: f64, round: fn(f64) -> f64| round(it.ln() / base.ln()) as i32;
        let exponents = exponent(self.low, f64::ceil)..=exponent(self.high, f64::floor);
        exponents.map(|exponent| base.powi(exponent)).collect()
    }
}

/// A coordinate system: where it lies, and its marks.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    pub top: f64,
    pub bottom: f64,
    pub y: Scale,
}

impl Frame {
    pub const LEFT: f64 = LEFT as f64;
    pub const WIDE: f64 = (WIDTH - LEFT - RIGHT) as f64;

    pub fn height_of(&self, value: f64) -> f64 {
        self.bottom - self.y.place(value) * (self.bottom - self.top)
    }

    /// Lines across, with their labels.
    pub fn rungs(&self, area: &Area<'_>, rungs: &[(f64, String)]) -> Result<()> {
        for (value, label) in rungs {
            let y = self.height_of(*value);
            line(area, &[(Self::LEFT, y), (Self::LEFT + Self::WIDE, y)], GRID, 1.0)?;
            write(area, label, 12, PALE, (Self::LEFT - 8.0, y), (HPos::Right, VPos::Center))?;
        }
        Ok(())
    }

    /// A line upright, with its label.
    pub fn upright(&self, area: &Area<'_>, x: f64, label: &str) -> Result<()> {
        line(area, &[(x, self.top), (x, self.bottom)], GRID, 1.0)?;
        write(area, label, 12, PALE, (x, self.bottom + 8.0), (HPos::Center, VPos::Top))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_place_their_ends() {
        let linear = Scale::from_zero([0.3, 2.0, f64::NAN].into_iter());
        assert_eq!((linear.place(0.0), linear.place(2.2)), (0.0, 1.0));
        assert_eq!(linear.marks(), [0.0, 0.5, 1.0, 1.5, 2.0]);
        let log = Scale::logarithmic([4.0, 0.0, 64.0].into_iter(), 1.0);
        assert!((log.place(16.0) - 0.5).abs() < 1e-12);
        assert_eq!(log.powers(4.0).len(), 3);
        assert!(Scale::logarithmic(std::iter::empty(), 1.0).place(1.0).abs() < 1e-12);
    }
}
