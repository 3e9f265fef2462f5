//! An SVG with a white ground, and the shapes and texts that plots consist of. All lengths are in pixels.

use anyhow::Result;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub use plotters::style::RGBColor;

/// The width of every picture.
pub const WIDTH: f64 = 960.0;
/// The colour of titles and names.
pub const INK: RGBColor = RGBColor(40, 44, 60);
/// The colour of labels and axes.
pub const PALE: RGBColor = RGBColor(104, 110, 130);
/// The colour of grid lines.
pub const GRID: RGBColor = RGBColor(228, 231, 239);

/// Colours that the colour-blind can tell apart (Okabe and Ito), then a grey.
const PALETTE: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(120, 120, 120),
];

/// `plotters` places everything on whole units. These are tenths of a pixel, which keep curves smooth.
const UNITS_PER_PIXEL: f64 = 10.0;
/// The height of a line of text, as a multiple of its font size. `plotters` takes the former for the latter.
const LINE_HEIGHT: f64 = 1.24;

/// A point, in pixels from the upper left corner.
pub type Point = (f64, f64);

/// The colour of a series. After seven they repeat.
pub fn colour(index: usize) -> RGBColor {
    PALETTE[index % PALETTE.len()]
}

/// The edge of a text whose middle lies on the point where it is drawn.
pub type Anchor = (HPos, VPos);
pub const LEFT_EDGE: Anchor = (HPos::Left, VPos::Center);
pub const RIGHT_EDGE: Anchor = (HPos::Right, VPos::Center);
pub const UPPER_EDGE: Anchor = (HPos::Center, VPos::Top);
pub const LOWER_EDGE: Anchor = (HPos::Center, VPos::Bottom);

/// A font size and a colour.
pub type Font = (f64, RGBColor);

/// The surface of a picture.
pub struct Canvas<'a>(DrawingArea<SVGBackend<'a>, Shift>);

/// Draws a picture of this height and returns the text of the SVG file.
pub fn svg(height: f64, draw: impl FnOnce(&Canvas<'_>) -> Result<()>) -> Result<String> {
    let mut svg = String::new();
    let (width, height) = units((WIDTH, height));
    let canvas = Canvas(SVGBackend::with_string(&mut svg, (width as u32, height as u32)).into_drawing_area());
    canvas.0.fill(&WHITE)?;
    draw(&canvas)?;
    canvas.0.present()?;
    drop(canvas);
    let size = |scale: i32| format!(r#"width="{}" height="{}""#, width / scale, height / scale);
    // All lines inherit round ends, with which a single point can be seen too.
    let shown = size(UNITS_PER_PIXEL as i32) + r#" stroke-linejoin="round" stroke-linecap="round""#;
    Ok(svg.replacen(&size(1), &shown, 1))
}

impl Canvas<'_> {
    /// A line through the points. One point is a dot as wide as the line.
    pub fn line(&self, points: &[Point], colour: RGBColor, width: f64) -> Result<()> {
        // The last point appears twice, since `plotters` draws no line of one point.
        let points: Vec<_> = points.iter().chain(points.last()).copied().map(units).collect();
        let style = colour.stroke_width((width * UNITS_PER_PIXEL) as u32);
        Ok(self.0.draw(&PathElement::new(points, style))?)
    }

    /// A straight line in dashes.
    pub fn dashes(&self, [from, to]: [Point; 2], colour: RGBColor, width: f64) -> Result<()> {
        const DASH: f64 = 5.0;
        let [across, down] = [to.0 - from.0, to.1 - from.1];
        let dashes = (across.hypot(down) / (2.0 * DASH)).clamp(1.0, WIDTH) as usize;
        let at = |part: f64| (from.0 + part * across, from.1 + part * down);
        let ends = |dash: usize| [0.0, 0.5].map(|end| at((dash as f64 + end) / dashes as f64));
        (0..dashes).try_for_each(|dash| self.line(&ends(dash), colour, width))
    }

    /// A filled rectangle between two opposite corners.
    pub fn block(&self, from: Point, to: Point, colour: RGBColor) -> Result<()> {
        Ok(self.0.draw(&Rectangle::new([units(from), units(to)], colour.filled()))?)
    }

    /// A filled circle.
    pub fn dot(&self, at: Point, radius: f64, colour: RGBColor) -> Result<()> {
        Ok(self.0.draw(&Circle::new(units(at), (radius * UNITS_PER_PIXEL) as i32, colour.filled()))?)
    }

    /// A text in one line.
    pub fn text(&self, text: &str, font: Font, anchor: Anchor, at: Point) -> Result<()> {
        self.turned_text(text, font, anchor, at, FontTransform::None)
    }

    /// A text that runs upwards.
    pub fn upward_text(&self, text: &str, font: Font, anchor: Anchor, at: Point) -> Result<()> {
        self.turned_text(text, font, anchor, at, FontTransform::Rotate270)
    }

    fn turned_text(
        &self,
        text: &str,
        (size, colour): Font,
        anchor: Anchor,
        at: Point,
        turn: FontTransform,
    ) -> Result<()> {
        let font = ("Helvetica, Arial, sans-serif", LINE_HEIGHT * size * UNITS_PER_PIXEL).into_font();
        let style = font.transform(turn).color(&colour).pos(Pos::new(anchor.0, anchor.1));
        Ok(self.0.draw_text(text, &style, units(at))?)
    }
}

fn units((x, y): Point) -> (i32, i32) {
    let unit = |length: f64| (length * UNITS_PER_PIXEL).round() as i32;
    (unit(x), unit(y))
}
