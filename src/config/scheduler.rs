//! The contents of a configuration: a model, a sampler, and the defaults of its runs.

use super::error::ConfigError;
use super::options::refused;
use crate::math::catalog::entry::Entry;
use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::catalog::sampler_recipe::SamplerRecipe;
use crate::math::catalog::sampler_rules::GridRules;
use crate::math::flow;
use crate::math::model::Model;
use crate::math::placement::Placement;
use crate::math::process::Process;
use crate::math::sampler::Sampler;
use crate::math::sampler::churn::Churn;
use crate::math::sampler::multistep::Form;
use crate::math::sampler::solver::Compat;
use crate::table::step::Clip;

/// A `scheduler_config.json`: a model, and the defaults of its runs.
///
/// ```
/// use tweedie::Quantity;
/// use tweedie::config::Scheduler;
/// use tweedie::math::catalog::SamplerOptions;
///
/// let json = r#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}"#;
/// let scheduler = Scheduler::parse(json)?;
/// assert_eq!(scheduler.model().prediction(), Quantity::Flow);
/// assert_eq!(scheduler.sampler(&SamplerOptions::steps(28))?.calls().len(), 28);
/// # Ok::<(), tweedie::config::ConfigError>(())
/// ```
#[doc(alias = "scheduler_config")]
#[derive(Clone, Debug)]
pub struct Scheduler {
    pub(super) model: Model,
    pub(super) sampler: &'static Entry<SamplerRecipe>,
    pub(super) defaults: SamplerOptions,
    pub(super) rules: GridRules,
    /// The quantile and `sample_max_value` of `thresholding`.
    pub(super) threshold: Option<[f64; 2]>,
    /// The options of a run that the class uses.
    pub(super) takes: Vec<&'static str>,
    /// The meaning of a run's `mu`.
    pub(super) mu: Mu,
}

/// The meaning of `mu`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mu {
    /// The logarithm of the shift, instead of the file's.
    Optional,
    /// The logarithm of the shift.
    Exponential,
    /// The shift itself.
    Linear,
}

impl Scheduler {
    /// The defaults of a class; `sampler` is a name of the catalogue.
    pub(super) fn new(model: Model, sampler: &str, defaults: SamplerOptions) -> Result<Self, ConfigError> {
        let (rules, takes, mu) = (GridRules::default(), Vec::new(), Mu::Optional);
        Ok(Self { model, sampler: Sampler::CATALOGUE.find(sampler)?, defaults, rules, threshold: None, takes, mu })
    }

    /// The model: for noising, conversion and losses, and for samplers other than the file's.
    #[must_use]
    pub const fn model(&self) -> &Model {
        &self.model
    }

    /// The sampler of a run: the arguments of `set_timesteps` and `step` in diffusers. These are a number of steps or
    /// timesteps, `strength`, and of `eta`, `rederive_epsilon` (`use_clipped_model_output`), `mu` or `tokens` and `churn` those that the class has.
    ///
    /// # Errors
    /// [`ConfigError`] for a run that the scheduler cannot make, [`ConfigError::Unused`] for options that the file settles or
    /// that the class does not use.
    pub fn sampler(&self, run: &SamplerOptions) -> Result<Sampler, ConfigError> {
        let given = run.given().chain(run.timesteps.is_some().then_some("timesteps"));
        if let Some(option) = given.into_iter().find(|option| *option != "strength" && !self.takes.contains(option)) {
            return Err(ConfigError::Unused { option });
        }
        let mut options = SamplerOptions {
            steps: run.steps,
            timesteps: run.timesteps.clone(),
            strength: run.strength,
            eta: run.eta,
            rederive_epsilon: run.rederive_epsilon,
            churn: run.churn,
            compat: run.compat,
            clip: self.clip(run),
            ..self.defaults.clone()
        };
        self.shift(run, &mut options)?;
        self.exceptions(run, &mut options);
        Ok(self.sampler.build_by(&self.rules, &self.model, &options)?)
    }

    /// diffusers limits the threshold to `sample_max_value`, whose default of 1 turns it into a clamp to -1..=1.
    fn clip(&self, run: &SamplerOptions) -> Option<Clip> {
        let Some([ratio, bound]) = self.threshold else { return self.defaults.clip };
        let (least, most) = match run.compat == Compat::Diffusers {
            // diffusers forgets to threshold in this form, in which it cannot be done.
            true if self.sampler.name == "unipc" && self.defaults.form == Some(Form::Epsilon) => return None,
            true => (bound.min(1.0), bound),
            false if bound > 1.0 => (1.0, bound),
            false => (1.0, f64::INFINITY),
        };
        Some(Clip::Quantile { ratio, least, most })
    }

    /// The shift of a flow. A list of timesteps is final, but for diffusers, which shifts it.
    fn shift(&self, run: &SamplerOptions, options: &mut SamplerOptions) -> Result<(), ConfigError> {
        let is_final = run.timesteps.is_some() && run.compat == Compat::Published;
        let mu = match (run.mu, run.tokens, self.model.token_line()) {
            (None, Some(tokens), Some([base, most])) => Some(flow::dynamic_mu(tokens, base, most)?),
            (mu, ..) => mu,
        };
        match (self.mu, mu) {
            _ if is_final => {}
            (Mu::Optional | Mu::Exponential, Some(_)) => options.mu = mu,
            (Mu::Linear, Some(_)) => options.shift = mu,
            (Mu::Optional, None) => {}
            (Mu::Exponential | Mu::Linear, None) => {
                return Err(refused("mu or tokens", "a number, since use_dynamic_shifting is on", "none"));
            }
        }
        if is_final && self.model.process() == Process::Flow {
            options.placement = None;
        }
        Ok(())
    }

    /// Sigmas in equal steps of the logarithm, and two oddities of diffusers.
    fn exceptions(&self, run: &SamplerOptions, options: &mut SamplerOptions) {
        if run.compat == Compat::Published {
            let counted = self.rules.one_too_many && options.steps.is_some();
            options.placement = options.placement.or(counted.then_some(Placement::Exponential));
            return;
        }
        let steps = run.timesteps.as_ref().map(Vec::len).or(run.steps).unwrap_or(0) as f64;
        if self.rules.one_too_many && options.placement.is_none() && self.model.tells_timesteps() {
            // Its churn is spread over the sigma too many as well.
            let spread = |churn: Churn| Churn { amount: churn.amount * (steps / (steps + 1.0)), ..churn };
            options.churn = options.churn.map(spread);
        }
        let edm = self.model.process() == Process::VarianceExploding;
        if edm && steps == 1.0 && options.placement == Some(Placement::Exponential) {
            options.sigma_max = options.sigma_min; // not the largest
        }
    }
}
