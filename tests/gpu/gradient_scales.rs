//! Gradients that are scaled on the GPU, of a loss, of a term of the bound, and of a training step that has both: they have the bits
//! that the same factor in the coefficients gives, and what a storage cannot hold is counted.

use crate::harness::Harness;
use tweedie::gpu::{
    Drawn, Gradient, GradientScale, Loss, Noise, NoiseKey, Plan, PlanError, Recording, Reduction, Shape, Storage,
    Tensor, Timesteps, VlbInputs, VlbTerms,
};
use tweedie::math::{ModelVariance, Objective};
use tweedie::table::{LossRow, Penalty, Table, Term, VlbRow};
use tweedie::{LearnedVariance, Quantity, Schedule, TimestepSource, Training, TrainingStep};

pub const TESTS: &[crate::Test] = &[
    ("gradient_scales::of_a_loss", of_a_loss),
    ("gradient_scales::of_a_term_of_the_bound", of_a_term_of_the_bound),
    ("gradient_scales::of_a_training_step", of_a_training_step),
    ("gradient_scales::what_is_no_scale_is_refused", what_is_no_scale_is_refused),
];

/// Whole lanes, any size, two elements, and more than a chunk.
const SHAPES: [Shape; 4] = [Shape::new(5, 72), Shape::new(3, 35), Shape::new(64, 2), Shape::new(2, 5000)];

/// Errors of very different sizes: some gradients become 0, and some infinite.
fn values(seed: u64, count: usize) -> Vec<f32> {
    let normals = NoiseKey::normals(seed, 0, 0, count).into_iter();
    (0i32..).zip(normals).map(|(i, z)| z as f32 * 4f32.powi(i % 17 - 12)).collect()
}

/// The inputs of a plan that has two gradients at most.
struct Inputs {
    shape: Shape,
    storage: Storage,
    prediction: wgpu::Buffer,
    x0: wgpu::Buffer,
    learned: wgpu::Buffer,
}

/// Makes a plan from its inputs, two gradients, losses and a scale.
type Request = fn(&Harness, &Inputs, [Tensor<'_>; 2], &wgpu::Buffer, GradientScale<'_>) -> Plan;

impl Inputs {
    fn new(harness: &Harness, shape: Shape, storage: Storage) -> Self {
        let count = shape.total() as usize;
        // Logarithms of a variance are small.
        let learned = values(2, count).iter().map(|x| x / 512.0).collect();
        let [prediction, x0, learned] = [values(1, count), vec![0.0; count], learned]
            .map(|values: Vec<f32>| harness.gpu.upload("in", &storage.encode(&values)));
        Self { shape, storage, prediction, x0, learned }
    }

    fn tensor<'a>(&self, buffer: &'a wgpu::Buffer) -> Tensor<'a> {
        Tensor::new(buffer, self.storage)
    }

    /// Runs the plan. Returns both gradients in this storage, one after the other, and the losses.
    fn run(&self, harness: &Harness, plan: Request, scale: GradientScale<'_>, into: Storage) -> (Vec<f32>, Vec<u8>) {
        let (count, bytes) = (self.shape.total() as usize, (self.shape.total() * into.bytes()).next_multiple_of(4));
        let gradients = [(); 2].map(|()| harness.gpu.buffer("gradient", bytes));
        let losses = harness.gpu.buffer("losses", 4 * u64::from(self.shape.batch));
        let tensors = gradients.each_ref().map(|buffer| Tensor::new(buffer, into));
        harness.run(&plan(harness, self, tensors, &losses, scale), Recording::timestep(0));
        let read = |buffer| into.decode(&harness.read(buffer))[..count].to_vec();
        (gradients.iter().flat_map(read).collect(), harness.read(&losses))
    }
}

fn loss(
    harness: &Harness,
    inputs: &Inputs,
    [gradient, _]: [Tensor<'_>; 2],
    losses: &wgpu::Buffer,
    scale: GradientScale<'_>,
) -> Plan {
    let loss = Loss {
        table: &Table::new([LossRow { prediction: 1.0, inputs: [-1.0, 0.0], weight: 1.0 }]),
        penalty: Penalty::MSE,
        shape: inputs.shape,
        timesteps: Timesteps::Batch,
        prediction: inputs.tensor(&inputs.prediction),
        in0: Some(inputs.tensor(&inputs.x0)),
        in1: Noise::None,
        losses: (losses, 0),
        mean: None,
        gradient: Some(Gradient::mean(gradient).scaled(scale)),
    };
    loss.plan(&harness.context).expect("a loss")
}

fn term_of_the_bound(
    harness: &Harness,
    inputs: &Inputs,
    [gradient, learned_gradient]: [Tensor<'_>; 2],
    terms: &wgpu::Buffer,
    scale: GradientScale<'_>,
) -> Plan {
    let row = VlbRow {
        prediction: 1.0,
        inputs: [-1.0, 0.0],
        inverse_deviation: 2.0,
        log_ratio: [0.0, 1.0],
        weight: 1.0,
        term: Term::Divergence,
    };
    let terms = VlbTerms {
        inputs: VlbInputs {
            table: &Table::new([row]),
            clip: None,
            shape: inputs.shape,
            prediction: inputs.tensor(&inputs.prediction),
            learned: Some(inputs.tensor(&inputs.learned)),
            x0: inputs.tensor(&inputs.x0),
            in1: Noise::None,
        },
        timesteps: Timesteps::Batch,
        terms: (terms, 0),
        mean: None,
        gradient: Some(gradient),
        learned_gradient: Some(learned_gradient),
        reduction: Reduction::Mean,
        scale,
    };
    terms.plan(&harness.context).expect("a term")
}

fn of_a_loss(harness: &Harness) {
    of_every_shape(harness, loss);
}

fn of_a_term_of_the_bound(harness: &Harness) {
    of_every_shape(harness, term_of_the_bound);
}

fn of_every_shape(harness: &Harness, plan: Request) {
    for shape in SHAPES {
        for storage in Storage::ALL {
            let inputs = Inputs::new(harness, shape, storage);
            let (plain, losses) = inputs.run(harness, plan, GradientScale::ONE, storage);
            assert!(plain.iter().any(|g| *g != 0.0), "{storage} {shape}");
            for scale in [1.0, 65_536.0, 3e7] {
                scaled_by(harness, &inputs, plan, scale, &losses);
            }
        }
    }
}

/// The relative distance of a gradient with a scale from the buffer to one with the same scale in its row: a few roundings of f32.
const FOLDED: f32 = 4.0 * f32::EPSILON;

/// A scale on the GPU leaves the losses alone, gives the bits of the same factor if it is a power of two, and counts what its storage
/// cannot hold.
fn scaled_by(harness: &Harness, inputs: &Inputs, plan: Request, scale: f32, losses: &[u8]) {
    let Inputs { shape, storage, .. } = *inputs;
    let upload =
        |counts: [u32; 2]| harness.gpu.upload("scale", bytemuck::cast_slice(&[scale.to_bits(), counts[0], counts[1]]));
    let scaler = upload([2, 3]);
    let (found, found_losses) = inputs.run(harness, plan, GradientScale::Buffer(&scaler, 0), storage);
    assert!(found_losses == losses, "{storage} {shape}: the losses are without the scale");
    // Powers of two round nothing.
    let (folded, _) = inputs.run(harness, plan, f64::from(scale).into(), storage);
    if scale.to_bits().trailing_zeros() >= 23 {
        assert!(found.iter().zip(&folded).all(|(a, b)| a.to_bits() == b.to_bits()), "{storage} {shape} {scale}");
    }
    let counted: Vec<u32> = bytemuck::pod_collect_to_vec(&harness.read(&scaler));
    // The gradients in f32 tell which elements are not zero.
    let (exact, _) = inputs.run(harness, plan, GradientScale::Buffer(&upload([0; 2]), 0), Storage::F32);
    let (folded, _) = inputs.run(harness, plan, f64::from(scale).into(), Storage::F32);
    let near = |(a, b): &(&f32, &f32)| (*a - *b).abs() <= FOLDED * b.abs();
    let far = exact.iter().zip(&folded).find(|pair| !near(pair));
    assert_eq!(far, None, "{storage} {shape} {scale}: the factor in the buffer and the folded one");
    let not_finite = found.iter().filter(|g| !g.is_finite()).count() as u32;
    let flushed = found.iter().zip(&exact).filter(|(g, e)| **g == 0.0 && **e != 0.0).count() as u32;
    assert_eq!(counted[1..], [2 + not_finite, 3 + flushed], "{storage} {shape} {scale}");
    if storage == Storage::F16 && shape.total() > 128 {
        let expects_loss = if scale > 1.0 { not_finite } else { flushed };
        assert!(expects_loss > 0 || scale == 65_536.0, "{shape} {scale}: nothing was lost");
    }
}

/// What a training step with a learned variance writes: its gradients, its losses, and the counts of its scale.
type Outcome = ([Vec<f32>; 2], [Vec<u8>; 2], Vec<u32>);

/// Runs a step that scales its gradients by a number, or by the scale in a buffer. The gradients of the loss and of the learned
/// variance are of these storages.
fn train(harness: &Harness, by: Option<f64>, into: [Storage; 2]) -> Outcome {
    let shape = Shape::new(6, 72);
    let count = shape.total() as usize;
    let numbers = |seed: u64| {
        let values: Vec<f32> = NoiseKey::normals(seed, 0, 0, count).into_iter().map(|z| z as f32).collect();
        harness.gpu.upload("in", bytemuck::cast_slice(&values))
    };
    let [x0, prediction, learned, x_t] = [1, 2, 3, 4].map(numbers);
    let timesteps = harness.gpu.upload("timesteps", bytemuck::cast_slice(&[0u32, 1, 20, 40, 60, 99]));
    let gradients = [(); 2].map(|()| harness.gpu.buffer("gradient", 4 * shape.total()));
    let losses = [(); 2].map(|()| harness.gpu.buffer("losses", 4 * 6));
    let scaler = harness.gpu.upload("scale", bytemuck::cast_slice(&[SCALE.to_bits(), 0, 0]));
    let training = Training {
        objective: &Objective::of(Quantity::Epsilon),
        penalty: Penalty::MSE,
        shape,
        noise: Drawn::new(NoiseKey::seed(5)),
        timestep_source: TimestepSource::InBuffer,
        timesteps: &timesteps,
        groups: None,
        x0: Tensor::f32(&x0),
        x_t: Tensor::f32(&x_t),
        prediction: Tensor::f32(&prediction),
        gradient: Gradient::mean(Tensor::new(&gradients[0], into[0]))
            .scaled(by.map_or(GradientScale::Buffer(&scaler, 0), GradientScale::from)),
        losses: &losses[0],
        mean: None,
        variance: Some(LearnedVariance {
            variance: ModelVariance::LearnedRange,
            factor: 1.0,
            learned: Tensor::f32(&learned),
            gradient: Tensor::new(&gradients[1], into[1]),
            terms: &losses[1],
        }),
    };
    let schedule = Schedule::cosine(100).expect("a schedule");
    let step = TrainingStep::new(&harness.context, &schedule, &training).expect("a step");
    let record = |encoder: &mut wgpu::CommandEncoder| {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        step.record_before(&mut pass, 0)?;
        step.record_after(&mut pass, 0)
    };
    harness.gpu.submit(record).expect("device").expect("recording");
    let read = |i: usize| into[i].decode(&harness.read(&gradients[i]))[..count].to_vec();
    let counts = bytemuck::pod_collect_to_vec::<u8, u32>(&harness.read(&scaler))[1..].to_vec();
    ([0, 1].map(read), losses.each_ref().map(|buffer| harness.read(buffer)), counts)
}

/// A power of two, so that it rounds nothing, and so large that the largest of these gradients overflow f16.
const SCALE: f32 = 67_108_864.0;

/// A training step scales both of its gradients by one factor, and counts in both.
fn of_a_training_step(harness: &Harness) {
    let (plain, losses, _) = train(harness, Some(1.0), [Storage::F32; 2]);
    for of in [Some(f64::from(SCALE)), None] {
        let (found, found_losses, counts) = train(harness, of, [Storage::F32; 2]);
        for (plain, found) in plain.iter().zip(&found) {
            assert!(
                plain.iter().zip(found).all(|(plain, found)| (plain * SCALE).to_bits() == found.to_bits()),
                "{of:?}"
            );
        }
        assert!(found_losses == losses && counts == [0, 0], "{of:?}: {counts:?}");
    }
    // One gradient in f16 is counted, and the other, in f32, loses nothing.
    for into in [[Storage::F16, Storage::F32], [Storage::F32, Storage::F16]] {
        let (found, _, counts) = train(harness, None, into);
        let lost = found.iter().flatten().filter(|g| !g.is_finite()).count() as u32;
        assert!(lost > 0 && counts[0] == lost, "{into:?}: {lost} {counts:?}");
    }
}

fn what_is_no_scale_is_refused(harness: &Harness) {
    let buffer = harness.gpu.buffer("numbers", 4 * 256);
    let table = Table::new([LossRow { prediction: 1.0, inputs: [0.0; 2], weight: 1.0 }]);
    let fails = |scale| {
        let loss = Loss {
            table: &table,
            penalty: Penalty::MSE,
            shape: Shape::new(1, 64),
            timesteps: Timesteps::Batch,
            prediction: Tensor::f32(&buffer),
            in0: None,
            in1: Noise::None,
            losses: (&buffer, 4 * 128),
            mean: None,
            gradient: Some(Gradient::sum(Tensor::f32(&buffer)).scaled(scale)),
        };
        loss.plan(&harness.context).map(drop).expect_err("a scale")
    };
    for found in [0.0, -1.0, 1e-40, 1e39] {
        let expected = PlanError::Rule { what: "gradient scale", expected: "finite and above 0", found };
        assert_eq!(fails(found.into()), expected);
    }
    assert!(matches!(fails(f64::NAN.into()), PlanError::Rule { .. }));
    let overlap = PlanError::Overlap { output: "scale", other: "prediction" };
    assert_eq!(fails(GradientScale::Buffer(&buffer, 0)), overlap);
    let limit = harness.context.device().limits().min_storage_buffer_offset_alignment;
    if limit > 4 {
        let found = fails(GradientScale::Buffer(&buffer, 4 * 129));
        assert!(matches!(found, PlanError::DeviceLimit { what: "offset of the scale", .. }), "{found}");
    }
}
