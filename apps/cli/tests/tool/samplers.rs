//! `tweedie samplers`: every sampler that a run can have, in one table.

use crate::support::Folder;
use crate::{Needs, Test};
use serde_json::Value;

pub const TESTS: &[Test] = &[
    ("every_sampler_is_in_the_table", Needs::Nothing, all),
    ("what_cannot_be_compared_is_refused", Needs::Nothing, refused),
    ("samplers_draw_a_wall_on_the_adapter", Needs::Adapter, wall),
];

fn all() {
    let folder = Folder::new();
    let lines = folder.objects("samplers --calls 20,40 --out out --json");
    let names: Vec<&str> = lines.iter().filter_map(|line| line["sampler"].as_str()).collect();
    assert_eq!(names.len(), lines.len() - 1, "a line for each, and one for the file");
    assert!(["euler", "dpmpp_2m", "uni_pc", "res_3s", "dpm_adaptive"].iter().all(|name| names.contains(name)));
    let distance = |name: &str, column: usize| -> f64 {
        let line = lines.iter().find(|line| line["sampler"] == name).expect("the sampler");
        let run: &Value = &line["runs"][column];
        let calls = [&run["calls"], &run["most_calls"]].map(|count| count.as_u64().expect("a count of calls"));
        assert!(0 < calls[0] && calls[0] <= calls[1], "{name}: {run}");
        run["distance"].as_f64().expect("a distance")
    };
    assert!(distance("euler", 1) < 0.6 * distance("euler", 0));
    assert!(distance("dpmpp_2m", 0) < 0.3 * distance("euler", 0));
    let text = std::fs::read_to_string(folder.path("out/samplers.svg")).expect("the table");
    let words: Vec<&str> = text.split(['<', '>', '\n']).map(str::trim).collect();
    assert!(names.iter().all(|name| words.contains(name)), "{names:?}");
    // Another model and another scheduler give other numbers.
    let flow = folder.objects("samplers --sampler euler --calls 20 --model flow3 --scheduler simple --out out --json");
    assert_eq!((&flow[0]["model"], &flow[0]["scheduler"]), (&"flow3".into(), &"simple".into()));
    assert_ne!(flow[0]["runs"][0]["distance"], distance("euler", 0));
    // A run has as many steps as the calls allow: Heun makes two calls per step, except in the last. This scheduler has no grid of one
    // step.
    let few = folder.objects("samplers --sampler euler,heun --calls 1,6,7 --scheduler kl_optimal --out out --json");
    let steps = |sampler: usize| few[sampler]["runs"].as_array().expect("runs").iter().map(|run| run["steps"].clone());
    assert_eq!(steps(0).collect::<Vec<_>>(), [Value::Null, 6.into(), 7.into()]);
    assert_eq!(steps(1).collect::<Vec<_>>(), [Value::Null, 3.into(), 4.into()]);
}

fn refused() {
    let folder = Folder::new();
    folder.refuses("samplers --sampler eulr --out out", &["euler", "dpmpp_2m"]);
    folder.refuses("samplers --model sd99 --out out", &["sd15"]);
    folder.refuses("samplers --scheduler karas --out out", &["karras"]);
    folder.refuses("samplers --calls 0 --out out", &["0"]);
    folder.refuses("samplers --seed 1 --out out", &["--wall"]);
    folder.refuses("samplers --adapter 0 --out out", &["--wall"]);
    folder.refuses("samplers --wall 0 --out out", &["0"]);
}

/// One sampler of each kind (deterministic, with noise, with the unconditional prediction, choosing its own steps), and a flow.
fn wall() {
    let folder = Folder::new();
    let pixels = |options: &str| {
        let lines = folder.objects(&format!("samplers --calls 3,6 --wall 6 --out out --json {options}"));
        assert_eq!(lines[lines.len() - 1]["files"][1], "out/wall.png", "{options}");
        image::open(folder.path("out/wall.png")).expect("a picture").to_rgb8()
    };
    let wide = pixels("--sampler euler,euler_ancestral,dpmpp_2m_cfg_pp,dpm_adaptive");
    let one = pixels("--sampler euler");
    assert!(wide.width() > one.width() && wide.height() == one.height());
    // Only the points of a column are compared: the scale of the curve below depends on all samplers.
    let points = |image: &image::RgbImage, column: u32| {
        image::imageops::crop_imm(image, 220 + 174 * column, 172, 160, 158).to_image()
    };
    assert_eq!(points(&wide, 0), points(&one, 0), "the data");
    let euler = points(&one, 1);
    assert_eq!((1..=4).filter(|&column| points(&wide, column) == euler).count(), 1, "the same next to other samplers");
    let other = |options: &str| points(&pixels(&format!("--sampler euler {options}")), 1);
    assert_ne!(other("--seed 2"), euler);
    assert_ne!(other("--model flow3 --scheduler simple"), euler);
}
