//! The contents of a configuration: a model, a sampler, and the defaults of its runs.

use super::error::ConfigError;
use super::lists::Lists;
use super::options::refused;
use super::sine_squared;
use crate::math::catalog::entry::Entry;
use crate::math::catalog::error::CatalogError;
use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::catalog::sampler_recipe::SamplerRecipe;
use crate::math::catalog::sampler_rules::GridRules;
use crate::math::edm::RIGHT_ANGLE_ROUNDING;
use crate::math::flow;
use crate::math::model::Model;
use crate::math::placement::Placement;
use crate::math::process::Process;
use crate::math::sampler::Sampler;
use crate::math::sampler::call::Call;
use crate::math::sampler::churn::Churn;
use crate::math::sampler::multistep::Form;
use crate::math::sampler::solver::Compat;
use crate::math::schedule::MAX_STEPS;
use crate::math::spacing::Spacing;
use crate::table::step::Clip;
use std::f64::consts::FRAC_PI_2;

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
    /// The options of a run that the class uses, besides those of every class.
    pub(super) takes: Vec<&'static str>,
    /// The meaning of a run's `mu`.
    pub(super) mu: Mu,
    /// The class's own rule that places the levels of a run, if it has one.
    pub(super) places: Option<Places>,
    /// The meaning of a run's lists and arguments.
    pub(super) lists: Lists,
    pub(super) notes: Vec<String>,
}

/// Writes the levels of a run into its options, given the model and the run as it was requested.
pub(super) type Places = fn(&Model, &SamplerOptions, &mut SamplerOptions) -> Result<(), ConfigError>;

/// Options of a run that replace those of the file, where the sampler has them.
const GRID: [&str; 9] = ["sections", "spacing", "offset", "sigmas", "sigma_min", "sigma_max", "rho", "final", "times"];

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
    /// A class with these defaults; `sampler` is a name in the catalogue.
    pub(super) fn new(model: Model, sampler: &str, defaults: SamplerOptions) -> Result<Self, ConfigError> {
        let (rules, takes, mu) = (GridRules::default(), Vec::new(), Mu::Optional);
        Ok(Self {
            model,
            sampler: Sampler::CATALOGUE.find(sampler)?,
            defaults,
            rules,
            threshold: None,
            takes,
            mu,
            places: None,
            lists: Lists::Named,
            notes: Vec::new(),
        })
    }

    /// Returns the model, for noising, conversion and losses, and for samplers other than the file's.
    #[must_use]
    pub const fn model(&self) -> &Model {
        &self.model
    }

    /// Creates the sampler of one run.
    ///
    /// The options are the arguments of `set_timesteps` and `step` in diffusers: a number of steps or a list of timesteps,
    /// `strength`, and those of `eta`, `rederive_epsilon` (`use_clipped_model_output`), `mu` or `tokens`, `churn` and
    /// [others](SamplerOptions::class) that the class has. Options that place levels replace those of the file, if the sampler has
    /// them.
    ///
    /// # Errors
    /// [`ConfigError`] for a run that the scheduler cannot make, [`ConfigError::Unused`] for options that the file determines or
    /// that the class does not use.
    pub fn sampler(&self, run: &SamplerOptions) -> Result<Sampler, ConfigError> {
        let mut given = run.given().chain(run.timesteps.is_some().then_some("timesteps"));
        if let Some(option) = given.find(|option| !self.uses(option)) {
            return Err(ConfigError::Unused { option });
        }
        self.refuse_shift(run)?;
        let asked = run;
        let run = &self.lists.carried_out(run)?;
        let mut options = SamplerOptions { clip: self.clip(run), ..run.placed_over(&self.defaults) };
        self.shift(run, &mut options)?;
        self.exceptions(run, &mut options)?;
        // A placement or a list of sigmas of the run takes precedence.
        if let (Some(places), None, None) = (self.places, run.placement, &run.sigma_list) {
            places(&self.model, run, &mut options)?;
        }
        let mut sampler = self.sampler.build_by(&self.rules_of(run), &self.model, &options, asked)?;
        if run.compat == Compat::Diffusers && matches!(self.model.process(), Process::TrigFlow(_)) {
            sampler.calls_mut().iter_mut().for_each(beyond_a_right_angle);
        }
        Ok(sampler)
    }

    /// Creates another sampler for the model of the file, with the file's shift, spacing and `shift_terminal`. The options are those
    /// of that sampler.
    ///
    /// # Errors
    /// As [`Entry::build`], and [`ConfigError`] for a flow whose shift needs the size of the image.
    pub fn sampler_instead(&self, entry: &Entry<SamplerRecipe>, run: &SamplerOptions) -> Result<Sampler, ConfigError> {
        let rules =
            GridRules { spacing: self.rules_of(run).spacing, terminal: self.rules.terminal, ..GridRules::default() };
        let mut options = run.clone();
        if self.mu != Mu::Optional {
            options.tokens = None;
            self.shift(run, &mut options)?;
        }
        Ok(entry.build_instead(&rules, &self.model, &options)?)
    }

    /// Returns the catalogue's entry of the file's sampler.
    #[must_use]
    pub const fn entry(&self) -> &'static Entry<SamplerRecipe> {
        self.sampler
    }

    /// Returns notes on the file, one line each: old spellings and what they were read as, a class that was read as another, and
    /// options that have no effect.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// True for an option of a run that the class or the sampler uses.
    fn uses(&self, option: &str) -> bool {
        let flow = self.model.process() == Process::Flow;
        match option {
            "strength" | "begin_index" | "end_index" => true,
            "times" if flow => true,
            "shift" if flow && self.mu == Mu::Optional => true,
            "sigmas" if flow => true,
            _ if self.takes.contains(&option) => true,
            _ if GRID.contains(&option) => self.sampler.make.options().any(|known| known == option),
            _ => false,
        }
    }

    /// Refuses a shift together with a list of levels, which places the levels. diffusers shifts the list.
    fn refuse_shift(&self, run: &SamplerOptions) -> Result<(), ConfigError> {
        let [list, shift] = [
            [
                ("timesteps", run.timesteps.is_some()),
                ("sigmas", run.sigma_list.is_some()),
                ("times", run.times.is_some()),
            ],
            [("mu", run.mu.is_some()), ("tokens", run.tokens.is_some()), ("shift", run.shift.is_some())],
        ]
        .map(|options| options.into_iter().find(|(_, given)| *given).map(|(name, _)| name));
        match (list, shift) {
            (Some(second), Some(first)) if run.compat == Compat::Published => {
                let because = "places the levels";
                Err(CatalogError::Contradiction { first, second, because }.into())
            }
            _ => Ok(()),
        }
    }

    /// The rules of the class, without those that the run replaces.
    fn rules_of(&self, run: &SamplerOptions) -> GridRules {
        let spacing = match (run.placement, self.rules.spacing, run.offset) {
            (Some(Placement::Timesteps(_)), ..) => None,
            (_, Some(Spacing::Leading { .. }), Some(offset)) => Some(Spacing::Leading { offset }),
            (_, spacing, _) => spacing,
        };
        let told_listed = match self.lists {
            Lists::Counted => run.compat == Compat::Diffusers,
            Lists::Exploding { .. } | Lists::Staged(_) => true,
            _ => false,
        };
        GridRules { spacing, told_listed, ..self.rules }
    }

    /// diffusers limits the threshold to `sample_max_value`, whose default of 1 turns it into a clamp to -1..=1.
    fn clip(&self, run: &SamplerOptions) -> Option<Clip> {
        let Some([ratio, bound]) = self.threshold else { return self.defaults.clip };
        let (least, most) = match run.compat == Compat::Diffusers {
            // diffusers does not threshold in this form, in which it cannot be done.
            true if self.sampler.name == "unipc" && self.defaults.form == Some(Form::Epsilon) => return None,
            true => (bound.min(1.0), bound),
            false if bound > 1.0 => (1.0, bound),
            false => (1.0, f64::INFINITY),
        };
        Some(Clip::Quantile { ratio, least, most })
    }

    /// Applies the shift of a flow. A list is not shifted, except by diffusers, which also places it anew if the file says so.
    fn shift(&self, run: &SamplerOptions, options: &mut SamplerOptions) -> Result<(), ConfigError> {
        let listed = run.timesteps.is_some() || run.sigma_list.is_some() || run.times.is_some();
        let is_final = listed && run.compat == Compat::Published;
        let mu = match (run.mu, run.tokens, self.model.token_line()) {
            (None, Some(tokens), Some([base, most])) => Some(flow::dynamic_mu(tokens, base, most)?),
            (mu, ..) => mu,
        };
        match (self.mu, mu) {
            _ if is_final => {}
            (Mu::Optional | Mu::Exponential, Some(_)) => options.mu = mu,
            (Mu::Linear, Some(_)) => options.shift = mu,
            (Mu::Optional, None) => {}
            // Another sampler takes `shift`; the class does not.
            (Mu::Exponential | Mu::Linear, None) if run.shift.is_some() => {}
            // With both ends given, the sigmas are placed without the times of the class.
            _ if run.sigma_min.is_some() && run.sigma_max.is_some() && options.placement.is_some() => {}
            (Mu::Exponential | Mu::Linear, None) => {
                return Err(CatalogError::NoSize.into());
            }
        }
        let flow = self.model.process() == Process::Flow;
        let shifts = self.rules.between_listed && !self.rules.ends_listed;
        let placed_anew = flow && !is_final && shifts && run.times.is_none();
        if run.sigma_list.is_some() && !placed_anew || run.times.is_some() || is_final && flow {
            options.placement = run.placement;
        }
        Ok(())
    }

    /// True if the stride leads below timestep 0 from the last timestep of a run.
    fn strides_beyond(&self, run: &SamplerOptions) -> bool {
        let (all, steps) = (self.model.schedule().len(), run.steps.unwrap_or(0));
        let visited = self.rules.spacing.and_then(|spacing| spacing.timesteps(all, steps).ok()).unwrap_or_default();
        visited.last().is_none_or(|&last| last < all / steps.max(1))
    }

    /// Applies what single classes do: IPNDM's angles, equal steps of the logarithm, and oddities of diffusers.
    fn exceptions(&self, run: &SamplerOptions, options: &mut SamplerOptions) -> Result<(), ConfigError> {
        if self.rules.sine_squared {
            self.sines(run, options)?;
        }
        if run.compat == Compat::Published {
            let counted = self.rules.one_too_many && options.steps.is_some();
            options.placement = options.placement.or(counted.then_some(Placement::Exponential));
            return Ok(());
        }
        let steps = run.timesteps.as_ref().map(Vec::len).or(run.steps).unwrap_or(0) as f64;
        if self.rules.one_too_many && options.placement.is_none() && self.model.tells_timesteps() {
            // The churn is spread over the extra sigma as well.
            let spread = |churn: Churn| Churn { amount: churn.amount * (steps / (steps + 1.0)), ..churn };
            options.churn = options.churn.map(spread);
        }
        if self.rules.strided && options.euler_at_final == Some(true) {
            options.euler_at_final = Some(self.strides_beyond(run));
        }
        let edm = self.model.process() == Process::VarianceExploding;
        if edm && steps == 1.0 && options.placement == Some(Placement::Exponential) {
            options.sigma_max = options.sigma_min; // not the largest
        }
        Ok(())
    }

    /// Applies the angles of IPNDM: as many as there are steps, or those of the file.
    fn sines(&self, run: &SamplerOptions, options: &mut SamplerOptions) -> Result<(), ConfigError> {
        match (run.steps, &self.defaults.times, &run.times) {
            (Some(steps), Some(listed), None) if steps != listed.len() => {
                return Err(refused("steps", format!("{}, by the length of trained_betas", listed.len()), steps));
            }
            (Some(_), Some(listed), None) => (options.steps, options.times) = (None, Some(listed.clone())),
            (Some(steps @ 1..=MAX_STEPS), None, None) => {
                (options.steps, options.times) = (None, Some(sine_squared::even(steps)));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Treats 1.5708 as diffusers does: it is slightly more than a right angle, where a little of the sample is subtracted.
fn beyond_a_right_angle(call: &mut Call) {
    let (row, t) = (&mut call.row, call.timestep);
    let beyond = t - FRAC_PI_2;
    if beyond <= 0.0 || beyond >= RIGHT_ANGLE_ROUNDING || row.x0[1] == 0.0 {
        return;
    }
    let kept = row.p / row.x0[1];
    (row.x0[0], row.x0[1]) = (t.cos(), -t.sin());
    (row.x, row.p) = (kept * row.x0[0], kept * row.x0[1]);
}
