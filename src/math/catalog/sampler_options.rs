//! The options of a named sampler, as plain data.

use super::entry::{Catalogue, Entry, Make};
use crate::math::placement::Placement;
use crate::math::sampler::churn::Churn;
use crate::math::sampler::ddpm::Variance;
use crate::math::sampler::dpm::DpmKind;
use crate::math::sampler::grid::Scale;
use crate::math::sampler::multistep::Form;
use crate::math::sampler::pi_flow::PiFlow;
use crate::math::sampler::score_rescaling::ScoreRescaling;
use crate::math::sampler::solver::Compat;
use crate::math::sampler::unipc::{Corrector, UniPcKind};
use crate::math::spacing::Sections;
use crate::table::step::Clip;

/// The options of a sampler. Options that are `None` follow from the sampler's entry; options that the entry does not use
/// must be `None`.
///
/// One of `steps`, `timesteps`, `sigma_list`, `times` and `sections` gives the number of steps.
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
    /// The sigmas to visit, from noisy to clean, instead of a number of steps, in the scale of
    /// [`Model::scale`](crate::Model::scale). A 0 at the end is the clean sample, which is not visited. This is the option `sigmas`.
    pub sigma_list: Option<Vec<f64>>,
    /// The times of a flow, or the angles of TrigFlow, to visit, from noisy to clean, instead of a number of steps. A clean one at
    /// the end is not visited.
    pub times: Option<Vec<f64>>,
    /// The timesteps as guided-diffusion chooses them, instead of a number of steps.
    pub sections: Option<Sections>,
    /// The fraction of the steps that is taken, in `0..=1`: the `n*strength` steps next to the clean sample, rounded down. Sampling
    /// starts at a picture noised to the first of their levels (`strength` of image-to-image in diffusers). All steps if `None`.
    #[doc(alias = "img2img")]
    pub strength: Option<f64>,
    /// The index of the first step that is taken (`begin_index` of diffusers); the run starts at a sample of its level.
    pub begin_index: Option<usize>,
    /// The index of the step before which the run ends, at the level of that step.
    pub end_index: Option<usize>,
    /// The rule that places the steps. [`Placement::Timesteps`] is the option `spacing`, any other the option `sigmas`.
    pub placement: Option<Placement>,
    /// The offset that is added to each timestep of leading spacing.
    pub offset: Option<usize>,
    /// The least sigma of a placement by sigmas; the schedule's if `None`.
    pub sigma_min: Option<f64>,
    /// The largest sigma of a placement by sigmas; the schedule's if `None`.
    pub sigma_max: Option<f64>,
    /// The exponent, for a placement that has one.
    pub rho: Option<f64>,
    /// True if the last step leads to the least noise that the network knows instead of the clean sample. This is the option
    /// `final`.
    pub ends_at_least_sigma: Option<bool>,
    /// The scale of the samples. If `None`, that of the model, or for a variance-preserving model that of the sampler.
    pub scale: Option<Scale>,
    /// The clipping of the clean sample. [`Clip::Range`] is the option `clip`, [`Clip::Quantile`] the option `threshold`.
    pub clip: Option<Clip>,
    /// The share of the posterior's noise that is drawn, in `0..=1`.
    pub eta: Option<f64>,
    /// True to compute epsilon again from the clipped clean sample.
    pub rederive_epsilon: bool,
    /// The variance of a DDPM step.
    pub variance: Option<Variance>,
    /// The order of a multistep solver.
    pub order: Option<usize>,
    /// The variant of a multistep solver. This is the option `solver_type`.
    pub solver_kind: Option<SolverKind>,
    /// The quantity that a multistep solver approximates by a polynomial.
    pub form: Option<Form>,
    /// True to lower the order of the last steps of a multistep solver in runs of fewer than 15 steps.
    pub lower_order_final: Option<bool>,
    /// True to take the last step of a multistep solver at first order.
    pub euler_at_final: Option<bool>,
    /// The number of clean samples that the corrector of SA-Solver uses, the new one among them; 0 for no corrector.
    pub corrector_order: Option<usize>,
    /// The noise of SA-Solver in the middle of a run, timesteps 200 to 800 or flow times 0.2 to 0.8; 1 for as much as the
    /// posterior's.
    pub tau: Option<f64>,
    /// The steps that UniPC corrects.
    pub corrector: Option<Corrector>,
    /// The number of steps from which a consistency model was distilled.
    pub original_steps: Option<usize>,
    /// The factor of timesteps in the boundary scaling of a consistency model.
    pub timestep_scaling: Option<f64>,
    /// The factor of the noise that is drawn (`s_noise`), usually 1.
    pub noise_scale: Option<f64>,
    /// The number of steps that a jump of RePaint goes back.
    pub jump_length: Option<usize>,
    /// The number of times that RePaint reaches each level from above.
    pub jump_n_sample: Option<usize>,
    /// True to noise the clean sample anew in each step of a flow (`stochastic_sampling` of diffusers).
    pub stochastic: bool,
    /// The shift of a flow's times towards noise.
    pub shift: Option<f64>,
    /// The logarithm of the shift; overrides `shift`.
    pub mu: Option<f64>,
    /// The size of the image in tokens of the network, from which the shift of some models follows.
    pub tokens: Option<f64>,
    /// The noise that is added before steps. This is the option `s_churn`.
    pub churn: Option<Churn>,
    /// The policy of pi-Flow; its shift is replaced by that of the times. This is the option `n_grid`.
    pub pi_flow: Option<PiFlow>,
    /// The temperature and the noise of a protein's flow. This is the option `tsr_k`.
    pub score_rescaling: Option<ScoreRescaling>,
    /// Arguments that only single classes of diffusers have.
    pub class: ClassArguments,
    /// The formulas to follow: the published ones or those of diffusers.
    pub compat: Compat,
}

/// Arguments of `set_timesteps` that only single classes of diffusers have. Named samplers use none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClassArguments {
    /// The first angle of SCM.
    pub max_timesteps: Option<f64>,
    /// The second of SCM's two angles; 0 for none, which makes two equal steps.
    pub intermediate_timesteps: Option<f64>,
    /// The stage of a staged run, from 0.
    pub stage_index: Option<usize>,
    /// True for a stage of twice as many steps (`is_amplify_first_chunk`).
    pub amplify_first_chunk: bool,
    /// The time of a protein's flow, in `0..1`, from which a run starts.
    pub start_time: Option<f64>,
    /// The last time that a score network is told.
    pub sampling_eps: Option<f64>,
}

impl ClassArguments {
    /// Each argument by name, and `true` if it is given.
    fn given(&self) -> [(&'static str, bool); 6] {
        [
            ("max_timesteps", self.max_timesteps.is_some()),
            ("intermediate_timesteps", self.intermediate_timesteps.is_some()),
            ("stage_index", self.stage_index.is_some()),
            ("is_amplify_first_chunk", self.amplify_first_chunk),
            ("start_time", self.start_time.is_some()),
            ("sampling_eps", self.sampling_eps.is_some()),
        ]
    }
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
    /// Options with a number of steps, and nothing else.
    #[must_use]
    pub fn steps(steps: usize) -> Self {
        Self { steps: Some(steps), ..Self::default() }
    }

    /// Options with the timesteps to visit, from noisy to clean, and nothing else.
    #[must_use]
    pub fn timesteps(timesteps: Vec<f64>) -> Self {
        Self { timesteps: Some(timesteps), ..Self::default() }
    }

    /// These options of a run over `defaults`, those of a file. Lists, counts and windows are the run's; of the other options here, the
    /// run's are used where it gives them. Everything else is the file's.
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
            eta: run.eta.or(defaults.eta),
            order: run.order.or(defaults.order),
            noise_scale: run.noise_scale.or(defaults.noise_scale),
            jump_length: run.jump_length.or(defaults.jump_length),
            jump_n_sample: run.jump_n_sample.or(defaults.jump_n_sample),
            tau: run.tau.or(defaults.tau),
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
            "corrector_order" => self.corrector_order = Some(value as usize),
            "tau" => self.tau = Some(value),
            "s_noise" => self.noise_scale = Some(value),
            "jump_length" => self.jump_length = Some(value as usize),
            "jump_n_sample" => self.jump_n_sample = Some(value as usize),
            "original_steps" => self.original_steps = Some(value as usize),
            "shift" => self.shift = Some(value),
            "s_churn" => self.churn = Some(Churn::new(value)),
            "n_grid" => self.pi_flow.get_or_insert_default().slices = value as usize,
            "tsr_k" => self.score_rescaling.get_or_insert_default().inverse_temperature = value,
            _ => return false,
        }
        true
    }

    /// The names of all options except `steps`, `timesteps`, `compat` and the [arguments of classes](ClassArguments).
    ///
    /// ```
    /// use tweedie::math::catalog::SamplerOptions;
    ///
    /// assert!(SamplerOptions::names().any(|name| name == "eta"));
    /// ```
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::default().named().into_iter().map(|(name, _)| name)
    }

    /// The names of the options that are given, except `steps`, `timesteps` and `compat`.
    pub fn given(&self) -> impl Iterator<Item = &'static str> {
        self.named().into_iter().chain(self.class.given()).filter(|(_, given)| *given).map(|(name, _)| name)
    }

    /// Each option by name, with `true` if it is given.
    fn named(&self) -> [(&'static str, bool); 38] {
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
            ("corrector_order", self.corrector_order.is_some()),
            ("tau", self.tau.is_some()),
            ("timestep_scaling", self.timestep_scaling.is_some()),
            ("stochastic", self.stochastic),
            ("s_noise", self.noise_scale.is_some()),
            ("jump_length", self.jump_length.is_some()),
            ("jump_n_sample", self.jump_n_sample.is_some()),
            ("original_steps", self.original_steps.is_some()),
            ("shift", self.shift.is_some()),
            ("mu", self.mu.is_some()),
            ("tokens", self.tokens.is_some()),
            ("s_churn", self.churn.is_some()),
            ("n_grid", self.pi_flow.is_some()),
            ("tsr_k", self.score_rescaling.is_some()),
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
    Entry::new(
        "variance",
        "learned-log",
        &[],
        "the network's second output, as the logarithm of the variance",
        &[],
        |_| Ok(Variance::LearnedLog),
    ),
    Entry::new(
        "variance",
        "learned-range",
        &[],
        "the network's second output, from the logarithm of small (-1) to that of large (1) (Nichol & Dhariwal 2021)",
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
    Entry::new("solver type", "heun", &[], "dpm++: the exact integral of the second-order term", &[], |_| {
        Ok(SolverKind::Dpm(DpmKind::Heun))
    }),
    Entry::new("solver type", "exact", &[], "dpm++: every integral exact", &[], |_| {
        Ok(SolverKind::Dpm(DpmKind::Exact))
    }),
    Entry::new("solver type", "bh1", &[], "unipc: B(h) = h, for few steps of unguided models", &[], |_| {
        Ok(SolverKind::UniPc(UniPcKind::Bh1))
    }),
    Entry::new("solver type", "bh2", &[], "unipc: B(h) = exp(h) - 1", &[], |_| Ok(SolverKind::UniPc(UniPcKind::Bh2))),
];
