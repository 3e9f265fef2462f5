//! Whatever the input, the result is an error or finite rows.

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

/// Checks that almost every solver returns an error or rows of finite numbers for a grid.
fn check(grid: &Grid, denoiser: &Denoiser, eta: f64, order: usize) {
    let grid = &grid.clone().with_clock(NoiseLevel::sigma);
    let dpm = |kind| DpmSolver { kind, eta, lower_order_final: false, ..DpmSolver::new(order) };
    let uni = |kind| UniPc { kind, lower_order_final: false, ..UniPc::new(order) };
    let compat = if eta > 0.5 { Compat::Diffusers } else { Compat::Published };
    let adams = |clock, warm_up| AdamsBashforth { clock, warm_up, compat, ..AdamsBashforth::ipndm(order) };
    let single = |kind| Singlestep { kind, eta, lower_order_final: false, ..Singlestep::new(order) };
    let found = [
        Sampler::new(&Dpm2::ancestral(eta), grid, denoiser),
        Sampler::new(&DpmSde::new(eta), grid, denoiser),
        Sampler::new(&single(DpmKind::Midpoint), grid, denoiser),
        Sampler::new(&single(DpmKind::Exact), grid, denoiser),
        Sampler::new(&FirstOrder::ddim(eta), grid, denoiser),
        Sampler::new(&FirstOrder::ancestral(eta), grid, denoiser),
        Sampler::new(&Ddpm::new(Variance::LearnedRange), grid, denoiser),
        Sampler::new(&Ddpm { compat: Compat::Diffusers, ..Ddpm::new(Variance::FixedLarge) }, grid, denoiser),
        Sampler::new(&Heun, grid, denoiser),
        Sampler::new(&dpm(DpmKind::Midpoint), grid, denoiser),
        Sampler::new(&dpm(DpmKind::Exact), grid, denoiser),
        Sampler::new(&uni(UniPcKind::Bh1), grid, denoiser),
        Sampler::new(&uni(UniPcKind::Bh2), grid, denoiser),
        Sampler::new(&Consistency::lcm(), grid, denoiser),
        Sampler::new(&adams(Clock::Steps, WarmUp::Twice), grid, denoiser),
        Sampler::new(&adams(Clock::Steps, WarmUp::RungeKutta), grid, denoiser),
        Sampler::new(&adams(Clock::Sigma, WarmUp::LowerOrders), grid, denoiser),
        Sampler::new(&adams(Clock::LogSigma, WarmUp::LowerOrders), grid, denoiser),
        Sampler::new(&Ancestral::new(eta), grid, denoiser),
        Sampler::new(&ScoreRescaling { inverse_temperature: 2.0, ..ScoreRescaling::default() }, grid, denoiser),
        Sampler::new(&PiFlow { substeps: 16, ..PiFlow::default() }, grid, denoiser),
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
        churn in [number(), number(), number(), number()],
        quantity in quantity(),
        eta in number(),
        order in 0_usize..5,
    ) {
        if sorted {
            list.sort_by(|a, b| b.total_cmp(a));
        }
        let scales = [
            Scale::VariancePreserving, Scale::VarianceExploding, Scale::Denoiser, Scale::Edm(SigmaData::KARRAS),
            Scale::Flow,
        ];
        let [amount, least, most, scale] = churn;
        for found in scales.map(|scale| Grid::of_sigmas(scale, &list, &list, end)).into_iter().flatten() {
            check(&found, &Denoiser::new(quantity), eta, order);
            check(&found, &Denoiser::new(Quantity::Edm(SigmaData::KARRAS)), eta, order);
            let churned = found.churned(&Churn { amount, least, most, scale }, |sigma| sigma);
            for grid in [churned, found.reversed()].iter().flatten() {
                check(grid, &Denoiser::new(quantity), eta, order);
            }
        }
    }

    #[test]
    fn gives_lists_of_finite_sigmas(n in 0_usize..60, a in number(), b in number(), c in number(), d in number()) {
        let lists = [
            sigmas::karras(n, a, b, c), sigmas::exponential(n, a, b), sigmas::polyexponential(n, a, b, c),
            sigmas::beta(n, a, b, c, d), sigmas::variance_preserving(n, a, b, c),
        ];
        for list in lists.into_iter().flatten() {
            prop_assert!(list.len() == n && list.iter().all(|sigma| sigma.is_finite() && *sigma >= 0.0), "{:?}", list);
        }
        for value in [flow::shifted(a, b), flow::dynamic_mu(a, (b, c), (d, a))].into_iter().flatten() {
            prop_assert!(value.is_finite(), "{}", value);
        }
    }

    #[test]
    fn tells_timesteps_within_the_schedule(schedule in schedules(), sigma in number()) {
        let table = &schedule;
        let (place, last) = (table.timestep_of(sigma), (schedule.len() - 1) as f64);
        prop_assert!((0.0..=last).contains(&place) || (sigma.is_nan() && place.is_nan()), "{}", place);
        prop_assert!(table.sigma_at(sigma).is_finite() || sigma.is_nan());
        prop_assert!(table.sigma_at(f64::NAN).is_nan() && table.timestep_of(f64::NAN).is_nan());
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
        if let Ok(list) = Spacing::distilled(t, original, strength, n) {
            prop_assert!(list.len() == n && list.windows(2).all(|pair| pair[0] > pair[1]) && list[0] < t);
        }
    }
}
