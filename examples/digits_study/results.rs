//! The results of a study, as in its file.

use crate::distances::Spread;
use crate::held_out::{DRAWS, Floor};
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// All results.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// The adapter, its backend and its driver.
    pub adapter: String,
    pub date: String,
    pub samples: usize,
    pub seed: u64,
    /// The placement of the steps.
    pub spacing: String,
    /// The part of all held-out digits that the classifier recognises.
    pub classifier_accuracy: f64,
    /// The distances of the same number of real digits.
    pub floor: StoredFloor,
    pub rows: Vec<Row>,
}

/// The distances of real digits from real digits.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct StoredFloor {
    /// The number of sets of real digits that were drawn.
    pub draws: usize,
    pub energy: StoredSpread,
    pub frechet: StoredSpread,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct StoredSpread {
    pub mean: f64,
    pub deviation: f64,
}

/// A setting and its results.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    pub predicts: String,
    pub solver: String,
    /// The calls that were allowed, and those that were made.
    pub calls: usize,
    pub calls_made: usize,
    pub guidance: f64,
    pub clipped: bool,
    pub energy: f64,
    pub frechet: f64,
    /// The part of the digits that the classifier assigns to the requested class.
    pub accuracy: f64,
    pub seconds: f64,
}

impl From<Spread> for StoredSpread {
    fn from(Spread { mean, deviation }: Spread) -> Self {
        Self { mean, deviation }
    }
}

impl From<Floor> for StoredFloor {
    fn from(floor: Floor) -> Self {
        Self { draws: DRAWS, energy: floor.energy.into(), frechet: floor.frechet.into() }
    }
}

impl Results {
    /// Reads a file of results.
    pub fn read(path: &Path) -> Result<Self> {
        let read = || anyhow::Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?);
        read().with_context(|| path.display().to_string())
    }

    /// Writes the file, with each row of results on a line.
    pub fn write(&self, path: &Path) -> Result<()> {
        let rows: Vec<String> = self.rows.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        let head = serde_json::to_string_pretty(&Self { rows: Vec::new(), ..self.clone() })?;
        let separator = ",\n    ";
        let text = head.replace("\"rows\": []", &format!("\"rows\": [\n    {}\n  ]", rows.join(separator)));
        files::atomic::write(path, format!("{text}\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let spread = StoredSpread { mean: 0.5, deviation: 0.25 };
        let row = Row {
            predicts: "v".into(),
            solver: "ddim".into(),
            calls: 8,
            calls_made: 7,
            guidance: 1.0,
            clipped: true,
            energy: 0.125,
            frechet: 3.0,
            accuracy: 0.75,
            seconds: 2.5,
        };
        let results = Results {
            adapter: "a \"b\"".into(),
            date: "2026-11-30".into(),
            samples: 128,
            seed: 0,
            spacing: "trailing".into(),
            classifier_accuracy: 0.99,
            floor: StoredFloor { draws: 2, energy: spread, frechet: spread },
            rows: vec![row.clone(), Row { clipped: false, ..row }],
        };
        let path = std::env::temp_dir().join(format!("digits_study_{}.json", std::process::id()));
        results.write(&path).unwrap();
        let found = Results::read(&path);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(serde_json::to_value(found.unwrap()).unwrap(), serde_json::to_value(results).unwrap());
        assert!(Results::read(&path).unwrap_err().to_string().contains("digits_study_"));
    }

    const PAGE: &str = include_str!("../../docs/digits.md");
    const GUIDED: &str = include_str!("../digits/results/2026-11-30_study_guided.json");
    const RESULTS: &str = include_str!("../digits/results/2026-11-30_study.json");

    /// The line of the page's table for a setting, with clipping and without.
    fn line(results: &Results, row: &Row) -> String {
        let other = |other: &&Row| {
            (&other.predicts, &other.solver, other.calls) == (&row.predicts, &row.solver, row.calls) && !other.clipped
        };
        let other = results.rows.iter().find(other).expect("the setting without a clip");
        let mut line = format!("| {} | {} | {} |", row.predicts, row.solver, row.calls);
        for row in [row, other] {
            let floors = row.energy / results.floor.energy.mean;
            let _ = write!(line, " {floors:.2} | {:.1} | {:.1} % |", row.frechet, 100.0 * row.accuracy);
        }
        line
    }

    #[test]
    fn the_page_has_the_numbers_of_the_guided_results() {
        let results: Results = serde_json::from_str(GUIDED).expect("results");
        for row in &results.rows {
            let Row { predicts, solver, calls, guidance, frechet, .. } = row;
            let floors = row.energy / results.floor.energy.mean;
            let class = 100.0 * row.accuracy;
            let line =
                format!("| {predicts} | {solver} | {calls} | {guidance} | {floors:.2} | {frechet:.1} | {class:.1} % |");
            assert!(PAGE.contains(&line) && row.clipped, "docs/digits.md lacks {line}");
        }
        assert_eq!(results.rows.len(), 6);
    }

    #[test]
    fn the_page_has_the_numbers_of_the_results() {
        let results: Results = serde_json::from_str(RESULTS).expect("results");
        let clipped = results.rows.iter().filter(|row| row.clipped);
        let missing: Vec<String> =
            clipped.map(|row| line(&results, row)).filter(|line| !PAGE.contains(line.as_str())).collect();
        assert!(missing.is_empty(), "docs/digits.md lacks\n{}", missing.join("\n"));
        assert_eq!(results.rows.len(), 72);
        let altered = line(&results, &Row { energy: 9.0, ..results.rows[0].clone() });
        assert!(!PAGE.contains(&altered), "another number would be seen");
    }
}
