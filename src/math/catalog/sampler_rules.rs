//! The rules in which the grids of diffusers' classes differ.
//!
//! A named sampler follows the default. The reader of configurations sets what a class does differently.

use crate::math::spacing::Spacing;

/// The rules of a class's grid. Those that name diffusers apply only with [`Compat::Diffusers`](crate::math::sampler::Compat), the
/// others always.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct GridRules {
    /// The spacing of the class. The options have no field for it if they hold a rule that places sigmas.
    pub(crate) spacing: Option<Spacing>,
    /// The number of timesteps that may be visited, counted from the least noisy (`lambda_min_clipped`).
    pub(crate) usable: Option<usize>,
    /// Sigmas are placed between the ends of the list that the spacing gives, not between those of training.
    pub(crate) between_listed: bool,
    /// With a list of sigmas, a list of timesteps gives the numbers that the network is told at them.
    pub(crate) told_listed: bool,
    /// In diffusers a run ends at the last entry of a list, which is not visited, and lists of a flow are not shifted.
    pub(crate) ends_listed: bool,
    /// The last sigma of a run that does not end at the clean sample.
    pub(crate) last: Last,
    /// The times of a flow, before they are shifted.
    pub(crate) times: Times,
    /// The sines of TrigFlow's angles are `sin(pi*s/2)^2` for even `s` (IPNDM of diffusers).
    pub(crate) sine_squared: bool,
    /// Sigmas that are placed for a flow are ratios of noise to signal, not times.
    pub(crate) ratios: bool,
    /// The time to which the last time of a flow is stretched (`shift_terminal`).
    pub(crate) terminal: Option<f64>,
    /// The shift follows from the size of the image, so the ends of the list of times are not shifted before the list is.
    pub(crate) dynamic: bool,
    /// How diffusers rounds the timesteps that the network is told at sigmas.
    pub(crate) whole: Option<Whole>,
    /// diffusers computes the levels of timesteps from their sigmas, which are finite even where there is no signal.
    pub(crate) finite: bool,
    /// The class visits timesteps as DDIM does, in diffusers by the stride, whatever its sampler.
    pub(crate) strided: bool,
    /// diffusers places one sigma too many, in equal steps of the logarithm, and tells the network the timesteps of the spacing.
    pub(crate) one_too_many: bool,
}

/// The last sigma of a run that does not end at the clean sample.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Last {
    /// The least that was asked for, or that of training.
    #[default]
    Least,
    /// The last sigma of the list, so that the last step stays at its level.
    Listed,
    /// In diffusers the last sigma of the list, whatever the options; else as `Least`.
    Twice,
    /// This sigma.
    At(f64),
}

/// Equal times of a rectified flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Times {
    /// `1 - i/n`; from 1 to `1/T` in diffusers and where the model or the options place both ends.
    #[default]
    Usual,
    /// `1 - i/n` in diffusers too.
    Even,
    /// `n + 1` times from 1 to `1/T`, without the last.
    BeforeLast,
    /// `n + 1` times from 1 to `1/T`, without the first and counted from data: `1 - t`.
    FromData,
}

/// Rounding to whole timesteps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whole {
    /// To the nearest, halves to even.
    Nearest,
    /// Towards 0.
    Down,
}

impl Whole {
    pub(super) fn of(self, timestep: f64) -> f64 {
        match self {
            Self::Nearest => timestep.round_ties_even(),
            Self::Down => timestep.trunc(),
        }
    }
}
