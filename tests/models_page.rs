//! The page of models: made from the catalogue, and up to date. `TWEEDIE_RENEW=1 cargo test models_page` renews it.

use std::path::PathBuf;
use tweedie::math::Recipe;
use tweedie::math::catalog::Entry;

const HEAD: &str = "\
# Models

Published models by name, with the runs that they are usually sampled by: `Recipe::named` and `tweedie list models`. This page
is made from the catalogue in `src/math/recipe`; `TWEEDIE_RENEW=1 cargo test -p tweedie --test main models_page` renews it. A
question mark follows what could not be verified. Where the latent is none, the model is one of pixels, unless a note says otherwise.

`t` is the time of a flow, `n` the number of steps; a shift `k` moves a time towards noise, `k*t/(1 + (k - 1)*t)`.

| model | predicts; told | sampler; levels | steps; guidance | latent |
|---|---|---|---|---|
";

fn page() -> String {
    let entries = Recipe::CATALOGUE.entries;
    let rows: String = entries.iter().map(row).collect();
    let notes = entries.iter().filter(|entry| !entry.make.facts.note.is_empty());
    let notes: String = notes.map(|entry| format!("- **{}**: {}.\n", entry.name, entry.make.facts.note)).collect();
    format!("{HEAD}{rows}\n## Notes\n\n{notes}")
}

fn row(entry: &Entry<Recipe>) -> String {
    let (recipe, facts) = (&entry.make, &entry.make.facts);
    let model = recipe.model().unwrap();
    let mark = |fact: &str| if facts.uncertain.contains(&fact) { " ?" } else { "" };
    let latent = facts.latent.map_or_else(
        || if facts.uncertain.contains(&"latent") { "not known".to_owned() } else { "none".to_owned() },
        |latent| {
            let statistics = if latent.statistics.is_some() { ", mean and deviation of each" } else { "" };
            let shift = if latent.shift == 0.0 { String::new() } else { format!(", less {}", latent.shift) };
            let frames = if latent.temporal == 1 { String::new() } else { format!("x{}", latent.temporal) };
            let cell = match latent.dimensions {
                1 => format!("{} samples", latent.temporal),
                _ => format!("{0}x{0}{frames}", latent.spatial),
            };
            format!("{} channels of {cell}{shift}, times {}{statistics}", latent.channels, latent.scale)
        },
    );
    let steps = facts.steps.map_or("not known".to_owned(), |steps| steps.to_string());
    let second = facts.second_network_below.map_or(String::new(), |time| format!("; second network below {time}"));
    format!(
        "| **{}**: {} | {}{}; {}{second} | {}{}; {}{} | {steps}{}; {}{} | {latent}{} |\n",
        entry.names().collect::<Vec<_>>().join(", "),
        entry.summary,
        model.prediction().name(),
        mark("prediction"),
        model.told_number(),
        facts.sampler,
        mark("sampler"),
        facts.grid,
        mark("grid"),
        mark("steps"),
        facts.guidance,
        mark("guidance"),
        if facts.latent.is_some() { mark("latent") } else { "" },
    )
}

#[test]
fn the_page_of_models_is_up_to_date() {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/models.md"));
    if std::env::var_os("TWEEDIE_RENEW").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page(), "docs/models.md is not what the catalogue says: TWEEDIE_RENEW=1 renews it");
}
