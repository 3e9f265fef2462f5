//! The report: one HTML file with everything in it, and its two main plots as separate files.

use crate::compare::Pair;
use crate::lines::Line;
use crate::results::{Results, Skipped};
use crate::runner::STREAM_COPY;
use crate::units::{self, milliseconds, optional};
use anyhow::Result;
use plots::bars::{Bar, Bars};
use plots::curves::{self, Panel};
use plots::{Scale, distinct};
use std::fmt::Write as _;

/// The contents of the page.
pub struct Page<'a> {
    /// The run that it shows.
    pub results: &'a Results,
    /// Other programs to compare it with.
    pub pairs: &'a [Pair<'a>],
}

/// A file of the report: its name and its text.
pub type File = (&'static str, String);

impl Page<'_> {
    /// Returns `fraction.svg`, `size.svg` if sizes were measured, and last `index.html`, which contains both.
    ///
    /// # Errors
    /// A plot cannot be drawn.
    pub fn files(&self) -> Result<Vec<File>> {
        let fraction = self.fractions().draw()?;
        let size = if self.results.sweep.is_empty() { None } else { Some(self.sizes()?) };
        let peers = if self.pairs.is_empty() { None } else { Some(self.peers().draw()?) };
        let html = self.html(&fraction, size.as_deref(), peers.as_deref());
        let size = size.map(|size| ("size.svg", size));
        Ok([("fraction.svg", fraction)].into_iter().chain(size).chain([("index.html", html)]).collect())
    }

    fn html(&self, fraction: &str, size: Option<&str>, peers: Option<&str>) -> String {
        let mut html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>tweedie bench</title>\n\
             <style>\n{}</style>\n</head>\n<body>\n<main>\n<h1>tweedie bench</h1>\n<p class=\"facts\">{}</p>\n",
            include_str!("page.css"),
            self.facts(),
        );
        figure(&mut html, "How close to a copy", FRACTION_TEXT, fraction);
        if let Some(size) = size {
            figure(&mut html, "Where overhead ends", &(SIZE_TEXT.to_owned() + &self.knee()), size);
        }
        if let Some(peers) = peers {
            figure(&mut html, "Compared with other programs", PEERS_TEXT, peers);
        }
        html += "<h2>Every row</h2>\n";
        html += &self.rows();
        for Skipped { op, workload, storage, reason } in &self.results.skipped {
            let _ = writeln!(html, "<p>Skipped: {op}, {workload}, {storage}: {}.</p>", escaped(reason));
        }
        html + "</main>\n</body>\n</html>\n"
    }

    fn facts(&self) -> String {
        let Some(line) = self.results.lines.iter().chain(&self.results.sweep).next() else {
            return "Nothing was measured.".into();
        };
        let text = |field: &Option<String>| escaped(field.as_deref().unwrap_or("unknown"));
        let clock = match line.timer.as_deref() {
            Some("timestamp") => "GPU time by timestamp queries",
            Some("wall") => "wall time of recording, submit and wait",
            _ => "time as the program measured it",
        };
        format!(
            "{} · {} · driver {} · {} · {clock}",
            text(&line.adapter),
            text(&line.backend),
            text(&line.driver),
            text(&line.date)
        )
    }

    /// The rate of each op as a part of the copy's.
    fn fractions(&self) -> Bars {
        let bar = |line: &Line| {
            let mark = line.stream_gbps.zip(line.copy_gbps).map(|(stream, copy)| stream / copy);
            Some(bar(line, line.dtype.clone(), line.of_copy()?, mark))
        };
        Bars {
            title: "Rate of each op, as a part of copy_buffer_to_buffer".into(),
            mark: Some("a streaming copy shader".into()),
            one: "copy_buffer_to_buffer".into(),
            bars: self.results.lines.iter().filter_map(bar).collect(),
        }
    }

    /// The times of the other programs over ours.
    fn peers(&self) -> Bars {
        let bar = |pair: &Pair<'_>| bar(pair.ours, format!("{}, {}", pair.name, pair.ours.dtype), pair.ratio(), None);
        Bars {
            title: "Their time over ours".into(),
            mark: None,
            one: "as fast as tweedie".into(),
            bars: self.pairs.iter().map(bar).collect(),
        }
    }

    /// Draws time against size: a constant rate is a straight line, and overhead is level.
    fn sizes(&self) -> Result<String> {
        let sweep = &self.results.sweep;
        let curve = |op: &str| {
            let points = sweep.iter().filter(|it| it.op == op).map(|it| (it.min_bytes as f64, it.median_ms));
            (if op == STREAM_COPY { "streaming copy".to_owned() } else { op.to_owned() }, points.collect())
        };
        let curves = distinct(sweep.iter().map(|it| it.op.as_str())).into_iter().map(curve).collect();
        let sizes = || sweep.iter().map(|it| it.min_bytes as f64);
        let ends = [sizes().reduce(f64::min), sizes().reduce(f64::max)];
        let guide = self.best_copy().map(|rate| {
            let points = ends.into_iter().flatten().map(|bytes| (bytes, bytes / rate / 1e6));
            (format!("no overhead, {rate:.1} GB/s"), points.collect())
        });
        let panel = Panel::new("", "time", Scale::Powers(10.0, duration), curves).dotted().guided(guide);
        let bytes = Scale::Powers(4.0, |bytes| units::bytes(bytes as u64));
        curves::draw("Time against size, f32", "bytes moved: read and written", bytes, &[panel])
    }

    fn best_copy(&self) -> Option<f64> {
        self.results.sweep.iter().filter(|it| it.op == STREAM_COPY).map(|it| it.gbps).reduce(f64::max)
    }

    /// A sentence on the size above which the rate matters.
    fn knee(&self) -> String {
        let smallest = self.results.sweep.iter().filter(|it| it.op != STREAM_COPY).min_by_key(|it| it.min_bytes);
        let Some((line, rate)) = smallest.zip(self.best_copy()) else {
            return String::new();
        };
        let knee = line.median_ms * rate * 1e6;
        format!(
            " Here the smallest {} takes {} ms; in that time a copy at its best rate moves {}.",
            escaped(&line.op),
            milliseconds(line.median_ms),
            units::bytes(knee as u64)
        )
    }

    fn rows(&self) -> String {
        let mut html = "<div class=\"scroll\"><table>\n<tr><th class=\"name\">op<th class=\"name\">workload\
            <th class=\"name\">storage<th>ms<th>p10<th>p90<th>GB/s<th>of copy<th>of stream<th>ns to record<th>runs</tr>\n"
            .to_owned();
        let mut before = "";
        for line in &self.results.lines {
            let class = if line.workload == before || before.is_empty() { "" } else { " class=\"new\"" };
            before = &line.workload;
            let _ = write!(html, "<tr{class}>");
            for name in [&line.op, &line.workload, &line.dtype] {
                let _ = write!(html, "<td class=\"name\">{}", escaped(name));
            }
            let ms = |value: Option<f64>| value.map_or("-".into(), milliseconds);
            let cells = [
                milliseconds(line.median_ms),
                ms(line.p10_ms),
                ms(line.p90_ms),
                format!("{:.2}", line.gbps),
                optional(line.of_copy(), 2),
                optional(line.of_stream(), 2),
                optional(line.record_ns, 0),
                line.runs.map_or("-".into(), |runs| runs.to_string()),
            ];
            let _ = writeln!(html, "<td>{}</tr>", cells.join("<td>"));
        }
        html + "</table></div>\n"
    }
}

const FRACTION_TEXT: &str = "Each bar is the rate at which an op reads and writes, relative to <code>copy_buffer_to_buffer</code> of the \
    same number of bytes in the same run: at 1, memory alone is the limit. The dark mark is what a plain copy shader reaches, the \
    most to expect of any shader on the adapter; a bar far below its mark shows overhead or arithmetic.";
const SIZE_TEXT: &str = "On the level part at the left a launch costs the same whatever the size; on the slope at the right time \
    grows with the bytes, and an op on the dashed line moves them as fast as the best copy shader.";
const PEERS_TEXT: &str = "Each bar is another program's time over tweedie's for the same op, workload and storage: above 1, tweedie \
    is faster. Compare only what ran on the same machine.";

fn figure(html: &mut String, title: &str, text: &str, svg: &str) {
    let _ = writeln!(html, "<h2>{title}</h2>\n<p>{text}</p>\n<figure>\n{}\n</figure>", svg.trim_end());
}

/// Makes a bar for a line of ours: ops are groups, workloads are series.
fn bar(line: &Line, panel: String, value: f64, mark: Option<f64>) -> Bar {
    Bar { panel, group: line.op.clone(), series: line.workload.clone(), value, mark }
}

/// Writes a power of ten of milliseconds in the unit that suits it.
fn duration(milliseconds: f64) -> String {
    match milliseconds {
        ms if ms >= 999.0 => format!("{:.0} s", ms / 1e3),
        ms if ms >= 0.99 => format!("{ms:.0} ms"),
        ms if ms >= 0.00099 => format!("{:.0} µs", ms * 1e3),
        ms => format!("{:.0} ns", ms * 1e6),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::join;
    use crate::lines::tests::line;
    use crate::workloads::SWEEP;

    #[test]
    fn the_page_is_one_file_with_every_plot() {
        let ours = Line { adapter: Some("A <b>".into()), ..line("tweedie", "noise", 1.0) };
        let sweep = [("noise", 1.0), (STREAM_COPY, 0.5)]
            .map(|(op, ms)| Line { workload: SWEEP.into(), ..line("tweedie", op, ms) })
            .into();
        let results = Results { lines: vec![ours], sweep, ..Results::default() };
        let theirs = [line("torch-eager", "noise", 3.0)];
        let files = Page { results: &results, pairs: &join(&results.lines, &theirs) }.files().unwrap();
        let [("fraction.svg", fraction), ("size.svg", size), ("index.html", html)] = &files[..] else {
            panic!("{:?}", files.iter().map(|(name, _)| name).collect::<Vec<_>>())
        };
        assert!(fraction.starts_with("<svg") && size.starts_with("<svg"));
        for text in ["no overhead, 302.0 GB/s", "streaming copy", "256 MiB", "1 ms", "100 µs", "bytes moved"] {
            assert!(size.contains(text), "{text}: {size}");
        }
        assert_eq!(html.matches("<svg").count(), 3);
        assert!(html.contains("A &lt;b&gt;") && html.contains("torch-eager (cuda), f32"));
        for outside in ["src=", "href=", "@import", "url("] {
            assert!(!html.contains(outside), "{outside}");
        }
    }

    #[test]
    fn a_page_of_nothing_is_a_page() {
        let files = Page { results: &Results::default(), pairs: &[] }.files().unwrap();
        assert_eq!(files.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["fraction.svg", "index.html"]);
    }

    #[test]
    fn units_suit_their_values() {
        assert_eq!([1e-5, 0.001, 0.1, 10.0, 1e4].map(duration).join(", "), "10 ns, 1 µs, 100 µs, 10 ms, 10 s");
    }
}
