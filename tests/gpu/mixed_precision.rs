//! 16-bit training: much of the gradient of a mean loss underflows in f16, which a scale prevents.

use crate::harness::Harness;
use tweedie::gpu::{Drawn, GradientScale, Reduction};
use tweedie::math::{Objective, TimestepDensity, Weight};
use tweedie::table::Penalty;
use tweedie::{
    Gradient, NoiseKey, Plan, Quantity, Recording, Schedule, Shape, Storage, Tensor, TimestepSource, Training,
    TrainingStep,
};

pub const TESTS: &[crate::Test] = &[("mixed_precision::a_mean_drowns_without_a_scale", a_mean_drowns_without_a_scale)];

/// The scale at which mixed-precision trainers usually begin.
const SCALE: f64 = 65_536.0;
/// Half the relative distance between neighbours in f16: the largest rounding of a normal number.
const HALF_ULP: f64 = 1.0 / 2048.0;

/// The gradient of a v loss with min-SNR weights for a batch of pictures, in this storage and in f32.
fn gradients(harness: &Harness, shape: Shape, storage: Storage, scale: GradientScale<'_>) -> [Vec<f32>; 2] {
    let (gpu, context) = (&harness.gpu, &harness.context);
    let [x0, x_t, prediction] = ["x0", "x_t", "p"].map(|label| gpu.buffer(label, shape.total() * 4));
    let [timesteps, losses] = ["timesteps", "losses"].map(|label| gpu.buffer(label, u64::from(shape.batch) * 4));
    for (buffer, seed) in [(&x0, 5), (&prediction, 6)] {
        let fill = Plan::fill(context, shape, Drawn::new(NoiseKey::seed(seed)), Tensor::f32(buffer)).expect("a plan");
        harness.run(&fill, Recording::timestep(0));
    }
    let schedule = Schedule::scaled_linear(1000, 0.00085, 0.012).expect("a schedule");
    let objective = Objective::of(Quantity::V).weighted(Weight::MinSnr { gamma: 5.0 });
    let density = TimestepDensity::uniform(1000).expect("a density");
    [storage, Storage::F32].map(|storage| {
        let gradient = gpu.buffer("gradient", shape.total() * storage.bytes());
        let training = Training {
            objective: &objective,
            penalty: Penalty::MSE,
            shape,
            noise: Drawn::new(NoiseKey::seed(1)),
            timestep_source: TimestepSource::Drawn { density: &density, stratified: Some(shape.batch) },
            timesteps: &timesteps,
            groups: None,
            x0: Tensor::f32(&x0),
            x_t: Tensor::f32(&x_t),
            prediction: Tensor::f32(&prediction),
            gradient: Gradient { tensor: Tensor::new(&gradient, storage), reduction: Reduction::Mean, scale },
            losses: &losses,
            mean: None,
            variance: None,
        };
        let step = TrainingStep::new(context, &schedule, &training).expect("a step");
        let recorded = gpu.submit(|encoder| {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            step.record_before(&mut pass, 0)?;
            step.record_after(&mut pass, 0)
        });
        recorded.expect("device").expect("recording");
        storage.decode(&harness.read(&gradient))
    })
}

/// The fraction of a gradient that is stored as 0, and the median of its relative errors.
fn lost([stored, exact]: &[Vec<f32>; 2]) -> [f64; 2] {
    let pairs = || stored.iter().zip(exact).filter(|(_, exact)| **exact != 0.0);
    let zeros = pairs().filter(|(stored, _)| **stored == 0.0).count();
    let mut errors: Vec<f64> = pairs().map(|(stored, exact)| f64::from((stored - exact) / exact).abs()).collect();
    errors.sort_unstable_by(f64::total_cmp);
    [zeros as f64 / exact.len() as f64, errors[errors.len() / 2]]
}

fn a_mean_drowns_without_a_scale(harness: &Harness) {
    let shape = Shape::new(64, 3 * 64 * 64);
    let alone = lost(&gradients(harness, shape, Storage::F16, GradientScale::ONE));
    let scaled = lost(&gradients(harness, shape, Storage::F16, SCALE.into()));
    let bf16 = lost(&gradients(harness, shape, Storage::Bf16, GradientScale::ONE));
    println!("lost to 0, median error: f16 {alone:?}, times {SCALE} {scaled:?}, bf16 {bf16:?}");
    assert!(alone[0] > 0.1 && alone[1] > 0.03, "{alone:?}");
    assert!(scaled[0] < 1e-4 && scaled[1] < HALF_ULP, "{scaled:?}");
    assert!(bf16[0] == 0.0, "{bf16:?}");
}
