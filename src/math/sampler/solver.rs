//! The interface of solvers.

use super::call::Call;
use super::denoiser::Denoiser;
use super::grid::Grid;
use crate::math::error::sampler::SamplerError;
use crate::math::quantity::Quantity;
use crate::table::step::Deviation;

/// Whose numbers, where the well-known systems are not right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compat {
    /// The published formula.
    #[default]
    Published,
    /// What diffusers computes; each option says what differs.
    Diffusers,
}

/// What a solver makes of a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// The calls in order.
    pub calls: Vec<Call>,
    /// What the noise is multiplied with besides its coefficient.
    pub deviation: Deviation,
    /// What the rows call x0, and what is kept from call to call; see [`Sampler::keeps`].
    pub keeps: Quantity,
}

impl From<Vec<Call>> for Solution {
    fn from(calls: Vec<Call>) -> Self {
        Self { calls, deviation: Deviation::Fixed, keeps: Quantity::X0 }
    }
}

/// A way from noise to a sample: a function from levels to rows.
pub trait Solver {
    /// The calls and their rows. [`Sampler::new`] adds what is the same for every solver: the input scale of the next
    /// call, the noise of churning, and the check that all numbers are finite.
    ///
    /// # Errors
    /// [`SamplerError`], whichever applies.
    fn solve(&self, grid: &Grid, denoiser: &Denoiser) -> Result<Solution, SamplerError>;
}
