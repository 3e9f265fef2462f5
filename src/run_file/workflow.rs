//! Runs from the workflows of ComfyUI: the API form, and the copy in a PNG.
//!
//! A workflow is an object of nodes by id, each with a `class_type` and `inputs`; an input is a value or a link
//! `[id, output]`. It determines a run completely, except that it does not say which model a checkpoint holds.

use super::object::{run_value, short};
use super::read::guidance;
use super::workflow_error::WorkflowError;
use super::workflow_model::{Patches, patched};
use super::workflow_nodes::{MOST_LINKS, Of, Workflow, link, link_to};
use crate::math::run::compat::RunCompat;
use crate::math::run::model::RunModel;
use crate::math::run::request::GridRule;
use crate::math::run::run::{Run, RunGrid, RunGuidance};
use crate::math::run::solvers::sampler::RunSampler;
use crate::math::run::value::{Node, RunValue};
use serde_json::{Map, Value, json};

/// The sampler nodes that are read.
const SAMPLERS: &[&str] = &["KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced"];

/// Inputs that say on which device noise is drawn, which the host decides.
const OF_THE_HOST: &[&str] = &["noise_device"];

impl Run {
    /// Reads the run of a sampler node from a workflow in its API form, or from that form under the key `prompt`.
    ///
    /// A workflow does not say which model its checkpoint holds, so `model` gives it, with its name. A node such as
    /// `ModelSamplingFlux` overrides it; `model` may then be `None`. `node` is the id of the sampler node, needed if there are
    /// several.
    ///
    /// ```
    /// use tweedie::math::run::{Run, RunModel};
    ///
    /// let workflow = r#"{"3": {"class_type": "KSampler", "inputs": {"seed": 1, "steps": 20, "cfg": 7.0,
    ///     "sampler_name": "dpmpp_2m", "scheduler": "karras", "denoise": 1.0, "model": ["4", 0]}},
    ///     "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd15.safetensors"}}}"#;
    /// let model = RunModel::named("sd15")?;
    /// assert_eq!(Run::from_comfyui(workflow, Some(("sd15", &model)), None)?.plan()?.calls().len(), 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`WorkflowError`] for text that is not a workflow, several samplers, a missing node or one that is not supported, an input of
    /// the wrong type, and a checkpoint without a `model`.
    pub fn from_comfyui(
        json: &str,
        model: Option<(&str, &RunModel)>,
        node: Option<&str>,
    ) -> Result<Self, WorkflowError> {
        let parsed = serde_json::from_str::<Value>(json.trim_start_matches('\u{feff}'));
        let value = parsed.map_err(|error| WorkflowError::Json { reason: error.to_string() })?;
        let workflow = Workflow::new(value)?;
        workflow.run(model, node)
    }

    /// Reads the run from a PNG file of ComfyUI, which holds the workflow as the text `prompt`.
    ///
    /// # Errors
    /// As [`from_comfyui`](Self::from_comfyui); [`WorkflowError::Png`] for a file that is not a PNG, is cut off, or has no such text.
    pub fn from_comfyui_png(
        png: &[u8],
        model: Option<(&str, &RunModel)>,
        node: Option<&str>,
    ) -> Result<Self, WorkflowError> {
        Self::from_comfyui(&super::png_text::text(png, "prompt")?, model, node)
    }
}

impl Workflow {
    /// The sampler node: the one with this id, or the only one.
    fn sampler(&self, wanted: Option<&str>) -> Result<Of<'_>, WorkflowError> {
        let nodes = self.nodes.keys().filter_map(|id| self.node(id).ok());
        let mut samplers: Vec<Of<'_>> = nodes.filter(|node| SAMPLERS.contains(&node.class)).collect();
        let list = samplers.iter().map(|node| node.id).collect::<Vec<_>>().join(", ");
        match (wanted, samplers.len()) {
            (Some(id), _) => {
                let found = samplers.into_iter().find(|node| node.id == id);
                found.ok_or_else(|| WorkflowError::NotASampler { id: short(id), samplers: list })
            }
            (None, 1) => samplers.pop().ok_or(WorkflowError::NoSampler),
            (None, 0) => Err(WorkflowError::NoSampler),
            (None, _) => Err(WorkflowError::Several { samplers: list }),
        }
    }

    fn run(&self, model: Option<(&str, &RunModel)>, node: Option<&str>) -> Result<Run, WorkflowError> {
        let sampler = self.sampler(node)?;
        let mut run = Run::default();
        let (of_model, scale) = match sampler.class {
            "KSampler" => {
                run.seed = self.seed(sampler, "seed")?;
                run.denoise = Some(self.number(sampler, "denoise")?);
                self.named(sampler, &mut run)?;
                (sampler, self.number(sampler, "cfg")?.into())
            }
            "KSamplerAdvanced" => {
                run.seed = self.seed(sampler, "noise_seed")?;
                run.add_noise = self.switch(sampler, "add_noise")?;
                run.start_step = Some(self.count(sampler, "start_at_step")?);
                run.last_step = Some(self.count(sampler, "end_at_step")?);
                run.force_full_denoise = !self.switch(sampler, "return_with_leftover_noise")?;
                self.named(sampler, &mut run)?;
                (sampler, self.number(sampler, "cfg")?.into())
            }
            "SamplerCustom" => {
                run.seed = self.seed(sampler, "noise_seed")?;
                run.add_noise = self.switch(sampler, "add_noise")?;
                self.custom(sampler, &mut run)?;
                (sampler, self.number(sampler, "cfg")?.into())
            }
            _ => {
                let noise = self.linked(sampler, "noise")?;
                match noise.class {
                    "RandomNoise" => run.seed = self.seed(noise, "noise_seed")?,
                    "DisableNoise" => run.add_noise = false,
                    _ => return Err(noise.unknown("a source of noise")),
                }
                self.custom(sampler, &mut run)?;
                self.guider(self.linked(sampler, "guider")?)?
            }
        };
        let patches = patched(self, self.linked(of_model, "model")?, model)?;
        let Patches { model, name, guidance, differential } = patches;
        run.differential_diffusion_strength = differential;
        (run.model, run.model_name) = (Some(model), name);
        run.guidance = Some(guidance_of(scale, guidance)?);
        Ok(run)
    }

    /// The sampler and the scheduler by name, and the steps.
    fn named(&self, node: Of<'_>, run: &mut Run) -> Result<(), WorkflowError> {
        run.sampler = Some(self.text(node, "sampler_name")?.to_owned());
        run.grid = Some(RunGrid::Scheduler(Node::named(self.text(node, "scheduler")?)));
        run.steps = Some(self.count(node, "steps")?);
        Ok(())
    }

    /// The sampler and the sigmas of nodes.
    fn custom(&self, node: Of<'_>, run: &mut Run) -> Result<(), WorkflowError> {
        let sampler = self.linked(node, "sampler")?;
        if sampler.class == "KSamplerSelect" {
            run.sampler = Some(self.text(sampler, "sampler_name")?.to_owned());
        } else {
            let known = RunSampler::of_class(sampler.class).ok_or_else(|| sampler.unknown("a sampler"))?;
            run.sampler = Some(known.name.to_owned());
            for (key, value) in sampler.inputs.iter().filter(|(key, _)| !OF_THE_HOST.contains(&key.as_str())) {
                let value = if link(value).is_some() { self.value(sampler, key)?.unwrap_or(value) } else { value };
                run.options.push((key.clone(), run_value(key, value.clone())?));
            }
        }
        let (id, output) = node
            .inputs
            .get("sigmas")
            .and_then(link_to)
            .ok_or_else(|| node.wrong("sigmas", "a link", node.inputs.get("sigmas")))?;
        run.grid = Some(RunGrid::Scheduler(self.sigmas(id, output, MOST_LINKS)?));
        Ok(())
    }

    /// A node for sigmas, with the nodes from which it takes sigmas.
    fn sigmas(&self, id: &str, output: u64, links: usize) -> Result<Node, WorkflowError> {
        let node = self.node(id)?;
        let left = links.checked_sub(1).ok_or_else(|| WorkflowError::Circle { id: id.to_owned() })?;
        if GridRule::CATALOGUE.find(node.class).is_err() {
            return Err(node.unknown("a node for sigmas"));
        }
        let mut inputs = Vec::new();
        for (key, value) in node.inputs {
            match link_to(value) {
                // The model is that of the sampler.
                Some(_) if key == "model" => {}
                Some((from, output)) if key == "sigmas" => {
                    inputs.push((key.clone(), RunValue::Node(Box::new(self.sigmas(from, output, left)?))));
                }
                _ => {
                    let value = self.value(node, key)?.unwrap_or(value);
                    inputs.push((key.clone(), run_value(key, value.clone())?));
                }
            }
        }
        if node.class.starts_with("SplitSigmas") {
            let half = if output == 0 { "high_sigmas" } else { "low_sigmas" };
            inputs.push(("output".to_owned(), half.into()));
        }
        Ok(Node { name: node.class.to_owned(), inputs })
    }

    /// The node that holds the model of a guider, and the guidance.
    fn guider<'a>(&'a self, node: Of<'a>) -> Result<(Of<'a>, Value), WorkflowError> {
        let of = |input| self.number(node, input);
        let guidance = match node.class {
            "BasicGuider" => 1.0.into(),
            "CFGGuider" => of("cfg")?.into(),
            "DualCFGGuider" => {
                let style = self.value(node, "style")?;
                if style.and_then(Value::as_str) == Some("nested") {
                    return Err(node.wrong("style", "regular", style));
                }
                json!({ "kind": "DualCFGGuider", "cfg_conds": of("cfg_conds")?, "cfg_cond2_negative": of("cfg_cond2_negative")? })
            }
            "PerpNegGuider" => json!({ "kind": "PerpNegGuider", "cfg": of("cfg")?, "neg_scale": of("neg_scale")? }),
            _ => return Err(node.unknown("a guider")),
        };
        Ok((node, guidance))
    }
}

/// Guidance by a scale, or by a kind for which the scale is one of the options.
fn guidance_of(scale: Value, kind: Option<Map<String, Value>>) -> Result<RunGuidance, WorkflowError> {
    let value = match (scale, kind) {
        (scale, None) => scale,
        (scale @ Value::Number(_), Some(mut kind)) => {
            kind.insert("guidance_scale".to_owned(), scale);
            Value::Object(kind)
        }
        (Value::Object(guider), Some(kind)) => {
            let of = |map: &Map<String, Value>| map.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
            return Err(WorkflowError::TwoGuidances { first: of(&guider), second: of(&kind) });
        }
        (scale, Some(_)) => scale,
    };
    Ok(guidance(value, RunCompat::ComfyUi)?)
}
