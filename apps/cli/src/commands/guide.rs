//! `tweedie guide`: predictions of one noise level, mixed into one.

use super::Files;
use crate::engine::{ComputeArgs, Engine, Values};
use crate::finite::FiniteArgs;
use crate::guide_run::{GuideRun, RecordedPredictions};
use crate::report::{Failure, Outcome, say};
use crate::windows::Window;
use anyhow::anyhow;
use files::{TensorFile, TensorWriter};
use safetensors::Dtype;
use serde_json::json;
use std::path::PathBuf;
use tweedie::math::guidance::GuidanceLoop;

/// Mix the predictions of a network with and without its condition
///
/// Reads `pred_cond` and, where the guidance needs them, `pred_uncond`, `pred_third` and `pred_fourth`: [batch, ...], or
/// [steps, batch, ...] if the run file has `steps` and no `step`. Writes `out` in the same shape; in the second case also
/// `num_conditions`, the number of predictions that each step needs.
///
/// The run file is JSON: {"guidance": {"kind": NAME, ...options}, "steps": n}. `tweedie list guidance` has the kinds, under our
/// names and those of diffusers and ComfyUI, with their options. `guidance_scale` may be a list with a number for each step.
///
/// With "step": k, the predictions are those of step k alone. With neither `steps` nor `step`, whatever depends on the step is
/// off. With "compat": "comfyui", a name that ComfyUI uses for another formula has ComfyUI's meaning.
///
/// Predictions for `fdg` are [batch, channels, height, width]; its `guidance_scales` is a list with a number for each level of
/// the pyramid, the finest first, and `parallel_weights`, `guidance_rescale`, `start` and `stop` may be such lists too.
#[derive(clap::Args, Clone, Debug)]
pub struct Guide {
    #[command(flatten)]
    files: Files,

    /// The run file, which names the guidance
    #[arg(long, value_name = "FILE.json")]
    run: PathBuf,

    #[command(flatten)]
    finite: FiniteArgs,

    #[command(flatten)]
    compute: ComputeArgs,
}

impl Guide {
    pub fn run(&self, json: bool) -> Outcome {
        self.files.check()?;
        let run = GuideRun::open(&self.run)?;
        let engine = self.compute.open()?;
        let file = TensorFile::open(&self.files.input)?;
        let recorded = RecordedPredictions::read(&file, &run)?;
        let guided = engine.guide(&recorded)?;
        let shape = &recorded.conditional.shape;
        let elements: usize = recorded.shape[1..].iter().product();
        self.finite.check("out", &guided, &Window::all(recorded.conditional.data.len() / elements.max(1), elements))?;
        let mut writer = TensorWriter::new();
        guided.write(&mut writer, "out", shape)?;
        let asked: Vec<usize> = recorded.calls.iter().map(|call| call.predictions()).collect();
        if run.has_entries() {
            let bytes = asked.iter().flat_map(|&count| (count as i64).to_le_bytes()).collect();
            writer.raw("num_conditions", Dtype::I64, &[asked.len()], bytes)?;
        }
        writer.save(&self.files.out)?;
        let out = self.files.out.display();
        if json {
            return say(json!({ "shape": shape, "num_conditions": asked, "out": out.to_string() }));
        }
        let total: usize = asked.iter().sum();
        say(format_args!("{shape:?}: {} guided predictions of {total} -> {out}", asked.len()))
    }
}

impl Engine {
    /// The guided predictions of all calls.
    fn guide(&self, recorded: &RecordedPredictions) -> Outcome<Values> {
        match self {
            Engine::Cpu => on_cpu(recorded).map_err(|error| Failure::input(anyhow!(error))),
            Engine::Gpu(adapter) => adapter.guide(recorded),
        }
    }
}

fn on_cpu(recorded: &RecordedPredictions) -> Result<Values, tweedie::error::GuidanceError> {
    let mut guidance = GuidanceLoop::new(&recorded.shape)?;
    let mut guided = Vec::with_capacity(recorded.conditional.data.len());
    for (k, call) in recorded.calls.iter().enumerate() {
        guided.extend(guidance.call(call, recorded.of(k))?);
    }
    Ok(Values::Double(guided))
}
