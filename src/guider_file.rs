//! Guiders from JSON: the `guidance` of a run file, or a `guider_config.json` of diffusers.

use crate::math::catalog::entry::{Entry, Make, plain};
use crate::math::catalog::error::CatalogError;
use crate::math::catalog::parameter::Parameter;
use crate::math::error::guidance::GuidanceError;
use crate::math::guidance::guider::Guider;
use crate::math::guidance::levels::FrequencyLevel;
use crate::math::guidance::method::Method;
use crate::math::guidance::window::Window;
use crate::table::pyramid::Pyramid;
use serde_json::{Map, Value};
use thiserror::Error;

/// Errors of reading a guider from JSON.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum GuiderFileError {
    /// A value of the wrong type.
    #[error("guidance: {option}: expected {expected}, found {found}")]
    Type {
        /// The option.
        option: String,
        /// The values that it can have.
        expected: &'static str,
        /// The value that was given.
        found: String,
    },
    /// Two options that set the same thing.
    #[error("guidance: {first} and {second} set the same option: give one of them")]
    Twice {
        /// An option.
        first: String,
        /// The other one: a synonym, or an option of the same levels.
        second: String,
    },
    /// A method that is not a mixture of predictions.
    #[error("guidance: {kind}: {reason}")]
    Refused {
        /// The method.
        kind: String,
        /// The reason, as a clause.
        reason: &'static str,
    },
    /// No guider has this name, or these options and numbers.
    #[error("guidance: {0}")]
    Catalog(#[from] CatalogError),
}

/// Synonyms of options, each with the parameter that it means if the guider has that parameter.
const SYNONYMS: &[(&str, &str)] = &[
    ("scale", "guidance_scale"),
    ("cfg", "guidance_scale"),
    ("cfg_scale", "guidance_scale"),
    ("true_cfg_scale", "guidance_scale"),
    ("text_scale", "guidance_scale"),
    ("cfg_conds", "guidance_scale"),
    ("image_scale", "image_guidance_scale"),
    ("cfg_cond2_negative", "image_guidance_scale"),
    ("rescale", "adaptive_projected_guidance_rescale"),
    ("norm_threshold", "adaptive_projected_guidance_rescale"),
    ("momentum", "adaptive_projected_guidance_momentum"),
    ("start_step", "adaptive_projected_guidance_start_step"),
    ("apg_scale", "adaptive_projected_guidance_scale"),
    ("rescale", "guidance_rescale"),
];

/// Options of diffusers' classes that say how or in what precision the network is called, and do not change the mixture.
const OF_THE_NETWORK: &[(&str, &[&str])] = &[
    ("cfg", &["distilled_guidance_scale"]),
    ("autoguidance", &["auto_guidance_layers", "auto_guidance_config", "dropout"]),
    ("slg", &["skip_layer_guidance_layers", "skip_layer_config"]),
    ("pag", &["perturbed_guidance_layers", "skip_layer_config"]),
    ("seg", &["seg_blur_sigma", "seg_blur_threshold_inf", "seg_guidance_layers", "seg_guidance_config"]),
    ("ltx2", &["spatio_temporal_guidance_blocks"]),
    ("fdg", &["upcast_to_double"]),
];

/// Names that mean something else in ComfyUI, each with the entry that computes what ComfyUI does.
const IN_COMFYUI: &[(&str, &str)] = &[
    ("apg", "apg-comfyui"),
    ("cfg-norm", "cfg-norm-clamped"),
    ("cfg-zero-star", "cfg-zero-star-comfyui"),
    ("mahiro", "mahiro-batch"),
    ("perp-neg", "perp-neg-batch"),
    ("tcfg", "tcfg-comfyui"),
];

/// Methods that other programs call guidance but that are not a mixture of predictions, with the reason.
const REFUSED: &[(&[&str], &str)] = &[
    (&["cfg++", "cfg-pp"], "it is a form of a solver, not of the mixture: choose a sampler of that form"),
    (&["embedded", "distilled"], "the network takes its scale as an input, and nothing is mixed"),
];

/// The scales of the levels of a pyramid. Their number is the number of levels.
const LEVEL_SCALES: &str = "guidance_scales";

/// The scales of a pyramid of two levels.
const OF_TWO_LEVELS: [&str; 2] = ["w_high", "w_low"];

/// Options of a pyramid that may be lists with a number for each level.
const OF_LEVELS: [&str; 4] = ["parallel_weights", "guidance_rescale", "start", "stop"];

/// The option for the space in which a pyramid is rescaled, a switch, and the words for off and on.
const RESCALE_SPACE: (&str, [&str; 2]) = ("guidance_rescale_space", ["data", "freq"]);

/// Keys of a guider that are not options: its name, and the version of diffusers.
const ABOUT: [&str; 3] = ["kind", "_class_name", "_diffusers_version"];

impl Guider {
    /// Reads a guider from JSON: a number, which is the scale `w` of `u + w*(c - u)`; a name; or an object with `kind` (or
    /// `_class_name`) and options, under the names of diffusers' arguments or ComfyUI's inputs.
    ///
    /// `null` means an option's default. `guidance_scale` may be a list with a number for each step. For `fdg`, `guidance_scales`
    /// is a list with a scale for each level, the finest first; `parallel_weights`, `guidance_rescale`, `start` and `stop` may be
    /// lists of the same length. With `comfyui`, these names, which ComfyUI uses for something else, mean what they mean there:
    /// `apg`, `cfg-norm`, `cfg-zero-star`, `mahiro`, `perp-neg`, `tcfg`.
    ///
    /// # Errors
    /// [`GuiderFileError`] for a value of the wrong type, an unknown name or option, two options that set the same thing, and a
    /// number out of range.
    pub fn from_json(value: &Value, comfyui: bool) -> Result<Self, GuiderFileError> {
        match value {
            Value::Number(_) => Ok(Self::linear(number("guidance", value)?)),
            Value::String(name) => Ok(entry(name, comfyui)?.build(&[])?),
            Value::Object(options) => Self::of_object(options, comfyui),
            other => Err(wrong("guidance", "a number, a name or an object", other)),
        }
    }

    fn of_object(options: &Map<String, Value>, comfyui: bool) -> Result<Self, GuiderFileError> {
        let kind = options.get("kind").or_else(|| options.get("_class_name"));
        let entry = match kind {
            Some(Value::String(name)) => entry(name, comfyui)?,
            other => return Err(wrong("kind", "the name of a guider", other.unwrap_or(&Value::Null))),
        };
        let network = OF_THE_NETWORK.iter().find(|(name, _)| *name == entry.name).map_or(&[][..], |(_, names)| names);
        let mut given: Vec<(&str, &str, f64)> = Vec::new();
        let (mut scales, mut of_levels) = (None, Vec::new());
        let has_levels = entry.parameter(RESCALE_SPACE.0).is_some();
        for (name, value) in options {
            if ABOUT.contains(&name.as_str()) || network.contains(&name.as_str()) || value.is_null() {
                continue;
            }
            if has_levels && name == LEVEL_SCALES {
                of_levels.push((LEVEL_SCALES, numbers_of(name, value)?));
                continue;
            }
            let Some(parameter) = parameter(entry, name) else {
                return Err(CatalogError::Unused { option: name.clone(), by: entry.title() }.into());
            };
            if let Some((_, first, _)) = given.iter().find(|(known, ..)| *known == parameter.name) {
                return Err(GuiderFileError::Twice { first: (*first).to_owned(), second: name.clone() });
            }
            let is_of_levels = has_levels && OF_LEVELS.contains(&parameter.name);
            if value.is_array() && (is_of_levels || parameter.name == "guidance_scale") {
                let list = numbers_of(name, value)?;
                let first = list.first().copied().or(parameter.default);
                given.push((parameter.name, name, first.unwrap_or(1.0)));
                if is_of_levels {
                    of_levels.push((parameter.name, in_range(parameter, list)?));
                } else {
                    scales = Some(list);
                }
            } else {
                given.push((parameter.name, name, setting(parameter, name, value)?));
            }
        }
        let both = given.iter().find(|(known, ..)| has_levels && OF_TWO_LEVELS.contains(known));
        if let (Some((_, second, _)), true) = (both, of_levels.iter().any(|(name, _)| *name == LEVEL_SCALES)) {
            return Err(GuiderFileError::Twice { first: LEVEL_SCALES.to_owned(), second: (*second).to_owned() });
        }
        let numbers: Vec<(&str, f64)> = given.iter().map(|(name, _, number)| (*name, *number)).collect();
        let guider = Self { scales, ..entry.build(&numbers)? };
        let rescales_levels = numbers.contains(&(RESCALE_SPACE.0, 1.0));
        Ok(with_levels(guider, &of_levels, rescales_levels).map_err(CatalogError::from)?)
    }
}

/// The guider with these numbers for its levels, each list under the name of its option.
fn with_levels(
    guider: Guider,
    lists: &[(&'static str, Vec<f64>)],
    rescales_levels: bool,
) -> Result<Guider, GuidanceError> {
    let Method::Frequencies { mut levels } = guider.method else { return Ok(guider) };
    if let Some((_, scales)) = lists.iter().find(|(name, _)| *name == LEVEL_SCALES) {
        let (most, found) = (Pyramid::MOST, scales.len());
        let first = levels.first().filter(|_| (1..=most).contains(&found)).copied();
        let first = first.ok_or(GuidanceError::Levels { most, found })?;
        levels = scales.iter().map(|&scale| FrequencyLevel { scale, ..first }).collect();
    }
    for level in &mut levels {
        level.window = guider.window;
    }
    for (option, numbers) in lists.iter().filter(|(name, _)| *name != LEVEL_SCALES) {
        let (expected, found) = (levels.len(), numbers.len());
        if found != expected {
            return Err(GuidanceError::LevelNumbers { option, expected, found });
        }
        for (level, &number) in levels.iter_mut().zip(numbers) {
            match *option {
                "parallel_weights" => level.parallel = number,
                "start" => level.window.start = number,
                "stop" => level.window.stop = number,
                _ if rescales_levels => level.rescale = number,
                // The sum of the levels is rescaled by the first degree, which the guider has already.
                _ => {}
            }
        }
    }
    let mut window = guider.window;
    for (i, level) in levels.iter().enumerate() {
        let own = level.window.checked(["start", "stop"])?;
        let (start, stop) = (window.start.min(own.start), window.stop.max(own.stop));
        window = if i == 0 { own } else { Window { start, stop } };
    }
    let scale = levels.first().map_or(guider.scale, |level| level.scale);
    Ok(Guider { method: Method::Frequencies { levels }, scale, window, ..guider })
}

/// The entry of a name, as ComfyUI means it if `comfyui` is true.
fn entry(name: &str, comfyui: bool) -> Result<&'static Entry<Make<Guider>>, GuiderFileError> {
    let is = |known: &str| plain(known) == plain(name);
    if let Some((_, reason)) = REFUSED.iter().find(|(names, _)| names.iter().any(|known| is(known))) {
        return Err(GuiderFileError::Refused { kind: name.to_owned(), reason });
    }
    let other = IN_COMFYUI.iter().find(|(ours, _)| comfyui && is(ours)).map(|(_, theirs)| *theirs);
    Ok(Guider::CATALOGUE.find(other.unwrap_or(name))?)
}

/// The parameter of this name or synonym.
fn parameter(entry: &'static Entry<Make<Guider>>, name: &str) -> Option<&'static Parameter> {
    let mut synonyms = SYNONYMS.iter().filter(|(synonym, _)| *synonym == name);
    entry.parameter(name).or_else(|| synonyms.find_map(|(_, known)| entry.parameter(known)))
}

/// The numbers of a list; a number is a list of one.
fn numbers_of(name: &str, value: &Value) -> Result<Vec<f64>, GuiderFileError> {
    let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    list.iter().map(|value| number(name, value)).collect()
}

/// The numbers of a list, each in the range of its option.
fn in_range(parameter: &Parameter, list: Vec<f64>) -> Result<Vec<f64>, CatalogError> {
    match list.iter().find(|number| !(parameter.min..=parameter.max).contains(*number)) {
        Some(&found) => Err(CatalogError::Range { parameter: *parameter, found }),
        None => Ok(list),
    }
}

/// The number of an option; a switch may also be `true` or `false`.
fn setting(parameter: &Parameter, name: &str, value: &Value) -> Result<f64, GuiderFileError> {
    if let (true, Some(space)) = (parameter.name == RESCALE_SPACE.0, value.as_str()) {
        let found = RESCALE_SPACE.1.iter().position(|known| *known == space);
        return found.map(|space| space as f64).ok_or_else(|| wrong(name, "\"data\" or \"freq\"", value));
    }
    let switch = parameter.whole && (parameter.min, parameter.max) == (0.0, 1.0);
    match value.as_bool().filter(|_| switch) {
        Some(on) => Ok(f64::from(on)),
        None if switch && !value.is_number() => Err(wrong(name, "true or false", value)),
        None => number(name, value),
    }
}

fn number(name: &str, value: &Value) -> Result<f64, GuiderFileError> {
    let finite = value.as_f64().filter(|number| number.is_finite());
    finite.ok_or_else(|| wrong(name, "a finite number", value))
}

/// The largest number of characters of a value that a message shows.
const SHOWN: usize = 60;

fn wrong(option: &str, expected: &'static str, found: &Value) -> GuiderFileError {
    let text = found.to_string();
    let found = match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    };
    GuiderFileError::Type { option: option.to_owned(), expected, found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::guidance::method::Method;
    use serde_json::json;

    fn refusal(value: Value) -> String {
        Guider::from_json(&value, false).unwrap_err().to_string()
    }

    #[test]
    fn a_number_a_name_and_an_object() {
        assert_eq!(Guider::from_json(&json!(3.5), false), Ok(Guider::linear(3.5)));
        let named = Guider::from_json(&json!("ClassifierFreeGuidance"), false);
        assert_eq!(named, Ok(Guider::linear(7.5)));
        let config = json!({"_class_name": "SkipLayerGuidance", "_diffusers_version": "0.42.1", "enabled": false,
            "skip_layer_config": [{"indices": [7]}], "skip_layer_guidance_stop": 0.5, "guidance_scale": null});
        let guider = Guider::from_json(&config, false).unwrap();
        assert!(!guider.enabled && matches!(guider.method, Method::Perturbed { window, .. } if window.stop == 0.5));
        let listed = json!({"kind": "cfg", "cfg": [7, 7.0, 3]});
        assert_eq!(Guider::from_json(&listed, false).unwrap().scales, Some(vec![7.0, 7.0, 3.0]));
    }

    #[test]
    fn names_that_mean_another_thing_in_comfyui() {
        for (ours, theirs) in IN_COMFYUI {
            let [found, expected] = [(ours, true), (theirs, false)]
                .map(|(name, comfyui)| Guider::from_json(&json!({ "kind": name }), comfyui).unwrap());
            assert_eq!(found, expected, "{ours}");
            assert_ne!(Ok(found), Guider::from_json(&json!({ "kind": ours }), false), "{ours}");
        }
    }

    #[test]
    fn levels_are_lists() {
        let levels = |value: Value| match Guider::from_json(&value, false).map(|guider| guider.method) {
            Ok(Method::Frequencies { levels }) => levels,
            other => panic!("{other:?}"),
        };
        let new = FrequencyLevel::new;
        assert_eq!(levels(json!("fdg")), [new(10.0), new(5.0)]);
        assert_eq!(levels(json!({"kind": "fdg", "w_high": 8, "w_low": 3})), [new(8.0), new(3.0)]);
        assert_eq!(levels(json!({"kind": "fdg", "guidance_scales": 7.5})), [new(7.5)]);
        let config = json!({"_class_name": "FrequencyDecoupledGuidance", "guidance_scales": [9, 6, 2],
            "parallel_weights": [0.5, 1, 0], "guidance_rescale": 0.25, "guidance_rescale_space": "freq", "start": [0, 0.25, 0.5],
            "stop": 0.75, "upcast_to_double": true, "use_original_formulation": false, "enabled": true});
        let level = |scale, parallel, start| FrequencyLevel {
            parallel,
            rescale: 0.25,
            window: Window { start, stop: 0.75 },
            ..new(scale)
        };
        assert_eq!(levels(config.clone()), [level(9.0, 0.5, 0.0), level(6.0, 1.0, 0.25), level(2.0, 0.0, 0.5)]);
        let guider = Guider::from_json(&config, false).unwrap();
        assert_eq!((guider.window, guider.rescale), (Window { start: 0.0, stop: 0.75 }, 0.0));
        // The sum is rescaled by the first of several degrees.
        let of_sum = json!({"kind": "fdg", "guidance_rescale": [0.5, 0.25]});
        assert_eq!(Guider::from_json(&of_sum, false).unwrap().rescale, 0.5);
    }

    #[test]
    fn levels_that_do_not_fit_are_named() {
        let fdg = |options: Value| {
            let mut value = options;
            value["kind"] = json!("fdg");
            refusal(value)
        };
        let text = fdg(json!({"parallel_weights": [0.5, 1, 0]}));
        assert_eq!(text, "guidance: parallel_weights: expected a number, or one for each of 2 levels, found 3");
        let text = fdg(json!({"guidance_scales": []}));
        assert_eq!(text, "guidance: guidance_scales: expected scales of 1 to 8 levels, found 0");
        assert!(fdg(json!({"guidance_scales": vec![2; 9]})).ends_with("1 to 8 levels, found 9"));
        assert!(fdg(json!({"guidance_scales": [1, "2"]})).ends_with("expected a finite number, found \"2\""));
        assert!(fdg(json!({"guidance_scales": [1], "w_low": 2})).contains("guidance_scales and w_low set the same"));
        let text = fdg(json!({"rescale": [0.5, 0.5], "guidance_rescale": 0.5}));
        assert_eq!(text, "guidance: guidance_rescale and rescale set the same option: give one of them");
        assert!(fdg(json!({"stop": []})).ends_with("one for each of 2 levels, found 0"));
        assert!(fdg(json!({"guidance_rescale": [0.5, 1.5]})).ends_with("between 0 and 1, found 1.5"));
        assert!(fdg(json!({"start": [0, 0.5], "stop": 0.25})).ends_with("found 0.5 and 0.25"));
        assert!(fdg(json!({"start": [1, 0]})).contains("must be below 1"));
        let text = fdg(json!({"guidance_rescale_space": "image"}));
        assert_eq!(text, "guidance: guidance_rescale_space: expected \"data\" or \"freq\", found \"image\"");
        assert!(fdg(json!({"guidance_scale": 3})).ends_with("guidance_scale does not apply to the fdg guidance"));
        assert_eq!(
            refusal(json!({"kind": "cfg", "guidance_scales": [3]})),
            "guidance: guidance_scales does not apply to the cfg guidance"
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(
            refusal(json!({"kind": "cgf"})).starts_with("guidance: no guidance is called `cgf`; did you mean `cfg`?")
        );
        assert_eq!(refusal(json!({"kind": "cfg", "eta": 1})), "guidance: eta does not apply to the cfg guidance");
        assert_eq!(
            refusal(json!({"kind": "cfg", "dropout": 1})),
            "guidance: dropout does not apply to the cfg guidance"
        );
        assert_eq!(refusal(json!({"guidance_scale": 2})), "guidance: kind: expected the name of a guider, found null");
        assert_eq!(refusal(json!([1])), "guidance: guidance: expected a number, a name or an object, found [1]");
        let text = refusal(json!({"kind": "cfg", "guidance_scale": "7"}));
        assert_eq!(text, "guidance: guidance_scale: expected a finite number, found \"7\"");
        let text = refusal(json!({"kind": "cfg", "scale": 1, "cfg": 2}));
        assert!(text.ends_with("set the same option: give one of them"), "{text}");
        let text = refusal(json!({"kind": "cfg", "enabled": "yes"}));
        assert_eq!(text, "guidance: enabled: expected true or false, found \"yes\"");
        let text = refusal(json!({"kind": "cfg", "start": 0.6, "stop": 0.4}));
        assert_eq!(text, "guidance: start must be below 1, and stop between it and 1, found 0.6 and 0.4");
        assert!(refusal(json!({"kind": "CFG++"})).contains("choose a sampler"));
        assert!(refusal(json!({"kind": "cfg", "guidance_rescale": 2})).contains("between 0 and 1, found 2"));
    }
}
