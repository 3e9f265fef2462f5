//! Grids of arbitrary levels, and every solver on them.

use crate::numbers::{Count, Number, list};
use crate::options::options;
use crate::schedules::schedule;
use arbitrary::{Arbitrary, Result, Unstructured};
use tweedie::math::Placement;
use tweedie::math::catalog::SamplerOptions;
use tweedie::math::sampler::{
    Churn, Compat, Consistency, Ddpm, Denoiser, DpmKind, DpmSolver, FirstOrder, Form, Grid, Heun, Scale, Solver, UniPc,
    UniPcKind, Variance,
};
use tweedie::math::{Model, NoiseLevel, Quantity, Sampler, Schedule, Sections, SigmaData, Spacing, flow};
use tweedie::table::Clip;

pub fn run(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let _ = lists(&mut u).and_then(|()| samplers(&mut u)).and_then(|()| named(&mut u)).and_then(|()| any(&mut u));
}

/// Asserts that every number of a sampler is finite, and that no row looks back beyond the beginning.
pub fn assert_sound(sampler: &Sampler) {
    for (k, call) in sampler.calls().iter().enumerate() {
        let row = call.row;
        let known = [row.guidance, row.learned, row.known].concat();
        let numbers = [row.x, row.p, row.clean, row.z, row.input, call.input];
        let all = numbers.iter().chain(&row.x0).chain(&row.history).chain(&known);
        assert!(all.into_iter().all(|number| number.is_finite()), "{call:?}");
        assert!(row.depth() <= k && row.z >= 0.0 && !call.timestep.is_nan(), "{call:?}");
    }
    let _ = (sampler.noises(), sampler.depth(), sampler.noise_scale());
}

fn lists(u: &mut Unstructured<'_>) -> Result<()> {
    let n = Count::arbitrary(u)?.0;
    let [a, b, c, d]: [Number; 4] = u.arbitrary()?;
    let (a, b, c, d) = (a.0, b.0, c.0, d.0);
    let mut numbers = [c, d, a].into_iter().cycle();
    let placed = u.choose(Placement::CATALOGUE.entries)?.build_unchecked(|_| numbers.next().unwrap_or(0.0));
    let (Ok(placement), Ok(schedule)) = (placed, Schedule::cosine(10)) else { return Ok(()) };
    if let Ok(list) = placement.sigmas(&schedule, n, [a, b]) {
        assert!(list.iter().all(|sigma| sigma.is_finite()), "{list:?}");
    }
    for value in [flow::shifted(a, b), flow::dynamic_mu(a, (b, c), (d, a))].into_iter().flatten() {
        assert!(value.is_finite());
    }
    let t = Count::arbitrary(u)?.0;
    if let Ok(list) = Spacing::distilled(t, n, a, Count::arbitrary(u)?.0) {
        assert!(list.windows(2).all(|pair| pair[0] > pair[1]) && list[0] < t);
    }
    let text: &str = u.arbitrary()?;
    if let Ok(Ok(list)) = text.parse::<Sections>().map(|sections| sections.timesteps(t)) {
        assert!(list.windows(2).all(|pair| pair[0] > pair[1]) && list[0] < t);
    }
    Ok(())
}

/// A sampler of the catalogue, with arbitrary options that its entry uses.
fn named(u: &mut Unstructured<'_>) -> Result<()> {
    let Ok(schedule) = schedule(u)? else { return Ok(()) };
    let entry = u.choose(Sampler::CATALOGUE.entries)?;
    let mut options = SamplerOptions::steps(Count::arbitrary(u)?.0);
    for parameter in entry.parameters {
        options.set(parameter.name, Number::arbitrary(u)?.0);
    }
    let uses = |name: &str| entry.make.options().any(|option| option == name);
    let placement = u.choose(Placement::CATALOGUE.entries)?.build(&[]).ok();
    let fits = |it: &Placement| uses(if matches!(it, Placement::Timesteps(_)) { "spacing" } else { "sigmas" });
    options.placement = placement.filter(fits);
    let model = entry.usual_model(schedule, Some(*u.choose(&Quantity::ALL)?), None);
    options.compat = *u.choose(&[Compat::Published, Compat::Diffusers])?;
    if let Ok(sampler) = entry.build(&model, &options) {
        assert_sound(&sampler);
    }
    Ok(())
}

/// A sampler of the catalogue on a published model, with options of any kind.
fn any(u: &mut Unstructured<'_>) -> Result<()> {
    let (entry, model) = (u.choose(Sampler::CATALOGUE.entries)?, u.choose(Model::CATALOGUE.entries)?);
    let Ok(model) = model.build(&[]) else { return Ok(()) };
    if let Ok(sampler) = entry.build(&model, &options(u)?) {
        assert_sound(&sampler);
    }
    Ok(())
}

fn samplers(u: &mut Unstructured<'_>) -> Result<()> {
    let Some(mut grid) = grid(u)? else { return Ok(()) };
    if u.arbitrary()? {
        let Ok(back) = grid.reversed() else { return Ok(()) };
        grid = back;
    }
    let [a, b, c, d]: [Number; 4] = u.arbitrary()?;
    let churn = Churn { amount: a.0, least: b.0, most: c.0, scale: d.0 };
    if u.arbitrary()? {
        let Ok(churned) = grid.churned(&churn, |sigma| sigma) else { return Ok(()) };
        grid = churned;
    }
    let edm = SigmaData::new(a.0).map_or(Quantity::V, Quantity::Edm);
    let prediction = *u.choose(&[Quantity::ALL.as_slice(), &[edm]].concat())?;
    let clip = match u.int_in_range(0..=2)? {
        0 => Clip::None,
        1 => Clip::Range(b.0),
        _ => Clip::Quantile { ratio: b.0, least: c.0, most: d.0 },
    };
    let denoiser = Denoiser { prediction, factor: if u.arbitrary()? { -1.0 } else { 1.0 }, clip };
    let solver = solver(u, a.0, b.0, churn)?;
    if let Ok(sampler) = Sampler::new(&*solver, &grid, &denoiser) {
        assert_eq!(sampler.calls().is_empty(), grid.is_empty());
        assert_sound(&sampler);
    }
    Ok(())
}

fn grid(u: &mut Unstructured<'_>) -> Result<Option<Grid>> {
    if u.arbitrary()? {
        let scales = [Scale::VariancePreserving, Scale::VarianceExploding, Scale::Denoiser, Scale::Flow];
        let edm = SigmaData::new(Number::arbitrary(u)?.0).map_or(Scale::Edm(SigmaData::KARRAS), Scale::Edm);
        let scale = *u.choose(&[scales.as_slice(), &[edm]].concat())?;
        let mut sigmas = list(u, 12)?;
        if u.arbitrary()? {
            sigmas.sort_by(|a, b| b.total_cmp(a));
        }
        let timesteps = if u.arbitrary()? { sigmas.clone() } else { list(u, 12)? };
        return Ok(Grid::of_sigmas(scale, &sigmas, &timesteps, Number::arbitrary(u)?.0).ok());
    }
    let Ok(schedule) = schedule(u)? else { return Ok(None) };
    let offset = Count::arbitrary(u)?.0;
    let spacing = *u.choose(&[Spacing::Leading { offset }, Spacing::Trailing, Spacing::Linspace])?;
    let steps = Count::arbitrary(u)?.0;
    let list = match u.int_in_range(0..=3)? {
        0 => spacing.timesteps(schedule.len(), steps).ok(),
        1 => spacing.timesteps_before_zero(schedule.len(), steps).ok(),
        2 => spacing.positions(schedule.len(), steps).ok().map(|list| list.iter().map(|t| *t as usize).collect()),
        _ => Some((0..u.int_in_range(0..=12)?).map(|_| Ok(Count::arbitrary(u)?.0)).collect::<Result<_>>()?),
    };
    let Some(list) = list else { return Ok(None) };
    let end = schedule.levels()[0];
    let end = *u.choose(&[NoiseLevel::CLEAN, end])?;
    Ok(match u.int_in_range(0..=2)? {
        0 => Grid::of_schedule(&schedule, &list, end),
        1 => Grid::respaced(&schedule, &list, end),
        _ => Grid::with_stride(&schedule, &list, Count::arbitrary(u)?.0, end),
    }
    .ok())
}

fn solver(u: &mut Unstructured<'_>, eta: f64, scale: f64, churn: Churn) -> Result<Box<dyn Solver>> {
    let compat = *u.choose(&[Compat::Published, Compat::Diffusers])?;
    let form = *u.choose(&[Form::X0, Form::Epsilon])?;
    let order = Count::arbitrary(u)?.0;
    let variances =
        [Variance::FixedSmall, Variance::FixedLarge, Variance::LearnedLog, Variance::Learned, Variance::LearnedRange];
    let variance = *u.choose(&variances)?;
    Ok(match u.int_in_range(0..=6)? {
        0 => Box::new(FirstOrder { eta, rederived: u.arbitrary()?, noise_scale: scale }),
        1 => Box::new(Ddpm { compat, ..Ddpm::new(variance) }),
        2 => Box::new(Heun),
        3 => Box::new(DpmSolver {
            order,
            kind: *u.choose(&[DpmKind::Midpoint, DpmKind::Heun, DpmKind::Exact])?,
            form,
            eta,
            noise_scale: scale,
            lower_order_final: u.arbitrary()?,
            euler_at_final: u.arbitrary()?,
            compat,
        }),
        4 => Box::new(UniPc {
            kind: *u.choose(&[UniPcKind::Bh1, UniPcKind::Bh2])?,
            form,
            lower_order_final: u.arbitrary()?,
            ..UniPc::new(order)
        }),
        5 => Box::new(Consistency { timestep_scaling: Some(eta) }),
        _ => Box::new(churn.unseen()),
    })
}
