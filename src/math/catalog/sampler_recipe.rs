//! The facts from which a named sampler is built.
//!
//! Samplers differ in the scale of their samples, in the rule that places their steps, in the walk through the timesteps of
//! a schedule, in their solver, and in the options that they use.

use super::error::CatalogError;
use super::sampler_options::SamplerOptions;
use crate::math::model::Model;
use crate::math::placement::Placement;
use crate::math::sampler::grid::Scale;
use crate::math::sampler::solver::Solver;

/// The number of steps from which latent consistency models are distilled (Luo et al. 2023, arXiv 2310.04378).
pub(super) const ORIGINAL_STEPS: usize = 50;

/// A function that makes the solver of a sampler from options whose defaults are filled in.
type OfOptions = fn(&SamplerOptions) -> Result<Box<dyn Solver>, CatalogError>;

/// The same for a solver that needs levels of the model.
type OfModel = fn(&SamplerOptions, &Model) -> Result<Box<dyn Solver>, CatalogError>;

/// How a solver is made.
#[derive(Clone, Copy, Debug)]
enum MakeSolver {
    Options(OfOptions),
    Model(OfModel),
}

/// The facts from which a named sampler is built.
///
/// ```
/// use tweedie::math::catalog::{Entry, SamplerOptions, SamplerRecipe};
/// use tweedie::math::sampler::{Heun, Scale};
/// use tweedie::math::{Model, Placement, Spacing};
///
/// let trailing = Placement::Timesteps(Spacing::Trailing);
/// let recipe = SamplerRecipe::new(Scale::VariancePreserving, trailing, &[&["spacing"]], |_| Ok(Box::new(Heun)));
/// let entry = Entry::new("sampler", "heun-vp", &[], "Heun on levels of a schedule", &[], recipe);
/// let sampler = entry.build(&Model::named("sdxl")?, &SamplerOptions::steps(10))?;
/// assert_eq!(sampler.calls().len(), 19);
/// # Ok::<(), tweedie::math::catalog::CatalogError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SamplerRecipe {
    pub(super) scale: Scale,
    pub(super) placement: Placement,
    options: &'static [&'static [&'static str]],
    solver: MakeSolver,
    pub(super) walk: Walk,
}

/// The walk through the timesteps of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walk {
    /// Along the timesteps of the spacing.
    Plain,
    /// As `Plain`; in diffusers each step goes down by the stride, not to the next timestep of the list.
    Strided,
    /// As `Strided`, and the solver takes the first step twice, in diffusers from another level the second time.
    Twice,
    /// As `Strided`, with the first three steps in halves.
    Halved,
    /// Along the timesteps of the spacing, without timestep 0.
    BeforeZero,
    /// Along the timesteps from which a model was distilled.
    Distilled,
    /// In equal steps of a flow's time before its shift, with a shorter last step.
    ShortLast,
    /// From clean to noisy, told the noisier timestep of each step.
    Inverse,
    /// From clean to noisy, told the timestep of each level. The last step goes to pure noise.
    Reverse,
    /// From the least noise of training to the noisiest level of the spacing, told the timestep of each level.
    Rising,
}

impl SamplerRecipe {
    /// Creates the recipe of a sampler whose solver visits all timesteps of a placement. `options` are groups of names: the options
    /// that it uses besides [those of every sampler](Self::options).
    pub const fn new(
        scale: Scale,
        placement: Placement,
        options: &'static [&'static [&'static str]],
        solver: fn(&SamplerOptions) -> Result<Box<dyn Solver>, CatalogError>,
    ) -> Self {
        Self { scale, placement, options, solver: MakeSolver::Options(solver), walk: Walk::Plain }
    }

    /// The same for a solver that needs levels of the model.
    pub(super) const fn of_model(
        scale: Scale,
        placement: Placement,
        options: &'static [&'static [&'static str]],
        solver: OfModel,
    ) -> Self {
        Self { scale, placement, options, solver: MakeSolver::Model(solver), walk: Walk::Plain }
    }

    /// Makes the solver from options whose defaults are filled in.
    pub(super) fn solver(&self, options: &SamplerOptions, model: &Model) -> Result<Box<dyn Solver>, CatalogError> {
        match self.solver {
            MakeSolver::Options(solver) => solver(options),
            MakeSolver::Model(solver) => solver(options, model),
        }
    }

    pub(super) const fn walks(self, walk: Walk) -> Self {
        Self { walk, ..self }
    }

    /// True for a sampler that leads from a clean sample to noise.
    #[must_use]
    pub fn inverts(&self) -> bool {
        matches!(self.walk, Walk::Inverse | Walk::Reverse | Walk::Rising)
    }

    /// True for a sampler of networks that answer with several velocities; see [`Sampler::slices`](crate::Sampler::slices).
    #[must_use]
    pub fn is_sliced(&self) -> bool {
        self.walk == Walk::ShortLast
    }

    /// The scale of the samples if neither the options nor the model choose another.
    #[must_use]
    pub const fn scale(&self) -> Scale {
        self.scale
    }

    /// True for a sampler of rectified flow.
    #[must_use]
    pub fn is_flow(&self) -> bool {
        self.scale == Scale::Flow
    }

    /// The names of the options that it uses besides those of every sampler, which are `steps`, `timesteps`, `compat`, `strength`,
    /// `begin_index`, `end_index`, `clip` and `threshold`.
    pub fn options(&self) -> impl Iterator<Item = &'static str> + Clone + use<> {
        self.options.iter().copied().flatten().copied()
    }
}
