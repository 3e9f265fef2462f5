//! The nodes of a workflow, and the values of their inputs.

use super::object::short;
use super::workflow_error::WorkflowError;
use serde_json::{Map, Value};

/// The largest number of links that are followed, which ends cycles.
pub(super) const MOST_LINKS: usize = 64;

/// Nodes by id.
pub(super) struct Workflow {
    pub(super) nodes: Map<String, Value>,
}

/// A node.
#[derive(Clone, Copy)]
pub(super) struct Of<'a> {
    pub(super) id: &'a str,
    pub(super) class: &'a str,
    pub(super) inputs: &'a Map<String, Value>,
}

impl Workflow {
    /// The nodes of an object, or of the object under its key `prompt`.
    pub(super) fn new(value: Value) -> Result<Self, WorkflowError> {
        let Value::Object(mut map) = value else { return Err(WorkflowError::NoWorkflow) };
        let nodes = match map.remove("prompt") {
            Some(Value::Object(nodes)) => nodes,
            _ => map,
        };
        if nodes.values().all(|node| node.get("class_type").is_none()) {
            return Err(WorkflowError::NoWorkflow);
        }
        Ok(Self { nodes })
    }

    /// The node with this id.
    pub(super) fn node(&self, id: &str) -> Result<Of<'_>, WorkflowError> {
        let found = self.nodes.get_key_value(id);
        let parts = found
            .and_then(|(id, node)| Some((id, node.get("class_type")?.as_str()?, node.get("inputs")?.as_object()?)));
        let (id, class, inputs) = parts.ok_or_else(|| WorkflowError::Missing { id: short(id) })?;
        Ok(Of { id, class, inputs })
    }

    /// The value of an input, followed through nodes that only hold one.
    pub(super) fn value<'a>(&'a self, node: Of<'a>, input: &str) -> Result<Option<&'a Value>, WorkflowError> {
        let mut found = node.inputs.get(input);
        for _ in 0..MOST_LINKS {
            let Some(id) = found.and_then(link) else { return Ok(found) };
            let next = self.node(id)?;
            match next.inputs.get("value") {
                Some(value) => found = Some(value),
                None => return Ok(found),
            }
        }
        Err(WorkflowError::Circle { id: node.id.to_owned() })
    }

    /// The node that an input links to.
    pub(super) fn linked<'a>(&'a self, node: Of<'a>, input: &'static str) -> Result<Of<'a>, WorkflowError> {
        let id =
            node.inputs.get(input).and_then(link).ok_or_else(|| node.wrong(input, "a link", node.inputs.get(input)))?;
        self.node(id)
    }

    pub(super) fn number(&self, node: Of<'_>, input: &'static str) -> Result<f64, WorkflowError> {
        let value = self.value(node, input)?;
        value.and_then(Value::as_f64).ok_or_else(|| node.wrong(input, "a number", value))
    }

    pub(super) fn count(&self, node: Of<'_>, input: &'static str) -> Result<usize, WorkflowError> {
        let value = self.value(node, input)?;
        let count = value.and_then(Value::as_u64).and_then(|count| usize::try_from(count).ok());
        count.ok_or_else(|| node.wrong(input, "a whole number, at least 0", value))
    }

    pub(super) fn text<'a>(&'a self, node: Of<'a>, input: &'static str) -> Result<&'a str, WorkflowError> {
        let value = self.value(node, input)?;
        value.and_then(Value::as_str).ok_or_else(|| node.wrong(input, "text", value))
    }

    /// A switch: `true` or `false`, or the text `enable` or `disable`.
    pub(super) fn switch(&self, node: Of<'_>, input: &'static str) -> Result<bool, WorkflowError> {
        match self.value(node, input)? {
            Some(Value::Bool(switch)) => Ok(*switch),
            Some(Value::String(word)) if word == "enable" => Ok(true),
            Some(Value::String(word)) if word == "disable" => Ok(false),
            other => Err(node.wrong(input, "true or false, enable or disable", other)),
        }
    }

    pub(super) fn seed(&self, node: Of<'_>, input: &'static str) -> Result<Option<u64>, WorkflowError> {
        let value = self.value(node, input)?;
        value.and_then(Value::as_u64).map(Some).ok_or_else(|| node.wrong(input, "a whole number, at least 0", value))
    }
}

impl Of<'_> {
    pub(super) fn unknown(&self, expected: &'static str) -> WorkflowError {
        WorkflowError::Unknown { expected, class: short(self.class), id: short(self.id) }
    }

    pub(super) fn wrong(&self, input: &str, expected: &'static str, found: Option<&Value>) -> WorkflowError {
        let found = found.map_or_else(|| "nothing".to_owned(), |value| short(&value.to_string()));
        let (class, id) = (short(self.class), short(self.id));
        WorkflowError::Input { input: input.to_owned(), class, id, expected, found }
    }

    pub(super) fn has(&self, input: &str) -> bool {
        self.inputs.contains_key(input)
    }
}

/// The node that a value links to.
pub(super) fn link(value: &Value) -> Option<&str> {
    link_to(value).map(|(id, _)| id)
}

/// The node and the output that a value links to.
pub(super) fn link_to(value: &Value) -> Option<(&str, u64)> {
    match value.as_array()?.as_slice() {
        [Value::String(id), output] => Some((id, output.as_u64()?)),
        _ => None,
    }
}
