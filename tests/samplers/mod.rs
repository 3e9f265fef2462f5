//! Samplers: which of them agree, how fast they converge, and what they refuse.

mod any_input;
mod equal;
mod options;
mod orders;

use crate::support::loops::{Inputs, Run, deviation, run};
use crate::support::sigmas;
use tweedie::error::SamplerError;
use tweedie::math::sampler::{
    AdamsBashforth, Ancestral, Churn, Clock, Compat, Consistency, Corrector, Ddpm, Denoiser, Dpm2, DpmKind, DpmSde,
    DpmSolver, FirstOrder, Form, Grid, Heun, NoiseCourse, PiFlow, SaSolver, Sampler, Scale, ScoreRescaling, Singlestep,
    Solver, Tau, UniPc, UniPcKind, Variance, WarmUp,
};
use tweedie::math::{NoiseLevel, Quantity, Schedule, Sections, SigmaData, Spacing, flow};
use tweedie::table::Clip;

/// Data of one dimension with a closed form for everything: `x0 ~ N(mean, spread^2)`.
#[derive(Clone, Copy)]
struct Gaussian {
    mean: f64,
    spread: f64,
}

const DATA: Gaussian = Gaussian { mean: 0.3, spread: 0.5 };

impl Gaussian {
    /// The variance of a noisy sample.
    fn variance(self, level: NoiseLevel) -> f64 {
        (level.alpha() * self.spread).powi(2) + level.sigma().powi(2)
    }

    /// The expectation of the clean sample, given a noisy one.
    fn x0(self, level: NoiseLevel, x: f64) -> f64 {
        let gain = level.alpha() * self.spread * self.spread / self.variance(level);
        self.mean + gain * (x - level.alpha() * self.mean)
    }

    /// The output of the perfect network.
    fn answer(self, quantity: Quantity, level: NoiseLevel, x: f64) -> f64 {
        let x0 = self.x0(level, x);
        let epsilon = if level.sigma() == 0.0 { 0.0 } else { (x - level.alpha() * x0) / level.sigma() };
        let [a, b] = quantity.row(level).unwrap();
        a * x0 + b * epsilon
    }

    /// The sample that the probability flow ODE leads to: it keeps its place in the distribution.
    fn flows(self, from: NoiseLevel, to: NoiseLevel, x: f64) -> f64 {
        let place = (x - from.alpha() * self.mean) / self.variance(from).sqrt();
        to.alpha() * self.mean + place * self.variance(to).sqrt()
    }
}

/// A loop with the perfect network, which is asked at `input * x`.
fn sample(sampler: &Sampler, quantity: Quantity, inputs: &Inputs) -> Run {
    run(sampler, inputs, |k, x| {
        let call = &sampler.calls()[k];
        let [alpha, sigma] = [call.level.alpha(), call.level.sigma()].map(|c| c * call.input);
        let seen = NoiseLevel::new(alpha, sigma).unwrap();
        x.iter().map(|x| DATA.answer(quantity, seen, call.input * x)).collect()
    })
}

fn starting_with(initial: Vec<f64>) -> Inputs {
    let elements = initial.len();
    // Any numbers will do, as long as they are all different.
    let noise = |k: usize| (0..elements).map(|i| ((3 * k + 7 * i) as f64).sin()).collect();
    Inputs { batch: 1, initial, noises: (0..200).map(noise).collect(), ..Inputs::default() }
}

fn start() -> Inputs {
    starting_with(vec![-1.7, -0.4, 0.2, 0.9, 2.1])
}

fn schedule() -> Schedule {
    Schedule::linear(1000, 1e-4, 0.02).unwrap()
}

fn grid(n: usize) -> Grid {
    let timesteps = Spacing::Trailing.timesteps(1000, n).unwrap();
    Grid::of_schedule(&schedule(), &timesteps, NoiseLevel::CLEAN).unwrap()
}

/// Loops that are equal in exact arithmetic differ by roundings: at most some hundred of them here, on numbers near 1.
const SAME: f64 = 1e-12;

/// `n` steps of a rectified flow, in equal steps between times that are far from both ends.
fn flow_grid(n: usize) -> Grid {
    let times: Vec<f64> = (0..=n).map(|i| 0.95 - 0.9 * i as f64 / n as f64).collect();
    Grid::of_sigmas(Scale::Flow, &times[..n], &times[..n], times[n]).unwrap()
}

/// `n` steps, equal in lambda, between sigmas so far apart that what the first steps lack in order does not show.
fn fine_grid(n: usize) -> Grid {
    let list = sigmas::exponential(n + 1, 0.1, 3000.0).unwrap();
    let grid = Grid::of_sigmas(Scale::VariancePreserving, &list[..n], &list[..n], list[n]).unwrap();
    grid.with_clock(|level| level.sigma() / level.alpha())
}
