//! The options of a named sampler, as plain data.

use super::entry::{Catalogue, Entry, Make};
use crate::math::placement::Placement;
use crate::math::sampler::churn::Churn;
use crate::math::sampler::ddpm::Variance;
use crate::math::sampler::dpm::DpmKind;
use crate::math::sampler::grid::Scale;
use crate::math::sampler::multistep::Form;
use crate::math::sampler::solver::Compat;
use crate::math::sampler::unipc::{Corrector, UniPcKind};
use crate::math::spacing::Sections;
use crate::table::step::Clip;

/// The options of a sampler. Those that are `None` follow from the sampler's entry; the ones that its entry does not use
/// must be `None`.
///
/// One of `steps`, `timesteps`, `sigma_list`, `times` and `sections` says how many steps there are.
///
/// ```
/// use tweedie::math::catalog::SamplerOptions;
/// use tweedie::math::{Model, Placement, Sampler};
///
/// let placement = Some(Placement::CATALOGUE.find("karras")?.build(&[])?);
/// let options = SamplerOptions { placement, order: Some(3), ..SamplerOptions::steps(12) };
/// let sampler = Sampler::CATALOGUE.find("dpm++")?.build(&Model::named("sdxl")?, &options)?;
/// assert_eq!((sampler.calls().len(), sampler.depth()), (12, 2));
/// # Ok::<(), tweedie::math::catalog::CatalogError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SamplerOptions {
    /// The number of steps.
    pub steps: Option<usize>,
    /// The timesteps to visit, from noisy to clean, instead of a number of steps.
    pub timesteps: Option<Vec<f64>>,
    /// The sigmas to visit, from noisy to clean, instead of a number of steps, in the sense of
    /// [`Model::scale`](crate::Model::scale). A last 0 is the clean sample, which is not visited. This is the option `sigmas`.
    pub sigma_list: Option<Vec<f64>>,
    /// The times of a flow to visit, from noisy to clean, instead of a number of steps; angles of TrigFlow. A last one that is
    /// clean is not visited.
    pub times: Option<Vec<f64>>,
    /// The timesteps as guided-diffusion chooses them, instead of a number of steps.
    pub sections: Option<Sections>,
    /// The part of the steps that is taken, in `0..=1`: `n*strength` of them, rounded down, from the noisy end of which a noised
    /// picture is the start (`strength` of image-to-image in diffusers). All of them if `None`.
    #[doc(alias = "img2img")]
    pub strength: Option<f64>,
    /// The first step that is taken, from 0 (`begin_index` of diffusers): a sample at its level is the start.
    pub begin_index: Option<usize>,
    /// The step before which the run ends, at its level.
    pub end_index: Option<usize>,
    /// The rule that places the steps. [`Placement::Timesteps`] is the option `spacing`, any other the option `sigmas`.
    pub placement: Option<Placement>,
    /// Added to each timestep of leading spacing.
    pub offset: Option<usize>,
    /// The least sigma of a placement by sigmas; the schedule's if `None`.
    pub sigma_min: Option<f64>,
    /// The largest sigma of a placement by sigmas; the schedule's if `None`.
    pub sigma_max: Option<f64>,
    /// The exponent of a placement that has one.
    pub rho: Option<f64>,
    /// The last step leads to the least noise that the network knows instead of the clean sample. This is the option
    /// `final`.
    pub ends_at_least_sigma: Option<bool>,
    /// The scale of the samples; that of the sampler, or of a model that is not variance preserving, if `None`.
    pub scale: Option<Scale>,
    /// The clipping of the clean sample. [`Clip::Range`] is the option `clip`, [`Clip::Quantile`] the option `threshold`.
    pub clip: Option<Clip>,
    /// The part of the posterior's noise that is drawn, in `0..=1`.
    pub eta: Option<f64>,
    /// Epsilon follows from the clipped clean sample.
    pub rederive_epsilon: bool,
    /// The variance of a DDPM step.
    pub variance: Option<Variance>,
    /// The order of a multistep solver.
    pub order: Option<usize>,
    /// The variant of a multistep solver. This is the option `solver_type`.
    pub solver_kind: Option<SolverKind>,
    /// The quantity that a multistep solver approximates by a polynomial.
    pub form: Option<Form>,
    /// With fewer than 15 steps, the last ones of a multistep solver are of lower order.
    pub lower_order_final: Option<bool>,
    /// The last step of a multistep solver is of first order.
    pub euler_at_final: Option<bool>,
    /// The steps that UniPC corrects.
    pub corrector: Option<Corrector>,
    /// The steps from which a consistency model was distilled.
    pub original_steps: Option<usize>,
    /// The factor of timesteps in the boundary scaling of a consistency model.
    pub timestep_scaling: Option<f64>,
    /// Each step of a flow noises the clean sample again (`stochastic_sampling`).
    pub stochastic: bool,
    /// The shift of a flow's times towards noise.
    pub shift: Option<f64>,
    /// The logarithm of the shift, which it overrides.
    pub mu: Option<f64>,
    /// The size of the image in tokens of the network, from which the shift of some models follows.
    pub tokens: Option<f64>,
    /// Noise that is added on the way. This is the option `s_churn`.
    pub churn: Option<Churn>,
    /// The system whose numbers are computed.
    pub compat: Compat,
}

/// A variant of a multistep solver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SolverKind {
    /// One of DPM-Solver++.
    Dpm(DpmKind),
    /// One of UniPC.
    UniPc(UniPcKind),
}

impl SamplerOptions {
    /// A number of steps, and nothing else.
    #[must_use]
    pub fn steps(steps: usize) -> Self {
        Self { steps: Some(steps), ..Self::default() }
    }

    /// Timesteps to visit, from noisy to clean, and nothing else.
    #[must_use]
    pub fn timesteps(timesteps: Vec<f64>) -> Self {
        Self { timesteps: Some(timesteps), ..Self::default() }
    }

    /// These options, and those of `defaults` where they say nothing about levels.
    #[cfg(feature = "diffusers-config")]
    pub(crate) fn placed_over(&self, defaults: &Self) -> Self {
        let run = self.clone();
        Self {
            steps: run.steps,
            timesteps: run.timesteps,
            sigma_list: run.sigma_list,
            times: run.times,
            sections: run.sections,
            strength: run.strength,
            begin_index: run.begin_index,
            end_index: run.end_index,
            placement: run.placement.or(defaults.placement),
            offset: run.offset,
            sigma_min: run.sigma_min.or(defaults.sigma_min),
            sigma_max: run.sigma_max.or(defaults.sigma_max),
            rho: run.rho.or(defaults.rho),
            ends_at_least_sigma: run.ends_at_least_sigma.or(defaults.ends_at_least_sigma),
            shift: run.shift.or(defaults.shift),
            eta: run.eta,
            rederive_epsilon: run.rederive_epsilon,
            churn: run.churn,
            original_steps: run.original_steps.or(defaults.original_steps),
            compat: run.compat,
            ..defaults.clone()
        }
    }

    /// The same with the formulas of diffusers.
    #[must_use]
    pub fn as_diffusers(self) -> Self {
        Self { compat: Compat::Diffusers, ..self }
    }

    /// Sets the option that a sampler's [`Parameter`](super::Parameter) names; false if there is no such option.
    ///
    /// ```
    /// use tweedie::math::Sampler;
    /// use tweedie::math::catalog::SamplerOptions;
    ///
    /// let mut options = SamplerOptions::steps(10);
    /// for parameter in Sampler::CATALOGUE.find("ddim")?.parameters {
    ///     assert!(options.set(parameter.name, parameter.max));
    /// }
    /// assert_eq!(options.eta, Some(1.0));
    /// # Ok::<(), tweedie::math::catalog::CatalogError>(())
    /// ```
    pub fn set(&mut self, name: &str, value: f64) -> bool {
        match name {
            "eta" => self.eta = Some(value),
            "order" => self.order = Some(value as usize),
            "original_steps" => self.original_steps = Some(value as usize),
            "shift" => self.shift = Some(value),
            "s_churn" => self.churn = Some(Churn::new(value)),
            _ => return false,
        }
        true
    }

    /// The names of all options besides `steps`, `timesteps` and `compat`.
    ///
    /// ```
    /// use tweedie::math::catalog::SamplerOptions;
    ///
    /// assert!(SamplerOptions::names().any(|name| name == "eta"));
    /// ```
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::default().named().into_iter().map(|(name, _)| name)
    }

    /// The names of the options that are given, besides `steps`, `timesteps` and `compat`.
    pub fn given(&self) -> impl Iterator<Item = &'static str> {
        self.named().into_iter().filter(|(_, given)| *given).map(|(name, _)| name)
    }

    /// Each option by name, and `true` if it is given.
    fn named(&self) -> [(&'static str, bool); 31] {
        let placed = self.placement.map(Placement::option);
        [
            ("spacing", placed == Some("spacing")),
            ("sigmas", placed == Some("sigmas") || self.sigma_list.is_some()),
            ("times", self.times.is_some()),
            ("sections", self.sections.is_some()),
            ("strength", self.strength.is_some()),
            ("begin_index", self.begin_index.is_some()),
            ("end_index", self.end_index.is_some()),
            ("offset", self.offset.is_some()),
            ("scale", self.scale.is_some()),
            ("sigma_min", self.sigma_min.is_some()),
            ("sigma_max", self.sigma_max.is_some()),
            ("rho", self.rho.is_some()),
            ("final", self.ends_at_least_sigma.is_some()),
            ("clip", matches!(self.clip, Some(Clip::Range(_)))),
            ("threshold", matches!(self.clip, Some(Clip::Quantile { .. }))),
            ("eta", self.eta.is_some()),
            ("rederive_epsilon", self.rederive_epsilon),
            ("variance", self.variance.is_some()),
            ("order", self.order.is_some()),
            ("solver_type", self.solver_kind.is_some()),
            ("form", self.form.is_some()),
            ("lower_order_final", self.lower_order_final.is_some()),
            ("euler_at_final", self.euler_at_final.is_some()),
            ("corrector", self.corrector.is_some()),
            ("timestep_scaling", self.timestep_scaling.is_some()),
            ("stochastic", self.stochastic),
            ("original_steps", self.original_steps.is_some()),
            ("shift", self.shift.is_some()),
            ("mu", self.mu.is_some()),
            ("tokens", self.tokens.is_some()),
            ("s_churn", self.churn.is_some()),
        ]
    }
}

impl Variance {
    /// Every variance of a DDPM step.
    pub const CATALOGUE: Catalogue<Make<Self>> = Catalogue { entries: VARIANCES };
}

const VARIANCES: &[Entry<Make<Variance>>] = &[
    Entry::new("variance", "fixed-small", &["fixed_small_log"], "the posterior's (Ho et al. 2020)", &[], |_| {
        Ok(Variance::FixedSmall)
    }),
    Entry::new("variance", "fixed-large", &["fixed_large_log"], "the forward step's (Ho et al. 2020)", &[], |_| {
        Ok(Variance::FixedLarge)
    }),
    Entry::new("variance", "learned", &[], "the network's second output", &[], |_| Ok(Variance::Learned)),
    Entry::new("variance", "learned-log", &[], "the network's second output is its logarithm", &[], |_| {
        Ok(Variance::LearnedLog)
    }),
    Entry::new(
        "variance",
        "learned-range",
        &[],
        "the network's second output interpolates the logarithms of small (-1) and large (1) (Nichol & Dhariwal 2021)",
        &[],
        |_| Ok(Variance::LearnedRange),
    ),
];

impl SolverKind {
    /// Every variant of a multistep solver.
    pub const CATALOGUE: Catalogue<Make<Self>> = Catalogue { entries: KINDS };

    /// Its name in the catalogue.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Dpm(DpmKind::Midpoint) => "midpoint",
            Self::Dpm(DpmKind::Heun) => "heun",
            Self::Dpm(DpmKind::Exact) => "exact",
            Self::UniPc(UniPcKind::Bh1) => "bh1",
            Self::UniPc(UniPcKind::Bh2) => "bh2",
        }
    }
}

const KINDS: &[Entry<Make<SolverKind>>] = &[
    Entry::new("solver type", "midpoint", &[], "dpm++: second order by the midpoint, as published", &[], |_| {
        Ok(SolverKind::Dpm(DpmKind::Midpoint))
    }),
    Entry::new("solver type", "heun", &[], "dpm++: the second order's integral exactly", &[], |_| {
        Ok(SolverKind::Dpm(DpmKind::Heun))
    }),
    Entry::new("solver type", "exact", &[], "dpm++: every integral exactly", &[], |_| {
        Ok(SolverKind::Dpm(DpmKind::Exact))
    }),
    Entry::new("solver type", "bh1", &[], "unipc: B(h) = h, for few steps of unguided models", &[], |_| {
        Ok(SolverKind::UniPc(UniPcKind::Bh1))
    }),
    Entry::new("solver type", "bh2", &[], "unipc: B(h) = exp(h) - 1", &[], |_| Ok(SolverKind::UniPc(UniPcKind::Bh2))),
];
