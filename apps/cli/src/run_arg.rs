//! The options `--run`, `--model` and `--node`: a file that describes a run, or a workflow of ComfyUI.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::path::Path;
use tweedie::math::run::{Run, RunModel};

/// The first bytes of a PNG.
const PNG: &[u8] = b"\x89PNG";

/// Bytes of a file at most: a picture with its workflow in it.
const MOST: u64 = 1 << 28;

/// The run of a run file, of a workflow in its API form, or of a PNG that ComfyUI wrote. A workflow and a run file without a
/// model take the one of `model`; `node` chooses among the sampler nodes of a workflow.
pub fn open(path: &Path, model: Option<&str>, node: Option<&str>) -> Result<Run> {
    let read = || -> Result<Run> {
        let about = fs::metadata(path)?;
        if !about.is_file() || about.len() > MOST {
            bail!("expected a file of at most {MOST} bytes");
        }
        of_bytes(&fs::read(path)?, model, node)
    };
    read().with_context(|| format!("--run {}", path.display()))
}

fn of_bytes(bytes: &[u8], model: Option<&str>, node: Option<&str>) -> Result<Run> {
    let named = model.map(|name| Ok::<_, anyhow::Error>((name, RunModel::named(name)?))).transpose()?;
    let given = named.as_ref().map(|(name, model)| (*name, model));
    let needs_model = |error| anyhow::Error::from(error).context("a workflow of ComfyUI (--model NAME, --node ID)");
    if bytes.starts_with(PNG) {
        return Run::from_comfyui_png(bytes, given, node).map_err(needs_model);
    }
    let text = std::str::from_utf8(bytes).context("expected JSON or a PNG")?;
    if is_workflow(text) {
        return Run::from_comfyui(text, given, node).map_err(needs_model);
    }
    if node.is_some() {
        bail!("--node means nothing to a run file, which is one run");
    }
    let run = Run::from_json(text)?;
    match (&run.model, named) {
        (_, None) => Ok(run),
        (None, Some((name, model))) => Ok(Run { model: Some(model), model_name: Some(name.to_owned()), ..run }),
        (Some(_), Some(_)) => bail!("--model contradicts the model of the run file"),
    }
}

/// True for an object with a node in it, or with nodes under `prompt`.
fn is_workflow(text: &str) -> bool {
    let Ok(Value::Object(map)) = serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')) else {
        return false;
    };
    map.contains_key("prompt") || map.values().any(|node| node.get("class_type").is_some())
}
