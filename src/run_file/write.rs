//! Writing a run file.

use super::read::VERSION;
use crate::math::run::base::Base;
use crate::math::run::parameterisation::Parameterisation;
use crate::math::run::run::{Run, RunGrid, RunGuidance};
use crate::math::run::value::{Node, RunValue};
use serde_json::{Map, Value, json};

impl Run {
    /// Writes the run as a file that [`from_json`](Self::from_json) reads back.
    ///
    /// A number that is not finite becomes `null`, which counts as a missing key.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut map = Map::new();
        let mut put = |key: &str, value: Value| {
            if !value.is_null() {
                map.insert(key.to_owned(), value);
            }
        };
        put("version", VERSION.into());
        put("model", self.model_value());
        put("sampler", self.sampler.clone().into());
        put("node", self.node.as_ref().map_or(Value::Null, node));
        match &self.grid {
            None => {}
            Some(RunGrid::Scheduler(scheduler)) if scheduler.inputs.is_empty() => {
                put("scheduler", scheduler.name.clone().into());
            }
            Some(RunGrid::Scheduler(scheduler)) => put("scheduler", node(scheduler)),
            Some(RunGrid::Sigmas(list)) => put("sigmas", list.clone().into()),
        }
        put("steps", self.steps.into());
        put("denoise", self.denoise.into());
        put("strength", self.strength.into());
        put("start_step", self.start_step.into());
        put("last_step", self.last_step.into());
        for (key, value, usual) in [
            ("force_full_denoise", self.force_full_denoise, false),
            ("add_noise", self.add_noise, true),
            ("flip_sigmas", self.flip_sigmas, false),
            ("float32", self.float32, false),
        ] {
            put(key, if value == usual { Value::Null } else { value.into() });
        }
        put("options", if self.options.is_empty() { Value::Null } else { values(&self.options) });
        put("guidance", self.guidance.as_ref().map_or(Value::Null, guidance));
        put("differential_diffusion_strength", self.differential_diffusion_strength.into());
        put("seed", self.seed.into());
        put("compat", self.compat.name().into());
        Value::Object(map).to_string()
    }

    fn model_value(&self) -> Value {
        let Some(model) = &self.model else { return Value::Null };
        let base = Base::CATALOGUE.entries.iter().find(|entry| entry.make == model.base());
        let meaning = Parameterisation::CATALOGUE.entries.iter().find(|entry| entry.make == model.parameterisation());
        let mut value = json!({
            "base": base.map(|entry| entry.name),
            "parameterisation": meaning.map(|entry| entry.name),
            "settings": values(model.settings()),
        });
        if let (Some(name), Some(map)) = (&self.model_name, value.as_object_mut()) {
            map.insert("name".to_owned(), name.clone().into());
        }
        value
    }
}

fn node(node: &Node) -> Value {
    json!({ "node": node.name, "inputs": values(&node.inputs) })
}

fn guidance(guidance: &RunGuidance) -> Value {
    match guidance {
        RunGuidance::Scale(scale) => (*scale).into(),
        RunGuidance::Kind { node, .. } => {
            let mut value = values(&node.inputs);
            if let Some(map) = value.as_object_mut() {
                map.insert("kind".to_owned(), node.name.clone().into());
            }
            value
        }
    }
}

fn values(values: &[(String, RunValue)]) -> Value {
    values.iter().map(|(name, value)| (name.clone(), run_value(value))).collect()
}

fn run_value(value: &RunValue) -> Value {
    match value {
        RunValue::Number(number) => (*number).into(),
        RunValue::Switch(switch) => (*switch).into(),
        RunValue::Text(text) => text.clone().into(),
        RunValue::Numbers(numbers) => numbers.clone().into(),
        RunValue::Node(inner) => node(inner),
    }
}
