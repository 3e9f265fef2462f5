//! An object of a run file, whose keys are taken one by one.

use super::error::RunFileError;
use crate::math::run::value::{Node, RunValue};
use serde_json::{Map, Value};

/// The largest number of characters of a value that a message shows.
const SHOWN: usize = 60;

/// An object whose keys have not all been read.
pub(super) struct Object {
    rest: Map<String, Value>,
}

impl Object {
    pub(super) const fn new(rest: Map<String, Value>) -> Self {
        Self { rest }
    }

    /// Takes the value of a key; `null` counts as none.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.rest.remove(key).filter(|value| !value.is_null())
    }

    pub(super) fn number(&mut self, key: &str) -> Result<Option<f64>, RunFileError> {
        self.take_as(key, "a number", Value::as_f64)
    }

    pub(super) fn count(&mut self, key: &str) -> Result<Option<usize>, RunFileError> {
        let count = |value: &Value| value.as_u64().and_then(|count| usize::try_from(count).ok());
        self.take_as(key, "a whole number, at least 0", count)
    }

    pub(super) fn integer(&mut self, key: &str) -> Result<Option<u64>, RunFileError> {
        self.take_as(key, "a whole number of 64 bits, at least 0", Value::as_u64)
    }

    pub(super) fn switch(&mut self, key: &str) -> Result<Option<bool>, RunFileError> {
        self.take_as(key, "true or false", Value::as_bool)
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, RunFileError> {
        self.take_as(key, "text", |value| value.as_str().map(str::to_owned))
    }

    pub(super) fn object(&mut self, key: &str) -> Result<Option<Map<String, Value>>, RunFileError> {
        self.take_as(key, "an object", |value| value.as_object().cloned())
    }

    fn take_as<T>(
        &mut self,
        key: &str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, RunFileError> {
        match self.take(key) {
            None => Ok(None),
            Some(value) => read(&value).map(Some).ok_or_else(|| wrong(key, expected, &value)),
        }
    }

    /// Returns an error if there is a key that was not read.
    pub(super) fn finish(self, place: &'static str, known: &[&str]) -> Result<(), RunFileError> {
        match self.rest.into_iter().next() {
            None => Ok(()),
            Some((key, _)) => Err(RunFileError::Key { place, key: short(&key), known: known.join(", ") }),
        }
    }
}

pub(super) fn wrong(key: &str, expected: &str, found: &Value) -> RunFileError {
    let (expected, found) = (expected.to_owned(), short(&found.to_string()));
    RunFileError::Value { key: short(key), expected, found }
}

pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}..", text.get(..end).unwrap_or_default()),
    }
}

/// Named values, without those that are `null`.
pub(super) fn values(map: Map<String, Value>) -> Result<Vec<(String, RunValue)>, RunFileError> {
    let given = map.into_iter().filter(|(_, value)| !value.is_null());
    given.map(|(name, value)| Ok((name.clone(), run_value(&name, value)?))).collect()
}

pub(super) fn run_value(name: &str, value: Value) -> Result<RunValue, RunFileError> {
    Ok(match value {
        Value::Number(number) => RunValue::Number(number.as_f64().unwrap_or(f64::NAN)),
        Value::Bool(switch) => RunValue::Switch(switch),
        Value::String(text) => RunValue::Text(text),
        Value::Array(_) => RunValue::Numbers(numbers(name, &value)?),
        Value::Object(_) => RunValue::Node(Box::new(node(name, value)?)),
        Value::Null => return Err(wrong(name, "a value", &value)),
    })
}

pub(super) fn numbers(key: &str, value: &Value) -> Result<Vec<f64>, RunFileError> {
    let list = value.as_array().and_then(|list| list.iter().map(Value::as_f64).collect());
    list.ok_or_else(|| wrong(key, "a list of numbers", value))
}

/// A node by name, or `{node, inputs}`.
pub(super) fn node(key: &str, value: Value) -> Result<Node, RunFileError> {
    const KNOWN: &[&str] = &["node", "inputs"];
    let map = match value {
        Value::String(name) => return Ok(Node { name, inputs: Vec::new() }),
        Value::Object(map) => map,
        other => return Err(wrong(key, "a name or {node, inputs}", &other)),
    };
    let shown = Value::Object(map.clone());
    let mut object = Object::new(map);
    let name = object.text("node")?.ok_or_else(|| wrong(key, "a name or {node, inputs}", &shown))?;
    let inputs = values(object.object("inputs")?.unwrap_or_default())?;
    object.finish("a node", KNOWN)?;
    Ok(Node { name, inputs })
}
