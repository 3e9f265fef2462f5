//! The interface of solvers.

use super::call::Call;
use super::denoiser::Denoiser;
use super::grid::Grid;
use crate::math::error::sampler::SamplerError;
use crate::math::quantity::Quantity;
use crate::table::step::Deviation;

/// Whether to follow the paper or diffusers where their formulas differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compat {
    /// The published formula.
    #[default]
    Published,
    /// The formula of diffusers; the `compat` field of each solver says what differs.
    Diffusers,
}

/// The interval over which a solver treats the velocity of a flow as constant. A flow map predicts the mean velocity over it
/// (Geng et al. 2025, arXiv 2505.13447).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Interval {
    /// None: the solver uses the velocity at the level of the call.
    #[default]
    Point,
    /// The step of the call.
    Step,
    /// From the level of the call to the clean sample.
    Rest,
}

/// The rows that a solver computes for a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// The calls in order.
    pub calls: Vec<Call>,
    /// The factor of the noise in addition to its coefficient.
    pub deviation: Deviation,
    /// The quantity that takes the place of x0 and is remembered from call to call; see
    /// [`Sampler::keeps`](super::Sampler::keeps).
    pub keeps: Quantity,
    /// The noises that make up those of the rows, by call; see [`Sampler::noise_parts`](super::Sampler::noise_parts). Empty
    /// where every row draws its own.
    pub noise_parts: Vec<Vec<[f64; 2]>>,
}

impl From<Vec<Call>> for Solution {
    fn from(calls: Vec<Call>) -> Self {
        Self { calls, deviation: Deviation::Fixed, keeps: Quantity::X0, noise_parts: Vec::new() }
    }
}

/// A solver: a function from noise levels to rows of coefficients.
pub trait Solver {
    /// Computes the calls and their rows. [`Sampler::new`](super::Sampler::new) adds the parts that every solver
    /// shares: the input scale of the next call, the noise of churning, and the check that all numbers are finite.
    ///
    /// # Errors
    /// [`SamplerError`] for parameters out of range and for grids that the solver does not support.
    fn solve(&self, grid: &Grid, denoiser: &Denoiser) -> Result<Solution, SamplerError>;

    /// The interval over which a flow map is asked for its mean velocity.
    fn interval(&self) -> Interval {
        Interval::Point
    }
}
