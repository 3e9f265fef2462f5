//! A picture of sets of points, as SVG: rows of panels, each with a line of text below.

use crate::data::Point;
use std::fmt::Write as _;

/// Pixels of a panel, and of the text below it.
const SIDE: f64 = 150.0;
const TEXT: f64 = 18.0;
/// The part of the plane that a panel shows: `-REACH..REACH` in each direction.
const REACH: f64 = 2.3;

/// A set of points with a line of text.
#[derive(Clone, Debug)]
pub struct Panel {
    /// The text below.
    pub text: String,
    /// The points; those outside of the panel are not drawn.
    pub points: Vec<Point>,
    /// A CSS colour.
    pub colour: &'static str,
}

/// The picture of these rows.
pub fn svg(rows: &[Vec<Panel>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0) as f64;
    let (width, height) = (columns * SIDE, rows.len() as f64 * (SIDE + TEXT));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"11\" text-anchor=\"middle\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for (y, row) in rows.iter().enumerate() {
        for (x, panel) in row.iter().enumerate() {
            let (x, y) = (x as f64 * SIDE, y as f64 * (SIDE + TEXT));
            svg += &format!("<g transform=\"translate({x} {y})\">{}</g>\n", draw(panel));
        }
    }
    svg + "</svg>\n"
}

/// Draws a panel, with one path for all dots: a line of length 0 with round ends is a dot.
fn draw(panel: &Panel) -> String {
    let place = |x: f32| (f64::from(x) / REACH + 1.0) * SIDE / 2.0;
    let mut path = String::new();
    for [x, y] in &panel.points {
        let (x, y) = (place(*x), SIDE - place(*y));
        if (0.0..SIDE).contains(&x) && (0.0..SIDE).contains(&y) {
            let _ = write!(path, "M{x:.1} {y:.1}h0"); // writing to a String cannot fail
        }
    }
    format!(
        "<path d=\"{path}\" stroke=\"{}\" stroke-width=\"1.6\" stroke-linecap=\"round\" stroke-opacity=\"0.6\"/>\
         <text x=\"{}\" y=\"{}\" fill=\"#333\">{}</text>",
        panel.colour,
        SIDE / 2.0,
        SIDE + TEXT / 2.0,
        panel.text
    )
}
