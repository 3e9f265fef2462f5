//! What can be wrong with a schedule, a noise level, a name or a conversion: small enums, "expected, found".

use crate::math::Quantity;
use thiserror::Error;

/// Why a schedule, or a table of it, cannot be built.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// A schedule needs at least one timestep.
    #[error("a schedule needs at least 1 timestep, found 0")]
    Empty,
    /// More timesteps than [`MAX_STEPS`](crate::math::MAX_STEPS).
    #[error("a schedule has at most {limit} timesteps, found {found}")]
    TooLong {
        /// The timesteps asked for.
        found: usize,
        /// The most that are accepted.
        limit: usize,
    },
    /// A beta that is no variance of a forward step.
    #[error("beta must be within 0..=1, found {value} at timestep {index}")]
    Beta {
        /// The timestep.
        index: usize,
        /// What stands there, or what the recipe yields there.
        value: f64,
    },
    /// An `alphas_cumprod` that is no fraction of signal.
    #[error("alphas_cumprod must be within 0..=1, found {value} at timestep {index}")]
    AlphasCumprod {
        /// The timestep.
        index: usize,
        /// What stands there.
        value: f64,
    },
    /// An end of the beta range that is not a variance.
    #[error("{name} must be within 0..=1, found {value}")]
    Endpoint {
        /// `beta_start` or `beta_end`.
        name: &'static str,
        /// What was given.
        value: f64,
    },
    /// A parameter that has to be finite and above zero.
    #[error("{name} must be finite and above 0, found {value}")]
    ParamNotPositive {
        /// The parameter.
        name: &'static str,
        /// What was given.
        value: f64,
    },
    /// Two ends of a range that leave nothing between them, or are not finite.
    #[error("{name} needs a finite range with two different ends in order, found {start} to {end}")]
    Range {
        /// What the range is of.
        name: &'static str,
        /// Its first end.
        start: f64,
        /// Its last end.
        end: f64,
    },
    /// A pair that is no noise level.
    #[error("a noise level needs finite alpha >= 0 and sigma >= 0, not both 0; found alpha = {alpha}, sigma = {sigma}")]
    Level {
        /// The signal's coefficient.
        alpha: f64,
        /// The noise's coefficient.
        sigma: f64,
    },
    /// A rectified flow's time outside its range.
    #[error("a rectified flow's time must be within 0..=1, found {value}")]
    Time {
        /// What was given.
        value: f64,
    },
    /// A timestep that the schedule does not have.
    #[error("timestep {found} is out of range: the schedule has {steps}, numbered from 0")]
    Timestep {
        /// The timestep asked for.
        found: usize,
        /// How many there are.
        steps: usize,
    },
    /// A posterior asked from a timestep to one that is not cleaner in the order of the schedule.
    #[error("a posterior leads to an earlier timestep, found {from} to {to}")]
    Order {
        /// The timestep of the observation.
        from: usize,
        /// The timestep asked for.
        to: usize,
    },
    /// A posterior asked where the signal rises, so that no forward step leads there, or where levels are so extreme that its
    /// coefficients leave f64.
    #[error("no forward step leads to timestep {timestep}: the signal rises there, or its levels are too extreme")]
    NotMarkov {
        /// The noisier timestep.
        timestep: usize,
    },
    /// The zero-terminal-SNR rescale divides by `sqrt(abar_0) - sqrt(abar_{T-1})`, or meets more noise than at the end.
    #[error(
        "no zero-terminal-SNR rescale: sqrt(alphas_cumprod) goes from {first} to {last}, and must fall to its least value"
    )]
    NoRescale {
        /// `sqrt(abar_0)`.
        first: f64,
        /// `sqrt(abar_{T-1})`.
        last: f64,
    },
    /// Betas asked of a schedule that has none (variance exploding, rectified flow, plain levels).
    #[error("this schedule has no betas: it is not variance preserving")]
    NoBetas,
}

/// A quantity that nothing determines at a noise level.
///
/// At `alpha = 0` (zero terminal SNR) the noisy sample is pure noise: epsilon says nothing about x0. At `sigma = 0` it is
/// the clean sample: x0 says nothing about epsilon. The same error reports coefficients beyond the range of f64.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{}", self.message())]
pub struct Undefined {
    /// What was asked for.
    pub wanted: Quantity,
    /// What is known beside the noisy sample; `None` if that is the pair (x0, epsilon) itself.
    pub given: Option<Quantity>,
    /// The signal's coefficient there.
    pub alpha: f64,
    /// The noise's coefficient there.
    pub sigma: f64,
    /// The first timestep of a table at which this happens; `None` for a single noise level.
    pub timestep: Option<usize>,
}

impl Undefined {
    /// The same, said of a timestep.
    #[must_use]
    pub fn at(self, timestep: usize) -> Self {
        Self { timestep: Some(timestep), ..self }
    }

    fn message(&self) -> String {
        let wanted = self.wanted;
        let what = match self.given {
            Some(given) => format!("{given} does not determine {wanted}"),
            None => format!("{wanted} does not exist"),
        };
        let place = match self.timestep {
            Some(timestep) => format!(" at timestep {timestep},"),
            None => String::new(),
        };
        format!("{what}{place} where {}", self.reason())
    }

    fn reason(&self) -> String {
        let Self { alpha, sigma, .. } = self;
        if *alpha == 0.0 {
            "alpha = 0 (zero terminal SNR)".to_owned()
        } else if *sigma == 0.0 {
            "sigma = 0 (no noise)".to_owned()
        } else {
            format!("alpha = {alpha:e}, sigma = {sigma:e}")
        }
    }
}

/// Why a posterior table cannot be built.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum RowError {
    /// The prediction does not determine x0.
    #[error(transparent)]
    Undefined(#[from] Undefined),
    /// There is no posterior.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

/// Why a list of timesteps or sigmas, a grid or a sampler cannot be built.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum SamplerError {
    /// A loop of no steps.
    #[error("a sampler needs at least 1 step, found 0")]
    NoSteps,
    /// More steps than there are timesteps to visit.
    #[error("expected at most {available} steps, as many as there are timesteps to visit; found {found}")]
    TooManySteps {
        /// The steps asked for.
        found: usize,
        /// The timesteps that there are.
        available: usize,
    },
    /// A list that comes out with another length than asked for.
    #[error("expected {expected} timesteps, found {found}: they cannot be spaced so")]
    Spacing {
        /// The timesteps asked for.
        expected: usize,
        /// What the rule gives.
        found: usize,
    },
    /// Two lists that belong together.
    #[error("expected as many {what} as sigmas, {expected}; found {found}")]
    Lengths {
        /// The other list.
        what: &'static str,
        /// The sigmas.
        expected: usize,
        /// The length of the other list.
        found: usize,
    },
    /// A timestep that stands in the list twice.
    #[error("timestep {timestep} stands twice in the list")]
    Duplicate {
        /// The timestep.
        timestep: usize,
    },
    /// Noise that does not change in one direction.
    #[error("the noise must fall from step to step (or rise throughout, to invert); it does not at step {step}")]
    Direction {
        /// The first step, from 0, that goes nowhere or back.
        step: usize,
    },
    /// A number outside its range.
    #[error("{name} must be {expected}, found {found}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What was given.
        found: f64,
    },
    /// An order that the solver does not have.
    #[error("{solver} has orders 1 to {most}, found {found}")]
    Order {
        /// The solver.
        solver: &'static str,
        /// Its highest order.
        most: usize,
        /// What was given.
        found: usize,
    },
    /// A combination that a solver cannot do.
    #[error("{solver} cannot {what}, as step {step} would need")]
    Unsupported {
        /// The solver.
        solver: &'static str,
        /// What it cannot do.
        what: &'static str,
        /// The first step at which it would have to.
        step: usize,
    },
    /// Sections of a respacing that cannot be read or do not fit.
    #[error("expected sections as \"10,15,20\" or \"ddim25\" that fit {timesteps} timesteps, found {found:?}")]
    Sections {
        /// What was given.
        found: String,
        /// The timesteps to choose from.
        timesteps: usize,
    },
    /// A coefficient beyond the range of f64.
    #[error("step {step} has the coefficient {value}: its levels are too extreme for this solver")]
    NotFinite {
        /// The call, from 0.
        step: usize,
        /// The coefficient.
        value: f64,
    },
    /// The network's prediction does not determine what the solver needs.
    #[error("step {step}: {source}")]
    Undefined {
        /// The first step, from 0, at which this happens.
        step: usize,
        /// What is not determined.
        source: Undefined,
    },
    /// A level or a schedule that does not exist.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

/// A name that is no quantity's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "unknown quantity {found:?}: expected x_t, x0 (sample, x_start), epsilon (eps, noise), v (v_prediction, velocity), \
     score, flow (flow_prediction, u) or edm (edm:SIGMA_DATA)"
)]
pub struct UnknownQuantity {
    /// What was given.
    pub found: String,
}

/// Why there is no weight for a loss.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum WeightError {
    /// A parameter outside its range.
    #[error("the weight {weight}: {name} must be {range}, found {value}")]
    Parameter {
        /// The weight.
        weight: &'static str,
        /// The parameter.
        name: &'static str,
        /// What is accepted.
        range: &'static str,
        /// What was given.
        value: f64,
    },
    /// A weight that grows beyond all bounds, or does not exist, at a timestep.
    #[error(
        "the weight {weight} of a loss on {on} has no finite value at timestep {timestep}, where alpha = {alpha:e}, \
         sigma = {sigma:e}"
    )]
    Infinite {
        /// The weight.
        weight: &'static str,
        /// What the loss is on.
        on: Quantity,
        /// The timestep.
        timestep: usize,
        /// The signal's coefficient there.
        alpha: f64,
        /// The noise's coefficient there.
        sigma: f64,
    },
    /// A table of weights that is not as long as the schedule.
    #[error("a table of weights needs one for each of {expected} timesteps, found {found}")]
    Length {
        /// The timesteps of the schedule.
        expected: usize,
        /// The weights given.
        found: usize,
    },
    /// An entry of a table of weights that is negative or not finite.
    #[error("a weight must be finite and at least 0, found {value} at timestep {timestep}")]
    Entry {
        /// The timestep.
        timestep: usize,
        /// What stands there.
        value: f64,
    },
    /// A timestep that the schedule does not have.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

/// Why there are no coefficients for a loss.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum LossError {
    /// What the network predicts does not determine what the loss is on, or that has no target.
    #[error(transparent)]
    Undefined(#[from] Undefined),
    /// The weight.
    #[error(transparent)]
    Weight(#[from] WeightError),
    /// A loss on the noisy sample.
    #[error("a loss on x_t says nothing about a prediction: the network is given x_t")]
    Observation,
}

/// Why timesteps or noise levels cannot be drawn.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum DrawError {
    /// A parameter outside its range.
    #[error("{name} must be {range}, found {value}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// What is accepted.
        range: &'static str,
        /// What was given.
        value: f64,
    },
    /// A probability that is negative or not finite.
    #[error("a probability must be finite and at least 0, found {value} at timestep {timestep}")]
    Probability {
        /// The timestep.
        timestep: usize,
        /// What stands there.
        value: f64,
    },
    /// No timestep has any probability.
    #[error("every timestep has probability 0")]
    Nothing,
    /// Noise levels that do not rise, so that there is no nearest one.
    #[error("the ratio of noise to signal must rise with the timestep, and does not at timestep {timestep}")]
    Order {
        /// The timestep that is not noisier than the one before.
        timestep: usize,
    },
    /// A loss that is not finite.
    #[error("a loss must be finite, found {value} at timestep {timestep}")]
    Loss {
        /// The timestep.
        timestep: usize,
        /// What was given.
        value: f64,
    },
    /// As many losses as timesteps are needed.
    #[error("expected {expected} losses, one for each timestep, found {found}")]
    Losses {
        /// The timesteps given.
        expected: usize,
        /// The losses given.
        found: usize,
    },
    /// The number of timesteps, or one of them.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

/// Why a term of the variational bound cannot be computed.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum BoundError {
    /// The prediction does not determine x0.
    #[error(transparent)]
    Undefined(#[from] Undefined),
    /// There is no posterior, or no such timestep.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// A fixed variance where one is to be learned.
    #[error("expected a variance that is learned, found {found:?}")]
    Fixed {
        /// What was given.
        found: crate::math::ModelVariance,
    },
    /// Tensors of one sample that differ in size.
    #[error("{name}: expected {expected} elements, as many as x0 has, found {found}")]
    Elements {
        /// The tensor.
        name: &'static str,
        /// The elements of x0.
        expected: usize,
        /// Its elements.
        found: usize,
    },
}
