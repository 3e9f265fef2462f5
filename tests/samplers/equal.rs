//! Solvers that are the same on paper give the same numbers.

use super::*;
use tweedie::math::Call;

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
    assert_same(&FirstOrder::ancestral(0.6), &Ancestral::new(0.6), 12);
}

/// Without noise, and at the temperature of the data, solvers of flows are Euler's method.
#[test]
fn solvers_of_flows_are_euler() {
    let none = ScoreRescaling { stochastic: [1.0, 0.0], ..ScoreRescaling::default() };
    let policy = PiFlow { slices: 2, substeps: 1, last_step: 1.0, least_time: 1e-9, shift: 1.0 };
    for n in [1, 12] {
        let of = |solver: &dyn Solver| Sampler::new(solver, &flow_grid(n), &Denoiser::new(Quantity::Flow)).unwrap();
        let euler = of(&FirstOrder::euler());
        let run = |sampler: &Sampler| sample(sampler, Quantity::Flow, &start()).last().to_vec();
        for solver in [&none as &dyn Solver, &Ancestral::new(0.0)] {
            assert!(deviation(&run(&of(solver)), &run(&euler)) < SAME);
        }
        // Equal velocities lead straight to the end of the step.
        for (pi, euler) in of(&policy).calls().iter().zip(euler.calls()) {
            let whole: f64 = pi.row.slices.iter().sum();
            assert!((whole - 1.0).abs() < SAME && (pi.row.p - euler.row.p).abs() < SAME, "{pi:?}");
        }
    }
}

#[test]
fn first_orders_are_ddim() {
    assert_same(&FirstOrder::ddim(0.0), &FirstOrder::euler(), 12);
    assert_same(&FirstOrder::ddim(0.0), &DpmSolver::new(1), 12);
    assert_same(&FirstOrder::ddim(1.0), &DpmSolver::sde(1), 12);
    assert_same(&FirstOrder::ddim(0.0), &without_corrector(1), 12);
    // In epsilon too, also to a clean sample.
    assert_same(&FirstOrder::ddim(0.0), &DpmSolver { form: Form::Epsilon, ..DpmSolver::new(1) }, 12);
    assert_same(&FirstOrder::ddim(0.0), &UniPc { form: Form::Epsilon, ..without_corrector(1) }, 12);
    for order in [2, 3] {
        assert_same(&FirstOrder::ddim(0.0), &DpmSolver::new(order), 1);
        assert_same(&FirstOrder::ddim(0.0), &UniPc::new(order), 1);
    }
}

#[test]
fn unipc_without_its_corrector_is_the_exact_multistep_method() {
    // At order 2 with B(h) = exp(h) - 1 it is the midpoint method.
    let full = |order, kind| DpmSolver { kind, lower_order_final: false, ..DpmSolver::new(order) };
    let predictor = |order| UniPc { lower_order_final: false, ..without_corrector(order) };
    assert_same(&full(2, DpmKind::Midpoint), &predictor(2), 12);
    for k in 0..12 {
        let [dpm, uni] = rows(&full(3, DpmKind::Exact), &predictor(3));
        let same = |a: f64, b: f64| (a - b).abs() <= SAME;
        // At the second call there are two x0, for which DPM-Solver is exact and UniPC is the midpoint method.
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
    let (table, told) = (schedule().sigmas(), timesteps.iter().map(|&t| t as f64).collect::<Vec<_>>());
    let list: Vec<f64> = timesteps.iter().map(|&t| table[t]).collect();
    let exploding = Grid::of_sigmas(Scale::VarianceExploding, &list, &told, 0.0).unwrap();
    for eta in [0.0, 0.7, 1.0] {
        for quantity in [Quantity::Epsilon, Quantity::V] {
            let denoiser = Denoiser::new(quantity);
            let ddim = Sampler::new(&FirstOrder::ddim(eta), &grid(10), &denoiser).unwrap();
            let euler = Sampler::new(&FirstOrder::ancestral(eta), &exploding, &denoiser).unwrap();
            let scale = 1f64.hypot(list[0]);
            let initial = start().initial.iter().map(|x| x * scale).collect();
            let [ddim, euler] = [sample(&ddim, quantity, &start()), sample(&euler, quantity, &starting_with(initial))];
            // The exploding sample starts at values of about 160.
            assert!(deviation(ddim.last(), euler.last()) <= 160.0 * SAME);
        }
    }
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

#[test]
fn heun_is_the_mean_of_two_slopes() {
    // Of (x - D)/sigma, on variance-exploding levels and in the time of a flow.
    for (scale, list) in [(Scale::Denoiser, [5.0, 2.0, 0.7]), (Scale::Flow, [0.95, 0.6, 0.2])] {
        let grid = Grid::of_sigmas(scale, &list, &list, 0.0).unwrap();
        let sampler = Sampler::new(&Heun, &grid, &Denoiser::new(Quantity::X0)).unwrap();
        let told: Vec<f64> = sampler.timesteps().collect();
        assert_eq!(told, [list[0], list[1], list[1], list[2], list[2]]);
        let found = sample(&sampler, Quantity::X0, &starting_with(vec![3.0]));
        let clean = |x: f64, sigma: f64| DATA.x0(scale.level(sigma).unwrap(), x);
        let slope = |x: f64, sigma: f64| (x - clean(x, sigma)) / sigma;
        let mut x = 3.0;
        for pair in list.windows(2) {
            let (dt, first) = (pair[1] - pair[0], slope(x, pair[0]));
            x += dt * 0.5 * (first + slope(x + dt * first, pair[1]));
        }
        assert!((found.last()[0] - clean(x, list[2])).abs() <= SAME);
    }
}

#[test]
fn edm_networks() {
    let list = sigmas::karras(8, 0.002, 80.0, 7.0).unwrap();
    let told: Vec<f64> = list.iter().map(|sigma| 0.25 * sigma.ln()).collect();
    let grid = Grid::of_sigmas(Scale::Edm(SigmaData::KARRAS), &list, &told, 0.0).unwrap();
    let raw = Denoiser::new(Quantity::Edm(SigmaData::KARRAS));
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

/// The largest difference of coefficients of two samplers.
fn apart(one: &Sampler, other: &Sampler) -> f64 {
    assert_eq!(one.calls().len(), other.calls().len());
    let numbers = |sampler: &Sampler| -> Vec<f64> {
        sampler
            .calls()
            .iter()
            .flat_map(|Call { row, .. }| [&[row.x, row.p, row.clean][..], &row.history].concat())
            .collect()
    };
    deviation(&numbers(one), &numbers(other))
}

#[test]
fn members_of_the_adams_bashforth_family_meet() {
    let denoiser = Denoiser::new(Quantity::V);
    let of = |solver: &dyn Solver, grid: &Grid| Sampler::new(solver, grid, &denoiser).unwrap();
    // DEIS is the DPM-Solver of exact integrals in epsilon.
    for order in 1..=3 {
        let dpm = DpmSolver { form: Form::Epsilon, kind: DpmKind::Exact, ..DpmSolver::new(order) };
        for n in [5, 20] {
            assert!(apart(&of(&AdamsBashforth::deis(order), &fine_grid(n)), &of(&dpm, &fine_grid(n))) <= 3000.0 * SAME);
        }
    }
    // On equal steps the weights are those of every textbook, in sigma and in the time of a flow.
    for scale in [Scale::Denoiser, Scale::Flow] {
        let list = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4];
        let grid = Grid::of_sigmas(scale, &list, &list, 0.3).unwrap();
        let fixed = of(&AdamsBashforth::ipndm(4), &grid);
        assert!(apart(&of(&AdamsBashforth::lms(4), &grid), &fixed) <= SAME);
        let row = fixed.calls()[5].row;
        for (found, expected) in row.history.iter().zip([59.0, -37.0, 9.0]) {
            assert!((found - 0.1 * expected / 24.0).abs() <= SAME, "{found}");
        }
    }
    // At first order all are DDIM.
    for solver in [AdamsBashforth::lms(1), AdamsBashforth::ipndm(1), AdamsBashforth::deis(1)] {
        let found = sample(&of(&solver, &grid(6)), Quantity::V, &start());
        let ddim = sample(&of(&FirstOrder::ddim(0.0), &grid(6)), Quantity::V, &start());
        assert!(deviation(found.last(), ddim.last()) <= 100.0 * SAME);
    }
}

#[test]
fn pndm_takes_its_first_step_twice() {
    let sampler = Sampler::new(&AdamsBashforth::pndm(), &grid(5), &Denoiser::new(Quantity::Epsilon)).unwrap();
    assert!(sampler.timesteps().eq([999.0, 799.0, 799.0, 599.0, 399.0, 199.0]));
    let run = sample(&sampler, Quantity::Epsilon, &start());
    let levels: Vec<NoiseLevel> = sampler.calls().iter().map(|call| call.level).collect();
    let epsilon = |k: usize, i: usize| DATA.answer(Quantity::Epsilon, levels[k], run.samples[k][i]);
    let transfer = |from: NoiseLevel, to: NoiseLevel, x: f64, e: f64| {
        to.alpha() * (x - from.sigma() * e) / from.alpha() + to.sigma() * e
    };
    for (i, &x) in start().initial.iter().enumerate() {
        let mean = 0.5 * (epsilon(0, i) + epsilon(1, i));
        assert!((run.samples[2][i] - transfer(levels[0], levels[1], x, mean)).abs() <= 100.0 * SAME);
        // What the second call said is not used again.
        let third = 1.5 * epsilon(2, i) - 0.5 * epsilon(0, i);
        assert!((run.samples[3][i] - transfer(levels[2], levels[3], run.samples[2][i], third)).abs() <= 100.0 * SAME);
    }
}
