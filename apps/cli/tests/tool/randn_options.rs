//! The options of `randn`: our own noise, what is refused, and what is reported.

use crate::randn::randn;
use crate::support::Folder;
use crate::{Needs, Test};

pub const TESTS: &[Test] =
    &[("own_noise", Needs::Nothing, own), ("bad_options", Needs::Nothing, bad_options), ("json", Needs::Nothing, json)];

/// The source `tweedie` draws the noise that every command draws; the increments of `brownian-path` add up, whatever its steps.
fn own() {
    let out = randn("--seed 7 --shape 3,5 --shape 3,5 --dtype f64");
    for stream in 0..2 {
        let expected = tweedie::NoiseKey::seed(7).stream(stream).reference(3, 5);
        assert_eq!(out.values(&format!("call{stream}")), expected);
    }
    let path = |more: &str| randn(&format!("--source brownian-path --shape 2,3 --dtype f64 {more}")).values("noise");
    let (fine, coarse) = (path("--seed 5 --sigmas 9,4,1"), path("--seed 5 --sigmas 9,1"));
    for i in 0..6 {
        let sum = (fine[i] * 5f64.sqrt() + fine[6 + i] * 3f64.sqrt()) / 8f64.sqrt();
        assert!((sum - coarse[i]).abs() < 1e-12);
    }
    assert_eq!(path("--seeds 5,6 --sigmas 9,1")[..3], coarse[..3]);
}

fn bad_options() {
    let folder = Folder::new();
    let refuses = |line: &str, words: &[&str]| folder.refuses(&format!("randn {line} --out out.safetensors"), words);
    refuses("--source tweedie --shape 4 --multiprocessors 4", &["--multiprocessors does not apply to the tweedie"]);
    refuses("--source nv --shape 4 --threads-per-multiprocessor 512", &["--threads-per-multiprocessor does not apply"]);
    refuses("--source torch-cuda --shape 4 --multiprocessors 0", &["multiprocessors", "between 1 and 65535"]);
    refuses("--source torch-cuda --shape 4 --threads-per-multiprocessor 255", &["between 256 and"]);
    refuses("--source torch-cuda --shape 4 --dtype f64", &["torch-cuda draws f32, f16, bf16, not f64"]);
    refuses("--source torch-cpu --shape 4 --x64", &["--x64 does not apply to the torch-cpu"]);
    refuses("--source torch-cpu --shape 4 --split", &["--split does not apply"]);
    refuses("--source torch-cpu --shape 4 --fold-in 1", &["--fold-in does not apply"]);
    refuses("--source torch-cpu --shape 4 --sigmas 1,2", &["--sigmas does not apply"]);
    refuses("--source torch-cpu --shape 4 --batch-index 1", &["--batch-index does not apply"]);
    refuses("--source comfyui --shape 2,4 --batch-index 1", &["expected 2 batch indices, one per sample, found 1"]);
    refuses("--source comfyui --shape 1,4 --batch-index 99999999999", &["at most"]);
    refuses("--source comfyui --shape 1,4 --seeds 1", &["--seeds does not apply"]);
    refuses("--source numpy-legacy --shape 4 --seed 4294967296", &["numpy-legacy takes seeds up to 4294967295"]);
    refuses("--source torch-cpu --shape 2,4 --seeds 1,2,3", &["expected 2 seeds, one per sample, found 3"]);
    refuses("--source brownian --shape 4", &["needs --sigmas"]);
    refuses("--source brownian --shape 4 --sigmas 1", &["two levels or more"]);
    refuses("--source brownian --shape 4 --sigmas 1,x", &["expected a finite number, found `x`"]);
    refuses("--source brownian --shape 4 --sigmas 1:2,3", &["pairs FROM:TO throughout, found `3`"]);
    refuses("--source brownian --shape 4 --sigmas 2,nan", &["expected a finite number, found `nan`"]);
    refuses("--source brownian --shape 4 --sigmas 2,2", &["sigma_max"]);
    refuses("--source brownian --shape 4 --sigmas 2,1 --words", &["--words does not apply"]);
    refuses("--source brownian --shape 4 --shape 4 --sigmas 2,1", &["second --shape"]);
    refuses("--source brownian-path --shape 4 --sigmas 2,1 --sigma-max 3", &["--sigma-max does not apply"]);
    refuses("--shape 4,x", &["expected sizes"]);
    refuses("--shape 4 --source perlin", &["expected tweedie, torch-cpu"]);
    refuses("--shape 4 --dtype f8", &["expected f64, f32, f16 or bf16"]);
    refuses("--shape 4 --dtype f32,f16", &["expected one --dtype, or one for each of 1 draws, found 2"]);
    refuses("--shape 1,2,3 --variation-seed 1", &["--variation-strength"]);
    refuses("--shape 2,3,4 --variation-seed 1 --variation-strength 2", &["between 0 and 1"]);
    refuses("--shape 12 --variation-seed 1 --variation-strength 0.5", &["samples [C, H, W]"]);
    for shape in ["1048576,1048576", "18446744073709551615,2", "0,18446744073709551615,18446744073709551615"] {
        refuses(&format!("--shape {shape}"), &["at most", "numbers"]);
        refuses(&format!("--source torch-cuda --shape {shape}"), &["at most"]);
        refuses(&format!("--source brownian --sigmas 2,1 --shape {shape}"), &["at most"]);
    }
}

fn json() {
    let folder = Folder::new();
    let said = folder.objects("randn --source nv --seed 3 --shape 2,3 --out out.safetensors --json");
    assert_eq!(said[0]["source"], "nv");
    assert_eq!(said[0]["shapes"], serde_json::json!([[2, 3]]));
    let listed = folder.objects("list noise-sources --json");
    assert!(listed[0].as_array().expect("a list").iter().any(|entry| entry["name"] == "torch-cuda"));
}
