//! The options of a `scheduler_config.json`, read one by one.
//!
//! **Theory.** Such a file is what Python's `json` writes: JSON, and beyond it the numbers `NaN`, `Infinity` and
//! `-Infinity`. It holds the arguments of one class, `_class_name`; names that begin with an underscore are diffusers' own.
//! Published files also contain arguments of other classes (Stable Diffusion XL's Euler has `skip_prk_steps`), which
//! diffusers ignores.
//!
//! **Practice.** Each option is removed when it is read; what remains has no effect, and a note says so. A name that no
//! scheduler has is an error. `null` is Python's `None`: an option that was not given, or a flag that is off.

use super::error::ConfigError;
use crate::math::catalog::entry::{Catalogue, Make};
use serde_json::{Map, Value};
use std::fmt::Display;

/// Every argument of every scheduler of diffusers 0.42.1.
pub(super) const ALL_NAMES: &str = "algorithm_type alpha_cum_end alpha_cum_start base_image_seq_len base_shift beta_end beta_schedule \
    beta_start block_length clip_denoised clip_sample clip_sample_range correct_steps corrector_k corrector_order \
    corrector_selection corrector_selection_tau corrector_steps disable_corrector dynamic_thresholding_ratio \
    editing_threshold entropy_bound eps eta euler_at_final final_sigmas_type final_step_size_scale flow_shift gamma \
    gamma_cum_end gamma_cum_start interpolation_type invert_sigmas lambda_min_clipped lower_order_final mask_token_id \
    masking_schedule max_image_seq_len max_shift minimal_topk n_grid noise_mode noise_sampler_seed num_inference_steps \
    num_policy_substeps num_train_timesteps num_vec_classes original_inference_steps predict_x0 prediction_type \
    predictor_order rescale_betas_zero_snr rho s s_noise sample_max_value sampling_eps scale_factors scaler \
    schedule_mode scheduler_type set_alpha_to_one set_alpha_to_zero shift shift_terminal sigma_data sigma_max sigma_min \
    sigma_schedule skip_prk_steps snr snr_shift_scale solver_order solver_p solver_type stage_range stages steps_offset \
    stochastic_sampling t_lim_ode t_lim_ode_below t_max t_min tail_step_multiplier tail_steps tau_func threshold \
    thresholding time_shift_type timestep_scaling timestep_spacing timestep_type trained_betas tsr_k tsr_sigma \
    upscale_mode use_beta_sigmas use_dynamic_shifting use_exponential_sigmas use_flow_sigmas use_karras_sigmas \
    use_lu_lambdas variance_type";

/// The largest number of characters of a value that a message shows.
const SHOWN: usize = 60;

/// An option of a class of diffusers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClassOption {
    /// The name of the class's argument.
    pub name: String,
    /// The values that it can have.
    pub kind: OptionKind,
}

/// The values of an option.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum OptionKind {
    /// A number.
    Number {
        /// The default, if there is one.
        default: Option<f64>,
        /// True if it must be a whole number, at least 0.
        is_whole: bool,
    },
    /// True or false.
    Flag {
        /// The default.
        default: bool,
    },
    /// One of these words.
    Word {
        /// The words.
        words: Vec<String>,
        /// The default, if there is one.
        default: Option<String>,
    },
    /// A list of numbers; none by default.
    Numbers,
}

/// Options that have not been read yet, and those that were asked for.
#[derive(Clone, Debug)]
pub(super) struct Options {
    class: String,
    rest: Map<String, Value>,
    notes: Vec<String>,
    asked: Vec<ClassOption>,
}

impl Options {
    /// Reads the text and takes the name of the class.
    pub(super) fn parse(json: &str) -> Result<Self, ConfigError> {
        let json = json.trim_start_matches('\u{feff}');
        let parsed = serde_json::from_str::<Value>(&quoted_numbers(json));
        let value = parsed.map_err(|error| ConfigError::Json { reason: error.to_string() })?;
        let Value::Object(mut rest) = value else {
            return Err(ConfigError::Json {
                reason: format!("expected an object of options, found {}", shown(&value)),
            });
        };
        match rest.remove("_class_name") {
            Some(Value::String(class)) => Ok(Self { rest, ..Self::of_class(&class) }.modernized()),
            Some(other) => Err(wrong("_class_name", "a name in quotes", &other)),
            None => Err(ConfigError::NoClass),
        }
    }

    /// A class without any options.
    pub(super) fn of_class(class: &str) -> Self {
        Self { class: class.to_owned(), rest: Map::new(), notes: Vec::new(), asked: Vec::new() }
    }

    /// The same with one option set.
    pub(super) fn told(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.rest.insert(name.to_owned(), value.into());
        self
    }

    /// The options that were asked for.
    pub(super) fn asked(&self) -> &[ClassOption] {
        &self.asked
    }

    /// Remembers an option, if it is new.
    fn ask(&mut self, name: &str, kind: OptionKind) {
        if self.asked.iter().all(|known| known.name != name) {
            self.asked.push(ClassOption { name: name.to_owned(), kind });
        }
    }

    /// Replaces old spellings by what they mean now.
    fn modernized(mut self) -> Self {
        // These options were not given when the file was made: the class that reads it uses its own defaults.
        if let Some(Value::Array(names)) = self.rest.remove("_use_default_values") {
            for name in names.iter().filter_map(Value::as_str) {
                if self.rest.remove(name).is_some() {
                    self.note(&format!("{name} is left at the class's default: _use_default_values names it"));
                }
            }
        }
        if let Some(class) = self.class.strip_prefix("Flax").map(str::to_owned) {
            self.notes.push(format!("{} is read as {class}", self.class));
            self.class = class;
        }
        if self.rest.remove("tensor_format").is_some() {
            self.note("tensor_format has no effect");
        }
        if self.rest.get("timestep_values").is_some_and(Value::is_null) {
            self.rest.remove("timestep_values");
            self.note("timestep_values is null and has no effect");
        }
        if let Some(Value::Bool(epsilon)) = self.rest.get("predict_epsilon").cloned() {
            self.rest.remove("predict_epsilon");
            let predicts = if epsilon { "epsilon" } else { "sample" };
            if self.has("prediction_type") {
                self.note("predict_epsilon has no effect, since prediction_type is given");
            } else {
                self.rest.insert("prediction_type".to_owned(), predicts.into());
                self.note(&format!("predict_epsilon: {epsilon} is read as prediction_type: {predicts}"));
            }
        }
        self
    }

    /// Adds a note for the reader of the file.
    pub(super) fn note(&mut self, note: &str) {
        self.notes.push(note.to_owned());
    }

    /// The scheduler's class.
    pub(super) fn class(&self) -> &str {
        &self.class
    }

    /// The class, shortened for a message.
    pub(super) fn shown_class(&self) -> String {
        short(&self.class)
    }

    /// Returns true if the option is there and not null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.rest.get(name).is_some_and(|value| !value.is_null())
    }

    /// Returns true if the option is there and has this value.
    pub(super) fn says(&self, name: &str, text: &str) -> bool {
        self.rest.get(name).and_then(Value::as_str) == Some(text)
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.rest.remove(name).filter(|value| !value.is_null())
    }

    /// A flag; null and 0 are off, as in Python.
    pub(super) fn flag(&mut self, name: &str, default: bool) -> Result<bool, ConfigError> {
        self.ask(name, OptionKind::Flag { default });
        match self.rest.remove(name) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(Value::Null) => Ok(false),
            Some(Value::Number(number)) => Ok(number.as_f64() != Some(0.0)),
            Some(other) => Err(wrong(name, "true or false", &other)),
        }
    }

    /// A number; infinity and NaN are taken from a file too.
    pub(super) fn number(&mut self, name: &str, default: f64) -> Result<f64, ConfigError> {
        self.ask(name, OptionKind::Number { default: Some(default), is_whole: false });
        Ok(self.optional_number(name)?.unwrap_or(default))
    }

    /// A number that may be missing.
    pub(super) fn optional_number(&mut self, name: &str) -> Result<Option<f64>, ConfigError> {
        self.ask(name, OptionKind::Number { default: None, is_whole: false });
        self.take(name).map(|value| number(&value).ok_or_else(|| wrong(name, "a number", &value))).transpose()
    }

    /// A whole number, at least 0.
    pub(super) fn count(&mut self, name: &str, default: usize) -> Result<usize, ConfigError> {
        self.ask(name, OptionKind::Number { default: Some(default as f64), is_whole: true });
        Ok(self.optional_count(name)?.unwrap_or(default))
    }

    /// A whole number, at least 0, that may be missing.
    pub(super) fn optional_count(&mut self, name: &str) -> Result<Option<usize>, ConfigError> {
        self.ask(name, OptionKind::Number { default: None, is_whole: true });
        let Some(value) = self.take(name) else { return Ok(None) };
        let whole = number(&value).filter(|x| *x >= 0.0 && x.fract() == 0.0 && *x <= f64::from(u32::MAX));
        whole.map(|x| Some(x as usize)).ok_or_else(|| wrong(name, "a whole number, at least 0", &value))
    }

    /// An entry of a catalogue by its name or a synonym; `None` if the option is missing.
    pub(super) fn entry<T>(&mut self, name: &str, catalogue: &Catalogue<Make<T>>) -> Result<Option<T>, ConfigError> {
        let words = catalogue.entries.iter().map(|entry| entry.name.to_owned()).collect();
        self.ask(name, OptionKind::Word { words, default: None });
        let Some(value) = self.take(name) else { return Ok(None) };
        let found = value.as_str().and_then(|text| catalogue.find(text).ok());
        let entry = found.ok_or_else(|| wrong(name, &catalogue.accepted(), &value))?;
        Ok(Some(entry.build(&[])?))
    }

    /// A list of numbers.
    pub(super) fn numbers(&mut self, name: &str) -> Result<Option<Vec<f64>>, ConfigError> {
        self.ask(name, OptionKind::Numbers);
        let Some(value) = self.take(name) else { return Ok(None) };
        let list = value.as_array().and_then(|list| list.iter().map(number).collect());
        list.map(Some).ok_or_else(|| wrong(name, "a list of numbers", &value))
    }

    /// The choice of one of these names, or `default` if the option is missing.
    pub(super) fn choice<T: Copy + PartialEq>(
        &mut self,
        name: &str,
        choices: &[(&str, T)],
        default: T,
    ) -> Result<T, ConfigError> {
        let words = choices.iter().map(|(word, _)| (*word).to_owned()).collect();
        let usual = choices.iter().find(|(_, chosen)| *chosen == default).map(|(word, _)| (*word).to_owned());
        self.ask(name, OptionKind::Word { words, default: usual });
        let Some(value) = self.take(name) else { return Ok(default) };
        let found = value.as_str().and_then(|text| choices.iter().find(|(known, _)| *known == text));
        found.map(|(_, chosen)| *chosen).ok_or_else(|| {
            let known: Vec<&str> = choices.iter().map(|(known, _)| *known).collect();
            wrong(name, &known.join(", "), &value)
        })
    }

    /// The notes on the file: old spellings, and options that were not read because they belong to other classes or because other
    /// options make them idle.
    ///
    /// # Errors
    /// [`ConfigError::UnknownOption`] for a name that no scheduler has.
    pub(super) fn finish(mut self) -> Result<Vec<String>, ConfigError> {
        let rest = std::mem::take(&mut self.rest);
        let mut idle: Vec<String> = Vec::new();
        for (name, value) in rest.into_iter().filter(|(name, _)| !name.starts_with('_')) {
            if ALL_NAMES.split(' ').all(|known| known != name) {
                return Err(ConfigError::UnknownOption { class: self.class, option: short(&name) });
            }
            if !value.is_null() {
                idle.push(name);
            }
        }
        if !idle.is_empty() {
            let have = if idle.len() == 1 { "has" } else { "have" };
            self.notes.push(format!("{} {have} no effect in {}", idle.join(", "), self.class));
        }
        Ok(self.notes)
    }
}

/// A number, or one of the three words for numbers that JSON does not have.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            "NaN" => Some(f64::NAN),
            _ => None,
        },
        _ => None,
    }
}

/// The error for a value that is not what was expected.
pub(super) fn wrong(option: &str, expected: &str, found: &Value) -> ConfigError {
    refused(option, expected, shown(found))
}

/// The error for a value that was understood but cannot be used.
pub(super) fn refused(option: &str, expected: impl Display, found: impl Display) -> ConfigError {
    ConfigError::Value { option: option.to_owned(), expected: expected.to_string(), found: found.to_string() }
}

fn shown(value: &Value) -> String {
    short(&value.to_string())
}

fn short(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push_str("..");
    }
    shown
}

/// Puts quotes around the numbers that Python writes and JSON does not have.
fn quoted_numbers(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut rest, mut in_text) = (json, false);
    while let Some(first) = rest.chars().next() {
        let extra = ["-Infinity", "Infinity", "NaN"].into_iter().find(|word| !in_text && rest.starts_with(word));
        let length = match (extra, first) {
            (Some(word), _) => word.len(),
            (None, '\\') if in_text => 1 + rest.chars().nth(1).map_or(0, char::len_utf8),
            (None, _) => first.len_utf8(),
        };
        in_text ^= first == '"';
        let (piece, after) = rest.split_at(length);
        match extra {
            Some(word) => out.extend(["\"", word, "\""]),
            None => out.push_str(piece),
        }
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_json_does_not_have() {
        let text = r#"{"a": -Infinity, "b": [NaN, Infinity], "c": "say \"NaN\" \\", "d": 1}"#;
        let expected = r#"{"a": "-Infinity", "b": ["NaN", "Infinity"], "c": "say \"NaN\" \\", "d": 1}"#;
        assert_eq!(quoted_numbers(text), expected);
        for odd in ["\"\\", "\\", "\"é\\é", "-Infinit", "NaNNaN"] {
            let _ = quoted_numbers(odd);
        }
    }

    #[test]
    fn options_are_taken_by_type() {
        let text = r#"{"_class_name": "X", "_note": 1, "beta_start": 1e-3, "clip_sample": null, "solver_order": 2.0,
            "beta_schedule": "linear", "trained_betas": [0.1, 1], "lambda_min_clipped": -Infinity, "eta": 1}"#;
        let mut options = Options::parse(text).unwrap();
        assert_eq!(options.class(), "X");
        assert_eq!(options.number("beta_start", 0.0), Ok(1e-3));
        assert_eq!(options.number("beta_end", 0.5), Ok(0.5));
        assert_eq!(options.flag("clip_sample", true), Ok(false));
        assert_eq!(options.flag("thresholding", true), Ok(true));
        assert_eq!(options.count("solver_order", 3), Ok(2));
        assert_eq!(options.choice("beta_schedule", &[("cosine", 1), ("linear", 2)], 0), Ok(2));
        assert_eq!(options.numbers("trained_betas"), Ok(Some(vec![0.1, 1.0])));
        assert_eq!(options.number("lambda_min_clipped", 0.0), Ok(f64::NEG_INFINITY));
        assert_eq!(options.finish(), Ok(vec!["eta has no effect in X".to_owned()])); // it belongs to another class
    }

    #[test]
    fn mistakes_are_named() {
        let text = |result: Result<(), ConfigError>| result.unwrap_err().to_string();
        let of = |json: &str| Options::parse(json).unwrap();
        let class = r#"{"_class_name": "X", "beta_start": "low", "solver_order": -1, "beta_shcedule": "linear"}"#;
        assert_eq!(text(of(class).number("beta_start", 0.0).map(drop)), "beta_start: expected a number, found \"low\"");
        assert!(
            text(of(class).count("solver_order", 1).map(drop))
                .ends_with("expected a whole number, at least 0, found -1")
        );
        assert_eq!(text(of(class).finish().map(drop)), "X has no option `beta_shcedule`, nor has any other scheduler");
        assert!(text(Options::parse("{}").map(drop)).contains("_class_name"));
        assert!(text(Options::parse("[1").map(drop)).contains("JSON"));
        assert!(text(Options::parse("[1]").map(drop)).contains("expected an object"));
    }
}
