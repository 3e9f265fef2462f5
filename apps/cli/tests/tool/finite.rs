//! Results beyond the range of their type: refused, or written with a warning.

use crate::support::{Folder, OUT};
use crate::tensors::Tensors;
use crate::{Needs, Test};
use safetensors::Dtype;

pub const TESTS: &[Test] = &[
    ("a_step_beyond_its_type", Needs::Adapter, step),
    ("a_conversion_beyond_its_type", Needs::Adapter, conversion),
    ("a_gradient_beyond_its_type", Needs::Adapter, gradient),
    ("a_coefficient_beyond_f32", Needs::Adapter, coefficient),
    ("a_value_that_does_not_exist_is_no_overflow", Needs::Nothing, undefined),
];

/// Asserts that the tool fails with code 1 and these words and writes nothing, and that with `--force` it warns and writes the file.
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

/// The clean sample that an epsilon implies at high noise is beyond f16, but within f32, where `--force` changes nothing.
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

/// The gradient of 1000*d^2 over one element: the loss is in range, its slope is not.
fn gradient() {
    let pair = Tensors::default().with("prediction", Dtype::F64, &[2, 1], &[0.0, 60.0]);
    let pair = pair.with("target", Dtype::F64, &[2, 1], &[0.0, 0.0]).with("t", Dtype::I64, &[2], &[0.0, 1.0]);
    let folder = Folder::with(&pair);
    Tensors::default().with("weights", Dtype::F64, &[1000], &[1000.0; 1000]).save(&folder.path("w.safetensors"));
    let words = "sample 1: tensor `grad` is beyond the range of f16: found inf at element 0";
    let line = "loss in.safetensors --predicts v --weight table --weights w.safetensors";
    overflows(&folder, &format!("{line} --storage f16"), words, "grad");
    assert_eq!(folder.output(&format!("{line} --out {OUT}")).values("grad"), [0.0, 120_000.0]);
}

/// A linear schedule of 20,000 timesteps ends with coefficients beyond f32. The file first uses two timesteps before that, then the
/// last one.
fn coefficient() {
    let pair = Tensors::default().with("x_t", Dtype::F64, &[2, 1], &[0.5, 1.0]);
    let pair = pair.with("prediction", Dtype::F64, &[2, 1], &[0.25, 2.0]);
    let folder = Folder::with(&pair.clone().with("t", Dtype::I64, &[2], &[0.0, 100.0]));
    let line = "convert in.safetensors --from epsilon --to x0 --train-timesteps 20000";
    for options in ["", " --allow-undefined"] {
        let found = folder.output(&format!("{line}{options} --out {OUT}"));
        assert!(found.values("x0").iter().all(|value| value.is_finite()));
        std::fs::remove_file(folder.path(OUT)).expect("the output");
    }
    pair.with("t", Dtype::I64, &[2], &[0.0, 19_999.0]).save(&folder.path("in.safetensors"));
    let refused = folder.run(&format!("{line} --out {OUT}"));
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("sample 1: a coefficient does not fit f32"), "{}", refused.stderr);
    let allowed = folder.run(&format!("{line} --allow-undefined --out {OUT}"));
    assert_eq!(allowed.code, Some(0), "{}", allowed.stderr);
    let values = Tensors::load(&folder.path(OUT)).values("x0");
    assert!(values[0].is_finite() && values[1].is_nan(), "{values:?}");
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
