//! The training step end to end, without a network: against the f64 twins, and with its batch split in any way.

use crate::harness::Harness;
use tweedie::gpu::compare::{Comparison, Expected};
use tweedie::gpu::loss::Batch;
use tweedie::gpu::vlb;
use tweedie::gpu::{Drawn, Gradient, Loss, NoiseKey, Perturbed, Reduction, Shape, Storage, Tensor};
use tweedie::math::{LossInputs, ModelVariance, Objective, Schedule, TimestepDensity, Vlb, Weight};
use tweedie::noise::Perturbation;
use tweedie::table::Penalty;
use tweedie::{Error, LearnedVariance, Quantity, TimestepSource, Training, TrainingStep};

pub const TESTS: &[crate::Test] = &[
    ("training::a_step_is_what_the_twins_say", a_step_is_what_the_twins_say),
    ("training::a_batch_may_be_split_in_any_way", a_batch_may_be_split_in_any_way),
    ("training::a_learned_variance_has_the_bounds_gradient", a_learned_variance_has_the_bounds_gradient),
    ("training::errors_name_what_was_found", errors_name_what_was_found),
];

const ELEMENTS: u32 = 3 * 5 * 7;
const KEY: NoiseKey = NoiseKey { seed: 99, stream: 4, first_sample: 0 };

/// The results of a part of a batch.
#[derive(Debug, PartialEq)]
struct Outcome {
    timesteps: Vec<u32>,
    x_t: Vec<f32>,
    losses: Vec<f32>,
    mean: f32,
    gradient: Vec<f32>,
    /// The terms of a learned variance; zeros without one.
    terms: Vec<f32>,
    of_learned: Vec<f32>,
}

/// The factor of the term of a learned variance.
const FACTOR: f64 = 0.75;

#[derive(Clone)]
struct Setting {
    schedule: Schedule,
    objective: Objective,
    density: TimestepDensity,
    perturbed: Option<(Perturbation, u32)>,
    variance: Option<ModelVariance>,
}

impl Setting {
    fn plain() -> Self {
        let schedule = Schedule::cosine(1000).expect("schedule");
        let objective = Objective::of(Quantity::V).weighted(Weight::MinSnr { gamma: 5.0 });
        let density = TimestepDensity::uniform(1000).expect("density");
        Self { schedule, objective, density, perturbed: None, variance: None }
    }

    /// Runs a step on the samples from `first` on of a batch of `whole`.
    fn run(&self, harness: &Harness, first: u32, batch: u32, whole: u32, step: u32) -> Result<Outcome, Error> {
        let shape = Shape::new(batch, ELEMENTS);
        let key = KEY.first_sample(u64::from(first));
        let numbers = |stream| -> Vec<f32> {
            let normals = NoiseKey::seed(1).stream(stream).first_sample(u64::from(first));
            normals.reference(batch as usize, ELEMENTS as usize).iter().map(|&x| x as f32).collect()
        };
        let [x0, prediction] = [0, 1].map(|stream| harness.gpu.upload("input", bytemuck::cast_slice(&numbers(stream))));
        let [x_t, gradient] = ["x_t", "gradient"].map(|label| harness.gpu.buffer(label, shape.total() * 4));
        let [timesteps, losses] = ["timesteps", "losses"].map(|label| harness.gpu.buffer(label, u64::from(batch) * 4));
        let mean = harness.gpu.buffer("mean", 4);
        let learned = harness.gpu.upload("learned", bytemuck::cast_slice(&numbers(2)));
        let (of_learned, terms) =
            (harness.gpu.buffer("gradient", shape.total() * 4), harness.gpu.buffer("terms", losses.size()));
        let training = Training {
            objective: &self.objective,
            penalty: Penalty::MSE,
            shape,
            noise: Drawn {
                perturbed: self.perturbed.map(|(by, channel)| Perturbed { by, channel }),
                ..Drawn::new(key).steps(3)
            },
            timestep_source: TimestepSource::Drawn { density: &self.density, stratified: Some(whole) },
            timesteps: &timesteps,
            groups: None,
            x0: Tensor::f32(&x0),
            x_t: Tensor::f32(&x_t),
            prediction: Tensor::f32(&prediction),
            gradient: Gradient::sum(Tensor::f32(&gradient)),
            losses: &losses,
            mean: Some(&mean),
            variance: self.variance.map(|variance| LearnedVariance {
                variance,
                factor: FACTOR,
                learned: Tensor::f32(&learned),
                gradient: Tensor::f32(&of_learned),
                terms: &terms,
            }),
        };
        let plan = TrainingStep::new(&harness.context, &self.schedule, &training)?;
        let record = |encoder: &mut wgpu::CommandEncoder| {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            plan.record_before(&mut pass, step)?;
            plan.record_after(&mut pass, step)
        };
        harness.gpu.submit(record).expect("device")?;
        let floats = |buffer| bytemuck::pod_collect_to_vec(&harness.read(buffer));
        Ok(Outcome {
            timesteps: bytemuck::pod_collect_to_vec(&harness.read(&timesteps)),
            x_t: floats(&x_t),
            losses: floats(&losses),
            mean: floats(&mean)[0],
            gradient: floats(&gradient),
            terms: floats(&terms),
            of_learned: floats(&of_learned),
        })
    }
}

fn a_step_is_what_the_twins_say(harness: &Harness) {
    let perturbed = Some((Perturbation { offset: 0.25, input: 0.5 }, 35));
    for setting in [Setting::plain(), Setting { perturbed, ..Setting::plain() }] {
        for step in [0, 2] {
            let batch = 6;
            let found = setting.run(harness, 0, batch, batch, step).expect("a step");
            let key = KEY.stream(KEY.stream + step);
            assert_eq!(found.timesteps, setting.density.draw_stratified(key, batch as usize, batch));
            let normals = |stream| -> Vec<f64> {
                let normals = NoiseKey::seed(1).stream(stream).reference(batch as usize, ELEMENTS as usize);
                normals.iter().map(|&x| f64::from(x as f32)).collect()
            };
            let (x0, prediction) = (normals(0), normals(1));
            let (by, channel) = setting.perturbed.unwrap_or((Perturbation::default(), ELEMENTS));
            let drawn =
                (0..u64::from(batch)).map(|i| by.noise(key, i, (ELEMENTS / channel) as usize, channel as usize));
            let drawn: Vec<_> = drawn.collect();
            let eps: Vec<f64> = drawn.iter().flat_map(|noise| noise.target.clone()).collect();
            let seen: Vec<f64> = drawn.iter().flat_map(|noise| noise.input.clone()).collect();

            let mut comparison = Comparison::new(Storage::F32).with_noise(3.0);
            for (i, x) in found.x_t.iter().enumerate() {
                let level = setting.schedule.levels()[found.timesteps[i / ELEMENTS as usize] as usize];
                let (a, b) = (level.alpha() * x0[i], level.sigma() * seen[i]);
                comparison.add(*x, Expected { value: a + b, magnitude: a.abs() + b.abs() });
            }
            assert!(comparison.passes(), "x_t: {comparison}");

            let table = setting.schedule.loss(&setting.objective, LossInputs::CleanAndNoise).expect("rows");
            let batch = Batch {
                timesteps: &found.timesteps,
                elements: ELEMENTS as usize,
                prediction: &prediction,
                inputs: [&x0, &eps],
            };
            let exact = Loss::reference(&table, Penalty::MSE, &batch, Reduction::Sum);
            for (name, found, exact) in [
                ("losses", &found.losses, &exact.samples),
                ("mean", &vec![found.mean], &vec![exact.mean]),
                ("gradient", &found.gradient, &exact.gradient),
            ] {
                let mut comparison = Comparison::new(Storage::F32).with_noise(1.0);
                let widened = |e: &Expected| Expected { magnitude: Loss::ROUNDINGS * e.magnitude, ..*e };
                comparison.add_all(found, &exact.iter().map(widened).collect::<Vec<_>>());
                assert!(comparison.passes(), "{name}: {comparison}");
                let mut wrong = Comparison::new(Storage::F32).with_noise(1.0);
                let off = |e: &Expected| Expected { value: e.value * 1.001, magnitude: Loss::ROUNDINGS * e.magnitude };
                wrong.add_all(found, &exact.iter().map(off).collect::<Vec<_>>());
                assert!(!wrong.passes(), "{name} would pass with a wrong weight: {wrong}");
            }
        }
    }
}

/// The hybrid loss: the bound's term at the noisy sample that the network saw, with a gradient for the second output alone.
fn a_learned_variance_has_the_bounds_gradient(harness: &Harness) {
    for predicts in [Quantity::V, Quantity::Epsilon] {
        let plain = Setting { objective: Objective::of(predicts), ..Setting::plain() };
        let perturbed = Some((Perturbation { offset: 0.0, input: 0.5 }, 35));
        for plain in [Setting { perturbed, ..plain.clone() }, plain] {
            let setting = Setting { variance: Some(ModelVariance::LearnedRange), ..plain.clone() };
            let found = setting.run(harness, 0, 6, 6, 1).expect("a step");
            let without = plain.run(harness, 0, 6, 6, 1).expect("a step");
            assert_eq!((&found.losses, &found.gradient), (&without.losses, &without.gradient), "the loss is its own");
            let normals = |stream| -> Vec<f64> {
                let normals = NoiseKey::seed(1).stream(stream).reference(6, ELEMENTS as usize);
                normals.iter().map(|&x| f64::from(x as f32)).collect()
            };
            let [x0, prediction, learned] = [0, 1, 2].map(normals);
            let x_t: Vec<f64> = found.x_t.iter().map(|&x| f64::from(x)).collect();
            let model = Vlb::new(&setting.schedule, predicts, ModelVariance::LearnedRange, None).expect("a bound");
            // From the noisy sample that was written, not from noise that is drawn again.
            let table = model.table(LossInputs::NoisyAndTarget).expect("rows").map(|row| row.times(FACTOR));
            let (timesteps, elements) = (&found.timesteps[..], ELEMENTS as usize);
            let [prediction, learned, x0, in1] = [&prediction, &learned, &x0, &x_t].map(|values| &values[..]);
            let batch = vlb::Batch { timesteps, elements, prediction, learned, x0, in1 };
            let exact = tweedie::gpu::VlbTerms::reference(&table, None, &batch, Reduction::Sum);
            for (name, found, exact) in
                [("terms", &found.terms, &exact.samples), ("gradient", &found.of_learned, &exact.learned_gradient)]
            {
                let widened =
                    |e: &Expected| Expected { magnitude: tweedie::gpu::VlbTerms::ROUNDINGS * e.magnitude, ..*e };
                let mut comparison = Comparison::new(Storage::F32);
                comparison.add_all(found, &exact.iter().map(widened).collect::<Vec<_>>());
                assert!(comparison.passes(), "{predicts} {name}: {comparison}");
                let mut wrong = Comparison::new(Storage::F32);
                let off = |e: &Expected| Expected { value: 1.01 * e.value, ..widened(e) };
                wrong.add_all(found, &exact.iter().map(off).collect::<Vec<_>>());
                assert!(!wrong.passes(), "{predicts} {name} would pass with a wrong factor: {wrong}");
            }
        }
    }
}

fn a_batch_may_be_split_in_any_way(harness: &Harness) {
    let variance = Some(ModelVariance::Learned);
    let setting =
        Setting { variance, perturbed: Some((Perturbation { offset: 0.1, input: 0.1 }, 35)), ..Setting::plain() };
    let whole = setting.run(harness, 0, 42, 42, 1).expect("a step");
    for ranks in [2, 3, 7] {
        let each = 42 / ranks;
        let parts: Vec<Outcome> =
            (0..ranks).map(|rank| setting.run(harness, rank * each, each, 42, 1).expect("a step")).collect();
        let joined =
            |field: fn(&Outcome) -> &Vec<f32>| parts.iter().flat_map(|part| field(part).clone()).collect::<Vec<_>>();
        let timesteps: Vec<u32> = parts.iter().flat_map(|part| part.timesteps.clone()).collect();
        assert_eq!(timesteps, whole.timesteps, "{ranks} ranks");
        assert_eq!(joined(|part| &part.x_t), whole.x_t, "{ranks} ranks");
        assert_eq!(joined(|part| &part.losses), whole.losses, "{ranks} ranks");
        assert_eq!(joined(|part| &part.gradient), whole.gradient, "{ranks} ranks");
        assert_eq!(joined(|part| &part.terms), whole.terms, "{ranks} ranks");
        assert_eq!(joined(|part| &part.of_learned), whole.of_learned, "{ranks} ranks");
    }
    assert_eq!(setting.run(harness, 0, 42, 42, 1).expect("a step"), whole, "and again");
    assert_ne!(setting.run(harness, 0, 42, 42, 2).expect("a step"), whole, "another step is another draw");
}

fn errors_name_what_was_found(harness: &Harness) {
    let fewer = Setting { density: TimestepDensity::uniform(10).expect("density"), ..Setting::plain() };
    let error = fewer.run(harness, 0, 2, 2, 0).expect_err("ten timesteps");
    assert_eq!(error, Error::Density { expected: 1000, found: 10 });

    // At zero terminal SNR an x0 loss of an epsilon network does not exist, which matters only if it is drawn.
    let schedule = Setting::plain().schedule.zero_terminal_snr().expect("schedule");
    let objective = Objective::of(Quantity::Epsilon).on(Quantity::X0);
    let undefined = Setting { schedule, objective, ..Setting::plain() };
    let error = undefined.run(harness, 0, 2, 2, 0).expect_err("no x0");
    assert!(error.to_string().contains("timestep 999"), "{error}");
    let mut probabilities = vec![1.0; 1000];
    probabilities[999] = 0.0;
    let density = TimestepDensity::from_probabilities(&probabilities).expect("density");
    assert!(Setting { density, ..undefined }.run(harness, 0, 2, 2, 0).is_ok());
    let fixed = Setting { variance: Some(ModelVariance::FixedLarge), ..Setting::plain() };
    let error = fixed.run(harness, 0, 2, 2, 0).expect_err("nothing to learn");
    assert_eq!(error.to_string(), "expected a learned variance, found FixedLarge");
    let error = Setting::plain().run(harness, 0, 2, 2, 3).expect_err("three steps");
    assert!(matches!(error, Error::Record(_)), "{error}");
}
