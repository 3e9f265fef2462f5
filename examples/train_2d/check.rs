//! Checks of the application's own kernels: the backward pass against f64 on the host, a wrong backward pass that must fail,
//! and a training that must give the same weights again.
//!
//! For a gradient `r` at the prediction, the gradient of the weights is that of the number `sum(r * prediction)`.
//! The host computes that number in f64 and differentiates it by central differences, one weight at a time.

use crate::Setup;
use crate::data::Data;
use crate::kernel::download;
use crate::network::{Backward, Forward, Inputs, Matrices, OF_POSITION, SILU_BACKWARD, initial_weights};
use crate::training::Trainer;
use std::error::Error;
use tweedie::Quantity;
use tweedie::gpu::{NoiseKey, Shape};
use tweedie::headless::Gpu;
use tweedie::wgpu::ComputePassDescriptor;

const WIDTHS: [u32; 4] = [16, 8, 16, 8];
const BATCH: u32 = 8;
/// The step of the differences: their own error, of order `H^2` and `2^-53/H`, is below 1e-9.
const H: f64 = 1e-5;
/// Allowed error, relative to the largest element of the gradient. Sums of at most 16 terms in f32 through three layers
/// are good to some `16 * 3 * 2^-24 = 3e-6` of their terms; a term can be a few times larger than the sum.
const TOLERANCE: f64 = 1e-5;
/// Steps of the training that is repeated.
const REPEATED_STEPS: u32 = 10;
const KEY: NoiseKey = NoiseKey::seed(7);

/// Prints the checks and says whether all passed.
pub async fn all(setup: &Setup, widths: &[u32], shape: Shape) -> Result<bool, Box<dyn Error>> {
    let [right, wrong] = backward(&setup.gpu).await?;
    let repeated = repeats(setup, widths, shape).await?;
    println!("backward pass against f64 differences: {right:.3} of the tolerance");
    println!("the same with one sign reversed:         {wrong:.0} times the tolerance, which must be caught");
    println!("a training repeated gives the same bits: {}", if repeated { "yes" } else { "NO" });
    Ok(right <= 1.0 && wrong > 1.0 && repeated)
}

/// Checks that the same training gives the same weights to the last bit, with another one in between.
async fn repeats(setup: &Setup, widths: &[u32], shape: Shape) -> Result<bool, Box<dyn Error>> {
    let trainer = Trainer::new(setup, widths, shape, REPEATED_STEPS);
    let mut weights: Vec<Vec<u32>> = Vec::new();
    for (data, prediction) in
        [(Data::Moons, Quantity::V), (Data::Checkerboard, Quantity::X0), (Data::Moons, Quantity::V)]
    {
        trainer.run(setup, data, prediction).await?;
        weights.push(download(&setup.gpu, &trainer.weights.buffer).await?);
    }
    Ok(weights[0] == weights[2] && weights[0] != weights[1])
}

/// The largest error of the backward pass in units of what is allowed: as it is, and with a sign in the slope of SiLU reversed.
async fn backward(gpu: &Gpu) -> Result<[f64; 2], Box<dyn Error>> {
    let wrong = SILU_BACKWARD.replace("1.0 - s", "s - 1.0");
    Ok([error_of(gpu, SILU_BACKWARD).await?, error_of(gpu, &wrong).await?])
}

async fn error_of(gpu: &Gpu, slope: &str) -> Result<f64, Box<dyn Error>> {
    let narrow = |values: Vec<f64>| values.into_iter().map(|x| x as f32).collect::<Vec<_>>();
    let weights = initial_weights(&WIDTHS, KEY);
    let x = narrow(KEY.stream(10).reference(BATCH as usize, 2));
    let told = narrow(KEY.stream(11).reference(BATCH as usize, (WIDTHS[0] - OF_POSITION) as usize));
    let incoming = narrow(KEY.stream(12).reference(BATCH as usize, WIDTHS[3] as usize));

    let matrices = Matrices::new(gpu, "weights", &WIDTHS);
    gpu.queue.write_buffer(&matrices.buffer, 0, bytemuck::cast_slice(&weights));
    let timesteps: Vec<u32> = (0..BATCH).rev().collect();
    let [x_t, timesteps, embedding] =
        [bytemuck::cast_slice(&x), bytemuck::cast_slice(&timesteps), bytemuck::cast_slice(&told)]
            .map(|bytes| gpu.upload("check", bytes));
    let inputs = Inputs { x_t: &x_t, timesteps: &timesteps, embedding: &embedding };
    let forward = Forward::new(gpu, &matrices, inputs, BATCH);
    let backward = Backward::through(gpu, &matrices, &forward, slope);
    gpu.queue.write_buffer(&backward.prediction, 0, bytemuck::cast_slice(&incoming));
    gpu.submit(|encoder| {
        let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor::default());
        forward.record(&mut pass);
        backward.record(&mut pass);
    })?;
    let found: Vec<f32> = download(gpu, &backward.gradient.buffer).await?;

    let features: Vec<f32> = download(gpu, forward.features()).await?;
    let expected = central_differences(&weights, |weights| {
        let rows = features.chunks(WIDTHS[0] as usize).zip(incoming.chunks(WIDTHS[3] as usize));
        rows.map(|(a, r)| dot(&predict(weights, a), r)).sum()
    });
    let largest = expected.iter().fold(0.0, |most: f64, g| most.max(g.abs()));
    let errors = found.iter().zip(&expected).map(|(&found, expected)| (f64::from(found) - expected).abs());
    // `max` would overlook a NaN.
    let worst = errors.fold(0.0, |most: f64, error| if most.is_nan() || error <= most { most } else { error });
    Ok(worst / (TOLERANCE * largest))
}

/// The network in f64, for one sample.
fn predict(weights: &[f64], features: &[f32]) -> Vec<f64> {
    let mut rest = weights;
    let mut a: Vec<f64> = features.iter().map(|&x| f64::from(x)).collect();
    for (l, pair) in WIDTHS.windows(2).enumerate() {
        let (rows, columns) = (pair[0] as usize, pair[1] as usize);
        let (matrix, others) = rest.split_at(rows * columns);
        let z = (0..columns).map(|j| (0..rows).map(|i| a[i] * matrix[i * columns + j]).sum::<f64>());
        let silu = |z: f64| if l + 2 < WIDTHS.len() { z / (1.0 + (-z).exp()) } else { z };
        a = z.map(silu).collect();
        rest = others;
    }
    a
}

fn dot(a: &[f64], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| a * f64::from(b)).sum()
}

fn central_differences(at: &[f32], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let mut x: Vec<f64> = at.iter().map(|&x| f64::from(x)).collect();
    (0..x.len())
        .map(|i| {
            let here = x[i];
            let [above, below] = [here + H, here - H].map(|moved| {
                x[i] = moved;
                f(&x)
            });
            x[i] = here;
            (above - below) / (2.0 * H)
        })
        .collect()
}
