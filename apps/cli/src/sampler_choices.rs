//! Values of the options of a sampler.

use clap::ValueEnum;

/// A system whose numbers are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum System {
    Diffusers,
}

/// Spacing of timesteps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SpacingName {
    Leading,
    Trailing,
    Linspace,
}

/// Scale of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScaleName {
    #[value(alias = "variance-preserving")]
    Vp,
    #[value(alias = "variance-exploding")]
    Ve,
    Flow,
}

/// End of the last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Final {
    Zero,
    #[value(alias = "sigma_min")]
    SigmaMin,
}

/// The variance of a step of DDPM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum VarianceName {
    #[value(alias = "fixed_small")]
    FixedSmall,
    #[value(alias = "fixed_large")]
    FixedLarge,
    /// The network's second output is the variance
    Learned,
    /// The network's second output is its logarithm
    LearnedLog,
    /// The network's second output interpolates the logarithms of small (-1) and large (1)
    #[value(alias = "learned_range")]
    LearnedRange,
}

/// A variant of a multistep solver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SolverType {
    Midpoint,
    Heun,
    /// dpm++: every integral exactly
    Exact,
    Bh1,
    Bh2,
}

/// Placement of sigmas between their ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Placement {
    Karras,
    Exponential,
    Polyexponential,
    Beta,
    /// Those of a continuous variance-preserving process, as k-diffusion's get_sigmas_vp
    Vp,
}
