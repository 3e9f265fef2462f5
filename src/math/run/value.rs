//! The values of settings, options and inputs of nodes.

use super::error::RunError;
use crate::few::few;
use crate::math::catalog::entry::{Entry, Values};
use crate::math::catalog::error::CatalogError;

/// A value of a setting, of an option or of a node's input.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RunValue {
    /// A number.
    Number(f64),
    /// True or false.
    Switch(bool),
    /// A word.
    Text(String),
    /// A list of sigmas.
    Numbers(Vec<f64>),
    /// Another node, whose result is the value.
    Node(Box<Node>),
}

/// A node of ComfyUI by name, with its inputs: a scheduler or a sampler.
///
/// A scheduler that is given by name alone is a node without inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its inputs by name.
    pub inputs: Vec<(String, RunValue)>,
}

impl Node {
    /// A node without inputs.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), inputs: Vec::new() }
    }

    /// The input of this name.
    #[must_use]
    pub fn input(&self, name: &str) -> Option<&RunValue> {
        self.inputs.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

impl From<f64> for RunValue {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for RunValue {
    fn from(switch: bool) -> Self {
        Self::Switch(switch)
    }
}

impl From<&str> for RunValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl std::fmt::Display for RunValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => f.write_str(&few(number)),
            Self::Switch(switch) => write!(f, "{switch}"),
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Numbers(numbers) => write!(f, "a list of {} numbers", numbers.len()),
            Self::Node(node) => write!(f, "the node {}", node.name),
        }
    }
}

/// Named values: the inputs of a node, the settings of a model, or the options of a sampler.
pub type RunValues = [(String, RunValue)];

/// An input of an entry that is a word: its name and the words that it accepts.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Choice {
    /// Its name.
    pub name: &'static str,
    /// The words that it accepts.
    pub words: &'static [&'static str],
    /// The word that is used where none is given; `None` if a word must be given.
    pub default: Option<&'static str>,
}

impl Choice {
    /// The given word, or the default.
    pub(super) fn of(&self, given: &RunValues) -> Result<&'static str, RunError> {
        let error = |found: String| RunError::Value {
            name: self.name.to_owned(),
            expected: format!("one of {}", self.words.join(", ")),
            found,
        };
        match given.iter().find(|(name, _)| name == self.name) {
            None => self.default.ok_or_else(|| error("nothing".to_owned())),
            Some((_, RunValue::Text(text))) => {
                let found = self.words.iter().find(|word| *word == text);
                found.copied().ok_or_else(|| error(format!("\"{text}\"")))
            }
            Some((_, other)) => Err(error(other.to_string())),
        }
    }
}

/// The numbers of an entry's parameters: the given values without those of the choices, completed with the defaults. For a switch,
/// true is 1 and false is 0.
pub(super) fn numbers<T>(entry: &Entry<T>, choices: &[Choice], given: &RunValues) -> Result<Values, RunError> {
    let mut pairs = Vec::new();
    for (i, (name, value)) in given.iter().enumerate() {
        if given.iter().take(i).any(|(before, _)| before == name) {
            let (expected, found) = ("one value".to_owned(), "two".to_owned());
            return Err(RunError::Value { name: name.clone(), expected, found });
        }
        if choices.iter().any(|choice| choice.name == name) {
            continue;
        }
        let Some(parameter) = entry.parameter(name) else {
            return Err(CatalogError::Unused { option: name.clone(), by: entry.title() }.into());
        };
        let switch = parameter.whole && parameter.min == 0.0 && parameter.max == 1.0;
        let number = match value {
            RunValue::Number(number) => *number,
            RunValue::Switch(yes) if switch => f64::from(u8::from(*yes)),
            other => {
                let expected = if switch { "true or false" } else { "a number" };
                return Err(RunError::Value {
                    name: name.clone(),
                    expected: expected.to_owned(),
                    found: other.to_string(),
                });
            }
        };
        pairs.push((name.as_str(), number));
    }
    Ok(entry.values(&pairs)?)
}
