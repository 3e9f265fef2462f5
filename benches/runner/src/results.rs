//! The lines of a run.

use crate::lines::{self, Line};
use crate::runner::{Measured, Row};
use crate::workloads::{HOST, SWEEP};
use anyhow::Result;
use std::path::Path;

/// A row that could not be measured.
#[derive(Debug)]
pub struct Skipped {
    /// The op that was asked for.
    pub op: &'static str,
    /// Its workload.
    pub workload: &'static str,
    /// Its storage.
    pub storage: &'static str,
    /// The cause, for people.
    pub reason: String,
}

/// Everything that was measured, or read.
#[derive(Debug, Default)]
pub struct Results {
    /// Rows of the table.
    pub lines: Vec<Line>,
    /// Points of the size plot.
    pub sweep: Vec<Line>,
    /// Times of the host.
    pub host: Vec<Line>,
    /// Rows that are missing from the table.
    pub skipped: Vec<Skipped>,
}

impl Results {
    /// Reads the lines of an earlier run.
    ///
    /// # Errors
    /// As [`lines::read`].
    pub fn read(path: &Path) -> Result<Self> {
        let (sweep, lines): (_, Vec<_>) = lines::read(path)?.into_iter().partition(|line| line.workload == SWEEP);
        let (host, lines) = lines.into_iter().partition(|line| line.workload == HOST);
        Ok(Self { lines, sweep, host, skipped: Vec::new() })
    }

    /// Adds the result of a row, and returns its line if there is one. The size plot ends where memory does, and its skipped rows
    /// are not reported.
    pub fn add(&mut self, row: &Row, measured: Measured) -> Option<&Line> {
        let sweep = row.workload.name == SWEEP;
        match measured {
            Ok(line) => {
                let lines = if sweep { &mut self.sweep } else { &mut self.lines };
                lines.push(line);
                lines.last()
            }
            Err(_) if sweep => None,
            Err(reason) => {
                let (workload, storage) = (row.workload.name, row.storage.name());
                self.skipped.push(Skipped { op: row.name(), workload, storage, reason });
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::tests::line;
    use crate::ops::Op;
    use crate::workloads::Workload;
    use tweedie::Storage;

    #[test]
    fn rows_and_sizes_go_their_ways() {
        let op = Op::named("noise").unwrap();
        let row = |workload| Row { op: Some(op), workload, storage: Storage::F16, with_copies: true };
        let (named, size) = (row(Workload::named("bulk").unwrap()), row(Workload::sweep(1 << 20)[0]));
        let mut results = Results::default();
        for row in [&named, &size] {
            assert!(results.add(row, Ok(line("tweedie", "noise", 1.0))).is_some());
            assert!(results.add(row, Err("too large".into())).is_none());
        }
        assert_eq!((results.lines.len(), results.sweep.len()), (1, 1));
        let [Skipped { op: "noise", workload: "bulk", storage: "f16", .. }] = results.skipped[..] else {
            panic!("{:?}", results.skipped)
        };
    }
}
