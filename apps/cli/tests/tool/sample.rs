//! `tweedie sample`: where it ends, what it draws, and what it refuses.

use crate::support::Folder;
use crate::{Needs, Test};
use image::{Rgb, RgbImage};
use serde_json::Value;
use tweedie::math::Sampler;

pub const TESTS: &[Test] = &[
    ("every_sampler_ends_on_pictures", Needs::Adapter, every_sampler_ends_on_pictures),
    ("pictures_of_ones_own", Needs::Adapter, pictures_of_ones_own),
    ("a_seed_begins_at_the_same_noise", Needs::Adapter, a_seed_begins_at_the_same_noise),
    ("what_need_not_end_on_a_picture", Needs::Adapter, what_need_not_end_on_a_picture),
    ("the_default_choice_fits_the_model", Needs::Adapter, default_choice),
    ("refuses_in_words", Needs::Nothing, refuses_in_words),
];

/// Runs `sample --json`, and returns a line for each sampler, and the paths of the files.
fn lines(folder: &Folder, options: &str) -> (Vec<Value>, Vec<String>) {
    let mut lines = folder.objects(&format!("sample --out drawn --json {options}"));
    let files = lines.pop().expect("the files");
    let paths = files["files"].as_array().expect("a list").iter();
    (lines, paths.map(|path| path.as_str().expect("a path").to_owned()).collect())
}

fn every_sampler_ends_on_pictures() {
    let folder = Folder::new();
    let (samplers, files) = lines(&folder, "--sampler all --size 16 --count 2");
    let towards = Sampler::CATALOGUE.entries.iter().filter(|it| !it.make.inverts() && !it.make.is_sliced());
    let count = towards.count();
    assert_eq!((samplers.len(), files.len()), (count, count + 1));
    for line in &samplers {
        let calls = line["calls"].as_u64().expect("calls");
        let name = line["sampler"].as_str().expect("a name");
        let twice = ["heun", "dpm2", "dpm2-ancestral", "dpm++-sde"].iter().any(|twice| name.ends_with(twice));
        let calls_of = match name {
            // pndm calls twice in its first step, f-pndm four times in its first three, repaint jumps back.
            "pndm" => 21,
            "f-pndm" => 29,
            "repaint" => 110,
            _ if twice => 39,
            _ => 20,
        };
        assert_eq!(calls, calls_of, "{line}");
        // One for the start; for each call two of the network and one step.
        assert_eq!(line["dispatches"].as_u64(), Some(1 + 3 * calls), "{line}");
        assert_eq!(line["landed"], true, "{line}");
        // The last step of these mixes in slopes of earlier calls, so it ends near the last call's clean sample, but not on it.
        let mixes = ["pndm", "f-pndm", "lms", "ipndm"].contains(&name);
        let least = if mixes { 50.0 } else { 100.0 };
        assert!(line["psnr_worst"].as_f64().is_some_and(|psnr| psnr > least), "{line}");
    }
    for path in files {
        let drawn = image::open(folder.path(&path)).expect("a picture").to_rgb8();
        assert!(drawn.width() > 500 && drawn.height() > 300, "{path}");
    }
    let names = std::fs::read_dir(folder.path("drawn")).expect("the folder");
    assert_eq!(names.count(), count + 1, "no temporary file is left");
}

fn pictures_of_ones_own() {
    let folder = Folder::new();
    let stripes = |width, height, step: u32| {
        RgbImage::from_fn(width, height, |x, y| Rgb([(x / step * 90) as u8, (y / step * 70) as u8, (x * y) as u8]))
    };
    stripes(60, 40, 9).save(folder.path("wide.png")).expect("a picture");
    stripes(20, 90, 5).save(folder.path("tall.jpg")).expect("a picture");
    stripes(3, 3, 1).save(folder.path("tiny.png")).expect("a picture");
    for prediction in ["epsilon", "x0", "v", "flow"] {
        let options = "--sampler heun --count 12 --size 24";
        let (samplers, _) = lines(&folder, &format!("wide.png tall.jpg tiny.png {options} --prediction {prediction}"));
        assert_eq!(
            (&samplers[0]["landed"], &samplers[0]["prediction"]),
            (&Value::from(true), &Value::from(prediction))
        );
        let found = samplers[0]["found"].as_array().expect("names");
        assert!(
            found.len() > 1 && found.iter().all(|name| ["wide", "tall", "tiny"].contains(&name.as_str().unwrap_or("")))
        );
    }
}

/// From the same noise, deterministic solvers reach the same picture with any number of steps; another noise gives another picture.
fn a_seed_begins_at_the_same_noise() {
    let folder = Folder::new();
    let found = |options: &str| {
        let (samplers, _) = lines(&folder, &format!("--size 16 --count 1 {options}"));
        samplers.iter().map(|line| line["found"].clone()).collect::<Vec<_>>()
    };
    let names = found("--sampler ddim,euler,heun,unipc --steps 40");
    assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
    assert_eq!(found("--sampler ddim --steps 200")[0], names[0]);
    assert!((2..8).any(|seed| found(&format!("--sampler ddim --steps 40 --seed {seed}"))[0] != names[0]));
}

/// The default samplers are those that support the options, and none of them that must end on a picture misses it.
fn default_choice() {
    let folder = Folder::new();
    let any = ["ddpm", "ddim", "heun", "dpm++"];
    let with_flow = ["ddpm", "ddim", "heun", "dpm++", "flow-euler"];
    for (options, expected) in [
        ("", &with_flow[..]),
        ("--process vp", &any),
        ("--process ve", &with_flow),
        ("--process edm", &with_flow),
        ("--process trigflow", &with_flow),
        ("--process flow", &with_flow),
        ("--process rising-flow", &with_flow),
        ("--schedule cosine", &any),
        ("--eta 0.5", &["ddim"]),
    ] {
        let (samplers, _) = lines(&folder, &format!("{options} --size 16 --count 1 --steps 10"));
        let names: Vec<&str> = samplers.iter().filter_map(|line| line["sampler"].as_str()).collect();
        assert_eq!(names, expected, "{options}");
        // `landed` is null if the last call sees too much noise to have to end on a picture.
        assert!(samplers.iter().all(|line| line["landed"] != false), "{options}: {samplers:?}");
    }
}

fn what_need_not_end_on_a_picture() {
    let folder = Folder::new();
    for options in ["--timesteps 999", "--final sigma-min", "--clip 0.5"] {
        let (samplers, _) = lines(&folder, &format!("--sampler ddim --size 16 {options}"));
        assert_eq!(samplers[0]["landed"], Value::Null, "{options}");
        assert!(samplers[0]["psnr_worst"].as_f64().is_some_and(|psnr| psnr < 60.0), "{options}: {}", samplers[0]);
    }
}

fn refuses_in_words() {
    let folder = Folder::new();
    folder.write("text.png", b"this is no picture");
    for (options, words) in [
        ("--sampler no-such", &["--sampler", "flow-heun", ", or all"][..]),
        ("--sampler ddim-inverse", &["ddim-inverse", "leads from pictures to noise"]),
        ("--sampler ddim,", &["--sampler"]),
        ("--sampler ddpm --variance learned", &["ddpm", "--variance fixed-small"]),
        ("--sampler heun --eta 0.5", &["--eta does not apply to the heun sampler"]),
        ("--sampler ddim --prediction epsilon --zero-terminal-snr", &["epsilon does not determine x0", "alpha = 0"]),
        ("--sampler ddim --steps 0", &["at least 1 step"]),
        ("--steps 0", &["at least 1 step"]),
        ("--sampler ddim --steps 1001", &["at most 1000 steps", "1001"]),
        ("--sampler flow-euler --steps 10001", &["flow-euler", "at most 10000 calls", "10001"]),
        ("--config model.json", &["--config", "model.json"]),
        ("--count 0", &["--count"]),
        ("--count 65", &["--count"]),
        ("--size 4", &["--size"]),
        ("--size 513", &["--size"]),
        ("text.png", &["text.png", "expected a PNG or JPEG file"]),
        ("missing.png", &["missing.png", "no such file"]),
        (".", &["directory"]),
    ] {
        folder.refuses(&format!("sample {options} --out drawn"), words);
        assert!(!folder.path("drawn").exists(), "{options}");
    }
    let many = "missing.png ".repeat(50);
    folder.refuses(&format!("sample {many} --size 512 --out drawn"), &["50 of 512 x 512"]);
}
