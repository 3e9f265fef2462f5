//! `tweedie study`: its numbers against formulas that are written down here independently, and what it refuses.

use crate::support::{Folder, fails};
use crate::tensors::Tensors;
use crate::{Needs, Test};
use image::{Rgb, RgbImage};
use safetensors::Dtype;
use serde_json::Value;
use std::fs;
use tweedie::math::Model;

pub const TESTS: &[Test] = &[
    ("the_generated_picture", Needs::Adapter, generated_picture),
    ("an_npy_of_unit_variance_at_zero_terminal_snr", Needs::Adapter, unit_variance),
    ("the_advice_follows_the_data", Needs::Adapter, advice),
    ("a_tensor_under_a_schedule_that_begins_without_noise", Needs::Adapter, clean_start),
    ("a_picture_under_one_timestep", Needs::Adapter, one_timestep),
    ("a_wrong_coefficient_is_noticed", Needs::Adapter, wrong_coefficient),
    ("a_study_of_every_process", Needs::Adapter, processes),
    ("data_that_cannot_be_studied", Needs::Nothing, bad_data),
    ("damaged_npy_files", Needs::Nothing, damaged_npy),
    ("options_that_contradict", Needs::Nothing, bad_options),
];

/// Allowed relative error of an amplification: some roundings of f32 against errors of 1%.
const AMPLIFICATION: f64 = 1e-3;

/// Allowed relative error of a variance at 32768 elements: six standard errors of sqrt(2/32768).
const VARIANCE: f64 = 0.047;

/// An .npy file as NumPy writes it, except for the padding.
fn npy(descr: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), values].concat()
}

fn singles(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Runs a study, and reads what it wrote.
#[track_caller]
fn study(folder: &Folder, line: &str) -> Value {
    let printed = &folder.objects(&format!("study {line} --out s --json"))[0];
    let file: Value = serde_json::from_slice(&fs::read(folder.path("s/study.json")).expect("a file")).expect("JSON");
    for key in ["data", "claims", "advice", "agreement", "visited"] {
        assert_eq!(printed[key], file[key], "{line}: {key}");
    }
    assert_eq!(file["agreement"]["off"], 0);
    let svg = fs::read_to_string(folder.path("s/study.svg")).expect("a plot");
    for text in
        ["variance", "amplification", "weight", "relative error", "timestep", "epsilon into x0", "signal in bf16"]
    {
        assert!(svg.contains(text), "{line}: no {text}");
    }
    assert!(svg.starts_with("<svg") && !svg.contains("NaN") && svg.len() < 200 << 10, "{line}");
    assert_eq!(fs::read_dir(folder.path("s")).expect("the folder").count(), 2, "no temporary file is left");
    file
}

fn moments(study: &Value) -> &[Value] {
    study["moments"].as_array().expect("moments")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// Asserts that both numbers are near each other, or that neither exists.
#[track_caller]
fn assert_near(what: &str, found: f64, expected: f64, relative: f64) {
    let near = (found - expected).abs() <= relative * expected.abs();
    assert!(near || (found.is_nan() && !expected.is_finite()), "{what}: {found:e}, expected {expected:e}");
}

/// Checks the numbers of every moment, given the data's variance and the schedule's abar.
#[track_caller]
fn check(study: &Value, variance: f64, abar: &dyn Fn(usize) -> f64) {
    for moment in moments(study) {
        let t = moment["t"].as_u64().expect("a timestep") as usize;
        let (signal, noise) = (abar(t), 1.0 - abar(t));
        let (alpha, sigma, snr) = (signal.sqrt(), noise.sqrt(), signal / noise);
        // The deviation that EDM assumes of the data, and the deviation of x_t for such data.
        let assumed = 0.5;
        let norm = (assumed * alpha).hypot(sigma);
        let edm = (noise / (assumed * assumed) * variance + assumed * assumed * signal) / (norm * norm);
        let targets = [
            ("epsilon", 1.0, sigma / alpha, 1.0),
            ("x0", variance, 1.0, alpha / sigma),
            ("v", signal + noise * variance, sigma, alpha),
            ("flow", 1.0 + variance, sigma / (alpha + sigma), alpha / (alpha + sigma)),
            ("score", 1.0 / noise, noise / alpha, sigma),
            ("edm", edm, assumed * sigma / norm, assumed * alpha / norm),
        ];
        for (name, variance, into_x0, into_epsilon) in targets {
            let target = &moment["targets"][name];
            let what = |part: &str| format!("{name} at t = {t}: {part}");
            assert_near(&what("variance"), number(&target["variance"]["measured"]), variance, VARIANCE);
            assert_near(&what("x0"), number(&target["into_x0"]["measured"]), into_x0, AMPLIFICATION);
            assert_near(&what("epsilon"), number(&target["into_epsilon"]["measured"]), into_epsilon, AMPLIFICATION);
        }
        for (name, weight) in [("epsilon", snr), ("x0", 1.0), ("v", 1.0 + snr)] {
            let found = number(&moment["weight_of_plain_loss"][name]);
            let exists = weight > 0.0; // an amplification without end has no inverse
            assert_near(name, found, if exists { weight } else { f64::NAN }, 3.0 * AMPLIFICATION);
        }
        assert_near("min-snr", number(&moment["weight"]["min-snr, gamma 5"]), snr.min(5.0), 1e-9);
    }
}

/// `abar` of some betas.
fn abar(betas: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut product = 1.0;
    let multiply = |beta: f64| {
        product *= 1.0 - beta;
        product
    };
    betas.map(multiply).collect()
}

/// A thousand numbers from one to another.
fn thousand(start: f64, end: f64) -> impl Iterator<Item = f64> {
    (0..1000).map(move |i| start + f64::from(i) / 999.0 * (end - start))
}

/// `abar` of betas from 1e-4 to 0.02.
fn linear() -> Vec<f64> {
    abar(thousand(1e-4, 0.02))
}

#[track_caller]
fn claim(study: &Value, word: &str) -> (bool, String) {
    let claims = study["claims"].as_array().expect("claims");
    let mut fitting = claims.iter().filter(|claim| claim["claim"].as_str().is_some_and(|text| text.contains(word)));
    let found = fitting.next().unwrap_or_else(|| panic!("no claim about {word}"));
    (found["confirmed"].as_bool().expect("a verdict"), found["found"].as_str().expect("numbers").to_owned())
}

/// The prediction and the weight that a study advises.
fn advised(study: &Value) -> (&str, &str) {
    let text = |part: &str| study["advice"][part].as_str().expect("advice");
    (text("prediction"), text("weight"))
}

fn generated_picture() {
    let folder = Folder::new();
    let study = study(&folder, "");
    let abar = linear();
    let variance = number(&study["data"]["deviation"]).powi(2);
    assert!((0.1..0.3).contains(&variance), "{variance}");
    check(&study, variance, &|t| abar[t]);
    assert!(fails(|| check(&study, variance, &|t| abar[t] * 0.99)), "a wrong schedule passes");
    assert!(fails(|| check(&study, variance * 1.1, &|t| abar[t])), "a wrong variance passes");
    let visited: Vec<u64> = study["visited"].as_array().expect("a list").iter().filter_map(Value::as_u64).collect();
    assert_eq!(visited, (1..=20).rev().map(|i| 50 * i - 1).collect::<Vec<u64>>());
    let measured = moments(&study).iter().filter(|moment| moment["visited"] == true).count();
    assert_eq!(measured, 20);
    assert!(claim(&study, "unit variance").0 && claim(&study, "never amplify").0);
    let (near_one, found) = claim(&study, "v's variance");
    assert!(!near_one && found.contains("0.17"), "{found}");
    let (high_noise, found) = claim(&study, "high noise");
    assert!(high_noise && found.contains("157-fold into x0 at t = 999"), "{found}");
    let (low_noise, found) = claim(&study, "low noise");
    assert!(low_noise && found.contains("100-fold into epsilon at t = 0"), "{found}");
    assert_eq!(advised(&study), ("v", "min-snr --gamma 5"));
    // bf16 has 8 bits: little is left of a signal of 0.006 next to noise of 1, but most of noise of 0.01.
    let [first, .., last] = moments(&study) else { panic!("too few moments") };
    let error = |moment: &Value, storage: &str, part: &str| number(&moment["error_of_recovered"][storage][part]);
    assert!((0.3..1.0).contains(&error(last, "bf16", "signal")) && error(last, "bf16", "noise") < 0.01);
    assert!((0.03..0.2).contains(&error(first, "bf16", "noise")) && error(first, "bf16", "signal") < 0.01);
    for (moment, part) in [(first, "noise"), (last, "signal")] {
        assert_near("bits", error(moment, "bf16", part) / error(moment, "f16", part), 8.0, 0.1);
    }
}

fn unit_variance() {
    let folder = Folder::new();
    // Plus and minus one, in big-endian f64.
    let values: Vec<u8> = (0..600).flat_map(|i| if i % 2 == 0 { 1f64 } else { -1.0 }.to_be_bytes()).collect();
    folder.write("unit.npy", &npy(">f8", "(3, 200)", &values));
    let study = study(&folder, "unit.npy --schedule scaled-linear --zero-terminal-snr --steps 50 --seed 7");
    let roots = thousand(0.00085f64.sqrt(), 0.012f64.sqrt());
    let signal: Vec<f64> = abar(roots.map(|root| root * root)).into_iter().map(f64::sqrt).collect();
    check(&study, 1.0, &|t| ((signal[t] - signal[999]) * signal[0] / (signal[0] - signal[999])).powi(2));
    assert!(claim(&study, "v's variance").0 && claim(&study, "high noise").1.contains("t = 999 it determines nothing"));
    let last = moments(&study).last().expect("moments");
    assert!(last["targets"]["epsilon"]["into_x0"]["measured"].is_null() && last["snr"] == 0.0);
    assert_eq!(advised(&study), ("v", "edm --sigma-data 1.00"));
    let reasons = study["advice"]["reasons"].to_string();
    assert!(reasons.contains("epsilon no x0 at all (t = 999)") && reasons.contains("min-snr would"), "{reasons}");
}

/// If the data's variance is small, a network for v must mostly predict noise, so x0 is better.
fn advice() {
    let folder = Folder::new();
    let (mean, deviation) = (0.3f64, 0.05f64);
    folder.write("small.npy", &npy("<f4", "(2,)", &singles(&[(mean - deviation) as f32, (mean + deviation) as f32])));
    let study = study(&folder, "small.npy");
    let abar = linear();
    let worst = |cost: &dyn Fn(f64, f64) -> f64| {
        (1..=20).map(|i| abar[50 * i - 1]).map(|abar| cost(abar.sqrt(), (1.0 - abar).sqrt())).fold(0.0, f64::max)
    };
    let v = |alpha: f64, sigma: f64| (alpha * alpha + (sigma * deviation).powi(2)).sqrt();
    let expected = [
        ("epsilon", worst(&|alpha, sigma| (sigma / alpha / deviation).max(1.0))),
        ("x0", worst(&|alpha, sigma| (alpha / sigma * deviation).max(1.0))),
        ("v", worst(&|alpha, sigma| (sigma / deviation).max(alpha) * v(alpha, sigma))),
    ];
    let found = study["advice"]["worst"].as_array().expect("costs");
    assert_eq!(found.len(), expected.len());
    for (found, (name, factor)) in found.iter().zip(expected) {
        assert_eq!(found["prediction"], name);
        assert_near(name, number(&found["factor"]), factor, VARIANCE);
    }
    assert_eq!(advised(&study), ("x0", "max-snr --gamma 1"));
    assert!(study["advice"]["reasons"].to_string().contains("Take 2*x - 1"));
}

fn clean_start() {
    let folder = Folder::with(&Tensors::default().with("betas", Dtype::F64, &[4], &[0.0, 0.1, 0.5, 0.9]));
    let values: Vec<f64> = (0..40).map(|i| f64::from(i) - 20.0).collect();
    let latent = Tensors::default().with("latent", Dtype::F16, &[4, 10], &values);
    latent.with("other", Dtype::F16, &[4, 10], &values).save(&folder.path("two.safetensors"));
    let study = study(&folder, "two.safetensors --tensor latent --betas in.safetensors --steps 4");
    let [first, ..] = moments(&study) else { panic!("no moments") };
    assert!(first["targets"]["x0"]["into_epsilon"]["measured"].is_null(), "{first}");
    assert!(first["targets"]["score"].is_null() && first["weight_of_plain_loss"]["epsilon"].is_null(), "{first}");
    assert_eq!(number(&first["targets"]["v"]["into_epsilon"]["expected"]), 1.0);
    assert!(study["data"]["looks_like"]["remedy"].as_str().is_some_and(|text| text.starts_with("0.0866")));
    assert!(study["advice"]["reasons"].to_string().contains("Take 0.0866*x"));
    folder.refuses("study two.safetensors", &["expected a tensor `x0`, found `latent`, `other`"]);
    folder.refuses("study two.safetensors --tensor neither", &["expected a tensor `neither`"]);
}

fn one_timestep() {
    let folder = Folder::new();
    RgbImage::from_fn(30, 20, |x, y| Rgb([x as u8 * 8, y as u8 * 12, 90]))
        .save(folder.path("a.PNG"))
        .expect("a picture");
    let study = study(&folder, "a.PNG --train-timesteps 1");
    assert_eq!((moments(&study).len(), &study["visited"]), (1, &serde_json::json!([0])));
    assert!(study["data"]["looks_like"]["what"].as_str().is_some_and(|text| text.contains("-1..1")));
    check(&study, number(&study["data"]["deviation"]).powi(2), &|_| 1.0 - 1e-4);
    let text = folder.succeeds("study a.PNG --train-timesteps 1 --out s");
    for word in ["a.PNG", "For 1 step, predict", "measurements agree", "s/study.svg", "confirmed", "corrected"] {
        assert!(text.contains(word), "no {word} in: {text}");
    }
}

/// The measurements agree with their formulas for every process, at any scale of the noise.
fn processes() {
    let folder = Folder::new();
    for process in Model::PROCESSES.entries {
        study(&folder, &format!("--process {} --train-timesteps 20 --steps 5", process.name));
    }
}

fn wrong_coefficient() {
    let folder = Folder::new();
    folder.write("a.npy", &npy("<f4", "(3,)", &singles(&[0.5, -0.5, 0.9])));
    let run = folder.run("study a.npy --train-timesteps 10 --wrong-coefficient --out s");
    run.assert_one_line_error("study", 1);
    assert!(run.stderr.contains("measurements disagree with their formulas"), "{}", run.stderr);
    assert_eq!(fs::read_dir(folder.path("s")).expect("the folder").count(), 0, "nothing is drawn of wrong numbers");
}

fn bad_data() {
    let folder = Folder::new();
    for (name, bytes, words) in [
        (
            "nan.npy",
            npy("<f4", "(3,)", &singles(&[1.0, f32::NAN, 2.0])),
            &["expected finite", "NaN at flat index 1"][..],
        ),
        ("infinite.npy", npy("<f4", "(2, 1)", &singles(&[0.0, f32::NEG_INFINITY])), &["an infinity at flat index 1"]),
        ("empty.npy", npy("<f4", "(0, 3)", &[]), &["found shape [0, 3]"]),
        (
            "constant.npy",
            npy("<f4", "(4,)", &singles(&[0.25; 4])),
            &["found 0.25 (of all 4 elements)", "nothing to learn"],
        ),
        ("one.npy", npy("<f4", "()", &singles(&[3.0])), &["found 3 (of all 1 elements)"]),
        (
            "large.npy",
            npy("<f8", "(2,)", &[0f64.to_le_bytes(), 1e300f64.to_le_bytes()].concat()),
            &["that f32 can compute"],
        ),
        ("text.npy", npy("<U4", "(1,)", &[0; 16]), &["float or integer", "`<U4`"]),
        ("zero.npy", Vec::new(), &["damaged header"]),
        ("a.png", b"no picture".to_vec(), &["PNG or JPEG"]),
        ("a.safetensors", b"garbage".to_vec(), &["safetensors file"]),
        ("a.txt", b"1 2 3".to_vec(), &["expected the name of a .npy, .safetensors, .png or .jpg file"]),
    ] {
        folder.write(name, &bytes);
        folder.refuses(&format!("study {name} --out s"), &[&[name], words].concat());
        assert!(!folder.path("s").exists(), "{name}");
    }
    folder.refuses("study missing.npy", &["missing.npy", "no such file"]);
    fs::create_dir(folder.path("folder.npy")).expect("a folder");
    folder.refuses("study folder.npy", &["a directory"]);
    Tensors::default().with("x0", Dtype::F32, &[2], &[1.0, f64::NAN]).save(&folder.path("nan.safetensors"));
    folder.refuses("study nan.safetensors", &["nan.safetensors", "NaN at flat index 1"]);
}

fn damaged_npy() {
    let folder = Folder::new();
    let whole = npy("<f4", "(2,)", &singles(&[1.0, 2.0]));
    for length in [1, 7, 9, 11, 30, whole.len() - 8, whole.len() - 1] {
        folder.write("a.npy", &whole[..length]);
        folder.refuses("study a.npy", &["a.npy", "expected", "found"]);
    }
    folder.write("a.npy", &[&whole[..], b"more"].concat());
    folder.refuses("study a.npy", &["something follows the values"]);
    for shape in ["(4294967296, 4294967296, 2)", "(3,)", "(-1,)", "(99999999999999999999999,)"] {
        folder.write("a.npy", &npy("<f4", shape, &singles(&[1.0, 2.0])));
        folder.refuses("study a.npy", &["a.npy", "expected"]);
    }
}

fn bad_options() {
    let folder = Folder::new();
    folder.write("a.npy", &npy("|i1", "(2,)", &[1, 2]));
    folder.refuses("study a.npy --steps 0", &["--steps", "0 is not in"]);
    folder.refuses("study a.npy --steps 11 --train-timesteps 10", &["--steps", "at most 10", "found 11"]);
    folder.refuses("study a.npy --tensor x0", &["--tensor is for safetensors files"]);
    folder.refuses("study a.npy --schedule cosine --beta-end 0.1", &["--beta-end does not apply"]);
}
