//! A batch as the training script noised it, against tweedie's noising and target on the same bits.

use crate::recorded::{BATCH, Recorded};
use crate::{Stage, Test};
use digits::architecture::{PIXELS, TIMESTEPS};
use tweedie::{Noise, Noising, Quantity, Recording, Schedule, Shape, Tensor, Timesteps};

pub const TESTS: &[Test] = &[("is_that_of_the_training", noising)];

/// Roundings of f32 in a sum of two products, on either side: two coefficients, two products and a sum.
const ROUNDINGS: f64 = 2.0 * 5.0;
const ULP: f64 = 1.0 / (1 << 24) as f64;

fn noising(stage: &Stage) {
    let t = Recorded::u32(BATCH, "t");
    let [x0, noise] = ["x0", "noise"].map(|name| Recorded::f32(BATCH, name));
    let shape = Shape::new(t.len() as u32, PIXELS);
    let [x0_buffer, noise_buffer] =
        [&x0, &noise].map(|numbers| stage.gpu.upload("input", bytemuck::cast_slice(numbers)));
    let t_buffer = stage.gpu.upload("t", bytemuck::cast_slice(&t));
    let [x_t, v] = ["x_t", "v"].map(|label| stage.gpu.buffer(label, shape.total() * 4));
    // The training did not use the last schedule.
    for (schedule, right) in [(Schedule::cosine(TIMESTEPS), true), (Schedule::linear(TIMESTEPS, 1e-4, 0.02), false)] {
        let schedule = schedule.expect("a schedule");
        let plan = Noising {
            schedule: &schedule,
            shape,
            timesteps: Timesteps::per_sample(&t_buffer),
            x0: Tensor::f32(&x0_buffer),
            epsilon: Noise::Tensor(Tensor::f32(&noise_buffer)),
            outputs: &[(Quantity::Xt, Tensor::f32(&x_t)), (Quantity::V, Tensor::f32(&v))],
        };
        let plan = plan.plan(&stage.context).expect("a plan");
        stage
            .gpu
            .submit(|encoder| plan.encode(encoder, Recording::per_sample()))
            .expect("a device")
            .expect("a recording");
        for (name, buffer) in [("x_t", &x_t), ("v", &v)] {
            let expected = Recorded::read(BATCH, name).data;
            let found = stage.read(buffer);
            assert_eq!(found.len(), expected.len());
            // Both coefficients are at most 1.
            let allowed = |i: usize| ROUNDINGS * ULP * f64::from(x0[i].abs() + noise[i].abs());
            let agrees = |&i: &usize| (f64::from(found[i]) - expected[i]).abs() <= allowed(i);
            let off = found.len() - (0..found.len()).filter(agrees).count();
            assert_eq!(off == 0, right, "{name}: {off} of {} differ", found.len());
        }
    }
}
