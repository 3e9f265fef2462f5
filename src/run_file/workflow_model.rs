//! The model of a workflow: its checkpoint, and the nodes that change how it is sampled and guided.

use super::workflow_error::WorkflowError;
use super::workflow_nodes::{MOST_LINKS, Of, Workflow};
use crate::math::run::model::RunModel;
use crate::math::run::value::RunValue;
use serde_json::{Map, Value};

/// The model, its name and its guidance, from the nodes between a checkpoint and a sampler.
pub(super) struct Patches {
    pub(super) model: RunModel,
    pub(super) name: Option<String>,
    /// The kind of guidance and its options.
    pub(super) guidance: Option<Map<String, Value>>,
    pub(super) differential: Option<f64>,
}

/// The nodes that load a model, and the input that names it.
const LOADERS: &[(&str, &str)] = &[
    ("CheckpointLoaderSimple", "ckpt_name"),
    ("CheckpointLoader", "ckpt_name"),
    ("unCLIPCheckpointLoader", "ckpt_name"),
    ("ImageOnlyCheckpointLoader", "ckpt_name"),
    ("UNETLoader", "unet_name"),
    ("UnetLoaderGGUF", "unet_name"),
    ("DiffusersLoader", "model_path"),
];

/// Nodes that change only the network.
const OF_THE_NETWORK: &[&str] = &[
    "LoraLoader",
    "LoraLoaderModelOnly",
    "HypernetworkLoader",
    "FreeU",
    "FreeU_V2",
    "HyperTile",
    "PatchModelAddDownscale",
    "SelfAttentionGuidance",
    "TomePatchModel",
    "TorchCompileModel",
    "UNetSelfAttentionMultiply",
    "UNetCrossAttentionMultiply",
    "UNetTemporalAttentionMultiply",
];

/// Nodes of guidance, and the kind of each.
const GUIDANCE: &[(&str, &str)] = &[
    ("RescaleCFG", "RescaleCFG"),
    ("CFGZeroStar", "cfg-zero-star"),
    ("CFGNorm", "cfg-norm"),
    ("APG", "apg"),
    ("TCFG", "tcfg"),
    ("Mahiro", "mahiro"),
];

/// The values of a node's input `sampling`, each with its parameterisation.
const SAMPLINGS: &[(&str, &str)] = &[
    ("eps", "EPS"),
    ("v_prediction", "V_PREDICTION"),
    ("lcm", "LCM"),
    ("x0", "X0"),
    ("edm", "EDM"),
    ("edm_playground_v2.5", "EDM"),
    ("cosmos_rflow", "COSMOS_RFLOW"),
];

/// The size of the picture in the shift of Flux: pixels of a token, and the numbers of tokens at which the base and the maximum hold.
const FLUX_TOKEN_PIXELS: f64 = 256.0;
const FLUX_TOKENS: [f64; 2] = [256.0, 4096.0];

/// The standard deviation of the data for Playground's EDM models, and for others.
const EDM_DATA: [f64; 2] = [0.5, 1.0];

/// Follows the model of a sampler to its checkpoint. If nodes set the same thing, the one nearest to the sampler wins.
pub(super) fn patched<'a>(
    workflow: &'a Workflow,
    mut node: Of<'a>,
    given: Option<(&str, &RunModel)>,
) -> Result<Patches, WorkflowError> {
    let (mut model, mut guidance, mut differential): (Option<RunModel>, Option<Map<String, Value>>, _) =
        (None, None, None);
    for _ in 0..MOST_LINKS {
        if let Some((_, input)) = LOADERS.iter().find(|(class, _)| *class == node.class) {
            let checkpoint = workflow.text(node, input)?.to_owned();
            let (model, name) = match (model, given) {
                (Some(model), _) => (model, None),
                (None, Some((name, model))) => (model.clone(), Some(name.to_owned())),
                (None, None) => return Err(WorkflowError::Checkpoint { checkpoint }),
            };
            return Ok(Patches { model, name, guidance, differential });
        }
        if let Some((_, kind)) = GUIDANCE.iter().find(|(class, _)| *class == node.class) {
            let found = options(workflow, node, kind)?;
            if let Some(first) = &guidance {
                let first = first.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
                return Err(WorkflowError::TwoGuidances { first, second: (*kind).to_owned() });
            }
            guidance = Some(found);
        } else if node.class == "DifferentialDiffusion" {
            let strength = if node.has("strength") { workflow.number(node, "strength")? } else { 1.0 };
            differential.get_or_insert(strength);
        } else if node.class.starts_with("ModelSampling") {
            let found = sampling(workflow, node)?;
            model.get_or_insert(found);
        } else if !OF_THE_NETWORK.contains(&node.class) {
            return Err(node.unknown("a node that loads or changes a model"));
        }
        node = workflow.linked(node, "model")?;
    }
    Err(WorkflowError::Circle { id: node.id.to_owned() })
}

/// The kind of guidance with the node's own numbers.
fn options(workflow: &Workflow, node: Of<'_>, kind: &str) -> Result<Map<String, Value>, WorkflowError> {
    let names: &[(&'static str, &str)] = match kind {
        "RescaleCFG" => &[("multiplier", "guidance_rescale")],
        "apg" => &[("eta", "eta"), ("norm_threshold", "norm_threshold"), ("momentum", "momentum")],
        "cfg-norm" => &[("strength", "strength")],
        _ => &[],
    };
    let mut map = Map::new();
    map.insert("kind".to_owned(), kind.into());
    for (input, option) in names.iter().filter(|(input, _)| node.has(input)) {
        map.insert((*option).to_owned(), workflow.number(node, input)?.into());
    }
    Ok(map)
}

/// The model of a `ModelSampling` node.
fn sampling(workflow: &Workflow, node: Of<'_>) -> Result<RunModel, WorkflowError> {
    let number = |input| workflow.number(node, input);
    let meaning = || -> Result<&'static str, WorkflowError> {
        let word = workflow.text(node, "sampling")?;
        let known = SAMPLINGS.iter().find(|(name, _)| *name == word);
        known.map(|(_, name)| *name).ok_or_else(|| {
            node.wrong("sampling", "eps, v_prediction, lcm, x0, edm or cosmos_rflow", Some(&word.into()))
        })
    };
    let of = |pairs: &[(&str, f64)]| -> Vec<(String, RunValue)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect()
    };
    let (base, parameterisation, settings) = match node.class {
        "ModelSamplingSD3" => ("ModelSamplingDiscreteFlow", "CONST", of(&[("shift", number("shift")?)])),
        "ModelSamplingAuraFlow" => {
            ("ModelSamplingDiscreteFlow", "CONST", of(&[("shift", number("shift")?), ("multiplier", 1.0)]))
        }
        "ModelSamplingFlux" => {
            let [first, last] = FLUX_TOKENS;
            let [most, base] = [number("max_shift")?, number("base_shift")?];
            let tokens = number("width")? * number("height")? / FLUX_TOKEN_PIXELS;
            let slope = (most - base) / (last - first);
            ("ModelSamplingFlux", "CONST", of(&[("shift", tokens * slope + (base - slope * first))]))
        }
        "ModelSamplingStableCascade" => ("StableCascadeSampling", "EPS", of(&[("shift", number("shift")?)])),
        "ModelSamplingDiscrete" => {
            let zsnr = if node.has("zsnr") { workflow.switch(node, "zsnr")? } else { false };
            let meaning = meaning()?;
            let base = if meaning == "LCM" { "ModelSamplingDiscreteDistilled" } else { "ModelSamplingDiscrete" };
            (base, meaning, vec![("zsnr".to_owned(), zsnr.into())])
        }
        "ModelSamplingContinuousEDM" | "ModelSamplingContinuousV" => {
            let meaning = meaning()?;
            let ends = [("sigma_min", number("sigma_min")?), ("sigma_max", number("sigma_max")?)];
            let base = match (node.class, meaning) {
                ("ModelSamplingContinuousV", _) => "ModelSamplingContinuousV",
                (_, "COSMOS_RFLOW") => "ModelSamplingCosmosRFlow",
                _ => "ModelSamplingContinuousEDM",
            };
            let [playground, usual] = EDM_DATA;
            let mut settings = of(&ends);
            if base != "ModelSamplingContinuousV" {
                settings.push(("sigma_data".to_owned(), if meaning == "EDM" { playground } else { usual }.into()));
            }
            (base, meaning, settings)
        }
        _ => return Err(node.unknown("a node for the sigmas of a model")),
    };
    Ok(RunModel::new(base, parameterisation, &settings)?)
}
