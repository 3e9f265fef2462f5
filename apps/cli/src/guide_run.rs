//! The run file of `guide`, and the predictions that it is applied to.

use crate::report::{Failure, Outcome};
use anyhow::{Context, Result, anyhow, bail};
use files::{Array, TensorFile, regular};
use serde_json::{Map, Value};
use std::path::Path;
use tweedie::math::Guider;
use tweedie::math::guidance::{GuiderCall, Predictions};
use tweedie::run_file::is_key;

/// The guider of a run file and its calls.
pub struct GuideRun {
    pub guider: Guider,
    /// The number of calls, where the file has `steps`: without a `step`, predictions then have an entry for each.
    pub steps: Option<usize>,
    /// The one call to guide, where the file has `step`: predictions then have no axis of calls.
    pub step: Option<usize>,
}

/// Keys of a run file that say something about guidance.
const KNOWN: [&str; 4] = ["guidance", "steps", "step", "compat"];

/// Arguments of recorded formulas, which may stand next to `guidance` and are ignored.
const ARGUMENTS: [&str; 8] =
    ["scale", "text_scale", "image_scale", "neg_scale", "strength", "norm_threshold", "eta", "norm_axis"];

/// The most bytes of a run file.
const MOST: u64 = 1 << 20;

impl GuideRun {
    /// Reads a run file.
    pub fn open(path: &Path) -> Result<Self> {
        let read = || -> Result<Self> {
            let value: Value = serde_json::from_slice(&regular::read(path, "a JSON file", MOST)?)?;
            let keys = value.as_object().context("expected a JSON object")?;
            Self::of(keys)
        };
        read().with_context(|| path.display().to_string())
    }

    fn of(keys: &Map<String, Value>) -> Result<Self> {
        let is_known = |key: &str| KNOWN.contains(&key) || ARGUMENTS.contains(&key) || is_key(key);
        if let Some(key) = keys.keys().find(|key| !is_known(key.as_str())) {
            bail!("expected the keys {} or others of a run file, found `{}`", KNOWN.join(", "), key.escape_debug());
        }
        let count = |name: &str| -> Result<Option<usize>> {
            match keys.get(name) {
                None | Some(Value::Null) => Ok(None),
                Some(value) => {
                    let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
                    Ok(Some(
                        count.with_context(|| format!("{name}: expected a whole number, 0 or more, found {value}"))?,
                    ))
                }
            }
        };
        let comfyui = match keys.get("compat") {
            None | Some(Value::Null) => false,
            Some(Value::String(name)) if name == "comfyui" => true,
            Some(Value::String(name)) if name == "published" || name == "diffusers" => false,
            Some(other) => bail!("compat: expected comfyui, diffusers or published, found {other}"),
        };
        let guidance = keys.get("guidance").context("expected `guidance`: a number, or an object with a `kind`")?;
        let guider = Guider::from_json(guidance, comfyui)?;
        Ok(Self { guider, steps: count("steps")?, step: count("step")? })
    }

    /// True if predictions have an entry for each call.
    pub fn has_entries(&self) -> bool {
        self.steps.is_some() && self.step.is_none()
    }

    /// The calls for a file whose first axis has this length.
    fn calls(&self, entries: usize) -> Outcome<Vec<GuiderCall>> {
        let calls = match (self.steps, self.step) {
            (Some(steps), None) if steps != entries => {
                return Err(Failure::input(anyhow!(
                    "tensor `pred_cond`: expected {steps} entries (one for each step), found {entries}"
                )));
            }
            (Some(steps), None) => self.guider.calls(steps).map(Iterator::collect),
            (Some(steps), Some(step)) => self.guider.call(step, steps).map(|call| vec![call]),
            (None, step) => self.guider.alone(step).map(|call| vec![call]),
        };
        calls.map_err(|error| Failure::input(anyhow!(error)))
    }
}

/// The names of the predictions besides the conditional one.
const OTHERS: [&str; 3] = ["pred_uncond", "pred_third", "pred_fourth"];

/// The predictions of a run and its calls.
pub struct RecordedPredictions {
    pub calls: Vec<GuiderCall>,
    /// The shape of a batch, without the axis of calls.
    pub shape: Vec<usize>,
    pub conditional: Array,
    /// The unconditional, the third and the fourth prediction, where a call reads them.
    pub others: [Option<Array>; 3],
}

impl RecordedPredictions {
    /// Reads what the calls of a run ask for.
    pub fn read(file: &TensorFile, run: &GuideRun) -> Outcome<Self> {
        let conditional = file.finite_floats("pred_cond")?;
        let calls = run.calls(conditional.batch())?;
        let shape = conditional.shape[usize::from(run.has_entries())..].to_vec();
        file.require(!shape.is_empty(), "pred_cond", || {
            format!("expected [steps, batch, ...], found shape {:?}", conditional.shape)
        })?;
        let mut others = [const { None }; 3];
        for (i, name) in OTHERS.into_iter().enumerate() {
            if calls.iter().any(|call| call.asks[i] || call.row.reads()[i]) {
                others[i] = Some(file.floats_like(name, &conditional)?);
            }
        }
        Ok(Self { calls, shape, conditional, others })
    }

    /// The predictions of a call.
    pub fn of(&self, call: usize) -> Predictions<'_> {
        let elements: usize = self.shape.iter().product();
        let part = |array: &'_ Array| -> std::ops::Range<usize> {
            let first = (call * elements).min(array.data.len());
            first..(first + elements).min(array.data.len())
        };
        let other = |i: usize| self.others[i].as_ref().map_or(&[][..], |array| &array.data[part(array)]);
        Predictions {
            conditional: &self.conditional.data[part(&self.conditional)],
            unconditional: other(0),
            third: other(1),
            fourth: other(2),
        }
    }
}
