//! Results as text.

use crate::compare::Pair;
use crate::fixed::FixedCosts;
use crate::lines::Line;
use crate::results::Skipped;
use crate::runner::FirstUse;
use crate::statistics::Summary;
use crate::units::{bytes, milliseconds, optional};
use std::fmt::Write as _;

/// Writes a row for each line, then the rows that were skipped.
pub fn rows(lines: &[Line], skipped: &[Skipped]) -> String {
    let mut text = format!(
        "{:<20} {:<12} {:<7} {:>9} {:>17} {:>8} {:>6} {:>6} {:>6}\n",
        "op", "workload", "storage", "ms", "p10..p90", "GB/s", "/copy", "/strm", "ns/rec"
    );
    for line in lines {
        let spread = match (line.p10_ms, line.p90_ms) {
            (Some(p10), Some(p90)) => format!("{}..{}", milliseconds(p10), milliseconds(p90)),
            _ => String::new(),
        };
        let _ = writeln!(
            text,
            "{:<20} {:<12} {:<7} {:>9} {:>17} {:>8.2} {:>6} {:>6} {:>6}",
            line.op,
            line.workload,
            line.dtype,
            milliseconds(line.median_ms),
            spread,
            line.gbps,
            optional(line.of_copy(), 2),
            optional(line.of_stream(), 2),
            optional(line.record_ns, 0),
        );
    }
    for Skipped { op, workload, storage, reason } in skipped {
        let _ = writeln!(text, "{op:<20} {workload:<12} {storage:<7} skipped: {reason}");
    }
    text
}

/// Explains the columns, for the clock that was used.
pub fn legend(lines: &[Line]) -> String {
    let timer = lines.iter().find_map(|line| line.timer.as_deref());
    let clock = match timer {
        Some("timestamp") => "by timestamp queries: time on the device",
        Some("wall") => "wall time: recording, submit and wait together",
        _ => "as the program measured it",
    };
    let agree = timestamps(lines).map_or(String::new(), |part| {
        format!(
            "\nThis driver's timestamp queries give {part:.2} of the wall time in the median (timestamp_ms in JSON)."
        )
    });
    format!(
        "ms: median, {clock}. GB/s: each input read once, each output written once.\n\
         /copy, /strm: the rate relative to copy_buffer_to_buffer, and to a streaming copy shader, of the same number of bytes.\n\
         ns/rec: nanoseconds that recording a dispatch takes the host.{agree}"
    )
}

/// The ratio of the time by timestamps to the wall time, where both are known: the median over the lines.
fn timestamps(lines: &[Line]) -> Option<f64> {
    let wall = lines.iter().filter(|line| line.timer.as_deref() == Some("wall"));
    let parts = wall.filter_map(|line| Some(line.timestamp_ms? / line.median_ms)).collect();
    Summary::of(parts).map(|it| it.median)
}

/// Writes the times of making plans, those that compiled and the others.
pub fn first_uses(uses: &[FirstUse]) -> String {
    let mut text = format!("{:<20} {:<7} {:>18} {:>14}\n", "plans of", "storage", "first, compiled", "later");
    for FirstUse { op, storage, compiling, later } in uses {
        let first = match compiling.iter().copied().reduce(f64::max) {
            Some(most) if compiling.len() > 1 => format!("{} x up to {:.1} ms", compiling.len(), most),
            Some(most) => format!("{most:.1} ms"),
            None => "known".into(),
        };
        let later = Summary::of(later.clone()).map_or("-".into(), |it| format!("{:.3} ms", it.median));
        let _ = writeln!(text, "{op:<20} {:<7} {first:>18} {later:>14}", storage.name());
    }
    text
}

/// Writes the host's times, and their excess over wgpu's own calls.
pub fn host(lines: &[Line]) -> String {
    const MICROSECONDS: f64 = 1e3;
    let mut text =
        format!("{:<24} {:>10} {:>19} {:>10} {:>9}\n", "time of the host", "us", "p10..p90", "by hand", "excess");
    for line in lines {
        let us = |ms: f64| format!("{:.3}", ms * MICROSECONDS);
        let or_dash = |ms: Option<f64>| ms.map_or("-".into(), us);
        let excess = line.by_hand_ms.map(|by_hand| line.median_ms - by_hand);
        let spread = format!("{}..{}", or_dash(line.p10_ms), or_dash(line.p90_ms));
        let (time, by_hand, excess) = (us(line.median_ms), or_dash(line.by_hand_ms), or_dash(excess));
        let _ = writeln!(text, "{:<24} {time:>10} {spread:>19} {by_hand:>10} {excess:>9}", line.op);
    }
    text
}

/// Writes the costs that do not depend on the size of the work.
pub fn fixed_costs(costs: &FixedCosts) -> String {
    let FixedCosts { submit, first, dispatch, pass } = *costs;
    let rows = [
        ("an empty submit, and the wait for it", submit),
        ("in addition, a pass with a dispatch", first),
        ("each further dispatch in that pass", dispatch),
        ("each further pass with a dispatch", pass),
    ];
    let mut text = format!("{:<40} {:>9}\n", "wall time at any size of", "ms");
    for (what, time) in rows {
        let _ = writeln!(text, "{what:<40} {time:>9.4}");
    }
    text
}

/// Writes our times, theirs, and the ratio of theirs to ours.
pub fn pairs(pairs: &[Pair<'_>]) -> String {
    let mut text = format!(
        "{:<20} {:<12} {:<7} {:>10} {:>10} {:>8}  {}\n",
        "op", "workload", "storage", "our ms", "their ms", "theirs/", "they"
    );
    for pair in pairs {
        let _ = writeln!(
            text,
            "{:<20} {:<12} {:<7} {:>10} {:>10} {:>7.2}x  {}",
            pair.ours.op,
            pair.ours.workload,
            pair.ours.dtype,
            milliseconds(pair.ours.median_ms),
            milliseconds(pair.theirs.median_ms),
            pair.ratio(),
            pair.name,
        );
    }
    text
}

/// Writes the points of the size plot.
pub fn sweep(lines: &[Line]) -> String {
    let mut text = format!("{:<20} {:>12} {:>9} {:>8}\n", "op, by size", "bytes moved", "ms", "GB/s");
    for line in lines {
        let _ = writeln!(
            text,
            "{:<20} {:>12} {:>9} {:>8.2}",
            line.op,
            bytes(line.min_bytes),
            milliseconds(line.median_ms),
            line.gbps
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::tests::line;

    #[test]
    fn every_row_has_every_column() {
        let ours = Line {
            p10_ms: Some(1.9),
            p90_ms: Some(12.0),
            stream_gbps: Some(90.0),
            record_ns: Some(512.4),
            ..line("tweedie", "noise", 2.0)
        };
        let skipped = Skipped { op: "noise", workload: "bulk", storage: "f16", reason: "too large".into() };
        let text = rows(&[ours, line("tweedie", "other", 1.0)], &[skipped]);
        let words: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words[1], ["noise", "image256", "f32", "2.000", "1.900..12.00", "75.50", "0.02", "0.84", "512"]);
        assert_eq!(words[2][5..], ["0.04", "-", "-"]);
        assert!(text.ends_with("skipped: too large\n"));
    }

    #[test]
    fn timestamps_are_held_against_wall_time() {
        let on =
            |timer: &str| Line { timer: Some(timer.into()), timestamp_ms: Some(1.5), ..line("tweedie", "noise", 2.0) };
        assert!(legend(&[on("wall")]).contains("give 0.75 of the wall time"));
        assert!(!legend(&[on("timestamp")]).contains("wall"));
    }
}
