//! The loop of a sampler on the host against a plain loop over its rows.

use crate::support::loops::{Inputs, deviation, run};
use tweedie::error::LoopError;
use tweedie::math::catalog::SamplerOptions;
use tweedie::math::sampler::Variance;
use tweedie::table::Deviation;
use tweedie::{HostSampling, Model, NoiseKey, Quantity, Sampler, Schedule, Shape};

/// The same f64 sums may be taken in a different order.
const ROUNDED: f64 = 1e-12;

const SHAPE: Shape = Shape::new(2, 5);

/// A meaningless network that depends on its input, the timestep and a shift.
fn network(input: &[f32], timestep: f64, shift: f32) -> Vec<f32> {
    input.iter().map(|x| 0.3 * (x + shift).sin() + 1e-4 * timestep as f32).collect()
}

fn samplers() -> Vec<(&'static str, Sampler)> {
    let model = Model::new(Schedule::linear(1000, 1e-4, 0.02).expect("a schedule"), Quantity::V);
    let built = Sampler::CATALOGUE.entries.iter().filter_map(|entry| {
        let options = SamplerOptions { steps: Some(6), ..SamplerOptions::default() };
        Some((entry.name, entry.build(&model, &options).ok()?))
    });
    // A churned start adds one noise here and two separate ones there; a learned variance and slices are further outputs of the
    // network.
    built.filter(|(_, it)| it.start() == [1.0, 0.0] && it.deviation() == Deviation::Fixed && it.slices() == 1).collect()
}

fn on_host(mut host: HostSampling<'_>) -> Vec<f64> {
    while let Some(call) = host.call() {
        let [conditional, unconditional] = [0.0, 0.4].map(|shift| network(&call.input, call.timestep, shift));
        host.give(&conditional, &unconditional).expect("an answer");
    }
    host.samples().to_vec()
}

#[test]
fn every_sampler_is_its_rows() {
    let key = NoiseKey::seed(4).stream(9);
    let draws = |stream: u32| key.stream(stream).reference(2, 5);
    let samplers = samplers();
    assert!(samplers.len() > 20, "{}", samplers.len());
    for (name, sampler) in &samplers {
        let calls = sampler.calls();
        let scale = sampler.start_row()[0][1];
        let noises = (0..calls.len() as u32).map(|k| draws(9 + k)).collect();
        let initial = draws(8).into_iter().map(|z| scale * z).collect();
        let inputs = Inputs { batch: 2, initial, noises, ..Inputs::default() };
        let exact = run(sampler, &inputs, |k, x| {
            let input: Vec<f32> = x.iter().map(|x| (calls[k].input * x) as f32).collect();
            network(&input, calls[k].timestep, 0.0).into_iter().map(f64::from).collect()
        });
        let found = on_host(HostSampling::new(sampler, SHAPE, key));
        let off = deviation(&found, exact.last());
        assert!(off <= ROUNDED, "{name}: off by {off:.1e}");
        let guided = on_host(HostSampling::new(sampler, SHAPE, key).guided(1.5));
        assert!(deviation(&guided, &found) > 1e-4, "{name}: guidance changes nothing");
    }
}

#[test]
fn a_row_keeps_guidance_of_its_own() {
    let (_, sampler) = samplers().into_iter().find(|(name, _)| *name == "ddim").expect("ddim");
    let key = NoiseKey::seed(4);
    let mut guided = sampler.clone();
    guided.calls_mut().iter_mut().for_each(|call| call.row = call.row.guided([3.0, -2.0]));
    assert!(!HostSampling::new(&sampler, SHAPE, key).is_guided());
    assert!(HostSampling::new(&guided, SHAPE, key).is_guided());
    let expected = on_host(HostSampling::new(&sampler, SHAPE, key).guided(3.0));
    assert_eq!(on_host(HostSampling::new(&guided, SHAPE, key)), expected);
    assert_eq!(on_host(HostSampling::new(&guided, SHAPE, key).guided(7.0)), expected);
    assert_ne!(on_host(HostSampling::new(&sampler, SHAPE, key)), expected);
}

#[test]
fn a_clean_sample_is_noised_to_the_first_level() {
    let (_, sampler) = samplers().into_iter().find(|(name, _)| *name == "ddim").expect("ddim");
    let (key, x0) = (NoiseKey::seed(4), [0.25; 10]);
    let host = HostSampling::from_clean(&sampler, SHAPE, key, &x0).expect("a start");
    let [[of_x0, of_z], _] = sampler.start_from_row();
    let noise = key.stream(u32::MAX).reference(2, 5);
    let exact: Vec<f64> = x0.iter().zip(noise).map(|(x0, z)| of_x0 * x0 + of_z * z).collect();
    assert_eq!(host.samples(), exact);
    let short = HostSampling::from_clean(&sampler, SHAPE, key, &x0[1..]).map(drop);
    assert_eq!(short, Err(LoopError::Count { what: "x0", expected: 10, found: 9 }));
}

#[test]
fn answers_that_do_not_fit_change_nothing() {
    let (_, sampler) = samplers().swap_remove(0);
    let mut host = HostSampling::new(&sampler, SHAPE, NoiseKey::seed(4)).guided(2.0);
    let before = host.samples().to_vec();
    let short = host.give(&[0.0; 10], &[0.0; 9]);
    assert_eq!(short, Err(LoopError::Count { what: "unconditional", expected: 10, found: 9 }));
    assert_eq!((host.samples(), host.calls()), (&before[..], 0));
    while host.call().is_some() {
        host.give(&[0.0; 10], &[0.0; 10]).expect("an answer");
    }
    let calls = sampler.calls().len();
    assert_eq!(host.give(&[0.0; 10], &[0.0; 10]), Err(LoopError::Call { calls, found: calls }));
}

/// A learned variance is another output of the network, which must be given.
#[test]
fn a_learned_variance_is_read() {
    let model = Model::new(Schedule::linear(1000, 1e-4, 0.02).expect("a schedule"), Quantity::Epsilon);
    let options =
        SamplerOptions { steps: Some(6), variance: Some(Variance::LearnedRange), ..SamplerOptions::default() };
    let sampler = Sampler::CATALOGUE.find("ddpm").expect("ddpm").build(&model, &options).expect("a sampler");
    let key = NoiseKey::seed(4).stream(9);
    let begin = || HostSampling::new(&sampler, SHAPE, key);
    let missing = begin().give(&[0.1; 10], &[]);
    assert!(matches!(missing, Err(LoopError::Missing { tensor: "learned", .. })), "{missing:?}");
    let short = begin().give_with_variance(&[0.1; 10], &[], &[0.0; 9]);
    assert_eq!(short, Err(LoopError::Count { what: "learned", expected: 10, found: 9 }));
    let given = |learned: f32| {
        let mut host = begin();
        host.give_with_variance(&[0.1; 10], &[], &[learned; 10]).expect("an answer");
        host.samples().to_vec()
    };
    let row = &sampler.calls()[0].row;
    let [low, high] = [-1.0, 1.0].map(|v: f64| row.z * (row.learned[0] + v * row.learned[1]).exp());
    assert!(high - low > 1e-3, "the interval is empty: {low} to {high}");
    let noise = key.stream(9).reference(2, 5);
    let exact: Vec<f64> = given(-1.0).iter().zip(noise).map(|(x, z)| x + (high - low) * z).collect();
    assert!(deviation(&given(1.0), &exact) <= ROUNDED);
}
