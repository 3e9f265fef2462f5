//! The recipes of `tweedie list models`.

use serde_json::{Value, json};
use tweedie::math::{LatentFormat, Recipe, UsualGuidance};

/// The facts of a recipe as JSON. What is not known is null; `uncertain` names what is not verified.
pub fn object(recipe: &Recipe) -> Value {
    let facts = &recipe.facts;
    let model = recipe.model().ok();
    json!({
        "sampler": facts.sampler,
        "grid": facts.grid.to_string(),
        "steps": facts.steps,
        "guidance": guidance(facts.guidance),
        "prediction": model.as_ref().map(|model| model.prediction().name()),
        "process": model.as_ref().map(|model| model.process().to_string()),
        "told": model.as_ref().map(|model| model.told_number().to_string()),
        "latent": facts.latent.as_ref().map(latent),
        "patch": facts.patch,
        "second_network_below": facts.second_network_below,
        "uncertain": facts.uncertain,
        "note": facts.note,
    })
}

fn guidance(guidance: UsualGuidance) -> Value {
    let (kind, values) = match guidance {
        UsualGuidance::Off => ("none", json!([])),
        UsualGuidance::Scale(scale) => ("scale", json!([scale])),
        UsualGuidance::Normed(scale) => ("normed", json!([scale])),
        UsualGuidance::Embedded(scale) => ("embedded", json!([scale])),
        UsualGuidance::OverFrames(ends) => ("over-frames", json!(ends)),
        UsualGuidance::Between(ends) => ("between", json!(ends)),
        UsualGuidance::Terms(terms) => ("terms", Value::from_iter(terms.iter().map(|&(name, scale)| (name, scale)))),
        _ => return Value::Null,
    };
    json!({ "kind": kind, "values": values })
}

/// A format of latents as JSON.
pub fn latent(format: &LatentFormat) -> Value {
    json!({
        "channels": format.channels,
        "dimensions": format.dimensions,
        "spatial": format.spatial,
        "temporal": format.temporal,
        "scale": format.scale,
        "shift": format.shift,
        "mean": format.statistics.map(|statistics| statistics.mean),
        "deviation": format.statistics.map(|statistics| statistics.deviation),
        "preview": format.preview.map(|preview| {
            json!({ "factors": preview.factors, "bias": preview.bias, "unfolds": preview.unfolds })
        }),
    })
}

/// The facts of a recipe in lines.
pub fn lines(recipe: &Recipe) -> Vec<String> {
    let facts = &recipe.facts;
    let steps = facts.steps.map_or_else(|| "steps not known".to_owned(), |steps| format!("{steps} steps"));
    let run = format!("{}, {steps}, guidance {}; levels: {}", facts.sampler, facts.guidance, facts.grid);
    let latent = facts.latent.map(|latent| {
        let LatentFormat { channels, spatial, temporal, scale, shift, .. } = latent;
        format!("latent: {channels} channels of {spatial}x{spatial}x{temporal}, scale {scale}, shift {shift}")
    });
    let unsure = (!facts.uncertain.is_empty()).then(|| format!("not verified: {}", facts.uncertain.join(", ")));
    let note = (!facts.note.is_empty()).then(|| facts.note.to_owned());
    [Some(run), latent, unsure, note].into_iter().flatten().collect()
}
