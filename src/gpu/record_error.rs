//! The errors of recordings. All of them are detected on the host, before anything is recorded.

/// A recording that cannot be made. Nothing has been recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The plan has one timestep for the batch and the recording names none.
    #[error("this plan takes one timestep for the whole batch: expected Recording::timestep(0..{rows}), found none")]
    TimestepMissing {
        /// Rows of the table.
        rows: u32,
    },
    /// The plan has one call for the batch and the recording names none.
    #[error("this plan takes one call for the whole batch: expected Recording::call(0..{calls}), found none")]
    CallMissing {
        /// The calls of the loop.
        calls: u32,
    },
    /// The plan takes no timestep and no call from the host, and the recording names one.
    #[error("this plan takes its timesteps or calls from a buffer: expected Recording::per_sample(), found {found}")]
    TimestepUnused {
        /// The timestep or call that was given.
        found: u32,
    },
    /// A timestep outside the table.
    #[error("expected a timestep in 0..{rows}, found {found}")]
    Timestep {
        /// Rows of the table.
        rows: u32,
        /// The timestep that was given.
        found: u32,
    },
    /// A call after the last one of the loop.
    #[error("expected a call in 0..{calls}, found {found}")]
    Call {
        /// The calls of the loop.
        calls: u32,
        /// The call that was given.
        found: u32,
    },
    /// A timestep at which the value does not exist, such as x0 from epsilon at alpha = 0.
    #[error("timestep {found} has no row: the requested quantity is undefined there")]
    Undefined {
        /// The timestep that was given.
        found: u32,
    },
    /// A noise step outside the plan's.
    #[error("expected a noise step in 0..{steps}, found {found}")]
    Step {
        /// The plan's noise steps.
        steps: u32,
        /// The step that was given.
        found: u32,
    },
    /// A distribution over another number of timesteps.
    #[error("expected a distribution over {expected} timesteps, found one over {found}")]
    Timesteps {
        /// The plan's timesteps.
        expected: usize,
        /// The timesteps of the distribution that was given.
        found: usize,
    },
    /// Ends of the ranges of timesteps that fall, exceed 2^32, or do not end there.
    #[error("expected ends that rise to 2^32, found {found} at timestep {timestep}")]
    Ends {
        /// The first timestep whose end is wrong.
        timestep: usize,
        /// Its end.
        found: u64,
    },
    /// A distribution for a plan that draws no timesteps.
    #[error("this plan draws no timesteps, so it has no distribution to set")]
    NoDraw,
    /// A key for a plan that draws no noise.
    #[error("this plan draws no noise, so it has no key to set")]
    NoNoise,
}
