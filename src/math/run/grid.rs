//! The sigmas of a scheduler or of a scheduler node, from its inputs.

use super::compat::RunCompat;
use super::error::RunError;
use super::model::RunModel;
use super::precision::Precision;
use super::request::{GridRule, MOST_STEPS, Request};
use super::value::{Node, RunValue, numbers};
use crate::few::few;
use crate::math::catalog::entry::Entry;

/// The largest depth of nested nodes.
const MOST_NODES: usize = 64;

/// The input of a node that changes sigmas.
const SIGMAS: &str = "sigmas";

/// A scheduler or a node of the catalogue with its inputs, on a model.
#[derive(Clone, Copy)]
pub(super) struct Grid<'a> {
    pub(super) entry: &'static Entry<GridRule>,
    node: &'a Node,
    model: Option<&'a RunModel>,
    precision: Precision,
    compat: RunCompat,
    /// The number of nodes in which this one is nested.
    depth: usize,
}

impl<'a> Grid<'a> {
    pub(super) fn new(
        node: &'a Node,
        model: Option<&'a RunModel>,
        precision: Precision,
        compat: RunCompat,
    ) -> Result<Self, RunError> {
        Ok(Self { entry: GridRule::CATALOGUE.find(&node.name)?, node, model, precision, compat, depth: 0 })
    }

    /// The sigmas of a grid of `steps` steps, all of them finite and at least 0.
    pub(super) fn sigmas(&self, steps: usize) -> Result<Vec<f64>, RunError> {
        let Entry { name: grid, make: rule, .. } = *self.entry;
        if !(1..=MOST_STEPS).contains(&steps) {
            let expected = format!("1 to {MOST_STEPS}");
            return Err(RunError::Steps { grid, expected, found: few(&(steps as f64)) });
        }
        let own = self.node.inputs.iter().filter(|(name, _)| !rule.changes_sigmas || name != SIGMAS);
        let inputs: Vec<_> = own.cloned().collect();
        let request = Request {
            grid,
            model: self.model,
            steps,
            values: numbers(self.entry, rule.choices, &inputs)?,
            choices: rule.choices,
            inputs: &inputs,
            precision: self.precision,
            sigmas: if rule.changes_sigmas { self.given_sigmas()? } else { Vec::new() },
        };
        let sigmas = rule.place(self.compat)(&request)?;
        match sigmas.iter().enumerate().find(|(_, sigma)| !(0.0..f64::INFINITY).contains(*sigma)) {
            Some((index, &found)) => Err(RunError::Grid { grid, index, found }),
            None => Ok(sigmas),
        }
    }

    /// The sigmas of a node whose own inputs determine them, the number of steps among them.
    pub(super) fn sigmas_of_inputs(&self) -> Result<Vec<f64>, RunError> {
        match (self.entry.parameter("steps"), self.node.input("steps")) {
            (None, _) => self.sigmas(1),
            (Some(_), Some(RunValue::Number(steps))) => self.sigmas(*steps as usize),
            (Some(steps), _) => self.sigmas(steps.default.unwrap_or(1.0) as usize),
        }
    }

    /// The sigmas of its input: a list, a list as text, or the sigmas of another node.
    fn given_sigmas(&self) -> Result<Vec<f64>, RunError> {
        let found = match self.node.input(SIGMAS) {
            Some(RunValue::Numbers(list)) => return checked(list, self.precision),
            Some(RunValue::Text(text)) => return checked(&parsed(text)?, self.precision),
            Some(RunValue::Node(node)) if self.depth < MOST_NODES => {
                let inner = Self::new(node, self.model, self.precision, self.compat)?;
                return Self { depth: self.depth + 1, ..inner }.sigmas_of_inputs();
            }
            other => other.map_or("nothing".to_owned(), ToString::to_string),
        };
        let expected = "a list of sigmas or a node".to_owned();
        Err(RunError::Value { name: SIGMAS.to_owned(), expected, found })
    }
}

/// Checks a list of sigmas that a caller wrote, and rounds it.
pub(super) fn checked(sigmas: &[f64], precision: Precision) -> Result<Vec<f64>, RunError> {
    let most = MOST_STEPS + 1;
    if sigmas.len() > most {
        let (expected, found) = (format!("at most {most} sigmas"), format!("{}", sigmas.len()));
        return Err(RunError::Value { name: SIGMAS.to_owned(), expected, found });
    }
    match sigmas.iter().find(|sigma| !(0.0..f64::INFINITY).contains(*sigma)) {
        Some(&found) => Err(RunError::Number { name: "a sigma", expected: "finite and at least 0", found }),
        None => Ok(sigmas.iter().map(|sigma| precision.round(*sigma)).collect()),
    }
}

/// Parses numbers that are separated by commas, semicolons or spaces.
fn parsed(text: &str) -> Result<Vec<f64>, RunError> {
    let words = text.split(|c: char| c == ',' || c == ';' || c.is_whitespace()).filter(|word| !word.is_empty());
    let number = |word: &str| {
        let expected = "numbers with commas between them".to_owned();
        let found = format!("\"{}\"", word.chars().take(40).collect::<String>());
        word.parse::<f64>().map_err(|_| RunError::Value { name: SIGMAS.to_owned(), expected, found })
    };
    words.map(number).collect()
}
