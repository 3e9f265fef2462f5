//! A seed for each sample of a training step and of a likelihood, and what both refuse.

use crate::harness::{Harness, TestRng};
use std::ops::Range;
use tweedie::gpu::{Drawn, Gradient, NoiseKey, PlanError, RecordError, Shape, Tensor};
use tweedie::math::{ModelVariance, Objective, Schedule, TimestepDensity, Vlb};
use tweedie::noise::Perturbation;
use tweedie::table::Penalty;
use tweedie::{Error, Likelihood, LikelihoodLoop, Quantity, TimestepSource, Training, TrainingStep};

pub const TESTS: &[crate::Test] = &[
    ("own_seeds::samples_of_a_training_have_their_seeds", samples_of_a_training_have_their_seeds),
    ("own_seeds::samples_of_a_likelihood_have_their_seeds", samples_of_a_likelihood_have_their_seeds),
    ("own_seeds::given_timesteps_have_no_density", given_timesteps_have_no_density),
    ("own_seeds::a_likelihood_of_too_many_timesteps", a_likelihood_of_too_many_timesteps),
];

const KEY: NoiseKey = NoiseKey { seed: 9, stream: 5, first_sample: 3 };
const ELEMENTS: u32 = 10;
/// The seed and the index of each sample.
const SEEDS: [(u64, u64); 3] = [(11, 7), (1 << 40, 0), (11, 1 << 33)];
const TIMESTEPS: usize = 12;

fn seeds(harness: &Harness, seeds: &[(u64, u64)]) -> wgpu::Buffer {
    let halves = |word: u64| [word as u32, (word >> 32) as u32];
    let words: Vec<u32> = seeds.iter().flat_map(|&(seed, sample)| [halves(seed), halves(sample)].concat()).collect();
    harness.gpu.upload("seeds", bytemuck::cast_slice(&words))
}

/// The noise of one sample by itself, from its own key.
fn alone(sample: usize) -> Drawn<'static> {
    let (seed, first_sample) = SEEDS[sample];
    Drawn::new(NoiseKey { seed, first_sample, ..KEY })
}

/// Uploads these samples of a batch.
fn samples(harness: &Harness, seed: u64, range: &Range<usize>) -> wgpu::Buffer {
    let mut rng = TestRng(seed);
    let all: Vec<f32> = (0..SEEDS.len() * ELEMENTS as usize).map(|_| rng.float()).collect();
    let elements = ELEMENTS as usize;
    harness.gpu.upload("samples", bytemuck::cast_slice(&all[range.start * elements..range.end * elements]))
}

fn words(harness: &Harness, buffer: &wgpu::Buffer) -> Vec<u32> {
    bytemuck::pod_collect_to_vec(&harness.read(buffer))
}

/// The timesteps, noisy samples and losses of the second step of some samples. `moved` replaces the seeds of the plan, if given.
fn trained(
    harness: &Harness,
    range: Range<usize>,
    noise: Drawn<'_>,
    stratified: Option<u32>,
    moved: Option<&wgpu::Buffer>,
) -> Result<[Vec<u32>; 3], Error> {
    let shape = Shape::new(range.len() as u32, ELEMENTS);
    let [x0, prediction] = [1, 2].map(|seed| samples(harness, seed, &range));
    let [x_t, gradient] = ["x_t", "gradient"].map(|label| harness.gpu.buffer(label, 4 * shape.total()));
    let [timesteps, losses] = ["timesteps", "losses"].map(|label| harness.gpu.buffer(label, 4 * range.len() as u64));
    let density = TimestepDensity::uniform(TIMESTEPS)?;
    let training = Training {
        objective: &Objective::of(Quantity::V),
        penalty: Penalty::MSE,
        shape,
        noise,
        timestep_source: TimestepSource::Drawn { density: &density, stratified },
        timesteps: &timesteps,
        groups: None,
        x0: Tensor::f32(&x0),
        x_t: Tensor::f32(&x_t),
        prediction: Tensor::f32(&prediction),
        gradient: Gradient::sum(Tensor::f32(&gradient)),
        losses: &losses,
        mean: None,
        variance: None,
    };
    let step = TrainingStep::new(&harness.context, &Schedule::cosine(TIMESTEPS)?, &training)?;
    let step = match moved {
        Some(seeds) => step.moved(&harness.context, &[("seeds", Tensor::f32(seeds))])?,
        None => step,
    };
    let record = |encoder: &mut wgpu::CommandEncoder| {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        step.record_before(&mut pass, 1)?;
        step.record_after(&mut pass, 1)
    };
    harness.gpu.submit(record).expect("device")?;
    Ok([timesteps, x_t, losses].map(|buffer| words(harness, &buffer)))
}

fn samples_of_a_training_have_their_seeds(harness: &Harness) {
    let (own, other) = (seeds(harness, &SEEDS), seeds(harness, &[(0, 0); 3]));
    let perturbed = |drawn: Drawn<'static>| drawn.perturbed(Perturbation { offset: 0.5, input: 0.25 }, 5);
    for change in [(|drawn| drawn) as fn(Drawn<'static>) -> Drawn<'static>, perturbed] {
        let of_batch = change(Drawn::new(KEY).steps(2));
        let found = trained(harness, 0..3, of_batch.seeded(&own), None, None).expect("a step");
        let moved = trained(harness, 0..3, of_batch.seeded(&other), None, Some(&own)).expect("a step");
        assert_eq!(found, moved, "seeds that are moved to by their role");
        for sample in 0..3 {
            let range = sample..sample + 1;
            let one = trained(harness, range.clone(), change(alone(sample).steps(2)), None, None).expect("a step");
            let elements = ELEMENTS as usize;
            assert_eq!(found[0][range.clone()], one[0], "the timestep of sample {sample}");
            assert_eq!(found[1][range.start * elements..range.end * elements], one[1], "sample {sample}");
            assert_eq!(found[2][range], one[2], "the loss of sample {sample}");
        }
    }

    let drawn = Drawn::new(KEY).steps(2);
    let refused =
        |noise, stratified| trained(harness, 0..3, noise, stratified, None).expect_err("noise of another kind");
    let keep = harness.gpu.buffer("keep", 4 * 3 * u64::from(ELEMENTS));
    let (expected, found) = ("noise that is drawn again and not kept", "a tensor to keep it in");
    let error = PlanError::Noise { what: "noise of a training step", expected, found };
    assert_eq!(refused(drawn.keep(Tensor::f32(&keep)), None), Error::Plan(error));
    let (expected, found) = ("one key for all samples", "a seed for each");
    let error = PlanError::Noise { what: "stratified timesteps", expected, found };
    assert_eq!(refused(drawn.seeded(&own), Some(3)), Error::Plan(error));
}

/// The bits per dimension of some samples under noise of this schedule.
fn evaluated(harness: &Harness, schedule: &Schedule, range: Range<usize>, noise: Drawn<'_>) -> Result<Vec<u32>, Error> {
    let vlb = Vlb::new(schedule, Quantity::V, ModelVariance::FixedSmall, None)?;
    let shape = Shape::new(range.len() as u32, ELEMENTS);
    let [x0, prediction] = [1, 2].map(|seed| samples(harness, seed, &range));
    let x_t = harness.gpu.buffer("x_t", 4 * shape.total());
    let total = harness.gpu.buffer("total", 4 * range.len() as u64);
    let likelihood = Likelihood {
        vlb: &vlb,
        shape,
        noise,
        x0: Tensor::f32(&x0),
        x_t: Tensor::f32(&x_t),
        prediction: Tensor::f32(&prediction),
        learned: None,
        total: &total,
        x0_mse: false,
    };
    let bits = LikelihoodLoop::new(&harness.context, &likelihood)?;
    let record = |encoder: &mut wgpu::CommandEncoder| {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        bits.record_start(&mut pass)?;
        for t in 0..bits.timesteps() {
            bits.record_before(&mut pass, t)?;
            bits.record_after(&mut pass, t)?;
        }
        bits.record_end(&mut pass);
        Ok::<_, RecordError>(())
    };
    harness.gpu.submit(record).expect("device")?;
    Ok(words(harness, &total))
}

fn samples_of_a_likelihood_have_their_seeds(harness: &Harness) {
    let schedule = Schedule::linear(TIMESTEPS, 1e-3, 0.3).expect("a schedule");
    let (own, drawn) = (seeds(harness, &SEEDS), Drawn::new(KEY));
    let found = evaluated(harness, &schedule, 0..3, drawn.seeded(&own)).expect("a loop");
    for sample in 0..3 {
        let one = evaluated(harness, &schedule, sample..sample + 1, alone(sample)).expect("a loop");
        assert_eq!(found[sample..=sample], one, "sample {sample}");
    }

    let keep = harness.gpu.buffer("keep", 4 * 3 * u64::from(ELEMENTS));
    let a_stream_each = "1 step, since each call has a stream";
    for (noise, what, expected, found) in [
        (drawn.steps(0), "noise of a loop", a_stream_each, "no step"),
        (drawn.steps(12), "noise of a loop", a_stream_each, "several steps"),
        (drawn.perturbed(Perturbation::default(), 5), "noise of a loop", "white noise", "perturbed noise"),
        (
            drawn.keep(Tensor::f32(&keep)),
            "noise of a likelihood",
            "noise that is drawn again and not kept",
            "a tensor to keep it in",
        ),
    ] {
        let error = evaluated(harness, &schedule, 0..3, noise).expect_err("noise of another kind");
        assert_eq!(error, Error::Plan(PlanError::Noise { what, expected, found }));
    }
}

fn given_timesteps_have_no_density(harness: &Harness) {
    let shape = Shape::new(3, ELEMENTS);
    let [x0, x_t, prediction, gradient] = [(); 4].map(|()| harness.gpu.buffer("tensor", 4 * shape.total()));
    let [timesteps, losses] = [(); 2].map(|()| harness.gpu.buffer("words", 12));
    let density = TimestepDensity::uniform(TIMESTEPS).expect("a density");
    let schedule = Schedule::cosine(TIMESTEPS).expect("a schedule");
    let step = |timestep_source| {
        let training = Training {
            objective: &Objective::of(Quantity::V),
            penalty: Penalty::MSE,
            shape,
            noise: Drawn::new(KEY),
            timestep_source,
            timesteps: &timesteps,
            groups: None,
            x0: Tensor::f32(&x0),
            x_t: Tensor::f32(&x_t),
            prediction: Tensor::f32(&prediction),
            gradient: Gradient::sum(Tensor::f32(&gradient)),
            losses: &losses,
            mean: None,
            variance: None,
        };
        TrainingStep::new(&harness.context, &schedule, &training).expect("a step")
    };
    let set = |step: TrainingStep| step.set_density(&harness.gpu.queue, &density);
    assert_eq!(set(step(TimestepSource::InBuffer)), Err(RecordError::NoDraw));
    assert_eq!(set(step(TimestepSource::Drawn { density: &density, stratified: None })), Ok(()));
}

/// A plan holds the keys of at most 65,536 noise steps.
fn a_likelihood_of_too_many_timesteps(harness: &Harness) {
    let schedule = Schedule::linear(65_537, 1e-6, 1e-5).expect("a schedule");
    let error = evaluated(harness, &schedule, 0..1, Drawn::new(KEY)).expect_err("65,537 timesteps");
    let (what, expected) = ("timesteps of a likelihood", "at most 65,536");
    assert_eq!(error, Error::Plan(PlanError::Rule { what, expected, found: 65_537.0 }));
}
