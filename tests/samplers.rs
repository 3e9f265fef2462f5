//! Samplers: what holds between them, how fast they converge, and what they refuse.

use crate::support::loops::{Inputs, Run, deviation, run};
use tweedie::error::SamplerError;
use tweedie::math::sampler::{
    Churn, Compat, Consistency, Corrector, Ddpm, Denoiser, DpmKind, DpmSolver, Estimate, FirstOrder, Form, Grid, Heun,
    Prediction, Sampler, Scale, Solver, UniPc, UniPcKind, Variance,
};
use tweedie::math::{NoiseLevel, Quantity, Schedule, Sections, Spacing, consistency_timesteps, flow, sigmas};
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

/// How far the variance of samples is from that of the data at the end, relative. Elements are the responses to the
/// initial sample and to each noise alone, so the variance is their sum of squares.
fn excess_variance(solver: &impl Solver, n: usize) -> f64 {
    let grid = fine_grid(n);
    let sampler = Sampler::new(solver, &grid, &Denoiser::new(Quantity::Epsilon)).unwrap();
    let (from, to) = (grid.steps()[0].from, grid.steps()[n - 1].to);
    let unit = |j: usize| (0..=n).map(|i| f64::from(u8::from(i == j))).collect::<Vec<_>>();
    let initial = unit(n).iter().map(|x| x * DATA.variance(from).sqrt() + from.alpha() * DATA.mean).collect();
    let inputs = Inputs { batch: 1, initial, noises: (0..n).map(unit).collect(), ..Inputs::default() };
    let run = sample(&sampler, Quantity::Epsilon, &inputs);
    let squares: f64 = run.last().iter().map(|x| (x - to.alpha() * DATA.mean).powi(2)).sum();
    (squares / DATA.variance(to) - 1.0).abs()
}

/// What half the step leaves of the error of a solver of this weak order, and a tenth more.
fn shrinks_to(order: i32) -> f64 {
    1.1 * 0.5_f64.powi(order)
}

#[test]
fn stochastic_samplers_converge_to_the_distribution() {
    // With old x0 the variance is right to second order; none of the published ones has more.
    let shrinks = |name: &str, solver: &dyn Fn(usize) -> f64| {
        let [coarse, fine] = [100, 200].map(solver);
        println!("{name}: {coarse:.3e}, {fine:.3e}");
        fine / coarse
    };
    let sde = |order, kind| DpmSolver { lower_order_final: false, kind, ..DpmSolver::sde(order) };
    assert!(shrinks("DDPM", &|n| excess_variance(&Ddpm::default(), n)) < shrinks_to(1));
    assert!(shrinks("ancestral 0.6", &|n| excess_variance(&FirstOrder::ancestral(0.6), n)) < shrinks_to(1));
    for kind in [DpmKind::Midpoint, DpmKind::Heun, DpmKind::Exact] {
        for order in [1, 2, 3] {
            for eta in [0.5, 1.0] {
                let solver = DpmSolver { eta, ..sde(order, kind) };
                let found = shrinks(&format!("{kind:?} {order}, eta {eta}"), &|n| excess_variance(&solver, n));
                assert!(found < shrinks_to(order.min(2) as i32), "{found}");
            }
        }
    }
    let wrong = DpmSolver { compat: Compat::Diffusers, ..sde(3, DpmKind::Midpoint) };
    let found = shrinks("diffusers 3", &|n| excess_variance(&wrong, n));
    assert!(found > shrinks_to(2), "diffusers' third-order SDE is of first order: {found}");
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
    assert_order_from(100, name, solver, order);
}

/// The order between `n` steps and twice as many.
#[track_caller]
fn assert_order_from(n: usize, name: &str, solver: &impl Solver, order: f64) {
    let [coarse, fine] = [n, 2 * n].map(|n| error_of(solver, &fine_grid(n)));
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

#[test]
fn orders_of_convergence_in_epsilon() {
    let dpm = |order, kind| DpmSolver { kind, form: Form::Epsilon, lower_order_final: false, ..DpmSolver::new(order) };
    assert_order("DPM 1", &dpm(1, DpmKind::Midpoint), 1.0);
    assert_order("DPM 2M", &dpm(2, DpmKind::Midpoint), 2.0);
    assert_order("DPM 2M heun", &dpm(2, DpmKind::Heun), 2.0);
    // Its error changes its sign near 150 steps.
    assert_order_from(400, "DPM 3M exact", &dpm(3, DpmKind::Exact), 3.0);
    for order in [1, 2, 3] {
        let uni = UniPc { form: Form::Epsilon, lower_order_final: false, ..UniPc::new(order) };
        assert_order(&format!("UniPC-{order}"), &uni, order as f64 + 1.0);
    }
}

#[test]
fn solvers_in_epsilon() {
    // One step is DDIM in either form, also to a clean sample.
    assert_same(&FirstOrder::ddim(0.0), &DpmSolver { form: Form::Epsilon, ..DpmSolver::new(1) }, 12);
    assert_same(&FirstOrder::ddim(0.0), &UniPc { form: Form::Epsilon, ..without_corrector(1) }, 12);
    let second = DpmSolver { form: Form::Epsilon, ..DpmSolver::new(2) };
    let sampler = Sampler::new(&second, &grid(5), &Denoiser::new(Quantity::Epsilon)).unwrap();
    assert_eq!(sampler.keeps(), Quantity::Epsilon);
    assert_eq!(sampler.calls()[2].row.x0, [0.0, 1.0, 0.0]);
    let clipped = Denoiser::new(Quantity::Epsilon).clipped(Clip::Range(1.0));
    for error in [
        Sampler::new(&second, &grid(5), &clipped).unwrap_err(),
        Sampler::new(&DpmSolver { eta: 1.0, ..second }, &grid(5), &Denoiser::new(Quantity::V)).unwrap_err(),
    ] {
        assert!(matches!(error, SamplerError::Unsupported { .. }), "{error}");
    }
}

#[test]
fn consistency_models() {
    let list = consistency_timesteps(1000, 50, 1.0, 4).unwrap();
    assert_eq!(list, [999, 759, 499, 259]);
    let grid = Grid::of_schedule(&schedule(), &list, NoiseLevel::CLEAN).unwrap();
    let denoiser = Denoiser::new(Quantity::X0).clipped(Clip::Range(1.0));
    let rows: Vec<_> =
        Sampler::new(&Consistency::lcm(), &grid, &denoiser).unwrap().calls().iter().map(|c| c.row).collect();
    let to = schedule().level(499).unwrap();
    let time: f64 = 7590.0;
    let (skip, out) = (0.25 / (time * time + 0.25), time / (time * time + 0.25).sqrt());
    let close = |found: f64, expected: f64| assert!((found - expected).abs() <= SAME, "{found} {expected}");
    close(rows[1].x, to.alpha() * skip);
    close(rows[1].clean, to.alpha() * out);
    close(rows[1].z, to.sigma());
    assert!(!rows[3].draws(false));
    // Without the scaling every step begins anew.
    let plain = Sampler::new(&Consistency::default(), &grid, &denoiser).unwrap();
    assert!(plain.calls().iter().all(|call| call.row.x == 0.0));
}

#[test]
fn lower_orders_at_the_end() {
    let depth = |solver: &DpmSolver, n: usize| {
        let sampler = Sampler::new(solver, &fine_grid(n), &Denoiser::new(Quantity::X0)).unwrap();
        sampler.calls().iter().map(|call| call.row.depth()).collect::<Vec<_>>()
    };
    let third = DpmSolver::new(3);
    assert_eq!(depth(&third, 6), [0, 1, 2, 2, 1, 0]);
    assert_eq!(depth(&third, 15)[11..], [2, 2, 2, 2]);
    assert_eq!(depth(&DpmSolver { euler_at_final: true, ..third }, 15)[11..], [2, 2, 2, 0]);
    assert_eq!(depth(&DpmSolver { lower_order_final: false, ..third }, 6), [0, 1, 2, 2, 2, 2]);
    // A step to a clean sample is of first order whatever the options.
    let clean = Sampler::new(&DpmSolver { lower_order_final: false, ..third }, &grid(6), &Denoiser::new(Quantity::V));
    assert_eq!(clean.unwrap().calls()[5].row.depth(), 0);
    // The corrector looks one further back than the predictor.
    let uni = Sampler::new(&UniPc::new(3), &grid(6), &Denoiser::new(Quantity::V)).unwrap();
    assert_eq!(uni.calls().iter().map(|call| call.row.depth()).collect::<Vec<_>>(), [0, 1, 2, 3, 3, 0]);
    assert_eq!(uni.depth(), 3);
}

#[test]
fn inversion_then_sampling_returns() {
    // With the same answers every step is undone exactly, whatever they are.
    let denoiser = Denoiser::new(Quantity::Epsilon);
    let forward = Sampler::new(&FirstOrder::ddim(0.0), &grid(20), &denoiser).unwrap();
    let back = Sampler::new(&FirstOrder::ddim(0.0), &grid(20).reversed().unwrap(), &denoiser).unwrap();
    let answer = |k: usize| vec![(k as f64).cos(); 5];
    let noisy = run(&back, &start(), |k, _| answer(k));
    let again = run(&forward, &starting_with(noisy.last().to_vec()), |k, _| answer(19 - k));
    // Going back divides by alpha, which is 0.006 at the end.
    assert!(deviation(again.last(), &start().initial) <= SAME / 0.006);
    let told = |sampler: &Sampler| sampler.timesteps().collect::<Vec<_>>();
    let reversed: Vec<f64> = told(&forward).into_iter().rev().collect();
    assert_eq!(told(&back), reversed);
    // With a network, to first order in the step.
    let apart = |n: usize| {
        let forward = Sampler::new(&FirstOrder::ddim(0.0), &grid(n), &denoiser).unwrap();
        let back = Sampler::new(&FirstOrder::ddim(0.0), &grid(n).reversed().unwrap(), &denoiser).unwrap();
        let ask = |sampler: &Sampler, inputs: &Inputs| {
            let answers = run(sampler, inputs, |k, x| {
                // At the clean end a perfect network has no epsilon; it is asked at the level that it is told.
                let level = schedule().level(sampler.calls()[k].timestep as usize).unwrap();
                x.iter().map(|x| DATA.answer(Quantity::Epsilon, level, *x)).collect()
            });
            answers.last().to_vec()
        };
        deviation(&ask(&forward, &starting_with(ask(&back, &start()))), &start().initial)
    };
    let [coarse, fine] = [50, 500].map(apart);
    println!("inverted and back: {coarse:e}, {fine:e}");
    assert!(fine < 0.2 * coarse);
}

type Built<'a> = &'a dyn Fn(&Denoiser) -> Result<Sampler, SamplerError>;

#[test]
fn zero_terminal_snr() {
    let schedule = Schedule::scaled_linear(1000, 0.00085, 0.012).unwrap().zero_terminal_snr().unwrap();
    let timesteps = Spacing::Trailing.timesteps(1000, 8).unwrap();
    let grid = Grid::of_schedule(&schedule, &timesteps, NoiseLevel::CLEAN).unwrap();
    assert_eq!(grid.steps()[0].from.alpha(), 0.0);
    let solvers: [Built<'_>; 8] = [
        &|d| Sampler::new(&FirstOrder::ddim(0.0), &grid, d),
        &|d| Sampler::new(&FirstOrder::ddim(1.0), &grid, d),
        &|d| Sampler::new(&FirstOrder::ancestral(0.3), &grid, d),
        &|d| Sampler::new(&Ddpm::new(Variance::LearnedRange), &grid, d),
        &|d| Sampler::new(&DpmSolver::sde(3), &grid, d),
        &|d| Sampler::new(&UniPc::new(3), &grid, d),
        &|d| Sampler::new(&Heun, &grid, d),
        &|d| Sampler::new(&Consistency::lcm(), &grid, d),
    ];
    for (i, solver) in solvers.into_iter().enumerate() {
        let sampler = solver(&Denoiser::new(Quantity::V)).unwrap();
        if i != 3 {
            let run = sample(&sampler, Quantity::V, &start());
            assert!(run.last().iter().all(|x| x.abs() < 10.0), "{i}: {:?}", run.last());
        }
        let error = solver(&Denoiser::new(Quantity::Epsilon)).unwrap_err();
        assert!(matches!(error, SamplerError::Undefined { step: 0, .. }), "{i}: {error}");
        assert!(error.to_string().contains("zero terminal SNR"), "{error}");
    }
    // From pure noise the first x0 is all that counts.
    let sampler = Sampler::new(&FirstOrder::ddim(1.0), &grid, &Denoiser::new(Quantity::X0)).unwrap();
    let (row, to) = (sampler.calls()[0].row, grid.steps()[0].to);
    assert_eq!((row.x, row.p, row.z), (0.0, to.alpha(), to.sigma()));
}

#[test]
fn no_noise_after_the_last_step() {
    let schedule = schedule();
    let timesteps = Spacing::Leading { offset: 1 }.timesteps(1000, 10).unwrap();
    let grid = Grid::of_schedule(&schedule, &timesteps, NoiseLevel::CLEAN).unwrap();
    let every =
        [Variance::FixedSmall, Variance::FixedLarge, Variance::Learned, Variance::LearnedLog, Variance::LearnedRange];
    for variance in every {
        for (compat, draws) in [(Compat::None, false), (Compat::Diffusers, true)] {
            let sampler = Sampler::new(&Ddpm { variance, compat }, &grid, &Denoiser::new(Quantity::V)).unwrap();
            let rows: Vec<_> = sampler.calls().iter().map(|call| call.row).collect();
            assert_eq!(rows[9].draws(false), draws, "{variance:?}");
            assert!(rows.iter().all(|row| row.learned.iter().all(|number| number.is_finite())));
            assert_eq!(sampler.noises(), if draws { 10 } else { 9 });
        }
    }
    let large = Sampler::new(&Ddpm::new(Variance::FixedLarge), &grid, &Denoiser::new(Quantity::V)).unwrap();
    let alpha_bars = schedule.alphas_cumprod();
    let beta = 1.0 - alpha_bars[901] / alpha_bars[801];
    assert!((large.calls()[0].row.z - beta.sqrt()).abs() <= SAME);
}

#[test]
fn heun_is_the_mean_of_two_slopes() {
    // On variance-exploding levels, as the paper writes it.
    let list = [5.0, 2.0, 0.7];
    let grid = Grid::of_sigmas(Scale::Denoiser, &list, &list, 0.0).unwrap();
    let sampler = Sampler::new(&Heun, &grid, &Denoiser::new(Quantity::X0)).unwrap();
    assert_eq!(sampler.calls().iter().map(|call| call.timestep).collect::<Vec<_>>(), [5.0, 2.0, 2.0, 0.7, 0.7]);
    let found = sample(&sampler, Quantity::X0, &starting_with(vec![3.0]));
    let level = |sigma| NoiseLevel::variance_exploding(sigma).unwrap();
    let slope = |x: f64, sigma: f64| (x - DATA.x0(level(sigma), x)) / sigma;
    let mut x = 3.0;
    for pair in list.windows(2) {
        let (dt, first) = (pair[1] - pair[0], slope(x, pair[0]));
        x += dt * 0.5 * (first + slope(x + dt * first, pair[1]));
    }
    let last = DATA.x0(level(0.7), x);
    assert!((found.last()[0] - last).abs() <= SAME);
}

#[test]
fn edm_networks() {
    let list = sigmas::karras(8, 0.002, 80.0, 7.0).unwrap();
    let told: Vec<f64> = list.iter().map(|sigma| 0.25 * sigma.ln()).collect();
    let grid = Grid::of_sigmas(Scale::Edm { sigma_data: 0.5 }, &list, &told, 0.0).unwrap();
    let raw = Denoiser::new(Prediction::Edm { sigma_data: 0.5 });
    let sampler = Sampler::new(&DpmSolver::new(2), &grid, &raw).unwrap();
    let plain = Sampler::new(&DpmSolver::new(2), &grid, &Denoiser::new(Quantity::X0)).unwrap();
    let initial = start().initial.iter().map(|x| 80.0 * x).collect();
    let inputs = starting_with(initial);
    let clean = |k: usize, x: f64| DATA.x0(plain.calls()[k].level, x);
    let direct = run(&plain, &inputs, |k, x| x.iter().map(|x| clean(k, *x)).collect());
    // F = (D - c_skip*x)/c_out, the paper's equation 7.
    let network = run(&sampler, &inputs, |k, x| {
        let (sigma, whole) = (list[k], list[k] * list[k] + 0.25);
        assert!((sampler.calls()[k].input * whole.sqrt() - 1.0).abs() <= SAME);
        x.iter().map(|x| (clean(k, *x) - 0.25 / whole * x) / (sigma * 0.5 / whole.sqrt())).collect()
    });
    assert!(deviation(direct.last(), network.last()) <= 160.0 * SAME);
}

#[test]
fn clipping_and_the_two_epsilons() {
    let denoiser = Denoiser::new(Quantity::Epsilon).clipped(Clip::Range(0.5));
    let sampler = |estimate| {
        let solver = FirstOrder { estimate, ..FirstOrder::ddim(0.0) };
        Sampler::new(&solver, &grid(10), &denoiser).unwrap()
    };
    let [kept, derived] =
        [Estimate::Kept, Estimate::Rederived].map(|e| sample(&sampler(e), Quantity::Epsilon, &start()));
    let apart = kept.samples.iter().zip(&derived.samples).map(|(kept, derived)| deviation(kept, derived));
    assert!(apart.fold(0.0, f64::max) > 0.01);
    assert!(derived.x0.iter().flatten().all(|x| x.abs() <= 0.5));
    // Where nothing is clipped the row does not look at x0 at all.
    let open = Sampler::new(&FirstOrder::euler(), &grid(10), &Denoiser::new(Quantity::Epsilon)).unwrap();
    assert!(open.calls().iter().all(|call| call.row.clean == 0.0));
}

#[test]
fn churned_loops_say_which_noise_is_which() {
    let list = sigmas::karras(6, 0.03, 14.0, 7.0).unwrap();
    let grid = Grid::of_sigmas(Scale::VarianceExploding, &list, &list, 0.0).unwrap();
    let churn = Churn { least: 0.1, ..Churn::new(2.0) };
    let churned = grid.churned(&churn, |sigma| sigma).unwrap();
    for calls in [
        Sampler::new(&FirstOrder::euler(), &churned, &Denoiser::new(Quantity::Epsilon)).unwrap(),
        Sampler::new(&Heun, &churned, &Denoiser::new(Quantity::Epsilon)).unwrap(),
    ] {
        let gamma = 1.0 / 3.0;
        let added = |sigma: f64| sigma * ((1.0_f64 + gamma).powi(2) - 1.0).sqrt();
        assert!((calls.start()[1] - added(14.0)).abs() <= 14.0 * SAME);
        let drawn: Vec<usize> = calls.calls().iter().filter(|c| c.row.draws(false)).map(|c| c.noise).collect();
        let raised = list.iter().skip(1).filter(|&&sigma| sigma >= 0.1).count();
        assert_eq!(drawn, (1..=raised).collect::<Vec<_>>());
        assert!((calls.calls()[0].level.sigma() - 14.0 * (1.0 + gamma)).abs() <= 14.0 * SAME);
    }
    let preserving = Grid::of_sigmas(Scale::VariancePreserving, &list, &list, 0.0).unwrap();
    let error = preserving.churned(&churn, |sigma| sigma).unwrap_err();
    assert!(matches!(error, SamplerError::Unsupported { step: 0, .. }), "{error}");
}

#[test]
fn flow_times() {
    assert_eq!(flow::shifted(0.5, 1.0).unwrap(), 0.5);
    assert_eq!(flow::shifted(0.5, 3.0).unwrap(), 0.75);
    assert_eq!((flow::shifted(0.0, 7.0).unwrap(), flow::shifted(1.0, 7.0).unwrap()), (0.0, 1.0));
    let mu = |length| flow::dynamic_mu(length, (256.0, 0.5), (4096.0, 1.15)).unwrap();
    assert!((mu(256.0) - 0.5).abs() <= SAME && (mu(4096.0) - 1.15).abs() <= SAME);
    let list = flow::stretched(&flow::times(5, 1.0, 0.2).unwrap(), 0.1).unwrap();
    assert!((list[0] - 1.0).abs() <= SAME && (list[4] - 0.1).abs() <= SAME);
}

#[test]
fn what_is_refused() {
    let denoiser = Denoiser::new(Quantity::Epsilon);
    let of = |list: &[usize]| Grid::of_schedule(&schedule(), list, NoiseLevel::CLEAN);
    assert_eq!(of(&[]), Err(SamplerError::NoSteps));
    assert_eq!(of(&[9, 5, 5, 1]), Err(SamplerError::Duplicate { timestep: 5 }));
    assert_eq!(of(&[9, 5, 7, 1]), Err(SamplerError::Direction { step: 1 }));
    assert_eq!(
        of(&[1000]).unwrap_err().to_string(),
        "timestep 1000 is out of range: the schedule has 1000, numbered from 0"
    );
    for spacing in [Spacing::Leading { offset: 0 }, Spacing::Trailing, Spacing::Linspace] {
        assert_eq!(spacing.timesteps(10, 0), Err(SamplerError::NoSteps));
        assert_eq!(spacing.timesteps(10, 11), Err(SamplerError::TooManySteps { found: 11, available: 10 }));
        assert_eq!(spacing.timesteps(10, 10).unwrap().len(), 10);
        assert!(spacing.timesteps(usize::MAX, usize::MAX).is_err());
    }
    let offset = Spacing::Leading { offset: 1 };
    assert_eq!(offset.timesteps(1000, 1000), Err(SamplerError::Spacing { expected: 1000, found: 999 }));
    for order in [0, 4] {
        let expected = SamplerError::Order { solver: "UniPC", most: 3, found: order };
        assert_eq!(Sampler::new(&UniPc::new(order), &grid(5), &denoiser), Err(expected));
        assert!(Sampler::new(&DpmSolver::new(order), &grid(5), &denoiser).is_err());
    }
    for eta in [-0.1, 1.1, f64::NAN] {
        let error = Sampler::new(&FirstOrder::ddim(eta), &grid(5), &denoiser).unwrap_err();
        assert_eq!(error.to_string(), format!("eta must be within 0..=1, found {eta}"));
        assert!(Sampler::new(&DpmSolver { eta, ..DpmSolver::new(2) }, &grid(5), &denoiser).is_err());
    }
    let back = grid(5).reversed().unwrap();
    for error in [
        Sampler::new(&FirstOrder::ancestral(0.5), &back, &Denoiser::new(Quantity::V)).unwrap_err(),
        Sampler::new(&Ddpm::default(), &back, &denoiser).unwrap_err(),
        Sampler::new(&DpmSolver::sde(2), &back, &denoiser).unwrap_err(),
    ] {
        assert!(matches!(error, SamplerError::Unsupported { step: 0, .. }), "{error}");
    }
    let clipped = |clip| Sampler::new(&FirstOrder::euler(), &grid(5), &denoiser.clipped(clip));
    for clip in [Clip::Range(0.0), Clip::Range(f64::NAN), Clip::Quantile { ratio: 1.5, least: 1.0, most: 2.0 }] {
        assert!(matches!(clipped(clip), Err(SamplerError::Parameter { .. })), "{clip:?}");
    }
    let told = Grid::of_sigmas(Scale::Flow, &[0.9, 0.5], &[900.0], 0.0);
    assert_eq!(told, Err(SamplerError::Lengths { what: "timesteps", expected: 2, found: 1 }));
    assert!(Grid::of_sigmas(Scale::Flow, &[1.5], &[900.0], 0.0).is_err());
    assert!(Grid::of_sigmas(Scale::Flow, &[0.9, f64::NAN], &[900.0, 1.0], 0.0).is_err());
    for text in ["", "ddim", "ddim-3", "10,,3", "ten"] {
        assert!(text.parse::<Sections>().is_err(), "{text:?}");
    }
    for text in ["ddim999", "20,20", "0", "ddim0"] {
        assert!(text.parse::<Sections>().unwrap().timesteps(30).is_err(), "{text}");
    }
}

mod any_input {
    use super::*;
    use proptest::prelude::*;

    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => 0.0..1.0,
            2 => -1e3..1e3,
            1 => any::<f64>(),
            1 => prop::sample::select(vec![0.0, 1.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE, 1e300]),
        ]
    }

    fn quantity() -> impl Strategy<Value = Quantity> {
        prop::sample::select(Quantity::ALL.to_vec())
    }

    fn schedules() -> impl Strategy<Value = Schedule> {
        let betas = prop::collection::vec(prop_oneof![9 => 1e-6..0.5, 1 => Just(0.0), 1 => Just(1.0)], 1..40);
        betas.prop_map(|betas| Schedule::from_betas(&betas).unwrap())
    }

    fn levels() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(number(), 0..8)
    }

    /// Every solver at once; whatever it says must be finite or an error.
    fn check(grid: &Grid, denoiser: &Denoiser, eta: f64, order: usize) {
        let dpm = |kind| DpmSolver { kind, eta, lower_order_final: false, ..DpmSolver::new(order) };
        let uni = |kind| UniPc { kind, lower_order_final: false, ..UniPc::new(order) };
        let found = [
            Sampler::new(&FirstOrder::ddim(eta), grid, denoiser),
            Sampler::new(&FirstOrder::ancestral(eta), grid, denoiser),
            Sampler::new(&Ddpm::new(Variance::LearnedRange), grid, denoiser),
            Sampler::new(&Ddpm { variance: Variance::FixedLarge, compat: Compat::Diffusers }, grid, denoiser),
            Sampler::new(&Heun, grid, denoiser),
            Sampler::new(&dpm(DpmKind::Midpoint), grid, denoiser),
            Sampler::new(&dpm(DpmKind::Exact), grid, denoiser),
            Sampler::new(&uni(UniPcKind::Bh1), grid, denoiser),
            Sampler::new(&uni(UniPcKind::Bh2), grid, denoiser),
            Sampler::new(&Consistency::lcm(), grid, denoiser),
        ];
        for sampler in found.into_iter().flatten() {
            for (k, call) in sampler.calls().iter().enumerate() {
                let row = call.row;
                let numbers = [row.x, row.p, row.clean, row.z, row.x0[0], row.x0[1], row.learned[0], row.learned[1]];
                assert!(numbers.iter().chain(&row.history).all(|number| number.is_finite()), "{call:?}");
                assert!(row.depth() <= k && row.z >= 0.0, "{call:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn gives_finite_rows_on_schedules(
            schedule in schedules(),
            steps in 0_usize..45,
            spacing in prop::sample::select(vec![
                Spacing::Leading { offset: 0 }, Spacing::Leading { offset: 1 }, Spacing::Leading { offset: usize::MAX },
                Spacing::Trailing, Spacing::Linspace,
            ]),
            quantity in quantity(),
            eta in number(),
            order in 0_usize..5,
            stride in 0_usize..50,
        ) {
            let mut grids = Vec::new();
            for list in [spacing.timesteps(schedule.len(), steps), spacing.timesteps_before_zero(schedule.len(), steps)] {
                let Ok(list) = list else { continue };
                prop_assert_eq!(list.len(), steps);
                prop_assert!(list.windows(2).all(|pair| pair[0] > pair[1]) && list[0] < schedule.len());
                grids.extend(Grid::of_schedule(&schedule, &list, NoiseLevel::CLEAN));
                grids.extend(Grid::respaced(&schedule, &list, NoiseLevel::CLEAN));
                grids.extend(Grid::with_stride(&schedule, &list, stride, NoiseLevel::CLEAN));
            }
            grids.extend(grids.clone().iter().filter_map(|grid| grid.reversed().ok()));
            for grid in &grids {
                check(grid, &Denoiser::new(quantity), eta, order);
                check(grid, &Denoiser::new(quantity).clipped(Clip::Range(1.0)), eta, order);
            }
        }

        #[test]
        fn gives_finite_rows_on_sigmas(
            mut list in levels(),
            end in number(),
            sorted in any::<bool>(),
            data in number(),
            churn in [number(), number(), number(), number()],
            quantity in quantity(),
            eta in number(),
            order in 0_usize..5,
        ) {
            if sorted {
                list.sort_by(|a, b| b.total_cmp(a));
            }
            let scales = [
                Scale::VariancePreserving, Scale::VarianceExploding, Scale::Denoiser, Scale::Edm { sigma_data: data },
                Scale::Flow,
            ];
            let [amount, least, most, scale] = churn;
            for found in scales.map(|scale| Grid::of_sigmas(scale, &list, &list, end)).into_iter().flatten() {
                check(&found, &Denoiser::new(quantity), eta, order);
                check(&found, &Denoiser::new(Prediction::Edm { sigma_data: data }), eta, order);
                let churned = found.churned(&Churn { amount, least, most, scale }, |sigma| sigma);
                for grid in [churned, found.reversed()].iter().flatten() {
                    check(grid, &Denoiser::new(quantity), eta, order);
                }
            }
        }

        #[test]
        fn gives_falling_lists(n in 0_usize..60, a in number(), b in number(), c in number(), d in number()) {
            let lists = [
                sigmas::karras(n, a, b, c), sigmas::exponential(n, a, b), sigmas::polyexponential(n, a, b, c),
                sigmas::beta(n, a, b, c, d), sigmas::variance_preserving(n, a, b, c), flow::times(n, a, b),
            ];
            for list in lists.into_iter().flatten() {
                prop_assert!(list.len() == n && list.iter().all(|sigma| sigma.is_finite() && *sigma >= 0.0), "{:?}", list);
            }
            for value in [flow::shifted(a, b), flow::dynamic_mu(a, (b, c), (d, a))].into_iter().flatten() {
                prop_assert!(value.is_finite(), "{}", value);
            }
            let _ = flow::stretched(&[a, b], c);
        }

        #[test]
        fn tells_timesteps_within_the_schedule(schedule in schedules(), sigma in number()) {
            let table = schedule.sigma_table();
            let (place, last) = (table.timestep(sigma), (schedule.len() - 1) as f64);
            prop_assert!((0.0..=last).contains(&place), "{}", place);
            prop_assert!(table.at(sigma).is_finite() || sigma.is_nan());
        }

        #[test]
        fn reads_any_sections(text in ".{0,12}", counts in prop::collection::vec(0_usize..9, 0..5), t in 0_usize..60) {
            let _ = text.parse::<Sections>().map(|sections| sections.timesteps(t));
            if let Ok(list) = Sections::Counts(counts.clone()).timesteps(t) {
                prop_assert_eq!(list.len(), counts.iter().sum::<usize>());
                prop_assert!(list.windows(2).all(|pair| pair[0] > pair[1]) && list[0] < t);
            }
        }

        #[test]
        fn spaces_consistency_models(t in 0_usize..2000, original in 0_usize..100, strength in number(), n in 0_usize..60) {
            if let Ok(list) = consistency_timesteps(t, original, strength, n) {
                prop_assert!(list.len() == n && list.windows(2).all(|pair| pair[0] > pair[1]) && list[0] < t);
            }
        }
    }
}
