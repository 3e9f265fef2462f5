//! The bound over a whole chain, against guided-diffusion and against the mathematics, recorded in any order and batch.

use crate::harness::{Harness, TestRng};
use crate::support::{Vectors, cases, id, pick, recipe};
use tweedie::error::VlbError;
use tweedie::gpu::{
    Drawn, Noise, NoiseKey, PlanError, RecordError, Recording, Shape, Storage, Tensor, VlbInputs, VlbLoop, VlbLoopTerms,
};
use tweedie::math::{LossInputs, ModelVariance, Schedule, Vlb};
use tweedie::{Error, Likelihood, LikelihoodLoop, Quantity};

pub const TESTS: &[crate::Test] = &[
    ("chains::guided_diffusion", guided_diffusion),
    ("chains::the_loop_is_the_mathematics", the_loop_is_the_mathematics),
    ("chains::a_term_that_is_missing_is_no_zero", a_term_that_is_missing_is_no_zero),
    ("chains::order_and_batch_do_not_matter", order_and_batch_do_not_matter),
    ("chains::errors_name_what_was_found", errors_name_what_was_found),
];

/// Relative to the number, or to 1 where that is more; the manifest allows a thousand times as much.
const TERM: f64 = 1e-6;

#[track_caller]
fn assert_near(what: &str, found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(*found) - expected).abs();
        assert!(error <= tolerance * expected.abs().max(1.0), "{what} {i}: expected {expected}, found {found}");
    }
}

fn floats(harness: &Harness, buffer: &wgpu::Buffer) -> Vec<f32> {
    Storage::F32.decode(&harness.read(buffer))
}

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&x| x as f32).collect()
}

fn guided_diffusion(harness: &Harness) {
    let names = [
        ("D_bpd_loop_linear_T1000_10", ModelVariance::LearnedRange),
        ("D_bpd_loop_linear_scaled_T20_fixed_large", ModelVariance::FixedLarge),
    ];
    for (name, variance) in names {
        let case = cases("D").into_iter().find(|case| id(case) == name).expect("the case");
        let file = Vectors::load(name);
        let whole = recipe(&case).expect("a schedule");
        let abar = pick(&whole.alphas_cumprod(), &file.indices("timestep_map"));
        let schedule = Schedule::from_alphas_cumprod(&abar).expect("a schedule");
        let clip = case["config"]["clip_denoised"].as_bool().expect("a flag").then_some(1.0);
        let vlb = Vlb::new(&schedule, Quantity::Epsilon, variance, clip).expect("a bound");
        let samples = case["config"]["shape"][0].as_u64().expect("a shape") as usize;
        let (x0, steps) = (file.f64("x0"), abar.len());
        let shape = Shape::new(samples as u32, (x0.len() / samples) as u32);
        let learns = case["tensors"].as_object().expect("tensors").contains_key("var_values");
        // Iteration k is timestep N-1-k. One buffer holds the network's outputs of all iterations, another the noise.
        let upload = |name| harness.gpu.upload(name, bytemuck::cast_slice(&narrow(&file.f64(name))));
        let (noises, outputs) = (upload("noises"), upload("model_outputs"));
        let learned = learns.then(|| upload("var_values"));
        let x0 = upload("x0");
        let tensors = [(); 3].map(|()| harness.gpu.buffer("tensor", 4 * shape.total()));
        let [prediction, second, noise] = &tensors;
        let total = harness.gpu.buffer("total", 4 * samples as u64);
        let plan = |table: &_, total| {
            let inputs = VlbInputs {
                table,
                clip,
                shape,
                prediction: Tensor::f32(prediction),
                learned: learns.then_some(Tensor::f32(second)),
                x0: Tensor::f32(&x0),
                in1: Noise::Tensor(Tensor::f32(noise)),
            };
            VlbLoop::new(&harness.context, &VlbLoopTerms { inputs, total }).expect("plan")
        };
        let bits = plan(&vlb.chain_table(LossInputs::CleanAndNoise).expect("rows"), Some((&total, 0)));
        let errors = plan(&vlb.x0_mse_table(LossInputs::CleanAndNoise).expect("rows"), None);
        let record = |encoder: &mut wgpu::CommandEncoder| {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            bits.record_start(&mut pass);
            errors.record_start(&mut pass);
            bits.record(&mut pass, Recording::timestep(steps as u32)).expect("the prior");
            drop(pass);
            for k in 0..steps {
                let (t, bytes) = (Recording::timestep((steps - 1 - k) as u32), 4 * shape.total());
                for (from, to) in [(Some(&noises), noise), (Some(&outputs), prediction), (learned.as_ref(), second)] {
                    let from = from.into_iter();
                    from.for_each(|from| encoder.copy_buffer_to_buffer(from, k as u64 * bytes, to, 0, bytes));
                }
                let mut pass = encoder.begin_compute_pass(&Default::default());
                bits.record(&mut pass, t).expect("a term");
                errors.record(&mut pass, t).expect("an error");
            }
            bits.record_total(&mut encoder.begin_compute_pass(&Default::default()));
        };
        harness.gpu.submit(record).expect("device");
        let (terms, errors) = (floats(harness, bits.terms()), floats(harness, errors.terms()));
        for sample in 0..samples {
            let of = |name: &str| file.f64(name)[sample * steps..(sample + 1) * steps].to_vec();
            let terms = &terms[sample * (steps + 1)..(sample + 1) * (steps + 1)];
            let by_iteration: Vec<f32> = terms[..steps].iter().rev().copied().collect();
            assert_near(&format!("{name} vb"), &by_iteration, &of("vb"), TERM);
            assert_near("prior", &terms[steps..], &[file.f64("prior_bpd")[sample]], TERM);
            let errors: Vec<f32> = errors[sample * steps..(sample + 1) * steps].iter().rev().copied().collect();
            assert_near(&format!("{name} xstart_mse"), &errors, &of("xstart_mse"), TERM);
            let snr = schedule.snr();
            let epsilon: Vec<f32> =
                errors.iter().enumerate().map(|(k, e)| (f64::from(*e) * snr[steps - 1 - k]) as f32).collect();
            assert_near(&format!("{name} mse"), &epsilon, &of("mse"), TERM);
        }
        assert_near(&format!("{name} total"), &floats(harness, &total), &file.f64("total_bpd"), TERM);
    }
}

const ELEMENTS: u32 = 21;
const KEY: NoiseKey = NoiseKey { seed: 8, stream: 30, first_sample: 0 };

/// A loop around a network whose outputs are always the contents of two buffers, whatever its input.
struct Setting {
    vlb: Vlb,
    x0: Vec<f32>,
    outputs: [Vec<f32>; 2],
}

/// The results of a loop, as words.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    terms: Vec<u32>,
    x0_mse: Vec<u32>,
    total: Vec<u32>,
}

impl Setting {
    fn new() -> Self {
        let schedule = Schedule::linear(12, 1e-3, 0.3).expect("a schedule");
        let vlb = Vlb::new(&schedule, Quantity::V, ModelVariance::LearnedRange, Some(1.0)).expect("a bound");
        let mut rng = TestRng(5);
        let mut numbers = || (0..7 * ELEMENTS).map(|_| 0.5 * rng.float()).collect::<Vec<f32>>();
        Self { vlb, x0: numbers(), outputs: [(); 2].map(|()| numbers()) }
    }

    /// Runs the samples from `first` on at these timesteps in this order, after a run over all timesteps with another key.
    fn run(&self, harness: &Harness, first: u32, batch: u32, timesteps: &[u32]) -> Outcome {
        let part = (first * ELEMENTS) as usize..((first + batch) * ELEMENTS) as usize;
        let upload = |values: &[f32]| harness.gpu.upload("tensor", bytemuck::cast_slice(&values[part.clone()]));
        let (x0, [prediction, learned]) = (upload(&self.x0), self.outputs.each_ref().map(|values| upload(values)));
        let shape = Shape::new(batch, ELEMENTS);
        let x_t = harness.gpu.buffer("x_t", 4 * shape.total());
        let total = harness.gpu.buffer("total", 4 * u64::from(batch));
        let likelihood = Likelihood {
            vlb: &self.vlb,
            shape,
            noise: Drawn::new(NoiseKey::seed(1)),
            x0: Tensor::f32(&x0),
            x_t: Tensor::f32(&x_t),
            prediction: Tensor::f32(&prediction),
            learned: Some(Tensor::f32(&learned)),
            total: &total,
            x0_mse: true,
        };
        let bits = LikelihoodLoop::new(&harness.context, &likelihood).expect("a loop");
        let all: Vec<u32> = (0..bits.timesteps()).collect();
        for (timesteps, key) in [(&all[..], KEY.stream(99)), (timesteps, KEY.first_sample(u64::from(first)))] {
            bits.set_key(&harness.gpu.queue, key).expect("keys");
            let record = |encoder: &mut wgpu::CommandEncoder| {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                bits.record_start(&mut pass)?;
                for &t in timesteps {
                    bits.record_before(&mut pass, t)?;
                    bits.record_after(&mut pass, t)?;
                }
                bits.record_end(&mut pass);
                Ok::<_, RecordError>(())
            };
            harness.gpu.submit(record).expect("device").expect("recording");
        }
        let words = |buffer| bytemuck::pod_collect_to_vec(&harness.read(buffer));
        let x0_mse = words(bits.x0_mse().expect("errors"));
        Outcome { terms: words(bits.terms()), x0_mse, total: words(&total) }
    }
}

fn values(words: &[u32]) -> Vec<f32> {
    words.iter().map(|&word| f32::from_bits(word)).collect()
}

/// Noise that is drawn on the GPU differs from the reference's by a few 1e-7, which the first timesteps divide by deviations of
/// about 0.01.
const DRAWN: f64 = 1e-5;

fn the_loop_is_the_mathematics(harness: &Harness) {
    let setting = Setting::new();
    let timesteps: Vec<u32> = (0..12).collect();
    let found = setting.run(harness, 0, 7, &timesteps);
    let elements = ELEMENTS as usize;
    for sample in 0..7 {
        let part = sample * elements..(sample + 1) * elements;
        let wide = |values: &[f32]| values[part.clone()].iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
        let noise = |t: usize| {
            let key = KEY.stream(KEY.stream + t as u32).first_sample(sample as u64);
            key.reference(1, elements)
        };
        let outputs = setting.outputs.each_ref().map(|values| wide(values));
        let exact = setting.vlb.chain(&wide(&setting.x0), noise, |_, _| outputs.clone()).expect("a chain");
        let terms = values(&found.terms[sample * 13..(sample + 1) * 13]);
        assert_near("terms", &terms[..12], &exact.terms, DRAWN);
        assert_near("prior", &terms[12..], &[exact.prior], TERM);
        assert_near("errors", &values(&found.x0_mse[sample * 12..(sample + 1) * 12]), &exact.x0_mse, DRAWN);
        assert_near("total", &values(&found.total[sample..=sample]), &[exact.total], DRAWN);
    }
}

fn a_term_that_is_missing_is_no_zero(harness: &Harness) {
    let setting = Setting::new();
    for missing in [0, 5, 11] {
        let timesteps: Vec<u32> = (0..12).filter(|&t| t != missing).collect();
        // The earlier run within `run` had all of them, and leaves nothing behind.
        let found = setting.run(harness, 0, 3, &timesteps);
        assert!(values(&found.total).iter().all(|x| x.is_nan()), "{:?}", values(&found.total));
        let nan: Vec<usize> =
            values(&found.terms).iter().enumerate().filter(|(_, x)| x.is_nan()).map(|(i, _)| i).collect();
        assert_eq!(nan, [0, 1, 2].map(|sample| sample * 13 + missing as usize));
    }
}

fn order_and_batch_do_not_matter(harness: &Harness) {
    let setting = Setting::new();
    let forwards: Vec<u32> = (0..12).collect();
    let backwards: Vec<u32> = forwards.iter().rev().copied().collect();
    let whole = setting.run(harness, 0, 7, &forwards);
    assert_eq!(setting.run(harness, 0, 7, &forwards), whole, "and again");
    assert_eq!(setting.run(harness, 0, 7, &backwards), whole, "backwards");
    for (first, batch) in [(0, 1), (2, 3), (6, 1)] {
        let part = setting.run(harness, first, batch, &backwards);
        let of = |words: &[u32], each: u32| words[(first * each) as usize..((first + batch) * each) as usize].to_vec();
        assert_eq!((part.terms, part.x0_mse), (of(&whole.terms, 13), of(&whole.x0_mse, 12)), "{batch} from {first}");
        assert_eq!(part.total, of(&whole.total, 1), "{batch} from {first}");
    }
}

fn errors_name_what_was_found(harness: &Harness) {
    let schedule =
        Schedule::linear(12, 1e-3, 0.3).and_then(|schedule| schedule.zero_terminal_snr()).expect("a schedule");
    let tensors = [(); 4].map(|()| harness.gpu.buffer("tensor", 32));
    let [x0, x_t, prediction, total] = &tensors;
    let vlb = |predicts, variance| Vlb::new(&schedule, predicts, variance, None).expect("a bound");
    let of = |vlb: &Vlb, total: &wgpu::Buffer| {
        let likelihood = Likelihood {
            vlb,
            shape: Shape::new(2, 4),
            noise: Drawn::new(KEY),
            x0: Tensor::f32(x0),
            x_t: Tensor::f32(x_t),
            prediction: Tensor::f32(prediction),
            learned: None,
            total,
            x0_mse: false,
        };
        LikelihoodLoop::new(&harness.context, &likelihood)
    };
    let error = of(&vlb(Quantity::Epsilon, ModelVariance::FixedSmall), total).expect_err("no x0 at the end");
    assert!(matches!(&error, Error::Vlb(VlbError::Undefined(_))), "{error}");
    assert!(error.to_string().contains("timestep 11"), "{error}");
    let error = of(&vlb(Quantity::V, ModelVariance::Learned), total).expect_err("no second output");
    assert_eq!(error, Error::Plan(PlanError::Missing { what: "learned", row: 0 }));
    let good = vlb(Quantity::V, ModelVariance::FixedSmall);
    let error = of(&good, prediction).expect_err("the total over the prediction");
    assert_eq!(error, Error::Plan(PlanError::Overlap { output: "total", other: "prediction" }));
    let bits = of(&good, total).expect("a loop");
    let record = |encoder: &mut wgpu::CommandEncoder| {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        [bits.record_before(&mut pass, 12), bits.record_after(&mut pass, 12)]
    };
    // The loop has one noise step for each timestep.
    let step = Err(RecordError::Step { steps: 12, found: 12 });
    assert_eq!(harness.gpu.submit(record).expect("device"), [step.clone(), step]);
}
