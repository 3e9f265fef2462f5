//! Bars in groups, in panels one above the other.

use crate::axis::{Axis, Frame};
use crate::canvas::{
    Canvas, INK, LEFT_EDGE, LOWER_EDGE, PALE, Point, RGBColor, RIGHT_EDGE, UPPER_EDGE, WIDTH, colour, svg,
};
use crate::distinct;
use anyhow::Result;

const HEAD: f64 = 44.0;
const PANEL: f64 = 284.0;
const PANEL_TITLE: f64 = 34.0;
/// Room for names of three lines.
const PANEL_FOOT: f64 = 56.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = WIDTH - 26.0;
const LEGEND_ROW: f64 = 22.0;
const NAME_LINE: f64 = 14.0;
/// The width of a letter of a group's name, as sans serif fonts have it on average.
const NAME_LETTER: f64 = 6.4;
/// The widest bar, and the narrowest that has room for its number.
const WIDEST: f64 = 60.0;
const NUMBERED: f64 = 21.0;

/// A bar and its place: a panel, a group on the panel's axis, and a series, whose bars all have the same colour.
#[derive(Clone, Debug)]
pub struct Bar {
    /// The title of its panel.
    pub panel: String,
    /// The name below its group.
    pub group: String,
    /// The name next to its colour in the legend.
    pub series: String,
    /// Its height.
    pub value: f64,
    /// A line across the bar at another value.
    pub mark: Option<f64>,
}

/// A picture of bars. Panels, groups and series are in the order of their first bars.
#[derive(Clone, Debug)]
pub struct Bars {
    /// The title above all panels.
    pub title: String,
    /// The meaning of the marks, if there are any.
    pub mark: Option<String>,
    /// The meaning of the value 1.
    pub one: String,
    /// The bars, in any order.
    pub bars: Vec<Bar>,
}

impl Bars {
    /// Draws the bars and returns the text of the SVG file.
    pub fn draw(&self) -> Result<String> {
        let panels = distinct(self.bars.iter().map(|bar| bar.panel.as_str()));
        let series = distinct(self.bars.iter().map(|bar| bar.series.as_str()));
        let legend = self.legend(&series);
        let head = legend.last().map_or(HEAD, |((_, y), ..)| y + LEGEND_ROW);
        svg(head + PANEL * panels.len() as f64 + 6.0, |canvas| {
            canvas.text(&self.title, (18.0, INK), LEFT_EDGE, (LEFT, 20.0))?;
            for ((x, y), name, colour) in legend {
                canvas.block((x, y - 5.0), (x + 12.0, y + 5.0), colour)?;
                canvas.text(name, (13.0, INK), LEFT_EDGE, (x + 18.0, y))?;
            }
            let tops = (0..).map(|index| head + PANEL * f64::from(index));
            tops.zip(&panels).try_for_each(|(top, panel)| self.draw_panel(canvas, panel, &series, top))
        })
    }

    /// Places the names of the series and of the marks in rows.
    fn legend<'a>(&'a self, series: &[&'a str]) -> Vec<(Point, &'a str, RGBColor)> {
        let names = series.iter().enumerate().map(|(index, name)| (*name, colour(index)));
        let (mut x, mut y) = (LEFT, HEAD + 4.0);
        let place = |(name, colour): (&'a str, _)| {
            let width = 30.0 + 7.3 * name.chars().count() as f64;
            if x > LEFT && x + width > RIGHT {
                (x, y) = (LEFT, y + LEGEND_ROW);
            }
            x += width;
            ((x - width, y), name, colour)
        };
        names.chain(self.mark.as_deref().map(|mark| (mark, INK))).map(place).collect()
    }

    fn draw_panel(&self, canvas: &Canvas<'_>, panel: &str, series: &[&str], top: f64) -> Result<()> {
        let bars = || self.bars.iter().filter(|bar| bar.panel == panel);
        let groups = distinct(self.bars.iter().map(|bar| bar.group.as_str()));
        let y = Axis::from_zero(bars().flat_map(|bar| [Some(bar.value), bar.mark]).flatten());
        let frame = Frame { left: LEFT, right: RIGHT, top: top + PANEL_TITLE, bottom: top + PANEL - PANEL_FOOT };
        canvas.text(panel, (14.0, INK), LEFT_EDGE, (LEFT, top + 18.0))?;
        canvas.text(&format!("1 = {}", self.one), (13.0, PALE), RIGHT_EDGE, (RIGHT, top + 18.0))?;
        frame.draw_y(canvas, &y)?;
        let one = y.part(1.0).unwrap_or(0.0);
        canvas.line(&[frame.at(0.0, one), frame.at(1.0, one)], PALE, 1.4)?;

        let group_width = (RIGHT - LEFT) / groups.len() as f64;
        let width = (group_width * 0.86 / series.len() as f64).min(WIDEST);
        for (index, group) in groups.iter().enumerate() {
            let middle = LEFT + group_width * (index as f64 + 0.5);
            let first = middle - width * series.len() as f64 / 2.0;
            for (index, series) in series.iter().enumerate() {
                if let Some(bar) = bars().find(|bar| bar.group == *group && bar.series == *series) {
                    draw_bar(canvas, &frame, &y, bar, (first + width * index as f64, width), index)?;
                }
            }
            let lines = broken(group, (group_width / NAME_LETTER) as usize);
            for (line, text) in lines.iter().enumerate() {
                let top = frame.bottom + 8.0 + NAME_LINE * line as f64;
                canvas.text(text, (12.0, INK), UPPER_EDGE, (middle, top))?;
            }
        }
        Ok(())
    }
}

/// Draws a bar with its mark and its number.
fn draw_bar(
    canvas: &Canvas<'_>,
    frame: &Frame,
    y: &Axis,
    bar: &Bar,
    (start, width): (f64, f64),
    index: usize,
) -> Result<()> {
    let height = |value: f64| frame.at(0.0, y.part(value).unwrap_or(0.0)).1;
    let [left, right] = [0.06, 0.94].map(|part| start + width * part);
    canvas.block((left, height(bar.value)), (right, frame.bottom), colour(index))?;
    let mut number = height(bar.value) - 3.0;
    if let Some(mark) = bar.mark.map(height) {
        canvas.line(&[(left + 1.0, mark), (right - 1.0, mark)], INK, 2.0)?;
        // A mark that would cross the number carries it.
        if (number - 13.0..=number + 3.0).contains(&mark) {
            number = mark - 4.0;
        }
    }
    if width <= NUMBERED {
        return Ok(());
    }
    canvas.text(&digits(bar.value), (11.0, INK), LOWER_EDGE, ((left + right) / 2.0, number))
}

/// Breaks a name after underscores into lines of at most this many letters, where it has any to break after.
fn broken(name: &str, letters: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in name.split_inclusive('_') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + part.chars().count() <= letters => line.push_str(part),
            _ => lines.push(part.to_owned()),
        }
    }
    lines
}

fn digits(value: f64) -> String {
    if value < 9.95 { format!("{value:.2}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_named_and_gaps_stay() {
        let bar = |group: &str, series: &str, value| Bar {
            panel: "f32".into(),
            group: group.into(),
            series: series.into(),
            value,
            mark: Some(0.9),
        };
        let svg = Bars {
            title: "a < b".into(),
            mark: Some("shader".into()),
            one: "a copy".into(),
            bars: vec![bar("noise", "small", 0.5), bar("other", "small", 0.25), bar("other", "large", 12.0)],
        };
        let svg = svg.draw().unwrap();
        for text in
            ["a &lt; b", "noise", "other", "small", "large", "shader", "a copy", "f32", "0.50", "0.25", "\n12\n"]
        {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        assert_eq!(svg.matches("<rect").count(), 1 + 3 + 3); // ground, legend, bars
    }

    #[test]
    fn long_names_are_broken_where_they_may_be() {
        assert_eq!(broken("draw_noise_target_v", 12), ["draw_noise_", "target_v"]);
        assert_eq!(broken("draw_noise_target_v", 40), ["draw_noise_target_v"]);
        assert_eq!(broken("unbreakable", 4), ["unbreakable"]);
        assert_eq!(broken("v_to_x0", 1), ["v_", "to_", "x0"]);
        assert!(broken("", 5).iter().all(String::is_empty));
    }

    #[test]
    fn no_bars_are_a_picture_too() {
        assert!(Bars { title: "".into(), mark: None, one: "".into(), bars: vec![] }.draw().is_ok());
    }
}
