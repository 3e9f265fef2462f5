//! `tweedie loss` against the vectors of group D, with the manifest's tolerances, and what it refuses.

use crate::support::{Folder, OUT, On, by_rule, cases, fails, id, load, options};
use crate::tensors::{Tensor, Tensors};
use crate::{Needs, Test};
use safetensors::Dtype;
use serde_json::Value;
use tweedie::Storage;

const GPU: On = On::Gpu(Storage::F32);

pub const TESTS: &[Test] = &[
    ("kinds", Needs::Nothing, || kinds(On::Cpu)),
    ("kinds_on_the_gpu", Needs::Adapter, || kinds(GPU)),
    ("three_million_elements_on_the_gpu", Needs::Adapter, three_million_elements),
    ("weights_of_every_prediction", Needs::Nothing, || weights_of_every_prediction(On::Cpu)),
    ("weights_of_every_prediction_on_the_gpu", Needs::Adapter, || weights_of_every_prediction(GPU)),
    ("edm_by_sigma", Needs::Nothing, || edm_by_sigma(On::Cpu)),
    ("edm_by_sigma_on_the_gpu", Needs::Adapter, || edm_by_sigma(GPU)),
    ("a_loss_on_another_quantity", Needs::Nothing, || another_quantity(On::Cpu)),
    ("a_loss_on_another_quantity_on_the_gpu", Needs::Adapter, || another_quantity(GPU)),
    ("the_gradient_of_the_mean", Needs::Nothing, || gradient_of_the_mean(On::Cpu)),
    ("the_gradient_of_the_mean_on_the_gpu", Needs::Adapter, || gradient_of_the_mean(GPU)),
    ("a_table_of_weights", Needs::Nothing, || table_of_weights(On::Cpu)),
    ("a_table_of_weights_on_the_gpu", Needs::Adapter, || table_of_weights(GPU)),
    ("every_storage_type_is_read", Needs::Nothing, every_storage),
    ("every_storage_type_on_the_gpu", Needs::Adapter, every_storage_on_the_gpu),
    ("a_wrong_coefficient_is_noticed_on_the_gpu", Needs::Adapter, wrong_coefficient),
    ("synonyms", Needs::Nothing, synonyms),
    ("what_is_missing_or_wrong_is_named", Needs::Nothing, refusals),
    ("what_the_gpu_cannot_hold_is_named", Needs::Adapter, refusals_of_the_gpu),
    ("undefined_losses", Needs::Nothing, || undefined(On::Cpu)),
    ("undefined_losses_on_the_gpu", Needs::Adapter, || undefined(GPU)),
    ("options_that_cannot_act_are_refused", Needs::Nothing, unused),
    ("the_mean_is_told", Needs::Nothing, || told(On::Cpu)),
    ("the_mean_is_told_on_the_gpu", Needs::Adapter, || told(GPU)),
];

fn case(name: &str) -> Value {
    cases("D").into_iter().find(|case| id(case) == name).expect("the case")
}

/// The manifest's relative tolerance of a loss. If it is a text, it ends with the one for losses.
fn tolerance(case: &Value, on: On) -> f64 {
    let limit = &case["tolerance"][if on == On::Cpu { "float64" } else { "float32" }];
    let named = || limit.as_str()?.rsplit_once("losses ")?.1.parse().ok();
    limit.as_f64().or_else(named).expect("a tolerance")
}

#[track_caller]
fn assert_relative(what: &str, found: &[f64], expected: &[f64], limit: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let holds = (found - expected).abs() <= limit * expected.abs();
        assert!(holds, "{what}: entry {i} is {found:e}, expected {expected:e}");
    }
}

/// Compares gradients. On the GPU the tolerance is relative to the largest entry of the sample: an error of the prediction may be a
/// difference of large numbers.
#[track_caller]
fn assert_gradient(what: &str, found: &Tensor, expected: &[f64], on: On, limit: f64) {
    let values = found.values();
    if on == On::Cpu {
        return assert_relative(what, &values, expected, limit);
    }
    assert_eq!(values.len(), expected.len(), "{what}");
    let elements = expected.len() / found.shape[0];
    for (sample, (found, expected)) in values.chunks(elements).zip(expected.chunks(elements)).enumerate() {
        let largest = expected.iter().fold(0f64, |most, x| most.max(x.abs()));
        for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
            let allowed = limit * largest + rounding(on, expected);
            let holds = (found - expected).abs() <= allowed;
            assert!(holds, "{what}: element {i} of sample {sample} is {found:e}, expected {expected:e}");
        }
    }
}

/// Error of one rounding to the storage; which way f32 is rounded to f16 is the driver's choice.
fn rounding(on: On, x: f64) -> f64 {
    match on {
        On::Cpu | On::Gpu(Storage::F32) => 0.0,
        On::Gpu(storage) => (2.0 * storage.unit_roundoff() * x.abs()).max(storage.smallest_step()),
    }
}

/// The manifest's tolerance of a gradient in f32, relative to its largest entry.
const GRADIENT: f64 = 4e-7;

/// The relative bound for the same sums in another order, or with factors that are rounded once more.
fn order(on: On) -> f64 {
    if on == On::Cpu { 1e-14 } else { 1e-6 }
}

fn loss_on(on: On, options: &str) -> String {
    format!("loss in.safetensors {options} {} --out {OUT}", on.options())
}

fn loss(options: &str) -> String {
    loss_on(On::Cpu, options)
}

fn kind(tensor: &str) -> String {
    let mut words = ["huber_delta", "smooth_l1_beta", "pseudo_huber_c"].into_iter();
    let (name, number) = match words.find(|word| tensor.starts_with(word)) {
        Some(word) => (word.rsplit_once('_').expect("two words").0, format!(" --delta {}", &tensor[word.len()..])),
        None => (tensor, String::new()),
    };
    format!("--kind {name}{number}")
}

fn kinds(on: On) {
    for name in ["D_losses_normal_5x3x7x9", "D_losses_extreme_6x40"] {
        let case = case(name);
        let file = load(&case);
        let folder = Folder::with(&file.renamed(&[("pred", "prediction"), ("target", "target")]));
        let losses: Vec<&str> = file.names().into_iter().filter_map(|name| name.strip_prefix("grad_")).collect();
        assert!(losses.len() >= 6);
        for tensor in losses {
            let found = folder.output(&loss_on(on, &kind(tensor)));
            let limit = tolerance(&case, on);
            let check = |name: &str| assert_relative(name, &found.values("loss"), &file.values(name), limit);
            check(tensor);
            let gradient = format!("grad_{tensor}");
            let limit_of_gradient = if on == On::Cpu { limit } else { GRADIENT };
            assert_gradient(&gradient, found.tensor("grad"), &file.values(&gradient), on, limit_of_gradient);
            assert_eq!(found.tensor("grad").shape, file.tensor("pred").shape);
            let expected = file.values(tensor);
            let mean = expected.iter().sum::<f64>() / expected.len() as f64;
            assert_relative("mean", &found.values("mean"), &[mean], limit);
            assert!(tensor == "l1" || fails(|| check("l1")), "{tensor}");
        }
    }
}

fn three_million_elements() {
    let case = case("D_losses_big_3x1000003");
    let (file, rule) = (load(&case), &case["config"]["input_rule"]);
    let tensor = |name: &str| {
        let values = by_rule(&rule[name], 3 * 1_000_003);
        Tensor { dtype: Dtype::F32, shape: vec![3, 1_000_003], bytes: bytemuck::cast_slice(&values).to_vec() }
    };
    let input = Tensors::default().with_tensor("prediction", tensor("pred")).with_tensor("target", tensor("target"));
    let folder = Folder::with(&input);
    for name in file.names() {
        let found = folder.output(&loss_on(GPU, &kind(name)));
        assert_relative(name, &found.values("loss"), &file.values(name), tolerance(&case, GPU));
    }
}

fn weighted(predicts: &str) -> (Value, Tensors, Folder) {
    let case = case("D_weighted_linear_T1000_6x3x4x5");
    let file = load(&case);
    let prediction = format!("pred_{predicts}");
    let names = [("x0", "x0"), ("eps", "eps"), ("t", "t"), (&*prediction, "prediction")];
    let folder = Folder::with(&file.renamed(&names));
    (case, file, folder)
}

fn weights_of_every_prediction(on: On) {
    let jobs = [
        ("mse_epsilon", "epsilon", "none"),
        ("mse_x0", "x0", "none"),
        ("mse_v", "v", "none"),
        ("min_snr_mse_epsilon", "epsilon", "min-snr --gamma 5"),
        ("min_snr_mse_x0", "x0", "min-snr --gamma 5"),
        ("min_snr_mse_v", "v", "min-snr"),
        ("trunc_snr_mse_x0", "x0", "trunc_snr"),
        ("snr_mse_x0", "x0", "snr"),
        ("p2_mse_epsilon", "epsilon", "p2 --gamma 1 --k 1"),
    ];
    for (i, (tensor, predicts, weight)) in jobs.into_iter().enumerate() {
        let (case, file, folder) = weighted(predicts);
        let options = format!("--predicts {predicts} --weight {weight} {}", options(&case).expect("a recipe"));
        let (found, limit) = (folder.output(&loss_on(on, &options)), tolerance(&case, on));
        let check = |name: &str| assert_relative(name, &found.values("loss"), &file.values(name), limit);
        check(tensor);
        let (other, ..) = jobs[(i + 1) % jobs.len()];
        assert!(fails(|| check(other)), "{tensor} passes for {other}");
        let exact = folder.output(&loss(&options));
        assert_gradient("grad", found.tensor("grad"), &exact.values("grad"), on, limit);
    }
}

fn edm_by_sigma(on: On) {
    let case = case("D_edm_denoiser_sd05");
    let file = load(&case);
    let tensors = [("x0", "x0"), ("noise", "eps"), ("inner_output", "prediction"), ("sigma", "sigma")];
    let folder = Folder::with(&file.renamed(&tensors));
    let weights = [("karras", "edm"), ("soft_min_snr", "soft-min-snr --gamma 4"), ("snr", "snr")];
    for (name, weight) in weights {
        for quantity in ["edm", "x0"] {
            let found = folder.output(&loss_on(on, &format!("--predicts edm --target {quantity} --weight {weight}")));
            let expected = file.values(&format!("loss_{name}"));
            assert_relative(name, &found.values("loss"), &expected, tolerance(&case, on));
        }
    }
}

/// An epsilon loss is snr times an x0 loss; a target from the file gives the same as x0 and epsilon do.
fn another_quantity(on: On) {
    let (case, file, folder) = weighted("v");
    let (options, limit) = (options(&case).expect("a recipe"), tolerance(&case, on));
    let epsilon = folder.output(&loss_on(on, &format!("--predicts v --target epsilon {options}")));
    let x0 = folder.output(&loss_on(on, &format!("--predicts v --target x0 --weight snr {options}")));
    for name in ["loss", "mean"] {
        assert_relative(name, &x0.values(name), &epsilon.values(name), limit);
    }
    assert_gradient("grad", x0.tensor("grad"), &epsilon.values("grad"), on, limit);
    let noisy = folder.output(&format!("noise in.safetensors --target v {options} --on cpu --out {OUT}"));
    let given = file.renamed(&[("pred_v", "prediction"), ("eps", "target"), ("t", "t")]);
    let folder = Folder::with(&given.with_tensor("x_t", noisy.tensor("x_t").clone()));
    let found = folder.output(&loss_on(on, &format!("--predicts v --target epsilon {options}")));
    // In f32 the error of the prediction is a difference of numbers of order 1 with four roundings.
    let rounded = if on == On::Cpu { 0.0 } else { 4.0 * Storage::F32.unit_roundoff() };
    for (found, expected) in found.values("loss").into_iter().zip(epsilon.values("loss")) {
        let limit = limit + 2.0 * rounded / expected.sqrt();
        assert_relative("target at hand", &[found], &[expected], limit);
    }
}

fn gradient_of_the_mean(on: On) {
    let (_, _, folder) = weighted("epsilon");
    let sum = folder.output(&loss_on(on, "--grad-of sum"));
    let mean = folder.output(&loss_on(on, "--grad-of mean"));
    let sixth: Vec<f64> = sum.values("grad").iter().map(|slope| slope / 6.0).collect();
    assert_gradient("grad", mean.tensor("grad"), &sixth, on, order(on));
    assert_relative("loss", &mean.values("loss"), &sum.values("loss"), order(on));
}

fn table_of_weights(on: On) {
    let (_, file, folder) = weighted("epsilon");
    let weights: Vec<f64> = (0..1000).map(|t| f64::from(t) / 100.0).collect();
    Tensors::default().with("weights", Dtype::F64, &[1000], &weights).save(&folder.path("w.safetensors"));
    let found = folder.output(&loss_on(on, "--weight table --weights w.safetensors"));
    let plain = folder.output(&loss(""));
    let of_sample = plain.values("loss").into_iter().zip(file.indices("t")).map(|(loss, t)| loss * weights[t]);
    assert_relative("loss", &found.values("loss"), &of_sample.collect::<Vec<_>>(), order(on));
    Tensors::default().with("weights", Dtype::F64, &[2], &[1.0; 2]).save(&folder.path("w.safetensors"));
    folder.refuses(&loss_on(on, "--weight table --weights w.safetensors"), &["each of 1000 timesteps, found 2"]);
    folder.refuses(&loss("--weight table"), &["needs --weights FILE"]);
    folder.refuses(&loss("--weight table --weights nowhere"), &["--weights", "no such file"]);
}

fn every_storage() {
    let values = [0.5, -1.25, 2.0, 0.0];
    let plain = Folder::with(&small(Dtype::F64, &values)).output(&loss("--kind huber --delta 0.75"));
    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
        let found = Folder::with(&small(dtype, &values)).output(&loss("--kind huber --delta 0.75"));
        assert_eq!(found, plain, "{dtype:?}");
        assert_eq!(found.tensor("loss").dtype, Dtype::F64);
    }
}

/// Only the inputs are rounded to the storage; the losses are as accurate as in f32.
fn every_storage_on_the_gpu() {
    let (case, file, _) = weighted("v");
    let options = format!("--predicts v --weight min-snr {}", options(&case).expect("a recipe"));
    for (storage, dtype) in [(Storage::F32, Dtype::F32), (Storage::F16, Dtype::F16), (Storage::Bf16, Dtype::BF16)] {
        let on = On::Gpu(storage);
        let input = file.renamed(&[("pred_v", "prediction"), ("x0", "x0"), ("eps", "eps")]).stored(dtype);
        let folder = Folder::with(&input.with_tensor("t", file.tensor("t").clone()));
        for kind in ["mse", "l1", "huber --delta 0.5", "pseudo-huber --delta 0.03"] {
            let options = format!("--kind {kind} {options}");
            let [exact, found] = [On::Cpu, on].map(|on| folder.output(&loss_on(on, &options)));
            assert_relative("loss", &found.values("loss"), &exact.values("loss"), tolerance(&case, on));
            assert_relative("mean", &found.values("mean"), &exact.values("mean"), tolerance(&case, on));
            assert_gradient("grad", found.tensor("grad"), &exact.values("grad"), on, tolerance(&case, on));
            let types = ["loss", "mean", "grad"].map(|name| found.tensor(name).dtype);
            assert_eq!(types, [Dtype::F32, Dtype::F32, dtype]);
        }
    }
}

/// A parameter that is off by one part in ten thousand is noticed, in the loss and in the gradient.
fn wrong_coefficient() {
    let (case, file, folder) = weighted("v");
    let found = |options: &str| folder.output(&loss_on(GPU, &format!("--predicts v --weight min-snr {options}")));
    let options = options(&case).expect("a recipe");
    let (right, limit) = (found(&options), tolerance(&case, GPU));
    let check = |found: &Tensors| {
        let (loss, gradient) = (found.values("loss"), found.tensor("grad"));
        let wrong = |check: &dyn Fn()| fails(check);
        [
            wrong(&|| assert_relative("loss", &loss, &file.values("min_snr_mse_v"), limit)),
            wrong(&|| assert_gradient("grad", gradient, &right.values("grad"), GPU, limit)),
        ]
    };
    assert_eq!(check(&right), [false, false]);
    assert_eq!(check(&found(&format!("{options} --beta-end 0.020002"))), [true, true], "the schedule");
    assert_eq!(check(&found(&format!("{options} --gamma 5.0005"))), [true, true], "the weight");
}

fn small(dtype: Dtype, prediction: &[f64]) -> Tensors {
    let tensors = Tensors::default().with("prediction", dtype, &[2, 2], prediction);
    tensors.with("target", dtype, &[2, 2], &[0.0; 4])
}

fn synonyms() {
    let (_, _, folder) = weighted("epsilon");
    let same = |a: &str, b: &str| assert_eq!(folder.output(&loss(a)), folder.output(&loss(b)), "{a} and {b}");
    same("", "--kind mse --weight none --predicts eps --target noise");
    same("--kind L2", "--kind mse_loss");
    same("--kind SMOOTH_L1 --beta 0.5", "--kind smooth-l1 --delta 0.5");
    same("--kind pseudo_huber --c 0.03", "--kind pseudohuber --delta 0.03");
    same("--kind smooth-l1", "--kind huber");
    same("--kind smooth-l1 --delta 0", "--kind mae");
    same("--weight min_snr --snr-gamma 5", "--weight min-snr-gamma");
    same("--weight truncated-snr", "--weight max-snr --gamma 1");
    same("--weight p2", "--weight P2 --p2-gamma 1 --p2-k 1");
    same("--weight karras", "--weight edm --sigma-data 0.5");
    same("--weight sigmoid --bias 0", "--weight soft-min-snr --gamma 1");
}

fn refusals() {
    let values = [0.5, -1.25, 2.0, 0.0];
    let folder = Folder::with(&small(Dtype::F32, &values));
    let refuses = |options: &str, words: &[&str]| folder.refuses(&loss(options), words);
    refuses("--kind lpips", &["--kind", "expected mse, l1, huber"]);
    refuses("--weight lpips", &["--weight", "expected none, snr, min-snr"]);
    refuses("--grad-of max", &["--grad-of", "expected sum or mean"]);
    refuses("--kind huber --delta 0", &["--delta of huber: delta must be finite and above 0, found 0"]);
    refuses("--kind huber --delta nan", &["found NaN"]);
    refuses("--kind pseudo-huber --delta -1", &["c must be finite and at least 0, found -1"]);
    refuses("--weight snr", &["expected a tensor `t`"]);
    refuses("--target x0", &["to convert the prediction", "expected a tensor `x_t`"]);
    refuses("--predicts x_t", &["a loss on x_t"]);
    refuses("--predicts edm:0", &["sigma_data must be finite and above 0", "found 0"]);
    let of = |input: Tensors| Folder::with(&input);
    let without = of(small(Dtype::F32, &values).without("target"));
    without.refuses(&loss(""), &["expected a tensor `target`, or `x0` and `eps`, found `prediction`"]);
    let pair = small(Dtype::F32, &values).without("target").with("x0", Dtype::F32, &[2, 2], &[0.0; 4]);
    of(pair.clone()).refuses(&loss(""), &["expected a tensor `eps`"]);
    let pair = pair.with("eps", Dtype::F32, &[2, 2], &[0.0; 4]);
    of(pair.clone()).refuses(&loss(""), &["expected a tensor `t`"]);
    let late = pair.clone().with("t", Dtype::I64, &[2], &[0.0, 50.0]);
    of(late.clone()).refuses(&loss("--train-timesteps 50"), &["timesteps in 0..50, found 50 at sample 1"]);
    of(late).refuses(&loss("--weight min-snr --gamma 0 --allow-undefined"), &["gamma must be finite and above 0"]);
    let levels = pair.clone().with("sigma", Dtype::F32, &[3], &[1.0; 3]);
    of(levels).refuses(&loss(""), &["tensor `sigma`: expected 2 noise levels"]);
    let levels = pair.with("sigma", Dtype::F32, &[2], &[1.0, -1.0]);
    of(levels).refuses(&loss(""), &["tensor `sigma`", "sigma = -1"]);
    let shape = small(Dtype::F32, &values).with("target", Dtype::F32, &[4, 1], &[0.0; 4]);
    of(shape).refuses(&loss(""), &["expected shape [2, 2] like `prediction`"]);
    let nan = small(Dtype::F32, &[0.0, f64::NAN, 0.0, 0.0]);
    of(nan).refuses(&loss(""), &["`prediction` holds NaN at sample 0, element 1"]);
    let integers = small(Dtype::F32, &values).with("prediction", Dtype::I64, &[2, 2], &[0.0; 4]);
    of(integers).refuses(&loss(""), &["expected F64, F32, F16 or BF16, found I64"]);
}

fn refusals_of_the_gpu() {
    let values = [0.5, 1e5, 2.0, 0.0];
    let folder = Folder::with(&small(Dtype::F32, &values));
    let line = loss_on(On::Gpu(Storage::F16), "");
    folder.refuses(&line, &["`prediction`: expected values within the range of f16, found 1e5 at sample 0, element 1"]);
    folder.output(&loss_on(On::Gpu(Storage::Bf16), ""));
    Tensors::default().with("weights", Dtype::F64, &[1000], &[1e300; 1000]).save(&folder.path("w.safetensors"));
    let folder_of_t = small(Dtype::F32, &values).with("t", Dtype::I64, &[2], &[0.0, 7.0]);
    folder_of_t.save(&folder.path("in.safetensors"));
    folder.refuses(&loss_on(GPU, "--weight table --weights w.safetensors"), &["does not fit f32"]);
}

/// At zero terminal SNR an epsilon network says nothing about x0; its own loss, and the weights with a limit, exist.
fn undefined(on: On) {
    let values = [0.5, -1.25, 2.0, 0.0];
    let input = Tensors::default()
        .with("prediction", Dtype::F32, &[2, 2], &values)
        .with("x0", Dtype::F32, &[2, 2], &[0.25; 4])
        .with("eps", Dtype::F32, &[2, 2], &[1.0; 4])
        .with("t", Dtype::I64, &[2], &[500.0, 999.0]);
    let folder = Folder::with(&input);
    let schedule = "--schedule scaled-linear --zero-terminal-snr";
    for options in ["", "--weight min-snr", "--weight p2", "--predicts v --weight edm", "--predicts v --weight max-snr"]
    {
        let found = folder.output(&loss_on(on, &format!("{options} {schedule}")));
        assert!(found.values("loss").iter().chain(&found.values("grad")).all(|x| x.is_finite()), "{options}");
    }
    let on_x0 = loss_on(on, &format!("--target x0 {schedule}"));
    folder.refuses(&on_x0, &["sample 1: epsilon does not determine x0 at timestep 999", "--allow-undefined"]);
    folder.refuses(&loss_on(on, &format!("--weight edm {schedule}")), &["no finite value at timestep 999"]);
    let run = folder.run(&format!("{on_x0} --allow-undefined"));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let found = Tensors::load(&folder.path(OUT));
    let finite: Vec<bool> = found.values("grad").iter().map(|x| x.is_finite()).collect();
    assert_eq!(finite, [true, true, false, false]);
    assert!(found.values("mean")[0].is_nan());
}

fn unused() {
    let folder = Folder::with(&small(Dtype::F32, &[0.5, -1.25, 2.0, 0.0]));
    for (options, words) in [
        ("--delta 2", "--delta does not apply to the loss mse"),
        ("--kind l1 --delta 2", "--delta does not apply to the loss l1"),
        ("--gamma 5", "--gamma does not apply to the weight none"),
        ("--weight p2 --sigma-data 1", "--sigma-data does not apply to the weight p2"),
        ("--weight min-snr --k 1", "--k does not apply to the weight min-snr"),
        ("--weight edm --bias 1", "--bias does not apply to the weight edm"),
        ("--weight snr --weights in.safetensors", "--weights does not apply to the weight snr"),
        ("--weight table --weights in.safetensors --gamma 5", "--gamma does not apply to the weight table"),
    ] {
        folder.refuses(&loss(options), &[words]);
    }
}

fn told(on: On) {
    let folder = Folder::with(&small(Dtype::F32, &[1.0, -1.0, 3.0, 1.0]));
    let text = folder.succeeds(&loss_on(on, ""));
    assert!(text.contains("[2, 2]: mse on epsilon from epsilon, weight none: 3.000000000e0"), "{text}");
    let object = &folder.objects(&loss_on(on, "--json --kind l1"))[0];
    assert_eq!((&object["mean"], &object["kind"]), (&Value::from(1.5), &Value::from("l1")));
}
