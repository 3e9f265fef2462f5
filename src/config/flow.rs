//! `FlowMatchEulerDiscreteScheduler` and `FlowMatchHeunDiscreteScheduler`.

use super::common::{count_only, train_timesteps};
use super::error::ConfigError;
use super::options::{Options, refused};
use super::run::{Run, Steps};
use super::sigmas::Placement;
use crate::math::error::sampler::SamplerError;
use crate::math::flow;
use crate::math::quantity::Quantity;
use crate::math::sampler::Sampler;
use crate::math::sampler::consistency::Consistency;
use crate::math::sampler::denoiser::Denoiser;
use crate::math::sampler::first_order::FirstOrder;
use crate::math::sampler::grid::{Grid, Scale};
use crate::math::sampler::heun::Heun;

pub(super) fn build_euler(options: &mut Options, run: &Run) -> Result<Sampler, ConfigError> {
    let train = train_timesteps(options)?;
    let shift = Shift::read(options, run, "shift")?;
    let list = times(run, train, shift)?;
    let list = match options.number("shift_terminal", 0.0)? {
        0.0 => list,
        terminal => flow::stretched(&list, terminal)?,
    };
    let placement = Placement::read(options, false)?;
    let list = match &list[..] {
        [most, .., least] => placement.sigmas(list.len(), [*least, *most])?.unwrap_or(list),
        _ => list,
    };
    let inverted = options.flag("invert_sigmas", false)?;
    let stochastic = options.flag("stochastic_sampling", false)?;
    if inverted && stochastic {
        return Err(ConfigError::Contradiction { first: "invert_sigmas", second: "stochastic_sampling" });
    }
    let told: Vec<f64> = match &run.steps {
        Steps::Timesteps(given) if !inverted => given.clone(),
        _ => list.iter().map(|t| train as f64 * if inverted { 1.0 - t } else { *t }).collect(),
    };
    let grid = Grid::of_sigmas(Scale::Flow, &list, &told, 0.0)?;
    // With inverted sigmas the network's time runs from noise to data, and so does its velocity.
    let denoiser = Denoiser { negated: inverted, ..Denoiser::new(Quantity::Flow) };
    Ok(match stochastic {
        true => Sampler::new(&Consistency { boundary: None }, &grid, &denoiser)?,
        false => Sampler::new(&FirstOrder::euler(), &grid, &denoiser)?,
    })
}

pub(super) fn build_heun(options: &mut Options, run: &Run) -> Result<Sampler, ConfigError> {
    run.only(&[])?;
    count_only(run)?;
    let train = train_timesteps(options)?;
    let list = times(run, train, Shift::Fixed(options.number("shift", 1.0)?))?;
    let told: Vec<f64> = list.iter().map(|t| train as f64 * t).collect();
    let grid = Grid::of_sigmas(Scale::Flow, &list, &told, 0.0)?;
    Ok(Sampler::new(&Heun, &grid, &Denoiser::new(Quantity::Flow))?)
}

/// The shift of times towards noise.
#[derive(Clone, Copy)]
pub(super) enum Shift {
    /// By the model's own number.
    Fixed(f64),
    /// By one that follows from the size of the image.
    Dynamic(f64),
}

impl Shift {
    /// Reads it; `name` is the class's name for the fixed one.
    pub(super) fn read(options: &mut Options, run: &Run, name: &str) -> Result<Self, ConfigError> {
        let fixed = options.number(name, 1.0)?;
        let exponential = options.choice("time_shift_type", &[("exponential", true), ("linear", false)], true)?;
        if !options.flag("use_dynamic_shifting", false)? {
            run.only(&[])?;
            return Ok(Self::Fixed(fixed));
        }
        run.only(&["mu"])?;
        match run.mu {
            Some(mu) => Ok(Self::Dynamic(if exponential { mu.exp() } else { mu })),
            None => Err(refused("mu", "a number, since use_dynamic_shifting is on", "none")),
        }
    }

    /// A time, shifted.
    pub(super) fn of(self, t: f64) -> Result<f64, SamplerError> {
        let (Self::Fixed(shift) | Self::Dynamic(shift)) = self;
        flow::shifted(t, shift)
    }
}

/// The times of a run, shifted once. diffusers shifts the ends of a list by the fixed shift before it shifts the list.
fn times(run: &Run, train: usize, shift: Shift) -> Result<Vec<f64>, ConfigError> {
    let train = train as f64;
    let list = match &run.steps {
        Steps::Timesteps(list) => list.iter().map(|t| t / train).collect(),
        Steps::Count(steps) => match (shift, run.is_diffusers()) {
            (Shift::Fixed(_), true) => flow::times(*steps, shift.of(1.0)?, shift.of(1.0 / train)?)?,
            _ => flow::times(*steps, 1.0, 1.0 / train)?,
        },
    };
    // The network is told the times that the caller gives, without a shift.
    let shifts = run.is_diffusers() || matches!(run.steps, Steps::Count(_));
    let shifted = |t: f64| if shifts { shift.of(t) } else { Ok(t) };
    Ok(list.into_iter().map(shifted).collect::<Result<_, _>>()?)
}
