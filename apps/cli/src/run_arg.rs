//! The options `--run`, `--model`, `--node` and `--compat`: a file that describes a run, or a workflow of ComfyUI.

use crate::sampler_args::System;
use anyhow::{Context, Result, bail};
use files::regular;
use serde_json::Value;
use std::path::Path;
use tweedie::math::run::{Run, RunCompat, RunModel};

/// The first bytes of a PNG.
const PNG: &[u8] = b"\x89PNG";

/// The most bytes of a file, which may be a picture with a workflow in it.
const MOST: u64 = 1 << 28;

/// The run of a run file, of a workflow in its API form, or of a PNG that ComfyUI wrote. A workflow and a run file without a
/// model take the one of `model`; `node` chooses among the sampler nodes of a workflow. Names are ComfyUI's unless the file or
/// `compat` says otherwise.
pub fn open(path: &Path, model: Option<&str>, node: Option<&str>, compat: Option<System>) -> Result<Run> {
    let read = || -> Result<Run> {
        let bytes = regular::read(path, "a run file, a workflow or a PNG with one", MOST)?;
        of_bytes(&bytes, model, node, of_system(compat)?)
    };
    read().with_context(|| format!("--run {}", path.display()))
}

/// The system that a run follows, by the option `--compat`.
pub fn of_system(system: Option<System>) -> Result<Option<RunCompat>> {
    Ok(match system {
        None => None,
        Some(System::ComfyUi) => Some(RunCompat::ComfyUi),
        Some(System::Published) => Some(RunCompat::Published),
        Some(System::Diffusers) => bail!("--compat diffusers: expected comfyui or published for a run"),
    })
}

fn of_bytes(bytes: &[u8], model: Option<&str>, node: Option<&str>, compat: Option<RunCompat>) -> Result<Run> {
    let compat_of = |run: Run| Run { compat: compat.unwrap_or(run.compat), ..run };
    let named = model.map(|name| Ok::<_, anyhow::Error>((name, RunModel::named(name)?))).transpose()?;
    let given = named.as_ref().map(|(name, model)| (*name, model));
    let needs_model = |error| anyhow::Error::from(error).context("a workflow of ComfyUI (--model NAME, --node ID)");
    if bytes.starts_with(PNG) {
        return Run::from_comfyui_png(bytes, given, node).map(compat_of).map_err(needs_model);
    }
    let text = std::str::from_utf8(bytes).context("expected JSON or a PNG")?;
    if is_workflow(text) {
        return Run::from_comfyui(text, given, node).map(compat_of).map_err(needs_model);
    }
    if node.is_some() {
        bail!("--node does not apply to a run file, which is one run");
    }
    let run = of_json(text, compat)?;
    match (&run.model, named) {
        (_, None) => Ok(run),
        (None, Some((name, model))) => Ok(Run { model: Some(model), model_name: Some(name.to_owned()), ..run }),
        (Some(_), Some(_)) => bail!("--model contradicts the model of the run file"),
    }
}

/// The run of a run file. `compat` decides what the names of guidance mean, too.
fn of_json(text: &str, compat: Option<RunCompat>) -> Result<Run> {
    let run = Run::from_json(text)?;
    let (Some(compat), Ok(Value::Object(mut map))) =
        (compat, serde_json::from_str(text.trim_start_matches('\u{feff}')))
    else {
        return Ok(run);
    };
    if map.insert("compat".to_owned(), compat.name().into()).is_some() && run.compat != compat {
        bail!("--compat {} contradicts the run file, whose compat is {}", compat.name(), run.compat.name());
    }
    Ok(Run::from_json(&Value::Object(map).to_string())?)
}

/// True for an object with a node in it, or with nodes under `prompt`.
fn is_workflow(text: &str) -> bool {
    let Ok(Value::Object(map)) = serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')) else {
        return false;
    };
    map.contains_key("prompt") || map.values().any(|node| node.get("class_type").is_some())
}
