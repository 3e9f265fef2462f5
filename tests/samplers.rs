//! Samplers: what holds between them, how fast they converge, and what they refuse.

use crate::support::loops::{Inputs, Run, deviation, run};
use tweedie::error::SamplerError;
use tweedie::math::sampler::{
    Churn, Compat, Consistency, Corrector, Ddpm, Denoiser, DpmKind, DpmSolver, Estimate, FirstOrder, Grid, Heun,
    Prediction, Sampler, Scale, Solver, UniPc, UniPcKind, Variance,
};
use tweedie::math::{NoiseLevel, Quantity, Schedule, Spacing, flow, sigmas};
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

    /// What the perfect network says.
    fn answer(self, quantity: Quantity, level: NoiseLevel, x: f64) -> f64 {
        let x0 = self.x0(level, x);
        let epsilon = if level.sigma() == 0.0 { 0.0 } else { (x - level.alpha() * x0) / level.sigma() };
        let [a, b] = quantity.row(level).unwrap();
        a * x0 + b * epsilon
    }

    /// Where the probability flow ODE leads: the sample keeps its place in the distribution.
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

#[track_caller]
fn assert_same(first: &impl Solver, second: &impl Solver, n: usize) {
    for quantity in [Quantity::Epsilon, Quantity::X0, Quantity::V] {
        let runs = [
            sample(&Sampler::new(first, &grid(n), &Denoiser::new(quantity)).unwrap(), quantity, &start()),
            sample(&Sampler::new(second, &grid(n), &Denoiser::new(quantity)).unwrap(), quantity, &start()),
        ];
        for (first, second) in runs[0].samples.iter().zip(&runs[1].samples) {
            let apart = deviation(first, second);
            assert!(apart <= SAME, "{quantity}: {apart:e}");
        }
    }
}

fn without_corrector(order: usize) -> UniPc {
    UniPc { corrector: Corrector::Off, ..UniPc::new(order) }
}

#[test]
fn ddpm_is_ddim_with_eta_1() {
    assert_same(&FirstOrder::ddim(1.0), &Ddpm::new(Variance::FixedSmall), 12);
    assert_same(&FirstOrder::ancestral(1.0), &Ddpm::new(Variance::FixedSmall), 12);
}

#[test]
fn first_orders_are_ddim() {
    assert_same(&FirstOrder::ddim(0.0), &FirstOrder::euler(), 12);
    assert_same(&FirstOrder::ddim(0.0), &DpmSolver::new(1), 12);
    assert_same(&FirstOrder::ddim(1.0), &DpmSolver::sde(1), 12);
    assert_same(&FirstOrder::ddim(0.0), &without_corrector(1), 12);
    for order in [2, 3] {
        assert_same(&FirstOrder::ddim(0.0), &DpmSolver::new(order), 1);
        assert_same(&FirstOrder::ddim(0.0), &UniPc::new(order), 1);
    }
}

#[test]
fn unipc_without_its_corrector_is_the_exact_multistep_method() {
    // Of order 2 with B(h) = exp(h) - 1 it is the midpoint.
    let full = |order, kind| DpmSolver { kind, lower_order_final: false, ..DpmSolver::new(order) };
    let predictor = |order| UniPc { lower_order_final: false, ..without_corrector(order) };
    assert_same(&full(2, DpmKind::Midpoint), &predictor(2), 12);
    for k in 0..12 {
        let [dpm, uni] = rows(&full(3, DpmKind::Exact), &predictor(3));
        let same = |a: f64, b: f64| (a - b).abs() <= SAME;
        // The second call has two x0: exact there, the midpoint here.
        let all = dpm[k].iter().zip(&uni[k]).all(|(a, b)| same(*a, *b));
        assert_eq!(all, k != 1, "{k}");
    }
}

fn rows(first: &impl Solver, second: &impl Solver) -> [Vec<[f64; 4]>; 2] {
    let of = |sampler: Sampler| {
        let row = |call: &tweedie::math::Call| [call.row.x, call.row.p, call.row.history[0], call.row.history[1]];
        sampler.calls().iter().map(row).collect()
    };
    let denoiser = Denoiser::new(Quantity::Epsilon);
    [of(Sampler::new(first, &grid(12), &denoiser).unwrap()), of(Sampler::new(second, &grid(12), &denoiser).unwrap())]
}

#[test]
fn euler_on_exploding_levels_is_ddim() {
    let timesteps = Spacing::Trailing.timesteps(1000, 10).unwrap();
    let (table, told) = (schedule().sigma_table(), timesteps.iter().map(|&t| t as f64).collect::<Vec<_>>());
    let list: Vec<f64> = timesteps.iter().map(|&t| table.sigmas()[t]).collect();
    let exploding = Grid::of_sigmas(Scale::VarianceExploding, &list, &told, 0.0).unwrap();
    for eta in [0.0, 0.7, 1.0] {
        for quantity in [Quantity::Epsilon, Quantity::V] {
            let denoiser = Denoiser::new(quantity);
            let ddim = Sampler::new(&FirstOrder::ddim(eta), &grid(10), &denoiser).unwrap();
            let euler = Sampler::new(&FirstOrder::ancestral(eta), &exploding, &denoiser).unwrap();
            let scale = 1f64.hypot(list[0]);
            let initial = start().initial.iter().map(|x| x * scale).collect();
            let [ddim, euler] = [sample(&ddim, quantity, &start()), sample(&euler, quantity, &starting_with(initial))];
            // The exploding sample has been 160 in the beginning.
            assert!(deviation(ddim.last(), euler.last()) <= 160.0 * SAME);
        }
    }
}

#[test]
fn stochastic_samplers_keep_the_distribution() {
    // Elements are the responses to the initial sample and to each noise alone, so the variance is their sum of squares.
    let n = 100;
    let variance = |solver: &dyn Fn(&Grid) -> Sampler| {
        let grid = fine_grid(n);
        let sampler = solver(&grid);
        let (from, to) = (grid.steps()[0].from, grid.steps()[n - 1].to);
        let unit = |j: usize| (0..=n).map(|i| f64::from(u8::from(i == j))).collect::<Vec<_>>();
        let mut initial = unit(n);
        initial.iter_mut().for_each(|x| *x = *x * DATA.variance(from).sqrt() + from.alpha() * DATA.mean);
        let inputs = Inputs { batch: 1, initial, noises: (0..n).map(unit).collect(), ..Inputs::default() };
        let run = sample(&sampler, Quantity::Epsilon, &inputs);
        let squares: f64 = run.last().iter().map(|x| (x - to.alpha() * DATA.mean).powi(2)).sum();
        squares / DATA.variance(to)
    };
    let denoiser = Denoiser::new(Quantity::Epsilon);
    let with = |solver: DpmSolver| variance(&|grid| Sampler::new(&solver, grid, &denoiser).unwrap());
    let sde = |order| DpmSolver { lower_order_final: false, kind: DpmKind::Exact, ..DpmSolver::sde(order) };
    for (order, margin) in [(1, 0.1), (2, 0.01), (3, 0.001)] {
        let ratio = with(sde(order));
        println!("order {order}: {ratio}");
        assert!((ratio - 1.0).abs() < margin, "order {order}: {ratio}");
        let half = with(DpmSolver { eta: 0.5, ..sde(order) });
        assert!((half - 1.0).abs() < margin, "order {order}, eta 0.5: {half}");
    }
    for kind in [DpmKind::Midpoint, DpmKind::Heun] {
        let ratio = with(DpmSolver { kind, ..sde(3) });
        println!("{kind:?}: {ratio}");
        assert!((ratio - 1.0).abs() < 0.01, "{kind:?}: {ratio}");
    }
    // diffusers' third-order SDE does not converge.
    let wrong = with(DpmSolver { kind: DpmKind::Midpoint, compat: Compat::Diffusers, ..sde(3) });
    println!("diffusers: {wrong}");
    assert!((wrong - 1.0).abs() > 0.01, "{wrong}");
}

/// `n` steps, equal in lambda, between sigmas so far apart that what the first steps lack in order does not show.
fn fine_grid(n: usize) -> Grid {
    let list = sigmas::exponential(n + 1, 0.1, 3000.0).unwrap();
    Grid::of_sigmas(Scale::VariancePreserving, &list[..n], &list[..n], list[n]).unwrap()
}

fn error_of(solver: &impl Solver, grid: &Grid) -> f64 {
    let sampler = Sampler::new(solver, grid, &Denoiser::new(Quantity::V)).unwrap();
    let run = sample(&sampler, Quantity::V, &start());
    let steps = grid.steps();
    let (from, to) = (steps[0].from, steps[steps.len() - 1].to);
    let exact: Vec<f64> = start().initial.iter().map(|&x| DATA.flows(from, to, x)).collect();
    deviation(run.last(), &exact)
}

/// How far a measured order may be from the true one at these step counts.
const ORDER_MARGIN: f64 = 0.25;

#[track_caller]
fn assert_order(name: &str, solver: &impl Solver, order: f64) {
    let [coarse, fine] = [100, 200].map(|n| error_of(solver, &fine_grid(n)));
    let found = (coarse / fine).log2();
    println!("{name}: errors {coarse:.3e}, {fine:.3e}, order {found:.3}");
    assert!((found - order).abs() < ORDER_MARGIN, "{name}: order {found}, expected {order}");
}

#[test]
fn orders_of_convergence() {
    assert_order("Euler", &FirstOrder::euler(), 1.0);
    assert_order("Heun", &Heun, 2.0);
    let full = |order, kind| DpmSolver { kind, lower_order_final: false, ..DpmSolver::new(order) };
    assert_order("DPM++ 1", &full(1, DpmKind::Midpoint), 1.0);
    assert_order("DPM++ 2M", &full(2, DpmKind::Midpoint), 2.0);
    assert_order("DPM++ 2M heun", &full(2, DpmKind::Heun), 2.0);
    assert_order("DPM++ 3M as published", &full(3, DpmKind::Heun), 2.0);
    assert_order("DPM++ 3M exact", &full(3, DpmKind::Exact), 3.0);
    for kind in [UniPcKind::Bh1, UniPcKind::Bh2] {
        for order in [1, 2, 3] {
            let uni = |corrector| UniPc { kind, corrector, lower_order_final: false, ..UniPc::new(order) };
            assert_order(&format!("UniP-{order} {kind:?}"), &uni(Corrector::Off), order as f64);
            assert_order(&format!("UniPC-{order} {kind:?}"), &uni(Corrector::On), order as f64 + 1.0);
        }
    }
}
