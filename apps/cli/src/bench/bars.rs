//! Grouped bars: an op is a group, a workload a colour, a storage type or another program a panel.

use super::canvas::{Frame, INK, PALE, Scale, block, colour, legend, line, svg, write};
use anyhow::Result;
use plotters::style::text_anchor::{HPos, VPos};

const HEAD: f64 = 44.0;
const PANEL: f64 = 284.0;
const PANEL_TITLE: f64 = 34.0;
/// Room for names of three lines.
const PANEL_FOOT: f64 = 56.0;
const NAME_SIZE: i32 = 12;
const NAME_LINE: f64 = 14.0;
/// The width of a letter of a name, as sans serif fonts have it on average.
const NAME_LETTER: f64 = 6.4;

/// One coordinate system.
pub struct Panel {
    pub title: String,
    /// For each group, for each series: the bar, and a mark across it.
    pub bars: Vec<Vec<Option<Bar>>>,
}

#[derive(Clone, Copy, Debug)]
pub struct Bar {
    pub value: f64,
    pub mark: Option<f64>,
}

/// The whole picture.
pub struct Bars {
    pub title: String,
    pub groups: Vec<String>,
    pub series: Vec<String>,
    /// What the marks are, if there are any.
    pub mark: Option<String>,
    /// What the line at 1 is.
    pub one: String,
    pub panels: Vec<Panel>,
}

impl Bars {
    /// The text of the SVG file.
    pub fn draw(&self) -> Result<String> {
        let names: Vec<_> = self.series.iter().enumerate().map(|(i, name)| (name.clone(), colour(i))).collect();
        let marks = self.mark.iter().map(|mark| (mark.clone(), INK));
        let names: Vec<_> = names.into_iter().chain(marks).collect();
        let head = HEAD + legend(None, &names, HEAD)?;
        let height = head + PANEL * self.panels.len() as f64 + 6.0;
        svg(height as i32, |area| {
            write(area, &self.title, 18, INK, (Frame::LEFT, 20.0), (HPos::Left, VPos::Center))?;
            legend(Some(area), &names, HEAD + 4.0)?;
            for (index, panel) in self.panels.iter().enumerate() {
                self.panel(area, panel, head + PANEL * index as f64)?;
            }
            Ok(())
        })
    }

    fn panel(&self, area: &super::canvas::Area<'_>, panel: &Panel, top: f64) -> Result<()> {
        let bars = || panel.bars.iter().flatten().flatten();
        let y = Scale::from_zero(bars().flat_map(|bar| [Some(bar.value), bar.mark]).flatten());
        let frame = Frame { top: top + PANEL_TITLE, bottom: top + PANEL - PANEL_FOOT, y };
        write(area, &panel.title, 14, INK, (Frame::LEFT, top + 18.0), (HPos::Left, VPos::Center))?;
        let right = (HPos::Right, VPos::Center);
        write(area, &format!("1 = {}", self.one), 13, PALE, (Frame::LEFT + Frame::WIDE, top + 18.0), right)?;
        let rungs: Vec<_> = y.marks().into_iter().map(|it| (it, trimmed(it))).collect();
        frame.rungs(area, &rungs)?;
        let one = frame.height_of(1.0);
        line(area, &[(Frame::LEFT, one), (Frame::LEFT + Frame::WIDE, one)], PALE, 1.4)?;
        let group = Frame::WIDE / self.groups.len().max(1) as f64;
        let wide = (group * 0.86 / self.series.len().max(1) as f64).min(60.0);
        for (index, (name, bars)) in self.groups.iter().zip(&panel.bars).enumerate() {
            let middle = Frame::LEFT + group * (index as f64 + 0.5);
            let first = middle - wide * bars.len() as f64 / 2.0;
            for (series, bar) in bars.iter().enumerate() {
                let Some(bar) = bar else { continue };
                let [left, right] = [0.06, 0.94].map(|part| first + wide * (series as f64 + part));
                let high = frame.height_of(bar.value);
                block(area, (left, high), (right, frame.bottom), colour(series))?;
                let mut number = high - 3.0;
                if let Some(mark) = bar.mark {
                    let y = frame.height_of(mark);
                    line(area, &[(left + 1.0, y), (right - 1.0, y)], INK, 2.0)?;
                    // The number stands on the mark that would cross it.
                    if (number - 13.0..=number + 3.0).contains(&y) {
                        number = y - 4.0;
                    }
                }
                // A number needs some room.
                if wide > 21.0 {
                    let anchor = (HPos::Center, VPos::Bottom);
                    write(area, &digits(bar.value), 11, INK, ((left + right) / 2.0, number), anchor)?;
                }
            }
            for (number, text) in lines(name, (group / NAME_LETTER) as usize).iter().enumerate() {
                let top = frame.bottom + 8.0 + NAME_LINE * number as f64;
                write(area, text, NAME_SIZE, INK, (middle, top), (HPos::Center, VPos::Top))?;
            }
        }
        Ok(())
    }
}

/// A name broken after underscores into lines of at most so many letters, as far as it has any to break after.
fn lines(name: &str, letters: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in name.split_inclusive('_') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + part.chars().count() <= letters => line.push_str(part),
            _ => lines.push(part.to_owned()),
        }
    }
    lines
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn digits(value: f64) -> String {
    if value < 9.95 { format!("{value:.2}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_named_and_gaps_stay() {
        let bar = |value| Some(Bar { value, mark: Some(0.9) });
        let svg = Bars {
            title: "a < b".into(),
            groups: vec!["noise".into(), "other".into()],
            series: vec!["small".into(), "large".into()],
            mark: Some("shader".into()),
            one: "a copy".into(),
            panels: vec![Panel { title: "f32".into(), bars: vec![vec![bar(0.5), None], vec![bar(0.25), bar(12.0)]] }],
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
        assert_eq!(lines("draw_noise_target_v", 12), ["draw_noise_", "target_v"]);
        assert_eq!(lines("draw_noise_target_v", 40), ["draw_noise_target_v"]);
        assert_eq!(lines("unbreakable", 4), ["unbreakable"]);
        assert_eq!(lines("v_to_x0", 1), ["v_", "to_", "x0"]);
        assert!(lines("", 5).iter().all(String::is_empty));
    }

    #[test]
    fn nothing_can_be_drawn() {
        let empty =
            Bars { title: "".into(), groups: vec![], series: vec![], mark: None, one: "".into(), panels: vec![] };
        assert!(empty.draw().is_ok());
    }
}
