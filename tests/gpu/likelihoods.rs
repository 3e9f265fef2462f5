//! Terms of the variational bound on the GPU, against guided-diffusion and against the mathematics as published.

use crate::harness::{Harness, TestRng};
use crate::support::{Vectors, cases, id, recipe};
use crate::vlb_terms::{Data, pixel, terms_of};
use tweedie::Quantity;
use tweedie::error::VlbError;
use tweedie::gpu::compare::{Comparison, Expected};
use tweedie::gpu::vlb::Batch;
use tweedie::gpu::{
    GradientScale, Noise, RecordError, Recording, Reduction, Shape, Storage, Tensor, Timesteps, VlbInputs, VlbTerms,
};
use tweedie::math::{LossInputs, ModelVariance, Schedule, Vlb};
use tweedie::table::{Table, Term, VlbRow};

pub const TESTS: &[crate::Test] = &[
    ("likelihoods::guided_diffusion", guided_diffusion),
    ("likelihoods::primitives_of_guided_diffusion", primitives_of_guided_diffusion),
    ("likelihoods::every_variance_and_prediction", every_variance_and_prediction),
    ("likelihoods::zero_terminal_snr", zero_terminal_snr),
];

/// Relative to the term, or to 1 where that is more: the manifest allows a hundred times as much, since implementations in
/// f32 lose that in two nearly equal means and two nearly equal probabilities.
const TERM: f64 = 1e-6;

#[track_caller]
fn assert_near(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs();
        assert!(error <= tolerance * expected.abs().max(1.0), "{what} {i}: expected {expected}, found {found}");
    }
}

fn guided_diffusion(harness: &Harness) {
    for name in ["D_vlb_linear_T1000_eps_6x3x4x4", "D_vlb_cosine_T1000_x0_3x1x3x5"] {
        let case = cases("D").into_iter().find(|case| id(case) == name).expect("the case");
        let (file, schedule) = (Vectors::load(name), recipe(&case).expect("a schedule"));
        let predicts = if case["config"]["mean_type"] == "EPSILON" { Quantity::Epsilon } else { Quantity::X0 };
        let timesteps: Vec<u32> = file.indices("t").into_iter().map(|t| t as u32).collect();
        let [prediction, learned, x0, eps] = ["out_mean", "out_var", "x0", "eps"].map(|name| file.f64(name));
        let data = Data { timesteps: &timesteps, prediction: &prediction, learned: &learned, x0: &x0, in1: &eps };
        for (clip, expected) in [(None, "vb_bpd"), (Some(1.0), "vb_bpd_clip")] {
            let bound = Vlb::new(&schedule, predicts, ModelVariance::LearnedRange, clip).expect("a bound");
            let table = bound.table(LossInputs::CleanAndNoise).expect("rows");
            let [found, ..] = terms_of(harness, &table, clip, &data, None);
            assert_near(&format!("{name} {expected}"), &found, &file.f64(expected), TERM);
            // The term of a hybrid loss, and that of a loss that is the bound alone.
            let steps = schedule.len() as f64;
            for (factor, of) in [(steps / 1000.0, "rescaled_mse_vb"), (steps, "rescaled_kl_loss")] {
                let [found, ..] = terms_of(harness, &table.map(|row| row.times(factor)), clip, &data, None);
                let expected = file.f64(of);
                if clip.is_none() {
                    assert_near(&format!("{name} {of}"), &found, &expected, TERM);
                }
            }
            let wrong = Vlb::new(&schedule, predicts, ModelVariance::FixedLarge, clip).expect("a bound");
            let [found, ..] =
                terms_of(harness, &wrong.table(LossInputs::CleanAndNoise).expect("rows"), clip, &data, None);
            let far = found.iter().zip(file.f64(expected)).filter(|(found, exact)| (**found - exact).abs() > TERM);
            assert!(far.count() > 0, "{name}: a fixed variance passes for a learned one");
        }
        let bound = Vlb::new(&schedule, predicts, ModelVariance::FixedSmall, None).expect("a bound");
        let prior = Table::new(vec![bound.prior_row(); schedule.len()]);
        let [found, ..] = terms_of(harness, &prior, None, &data, None);
        assert_near(&format!("{name} prior"), &found, &file.f64("prior_bpd"), TERM);
    }
}

/// Divergences and likelihoods of single elements, each a sample with a row of its own.
fn primitives_of_guided_diffusion(harness: &Harness) {
    let file = Vectors::load("D_likelihood_primitives");
    let number = |name: &str| file.f64(name);
    let row = |term, inverse_deviation, log_ratio| VlbRow {
        prediction: 1.0,
        inputs: [-1.0, 0.0],
        inverse_deviation,
        log_ratio: [log_ratio, -1.0],
        weight: 1.0,
        term,
    };
    let [mean1, logvar1, mean2, logvar2] = ["mean1", "logvar1", "mean2", "logvar2"].map(number);
    let timesteps: Vec<u32> = (0..mean1.len() as u32).collect();
    let table = Table::new(logvar1.iter().map(|&log| row(Term::Divergence, (-0.5 * log).exp(), log)));
    let data = Data { timesteps: &timesteps, prediction: &mean2, learned: &logvar2, x0: &mean1, in1: &mean1 };
    let [found, ..] = terms_of(harness, &table, None, &data, None);
    for (i, (found, exact)) in found.iter().zip(number("normal_kl")).enumerate() {
        // The manifest's tolerance: the effect of rounding the logarithms and the means.
        let (r, d) = (logvar1[i] - logvar2[i], mean1[i] - mean2[i]);
        let bound = 4e-6 * (1.0 + r.abs() + r.exp() + d * d * (-logvar2[i]).exp());
        assert!((found - exact).abs() <= bound, "kl {i}: expected {exact}, found {found}");
    }
    let [x, means, scales] = ["x", "means", "log_scales"].map(number);
    let learned: Vec<f64> = scales.iter().map(|log| 2.0 * log).collect();
    let table = Table::new(x.iter().map(|_| row(Term::Decoder, 1.0, 0.0)));
    let data = Data { timesteps: &timesteps, prediction: &means, learned: &learned, x0: &x, in1: &x };
    let [found, ..] = terms_of(harness, &table, None, &data, None);
    let batch = Batch { timesteps: &timesteps, elements: 1, prediction: &means, learned: &learned, x0: &x, in1: &x };
    let magnitudes = VlbTerms::reference(&table, None, &batch, Reduction::Sum).samples;
    for (i, (found, exact)) in found.iter().zip(&number("discretized_gaussian_log_likelihood")).enumerate() {
        // The vectors themselves lose precision of small probabilities in f64, as the manifest says.
        let bound = Comparison::new(Storage::F32)
            .bound(Expected { value: -exact, magnitude: VlbTerms::ROUNDINGS * magnitudes[i].magnitude });
        let bound = bound + 8.0 * f64::EPSILON * (-exact).exp();
        assert!((found + exact).abs() <= bound, "log likelihood {i}: {exact}, found {found}, within {bound}");
        // The manifest's own tolerance, where it has one.
        let allowed = 1e-3 + 8.0 * Storage::F32.unit_roundoff() * (-exact).exp();
        assert!((found + exact).abs() <= allowed || *exact < -15.0, "log likelihood {i}: {exact}, found {found}");
    }
}

const VARIANCES: [ModelVariance; 4] =
    [ModelVariance::FixedSmall, ModelVariance::FixedLarge, ModelVariance::Learned, ModelVariance::LearnedRange];

/// Compares with the mathematics as published, which forms both means. The GPU is given the noise, the mathematics the noisy sample.
fn every_variance_and_prediction(harness: &Harness) {
    let schedules = [
        Schedule::linear(1000, 1e-4, 0.02).expect("a schedule"),
        Schedule::scaled_linear(1000, 0.00085, 0.012).and_then(|s| s.zero_terminal_snr()).expect("a schedule"),
    ];
    let timesteps = [0u32, 1, 2, 500, 999];
    let elements = 40;
    let mut rng = TestRng(91);
    let mut draw = |number: &mut dyn FnMut(&mut TestRng) -> f32| -> Vec<f64> {
        (0..timesteps.len() * elements).map(|_| f64::from(number(&mut rng))).collect()
    };
    let (x0, eps, off) = (draw(&mut pixel), draw(&mut TestRng::float), draw(&mut |rng| 0.05 * rng.float()));
    let range = draw(&mut |rng| 0.5 * rng.float());
    for schedule in &schedules {
        let levels: Vec<_> = timesteps.iter().map(|&t| schedule.levels()[t as usize]).collect();
        let small = schedule.posterior_log_variance_clipped().expect("variances");
        for predicts in [Quantity::X0, Quantity::Epsilon, Quantity::V] {
            let defined = schedule.levels()[999].alpha() > 0.0 || predicts != Quantity::Epsilon;
            let prediction: Vec<f64> = (0..x0.len())
                .map(|i| {
                    let [a, b] = predicts.row(levels[i / elements]).expect("a row");
                    f64::from((a * x0[i] + b * eps[i] + off[i]) as f32)
                })
                .collect();
            for (variance, clip) in VARIANCES.into_iter().flat_map(|v| [(v, None), (v, Some(1.0))]) {
                let learned: Vec<f64> = match variance {
                    // A logarithm of the variance, near that of the true posterior.
                    ModelVariance::Learned => {
                        let log = |i: usize| f64::from((small[timesteps[i / elements] as usize] + range[i]) as f32);
                        (0..x0.len()).map(log).collect()
                    }
                    _ => range.clone(),
                };
                let bound = Vlb::new(schedule, predicts, variance, clip).expect("a bound");
                let data =
                    Data { timesteps: &timesteps, prediction: &prediction, learned: &learned, x0: &x0, in1: &eps };
                let table = bound.table_where_defined(LossInputs::CleanAndNoise);
                let [found, ..] = terms_of(harness, &table, clip, &data, None);
                for (sample, &t) in timesteps.iter().enumerate() {
                    if t == 999 && !defined {
                        assert!(found[sample].is_nan(), "{predicts} at zero terminal SNR: {}", found[sample]);
                        continue;
                    }
                    let part = sample * elements..(sample + 1) * elements;
                    let level = levels[sample];
                    let x_t: Vec<f64> = part.clone().map(|i| level.alpha() * x0[i] + level.sigma() * eps[i]).collect();
                    let term = bound
                        .term(t as usize, &x0[part.clone()], &x_t, &prediction[part.clone()], &learned[part])
                        .expect("a term");
                    let what = format!("{predicts}, {variance:?}, clip {clip:?}, timestep {t}");
                    // A learned logarithm of 10 is rounded by 1e-6.
                    assert_near(&what, &found[sample..=sample], &[term.bits(t as usize)], 4.0 * TERM);
                }
            }
        }
    }
}

/// A term that does not exist is an error that names the timestep, or a sample of NaN that is counted.
fn zero_terminal_snr(harness: &Harness) {
    let schedule =
        Schedule::scaled_linear(1000, 0.00085, 0.012).and_then(|s| s.zero_terminal_snr()).expect("a schedule");
    let bound = Vlb::new(&schedule, Quantity::Epsilon, ModelVariance::FixedSmall, None).expect("a bound");
    let error = bound.table(LossInputs::CleanAndNoise).expect_err("no x0");
    assert!(matches!(&error, VlbError::Undefined(_)) && error.to_string().contains("timestep 999"), "{error}");
    let table = bound.table_where_defined(LossInputs::CleanAndNoise);
    assert_eq!((table.len(), table.first_undefined()), (1000, Some(999)));
    let [p, x0] = [(); 2].map(|()| harness.gpu.upload("tensor", bytemuck::cast_slice(&[0.5f32; 8])));
    let (terms, times) =
        (harness.gpu.buffer("terms", 8), harness.gpu.upload("t", bytemuck::cast_slice(&[500u32, 999])));
    let inputs = VlbInputs {
        table: &table,
        clip: None,
        shape: Shape::new(2, 4),
        prediction: Tensor::f32(&p),
        learned: None,
        x0: Tensor::f32(&x0),
        in1: Noise::Tensor(Tensor::f32(&x0)),
    };
    let plan = |timesteps| {
        let (mean, gradient, learned_gradient) = (None, None, None);
        let (reduction, scale) = (Reduction::Sum, GradientScale::ONE);
        let terms = (&terms, 0);
        let bound = VlbTerms { inputs, timesteps, terms, mean, gradient, learned_gradient, reduction, scale };
        bound.plan(&harness.context).expect("plan")
    };
    let per_sample = plan(Timesteps::per_sample(&times));
    harness.run(&per_sample, Recording::per_sample());
    let found = Storage::F32.decode(&harness.read(&terms));
    assert!(found[0] == 0.0 && found[1].is_nan(), "{found:?}");
    assert_eq!(bytemuck::cast_slice::<u8, u32>(&harness.read(per_sample.status().expect("a count")))[0], 1);
    let batch = plan(Timesteps::Batch);
    let error = harness.gpu.submit(|encoder| batch.encode(encoder, Recording::timestep(999))).expect("device");
    assert_eq!(error, Err(RecordError::Undefined { found: 999 }));
}
