//! Curves in panels, one above the other over a common axis, with legends at their right.

use crate::axis::{Axis, Frame, Scale};
use crate::canvas::{Canvas, INK, LEFT_EDGE, PALE, Point, RGBColor, UPPER_EDGE, WIDTH, colour, svg};
use anyhow::Result;

const HEAD: f64 = 54.0;
const FOOT: f64 = 34.0;
/// The height of a panel, and of one that is alone.
const PANEL: f64 = 258.0;
const LONE_PANEL: f64 = 400.0;
/// From a panel's edges to its frame: room for the labels of y, the legend, the title, and the labels of x.
const LEFT: f64 = 88.0;
const RIGHT: f64 = 234.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 36.0;
const LEGEND_ROW: f64 = 23.0;
/// The part of its range that a linear y axis has to spare at both ends.
const SPARE: f64 = 0.05;

/// A named curve. A value that the axes cannot show leaves a gap.
pub type Series = (String, Vec<(f64, f64)>);

/// One coordinate system with its curves.
pub struct Panel {
    title: String,
    y_label: String,
    y: Scale,
    series: Vec<Series>,
    guide: Option<Series>,
    dots: bool,
}

impl Panel {
    /// A panel of plain curves.
    pub fn new(title: impl Into<String>, y_label: &str, y: Scale, series: Vec<Series>) -> Self {
        Self { title: title.into(), y_label: y_label.into(), y, series, guide: None, dots: false }
    }

    /// Marks each point of the curves by a dot.
    pub fn dotted(self) -> Self {
        Self { dots: true, ..self }
    }

    /// Adds a dashed straight line from the first of its points to the last.
    pub fn guided(self, guide: Option<Series>) -> Self {
        Self { guide, ..self }
    }

    fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        self.series.iter().chain(&self.guide).flat_map(|(_, points)| points).copied()
    }

    /// Draws the frame, then everything in it.
    fn draw(&self, canvas: &Canvas<'_>, x: &Axis, top: f64, height: f64) -> Result<()> {
        let frame = Frame { left: LEFT, right: WIDTH - RIGHT, top: top + TOP, bottom: top + height - BOTTOM };
        let values = self.points().filter(|point| x.part(point.0).is_some()).map(|point| point.1);
        let y = Axis::over(values, self.y, SPARE);
        frame.draw_x(canvas, x)?;
        frame.draw_y(canvas, &y)?;
        canvas.line(&[frame.at(0.0, 1.0), frame.at(0.0, 0.0), frame.at(1.0, 0.0)], PALE, 1.0)?;
        canvas.text(&self.title, (15.0, INK), LEFT_EDGE, (LEFT, top + 16.0))?;
        canvas.upward_text(&self.y_label, (13.0, PALE), UPPER_EDGE, (18.0, frame.at(0.0, 0.5).1))?;

        let place = |&(across, up): &(f64, f64)| Some(frame.at(x.part(across)?, y.part(up)?));
        for (index, (name, points)) in self.series.iter().enumerate() {
            let places: Vec<Option<Point>> = points.iter().map(place).collect();
            // Curves that coincide stay visible: the later one is thinner.
            let width = (3.6 - 0.7 * index as f64).max(1.4);
            self.draw_curve(canvas, &places, colour(index), width)?;
            let key = draw_name(canvas, name, top, index)?;
            canvas.line(&key, colour(index), width)?;
        }
        if let Some((name, points)) = &self.guide {
            let places: Vec<Point> = points.iter().filter_map(place).collect();
            if let [first, .., last] = places[..] {
                canvas.dashes([first, last], PALE, 1.4)?;
            }
            let key = draw_name(canvas, name, top, self.series.len())?;
            canvas.dashes(key, PALE, 1.4)?;
        }
        Ok(())
    }

    fn draw_curve(&self, canvas: &Canvas<'_>, places: &[Option<Point>], colour: RGBColor, width: f64) -> Result<()> {
        for run in places.split(Option::is_none).filter(|run| !run.is_empty()) {
            let run: Vec<Point> = run.iter().flatten().copied().collect();
            canvas.line(&run, colour, width)?;
            if self.dots {
                run.iter().try_for_each(|at| canvas.dot(*at, 3.4, colour))?;
            }
        }
        Ok(())
    }
}

/// Writes a row of the legend, and returns the ends of the piece of line that is to be drawn before it.
fn draw_name(canvas: &Canvas<'_>, name: &str, top: f64, row: usize) -> Result<[Point; 2]> {
    let (x, y) = (WIDTH - RIGHT + 20.0, top + TOP + 12.0 + LEGEND_ROW * row as f64);
    canvas.text(name, (14.0, INK), LEFT_EDGE, (x + 34.0, y))?;
    Ok([(x, y), (x + 24.0, y)])
}

/// Draws the panels from top to bottom and returns the text of the SVG file.
pub fn draw(title: &str, x_label: &str, x: Scale, panels: &[Panel]) -> Result<String> {
    let height = if panels.len() == 1 { LONE_PANEL } else { PANEL };
    let bottom = HEAD + height * panels.len() as f64;
    let x = Axis::over(panels.iter().flat_map(Panel::points).map(|point| point.0), x, 0.0);
    svg(bottom + FOOT, |canvas| {
        canvas.text(title, (20.0, INK), LEFT_EDGE, (LEFT, 32.0))?;
        for (index, panel) in panels.iter().enumerate() {
            panel.draw(canvas, &x, HEAD + height * index as f64, height)?;
        }
        canvas.text(x_label, (14.0, PALE), UPPER_EDGE, ((LEFT + WIDTH - RIGHT) / 2.0, bottom))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(y: Scale, points: Vec<(f64, f64)>) -> String {
        let series = vec![("s & t".into(), points), ("empty".into(), Vec::new())];
        draw("a < b", "time", Scale::Linear, &[Panel::new("top", "size", y, series)]).unwrap()
    }

    #[test]
    fn everything_is_named() {
        let svg = drawn(Scale::Linear, vec![(0.0, 1.0), (1.0, 2.0)]);
        for text in ["a &lt; b", "time", "top", "size", "s &amp; t", "empty", r#"width="960""#, "\n1.2\n", "\n0.4\n"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
    }

    #[test]
    fn values_that_cannot_be_drawn_leave_gaps() {
        let curves = |values: &[f64]| {
            let svg = drawn(Scale::Decades, values.iter().enumerate().map(|(x, y)| (x as f64, *y)).collect());
            svg.matches(r##"stroke="#0072B2""##).count() - 1 // the legend's
        };
        assert_eq!(curves(&[]), 0);
        assert_eq!(curves(&[1.0 - 1e-12, 2.0, 3.0]), 1);
        assert_eq!(curves(&[f64::INFINITY, 2.0, f64::NAN, 0.0, 5.0, -1.0, 6.0]), 3);
        assert_eq!(curves(&[1.0, 2.0, 1e-20, 3.0]), 2);
    }

    #[test]
    fn points_are_dotted_and_the_guide_is_dashed() {
        let guide = ("ideal".to_owned(), vec![(1.0, 1.0), (256.0, 256.0)]);
        let series = vec![("real".to_owned(), vec![(4.0, 8.0), (64.0, 80.0)])];
        let panel = Panel::new("", "", Scale::Decades, series).dotted().guided(Some(guide));
        let svg = draw("", "", Scale::Powers(4.0, |value| format!("{value} B")), &[panel]).unwrap();
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.matches(r##"stroke="#686E82""##).count() > 40, "{svg}");
        for text in ["ideal", "real", "256 B", "10²"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
    }

    #[test]
    fn odd_values_are_drawn_soon() {
        let subnormal = f64::from_bits(1);
        let sizes = [0.0, subnormal, 1e-300, 1e-30, 1e-9, 1.0, 1.0 + f64::EPSILON, 1e30, f64::MAX, f64::INFINITY];
        let odd: Vec<f64> = sizes.into_iter().flat_map(|size| [size, -size]).chain([f64::NAN]).collect();
        for (a, b) in odd.iter().flat_map(|a| odd.iter().map(move |b| (*a, *b))) {
            for points in [vec![(0.0, a)], vec![(a, b), (b, 1.0)], vec![(0.0, a), (1.0, a), (2.0, b)]] {
                for svg in [drawn(Scale::Linear, points.clone()), drawn(Scale::Decades, points)] {
                    assert!(svg.len() < 20_000 && !svg.contains("NaN") && !svg.contains("inf"), "{a} {b}: {svg}");
                }
            }
        }
        assert!(draw("", "", Scale::Linear, &[]).is_ok());
    }
}
