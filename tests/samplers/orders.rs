//! How fast solvers converge, on data whose probability flow is known.

use super::*;

/// The relative difference of the variance of samples at the end from that of the data. The elements are the responses to the
/// initial sample and to each noise alone, so that the variance is the sum of their squares.
fn excess_variance(solver: &impl Solver, n: usize) -> f64 {
    excess_variance_on(&fine_grid(n), solver)
}

fn excess_variance_on(grid: &Grid, solver: &impl Solver) -> f64 {
    let n = grid.len();
    let sampler = Sampler::new(solver, grid, &Denoiser::new(Quantity::Epsilon)).unwrap();
    let (from, to) = (grid.steps()[0].from, grid.steps()[n - 1].to);
    let noises = sampler.calls().len();
    let unit = |j: usize| (0..=noises).map(|i| f64::from(u8::from(i == j))).collect::<Vec<_>>();
    let initial = unit(noises).iter().map(|x| x * DATA.variance(from).sqrt() + from.alpha() * DATA.mean).collect();
    let inputs = Inputs { batch: 1, initial, noises: (0..noises).map(unit).collect(), ..Inputs::default() };
    let run = sample(&sampler, Quantity::Epsilon, &inputs);
    let squares: f64 = run.last().iter().map(|x| (x - to.alpha() * DATA.mean).powi(2)).sum();
    (squares / DATA.variance(to) - 1.0).abs()
}

/// The fraction of the error that half the step leaves for a solver of this weak order, plus a tenth of it.
fn shrinks_to(order: i32) -> f64 {
    1.1 * 0.5_f64.powi(order)
}

#[test]
fn stochastic_samplers_converge_to_the_distribution() {
    // With earlier x0 the variance is right to second order; no published method has a higher order.
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
    let twice = |eta| move |n| excess_variance(&DpmSde::new(eta), n / 2);
    assert!(shrinks("DPM++ SDE 0.5", &twice(0.5)) < shrinks_to(2));
    assert!(shrinks("DPM++ SDE 1", &twice(1.0)) < shrinks_to(2));
    assert!(shrinks("DPM2 ancestral", &|n| excess_variance(&Dpm2::ancestral(1.0), n / 2)) < shrinks_to(1));
    // At order 3 the error changes sign near 100 steps.
    for (kind, order, finer) in
        [(DpmKind::Midpoint, 1, 1), (DpmKind::Midpoint, 2, 1), (DpmKind::Exact, 2, 1), (DpmKind::Exact, 3, 2)]
    {
        let solver = Singlestep { eta: 1.0, lower_order_final: false, kind, ..Singlestep::new(order) };
        let whole = |n: usize| finer * n / order * order;
        let found = shrinks(&format!("singlestep {kind:?} {order}"), &|n| excess_variance(&solver, whole(n)));
        assert!(found < shrinks_to(order.min(2) as i32), "{found}");
    }
    let wrong = DpmSolver { compat: Compat::Diffusers, ..sde(3, DpmKind::Midpoint) };
    let found = shrinks("diffusers 3", &|n| excess_variance(&wrong, n));
    assert!(found > shrinks_to(2), "diffusers' third-order SDE is better than of first order: {found}");
}

#[test]
fn stochastic_samplers_of_flows_converge_to_the_distribution() {
    let shrinks = |name: &str, solver: &dyn Fn(&Grid) -> f64| {
        let [coarse, fine] = [200, 400].map(|n| solver(&flow_grid(n)));
        println!("{name}: {coarse:.3e}, {fine:.3e}");
        fine / coarse
    };
    for eta in [0.5, 1.0] {
        let found = shrinks("ancestral", &|grid| excess_variance_on(grid, &Ancestral::new(eta)));
        assert!(found < shrinks_to(1), "{eta}: {found}");
    }
    for noise in [NoiseCourse::Reciprocal, NoiseCourse::Tangent] {
        let solver = ScoreRescaling { noise, stochastic: [0.0, 1.0], ..ScoreRescaling::default() };
        let found = shrinks("proteina", &|grid| excess_variance_on(grid, &solver));
        assert!(found < shrinks_to(1), "{noise:?}: {found}");
        // At a lower temperature there is less variance.
        let cold = ScoreRescaling { inverse_temperature: 4.0, deviation: DATA.spread, ..solver };
        assert!(excess_variance_on(&flow_grid(400), &cold) > 0.2);
    }
}

/// The weights of a policy converge with its sub-steps to the integral of its hat functions.
#[test]
fn a_policy_converges_with_its_substeps() {
    let grid = Grid::of_sigmas(Scale::Flow, &[0.9, 0.6], &[0.9, 0.6], 0.3).unwrap();
    let weights = |substeps| {
        let solver = PiFlow { slices: 5, substeps, ..PiFlow::default() };
        let sampler = Sampler::new(&solver, &grid, &Denoiser::new(Quantity::Flow)).unwrap();
        assert_eq!(sampler.slices(), 5);
        sampler.calls().iter().flat_map(|call| call.row.slices.map(|slice| slice * call.row.p)).collect::<Vec<f64>>()
    };
    let exact = weights(200_000);
    let [coarse, fine] = [200, 400].map(|substeps| deviation(&weights(substeps), &exact));
    let order = (coarse / fine).log2();
    assert!((order - 1.0).abs() < ORDER_MARGIN, "{coarse:e}, {fine:e}");
}

fn error_of(solver: &impl Solver, grid: &Grid) -> f64 {
    let sampler = Sampler::new(solver, grid, &Denoiser::new(Quantity::V)).unwrap();
    let run = sample(&sampler, Quantity::V, &start());
    let steps = grid.steps();
    let (from, to) = (steps[0].from, steps[steps.len() - 1].to);
    let exact: Vec<f64> = start().initial.iter().map(|&x| DATA.flows(from, to, x)).collect();
    deviation(run.last(), &exact)
}

/// The largest difference of a measured order from the true one at these step counts.
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
    assert_order("DPM2", &Dpm2::new(), 2.0);
    assert_order("DPM++ SDE without noise", &DpmSde::new(0.0), 2.0);
    let single = |order, kind| Singlestep { kind, lower_order_final: false, ..Singlestep::new(order) };
    assert_order("DPM++ 1S", &single(1, DpmKind::Midpoint), 1.0);
    assert_order("DPM++ 2S", &single(2, DpmKind::Midpoint), 2.0);
    assert_order("DPM++ 2S exact", &single(2, DpmKind::Exact), 2.0);
    assert_order_from(102, "DPM++ 3S", &single(3, DpmKind::Midpoint), 3.0);
    assert_order_from(102, "DPM++ 3S exact", &single(3, DpmKind::Exact), 3.0);
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
    let single = |order| Singlestep { form: Form::Epsilon, lower_order_final: false, ..Singlestep::new(order) };
    assert_order("DPM 2S", &single(2), 2.0);
    assert_order_from(402, "DPM 3S", &single(3), 3.0);
    // Its error changes sign near 150 steps.
    assert_order_from(400, "DPM 3M exact", &dpm(3, DpmKind::Exact), 3.0);
    for order in [1, 2, 3] {
        let uni = UniPc { form: Form::Epsilon, lower_order_final: false, ..UniPc::new(order) };
        assert_order(&format!("UniPC-{order}"), &uni, order as f64 + 1.0);
    }
}

/// `n` equal steps of sigma from 1 to 0.2, the first `halved` of them cut in half.
fn equal_grid(n: usize, halved: usize) -> Grid {
    let place = |i: usize| if i < 2 * halved { i as f64 / 2.0 } else { (i - halved) as f64 };
    let list: Vec<f64> = (0..=n + halved).map(|i| 1.0 - 0.8 * place(i) / n as f64).collect();
    let (end, list) = list.split_last().unwrap();
    Grid::of_sigmas(Scale::Denoiser, list, list, *end).unwrap()
}

#[track_caller]
fn assert_order_on(grids: [Grid; 2], name: &str, solver: &impl Solver, order: f64) {
    let [coarse, fine] = grids.map(|grid| error_of(solver, &grid));
    let found = (coarse / fine).log2();
    println!("{name}: errors {coarse:.3e}, {fine:.3e}, order {found:.3}");
    assert!((found - order).abs() < ORDER_MARGIN, "{name}: order {found}, expected {order}");
}

#[test]
fn orders_of_adams_bashforth() {
    for order in 1..=4 {
        assert_order(&format!("LMS {order}"), &AdamsBashforth::lms(order), order as f64);
        let deis = AdamsBashforth { lower_order_final: false, ..AdamsBashforth::deis(order) };
        assert_order_from(400, &format!("DEIS {order}"), &deis, order as f64);
    }
    // Fixed weights are of second order where steps are not equal in sigma.
    for order in 2..=4 {
        assert_order(&format!("iPNDM {order}"), &AdamsBashforth::ipndm(order), 2.0);
    }
    assert_order("PNDM", &AdamsBashforth::pndm(), 2.0);
    // Where they are, the order is that of the first steps.
    let grids = |halved: usize| [100, 200].map(|n| equal_grid(n, halved));
    let runge_kutta = AdamsBashforth { warm_up: WarmUp::RungeKutta, ..AdamsBashforth::pndm() };
    assert_order_on(grids(0), "iPNDM on equal steps", &AdamsBashforth::ipndm(4), 2.0);
    assert_order_on(grids(0), "PNDM on equal steps", &AdamsBashforth::pndm(), 3.0);
    assert_order_on(grids(3), "PNDM with Runge-Kutta on equal steps", &runge_kutta, 4.0);
}

#[test]
fn orders_of_sa_solver() {
    let ode = |predictor, corrector| SaSolver {
        tau: Tau::Everywhere(0.0),
        lower_order_final: false,
        ..SaSolver::new(predictor, corrector)
    };
    for order in 1..=4 {
        assert_order(&format!("SA {order}, 0"), &ode(order, 0), order as f64);
    }
    assert_order("SA 2, 2", &ode(2, 2), 2.0);
    for order in 1..=3 {
        assert_order(&format!("SA {order}, {}", order + 1), &ode(order, order + 1), order as f64 + 1.0);
        let noise = SaSolver { form: Form::Epsilon, ..ode(order, order + 1) };
        assert_order(&format!("SA in epsilon {order}, {}", order + 1), &noise, order as f64 + 1.0);
    }
    for tau in [0.5, 1.0, 1.4] {
        for (predictor, corrector, order) in [(1, 0, 1), (2, 0, 2), (2, 2, 2), (3, 3, 2)] {
            let sde = SaSolver { tau: Tau::Everywhere(tau), ..ode(predictor, corrector) };
            let [coarse, fine] = [100, 200].map(|n| excess_variance(&sde, n));
            println!("SA {predictor}, {corrector}, tau {tau}: {coarse:.3e}, {fine:.3e}");
            assert!(fine / coarse < shrinks_to(order), "{}", fine / coarse);
        }
    }
}
