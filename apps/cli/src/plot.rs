//! Line plots of a schedule as an SVG: panels stacked over one common axis, each with its legend beside it.
//!
//! `plotters` lays out and draws. Its own search for round tick marks need not end on the extreme ranges that a strange
//! schedule brings along, so the axes here keep to ranges which can be divided, and count their marks themselves.

use anyhow::Result;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;

/// `plotters` places everything on whole units: tenths of a pixel, which keep the curves smooth.
const PIXEL: i32 = 10;
const WIDTH: i32 = 960 * PIXEL;
const HEAD: i32 = 54 * PIXEL;
const PANEL: i32 = 258 * PIXEL;
const FOOT: i32 = 34 * PIXEL;
/// From a panel's edges to its curves; there are the labels of y, the legend, the title, and the labels of x.
const LEFT: i32 = 88 * PIXEL;
const RIGHT: i32 = 234 * PIXEL;
const TOP: i32 = 34 * PIXEL;
const BOTTOM: i32 = 36 * PIXEL;

const INK: RGBColor = RGBColor(40, 44, 60);
const PALE: RGBColor = RGBColor(104, 110, 130);
const GRID: RGBColor = RGBColor(228, 231, 239);
/// Told apart by the colour-blind too (Okabe and Ito).
const COLOURS: [(u8, u8, u8); 6] =
    [(0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (230, 159, 0)];

/// What is beyond is left out like an infinity; no schedule has such numbers except by accident.
const LARGEST: f64 = 1e30;
/// The smallest span of an axis relative to its values: below it, tick marks could not be told apart in print.
const NARROWEST: f64 = 1e-6;
/// The widest span of a logarithmic axis: one absurd value must not flatten all others.
const MOST_DECADES: f64 = 16.0;

/// A named curve. Values that are not finite (or, on a logarithmic axis, not positive) leave a gap.
pub type Series = (String, Vec<(f64, f64)>);

/// One coordinate system.
pub struct Panel {
    pub title: String,
    pub y_label: String,
    /// Whether y is logarithmic.
    pub log_y: bool,
    pub series: Vec<Series>,
}

/// Draws the panels from top to bottom and returns the text of the SVG file.
pub fn render(title: &str, x_label: &str, panels: &[Panel]) -> Result<String> {
    let height = HEAD + PANEL * i32::try_from(panels.len())? + FOOT;
    let x_axis = Axis::over(panels.iter().flat_map(Panel::visible).map(|(x, _)| x), false, 0.0);
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    root.draw_text(title, &text(20, INK), (LEFT, 20 * PIXEL))?;
    for (panel, top) in panels.iter().zip((HEAD..).step_by(PANEL as usize)) {
        panel.draw(&root.clone().shrink((0, top), (WIDTH as u32, PANEL as u32)), &x_axis)?;
    }
    let centred = text(14, PALE).pos(Pos::new(HPos::Center, VPos::Top));
    root.draw_text(x_label, &centred, ((LEFT + WIDTH - RIGHT) / 2, height - FOOT))?;
    root.present()?;
    drop(root);
    let size = |unit: i32| format!(r#"width="{}" height="{}""#, WIDTH / unit, height / unit);
    // All lines inherit the round ends, with which also a single point can be seen.
    let shown = size(PIXEL) + r#" stroke-linejoin="round" stroke-linecap="round""#;
    Ok(svg.replacen(&size(1), &shown, 1))
}

impl Panel {
    fn draw(&self, area: &DrawingArea<SVGBackend, Shift>, x_axis: &Axis) -> Result<()> {
        let y_axis = Axis::over(self.visible().map(|(_, y)| y), self.log_y, 0.05);
        area.draw_text(&self.title, &text(15, INK), (LEFT, 8 * PIXEL))?;
        let mut chart = ChartBuilder::on(area)
            .margin_top(TOP)
            .margin_left(20 * PIXEL)
            .margin_right(RIGHT)
            .x_label_area_size(BOTTOM)
            .y_label_area_size(LEFT - 20 * PIXEL)
            .build_cartesian_2d(x_axis.clone(), y_axis.clone())?;
        chart
            .configure_mesh()
            .bold_line_style(GRID.stroke_width(PIXEL as u32))
            .light_line_style(TRANSPARENT)
            .axis_style(PALE.stroke_width(PIXEL as u32))
            .set_all_tick_mark_size(4 * PIXEL)
            .label_style(text(12, PALE))
            .axis_desc_style(text(13, PALE))
            .x_label_formatter(&|x| x_axis.label(*x))
            .y_label_formatter(&|y| y_axis.label(*y))
            .y_desc(&self.y_label)
            .draw()?;
        for (index, (name, points)) in self.series.iter().enumerate() {
            let (red, green, blue) = COLOURS[index % COLOURS.len()];
            // Curves that coincide stay visible: the later one is thinner.
            let style = RGBColor(red, green, blue).stroke_width(36u32.saturating_sub(7 * index as u32).max(14));
            let bottom = y_axis.range.start - 1e-6 * y_axis.step;
            let points: Vec<_> = points.iter().map(|point| self.place(*point).filter(|(_, y)| *y >= bottom)).collect();
            for run in points.split(Option::is_none).filter(|run| !run.is_empty()) {
                // The last point is there twice, since a single one would not be drawn.
                let run: Vec<_> = run.iter().chain(run.last()).flatten().copied().collect();
                chart.draw_series([PathElement::new(run, style)])?;
            }
            // The legend of `plotters` cannot stand outside of the curves.
            let (x, y) = (WIDTH - RIGHT + 20 * PIXEL, TOP + (12 + 23 * index as i32) * PIXEL);
            area.draw(&PathElement::new([(x, y), (x + 24 * PIXEL, y)], style))?;
            area.draw_text(name, &text(14, INK).pos(Pos::new(HPos::Left, VPos::Center)), (x + 34 * PIXEL, y))?;
        }
        Ok(())
    }

    /// Where a point lies on the axes, of which a logarithmic one has exponents; nowhere if it cannot be drawn.
    fn place(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        let (y, largest) = if self.log_y { (y.log10(), LARGEST.log10()) } else { (y, LARGEST) };
        (x.abs() <= LARGEST && y.abs() <= largest).then_some((x, y))
    }

    fn visible(&self) -> impl Iterator<Item = (f64, f64)> {
        self.series.iter().flat_map(|(_, points)| points).filter_map(|point| self.place(*point))
    }
}

#[derive(Clone)]
struct Axis {
    range: Range<f64>,
    /// Between two tick marks.
    step: f64,
    log: bool,
}

impl Axis {
    /// Spans the values, with some room at both ends.
    fn over(values: impl Iterator<Item = f64>, log: bool, room: f64) -> Self {
        let extent = values.map(|value| (value, value)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let (low, high) = extent.unwrap_or((0.0, 1.0));
        let range = if log {
            let top = (high - 1e-9).ceil(); // what only just exceeds a power of ten needs no decade more
            (low + 1e-9).floor().clamp(top - MOST_DECADES, top - 1.0)..top
        } else {
            let largest = low.abs().max(high.abs());
            let narrow = high - low <= (NARROWEST * largest).max(1.0 / LARGEST);
            let room = if narrow { 0.5 * largest.max(1.0) } else { room * (high - low) };
            low - room..high + room
        };
        let least = (range.end - range.start) / 6.0; // more marks would crowd
        let power = 10f64.powf(least.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * power).into_iter().find(|step| *step >= least);
        Self { range, step: step.unwrap_or(least).max(if log { 1.0 } else { 0.0 }), log }
    }

    fn label(&self, value: f64) -> String {
        if self.log {
            let raised = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
            let raise = |letter: char| letter.to_digit(10).map_or('⁻', |digit| raised[digit as usize]);
            return format!("10{}", format!("{value:.0}").chars().map(raise).collect::<String>());
        }
        // With as many digits as tell it from its neighbours.
        let [first, last] = [self.range.start.abs().max(self.range.end.abs()), self.step].map(|it| it.log10().floor());
        if value != 0.0 && !(-4.0..6.0).contains(&first) {
            format!("{value:.*e}", (first - last) as usize).replace('-', "−")
        } else {
            format!("{value:.*}", (-last).max(0.0) as usize).replace('-', "−")
        }
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, pixels: (i32, i32)) -> i32 {
        RangedCoordf64::from(self.range()).map(value, pixels)
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        let [low, high] = [self.range.start, self.range.end].map(|end| end / self.step);
        let counts = (low - 1e-9).ceil() as i64..=(high + 1e-9).floor() as i64;
        counts.map(|count| count as f64 * self.step).collect()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// `plotters` takes the height of a line for the size of a font, and divides by this number.
fn text(pixels: i32, colour: RGBColor) -> TextStyle<'static> {
    ("Helvetica, Arial, sans-serif", 1.24 * f64::from(pixels * PIXEL)).into_font().color(&colour)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(log_y: bool, points: Vec<(f64, f64)>) -> String {
        let series = vec![("s & t".into(), points), ("empty".into(), Vec::new())];
        render("a < b", "time", &[Panel { title: "top".into(), y_label: "size".into(), log_y, series }]).unwrap()
    }

    #[test]
    fn everything_is_named() {
        let svg = drawn(false, vec![(0.0, 1.0), (1.0, 2.0)]);
        for text in ["a &lt; b", "time", "top", "size", "s &amp; t", "empty", r#"width="960""#, "\n1.2\n", "\n0.4\n"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
    }

    #[test]
    fn values_that_cannot_be_drawn_leave_gaps() {
        let curves = |values: &[f64]| {
            let svg = drawn(true, values.iter().enumerate().map(|(x, y)| (x as f64, *y)).collect());
            svg.matches(r##"stroke="#0072B2""##).count() - 1 // the legend's
        };
        assert_eq!(curves(&[]), 0);
        assert_eq!(curves(&[1.0 - 1e-12, 2.0, 3.0]), 1);
        assert_eq!(curves(&[f64::INFINITY, 2.0, f64::NAN, 0.0, 5.0, -1.0, 6.0]), 3);
        assert_eq!(curves(&[1.0, 2.0, 1e-20, 3.0]), 2);
    }

    #[test]
    fn ticks_are_round_and_in_place() {
        let ticks = |values: [f64; 2], log, room| {
            let axis = Axis::over(values.into_iter(), log, room);
            let show = |tick: &f64| format!("{} {}", axis.label(*tick), axis.map(tick, (0, 100)));
            axis.key_points(10).iter().map(show).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(ticks([0.0, 1000.0], false, 0.0), "0 0, 200 20, 400 40, 600 60, 800 80, 1000 100");
        assert_eq!(ticks([-0.1, 0.4], false, 0.0), "−0.1 0, 0.0 20, 0.1 40, 0.2 60, 0.3 80, 0.4 100");
        assert_eq!(ticks([0.0, 2e9], false, 0.0), "0 0, 5.0e8 25, 1.0e9 50, 1.5e9 75, 2.0e9 100");
        assert_eq!(ticks([-1.7, 1.99], true, 0.05), "10⁻² 0, 10⁻¹ 25, 10⁰ 50, 10¹ 75, 10² 100");
        assert_eq!(ticks([-300.0, 6.0], true, 0.05), "10⁻¹⁰ 0, 10⁻⁵ 31, 10⁰ 62, 10⁵ 93");
    }

    #[test]
    fn odd_values_are_drawn_soon() {
        let subnormal = f64::from_bits(1);
        let sizes = [0.0, subnormal, 1e-300, 1e-30, 1e-9, 1.0, 1.0 + f64::EPSILON, 1e30, f64::MAX, f64::INFINITY];
        let odd: Vec<f64> = sizes.into_iter().flat_map(|size| [size, -size]).chain([f64::NAN]).collect();
        for (a, b) in odd.iter().flat_map(|a| odd.iter().map(move |b| (*a, *b))) {
            for points in [vec![(0.0, a)], vec![(a, b), (b, 1.0)], vec![(0.0, a), (1.0, a), (2.0, b)]] {
                for svg in [drawn(false, points.clone()), drawn(true, points)] {
                    assert!(svg.len() < 20_000 && !svg.contains("NaN") && !svg.contains("inf"), "{a} {b}: {svg}");
                }
            }
        }
        assert!(render("", "", &[]).is_ok());
    }
}
