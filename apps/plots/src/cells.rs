//! A table of numbers whose cells are coloured by their size on a logarithmic scale.

use crate::canvas::{Canvas, INK, LEFT_EDGE, PALE, RGBColor, RIGHT_EDGE, UPPER_EDGE, WIDTH, svg};
use anyhow::Result;

const HEAD: f64 = 84.0;
const ROW: f64 = 19.0;
const FOOT: f64 = 34.0;
/// The right edge of the names, and the edges of the cells.
const NAMES: f64 = 250.0;
const LEFT: f64 = 262.0;
const RIGHT: f64 = WIDTH - 26.0;

/// The colours from the smallest number to the largest: dark is small.
const COLOURS: [[f64; 3]; 4] =
    [[12.0, 44.0, 102.0], [38.0, 140.0, 160.0], [190.0, 214.0, 130.0], [252.0, 236.0, 190.0]];

/// The part of the scale above which dark text is easier to read than white.
const LIGHT: f64 = 0.5;

/// A table.
#[derive(Clone, Debug)]
pub struct Cells {
    /// The title.
    pub title: String,
    /// What the numbers are.
    pub subtitle: String,
    /// What the columns are, and their names.
    pub columns: (String, Vec<String>),
    /// The name of each row, and its numbers. One that is not there, or not finite and above 0, leaves an empty cell.
    pub rows: Vec<(String, Vec<Option<f64>>)>,
}

impl Cells {
    /// Draws the table and returns the text of the SVG file.
    ///
    /// # Errors
    /// None: the picture is drawn in memory.
    pub fn draw(&self) -> Result<String> {
        let numbers = || self.rows.iter().flat_map(|(_, row)| row).filter_map(|number| shown(*number));
        let [least, most] = [numbers().fold(f64::INFINITY, f64::min), numbers().fold(0.0, f64::max)].map(f64::ln);
        let part = |number: f64| if most > least { (number.ln() - least) / (most - least) } else { 0.0 };
        let width = (RIGHT - LEFT) / self.columns.1.len().max(1) as f64;
        svg(HEAD + ROW * self.rows.len() as f64 + FOOT, |canvas| {
            canvas.text(&self.title, (18.0, INK), LEFT_EDGE, (26.0, 20.0))?;
            canvas.text(&self.subtitle, (13.0, PALE), LEFT_EDGE, (26.0, 42.0))?;
            canvas.text(&self.columns.0, (13.0, PALE), RIGHT_EDGE, (NAMES, HEAD - 14.0))?;
            for (k, name) in self.columns.1.iter().enumerate() {
                canvas.text(name, (13.0, INK), UPPER_EDGE, (LEFT + (k as f64 + 0.5) * width, HEAD - 21.0))?;
            }
            self.rows.iter().enumerate().try_for_each(|(i, (name, numbers))| {
                let top = HEAD + i as f64 * ROW;
                canvas.text(name, (13.0, INK), RIGHT_EDGE, (NAMES, top + 0.5 * ROW))?;
                numbers.iter().enumerate().try_for_each(|(k, number)| match shown(*number) {
                    Some(number) => cell(canvas, (LEFT + k as f64 * width, top), width, number, part(number)),
                    None => Ok(()),
                })
            })
        })
    }
}

fn shown(number: Option<f64>) -> Option<f64> {
    number.filter(|number| number.is_finite() && *number > 0.0)
}

fn cell(canvas: &Canvas<'_>, (x, y): (f64, f64), width: f64, number: f64, part: f64) -> Result<()> {
    canvas.block((x, y), (x + width - 1.0, y + ROW - 1.0), colour(part))?;
    let ink = if part < LIGHT { RGBColor(255, 255, 255) } else { INK };
    let text = if number >= 0.001 { format!("{number:.0$}", digits(number)) } else { format!("{number:.0e}") };
    canvas.text(&text, (12.0, ink), UPPER_EDGE, (x + 0.5 * width, y + 2.5))
}

/// The decimals that show two significant figures of a number. (0.00999 is shown as 0.010.)
fn digits(number: f64) -> usize {
    (1.0 - (1.005 * number).log10().floor()).clamp(0.0, 4.0) as usize
}

/// The colour at a part of the scale.
fn colour(part: f64) -> RGBColor {
    let place = part.clamp(0.0, 1.0) * (COLOURS.len() - 1) as f64;
    let below = (place as usize).min(COLOURS.len() - 2);
    let mixed = |i: usize| {
        let [from, to] = [COLOURS[below][i], COLOURS[below + 1][i]];
        (from + (to - from) * (place - below as f64)).round() as u8
    };
    RGBColor(mixed(0), mixed(1), mixed(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_cell_for_each_number() {
        let row = |name: &str, numbers: &[Option<f64>]| (name.to_owned(), numbers.to_vec());
        let cells = Cells {
            title: "title".into(),
            subtitle: "subtitle".into(),
            columns: ("calls".into(), vec!["5".into(), "10".into()]),
            rows: vec![row("one", &[Some(0.5), Some(2e-6)]), row("two", &[None, Some(f64::NAN)])],
        };
        let text = cells.draw().expect("a drawing");
        // The ground and two cells.
        assert_eq!(text.matches("<rect").count(), 3, "{text}");
        for word in ["title", "subtitle", "calls", "one", "two", "0.50", "2e-6"] {
            assert!(text.contains(word), "{word}");
        }
    }

    #[test]
    fn small_is_dark_and_large_is_light() {
        let [small, large] =
            [colour(0.0), colour(1.0)].map(|RGBColor(r, g, b)| u32::from(r) + u32::from(g) + u32::from(b));
        assert!(small < 200 && large > 600);
        assert_eq!([0.5, 0.05, 0.005, 3.0, 0.00997].map(digits), [2, 3, 4, 1, 3]);
    }
}
