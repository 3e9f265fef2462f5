//! The variance of the reverse process: fixed or learned.

/// The variance of a reverse step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ModelVariance {
    /// The posterior's variance; at timestep 0 that of timestep 1.
    #[default]
    FixedSmall,
    /// `beta_t`; at timestep 0 the posterior's variance at timestep 1.
    FixedLarge,
    /// The exponential of the network's second output.
    Learned,
    /// The logarithm goes from that of the posterior's variance to that of `beta_t` as the network's second output goes from -1
    /// to 1 (Nichol & Dhariwal 2021, arXiv 2102.09672, eq. 15).
    LearnedRange,
}
