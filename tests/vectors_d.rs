//! Group D: losses, gradients, weights, likelihoods and the variational bound in f64, with the manifest's tolerances.

use crate::support::{Vectors, assert_relative, assert_within, cases, id, pick, recipe};
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tweedie::Quantity::{Edm, Epsilon, V, X0};
use tweedie::gpu::Loss;
use tweedie::gpu::Reduction;
use tweedie::gpu::loss::{Batch, Losses};
use tweedie::math::{
    Gaussian, LossInputs, ModelVariance, NoiseLevel, Objective, Schedule, SigmaData, Vlb, VlbTerm, Weight, solve,
};
use tweedie::table::{LossRow, Penalty, Table};

/// Bits per dimension, from the nats of each element.
fn bits(nats: &[f64]) -> f64 {
    nats.iter().sum::<f64>() / nats.len() as f64 / std::f64::consts::LN_2
}

fn case(name: &str) -> Value {
    cases("D").into_iter().find(|case| id(case) == name).unwrap()
}

fn tolerance(case: &Value) -> f64 {
    case["tolerance"]["float64"].as_f64().unwrap()
}

fn names(case: &Value) -> Vec<String> {
    case["tensors"].as_object().unwrap().keys().cloned().collect()
}

fn fails(check: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(check)).is_err()
}

/// The penalty that a tensor is named after.
fn penalty(name: &str) -> Penalty {
    let number = |text: &str| text.parse().unwrap();
    if let Some(delta) = name.strip_prefix("huber_delta") {
        return Penalty::huber(number(delta)).unwrap();
    }
    if let Some(beta) = name.strip_prefix("smooth_l1_beta") {
        return Penalty::smooth_l1(number(beta)).unwrap();
    }
    if let Some(c) = name.strip_prefix("pseudo_huber_c") {
        return Penalty::pseudo_huber(number(c)).unwrap();
    }
    match name {
        "mse" => Penalty::MSE,
        "l1" => Penalty::L1,
        other => panic!("no penalty for {other}"),
    }
}

/// The difference of two tensors, every sample on row 0.
fn difference() -> Table<LossRow> {
    Table::new([LossRow { prediction: 1.0, inputs: [0.0, -1.0], weight: 1.0 }])
}

fn plain(table: &Table<LossRow>, penalty: Penalty, samples: usize, prediction: &[f64], target: &[f64]) -> Losses {
    let (timesteps, elements) = (vec![0; samples], prediction.len() / samples);
    let batch = Batch { timesteps: &timesteps, elements, prediction, inputs: [&[], target] };
    Loss::reference(table, penalty, &batch, Reduction::Sum)
}

fn values(exact: &[tweedie::gpu::compare::Expected]) -> Vec<f64> {
    exact.iter().map(|x| x.value).collect()
}

/// Every loss and every element of every gradient relative to itself: a difference of two numbers of f32 hardly ever rounds
/// in f64.
fn check_losses(case: &Value, table: &Table<LossRow>) {
    let file = Vectors::load(id(case));
    let samples = case["config"]["shape"][0].as_u64().unwrap() as usize;
    let (prediction, target) = (file.f64("pred"), file.f64("target"));
    let losses = names(case).into_iter().filter(|name| !name.starts_with("grad_"));
    for name in losses.filter(|name| name != "pred" && name != "target") {
        let found = plain(table, penalty(&name), samples, &prediction, &target);
        let what = format!("{} {name}", id(case));
        assert_relative(&what, &values(&found.samples), &file.f64(&name), tolerance(case));
        let gradient = file.f64(&format!("grad_{name}"));
        assert_relative(&what, &values(&found.gradient), &gradient, tolerance(case));
    }
}

#[test]
fn losses_and_gradients() {
    for name in ["D_losses_normal_5x3x7x9", "D_losses_extreme_6x40"] {
        let case = case(name);
        check_losses(&case, &difference());
        for wrong in [[1.0 + 1e-12, 0.0, -1.0], [1.0, 0.0, -1.0 + 1e-9], [-1.0, 0.0, -1.0]] {
            let row = LossRow { prediction: wrong[0], inputs: [wrong[1], wrong[2]], weight: 1.0 };
            assert!(fails(|| check_losses(&case, &Table::new([row]))), "{wrong:?}");
        }
    }
}

/// The inputs of the big case, which follow a rule: `(((mul*i + add) mod 2^32 >> 8) * 2^-23 - 1) * scale`.
fn ruled(rule: &Value, count: usize) -> Vec<f64> {
    let number = |key: &str| rule[key].as_f64().unwrap();
    let (mul, add, scale) = (number("mul") as u32, number("add") as u32, number("scale"));
    let word = |i: usize| mul.wrapping_mul(i as u32).wrapping_add(add) >> 8;
    (0..count).map(|i| (f64::from(word(i)) / f64::from(1 << 23) - 1.0) * scale).collect()
}

#[test]
fn three_million_elements() {
    let case = case("D_losses_big_3x1000003");
    let (file, rule) = (Vectors::load(id(&case)), &case["config"]["input_rule"]);
    let count = 3 * 1_000_003;
    let (prediction, target) = (ruled(&rule["pred"], count), ruled(&rule["target"], count));
    for name in names(&case) {
        let found = plain(&difference(), penalty(&name), 3, &prediction, &target);
        assert_relative(&name, &values(&found.samples), &file.f64(&name), tolerance(&case));
    }
}

/// The weight that a tensor holds, and what its loss is on.
fn weight(name: &str) -> Option<(Weight, tweedie::Quantity)> {
    let min_snr = Weight::MinSnr { gamma: 5.0 };
    Some(match name {
        "w_min_snr_epsilon" | "lucid_min_snr_epsilon" => (min_snr, Epsilon),
        "w_min_snr_x0" | "lucid_min_snr_x0" => (min_snr, X0),
        "w_min_snr_v" | "lucid_min_snr_v" => (min_snr, V),
        "snr" | "mp_snr" | "w_snr_x0" => (Weight::Snr, X0),
        "w_trunc_snr_x0" | "w_cm_truncated" => (Weight::MaxSnr { gamma: 1.0 }, X0),
        "w_max_snr_x0" => (Weight::MaxSnr { gamma: 5.0 }, X0),
        "w_cm_karras_sd05" => (Weight::Edm(SigmaData::KARRAS), X0),
        "w_p2_k1_gamma1" => (Weight::P2 { k: 1.0, gamma: 1.0 }, Epsilon),
        "w_p2_k1_gamma0.5" => (Weight::P2 { k: 1.0, gamma: 0.5 }, Epsilon),
        _ => return None,
    })
}

/// Whether the Min-SNR repository replaces a weight by 1, as it does at zero terminal SNR; ours is the limit of its formula.
fn is_replaced(name: &str, snr: f64) -> bool {
    snr == 0.0 && matches!(name, "w_min_snr_x0" | "w_min_snr_v" | "w_snr_x0" | "w_trunc_snr_x0" | "w_max_snr_x0")
}

fn check_weights(case: &Value, change: impl Fn(f64) -> f64) {
    let (file, schedule) = (Vectors::load(id(case)), recipe(case).unwrap());
    let (index, snr) = (file.indices("index"), file.f64("mp_snr"));
    let known: Vec<String> = names(case).into_iter().filter(|name| weight(name).is_some()).collect();
    assert!(known.len() >= 11);
    for name in known {
        let (weight, on) = weight(&name).unwrap();
        let found = pick(&schedule.loss_weights(&weight, on).unwrap(), &index);
        let expected = file.f64(&name);
        let kept = (0..index.len()).filter(|&i| !is_replaced(&name, snr[i]));
        let (found, expected): (Vec<_>, Vec<_>) = kept.map(|i| (change(found[i]), expected[i])).unzip();
        assert!(found.len() + 1 >= index.len());
        assert_relative(&format!("{} {name}", id(case)), &found, &expected, tolerance(case));
    }
}

#[test]
fn every_weight() {
    for name in ["linear_T1000_gamma5", "cosine_T1000_gamma5", "zero_snr_scaled_linear_T1000"] {
        let case = case(&format!("D_weights_{name}"));
        check_weights(&case, |weight| weight);
        assert!(fails(|| check_weights(&case, |weight| weight * (1.0 + 1e-11))));
    }
}

#[test]
fn weights_at_zero_terminal_snr() {
    let schedule = recipe(&case("D_weights_zero_snr_scaled_linear_T1000")).unwrap();
    let last = |weight: Weight, on| schedule.loss_weight(999, &weight, on).unwrap();
    let (min_snr, edm) = (Weight::MinSnr { gamma: 5.0 }, Weight::Edm(SigmaData::KARRAS));
    assert_eq!([Epsilon, X0, V].map(|on| last(min_snr.clone(), on)), [1.0, 0.0, 0.0]);
    assert_eq!([X0, V].map(|on| last(Weight::MaxSnr { gamma: 1.0 }, on)), [1.0, 1.0]);
    assert_eq!([X0, V].map(|on| last(edm.clone(), on)), [4.0, 4.0]);
    assert_eq!(
        schedule.loss_weights(&edm, Epsilon).unwrap_err().to_string(),
        "the weight edm of a loss on epsilon has no finite value at timestep 999, where alpha = 0, sigma = 1"
    );
}

fn check_weighted(case: &Value, change: impl Fn(LossRow) -> LossRow) {
    let (file, schedule) = (Vectors::load(id(case)), recipe(case).unwrap());
    let timesteps: Vec<u32> = file.indices("t").into_iter().map(|t| t as u32).collect();
    let (x0, eps) = (file.f64("x0"), file.f64("eps"));
    let (min_snr, p2) = (Weight::MinSnr { gamma: 5.0 }, Weight::P2 { k: 1.0, gamma: 1.0 });
    let jobs = [
        ("mse_epsilon", Epsilon, Weight::None),
        ("mse_x0", X0, Weight::None),
        ("mse_v", V, Weight::None),
        ("min_snr_mse_epsilon", Epsilon, min_snr.clone()),
        ("min_snr_mse_x0", X0, min_snr.clone()),
        ("min_snr_mse_v", V, min_snr),
        ("trunc_snr_mse_x0", X0, Weight::MaxSnr { gamma: 1.0 }),
        ("snr_mse_x0", X0, Weight::Snr),
        ("p2_mse_epsilon", Epsilon, p2),
    ];
    for (name, predicts, weight) in jobs {
        let prediction = file.f64(&format!("pred_{predicts}"));
        let table = schedule.loss(&Objective::of(predicts).weighted(weight), LossInputs::CleanAndNoise).unwrap();
        let table = Table::new(table.rows().iter().map(|row| change(row.unwrap())));
        let elements = x0.len() / timesteps.len();
        let batch = Batch { timesteps: &timesteps, elements, prediction: &prediction, inputs: [&x0, &eps] };
        let found = Loss::reference(&table, Penalty::MSE, &batch, Reduction::Sum);
        assert_relative(name, &values(&found.samples), &file.f64(name), tolerance(case));
    }
}

#[test]
fn weighted_losses_of_every_prediction() {
    let case = case("D_weighted_linear_T1000_6x3x4x5");
    check_weighted(&case, |row| row);
    assert!(fails(|| check_weighted(&case, |row| LossRow { weight: row.weight * (1.0 + 1e-9), ..row })));
    assert!(fails(|| check_weighted(&case, |row| LossRow { inputs: [row.inputs[0], -row.inputs[1]], ..row })));
}

#[test]
fn likelihood_primitives() {
    /// The manifest's bound for KL and the distribution function.
    const KL: f64 = 1e-11;
    /// The part of the manifest's bound for the log likelihood that does not grow as the probability falls.
    const LIKELIHOOD: f64 = 1e-9;
    let file = Vectors::load("D_likelihood_primitives");
    let [mean1, logvar1, mean2, logvar2] = ["mean1", "logvar1", "mean2", "logvar2"].map(|name| file.f64(name));
    let gaussian = |mean: f64, log_variance: f64| Gaussian { mean, log_variance };
    let [kl, standard, cdf] =
        ["normal_kl", "normal_kl_vs_standard", "approx_standard_normal_cdf"].map(|name| file.f64(name));
    let [x, means, scales, z] = ["x", "means", "log_scales", "z"].map(|name| file.f64(name));
    let likelihood = file.f64("discretized_gaussian_log_likelihood");
    for i in 0..kl.len() {
        let (first, second) = (gaussian(mean1[i], logvar1[i]), gaussian(mean2[i], logvar2[i]));
        assert_within("kl", first.kl(second), kl[i], KL * kl[i].max(1.0));
        let found = first.kl(Gaussian::STANDARD);
        assert_within("kl against N(0, 1)", found, standard[i], KL * standard[i].max(1.0));
        assert_within("cdf", Gaussian::STANDARD.cdf(z[i]), cdf[i], KL);
        let found = Gaussian { mean: means[i], log_variance: 2.0 * scales[i] }.discretized_log_likelihood(x[i]);
        let bound = LIKELIHOOD * likelihood[i].abs().max(1.0) + cancelled(-likelihood[i]);
        assert_within(&format!("log likelihood {i}"), found, likelihood[i], bound);
    }
}

/// The error of a small probability, given its negative logarithm, that the peer computes as the difference of two nearly equal
/// numbers: the manifest's bound for the primitive. Ours does not cancel (20.63384858406132 to 16 digits where the peer has
/// 20.6338486077).
fn cancelled(nats: f64) -> f64 {
    4.0 * f64::EPSILON * nats.exp()
}

/// Fails unless `|found - expected| <= tolerance*max(1, |expected|)` for each element.
#[track_caller]
fn assert_near(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        assert_within(&format!("{what} {i}"), found, expected, tolerance * expected.abs().max(1.0));
    }
}

fn check_vlb(name: &str, variance: ModelVariance) {
    let case = case(name);
    let (file, schedule, tolerance) = (Vectors::load(name), recipe(&case).unwrap(), tolerance(&case));
    let predicts = if case["config"]["mean_type"] == "EPSILON" { Epsilon } else { X0 };
    let t = file.indices("t");
    let tensors = ["x0", "x_t", "out_mean", "out_var", "eps"].map(|name| file.f64(name));
    let elements = tensors[0].len() / t.len();
    let unclipped = Vlb::new(&schedule, predicts, variance, None).unwrap();
    let clipped = Vlb::new(&schedule, predicts, variance, Some(1.0)).unwrap();
    for (sample, &t) in t.iter().enumerate() {
        let range = sample * elements..(sample + 1) * elements;
        let [x0, x_t, prediction, learned, eps] = tensors.each_ref().map(|tensor| &tensor[range.clone()]);
        let expect = |name: &str| file.f64(name)[range.clone()].to_vec();
        let term = unclipped.term(t, x0, x_t, prediction, learned).unwrap();
        let of = |term: &VlbTerm, part: fn(&Gaussian) -> f64| term.model.iter().map(part).collect::<Vec<_>>();
        let near = |what: &str, found: &[f64], expected: &[f64]| {
            assert_near(&format!("{name} sample {sample} {what}"), found, expected, tolerance);
        };
        near("mean", &of(&term, |g| g.mean), &expect("model_mean"));
        near("log variance", &of(&term, |g| g.log_variance), &expect("model_log_variance"));
        near("kl", &term.kl, &expect("kl_nats"));
        let decoder = |term: &VlbTerm, name: &str| {
            for (&found, expected) in term.decoder.iter().zip(expect(name)) {
                assert_within(name, found, expected, tolerance * expected.max(1.0) + cancelled(expected));
            }
        };
        decoder(&term, "decoder_nll_nats");
        let of_sample = |name: &str| [file.f64(name)[sample]];
        near("bound", &[term.bits(t)], &of_sample("vb_bpd"));
        near("prior", &[bits(&unclipped.prior(x0))], &of_sample("prior_bpd"));
        let squares = |target: &[f64]| {
            let d = prediction.iter().zip(target).map(|(p, target)| (p - target) * (p - target));
            d.sum::<f64>() / elements as f64
        };
        let (mse, vb) = (squares(if predicts == Epsilon { eps } else { x0 }), term.bits(t));
        let steps = schedule.len() as f64;
        near("mse", &[mse, vb, mse + vb], &["mse_mse", "mse_vb", "mse_loss"].map(|name| of_sample(name)[0]));
        let rescaled = vb * steps / 1000.0;
        let expected = ["rescaled_mse_vb", "rescaled_mse_loss", "kl_loss", "rescaled_kl_loss"];
        near("loss", &[rescaled, mse + rescaled, vb, vb * steps], &expected.map(|name| of_sample(name)[0]));
        let term = clipped.term(t, x0, x_t, prediction, learned).unwrap();
        near("clipped mean", &of(&term, |g| g.mean), &expect("model_mean_clip"));
        near("clipped kl", &term.kl, &expect("kl_nats_clip"));
        decoder(&term, "decoder_nll_nats_clip");
        near("clipped bound", &[term.bits(t)], &of_sample("vb_bpd_clip"));
    }
}

#[test]
fn terms_of_the_bound() {
    for name in ["D_vlb_linear_T1000_eps_6x3x4x4", "D_vlb_cosine_T1000_x0_3x1x3x5"] {
        check_vlb(name, ModelVariance::LearnedRange);
        for wrong in [ModelVariance::FixedSmall, ModelVariance::FixedLarge, ModelVariance::Learned] {
            assert!(fails(|| check_vlb(name, wrong)), "{wrong:?}");
        }
    }
}

fn check_chain(name: &str, variance: ModelVariance) {
    let case = case(name);
    let (file, tolerance, whole) = (Vectors::load(name), tolerance(&case), recipe(&case).unwrap());
    let abar = pick(&whole.alphas_cumprod(), &file.indices("timestep_map"));
    let schedule = Schedule::from_alphas_cumprod(&abar).unwrap();
    let clip = case["config"]["clip_denoised"].as_bool().unwrap().then_some(1.0);
    let bound = Vlb::new(&schedule, Epsilon, variance, clip).unwrap();
    let (x0, steps) = (file.f64("x0"), abar.len());
    let [noises, outputs] = ["noises", "model_outputs"].map(|name| file.f64(name));
    let learned = if names(&case).iter().any(|name| name == "var_values") { file.f64("var_values") } else { vec![] };
    let samples = case["config"]["shape"][0].as_u64().unwrap() as usize;
    let elements = x0.len() / samples;
    for sample in 0..samples {
        // Iteration k is timestep N-1-k.
        let at = |tensor: &[f64], t: usize| {
            let start = ((steps - 1 - t) * samples + sample) * elements;
            tensor.get(start..start + elements).unwrap_or_default().to_vec()
        };
        let x0 = &x0[sample * elements..(sample + 1) * elements];
        let found = bound.chain(x0, |t| at(&noises, t), |t, _| [at(&outputs, t), at(&learned, t)]).unwrap();
        let near = |what: &str, found: &[f64], expected: &[f64]| assert_near(what, found, expected, tolerance);
        let by_iteration = |terms: &[f64]| terms.iter().rev().copied().collect::<Vec<_>>();
        for (what, terms) in [("vb", found.terms), ("xstart_mse", found.x0_mse), ("mse", found.epsilon_mse)] {
            near(what, &by_iteration(&terms), &file.f64(what)[sample * steps..(sample + 1) * steps]);
        }
        near("prior", &[found.prior], &[file.f64("prior_bpd")[sample]]);
        near("total", &[found.total], &[file.f64("total_bpd")[sample]]);
    }
}

#[test]
fn bits_per_dimension_of_a_chain() {
    check_chain("D_bpd_loop_linear_T1000_10", ModelVariance::LearnedRange);
    check_chain("D_bpd_loop_linear_scaled_T20_fixed_large", ModelVariance::FixedLarge);
    assert!(fails(|| check_chain("D_bpd_loop_linear_T1000_10", ModelVariance::FixedSmall)));
    assert!(fails(|| check_chain("D_bpd_loop_linear_scaled_T20_fixed_large", ModelVariance::FixedSmall)));
}

/// EDM's network output is one more quantity, and its loss one more row.
#[test]
fn edm() {
    let case = case("D_edm_denoiser_sd05");
    let (file, tolerance) = (Vectors::load(id(&case)), tolerance(&case));
    let sigma_data = SigmaData::new(0.5).unwrap();
    let sigmas = file.f64("sigma");
    let levels: Vec<NoiseLevel> = sigmas.iter().map(|&s| NoiseLevel::variance_exploding(s).unwrap()).collect();
    let mix: Vec<[f64; 2]> = levels.iter().map(|&level| solve(level, Edm(sigma_data), X0).unwrap()).collect();
    let relative = |name: &str, found: &[f64]| assert_relative(name, found, &file.f64(name), tolerance);
    relative("c_skip", &mix.iter().map(|row| row[0]).collect::<Vec<_>>());
    relative("c_out", &mix.iter().map(|row| row[1]).collect::<Vec<_>>());
    relative("c_in", &levels.iter().map(|&level| sigma_data.c_in(level)).collect::<Vec<_>>());
    let [x0, noise, output] = ["x0", "noise", "inner_output"].map(|name| file.f64(name));
    let elements = x0.len() / sigmas.len();
    for (i, &expected) in file.f64("denoised").iter().enumerate() {
        let ([skip, out], sigma) = (mix[i / elements], sigmas[i / elements]);
        let terms = [out * output[i], skip * x0[i], skip * sigma * noise[i]];
        let bound = tolerance * terms.iter().map(|term| term.abs()).sum::<f64>();
        assert_within("denoised", terms.iter().sum(), expected, bound);
    }
    let schedule = Schedule::from_levels(&levels).unwrap();
    let timesteps: Vec<u32> = (0..sigmas.len() as u32).collect();
    let weights = [
        ("karras", Weight::Edm(sigma_data)),
        ("soft_min_snr", Weight::SoftMinSnr { gamma: sigma_data.value().powi(-2) }),
        ("snr", Weight::Snr),
    ];
    for (name, weight) in weights {
        relative(&format!("weight_{name}"), &schedule.loss_weights(&weight, Edm(sigma_data)).unwrap());
        // The same loss, on the network's output and on the clean sample.
        for on in [Edm(sigma_data), X0] {
            let objective = Objective::of(Edm(sigma_data)).on(on).weighted(weight.clone());
            let table = schedule.loss(&objective, LossInputs::CleanAndNoise).unwrap();
            let batch = Batch { timesteps: &timesteps, elements, prediction: &output, inputs: [&x0, &noise] };
            let found = Loss::reference(&table, Penalty::MSE, &batch, Reduction::Sum);
            relative(&format!("loss_{name}"), &values(&found.samples));
        }
    }
}
