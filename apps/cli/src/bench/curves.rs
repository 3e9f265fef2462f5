//! Time against size: both axes logarithmic, so that a constant rate is a straight line and overhead is level.

use super::canvas::{Area, Frame, INK, PALE, Scale, colour, dot, legend, line, svg, write};
use anyhow::Result;
use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, VPos};

const HEIGHT: f64 = 470.0;
const TOP: f64 = 76.0;
const BOTTOM: f64 = HEIGHT - 58.0;
/// Dots and gaps of the guide, as parts of the width.
const DASHES: usize = 90;

/// A name, and pairs of bytes and milliseconds.
pub type Curve = (String, Vec<(f64, f64)>);

/// The curves, and a guide: the time that a rate in GB/s takes. Returns the text of the SVG file.
pub fn draw(title: &str, curves: &[Curve], guide: Option<f64>) -> Result<String> {
    let points = || curves.iter().flat_map(|(_, points)| points);
    let x = Scale::logarithmic(points().map(|point| point.0), 1.4);
    let y = Scale::logarithmic(points().map(|point| point.1), 1.6);
    let frame = Frame { top: TOP, bottom: BOTTOM, y };
    let across = move |bytes: f64| Frame::LEFT + Frame::WIDE * x.place(bytes);
    let mut names: Vec<_> = curves.iter().enumerate().map(|(i, (name, _))| (name.clone(), tint(i))).collect();
    names.extend(guide.map(|rate| (format!("no overhead, at {rate:.1} GB/s"), PALE)));
    svg(HEIGHT as i32, |area| {
        write(area, title, 18, INK, (Frame::LEFT, 20.0), (HPos::Left, VPos::Center))?;
        legend(Some(area), &names, 50.0)?;
        frame.rungs(area, &y.powers(10.0).into_iter().map(|it| (it, duration(it))).collect::<Vec<_>>())?;
        for bytes in x.powers(4.0) {
            frame.upright(area, across(bytes), &size(bytes))?;
        }
        let middle = Frame::LEFT + Frame::WIDE / 2.0;
        let below = (HPos::Center, VPos::Top);
        write(area, "bytes moved: read and written", 13, PALE, (middle, BOTTOM + 30.0), below)?;
        if let Some(rate) = guide {
            dashes(area, &frame, &|place| x.at(place), &|bytes| (across(bytes), bytes / rate / 1e6))?;
        }
        for (index, (_, points)) in curves.iter().enumerate() {
            let places: Vec<_> = points.iter().map(|&(bytes, ms)| (across(bytes), frame.height_of(ms))).collect();
            line(area, &places, tint(index), 2.4)?;
            for place in places {
                dot(area, place, 3.2, tint(index))?;
            }
        }
        Ok(())
    })
}

/// The guide, as far as it is within the axes.
fn dashes(
    area: &Area<'_>,
    frame: &Frame,
    bytes_at: &dyn Fn(f64) -> f64,
    place: &dyn Fn(f64) -> (f64, f64),
) -> Result<()> {
    for dash in 0..DASHES {
        let ends = [0.0, 0.5].map(|part| place(bytes_at((dash as f64 + part) / DASHES as f64)));
        if ends.iter().all(|(_, ms)| (0.0..=1.0).contains(&frame.y.place(*ms))) {
            line(area, &ends.map(|(x, ms)| (x, frame.height_of(ms))), PALE, 1.4)?;
        }
    }
    Ok(())
}

/// Neighbours in the palette of the bars are alike; these are not.
fn tint(index: usize) -> RGBColor {
    colour([1, 4, 2][index % 3])
}

fn duration(milliseconds: f64) -> String {
    match milliseconds {
        ms if ms >= 999.0 => format!("{:.0} s", ms / 1e3),
        ms if ms >= 0.99 => format!("{ms:.0} ms"),
        ms if ms >= 0.00099 => format!("{:.0} µs", ms * 1e3),
        ms => format!("{:.0} ns", ms * 1e6),
    }
}

fn size(bytes: f64) -> String {
    match bytes.log2().round() as i32 {
        power @ 30.. => format!("{} GiB", 1u64 << (power - 30).min(33)),
        power @ 20.. => format!("{} MiB", 1u64 << (power - 20)),
        power @ 10.. => format!("{} KiB", 1u64 << (power - 10)),
        power => format!("{} B", 1u64 << power.max(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_named() {
        let curve = |name: &str, ms: f64| (name.to_owned(), vec![(65536.0, ms), (1e6, 2.0 * ms), (1e9, 900.0 * ms)]);
        let svg = draw("time", &[curve("noise", 0.1), curve("copy", 0.05)], Some(12.3)).unwrap();
        let labels =
            ["time", "noise", "copy", "at 12.3 GB/s", "64 KiB", "16 MiB", "100 µs", "1 ms", "10 ms", "bytes moved"];
        for text in labels {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        assert!(draw("", &[], None).is_ok());
        assert!(draw("", &[curve("one", 1.0)], None).is_ok());
    }

    #[test]
    fn units_suit_their_values() {
        assert_eq!([1e-5, 0.001, 0.1, 10.0, 1e4].map(duration).join(", "), "10 ns, 1 µs, 100 µs, 10 ms, 10 s");
        assert_eq!([512.0, 65536.0, 67108864.0, 4294967296.0].map(size).join(", "), "512 B, 64 KiB, 64 MiB, 4 GiB");
    }
}
