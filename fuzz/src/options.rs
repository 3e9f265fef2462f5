//! Options of samplers: any field, though most are left out.

use crate::numbers::{Count, Number, list};
use arbitrary::{Arbitrary, Result, Unstructured};
use tweedie::math::catalog::{Catalogue, ClassArguments, Make, SamplerOptions, SolverKind};
use tweedie::math::sampler::{Churn, Compat, Corrector, Form, PiFlow, Scale, ScoreRescaling, Variance};
use tweedie::math::{Placement, Sections};
use tweedie::table::Clip;

/// Options with anything in any field.
pub fn options(u: &mut Unstructured<'_>) -> Result<SamplerOptions> {
    let (mut steps, mut timesteps, mut sigma_list, mut times, mut sections) = (None, None, None, None, None);
    match u.int_in_range(0..=7)? {
        0 => timesteps = Some(list(u, 12)?),
        1 => sigma_list = Some(list(u, 12)?),
        2 => times = Some(list(u, 12)?),
        3 => sections = Some(sections_of(u)?),
        // Contradictions.
        4 => (steps, timesteps) = (Some(Count::arbitrary(u)?.0), Some(list(u, 3)?)),
        _ => steps = Some(Count::arbitrary(u)?.0),
    }
    // No `..`, so that a new field is fuzzed too.
    Ok(SamplerOptions {
        steps,
        timesteps,
        sigma_list,
        times,
        sections,
        strength: sometimes(u, number)?,
        begin_index: sometimes(u, count)?,
        end_index: sometimes(u, count)?,
        placement: sometimes(u, |u| named(u, &Placement::CATALOGUE))?.flatten(),
        offset: sometimes(u, count)?,
        sigma_min: sometimes(u, number)?,
        sigma_max: sometimes(u, number)?,
        rho: sometimes(u, number)?,
        ends_at_least_sigma: sometimes(u, flag)?,
        scale: sometimes(u, |u| named(u, &Scale::CATALOGUE))?.flatten(),
        clip: sometimes(u, clip)?,
        eta: sometimes(u, number)?,
        rederive_epsilon: u.ratio(1, 8)?,
        variance: sometimes(u, |u| named(u, &Variance::CATALOGUE))?.flatten(),
        order: sometimes(u, count)?,
        solver_kind: sometimes(u, |u| named(u, &SolverKind::CATALOGUE))?.flatten(),
        form: sometimes(u, |u| Ok(*u.choose(&[Form::X0, Form::Epsilon])?))?,
        lower_order_final: sometimes(u, flag)?,
        euler_at_final: sometimes(u, flag)?,
        corrector: sometimes(u, corrector)?,
        original_steps: sometimes(u, count)?,
        timestep_scaling: sometimes(u, number)?,
        stochastic: u.ratio(1, 8)?,
        shift: sometimes(u, number)?,
        mu: sometimes(u, number)?,
        tokens: sometimes(u, number)?,
        churn: sometimes(u, churn)?,
        corrector_order: sometimes(u, count)?,
        tau: sometimes(u, number)?,
        noise_scale: sometimes(u, number)?,
        jump_length: sometimes(u, count)?,
        jump_n_sample: sometimes(u, count)?,
        pi_flow: sometimes(u, pi_flow)?,
        score_rescaling: sometimes(u, score_rescaling)?,
        class: class(u)?,
        compat: *u.choose(&[Compat::Published, Compat::Diffusers])?,
    })
}

/// Gives a value now and then: few at a time, so that in most runs the options do not contradict each other.
fn sometimes<T>(u: &mut Unstructured<'_>, value: impl FnOnce(&mut Unstructured<'_>) -> Result<T>) -> Result<Option<T>> {
    if u.ratio(1, 8)? { Ok(Some(value(u)?)) } else { Ok(None) }
}

/// An entry of a catalogue with its defaults.
fn named<T>(u: &mut Unstructured<'_>, catalogue: &Catalogue<Make<T>>) -> Result<Option<T>> {
    Ok(u.choose(catalogue.entries)?.build(&[]).ok())
}

fn number(u: &mut Unstructured<'_>) -> Result<f64> {
    Ok(Number::arbitrary(u)?.0)
}

fn count(u: &mut Unstructured<'_>) -> Result<usize> {
    Ok(Count::arbitrary(u)?.0)
}

fn flag(u: &mut Unstructured<'_>) -> Result<bool> {
    u.arbitrary()
}

fn counts(u: &mut Unstructured<'_>) -> Result<Vec<usize>> {
    (0..u.int_in_range(0..=4)?).map(|_| count(u)).collect()
}

fn sections_of(u: &mut Unstructured<'_>) -> Result<Sections> {
    Ok(if u.arbitrary()? { Sections::Ddim(count(u)?) } else { Sections::Counts(counts(u)?) })
}

fn clip(u: &mut Unstructured<'_>) -> Result<Clip> {
    let [ratio, least, most] = [number(u)?, number(u)?, number(u)?];
    Ok(if u.arbitrary()? { Clip::Range(ratio) } else { Clip::Quantile { ratio, least, most } })
}

fn corrector(u: &mut Unstructured<'_>) -> Result<Corrector> {
    Ok(if u.arbitrary()? { Corrector::Off } else { Corrector::Except(counts(u)?) })
}

fn churn(u: &mut Unstructured<'_>) -> Result<Churn> {
    Ok(Churn { amount: number(u)?, least: number(u)?, most: number(u)?, scale: number(u)? })
}

fn pi_flow(u: &mut Unstructured<'_>) -> Result<PiFlow> {
    Ok(PiFlow {
        slices: count(u)?,
        shift: number(u)?,
        substeps: count(u)?,
        last_step: number(u)?,
        least_time: number(u)?,
    })
}

fn score_rescaling(u: &mut Unstructured<'_>) -> Result<ScoreRescaling> {
    Ok(ScoreRescaling {
        inverse_temperature: number(u)?,
        deviation: number(u)?,
        stochastic: [number(u)?, number(u)?],
        ..ScoreRescaling::default()
    })
}

fn class(u: &mut Unstructured<'_>) -> Result<ClassArguments> {
    Ok(ClassArguments {
        max_timesteps: sometimes(u, number)?,
        intermediate_timesteps: sometimes(u, number)?,
        stage_index: sometimes(u, count)?,
        amplify_first_chunk: u.ratio(1, 8)?,
        start_time: sometimes(u, number)?,
        sampling_eps: sometimes(u, number)?,
    })
}
