//! What the options of samplers do, and what is refused.

use super::*;
use crate::support::largest;

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
    // The corrector looks one call further back than the predictor.
    let uni = Sampler::new(&UniPc::new(3), &grid(6), &Denoiser::new(Quantity::V)).unwrap();
    assert_eq!(uni.calls().iter().map(|call| call.row.depth()).collect::<Vec<_>>(), [0, 1, 2, 3, 3, 0]);
    assert_eq!(uni.depth(), 3);
}

#[test]
fn solvers_in_epsilon() {
    let second = DpmSolver { form: Form::Epsilon, ..DpmSolver::new(2) };
    let sampler = Sampler::new(&second, &grid(5), &Denoiser::new(Quantity::Epsilon)).unwrap();
    assert_eq!(sampler.keeps(), Quantity::Epsilon);
    assert_eq!(sampler.calls()[2].row.x0, [0.0, 1.0, 0.0]);
    let clipped = Denoiser::new(Quantity::Epsilon).clipped(Clip::Range(1.0));
    // At the clean sample epsilon does not follow from x0.
    let back = Grid::of_sigmas(Scale::Denoiser, &[0.0, 1.0], &[0.0, 1.0], 2.0).unwrap();
    for error in [
        Sampler::new(&second, &back, &Denoiser::new(Quantity::Epsilon).clipped(Clip::Range(1.0))).unwrap_err(),
        Sampler::new(&DpmSolver { eta: 1.0, ..second }, &grid(5), &Denoiser::new(Quantity::V)).unwrap_err(),
    ] {
        assert!(matches!(error, SamplerError::Unsupported { .. }), "{error}");
    }
    let run = sample(&Sampler::new(&second, &grid(5), &clipped).unwrap(), Quantity::Epsilon, &start());
    assert!(run.x0.iter().flatten().all(|x| x.abs() <= 1.0));
}

#[test]
fn clipping_what_solvers_in_other_quantities_keep() {
    let rectified = Grid::of_sigmas(Scale::Flow, &[1.0, 0.9, 0.7, 0.4, 0.2, 0.1], &[0.0; 6], 0.0).unwrap();
    let adams = |warm_up| AdamsBashforth { warm_up, ..AdamsBashforth::pndm() };
    let epsilon = |order| UniPc { form: Form::Epsilon, ..UniPc::new(order) };
    let plain = Denoiser::new(Quantity::V);
    let check = |solver: &dyn Solver, grid: &Grid| {
        let free = Sampler::new(solver, grid, &plain).unwrap();
        // A range that clips nothing, one that clips, and none again.
        let wide = free.clone().clipped(1e9).unwrap();
        let narrow = wide.clone().clipped(0.4).unwrap();
        let runs = [&free, &wide, &narrow].map(|sampler| sample(sampler, Quantity::V, &start()));
        assert!(
            deviation(runs[0].last(), runs[1].last()) <= CLIPPED,
            "{:e}",
            deviation(runs[0].last(), runs[1].last())
        );
        assert!(deviation(runs[0].last(), runs[2].last()) > 0.01);
        assert!(runs[2].x0.iter().flatten().all(|x| x.abs() <= 0.4 + SAME));
        assert_eq!(narrow.with_clip(Clip::None).unwrap(), free);
    };
    for grid in [&grid(9), &fine_grid(9), &rectified] {
        check(&AdamsBashforth::lms(4), grid);
        check(&AdamsBashforth::ipndm(3), grid);
        check(&AdamsBashforth::deis(3), grid);
        check(&adams(WarmUp::Twice), grid);
        check(&adams(WarmUp::RungeKutta), grid);
    }
    check(&epsilon(3), &grid(9));
}

/// Coefficients up to the first sigma, 3000, cancel where x0 is written out.
const CLIPPED: f64 = 1e-8;

#[test]
fn consistency_models() {
    let list = Spacing::distilled(1000, 50, 1.0, 4).unwrap();
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
    // Without the scaling no step keeps any of its sample.
    let plain = Sampler::new(&Consistency::default(), &grid, &denoiser).unwrap();
    assert!(plain.calls().iter().all(|call| call.row.x == 0.0));
}

type Built<'a> = &'a dyn Fn(&Denoiser) -> Result<Sampler, SamplerError>;

#[test]
fn zero_terminal_snr() {
    let schedule = Schedule::scaled_linear(1000, 0.00085, 0.012).unwrap().zero_terminal_snr().unwrap();
    let timesteps = Spacing::Trailing.timesteps(1000, 8).unwrap();
    let grid = Grid::of_schedule(&schedule, &timesteps, NoiseLevel::CLEAN).unwrap();
    assert_eq!(grid.steps()[0].from.alpha(), 0.0);
    let solvers: [Built<'_>; 13] = [
        &|d| Sampler::new(&FirstOrder::ddim(0.0), &grid, d),
        &|d| Sampler::new(&FirstOrder::ddim(1.0), &grid, d),
        &|d| Sampler::new(&FirstOrder::ancestral(0.3), &grid, d),
        &|d| Sampler::new(&Ddpm::new(Variance::LearnedRange), &grid, d),
        &|d| Sampler::new(&DpmSolver::sde(3), &grid, d),
        &|d| Sampler::new(&UniPc::new(3), &grid, d),
        &|d| Sampler::new(&Heun, &grid, d),
        &|d| Sampler::new(&Consistency::lcm(), &grid, d),
        &|d| Sampler::new(&AdamsBashforth::pndm(), &grid, d),
        &|d| Sampler::new(&AdamsBashforth { warm_up: WarmUp::RungeKutta, ..AdamsBashforth::pndm() }, &grid, d),
        &|d| Sampler::new(&AdamsBashforth::lms(4), &grid, d),
        &|d| Sampler::new(&AdamsBashforth::ipndm(4), &grid, d),
        &|d| Sampler::new(&AdamsBashforth::deis(3), &grid, d),
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
    // At pure noise the first step keeps only x0.
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
        for (compat, draws) in [(Compat::Published, false), (Compat::Diffusers, true)] {
            let sampler =
                Sampler::new(&Ddpm { compat, ..Ddpm::new(variance) }, &grid, &Denoiser::new(Quantity::V)).unwrap();
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
fn clipping_and_the_two_epsilons() {
    let denoiser = Denoiser::new(Quantity::Epsilon).clipped(Clip::Range(0.5));
    let sampler = |rederived| {
        let solver = FirstOrder { rederived, ..FirstOrder::ddim(0.0) };
        Sampler::new(&solver, &grid(10), &denoiser).unwrap()
    };
    let [kept, derived] = [false, true].map(|e| sample(&sampler(e), Quantity::Epsilon, &start()));
    let apart = kept.samples.iter().zip(&derived.samples).map(|(kept, derived)| deviation(kept, derived));
    assert!(largest(apart) > 0.01);
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
    for order in [0, 5] {
        let expected = SamplerError::Order { solver: "an Adams-Bashforth method", most: 4, found: order };
        assert_eq!(Sampler::new(&AdamsBashforth::lms(order), &grid(5), &denoiser), Err(expected));
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
