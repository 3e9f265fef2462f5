//! The rules in which the grids of diffusers' classes differ.
//!
//! A named sampler follows the default. The reader of configurations sets what a class does otherwise.

use crate::math::spacing::Spacing;

/// The rules of a class's grid. Each acts where the class's source, or with it the class in diffusers, does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct GridRules {
    /// The spacing, which the rule that places sigmas hides in the options.
    pub(crate) spacing: Option<Spacing>,
    /// The number of timesteps, the least noisy first, that may be visited (`lambda_min_clipped`).
    pub(crate) usable: Option<usize>,
    /// Sigmas lie between the ends of the list that the spacing gives, not those of training.
    pub(crate) between_listed: bool,
    /// A list of timesteps beside one of sigmas is what the network is told at these.
    pub(crate) told_listed: bool,
    /// In diffusers a run ends at the last of a list, which is not visited, and lists of a flow are not shifted.
    pub(crate) ends_listed: bool,
    /// The last sigma of a run that does not end at the clean sample.
    pub(crate) last: Last,
    /// The times of a flow, before they are shifted.
    pub(crate) times: Times,
    /// The sines of TrigFlow's angles are `sin(pi*s/2)^2` for even `s` (IPNDM of diffusers).
    pub(crate) sine_squared: bool,
    /// Sigmas that are placed for a flow are ratios of noise to signal, not times.
    pub(crate) ratios: bool,
    /// The time to which the last of a flow's is stretched (`shift_terminal`).
    pub(crate) terminal: Option<f64>,
    /// The shift follows from the size of the image: diffusers does not shift the ends of the list before the list.
    pub(crate) dynamic: bool,
    /// diffusers tells the network whole timesteps at sigmas.
    pub(crate) whole: Option<Whole>,
    /// diffusers reaches timesteps through sigmas, which are finite where there is no signal.
    pub(crate) finite: bool,
    /// The class visits the timesteps of DDIM, by the stride in diffusers, whatever its sampler does.
    pub(crate) strided: bool,
    /// diffusers places one sigma too many in equal steps of the logarithm, at timesteps of other sigmas.
    pub(crate) one_too_many: bool,
}

/// The last sigma.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Last {
    /// The least that was asked for, or that of training.
    #[default]
    Least,
    /// The last of the list: the step keeps its level.
    Listed,
    /// The same in diffusers, whatever the run asks for; else where the run ends.
    Twice,
    /// This one.
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
    /// One more from 1 to `1/T`, without the last.
    BeforeLast,
    /// One more from 1 to `1/T`, counted from data and without the first.
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
