//! `list models`, `list latents` and `preview`.

use crate::support::{Folder, run};
use crate::tensors::Tensors;
use crate::{Needs, Test};
use safetensors::Dtype;
use serde_json::Value;
use tweedie::math::{LatentFormat, Model, Recipe};

pub const TESTS: &[Test] = &[
    ("models_are_listed_with_their_runs", Needs::Nothing, models_are_listed),
    ("latents_are_listed_with_their_matrices", Needs::Nothing, latents_are_listed),
    ("a_latent_is_shown", Needs::Nothing, a_latent_is_shown),
    ("a_latent_that_does_not_fit_is_refused", Needs::Nothing, refusals),
];

fn listed(line: &str) -> Vec<Value> {
    let run = run(line);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{line}");
    serde_json::from_str(&run.stdout).expect("an array")
}

fn models_are_listed() {
    let models = listed("list models --json");
    assert_eq!(models.len(), Model::CATALOGUE.entries.len());
    let of = |name: &str| models.iter().find(|model| model["name"] == name).expect(name);
    let flux = of("flux");
    assert_eq!(flux["synonyms"][0], "flux-dev");
    assert_eq!(flux["parameters"], Value::Array(Vec::new()));
    let recipe = &flux["recipe"];
    assert_eq!(
        (&recipe["sampler"], &recipe["steps"], &recipe["told"]),
        (&"flow-euler".into(), &28.into(), &"t".into())
    );
    assert_eq!((&recipe["guidance"]["kind"], &recipe["guidance"]["values"][0]), (&"embedded".into(), &3.5.into()));
    assert_eq!((&recipe["latent"]["scale"], &recipe["latent"]["shift"]), (&0.3611.into(), &0.1159.into()));
    assert_eq!(of("kolors")["recipe"]["uncertain"][0], "latent");
    assert_eq!(of("adm")["recipe"]["steps"], Value::Null);
    let text = run("list models").stdout;
    assert!(
        text.contains("flow-euler, 28 steps, guidance embedded 3.5; levels: 1 - i/n, ln(shift) from 0.5"),
        "{text}"
    );
    assert!(text.contains("not verified: latent"), "{text}");
}

fn latents_are_listed() {
    let formats = listed("list latents --json");
    assert_eq!(formats.len(), LatentFormat::CATALOGUE.entries.len());
    let wan = formats.iter().find(|format| format["name"] == "wan21").expect("Wan 2.1");
    assert_eq!(wan["latent"]["mean"].as_array().map(Vec::len), Some(16));
    assert_eq!(wan["latent"]["preview"]["factors"].as_array().map(Vec::len), Some(16));
}

fn latent(format: &LatentFormat, cells: &[usize]) -> (Tensors, Vec<f64>) {
    let shape: Vec<usize> = [2, format.channels].iter().chain(cells).copied().collect();
    let values: Vec<f64> = (0..shape.iter().product()).map(|i: usize| (i * 37 % 101) as f64 / 50.0 - 1.0).collect();
    (Tensors::default().with("latent", Dtype::F64, &shape, &values), values)
}

fn a_latent_is_shown() {
    for (name, cells, frame) in [("sdxl", vec![3, 5], 0), ("wan2.1", vec![2, 3, 5], 1), ("flux2", vec![3, 5], 0)] {
        let format = Recipe::named(name).expect(name).facts.latent.expect("a latent");
        let (tensors, values) = latent(&format, &cells);
        let folder = Folder::with(&tensors);
        folder.succeeds(&format!("preview in.safetensors --model {name} --sample 1 --frame {frame} --out p.png"));
        let found = image::open(folder.path("p.png")).expect("a picture").to_rgb8();
        let edge = format.preview.expect("a matrix").edge();
        assert_eq!(found.dimensions(), (5 * edge as u32, 3 * edge as u32), "{name}");
        let frames = if cells.len() == 3 { 2 } else { 1 };
        let sample = &values[values.len() / 2..];
        assert_eq!(found.into_raw(), format.preview_of(sample, [frames, 3, 5], frame).expect("a preview"), "{name}");
        let line = format!("preview in.safetensors --model {name} --enlarge 4 --out large.png --json");
        assert_eq!(folder.objects(&line)[0]["width"], 20 * edge, "{name}");
    }
}

fn refusals() {
    let (tensors, _) = latent(&LatentFormat::SDXL, &[3, 5]);
    let folder = Folder::with(&tensors);
    for (line, words) in [
        ("--model sd3", "[batch, 16, height, width]"),
        ("--model sdxl --sample 2", "--sample: expected one below 2, found 2"),
        ("--model sdxl --frame 1", "expected a frame below 1, found 1"),
        ("--model flux3", "the latents of flux3 are not known"),
        ("--format sana", "expected"),
        ("--model sdxl --tensor none", "none"),
    ] {
        folder.refuses(&format!("preview in.safetensors {line} --out out.safetensors"), &[words]);
    }
}
