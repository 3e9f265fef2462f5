//! Results beyond the range of their type: refused, or written with a warning.

use crate::support::{Folder, OUT};
use crate::tensors::Tensors;
use crate::{Needs, Test};
use safetensors::Dtype;

pub const TESTS: &[Test] = &[
    ("a_step_beyond_its_type", Needs::Adapter, step),
    ("a_conversion_beyond_its_type", Needs::Adapter, conversion),
    ("a_value_that_does_not_exist_is_no_overflow", Needs::Nothing, undefined),
];

/// The program fails with code 1 and these words, writes nothing, and writes all the same with `--force`.
#[track_caller]
fn overflows(folder: &Folder, line: &str, words: &str, name: &str) {
    let line = format!("{line} --out {OUT}");
    let run = folder.run(&line);
    assert_eq!(run.code, Some(1), "{line}: {}", run.stderr);
    assert!(run.stderr.contains(words) && run.stderr.contains("--force"), "{line}: {}", run.stderr);
    assert!(!folder.path(OUT).exists(), "{line}");
    let forced = folder.run(&format!("{line} --force"));
    assert_eq!(forced.code, Some(0), "{line}: {}", forced.stderr);
    assert!(forced.stderr.starts_with("warning: ") && forced.stderr.contains(words), "{line}: {}", forced.stderr);
    assert!(Tensors::load(&folder.path(OUT)).values(name).iter().any(|value| !value.is_finite()), "{line}");
}

/// The clean sample of epsilon at much noise is beyond f16, and what is finite passes.
fn step() {
    let outputs = [0.0, 600.0, 0.0, 600.0, 0.0, 600.0, 0.0, 600.0, 0.0, 600.0, 0.0, 600.0];
    let tape = Tensors::default().with("initial", Dtype::F64, &[2, 2], &[0.5, -1.0, 1.0, 0.25]);
    let folder = Folder::with(&tape.with("model_outputs", Dtype::F64, &[3, 2, 2], &outputs));
    let line = "replay in.safetensors --schedule cosine --steps 3 --sampler";
    let words = "step 1, sample 0: tensor `pred_x0` is beyond the range of f16: found -inf at element 1";
    for sampler in ["dpm++", "unipc"] {
        overflows(&folder, &format!("{line} {sampler} --storage f16"), words, "pred_x0");
        folder.output(&format!("{line} {sampler} --storage f32 --force --out {OUT}"));
        std::fs::remove_file(folder.path(OUT)).expect("the output");
    }
}

fn conversion() {
    let pair = Tensors::default().with("x_t", Dtype::F64, &[2, 2], &[0.0, 0.0, 1.0, 1.0]);
    let pair = pair.with("prediction", Dtype::F64, &[2, 2], &[0.0, 0.0, 1.0, -3e4]);
    let folder = Folder::with(&pair.with("t", Dtype::I64, &[2], &[0.0, 900.0]));
    let words = "sample 1: tensor `x0` is beyond the range of f16: found inf at element 1";
    overflows(&folder, "convert in.safetensors --from epsilon --to epsilon,x0 --storage f16", words, "x0");
    folder.output(&format!("convert in.safetensors --from epsilon --to x0 --out {OUT}"));
}

fn undefined() {
    let pair = Tensors::default().with("x_t", Dtype::F64, &[1, 2], &[0.5, 1.0]);
    let pair = pair.with("prediction", Dtype::F64, &[1, 2], &[0.25, 2.0]);
    let folder = Folder::with(&pair.with("t", Dtype::I64, &[1], &[999.0]));
    let line = "convert in.safetensors --from epsilon --to x0 --zero-terminal-snr --allow-undefined --on cpu";
    let run = folder.run(&format!("{line} --out {OUT}"));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(Tensors::load(&folder.path(OUT)).values("x0").iter().all(|value| value.is_nan()));
}
