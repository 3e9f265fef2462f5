//! The budgets: the most vector instructions that an op may need for an element on RDNA 3, by storage and walk.

use crate::rows::Row;
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;

/// The card on which budgets are kept.
const FAMILY: &str = "gfx1100";

/// Rounding of a budget: a count is given with two digits.
const ROUNDING: f64 = 0.01;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../isa_budgets.json");

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budgets {
    /// The version of Mesa that the budgets are for.
    pub mesa: String,
    budgets: Vec<Budget>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    op: String,
    walk: String,
    /// Instructions an element, by storage.
    valu: BTreeMap<String, f64>,
    reason: String,
}

pub fn read() -> Result<Budgets> {
    Ok(serde_json::from_str(&fs::read_to_string(PATH).context(PATH)?)?)
}

/// Writes the counts as budgets; reasons stay.
pub fn write(mesa: &str, rows: &[Row]) -> Result<()> {
    let mut all = read()?;
    mesa.clone_into(&mut all.mesa);
    for budget in &mut all.budgets {
        for (storage, valu) in &mut budget.valu {
            *valu = of(rows, &budget.op, &budget.walk, storage)?.valu;
        }
    }
    let lines: Vec<String> = all.budgets.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    let text = format!("{{\"mesa\": \"{mesa}\",\n\"budgets\": [\n{}\n]}}\n", lines.join(",\n"));
    Ok(fs::write(PATH, text)?)
}

fn of<'a>(rows: &'a [Row], op: &str, walk: &str, storage: &str) -> Result<&'a Row> {
    let own =
        |row: &&Row| row.native && row.family == FAMILY && row.op == op && row.walk == walk && row.storage == storage;
    rows.iter().find(own).with_context(|| format!("no count of {op} in {storage}, {walk}"))
}

impl Budgets {
    /// Returns a line for each op that needs more than its budget. Every count must have a budget.
    pub fn exceeded(&self, rows: &[Row]) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for row in rows.iter().filter(|row| row.native && row.family == FAMILY) {
            let budget = self.budgets.iter().find(|budget| budget.op == row.op && budget.walk == row.walk);
            let budget =
                budget.with_context(|| format!("no budget for {} in {}, {}", row.op, row.storage, row.walk))?;
            let most = budget
                .valu
                .get(&row.storage)
                .with_context(|| format!("no budget for {} in {}", row.op, row.storage))?;
            if row.valu > most + ROUNDING {
                let Row { op, storage, walk, valu, .. } = row;
                lines.push(format!(
                    "{op} in {storage}, {walk}: {valu} instructions an element, budget {most}: {}",
                    budget.reason
                ));
            }
        }
        Ok(lines)
    }
}
