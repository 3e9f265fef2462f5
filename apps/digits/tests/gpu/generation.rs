//! Whole loops.

use crate::{Stage, Test};
use digits::architecture::PIXELS;
use digits::{Calls, Generation, NO_CLASS, Network, Request, Tensors, Times, Weights};
use tweedie::{NoiseKey, Quantity};

pub const TESTS: &[Test] = &[
    ("repeats_to_the_bit_in_any_batch", repeats),
    ("guidance_of_one_is_the_conditional_prediction", unguided),
    ("a_counter_names_the_call", counted),
    ("call_by_call_is_the_whole_loop", call_by_call),
];

const CALLS: usize = 3;

fn generate(stage: &Stage, prediction: Quantity, labels: &[u32], guidance: f64) -> Vec<f32> {
    let weights = Weights::trained(prediction).expect("weights");
    let request = Request { labels, calls: CALLS, guidance, key: NoiseKey::seed(0) };
    let generation = Generation::new(&stage.context, &stage.kernels, &weights, &request).expect("a loop");
    assert_eq!(generation.calls(), CALLS as u32);
    let recorded = stage.gpu.submit(|encoder| generation.record(&mut encoder.begin_compute_pass(&Default::default())));
    recorded.expect("a device").expect("a recording");
    stage.read(generation.pictures())
}

fn repeats(stage: &Stage) {
    for prediction in [Quantity::V, Quantity::X0, Quantity::Epsilon] {
        let two = generate(stage, prediction, &[3, 8], 2.0);
        assert!(two.iter().all(|x| (-1.001..=1.001).contains(x)), "{prediction}");
        assert!(two == generate(stage, prediction, &[3, 8], 2.0), "{prediction}");
        let one = generate(stage, prediction, &[3], 2.0);
        assert!(two[..PIXELS as usize] == one, "{prediction}");
        assert!(one != generate(stage, prediction, &[4], 2.0), "{prediction}: the label is not heeded");
    }
}

fn unguided(stage: &Stage) {
    let labels = [7, NO_CLASS];
    let [none, some] = [1.0, 3.0].map(|scale| generate(stage, Quantity::V, &labels, scale));
    let (first, second) = (0..PIXELS as usize, PIXELS as usize..2 * PIXELS as usize);
    assert!(none[first.clone()] != some[first]);
    // Guidance changes nothing between equal predictions; `3*c - 2*c` is c except for its rounding, which the steps carry on.
    let near = |(a, b): &(&f32, &f32)| (*a - *b).abs() < 1e-3;
    let far = none[second.clone()].iter().zip(&some[second]).find(|pair| !near(pair));
    assert_eq!(far, None);
}

fn counted(stage: &Stage) {
    let weights = Weights::trained(Quantity::V).expect("weights");
    let noise: Vec<f32> = NoiseKey::seed(1).reference(1, PIXELS as usize).iter().map(|&z| z as f32).collect();
    let x = stage.gpu.upload("x", bytemuck::cast_slice(&noise));
    let prediction = stage.gpu.buffer("prediction", x.size());
    let tensors = Tensors { x: &x, samples: 1, labels: &[6], prediction: &prediction };
    let call = |calls: Calls<'_>, call| {
        let network = Network::new(&stage.kernels, &weights, tensors, Times::Shared(&[10.0, 400.0, 900.0]), calls);
        let network = network.expect("a network");
        let record = |encoder: &mut wgpu::CommandEncoder| {
            network.record(&mut encoder.begin_compute_pass(&Default::default()), call)
        };
        stage.gpu.submit(record).expect("a device").expect("a recording");
        stage.read(&prediction)
    };
    let recorded = [0, 1, 2].map(|number| call(Calls::Recorded, number));
    assert!(recorded[0] != recorded[1] && recorded[1] != recorded[2]);
    for (number, expected) in (0_u32..).zip(&recorded) {
        let counter = stage.gpu.upload("counter", &number.to_le_bytes());
        assert!(call(Calls::Counted(&counter), 7) == *expected, "call {number}");
    }
}

fn call_by_call(stage: &Stage) {
    let weights = Weights::trained(Quantity::X0).expect("weights");
    let request = Request { labels: &[5], calls: CALLS, guidance: 2.0, key: NoiseKey::seed(0) };
    let generation = Generation::new(&stage.context, &stage.kernels, &weights, &request).expect("a loop");
    let submit = |call: Option<u32>| {
        stage.gpu.submit(|encoder| {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            match call {
                None => generation.record_start(&mut pass),
                Some(call) => generation.record_call(&mut pass, call),
            }
        })
    };
    for call in std::iter::once(None).chain((0..generation.calls()).map(Some)) {
        submit(call).expect("a device").expect("a recording");
    }
    assert!(stage.read(generation.pictures()) == generate(stage, Quantity::X0, &[5], 2.0));
    assert!(submit(Some(generation.calls())).expect("a device").is_err());
}
