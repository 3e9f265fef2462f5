//! The report: one HTML file with everything in it, and its two main plots as files of their own.

use super::bars::{Bar, Bars, Panel};
use super::batch::mebibytes;
use super::compare::Pair;
use super::curves::{self, Curve};
use super::lines::Line;
use super::runner::STREAM_COPY;
use super::table::{Skipped, optional, short};
use anyhow::Result;
use files::atomic;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What the page shows.
pub struct Page<'a> {
    pub lines: &'a [Line],
    pub sweep: &'a [Line],
    pub pairs: &'a [Pair<'a>],
    pub skipped: &'a [Skipped],
}

impl Page<'_> {
    /// Writes `index.html`, `fraction.svg` and `size.svg`, and returns the name of the first.
    pub fn save(&self, folder: &Path) -> Result<PathBuf> {
        let fraction = self.fractions().draw()?;
        let size = if self.sweep.is_empty() { None } else { Some(self.sizes()?) };
        let peers = if self.pairs.is_empty() { None } else { Some(self.peers().draw()?) };
        atomic::write(&folder.join("fraction.svg"), fraction.as_bytes())?;
        if let Some(size) = &size {
            atomic::write(&folder.join("size.svg"), size.as_bytes())?;
        }
        let path = folder.join("index.html");
        atomic::write(&path, self.html(&fraction, size.as_deref(), peers.as_deref()).as_bytes())?;
        Ok(path)
    }

    fn html(&self, fraction: &str, size: Option<&str>, peers: Option<&str>) -> String {
        let mut html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>tweedie bench</title>\n\
             <style>\n{}</style>\n</head>\n<body>\n<main>\n<h1>tweedie bench</h1>\n<p class=\"facts\">{}</p>\n",
            include_str!("page.css"),
            self.facts(),
        );
        figure(&mut html, "How near to a copy", FRACTION_TEXT, fraction);
        if let Some(size) = size {
            figure(&mut html, "Where overhead ends", &(SIZE_TEXT.to_owned() + &self.knee()), size);
        }
        if let Some(peers) = peers {
            figure(&mut html, "Beside other programs", PEERS_TEXT, peers);
        }
        html += "<h2>Every row</h2>\n";
        html += &self.rows();
        for Skipped { op, workload, storage, reason } in self.skipped {
            let _ = writeln!(html, "<p>Skipped: {op}, {workload}, {storage}: {}.</p>", escaped(reason));
        }
        html + "</main>\n</body>\n</html>\n"
    }

    fn facts(&self) -> String {
        let Some(line) = self.lines.iter().chain(self.sweep).next() else {
            return "Nothing was measured.".into();
        };
        let text = |field: &Option<String>| escaped(field.as_deref().unwrap_or("not told"));
        let clock = match line.timer.as_deref() {
            Some("timestamp") => "GPU time by timestamp queries",
            Some("wall") => "wall time of recording, submit and wait",
            _ => "time as the program tells",
        };
        format!(
            "{} · {} · driver {} · {} · {clock}",
            text(&line.adapter),
            text(&line.backend),
            text(&line.driver),
            text(&line.date)
        )
    }

    fn fractions(&self) -> Bars {
        let (ops, workloads) = (names(self.lines, |it| &it.op), names(self.lines, |it| &it.workload));
        let panels = names(self.lines, |it| &it.dtype).into_iter().map(|dtype| {
            let bar = |op: &String, workload: &String| {
                let mut lines = self.lines.iter();
                let line = lines.find(|it| it.op == *op && it.workload == *workload && it.dtype == dtype)?;
                let mark = line.stream_gbps.zip(line.copy_gbps).map(|(stream, copy)| stream / copy);
                Some(Bar { value: line.of_copy()?, mark })
            };
            let bars = ops.iter().map(|op| workloads.iter().map(|workload| bar(op, workload)).collect()).collect();
            Panel { title: dtype.clone(), bars }
        });
        Bars {
            title: "Rate of each op, as a part of copy_buffer_to_buffer".into(),
            panels: panels.collect(),
            groups: ops,
            series: workloads,
            mark: Some("a streaming copy shader".into()),
            one: "copy_buffer_to_buffer".into(),
        }
    }

    fn peers(&self) -> Bars {
        let ours: Vec<Line> = self.pairs.iter().map(|pair| pair.ours.clone()).collect();
        let (ops, workloads) = (names(&ours, |it| &it.op), names(&ours, |it| &it.workload));
        let mut titles: Vec<(String, String)> = Vec::new();
        for pair in self.pairs {
            let title = (pair.ours.dtype.clone(), pair.name.clone());
            if !titles.contains(&title) {
                titles.push(title);
            }
        }
        let panels = titles.into_iter().map(|(dtype, name)| {
            let bar = |op: &String, workload: &String| {
                let same = |it: &&Pair<'_>| {
                    it.name == name && it.ours.dtype == dtype && it.ours.op == *op && it.ours.workload == *workload
                };
                self.pairs.iter().find(same).map(|pair| Bar { value: pair.ratio(), mark: None })
            };
            let bars = ops.iter().map(|op| workloads.iter().map(|workload| bar(op, workload)).collect()).collect();
            Panel { title: format!("{name}, {dtype}"), bars }
        });
        Bars {
            title: "Their time over ours".into(),
            panels: panels.collect(),
            groups: ops,
            series: workloads,
            mark: None,
            one: "as fast as tweedie".into(),
        }
    }

    fn sizes(&self) -> Result<String> {
        let curve = |op: String| {
            let points = self.sweep.iter().filter(|it| it.op == op).map(|it| (it.min_bytes as f64, it.median_ms));
            (if op == STREAM_COPY { "streaming copy".to_owned() } else { op.clone() }, points.collect())
        };
        let curves: Vec<Curve> = names(self.sweep, |it| &it.op).into_iter().map(curve).collect();
        curves::draw("Time against size, f32", &curves, self.best_copy())
    }

    fn best_copy(&self) -> Option<f64> {
        self.sweep.iter().filter(|it| it.op == STREAM_COPY).map(|it| it.gbps).reduce(f64::max)
    }

    /// Where the rate begins to matter, in a sentence.
    fn knee(&self) -> String {
        let smallest = self.sweep.iter().filter(|it| it.op != STREAM_COPY).min_by_key(|it| it.min_bytes);
        let Some((line, rate)) = smallest.zip(self.best_copy()) else {
            return String::new();
        };
        let knee = line.median_ms * rate * 1e6;
        format!(
            " Here the smallest {} takes {} ms; in that time a copy at its best rate moves {}.",
            escaped(&line.op),
            short(line.median_ms),
            mebibytes(knee as u64)
        )
    }

    fn rows(&self) -> String {
        let mut html = "<div class=\"scroll\"><table>\n<tr><th class=\"name\">op<th class=\"name\">workload\
            <th class=\"name\">storage<th>ms<th>p10<th>p90<th>GB/s<th>of copy<th>of stream<th>ns to record<th>runs</tr>\n"
            .to_owned();
        let mut before = "";
        for line in self.lines {
            let class = if line.workload == before || before.is_empty() { "" } else { " class=\"new\"" };
            before = &line.workload;
            let _ = write!(html, "<tr{class}>");
            for name in [&line.op, &line.workload, &line.dtype] {
                let _ = write!(html, "<td class=\"name\">{}", escaped(name));
            }
            let ms = |value: Option<f64>| value.map_or("-".into(), short);
            let cells = [
                short(line.median_ms),
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

const FRACTION_TEXT: &str = "Each bar is the rate at which an op reads and writes, against <code>copy_buffer_to_buffer</code> of as \
    many bytes in the same run: at 1 nothing but memory is waited for. The dark mark is what a plain copy shader reaches, \
    the most to expect of any shader there; a bar far below its mark shows overhead or arithmetic.";
const SIZE_TEXT: &str = "On the level part at the left a launch costs the same whatever the size; on the slope at the right time \
    grows with the bytes, and an op on the dashed line moves them as fast as the best copy shader.";
const PEERS_TEXT: &str = "Each bar is another program's time over tweedie's for the same op, workload and storage: above 1, tweedie \
    is faster. Compare only what ran on the same machine.";

fn figure(html: &mut String, title: &str, text: &str, svg: &str) {
    let _ = writeln!(html, "<h2>{title}</h2>\n<p>{text}</p>\n<figure>\n{}\n</figure>", svg.trim_end());
}

/// Each once, in the order of their first appearance.
fn names(lines: &[Line], of: impl Fn(&Line) -> &String) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in lines.iter().map(of) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::compare::join;
    use super::super::lines::tests::line;
    use super::super::workloads::SWEEP;
    use super::*;

    #[test]
    fn the_page_is_one_file_with_every_plot() {
        let ours = Line { adapter: Some("A <b>".into()), ..line("tweedie", "noise", 1.0) };
        let sizes: Vec<Line> = [("noise", 1.0), (STREAM_COPY, 0.5)]
            .map(|(op, ms)| Line { workload: SWEEP.into(), ..line("tweedie", op, ms) })
            .into();
        let (lines, theirs) = ([ours], [line("torch-eager", "noise", 3.0)]);
        let folder = tempfile::tempdir().unwrap();
        let page = Page { lines: &lines, sweep: &sizes, pairs: &join(&lines, &theirs), skipped: &[] };
        let html = std::fs::read_to_string(page.save(folder.path()).unwrap()).unwrap();
        assert_eq!(html.matches("<svg").count(), 3);
        assert!(html.contains("A &lt;b&gt;") && html.contains("torch-eager (cuda), f32"));
        for outside in ["src=", "href=", "@import", "url("] {
            assert!(!html.contains(outside), "{outside}");
        }
        for file in ["fraction.svg", "size.svg"] {
            assert!(std::fs::read_to_string(folder.path().join(file)).unwrap().starts_with("<svg"));
        }
    }

    #[test]
    fn a_page_of_nothing_is_a_page() {
        let folder = tempfile::tempdir().unwrap();
        let page = Page { lines: &[], sweep: &[], pairs: &[], skipped: &[] };
        assert!(page.save(folder.path()).unwrap().ends_with("index.html"));
        assert!(!folder.path().join("size.svg").exists());
    }
}
