//! Reading a run file.

use super::error::RunFileError;
use super::object::{Object, node, numbers, values, wrong};
use crate::math::guidance::guider::Guider;
use crate::math::run::compat::RunCompat;
use crate::math::run::model::RunModel;
use crate::math::run::run::{Run, RunGrid, RunGuidance};
use crate::math::run::value::Node;
use serde_json::Value;

/// The version of the keys that are read and written.
pub(super) const VERSION: u64 = 1;

/// The keys of a run.
const KEYS: &[&str] = &[
    "version",
    "model",
    "sampler",
    "node",
    "scheduler",
    "sigmas",
    "steps",
    "denoise",
    "strength",
    "start_step",
    "last_step",
    "force_full_denoise",
    "add_noise",
    "flip_sigmas",
    "options",
    "guidance",
    "differential_diffusion_strength",
    "seed",
    "compat",
    "float32",
];

/// Keys that describe a recorded run and change nothing in it.
const DESCRIPTIVE: &[&str] = &[
    "shape",
    "calls",
    "network",
    "network_calls",
    "noise_source",
    "noise_draws",
    "noise_from_seed",
    "latent_image_is_output_of",
    "sigmas_after_run",
    "raises",
];

/// The end of the text that stands for the sigmas in a recorded run whose program computes them in f32.
const RECORDED_IN_F32: &str = "sigmas_f32_stock";

const MODEL_KEYS: &[&str] = &["name", "base", "parameterisation", "settings"];

/// Returns true for a key that [`Run::from_json`] reads, or ignores as descriptive.
#[must_use]
pub fn is_key(name: &str) -> bool {
    KEYS.contains(&name) || DESCRIPTIVE.contains(&name)
}

impl RunCompat {
    const NAMES: [(&str, Self); 2] = [("comfyui", Self::ComfyUi), ("published", Self::Published)];

    /// Returns its name in a run file.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, compat)| *compat == self).map_or("comfyui", |(name, _)| *name)
    }
}

impl Run {
    /// Reads a run file. See the [module](crate::run_file) for its keys.
    ///
    /// ```
    /// use tweedie::math::run::Run;
    ///
    /// let run = Run::from_json(r#"{"model": "sd15", "scheduler": "karras", "steps": 20}"#)?;
    /// assert_eq!(run.sigmas().map(|sigmas| sigmas.len()), Ok(21));
    /// let error = Run::from_json(r#"{"schedule": "karras"}"#).unwrap_err();
    /// assert!(error.to_string().starts_with("a run has no key `schedule`; it has version, model, sampler"));
    /// # Ok::<(), tweedie::run_file::RunFileError>(())
    /// ```
    ///
    /// # Errors
    /// [`RunFileError`] for text that is not JSON, an unknown key, a value of the wrong type, and an unknown model or guider. Names of
    /// schedulers and samplers are checked by [`sigmas`](Self::sigmas) and [`plan`](Self::plan).
    pub fn from_json(json: &str) -> Result<Self, RunFileError> {
        let parsed = serde_json::from_str::<Value>(json.trim_start_matches('\u{feff}'));
        let map = match parsed.map_err(|error| RunFileError::Json { reason: error.to_string() })? {
            Value::Object(map) => map,
            other => return Err(wrong("a run file", "an object", &other)),
        };
        let mut object = Object::new(map);
        if let Some(found) = object.integer("version")?.filter(|version| *version != VERSION) {
            return Err(wrong("version", "1", &found.into()));
        }
        for key in DESCRIPTIVE {
            object.take(key);
        }
        let (model, model_name) = match object.take("model").map(model).transpose()? {
            None => (None, None),
            Some((model, name)) => (Some(model), name),
        };
        let scheduler = object.take("scheduler").map(|value| node("scheduler", value)).transpose()?;
        let (sigmas, recorded_in_f32) = match object.take("sigmas") {
            None => (None, false),
            Some(Value::String(text)) if text.ends_with(RECORDED_IN_F32) => (None, true),
            Some(value) => (Some(numbers("sigmas", &value)?), false),
        };
        let grid = match (scheduler, sigmas) {
            (Some(_), Some(_)) => {
                return Err(RunFileError::Contradiction { first: "scheduler", second: "sigmas" });
            }
            (Some(node), None) => Some(RunGrid::Scheduler(node)),
            (None, Some(list)) => Some(RunGrid::Sigmas(list)),
            (None, None) => None,
        };
        let compat = compat(object.take("compat"))?;
        let run = Self {
            model,
            model_name,
            sampler: object.text("sampler")?,
            node: object.take("node").map(sampler_node).transpose()?,
            grid,
            steps: object.count("steps")?,
            denoise: object.number("denoise")?,
            strength: object.number("strength")?,
            start_step: object.count("start_step")?,
            last_step: object.count("last_step")?,
            force_full_denoise: object.switch("force_full_denoise")?.unwrap_or(false),
            add_noise: object.switch("add_noise")?.unwrap_or(true),
            flip_sigmas: object.switch("flip_sigmas")?.unwrap_or(false),
            options: values(object.object("options")?.unwrap_or_default())?,
            guidance: object.take("guidance").map(|value| guidance(value, compat)).transpose()?,
            differential_diffusion_strength: object.number("differential_diffusion_strength")?,
            seed: object.integer("seed")?,
            compat,
            float32: object.switch("float32")?.unwrap_or(false) || recorded_in_f32,
        };
        object.finish("a run", KEYS)?;
        Ok(run)
    }
}

/// A model, given by its name or by its base and settings, and its name if it has one.
fn model(value: Value) -> Result<(RunModel, Option<String>), RunFileError> {
    const EXPECTED: &str = "a name, or {base, parameterisation, settings}";
    let map = match value {
        Value::String(name) => {
            return Ok((RunModel::named(&name).map_err(RunFileError::Model)?, Some(name)));
        }
        Value::Object(map) => map,
        other => return Err(wrong("model", EXPECTED, &other)),
    };
    let shown = Value::Object(map.clone());
    let mut object = Object::new(map);
    let [name, base, parameterisation] = [object.text("name")?, object.text("base")?, object.text("parameterisation")?];
    let settings = values(object.object("settings")?.unwrap_or_default())?;
    object.finish("a model", MODEL_KEYS)?;
    let model = match (&name, base, parameterisation) {
        (_, Some(base), Some(parameterisation)) => RunModel::new(&base, &parameterisation, &settings),
        (Some(name), None, None) if settings.is_empty() => RunModel::named(name),
        _ => return Err(wrong("model", EXPECTED, &shown)),
    };
    Ok((model.map_err(RunFileError::Model)?, name))
}

/// The node of a sampler: `{name: {input: value}}` or `{node, inputs}`.
fn sampler_node(value: Value) -> Result<Node, RunFileError> {
    match &value {
        Value::Object(map) if map.len() == 1 && !map.contains_key("node") => match map.iter().next() {
            Some((name, Value::Object(inputs))) => Ok(Node { name: name.clone(), inputs: values(inputs.clone())? }),
            _ => Err(wrong("node", "{name: {input: value}}", &value)),
        },
        _ => node("node", value),
    }
}

/// Guidance: a scale, or a kind with its options.
pub(super) fn guidance(value: Value, compat: RunCompat) -> Result<RunGuidance, RunFileError> {
    const EXPECTED: &str = "a scale, or {kind, ..}";
    match value {
        Value::Number(number) => Ok(RunGuidance::Scale(number.as_f64().unwrap_or(f64::NAN))),
        Value::Object(mut map) => {
            let guider = Guider::from_json(&Value::Object(map.clone()), compat == RunCompat::ComfyUi)?;
            match map.remove("kind") {
                Some(Value::String(name)) => {
                    Ok(RunGuidance::Kind { node: Node { name, inputs: values(map)? }, guider: Box::new(guider) })
                }
                found => Err(wrong("kind of guidance", "a name", &found.unwrap_or_default())),
            }
        }
        other => Err(wrong("guidance", EXPECTED, &other)),
    }
}

fn compat(value: Option<Value>) -> Result<RunCompat, RunFileError> {
    let Some(value) = value else { return Ok(RunCompat::default()) };
    let found = RunCompat::NAMES.iter().find(|(name, _)| value.as_str() == Some(name));
    found.map(|(_, compat)| *compat).ok_or_else(|| wrong("compat", "comfyui or published", &value))
}
