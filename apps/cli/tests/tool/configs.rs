//! `--config` in every command that has it: the file is read once.

use crate::models::tape;
use crate::support::{Folder, OUT};
use crate::tensors::Tensors;
use crate::{Needs, Test};
use safetensors::Dtype;

pub const TESTS: &[Test] = &[
    #[cfg(unix)]
    ("a_pipe_is_read_once", Needs::Nothing, pipe),
];

/// Two samples of every tensor that a command looks for, and a tape of four calls.
fn folder() -> Folder {
    let values = [0.5, -0.25, 0.125, 1.0];
    let names = ["x0", "eps", "x_t", "prediction"];
    let all = names.into_iter().fold(tape(4), |all: Tensors, name| all.with(name, Dtype::F64, &[2, 2], &values));
    Folder::with(&all.with("t", Dtype::I64, &[2], &[10.0, 500.0]))
}

/// Every command that computes from a file, and needs no adapter for it.
const COMMANDS: [&str; 6] = [
    "noise in.safetensors --on cpu",
    "convert in.safetensors --to x0,epsilon --on cpu",
    "posterior in.safetensors --on cpu",
    "loss in.safetensors --weight min-snr --on cpu",
    "replay in.safetensors --sampler ddim --steps 4 --on cpu",
    "schedule",
];

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
