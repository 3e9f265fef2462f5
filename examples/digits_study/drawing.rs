//! The plots of a study.

use crate::results::{Results, Row};
use anyhow::{Context as _, Result, ensure};
use plots::curves::{self, Panel, Series};
use plots::{Scale, distinct};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;

/// The parameterizations in the order of the legends.
const PREDICTIONS: [&str; 3] = ["v", "x0", "epsilon"];

/// The ratio to the floor beyond which a curve is only named in the title.
const BEYOND: f64 = 10.0;

/// The results of `evaluate.py`.
#[derive(Debug, Deserialize)]
pub struct Levels {
    pictures: usize,
    rows: Vec<Level>,
}

/// The results at one noise level, by prediction.
#[derive(Debug, Deserialize)]
struct Level {
    t: f64,
    variance: HashMap<String, f64>,
    loss: HashMap<String, f64>,
    x0: HashMap<String, f64>,
    x0_clipped: HashMap<String, f64>,
}

impl Levels {
    /// Reads a file of results.
    pub fn read(path: &Path) -> Result<Self> {
        let read = || anyhow::Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?);
        read().with_context(|| path.display().to_string())
    }

    /// Draws variances and losses of the targets, and errors of the clean sample, over the timestep.
    pub fn draw(&self) -> Result<String> {
        let curve = |name: &str, prediction: &str, values: fn(&Level) -> &HashMap<String, f64>| {
            let value = |level: &Level| values(level).get(prediction).copied().unwrap_or(f64::NAN);
            (name.to_owned(), self.rows.iter().map(|level| (level.t, value(level))).collect())
        };
        let each = |values| PREDICTIONS.map(|prediction| curve(prediction, prediction, values)).to_vec();
        let clipped = curve("epsilon, clipped", "epsilon", |level| &level.x0_clipped);
        let errors = each(|level| &level.x0).into_iter().chain([clipped]).collect();
        let panels = [
            Panel::new("variance of the target", "variance", Scale::Linear, each(|level| &level.variance)).dotted(),
            Panel::new("loss: squared error of the prediction", "loss", Scale::Decades, each(|level| &level.loss))
                .dotted(),
            Panel::new("squared error of the clean sample that follows", "error", Scale::Decades, errors).dotted(),
        ];
        let title = format!("Three networks on {} digits that they were not trained on", self.pictures);
        curves::draw(&title, "timestep", Scale::Linear, &panels)
    }
}

/// Draws the energy distance over the number of calls, a panel for each solver: unguided, with and without clipping.
pub fn distances(studies: &[Results]) -> Result<String> {
    let first = studies.first().context("expected results")?;
    let rows: Vec<(&Row, f64)> = studies
        .iter()
        .flat_map(|study| study.rows.iter().map(|row| (row, row.energy / study.floor.energy.mean)))
        .filter(|(row, _)| row.guidance == 1.0)
        .collect();
    ensure!(!rows.is_empty(), "expected results without guidance");
    let solvers = distinct(rows.iter().map(|(row, _)| row.solver.as_str()));
    let ends = rows
        .iter()
        .map(|(row, _)| row.calls as f64)
        .fold((f64::INFINITY, 0_f64), |(low, high), calls| (low.min(calls), high.max(calls)));
    let floor = || Some(("real digits".to_owned(), vec![(ends.0, 1.0), (ends.1, 1.0)]));
    let panel = |solver: &&str| {
        let series = |clipped: bool| PREDICTIONS.map(|prediction| series(&rows, solver, prediction, clipped));
        let series = series(true).into_iter().chain(series(false)).filter(|(_, points)| !points.is_empty());
        // Curves that are far off would squeeze all others: the title says where they are.
        let (shown, beyond): (Vec<Series>, Vec<Series>) =
            series.partition(|(_, points)| points.iter().any(|(_, ratio)| *ratio < BEYOND));
        let beyond = beyond.iter().map(|(name, points)| {
            let least = points.iter().map(|(_, ratio)| *ratio).fold(f64::INFINITY, f64::min);
            format!("; {name}: above {:.0}", least.floor())
        });
        let title = format!("{solver}{}", beyond.collect::<String>());
        Panel::new(title, "energy distance / floor", Scale::Linear, shown).dotted().guided(floor())
    };
    let panels: Vec<Panel> = solvers.iter().map(panel).collect();
    let title = format!("Energy distance of {} digits from real ones, unguided", first.samples);
    curves::draw(&title, "calls of the network", Scale::Powers(2.0, |calls| format!("{calls:.0}")), &panels)
}

fn series(rows: &[(&Row, f64)], solver: &str, prediction: &str, clipped: bool) -> Series {
    let wanted = |row: &Row| row.solver == solver && row.predicts == prediction && row.clipped == clipped;
    let mut points: Vec<(f64, f64)> =
        rows.iter().filter(|(row, _)| wanted(row)).map(|(row, ratio)| (row.calls as f64, *ratio)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    (if clipped { prediction.to_owned() } else { format!("{prediction}, not clipped") }, points)
}
