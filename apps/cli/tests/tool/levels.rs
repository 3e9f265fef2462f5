//! Noise levels of samples: fractional timesteps, several tensors of levels that agree or not, levels that a result does not need.

use crate::models::{EXACT, NOISE, TOLD, X0, assert_near, folder, pair, tape};
use crate::support::{Folder, OUT, run};
use crate::tensors::Tensors;
use crate::{Needs, Test};
use safetensors::Dtype;
use tweedie::Quantity;
use tweedie::math::{Model, Weight};
use tweedie::table::Penalty;

pub const TESTS: &[Test] = &[
    ("whole_timesteps_as_floats", Needs::Nothing, whole_floats),
    ("timesteps_between_two", Needs::Nothing, between),
    ("models_without_timesteps", Needs::Nothing, without_timesteps),
    ("several_tensors_of_levels", Needs::Nothing, several),
    ("several_tensors_of_cleaner_levels", Needs::Nothing, several_cleaner),
    ("only_levels_in_use_need_a_target", Needs::Nothing, used),
    ("a_target_that_does_not_exist", Needs::Nothing, allowed),
    ("a_posterior_that_does_not_exist", Needs::Nothing, no_posterior),
    ("a_posterior_without_variance", Needs::Nothing, certain),
    ("a_named_process_settles_what_is_told", Needs::Nothing, told),
    ("a_named_process_settles_the_direction_of_time", Needs::Nothing, direction),
    ("a_batch_is_no_schedule", Needs::Nothing, batch),
    ("a_batch_loses_what_its_samples_lose", Needs::Nothing, alone),
    ("help_names_every_choice", Needs::Nothing, help),
];

fn noise(tensors: &Tensors, options: &str) -> Tensors {
    folder(tensors).output(&format!("noise in.safetensors {options} --on cpu --out {OUT}"))
}

#[track_caller]
fn refuse(tensors: &Tensors, command: &str, words: &[&str]) {
    folder(tensors).refuses(&format!("{command} --on cpu --out {OUT}"), words);
}

fn whole_floats() {
    for model in ["--process vp", "--process ve", "--process flow", "--process rising-flow", "--model sdxl"] {
        let of = |dtype| noise(&pair("t", dtype, [500.0, 250.0]), model);
        let [whole, float] =
            [Dtype::I64, Dtype::F32].map(|dtype| [of(dtype).values("x_t"), of(dtype).values("target")]);
        assert_near(model, &float.concat(), &whole.concat(), EXACT);
    }
}

/// `[alpha, sigma]` of two timesteps.
fn coefficients(dtype: Dtype, t: [f64; 2], model: &str) -> [[f64; 2]; 2] {
    let of = |x0: f64, eps: f64| {
        let input =
            pair("t", dtype, t).with("x0", Dtype::F64, &[2, 2], &[x0; 4]).with("eps", Dtype::F64, &[2, 2], &[eps; 4]);
        noise(&input, model).values("x_t")
    };
    let (signal, noise) = (of(1.0, 0.0), of(0.0, 1.0));
    [[signal[0], noise[0]], [signal[2], noise[2]]]
}

/// Between whole timesteps the noise-to-signal ratio is linear, and the level lies on the curve of the process.
fn between() {
    for (model, curve) in
        [("--process vp", (|a: f64, s: f64| a.hypot(s)) as fn(f64, f64) -> f64), ("--process ve", |a, _| a)]
    {
        let ends = coefficients(Dtype::I64, [10.0, 11.0], model).map(|[alpha, sigma]| sigma / alpha);
        let [found, last] = coefficients(Dtype::F64, [10.25, 999.0], model);
        assert_near(model, &[found[1] / found[0]], &[0.75 * ends[0] + 0.25 * ends[1]], EXACT);
        assert_near(model, &[curve(found[0], found[1]), curve(last[0], last[1])], &[1.0, 1.0], EXACT);
    }
}

fn without_timesteps() {
    for dtype in [Dtype::I64, Dtype::F32] {
        let input = pair("t", dtype, [500.0, 250.0]);
        for model in ["--process edm", "--model edm", "--config edm.json", "--target edm", "--process edm --target v"] {
            refuse(&input, &format!("noise in.safetensors {model}"), &["`t`", "expected `sigma`:", "no timesteps"]);
        }
        let words = ["`t`", "expected `sigma` or `time`:", "no timesteps"];
        refuse(&input, "noise in.safetensors --process trigflow", &words);
    }
    let words = ["expected a tensor `sigma`"];
    refuse(&pair("t", Dtype::I64, [0.0; 2]).without("t"), "noise in.safetensors --process edm", &words);
    // EDM's output on a schedule whose timesteps are known.
    noise(&pair("t", Dtype::I64, [500.0, 250.0]), "--process vp --target edm");
    let to = Tensors::default().with("x_t", Dtype::F64, &[2, 2], &X0).with("prediction", Dtype::F64, &[2, 2], &NOISE);
    let to = to.with("sigma", Dtype::F64, &[2], &[3.0, 2.0]).with("t_to", Dtype::I64, &[2], &[5.0, 4.0]);
    refuse(&to, "posterior in.safetensors --process edm", &["`t_to`", "expected `sigma_to`:", "no timesteps"]);
}

fn several() {
    let input = pair("t", Dtype::I64, [500.0, 250.0]);
    let with = |name: &str, levels: [f64; 2]| input.clone().with(name, Dtype::F32, &[2], &levels);
    let alone = noise(&input, "--process flow");
    // 250/1000 + 1e-6 is another rounding of the same level.
    for (name, levels) in [("sigma", [0.5, 0.25]), ("time", [0.5, 0.250_001])] {
        assert_eq!(noise(&with(name, levels), "--process flow"), alone, "{name}");
    }
    for (name, levels, other) in [("sigma", [0.5, 0.2501], "1"), ("time", [0.75, 0.25], "0")] {
        let words = [&format!("`{name}`")[..], "`t`", &format!("sample {other}")];
        refuse(&with(name, levels), "noise in.safetensors --process flow", &words);
    }
    let floats = pair("sigma", Dtype::F64, [0.5, 0.25]).with("time", Dtype::F64, &[2], &[0.5, 0.75]);
    refuse(&floats, "noise in.safetensors --process flow", &["`time`", "`sigma`", "sample 1"]);
    let far = with("sigma", [0.5, 0.25]).with("time", Dtype::F64, &[2], &[0.5, 2.0]);
    refuse(&far, "noise in.safetensors --process flow", &["`time`", "within 0..=1"]);
    // Without a model, `sigma` is the noise-to-signal ratio of the schedule.
    refuse(&with("sigma", [0.5, 0.25]), "noise in.safetensors", &["`sigma`", "`t`", "sample 0"]);
}

fn several_cleaner() {
    let base = Tensors::default().with("x_t", Dtype::F64, &[2, 2], &X0).with("prediction", Dtype::F64, &[2, 2], &NOISE);
    let base = base.with("t", Dtype::I64, &[2], &[500.0, 250.0]).with("t_to", Dtype::F64, &[2], &[100.0, 50.0]);
    let with = |levels: [f64; 2]| base.clone().with("sigma_to", Dtype::F64, &[2], &levels);
    let of = |tensors: &Tensors| {
        folder(tensors).output(&format!("posterior in.safetensors --process flow --on cpu --out {OUT}"))
    };
    assert_eq!(of(&with([0.1, 0.05])), of(&base));
    refuse(&with([0.1, 0.06]), "posterior in.safetensors --process flow", &["`sigma_to`", "`t_to`", "sample 1"]);
}

/// A flow has no score at timestep 0.
fn used() {
    let input = pair("t", Dtype::I64, [500.0, 250.0]);
    let score: Vec<f64> = NOISE.iter().enumerate().map(|(i, eps)| -eps / [0.5, 0.25][i / 2]).collect();
    assert_near("score", &noise(&input, "--process flow --target score").values("target"), &score, EXACT);
    let clean = pair("t", Dtype::I64, [500.0, 0.0]);
    let words = ["sample 1", "score does not exist at timestep 0", "--allow-undefined"];
    refuse(&clean, "noise in.safetensors --process flow --target score", &words);
    let clean = pair("time", Dtype::F64, [0.5, 0.0]);
    refuse(&clean, "noise in.safetensors --process flow --target score", &["sample 1: score does not exist where"]);
}

fn allowed() {
    let folder = folder(&pair("t", Dtype::I64, [500.0, 0.0]));
    let line = format!("noise in.safetensors --process flow --target score --allow-undefined --on cpu --out {OUT}");
    let run = folder.run(&line);
    assert_eq!((run.code, run.stderr.starts_with("warning: sample 1")), (Some(0), true), "{}", run.stderr);
    let target = Tensors::load(&folder.path(OUT)).values("target");
    assert_eq!(target.iter().map(|it| it.is_finite()).collect::<Vec<_>>(), [true, true, false, false]);
}

/// A noisy sample and a prediction of each of two timesteps.
fn predicted(t: [f64; 2]) -> Tensors {
    let tensors = Tensors::default().with("x_t", Dtype::F64, &[2, 2], &X0);
    tensors.with("prediction", Dtype::F64, &[2, 2], &NOISE).with("t", Dtype::I64, &[2], &t)
}

/// Epsilon at zero terminal SNR, with steps that follow the schedule and with others. The reason is given once.
fn no_posterior() {
    let chain = predicted([500.0, 999.0]);
    for input in [chain.clone(), chain.with("t_to", Dtype::I64, &[2], &[100.0, 100.0])] {
        let line = "posterior in.safetensors --from epsilon --zero-terminal-snr";
        let words = ["sample 1: epsilon does not determine x0 at timestep 999", "--allow-undefined"];
        refuse(&input, line, &words);
        let folder = folder(&input);
        let run = folder.run(&format!("{line} --allow-undefined --on cpu --out {OUT}"));
        assert_eq!((run.code, run.stderr.lines().count()), (Some(0), 1), "{}", run.stderr);
        assert!(run.stderr.starts_with("warning: sample 1: epsilon does not determine x0"), "{}", run.stderr);
        let mean = Tensors::load(&folder.path(OUT)).values("mean");
        assert_eq!(mean.iter().map(|it| it.is_finite()).collect::<Vec<_>>(), [true, true, false, false]);
    }
}

/// Timestep 0 inherits the logarithm of timestep 1 only in steps that follow the schedule.
fn certain() {
    let logarithms = |input: &Tensors| {
        let out =
            folder(input).output(&format!("posterior in.safetensors --process vp --from x0 --on cpu --out {OUT}"));
        assert_eq!(out.values("variance")[1], 0.0);
        out.values("log_variance_clipped")
    };
    let chain = logarithms(&predicted([1.0, 0.0]));
    assert_eq!(chain[0], chain[1]);
    let named = logarithms(&predicted([1.0, 0.0]).with("t_to", Dtype::I64, &[2], &[0.0, 0.0]));
    assert_near("named", &named[..1], &chain[..1], EXACT);
    assert_eq!(named[1], 1e-20f64.ln());
}

/// The timesteps that a network is told, for every process, with predictions of either sign and of other processes.
fn told() {
    let listed = |options: &str, what: &str, expected: &[f64]| {
        let line = format!("replay in.safetensors --sampler euler {options} {what} --on cpu --out {OUT}");
        let found = folder(&tape(expected.len())).output(&line).values("timesteps");
        assert_near(&format!("{options} {what}"), &found, expected, TOLD);
    };
    let logarithms = [80.0f64, 3.0, 1.0].map(|sigma| sigma.ln() / 4.0);
    for prediction in ["epsilon", "v", "flow", "rising-flow", "edm", "trigflow"] {
        let options = |process: &str| format!("--process {process} --prediction {prediction}");
        listed(&options("vp"), "--timesteps 999,500,250", &[999.0, 500.0, 250.0]);
        listed(&options("flow"), "--times 0.9,0.75,0.5,0.25", &[900.0, 750.0, 500.0, 250.0]);
        listed(&options("rising-flow"), "--times 0.1,0.25,0.5,0.75", &[100.0, 250.0, 500.0, 750.0]);
        listed(&options("edm"), "--sigmas 80,3,1", &logarithms);
        listed(&options("trigflow"), "--times 1.5,1.3", &[1.5, 1.3]);
    }
    for prediction in ["edm", "trigflow"] {
        listed(&format!("--process ve --prediction {prediction}"), "--sigmas 80,3,1", &logarithms);
    }
    for prediction in ["epsilon", "v", "score"] {
        listed(&format!("--process ve --prediction {prediction}"), "--timesteps 999,500,250", &[999.0, 500.0, 250.0]);
    }
}

/// The same timestep is the same level, whatever is predicted.
fn direction() {
    let input = pair("t", Dtype::I64, [10.0, 900.0]);
    for (model, times) in [
        ("--process flow", [0.01, 0.9]),
        ("--process rising-flow", [0.99, 0.1]),
        ("--model sd3", [0.01, 0.9]),
        ("--config sd3.json", [0.01, 0.9]),
    ] {
        let x_t: Vec<f64> = (0..4).map(|i| (1.0 - times[i / 2]) * X0[i] + times[i / 2] * NOISE[i]).collect();
        for target in ["flow", "rising-flow", "x0"] {
            let options = format!("{model} --target {target}");
            assert_near(&options, &noise(&input, &options).values("x_t"), &x_t, EXACT);
        }
    }
}

/// Levels of two samples under each name, with the model in which they have a meaning.
const TENSORS: [(&str, Dtype, [f64; 2], &str); 9] = [
    ("t", Dtype::I64, [900.0, 250.0], "--process vp"),
    ("t", Dtype::F64, [900.5, 250.25], "--process vp"),
    ("sigma", Dtype::F64, [3.0, 0.25], "--process vp"),
    ("t", Dtype::I64, [900.0, 250.0], "--process flow"),
    ("t", Dtype::F64, [900.5, 250.25], "--process flow"),
    ("sigma", Dtype::F64, [0.9, 0.25], "--process flow"),
    ("time", Dtype::F64, [0.9, 0.25], "--process flow"),
    ("sigma", Dtype::F64, [3.0, 0.25], "--process edm"),
    ("time", Dtype::F64, [1.3, 0.4], "--process trigflow"),
];

/// Every weight.
fn weights() -> impl Iterator<Item = &'static str> {
    Weight::CATALOGUE.entries.iter().map(|entry| entry.name).chain(["table --weights w.safetensors"])
}

/// Errors of two samples, which differ.
const ERRORS: [f64; 4] = [0.5, 0.25, 1.0, -0.75];

/// A loss on x0 of this prediction, at the levels of these samples.
fn losing(level: (&str, Dtype, [f64; 2]), samples: std::ops::Range<usize>) -> Folder {
    let (name, dtype, levels) = level;
    let (count, elements) = (samples.len(), 2 * samples.start..2 * samples.end);
    let of = |tensors: Tensors, name: &str, values: [f64; 4]| {
        tensors.with(name, Dtype::F64, &[count, 2], &values[elements.clone()])
    };
    let tensors = of(of(Tensors::default(), "x0", X0), "eps", NOISE);
    let prediction = std::array::from_fn(|i| NOISE[i] + ERRORS[i]);
    let folder = folder(&of(tensors, "prediction", prediction).with(name, dtype, &[count], &levels[samples]));
    let weights: Vec<f64> = (0..1001).map(|t| 0.5 + f64::from(t) / 512.0).collect();
    for (name, count) in
        [("vp.safetensors", 1000), ("flow.safetensors", 1001), ("pair.safetensors", 2), ("one.safetensors", 1)]
    {
        Tensors::default().with("weights", Dtype::F64, &[count], &weights[..count]).save(&folder.path(name));
    }
    folder
}

fn losses(folder: &Folder, model: &str, weight: &str) -> Vec<f64> {
    let weight = weight.replace("w.safetensors", &format!("{}.safetensors", &model["--process ".len()..]));
    let line = format!("loss in.safetensors {model} --predicts v --weight {weight} --on cpu --out {OUT}");
    folder.output(&line).values("loss")
}

fn whole(name: &str, dtype: Dtype) -> bool {
    (name, dtype) == ("t", Dtype::I64)
}

fn batch() {
    for (name, dtype, levels, model) in TENSORS.into_iter().filter(|(name, dtype, ..)| !whole(name, *dtype)) {
        for samples in [0..2, 0..1] {
            let file = if samples.len() == 2 { "pair" } else { "one" };
            let folder = losing((name, dtype, levels), samples);
            for weight in ["sid2".to_owned(), format!("table --weights {file}.safetensors")] {
                let line = format!("loss in.safetensors {model} --predicts v --weight {weight} --on cpu --out {OUT}");
                let word = weight.split(' ').next().unwrap_or_default();
                folder.refuses(&line, &[&format!("`{name}`"), &format!("--weight {word} needs whole timesteps")]);
            }
        }
    }
}

fn alone() {
    for (name, dtype, levels, model) in TENSORS {
        let [both, first, second] = [0..2, 0..1, 1..2].map(|samples| losing((name, dtype, levels), samples));
        let possible = |weight: &&str| whole(name, dtype) || !["sid2", "table"].iter().any(|it| weight.starts_with(it));
        for weight in weights().filter(possible) {
            let found = losses(&both, model, weight);
            let expected = [&first, &second].map(|folder| losses(folder, model, weight)[0]);
            assert_eq!(found, expected, "{model} {name} {weight}");
            assert!(found[0] != found[1] && found.iter().all(|&loss| loss > 0.0), "{model} {name} {weight}: {found:?}");
        }
    }
}

fn help() {
    let quantities: Vec<_> = Quantity::ALL.into_iter().filter(|it| *it != Quantity::Xt).map(Quantity::name).collect();
    let processes: Vec<_> = Model::PROCESSES.entries.iter().map(|entry| entry.name).collect();
    let penalties: Vec<_> = Penalty::CATALOGUE.entries.iter().map(|entry| entry.name).collect();
    let weights: Vec<_> = Weight::CATALOGUE.entries.iter().map(|entry| entry.name).collect();
    for (command, option, names) in [
        ("noise", "--target", &quantities),
        ("convert", "--from", &quantities),
        ("convert", "--to", &quantities),
        ("posterior", "--from", &quantities),
        ("loss", "--predicts", &quantities),
        ("replay", "--prediction", &quantities),
        ("noise", "--process", &processes),
        ("loss", "--kind", &penalties),
        ("loss", "--weight", &weights),
    ] {
        let text = run(&format!("{command} --help")).stdout;
        let (_, rest) = text.split_once(&format!("      {option} <")).expect("the option");
        let own = rest.split("\n      --").next().unwrap_or_default();
        for name in names {
            let named = own.split([' ', ',', ';', ':', '.', ']', '\n']).any(|word| word == *name);
            assert!(named, "{command} {option} does not name {name}: {own}");
        }
    }
}
