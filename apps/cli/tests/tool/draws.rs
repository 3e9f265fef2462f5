//! Noise that the tool draws, and the shapes and types that its files may have.

use crate::support::{Folder, OUT, largest_difference};
use crate::tensors::{Tensor, Tensors};
use crate::{Needs, Test};
use safetensors::Dtype;
use tweedie::gpu::NoiseKey;
use tweedie::{Quantity, Schedule, Storage};

pub const TESTS: &[Test] = &[
    ("drawn_noise_is_the_reference_on_the_cpu", Needs::Nothing, || drawn("--on cpu", 0.0)),
    ("drawn_noise_is_the_reference_on_the_gpu", Needs::Adapter, || drawn("--on gpu", 4.0 / (1 << 24) as f64)),
    ("drawn_noise_in_half_precision", Needs::Adapter, drawn_in_halves),
    ("drawn_noise_is_the_same_on_gpu_and_cpu", Needs::Adapter, gpu_and_cpu),
    ("every_float_type_is_read", Needs::Nothing, float_types),
    ("every_integer_type_is_read_on_the_cpu", Needs::Nothing, || integer_types("--on cpu")),
    ("every_integer_type_is_read_on_the_gpu", Needs::Adapter, || integer_types("--on gpu")),
    ("every_rank_on_the_cpu", Needs::Nothing, || ranks("--on cpu")),
    ("every_rank_on_the_gpu", Needs::Adapter, || ranks("--on gpu --storage f16")),
    ("several_outputs_on_the_cpu", Needs::Nothing, || several_outputs("--on cpu")),
    ("several_outputs_on_the_gpu", Needs::Adapter, || several_outputs("--on gpu --storage bf16")),
    ("the_output_may_replace_the_input", Needs::Nothing, in_place),
    ("every_target", Needs::Nothing, targets),
    ("json", Needs::Nothing, json),
];

/// Odd sample sizes, with five samples at the critical timesteps.
const SHAPE: [usize; 3] = [5, 3, 21];
const TIMES: [usize; 5] = [0, 1, 500, 998, 999];

/// Allowed difference between a normal of a kernel and the f64 one.
const NORMAL: f64 = 2e-6;

fn ramp(count: usize) -> Vec<f64> {
    (0..count).map(|i| ((i * 37) % 33) as f64 / 16.0 - 1.0).collect()
}

/// Exact in every float type.
fn clean() -> Tensors {
    let t: Vec<f64> = TIMES.iter().map(|&t| t as f64).collect();
    Tensors::default().with("x0", Dtype::F32, &SHAPE, &ramp(315)).with("t", Dtype::I64, &[5], &t)
}

fn schedule() -> Schedule {
    Schedule::linear(1000, 1e-4, 0.02).expect("the usual schedule")
}

fn rows(quantity: Quantity) -> Vec<[f64; 2]> {
    let schedule = schedule();
    let row = |&t: &usize| quantity.row(schedule.levels()[t]).expect("a row");
    TIMES.iter().map(row).collect()
}

/// Asserts that each element of an output is the mixture of x0 and this noise, to within `relative` of its summed terms plus `slack`.
fn check_mix(
    what: &str,
    found: &[f64],
    noise: &[f64],
    quantity: Quantity,
    relative: f64,
    slack: impl Fn(f64, f64) -> f64,
) {
    let (x0, rows) = (ramp(315), rows(quantity));
    for (i, &found) in found.iter().enumerate() {
        let [a, b] = rows[i / 63];
        let (x, y) = (a * x0[i], b * noise[i]);
        let bound = relative * (x.abs() + y.abs()) + slack(x + y, b);
        assert!((found - x - y).abs() <= bound, "{what} element {i}: {found:e}, expected {:e}", x + y);
    }
}

fn drawn(on: &str, relative: f64) {
    let folder = Folder::with(&clean());
    let line = |seed: u64| format!("noise in.safetensors --target v --seed {seed} {on} --out {OUT}");
    for seed in [0, 1, u64::MAX] {
        let found = folder.output(&line(seed));
        assert_eq!(found.names(), ["eps", "target", "x_t"]);
        for name in found.names() {
            assert_eq!(found.tensor(name).shape, SHAPE, "{name}");
        }
        let (noise, reference) = (found.values("eps"), NoiseKey::seed(seed).reference(5, 63));
        for (i, (z, expected)) in noise.iter().zip(&reference).enumerate() {
            assert!((z - expected).abs() <= NORMAL, "seed {seed} element {i}: {z}, expected {expected}");
        }
        let relative = f64::max(relative, f64::EPSILON);
        check_mix("x_t", &found.values("x_t"), &noise, Quantity::Xt, relative, |_, _| 0.0);
        check_mix("v", &found.values("target"), &noise, Quantity::V, relative, |_, _| 0.0);
        assert_eq!(folder.output(&line(seed)), found, "the same seed, the same bytes");
    }
    let (one, two) = (folder.output(&line(1)), folder.output(&line(2)));
    let same = one.values("eps").iter().zip(two.values("eps")).filter(|(a, b)| **a == *b).count();
    assert!(same < 3, "{same} of 315 normals are those of another seed");
    // The default seed is 0.
    let unsaid = folder.output(&format!("noise in.safetensors --target v {on} --out {OUT}"));
    assert_eq!(unsaid, folder.output(&line(0)));
    // The noise of a written file can be given as input, and makes the same sample.
    clean().with_tensor("eps", one.tensor("eps").clone()).save(&folder.path("in.safetensors"));
    let again = folder.output(&format!("noise in.safetensors --target v {on} --out {OUT}"));
    assert_eq!(again.names(), ["target", "x_t"]);
    check_mix(
        "x_t",
        &again.values("x_t"),
        &one.values("eps"),
        Quantity::Xt,
        f64::max(relative, f64::EPSILON),
        |_, _| 0.0,
    );
    // A seed is refused if the file already has noise.
    folder.refuses(&line(1), &["--seed", "`eps`"]);
}

fn drawn_in_halves() {
    let folder = Folder::with(&clean());
    for storage in [Storage::F16, Storage::Bf16] {
        let found = folder.output(&format!("noise in.safetensors --target v --seed 9 --storage {storage} --out {OUT}"));
        let step = |x: f64| (2.0 * storage.unit_roundoff() * x.abs()).max(storage.smallest_step());
        for (z, expected) in found.values("eps").iter().zip(NoiseKey::seed(9).reference(5, 63)) {
            assert!((z - expected).abs() <= NORMAL + step(expected), "{storage}: {z}, expected {expected}");
        }
        // The kernel computes with the noise as drawn; the noise that it writes is rounded.
        let noise = NoiseKey::seed(9).reference(5, 63);
        for (name, quantity) in [("x_t", Quantity::Xt), ("target", Quantity::V)] {
            let slack = |value: f64, b: f64| step(value) + 4.0 * NORMAL * b.abs();
            check_mix(
                &format!("{storage} {name}"),
                &found.values(name),
                &noise,
                quantity,
                4.0 / (1 << 24) as f64,
                slack,
            );
        }
    }
}

fn gpu_and_cpu() {
    let folder = Folder::with(&clean());
    let [gpu, cpu] =
        ["gpu", "cpu"].map(|on| folder.output(&format!("noise in.safetensors --seed 5 --on {on} --out {OUT}")));
    for name in ["eps", "target", "x_t"] {
        assert_eq!(gpu.tensor(name).dtype, Dtype::F32, "{name}");
        assert_eq!(cpu.tensor(name).dtype, Dtype::F64, "{name}");
        let largest = largest_difference(&gpu.values(name), &cpu.values(name));
        assert!(largest <= NORMAL + 8.0 / (1 << 24) as f64 * 6.0, "{name}: {largest:e} apart");
    }
}

fn float_types() {
    let line = format!("convert in.safetensors --from v --to x0 --on cpu --out {OUT}");
    let (values, t) = (ramp(315), clean());
    let input =
        |x_t, prediction| clean().with("x_t", x_t, &SHAPE, &values).with("prediction", prediction, &SHAPE, &values);
    let expected = Folder::with(&input(Dtype::F32, Dtype::F32)).output(&line);
    for (x_t, prediction) in
        [(Dtype::F64, Dtype::F64), (Dtype::F16, Dtype::F16), (Dtype::BF16, Dtype::BF16), (Dtype::F16, Dtype::F64)]
    {
        assert_eq!(Folder::with(&input(x_t, prediction)).output(&line), expected, "{x_t:?} and {prediction:?}");
        let noisy = t.clone().with("x0", x_t, &SHAPE, &values).with("eps", prediction, &SHAPE, &values);
        let found = Folder::with(&noisy).output(&format!("noise in.safetensors --on cpu --out {OUT}"));
        check_mix("x_t", &found.values("x_t"), &values, Quantity::Xt, f64::EPSILON, |_, _| 0.0);
    }
}

fn integer_types(on: &str) {
    let line = format!("noise in.safetensors --target x0 --seed 3 {on} --out {OUT}");
    let expected = Folder::with(&clean()).output(&line);
    let t: Vec<f64> = TIMES.iter().map(|&t| t as f64).collect();
    for dtype in [Dtype::I32, Dtype::U32] {
        assert_eq!(Folder::with(&clean().with("t", dtype, &[5], &t)).output(&line), expected, "{dtype:?}");
    }
}

fn ranks(on: &str) {
    let input = |shape: &[usize], batch: usize| {
        let t: Vec<f64> = (0..batch).map(|i| (i * 40) as f64).collect();
        Tensors::default().with("t", Dtype::I32, &[batch], &t).with("x_t", Dtype::F32, shape, &ramp(24)).with(
            "prediction",
            Dtype::F32,
            shape,
            &ramp(24),
        )
    };
    let line = |command: &str| format!("{command} {on} --out {OUT}");
    // At timestep 0 a flow has no noise, and so no score.
    let commands =
        ["convert in.safetensors --from flow --to score,v --schedule linear", "posterior in.safetensors --from v"]
            .map(line);
    let first = commands.clone().map(|line| Folder::with(&input(&[4, 6], 4)).output(&line));
    for shape in [&[4, 2, 3][..], &[4, 1, 6, 1], &[4, 3, 1, 2, 1]] {
        let folder = Folder::with(&input(shape, 4));
        for (line, first) in commands.iter().zip(&first) {
            let found = folder.output(line);
            for (name, Tensor { dtype, bytes, .. }) in &first.0 {
                let like = found.tensor(name);
                assert_eq!((like.dtype, &like.bytes), (*dtype, bytes), "{shape:?} {name}");
                let per_sample = name.contains("variance");
                assert_eq!(like.shape, if per_sample { &[4][..] } else { shape }, "{shape:?} {name}");
            }
        }
    }
    // Rank 1: every sample is one number, and each of the 24 has its own timestep.
    let found = Folder::with(&input(&[24], 24)).output(&commands[1]);
    assert_eq!((&found.tensor("mean").shape[..], &found.tensor("variance").shape[..]), (&[24][..], &[24][..]));
    let single = Folder::with(&input(&[24, 1], 24)).output(&commands[1]);
    assert_eq!(found.tensor("mean").bytes, single.tensor("mean").bytes);
}

fn predicted() -> Tensors {
    clean().with("x_t", Dtype::F32, &SHAPE, &ramp(315)).with("prediction", Dtype::F64, &SHAPE, &ramp(315))
}

fn several_outputs(on: &str) {
    let folder = Folder::with(&predicted());
    let convert =
        |to: &str| folder.output(&format!("convert in.safetensors --from epsilon --to {to} {on} --out {OUT}"));
    let all = convert("x0,epsilon,v");
    assert_eq!(all.names(), ["epsilon", "v", "x0"]);
    for name in ["x0", "epsilon", "v"] {
        let alone = convert(name);
        assert_eq!(alone.names(), [name]);
        assert_eq!(alone.tensor(name), all.tensor(name), "{name} on its own");
    }
    assert_eq!(convert("score,flow,v,x_t,epsilon,x0").names(), ["epsilon", "flow", "score", "v", "x0", "x_t"]);
    // A quantity that the file has is returned unchanged, under the name by which it was requested.
    let same = convert("noisy,eps");
    assert_eq!((same.names(), same.values("eps")), (vec!["eps", "noisy"], ramp(315)));
    assert_eq!(same.values("noisy"), ramp(315));
}

fn in_place() {
    for command in [
        "noise in.safetensors --seed 4",
        "convert in.safetensors --from v --to x0",
        "posterior in.safetensors --from v",
    ] {
        let folder = Folder::with(&predicted());
        let expected = folder.output(&format!("{command} --on cpu --out {OUT}"));
        folder.succeeds(&format!("{command} --on cpu --out in.safetensors"));
        assert_eq!(Tensors::load(&folder.path("in.safetensors")), expected, "{command}");
        assert_eq!(folder.names(), ["in.safetensors", OUT]);
    }
}

fn targets() {
    let noise = ramp(315).into_iter().rev().collect::<Vec<f64>>();
    let folder = Folder::with(&clean().with("eps", Dtype::F32, &SHAPE, &noise));
    for (names, quantity) in [
        (&["epsilon", "eps", "noise"][..], Quantity::Epsilon),
        (&["x0", "sample", "x_start"], Quantity::X0),
        (&["v", "v_prediction", "velocity"], Quantity::V),
        (&["score"], Quantity::Score),
        (&["flow", "flow_prediction", "Flow-Velocity"], Quantity::Flow),
    ] {
        for name in names {
            let found = folder.output(&format!("noise in.safetensors --target {name} --on cpu --out {OUT}"));
            check_mix(name, &found.values("target"), &noise, quantity, 1e-14, |_, _| 0.0);
        }
    }
    let unsaid = folder.output(&format!("noise in.safetensors --on cpu --out {OUT}"));
    assert_eq!(unsaid.values("target"), noise, "the usual target is epsilon");
}

fn json() {
    let folder = Folder::with(&clean());
    let object = |line: &str| folder.objects(&format!("{line} --on cpu --out {OUT} --json")).remove(0);
    let noise = object("noise in.safetensors --target v");
    assert_eq!(noise, serde_json::json!({ "shape": SHAPE, "target": "v", "seed": 0, "out": OUT }));
    predicted().save(&folder.path("in.safetensors"));
    let convert = object("convert in.safetensors --from v --to x0,eps");
    assert_eq!(convert, serde_json::json!({ "shape": SHAPE, "from": "v", "to": ["x0", "eps"], "out": OUT }));
    let posterior = object("posterior in.safetensors --from eps");
    assert_eq!(posterior, serde_json::json!({ "shape": SHAPE, "from": "epsilon", "out": OUT }));
}
