//! Programs of host applications, against f64 code that is written from the papers and shares nothing with the library.

use crate::harness::Harness;
use crate::support::largest;
use networks::{Calls, Mixture, Network, Tensors, asks};
use std::collections::BTreeSet;
use tweedie::{Context, Guidance, Model, Noise, NoiseKey, Quantity, Recording, Sampler, Sampling, Shape, Tensor};

pub const TESTS: &[crate::Test] = &[
    ("applications::guided_2m_in_one_submit", guided_2m_in_one_submit),
    ("applications::a_host_whose_tensors_move", a_host_whose_tensors_move),
];

const SHAPE: Shape = Shape::new(2, 4 * 16 * 16);
const BYTES: u64 = SHAPE.total() * 4;
const STEPS: usize = 20;
/// Places of a pool between consecutive tensors. It has no factor in common with the number of places.
const STRIDE: u64 = 10;
const SCALE: f64 = 4.5;
/// Mean and deviation of the data with the condition, and without.
const DATA: [[f64; 2]; 2] = [[0.7, 0.3], [0.1, 0.8]];
/// Largest error after twenty steps of f32, on samples of order 1; a wrong order of the solver is 1e-2 away.
const TOLERANCE: f64 = 2e-5;

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytemuck::pod_collect_to_vec(bytes)
}

/// DPM-Solver++ 2M with guidance: each prediction in a buffer of its own, the whole loop in one submit.
fn guided_2m_in_one_submit(harness: &Harness) {
    let (gpu, context) = (&harness.gpu, &harness.context);
    let [x, start_copy, conditional, unconditional] = ["x", "start", "c", "u"].map(|label| gpu.buffer(label, BYTES));
    let sampler = Sampler::dpm_solver_pp(&Model::named("sd15").expect("a model"), STEPS).expect("rows");
    let (sample, prediction) = (Tensor::f32(&x), Tensor::f32(&conditional));
    let sampling = Sampling {
        guidance: Some(Guidance::new(Tensor::f32(&unconditional), SCALE)),
        ..Sampling::in_place(&sampler, SHAPE, sample, prediction, Noise::None)
    };
    let start = sampling.start(context, NoiseKey::seed(1_234_567_890_123)).expect("a plan");
    let steps = sampling.plan(context).expect("a plan");
    let asks = asks(&sampler, Quantity::Epsilon);
    let networks = [(&conditional, DATA[0]), (&unconditional, DATA[1])].map(|(prediction, [mean, deviation])| {
        let mixture = Mixture::gaussian(SHAPE.elements as usize, mean as f32, deviation as f32);
        let tensors = Tensors { batch: SHAPE.batch, x: &x, prediction };
        Network::new(&gpu.device, &mixture, &asks, tensors, Calls::Recorded)
    });
    let recorded = gpu.submit(|encoder| {
        start.encode(encoder, Recording::timestep(0))?;
        encoder.copy_buffer_to_buffer(&x, 0, &start_copy, 0, BYTES);
        let mut pass = encoder.begin_compute_pass(&Default::default());
        (0..STEPS as u32).try_for_each(|call| {
            networks.iter().for_each(|network| network.record(&mut pass, call));
            steps.record(&mut pass, Recording::call(call))
        })
    });
    recorded.expect("device").expect("recording");
    let [found, began] = [&x, &start_copy].map(|buffer| floats(&harness.read(buffer)));
    let timesteps: Vec<usize> = sampler.timesteps().map(|t| t as usize).collect();
    let worst = |order: usize| {
        let exact = dpm_solver_pp(&timesteps, began.iter().map(|&x| x.into()).collect(), order);
        largest(found.iter().zip(exact).map(|(&found, exact)| (f64::from(found) - exact).abs()))
    };
    println!("worst error {:.1e}, against the first order {:.1e}", worst(2), worst(1));
    assert!(worst(2) < TOLERANCE && worst(1) > 100.0 * TOLERANCE);
}

/// DPM-Solver++ of the first or the second order (Lu et al. 2022, arXiv 2211.01095, algorithm 2), whose last step is of the first.
fn dpm_solver_pp(timesteps: &[usize], mut x: Vec<f64>, order: usize) -> Vec<f64> {
    let root = |i: usize| 0.00085f64.sqrt() + (0.012f64.sqrt() - 0.00085f64.sqrt()) * i as f64 / 999.0;
    let abar = |t: usize| (0..=t).map(|i| 1.0 - root(i).powi(2)).product::<f64>();
    let level = |t: usize| [abar(t).sqrt(), (1.0 - abar(t)).sqrt()];
    let mut last: Option<(Vec<f64>, f64)> = None;
    for (k, &t) in timesteps.iter().enumerate() {
        let [a, s] = level(t);
        let epsilon = |x: f64, [mean, deviation]: [f64; 2]| s * (x - a * mean) / ((a * deviation).powi(2) + s * s);
        let guided = |x: f64| epsilon(x, DATA[1]) + SCALE * (epsilon(x, DATA[0]) - epsilon(x, DATA[1]));
        let x0: Vec<f64> = x.iter().map(|&x| (x - s * guided(x)) / a).collect();
        let Some(&next) = timesteps.get(k + 1) else { return x0 };
        let [a_next, s_next] = level(next);
        let h = (a_next / s_next).ln() - (a / s).ln();
        for i in 0..x.len() {
            let slope = match &last {
                Some((before, h_before)) if order == 2 => (x0[i] - before[i]) * h / (2.0 * h_before),
                _ => 0.0,
            };
            x[i] = s_next / s * x[i] - a_next * (-h).exp_m1() * (x0[i] + slope);
        }
        last = Some((x0, h));
    }
    x
}

/// Every call has its tensors at other places of a pool. No pipeline is compiled for that, and the bits are the same.
fn a_host_whose_tensors_move(harness: &Harness) {
    // A context of its own, since other tests compile in the shared one.
    let (gpu, context) = (&harness.gpu, &Context::new(&harness.gpu.device));
    let sampler = Sampler::dpm_solver_pp(&Model::named("sd15").expect("a model"), STEPS).expect("rows");
    let places = 3 * (STEPS as u64 + 1);
    let pool = gpu.buffer("pool", places * BYTES);
    let place = |k: u64| Tensor::f32(&pool).at(k * STRIDE % places * BYTES);
    let offsets: BTreeSet<u64> = (0..places).map(|k| place(k).offset).collect();
    assert_eq!(offsets.len() as u64, places, "two tensors lie at the same place");
    let run = |moves: bool| {
        let at = |k: u64| if moves { k } else { 0 };
        let [x, prediction, next] = [0, 1, 2].map(place);
        let sampling = Sampling { next, ..Sampling::in_place(&sampler, SHAPE, x, prediction, Noise::None) };
        let (start, steps) =
            (sampling.start(context, NoiseKey::seed(3)).expect("a plan"), sampling.plan(context).expect("a plan"));
        harness.run(&start, Recording::timestep(0));
        let compiled = context.compiled_pipelines();
        for call in 0..STEPS as u32 {
            // The network of this host returns half of its input, and puts it at any place.
            let [x, prediction, next] = [0, 1, 2].map(|tensor| place(3 * at(call.into()) + tensor));
            let halves: Vec<f32> = range(harness, x).into_iter().map(|x| x / 2.0).collect();
            gpu.queue.write_buffer(&pool, prediction.offset, bytemuck::cast_slice(&halves));
            let moved = steps.moved(context, &[("x", x), ("prediction", prediction), ("next", next)]).expect("a plan");
            harness.run(&moved, Recording::call(call));
            // The host copies the next sample to the place where the next call expects it.
            let next_x = place(3 * at(u64::from(call) + 1));
            gpu.queue.write_buffer(&pool, next_x.offset, bytemuck::cast_slice(&range(harness, next)));
        }
        assert_eq!(context.compiled_pipelines(), compiled);
        range(harness, place(3 * at(STEPS as u64)))
    };
    let (still, moved) = (run(false), run(true));
    assert!(still == moved && still.iter().any(|&x| x != 0.0));
}

/// The numbers of a tensor.
fn range(harness: &Harness, tensor: Tensor<'_>) -> Vec<f32> {
    let bytes = tensor.offset..tensor.offset + BYTES;
    floats(&pollster::block_on(harness.gpu.download(tensor.buffer, bytes)).expect("readback"))
}
