//! The entries of samplers that add noise in their own ways.

use super::options::{DISTILLED, FINAL, LEADING, LINSPACE, SECTIONS, SIGMAS, SPACED, eta};
use crate::math::catalog::entry::Entry;
use crate::math::catalog::error::CatalogError;
use crate::math::catalog::parameter::Parameter;
use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::catalog::sampler_recipe::{SamplerRecipe, Walk};
use crate::math::model::{Model, Told};
use crate::math::process::Process;
use crate::math::sampler::consistency::ConsistencyModel;
use crate::math::sampler::grid::Scale;
use crate::math::sampler::repaint::RePaint;
use crate::math::sampler::sa_solver::{SaSolver, Tau};
use crate::math::sampler::solver::{Compat, Solver};
use crate::math::sampler::tcd::Tcd;
use crate::math::schedule::MAX_STEPS;

pub(super) const CONSISTENCY: Entry<SamplerRecipe> = Entry::new(
    "sampler",
    "consistency",
    &["cm", "consistency-model"],
    "a consistency model on sigmas: x0, noised again (Song et al. 2023)",
    &[Parameter::new("s_noise", 1.0, [0.0, f64::INFINITY], "factor of the noise")],
    SamplerRecipe::of_model(
        Scale::VarianceExploding,
        LINSPACE,
        &[SPACED, SIGMAS, FINAL, &["s_noise"]],
        |options, model| {
            let edm = model.process() == Process::VarianceExploding && model.prediction().sigma_data().is_some();
            let least = if edm { model.schedule().sigma_ends()[0] } else { 0.0 };
            Ok(Box::new(ConsistencyModel { least, noise_scale: options.noise_scale.unwrap_or(1.0) }))
        },
    ),
);

pub(super) const TCD: Entry<SamplerRecipe> = Entry::new(
    "sampler",
    "tcd",
    &["trajectory-consistency"],
    "trajectory consistency: below the next level without noise, then noise (Zheng et al. 2024)",
    &[eta(0.3), DISTILLED],
    SamplerRecipe::of_model(
        Scale::VariancePreserving,
        LINSPACE,
        &[SECTIONS, FINAL, &["eta", "original_steps"]],
        |options, model| {
            let model = model.clone();
            let earlier = move |part, ratio| part_of_time(&model, part, ratio);
            Ok(Box::new(Tcd { gamma: options.eta.unwrap_or(0.3), earlier }))
        },
    )
    .walks(Walk::Distilled),
);

/// A time within this distance of a whole timestep is that timestep: it was computed through a logarithm.
const ROUNDING: f64 = 1e-6;

/// The ratio of noise to signal at a fraction of the time at which the ratio is `ratio`. Timesteps are whole, rounded down as in the
/// authors' code.
fn part_of_time(model: &Model, part: f64, ratio: f64) -> f64 {
    match model.process() {
        Process::Flow => {
            let time = part * (ratio / (1.0 + ratio));
            time / (1.0 - time)
        }
        Process::TrigFlow(data) => (part * ratio.atan2(data.value())).tan() * data.value(),
        _ => {
            let schedule = model.schedule();
            let place = schedule.timestep_of(ratio);
            let whole = if (place - place.round()).abs() < ROUNDING { place.round() } else { place };
            schedule.sigma_at((part * whole + ROUNDING).floor())
        }
    }
}

pub(super) const REPAINT: Entry<SamplerRecipe> = Entry::new(
    "sampler",
    "repaint",
    &[],
    "inpainting with jumps back to more noise (Lugmayr et al. 2022)",
    &[
        eta(1.0),
        Parameter::new("jump_length", 10.0, [1.0, MAX_STEPS as f64], "number of steps that a jump goes back").whole(),
        Parameter::new(
            "jump_n_sample",
            10.0,
            [1.0, MAX_STEPS as f64],
            "number of times that each level is reached from above",
        )
        .whole(),
    ],
    SamplerRecipe::of_model(
        Scale::VariancePreserving,
        LEADING,
        &[SECTIONS, SPACED, FINAL, &["eta", "jump_length", "jump_n_sample"]],
        |options, model| {
            let diffusers = (options.compat == Compat::Diffusers && model.told_number() == Told::Timestep)
                .then(|| model.schedule().clone());
            Ok(Box::new(RePaint {
                eta: options.eta.unwrap_or(1.0),
                jump_length: options.jump_length.unwrap_or(10),
                jump_n_sample: options.jump_n_sample.unwrap_or(10),
                diffusers,
            }))
        },
    ),
);

pub(super) const SA_SOLVER: Entry<SamplerRecipe> = Entry::new(
    "sampler",
    "sa-solver",
    &[],
    "a stochastic Adams predictor and corrector with one call a step (Xue et al. 2023)",
    &[
        Parameter::new("order", 2.0, [1.0, 4.0], "number of clean samples that the predictor uses").whole(),
        Parameter::new(
            "corrector_order",
            2.0,
            [0.0, 4.0],
            "number of clean samples that the corrector uses; 0 for no corrector",
        )
        .whole(),
        Parameter::new("tau", 1.0, [0.0, f64::INFINITY], "noise in the middle of the run; 1 for the posterior's"),
    ],
    SamplerRecipe::of_model(
        Scale::VariancePreserving,
        LINSPACE,
        &[SECTIONS, SPACED, SIGMAS, FINAL, &["order", "corrector_order", "tau", "form", "lower_order_final"]],
        sa_solver,
    )
    .walks(Walk::BeforeZero),
);

fn sa_solver(options: &SamplerOptions, model: &Model) -> Result<Box<dyn Solver>, CatalogError> {
    let usual = SaSolver::new(options.order.unwrap_or(2), options.corrector_order.unwrap_or(2));
    let tau = options.tau.unwrap_or(1.0);
    Ok(Box::new(SaSolver {
        form: options.form.unwrap_or(usual.form),
        tau: if model.told_number() == Told::Timestep || options.compat == Compat::Diffusers {
            Tau::AtTimesteps(tau)
        } else {
            Tau::AtTimes(tau)
        },
        lower_order_final: options.lower_order_final.unwrap_or(usual.lower_order_final),
        ..usual
    }))
}
