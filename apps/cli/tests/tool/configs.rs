//! `--config`: the file is read once, and warnings name its old spellings.

use crate::models::tape;
use crate::support::{Folder, OUT};
use crate::tensors::Tensors;
use crate::{Needs, Test};
use safetensors::Dtype;

pub const TESTS: &[Test] = &[
    #[cfg(unix)]
    ("a_pipe_is_read_once", Needs::Nothing, pipe),
    ("old_spellings_are_told", Needs::Nothing, old),
    ("a_number_beside_a_list", Needs::Nothing, counted_twice),
];

/// Two samples of every tensor that a command reads, and a tape of four calls.
fn folder() -> Folder {
    let values = [0.5, -0.25, 0.125, 1.0];
    let names = ["x0", "eps", "x_t", "prediction"];
    let all = names.into_iter().fold(tape(4), |all: Tensors, name| all.with(name, Dtype::F64, &[2, 2], &values));
    Folder::with(&all.with("t", Dtype::I64, &[2], &[10.0, 500.0]))
}

/// The commands with `--config` that need no adapter.
const COMMANDS: [&str; 6] = [
    "noise in.safetensors --on cpu",
    "convert in.safetensors --to x0,epsilon --on cpu",
    "posterior in.safetensors --on cpu",
    "loss in.safetensors --weight min-snr --on cpu",
    "replay in.safetensors --sampler ddim --steps 4 --on cpu",
    "schedule",
];

/// A file with old spellings, and the warnings about them.
const OLD: &str = r#"{"_class_name": "FlaxDDIMScheduler", "beta_end": 0.0195, "beta_schedule": "scaled_linear",
    "beta_start": 0.0015, "clip_sample": false, "timestep_values": null, "tensor_format": "pt", "predict_epsilon": false}"#;
const READ_AS: [&str; 4] = [
    "FlaxDDIMScheduler is read as DDIMScheduler",
    "timestep_values is null",
    "tensor_format has no effect",
    "prediction_type: sample",
];

/// The lines on standard error of a run that succeeds.
#[track_caller]
fn warnings(folder: &Folder, config: &str, line: &str) -> Vec<String> {
    folder.write("model.json", config.as_bytes());
    let run = folder.run(&format!("{line} --config model.json --out {OUT}"));
    assert_eq!(run.code, Some(0), "{line}: {}", run.stderr);
    run.stderr.lines().map(str::to_owned).collect()
}

fn old() {
    for command in COMMANDS.into_iter().chain(["replay in.safetensors --steps 4 --on cpu"]) {
        let warnings = warnings(&folder(), OLD, command);
        assert_eq!(warnings.len(), READ_AS.len(), "{command}: {warnings:?}");
        for words in READ_AS {
            assert!(warnings.iter().any(|line| line.contains(words)), "{command}: {words}: {warnings:?}");
        }
    }
}

/// The error names the list that contradicts `--steps`, also for a class with its own list for two steps.
fn counted_twice() {
    let folder = folder();
    folder.write("flow.json", br#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}"#);
    folder.write("scm.json", br#"{"_class_name": "SCMScheduler", "prediction_type": "trigflow"}"#);
    for (config, list, option) in [
        ("flow.json", "--times 1,0.5", "--times"),
        ("flow.json", "--sigmas 1,0.5", "--sigmas"),
        ("flow.json", "--timesteps 999,1", "--timesteps"),
        ("scm.json", "--timesteps 1.5,1", "--timesteps"),
    ] {
        let line = format!("replay in.safetensors --config {config} --steps 2 {list} --on cpu --out {OUT}");
        folder.refuses(&line, &[&format!("--steps contradicts {option}, which says how many there are")]);
    }
}

/// A second read of a pipe finds nothing.
#[cfg(unix)]
fn pipe() {
    let config = r#"{"_class_name": "DDIMScheduler", "prediction_type": "v_prediction"}"#;
    for command in COMMANDS.into_iter().chain(["replay in.safetensors --steps 4 --on cpu"]) {
        let line = format!("{command} --config /dev/stdin --out {OUT}");
        let run = folder().fed(&line, config);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{line}");
    }
}
