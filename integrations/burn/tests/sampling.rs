//! Samplers on Burn tensors against their f64 references, call by call.

use crate::harness::{ELEMENTS, Harness, compare, download};
use burn::tensor::Tensor;
use tweedie::gpu::NoiseKey;
use tweedie::gpu::Step;
use tweedie::gpu::step::Sample;
use tweedie::math::sampler::{Ddpm, Denoiser, DpmSolver, FirstOrder, Grid, Sampler, Solver, Variance};
use tweedie::math::{NoiseLevel, Spacing};
use tweedie::table::{Clip, StepRow};
use tweedie::{Quantity, Schedule};
use tweedie_burn::{Error, Guide, Sampling};

pub const TESTS: &[crate::Test] = &[
    ("sampling::every_call_is_its_twin", every_call_is_its_twin),
    ("sampling::runs_do_not_disturb_each_other", runs_do_not_disturb_each_other),
];

const SHAPE: [usize; 3] = [3, 2, 10];
const ELEMENTS_EACH: usize = 20;
const KEY: NoiseKey = NoiseKey::seed(21).stream(7).first_sample(40);

fn schedule() -> Schedule {
    Schedule::linear(1000, 1e-4, 0.02).expect("a schedule")
}

fn sampler(solver: &impl Solver, predicts: Quantity, clip: Clip) -> Sampler {
    let timesteps = Spacing::Trailing.timesteps(1000, 6).expect("timesteps");
    let grid = Grid::of_schedule(&schedule(), &timesteps, NoiseLevel::CLEAN).expect("a grid");
    Sampler::new(solver, &grid, &Denoiser::new(predicts).clipped(clip)).expect("a sampler")
}

fn samplers(predicts: Quantity) -> [(&'static str, Sampler); 3] {
    let clip = Clip::Range(1.0);
    [
        ("DDIM", sampler(&FirstOrder::ddim(0.0), predicts, clip)),
        ("DDPM", sampler(&Ddpm::new(Variance::FixedSmall), predicts, clip)),
        ("DPM-Solver++ 2M", sampler(&DpmSolver::new(2), predicts, clip)),
    ]
}

/// A stand-in for a network. If guided, it also gives the unconditional predictions.
fn network(x: Tensor<3>, guided: bool) -> Tensor<3> {
    let with = x.clone().mul_scalar(0.7).add_scalar(0.05);
    if guided { Tensor::cat(vec![with, x.mul_scalar(0.6)], 0) } else { with }
}

/// Guidance that rises and falls over the six calls.
fn scheduled() -> Guide {
    Guide { scales: vec![1.0, 1.5, 4.0, 3.0, 2.0, 0.0], ..Guide::new(2.5) }
}

/// Each step is compared with its row in f64, from Burn's tensors before and after it.
fn every_call_is_its_twin(harness: &Harness) {
    for (name, bridge) in &harness.bridges {
        for (dtype, storage) in ELEMENTS {
            for predicts in [Quantity::Epsilon, Quantity::X0, Quantity::V] {
                for (solver, sampler) in samplers(predicts) {
                    for guide in [None, Some(Guide::new(2.5)), Some(scheduled())] {
                        let what = format!("{name}, {dtype:?}, {predicts}, {solver}, {guide:?}");
                        let sampling = Sampling::new(bridge, sampler.clone());
                        let sampling = guide.clone().map_or(sampling.clone(), |guide| sampling.guided(guide));
                        let mut run = sampling.start(SHAPE, dtype, KEY).expect("noise");
                        let mut history = vec![Vec::<f64>::new(); 3];
                        let (mut worst, mut wrong, mut calls) = (0f64, 0f64, 0);
                        while let Some(call) = run.call().copied() {
                            let before = run.input();
                            let prediction = network(before.clone(), guide.is_some());
                            run.step(prediction.clone()).expect("a step");
                            let after = run.input();
                            let mix = guide.as_ref().map_or([1.0, 0.0], |guide| {
                                let scale = guide.scales.get(calls as usize).unwrap_or(&guide.scale);
                                [*scale, 1.0 - scale]
                            });
                            let row = call.row.guided(mix);
                            let [x, p] = [&before, &prediction]
                                .map(|t| download(t).into_iter().map(f64::from).collect::<Vec<_>>());
                            let key = KEY.stream(KEY.stream + calls);
                            calls += 1;
                            let noise = key.reference(SHAPE[0], ELEMENTS_EACH);
                            let twin = |row: &StepRow| twin(row, sampler.clip(), &x, &p, &history, &noise);
                            let (exact, clean) = twin(&row);
                            let comparison = compare(&after, &exact, row.z.abs());
                            assert_eq!(comparison.mismatched, 0, "{what}: NaN or infinity");
                            worst = worst.max(comparison.worst_bound);
                            let mut off = row;
                            [off.x, off.p, off.clean] = [off.x, off.p, off.clean].map(|c| 1.05 * c);
                            wrong = wrong.max(compare(&after, &twin(&off).0, row.z.abs()).worst_bound);
                            // The GPU remembers the clean sample as the storage holds it.
                            history.rotate_right(1);
                            history[0] = clean.into_iter().map(|x| storage.round(x)).collect();
                        }
                        // In 16 bits a remembered sample may round to the other neighbour than in the reference.
                        let allowed =
                            if storage == tweedie::Storage::F32 { Step::ROUNDINGS } else { 2.0 * Step::ROUNDINGS };
                        assert!(worst < allowed, "{what}: {worst}");
                        assert!(wrong > allowed, "{what}: a wrong coefficient is not seen");
                        let error = run.step(network(run.input(), guide.is_some())).expect_err("one step too many");
                        assert_eq!(error, Error::Finished { calls: 6 });
                    }
                }
            }
        }
    }
}

/// The batch after a step, and its clean samples.
fn twin(
    row: &StepRow,
    clip: Clip,
    x: &[f64],
    p: &[f64],
    history: &[Vec<f64>],
    noise: &[f64],
) -> (Vec<tweedie::gpu::compare::Expected>, Vec<f64>) {
    let rules = tweedie::gpu::StepOptions { clip, ..Default::default() };
    let (mut next, mut clean) = (Vec::new(), Vec::new());
    for i in 0..SHAPE[0] {
        let part = |values: &[f64], at: usize| {
            values.get(at * ELEMENTS_EACH..(at + 1) * ELEMENTS_EACH).unwrap_or_default().to_vec()
        };
        let (x, c, u, z) = (part(x, i), part(p, i), part(p, SHAPE[0] + i), part(noise, i));
        let past: Vec<Vec<f64>> = history.iter().map(|values| part(values, i)).collect();
        let mut sample = Sample { x: &x, predictions: [&c, &u], noise: &z, ..Default::default() };
        for (slot, values) in sample.history.iter_mut().zip(&past) {
            *slot = values;
        }
        let stepped = Step::reference(row, &rules, &sample);
        next.extend(stepped.next);
        clean.extend(stepped.x0.iter().map(|x| x.value));
    }
    (next, clean)
}

/// The remembered samples of a solver belong to its run: two runs by turns give the same as each alone.
fn runs_do_not_disturb_each_other(harness: &Harness) {
    let [(_, bridge), _] = &harness.bridges;
    let [_, _, (_, sampler)] = samplers(Quantity::V);
    let sampling = Sampling::new(bridge, sampler);
    let start = |key| sampling.start(SHAPE, burn::tensor::DType::F32, key).expect("noise");
    let finish = |mut run: tweedie_burn::Run<'_, 3>| {
        while run.call().is_some() {
            run.step(network(run.input(), false)).expect("a step");
        }
        download(&run.finish())
    };
    let keys = [KEY, NoiseKey::seed(77)];
    let alone = keys.map(|key| finish(start(key)));
    let mut both = keys.map(start);
    while both[0].call().is_some() {
        for run in &mut both {
            run.step(network(run.input(), false)).expect("a step");
        }
    }
    assert_eq!(both.map(|run| download(&run.finish())), alone);
    assert_ne!(alone[0], alone[1]);
}
