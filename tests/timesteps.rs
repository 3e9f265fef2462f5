//! Drawn timesteps: their distributions, and that a batch may be split in any way.

use crate::support::assert_within;
use proptest::prelude::*;
use tweedie::error::DrawError;
use tweedie::math::{Density, LossSecondMoment, Schedule, TimestepDensity};
use tweedie::noise::NoiseKey;

/// The block whose first word decides a sample's timestep, as the page of `noise` says.
const TIMESTEP_BLOCK: u32 = 3 << 30;

const STEPS: usize = 1000;

/// The words make probabilities that are off by at most one part of 2^32 at either end.
const WORD: f64 = 2.0 / (1u64 << 32) as f64;

const LOGIT_NORMAL: Density = Density::LogitNormal { mean: 0.5, deviation: 1.2 };
const MODE: Density = Density::Mode { scale: 1.29 };
const LOG_NORMAL: Density = Density::LogNormal { mean: -1.2, deviation: 1.2 };

fn density(density: Density) -> TimestepDensity {
    TimestepDensity::of(&Schedule::linear(STEPS, 1e-4, 0.02).unwrap(), density).unwrap()
}

fn all() -> Vec<TimestepDensity> {
    let mut all: Vec<_> = [Density::Uniform, LOGIT_NORMAL, MODE, LOG_NORMAL].map(density).into();
    all.push(TimestepDensity::from_probabilities(&[0.0, 3.0, 0.0, 1.0, 0.0]).unwrap());
    all
}

/// The shares of `batch` samples that each of `ranks` gets, uneven where it does not divide.
fn shares(batch: usize, ranks: usize) -> Vec<(u64, usize)> {
    let bound = |rank: usize| batch * rank / ranks;
    (0..ranks).map(|rank| (bound(rank) as u64, bound(rank + 1) - bound(rank))).collect()
}

#[test]
fn a_batch_may_be_split_in_any_way() {
    const BATCH: usize = 100;
    for seed in [0, 7, u64::MAX] {
        let key = NoiseKey::seed(seed).stream(3);
        for density in all() {
            let (whole, stratified) = (density.draw(key, BATCH), density.draw_stratified(key, BATCH, BATCH as u32));
            assert_ne!(whole, stratified);
            for ranks in [1, 2, 3, 7] {
                let of = |draw: &dyn Fn(NoiseKey, usize) -> Vec<u32>| -> Vec<u32> {
                    let shares = shares(BATCH, ranks).into_iter();
                    shares.flat_map(|(first, batch)| draw(key.first_sample(first), batch)).collect()
                };
                assert_eq!(of(&|key, batch| density.draw(key, batch)), whole, "{ranks} ranks");
                assert_eq!(of(&|key, batch| density.draw_stratified(key, batch, BATCH as u32)), stratified);
            }
            assert_ne!(density.draw(key.stream(4), BATCH), whole);
            assert_ne!(density.draw(key.first_sample(1), BATCH), whole);
        }
        let levels = |first, batch| LOG_NORMAL.draw(key.first_sample(first), batch).unwrap();
        for ranks in [1, 2, 3, 7] {
            let split = shares(BATCH, ranks).into_iter().flat_map(|(first, batch)| levels(first, batch));
            assert_eq!(split.collect::<Vec<_>>(), levels(0, BATCH));
        }
    }
}

/// The draws of a seed never change. The expected ones were computed independently, the last with 15 digits of the inverse error
/// function.
#[test]
fn known_answers() {
    let key = NoiseKey::seed(42);
    assert_eq!(density(Density::Uniform).draw(key, 8), KNOWN_UNIFORM);
    assert_eq!(density(Density::Uniform).draw_stratified(key, 8, 8), KNOWN_STRATIFIED);
    assert_eq!(density(LOGIT_NORMAL).draw(key, 8), KNOWN_LOGIT_NORMAL);
}

const KNOWN_UNIFORM: [u32; 8] = [634, 909, 65, 414, 541, 150, 126, 865];
const KNOWN_STRATIFIED: [u32; 8] = [829, 988, 8, 176, 317, 393, 515, 733];
const KNOWN_LOGIT_NORMAL: [u32; 8] = [713, 891, 211, 560, 651, 322, 295, 861];

#[test]
fn a_uniform_timestep_is_one_integer_product() {
    for steps in [1, 3, 50, 1000, 4096, 1 << 24] {
        let uniform = TimestepDensity::uniform(steps).unwrap();
        let key = NoiseKey::seed(1);
        for sample in 0..200 {
            let word = key.words_of(TIMESTEP_BLOCK, sample)[0];
            for word in [word, 0, u32::MAX, u32::MAX / steps as u32] {
                assert_eq!(u64::from(uniform.at(word)), (u64::from(word) * steps as u64) >> 32);
            }
        }
    }
}

#[test]
fn probabilities_are_those_of_the_density() {
    let sum = |density: &TimestepDensity| (0..density.len()).map(|t| density.probability(t)).sum::<f64>();
    for density in all() {
        assert_eq!(sum(&density), 1.0);
        assert_eq!(density.probability(density.len()), 0.0);
        let mean: f64 = (0..density.len()).filter_map(|t| Some(density.probability(t) * density.importance(t)?)).sum();
        let drawn = (0..density.len()).filter(|&t| density.probability(t) > 0.0).count();
        assert_within("importance", mean, drawn as f64 / density.len() as f64, 1e-12);
    }
    let logit_normal = density(Density::LogitNormal { mean: 0.0, deviation: 1.0 });
    for t in 0..STEPS / 2 {
        assert_within("symmetric", logit_normal.probability(t), logit_normal.probability(STEPS - 1 - t), WORD);
    }
    // Half of the draws are below sigmoid(mean), and 84.1% below sigmoid(mean + deviation).
    let below = |density: &TimestepDensity, t: usize| density.ends()[t - 1] as f64 / 4294967296.0;
    let shifted = density(Density::LogitNormal { mean: sigmoid_inverse(0.25), deviation: 0.7 });
    assert_within("median", below(&shifted, 250), 0.5, WORD);
    let upper = density(Density::LogitNormal { mean: sigmoid_inverse(0.75) - 1.0, deviation: 1.0 });
    assert_within("one deviation up", below(&upper, 750), 0.841344746068543, WORD);
    // The density in the middle is 1 over the slope there, and falls by a few parts in 1e4 within the first bin next to it.
    let mode = density(MODE);
    let middle = 1.0 / (1.0 - 1.29 * (std::f64::consts::FRAC_PI_2 - 1.0));
    assert_within("mode", mode.probability(500) * STEPS as f64, middle, 1e-3 * middle);
    assert_eq!(density(Density::Mode { scale: 0.0 }).probability(7), density(Density::Uniform).probability(7));
}

fn sigmoid_inverse(x: f64) -> f64 {
    (x / (1.0 - x)).ln()
}

#[test]
fn log_normal_levels_take_the_nearest_timestep() {
    let sigmas = Schedule::edm(40, 0.002, 80.0, 7.0).unwrap().sigmas();
    let schedule = Schedule::variance_exploding(&sigmas).unwrap();
    let timesteps = TimestepDensity::of(&schedule, LOG_NORMAL).unwrap();
    let key = NoiseKey::seed(9);
    let nearest = |sigma: f64| {
        let distance = |t: &usize| (sigmas[*t] / sigma).ln().abs();
        (0..sigmas.len()).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap() as u32
    };
    let levels = LOG_NORMAL.draw(key, 500).unwrap();
    assert_eq!(timesteps.draw(key, 500), levels.iter().map(|&sigma| nearest(sigma)).collect::<Vec<_>>());
    let logs: Vec<f64> = levels.iter().map(|sigma| sigma.ln()).collect();
    let mean = logs.iter().sum::<f64>() / 500.0;
    assert_within("mean of ln sigma", mean, -1.2, 5.0 * 1.2 / 500f64.sqrt()); // five standard errors
    let falling = Schedule::variance_exploding(&[2.0, 1.0]).unwrap();
    assert_eq!(TimestepDensity::of(&falling, LOG_NORMAL), Err(DrawError::Order { timestep: 1 }));
    let zero_snr = Schedule::cosine(10).unwrap().zero_terminal_snr().unwrap();
    assert_eq!(TimestepDensity::of(&zero_snr, LOG_NORMAL).unwrap().probability(9), 0.0);
}

#[test]
fn a_stratified_batch_is_spread_evenly() {
    let uniform = TimestepDensity::uniform(STEPS).unwrap();
    for stream in 0..20 {
        let mut drawn = uniform.draw_stratified(NoiseKey::seed(3).stream(stream), 50, 50);
        drawn.sort_unstable();
        let strata: Vec<u32> = drawn.iter().map(|t| t / 20).collect();
        assert_eq!(strata, (0..50).collect::<Vec<u32>>());
    }
    // A sample by itself still has the whole distribution: its strata go round from stream to stream.
    let first: Vec<u32> = (0..200).map(|s| uniform.draw_stratified(NoiseKey::seed(3).stream(s), 1, 50)[0]).collect();
    assert!(first.iter().any(|&t| t < 100) && first.iter().any(|&t| t > 900));
    assert_eq!(uniform.draw_stratified(NoiseKey::seed(3), 4, 0), uniform.draw(NoiseKey::seed(3), 4));
}

#[test]
fn timesteps_are_independent_of_the_noise() {
    let key = NoiseKey::seed(11);
    let noise: Vec<u32> = (0..1000).map(|block| key.words_of(block, 0)[0]).collect();
    assert!(!noise.contains(&key.words_of(TIMESTEP_BLOCK, 0)[0]));
}

#[test]
fn importance_follows_the_second_moment_after_a_warm_up() {
    let mut state = LossSecondMoment::new(3).unwrap().with(2, 0.01).unwrap();
    let uniform = TimestepDensity::uniform(3).unwrap();
    state.update(&[0, 0, 1, 1, 2], &[1.0, 3.0, 0.0, 0.0, 2.0]).unwrap();
    assert!(!state.is_warmed_up());
    assert_eq!(state.density().unwrap(), uniform);
    state.update(&[2], &[-2.0]).unwrap();
    assert!(state.is_warmed_up());
    let check = |state: &LossSecondMoment, moments: [f64; 3]| {
        let density = state.density().unwrap();
        let total: f64 = moments.iter().sum();
        for (t, moment) in moments.into_iter().enumerate() {
            assert_within("probability", density.probability(t), 0.99 * moment / total + 0.01 / 3.0, WORD);
        }
    };
    check(&state, [5f64.sqrt(), 0.0, 2.0]);
    state.update(&[0], &[4.0]).unwrap(); // the 1 is forgotten
    check(&state, [12.5f64.sqrt(), 0.0, 2.0]);
    // What is refused leaves no trace.
    let before = state.clone();
    assert_eq!(
        state.update(&[0, 3], &[1.0, 1.0]).unwrap_err().to_string(),
        "timestep 3 is out of range: the schedule has 3, numbered from 0"
    );
    assert_eq!(state.update(&[0, 1], &[1.0]), Err(DrawError::Losses { expected: 2, found: 1 }));
    assert!(matches!(state.update(&[0, 1], &[1.0, f64::NAN]), Err(DrawError::Loss { timestep: 1, .. })));
    assert_eq!(state, before);
}

#[test]
fn extreme_losses_do_not_overflow() {
    let mut state = LossSecondMoment::new(2).unwrap().with(1, 0.0).unwrap();
    state.update(&[0, 1], &[f64::MAX, f64::MAX / 4.0]).unwrap();
    assert_within("huge", state.density().unwrap().probability(0), 0.8, WORD);
    state.update(&[0, 1], &[4e-320, 1e-320]).unwrap();
    assert_within("tiny", state.density().unwrap().probability(0), 0.8, 1e-3); // subnormal numbers have few digits
    state.update(&[0, 1], &[0.0, 0.0]).unwrap();
    assert_eq!(state.density().unwrap().probability(0), 0.5);
}

#[test]
fn wrong_parameters_are_named() {
    let schedule = Schedule::cosine(10).unwrap();
    let told = |density: Density| TimestepDensity::of(&schedule, density).unwrap_err().to_string();
    assert_eq!(told(Density::Mode { scale: 2.0 }), "scale must be within -1..=2/(pi - 2), found 2");
    assert!(told(Density::LogitNormal { mean: f64::NAN, deviation: 1.0 }).starts_with("mean must be finite"));
    assert!(told(Density::LogNormal { mean: 0.0, deviation: 0.0 }).starts_with("deviation must be finite and above 0"));
    assert!(TimestepDensity::uniform(0).is_err());
    assert!(TimestepDensity::uniform(usize::MAX).is_err());
    assert_eq!(TimestepDensity::from_probabilities(&[0.0, 0.0]), Err(DrawError::Nothing));
    let negative = TimestepDensity::from_probabilities(&[1.0, -1.0]);
    assert_eq!(negative, Err(DrawError::Probability { timestep: 1, value: -1.0 }));
    assert!(TimestepDensity::from_probabilities(&[]).is_err());
    assert!(LossSecondMoment::new(0).is_err());
    assert!(LossSecondMoment::new(1).unwrap().with(0, 2.0).is_err());
    assert!(LossSecondMoment::new(1).unwrap().with(0, 1.0).is_ok());
}

proptest! {
    #[test]
    fn every_word_has_a_timestep(
        probabilities in prop::collection::vec(prop_oneof![Just(0.0), 0.0..1.0, 0.0..f64::MAX, 0.0..1e-300], 1..20),
        word in any::<u32>(),
        (mean, deviation, scale) in (any::<f64>(), any::<f64>(), any::<f64>()),
    ) {
        if let Ok(density) = TimestepDensity::from_probabilities(&probabilities) {
            let t = density.at(word) as usize;
            prop_assert!(probabilities[t] > 0.0);
            prop_assert!(density.probability(t) > 0.0);
        }
        let schedule = Schedule::cosine(5).unwrap();
        for density in [Density::LogitNormal { mean, deviation }, Density::LogNormal { mean, deviation }, Density::Mode { scale }] {
            if let Ok(density) = TimestepDensity::of(&schedule, density) {
                prop_assert!((density.at(word) as usize) < 5);
            }
        }
    }
}

#[test]
fn every_density_covers_the_schedule() {
    let schedule = Schedule::cosine(20).unwrap();
    for entry in Density::CATALOGUE.entries {
        let density = TimestepDensity::of(&schedule, entry.build(&[]).unwrap()).unwrap();
        assert_eq!(density.len(), 20, "{}", entry.name);
    }
    let built = Density::CATALOGUE.find("log-normal").unwrap().build(&[("mean", -0.4)]);
    assert_eq!(built, Ok(Density::LogNormal { mean: -0.4, deviation: 1.2 }));
}
