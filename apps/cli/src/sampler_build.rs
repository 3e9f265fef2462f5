//! From the options of a sampler to the sampler.

use crate::model_args::{Described, ModelArgs};
use crate::names::{flag, in_flags};
use crate::report::{Failure, Outcome, warn};
use crate::sampler_args::{Final, SamplerArgs, SamplerEntry, uses};
use crate::sigmas_arg::Sigmas;
use anyhow::{Context, Error, Result, anyhow, bail};
use tweedie::config::ConfigError;
use tweedie::math::catalog::{CatalogError, SamplerOptions};
use tweedie::math::sampler::{Compat, Corrector, Sampler, Scale};
use tweedie::math::{Model, Placement, Process};

/// The message where nothing says how many steps there are.
const NO_STEPS: &str = "expected --steps N or --timesteps T,..";

impl SamplerArgs {
    /// The sampler that the options add up to, and the model that it samples. Reads the files of `--config` and `--betas`.
    pub fn sampler(&self, model: &ModelArgs) -> Outcome<(Sampler, Model)> {
        Ok(match (self.sampler, &model.config) {
            (None, None) => return Err(Failure::input(anyhow!("expected --sampler NAME or --config FILE"))),
            (Some(entry), _) => self.named(entry, model)?,
            (None, Some(_)) => self.configured(model)?,
        })
    }

    fn named(&self, entry: SamplerEntry, args: &ModelArgs) -> Result<(Sampler, Model)> {
        // A placement by sigmas hides a spacing, which some samplers do not use at all.
        if self.spacing.is_some() && !uses(entry, "spacing") {
            bail!("--spacing means nothing to the {}", entry.title());
        }
        let Described { model, scheduler } = self.described(entry, args)?;
        let options = self.options(&model);
        let sampler = match scheduler {
            Some(scheduler) => scheduler.sampler_instead(entry, &options).map_err(|error| config_refusal(&error))?,
            None => entry.build(&model, &options).map_err(|error| refusal(&error))?,
        };
        Ok((sampler, model))
    }

    /// The model that the options describe, of which a sampler of flows says something too.
    fn described(&self, entry: SamplerEntry, args: &ModelArgs) -> Result<Described> {
        if self.prediction.is_some() && (args.config.is_some() || args.model.is_some()) {
            bail!("--prediction contradicts --config or --model, which says what the network predicts");
        }
        let exploding = self.scale.unwrap_or(entry.make.scale()) == Scale::VarianceExploding;
        let raw = self.prediction.is_some_and(|it| it.sigma_data().is_some());
        let implied = raw && exploding && !args.schedule.names_levels();
        if args.settles_prediction() || implied {
            return args.describe(self.prediction);
        }
        let schedule = args.schedule.build()?;
        let named = schedule.process();
        let model = entry.usual_model(schedule, self.prediction, self.scale);
        if let (Some(option), Process::Flow) = (args.schedule.level_option(), model.process())
            && named != Process::Flow
        {
            bail!("{option} means nothing to a rectified flow, which the sampler, --prediction or --scale asks for");
        }
        Ok(Described { model, scheduler: None })
    }

    /// The process of the model that the options describe.
    pub fn process(&self, entry: SamplerEntry, args: &ModelArgs) -> Result<Process> {
        Ok(self.described(entry, args)?.model.process())
    }

    /// The options as the library's catalogue takes them.
    fn options(&self, model: &Model) -> SamplerOptions {
        let (placed, listed) = match &self.sigmas {
            Some(Sigmas::Placed(placement)) => (Some(of_model(*placement, model)), None),
            Some(Sigmas::Listed(list)) => (None, Some(list.clone())),
            None => (None, None),
        };
        SamplerOptions {
            steps: self.steps,
            timesteps: (!self.timesteps.is_empty()).then(|| self.timesteps.clone()),
            sigma_list: listed,
            times: (!self.times.is_empty()).then(|| self.times.clone()),
            sections: self.sections.clone(),
            strength: self.strength,
            begin_index: self.begin_index,
            end_index: self.end_index,
            placement: placed.or(self.spacing),
            offset: self.offset,
            sigma_min: self.sigma_min,
            sigma_max: self.sigma_max,
            rho: self.rho,
            ends_at_least_sigma: self.r#final.map(|end| end == Final::SigmaMin),
            scale: self.scale,
            clip: self.clip(),
            eta: self.eta,
            rederive_epsilon: self.rederive_epsilon,
            variance: self.variance,
            order: self.order,
            solver_kind: self.solver_type,
            corrector: self.no_corrector.then_some(Corrector::Off),
            original_steps: self.original_steps,
            shift: self.shift,
            mu: self.mu,
            tokens: self.tokens,
            churn: self.churn(),
            noise_scale: self.noise_scale(),
            pi_flow: self.class.pi_flow(),
            score_rescaling: self.class.score_rescaling(),
            class: self.class.arguments(),
            compat: self.compat(),
            ..SamplerOptions::default()
        }
    }

    fn configured(&self, args: &ModelArgs) -> Result<(Sampler, Model)> {
        let scheduler = args.scheduler()?;
        for note in scheduler.notes() {
            note_of(note);
        }
        let model = scheduler.model().clone();
        if self.prediction.is_some() {
            bail!("--prediction contradicts --config FILE, which says what the network predicts");
        }
        let options = self.options(&model);
        if let Some(option) = options.given().find(|option| !WITH_CONFIG.contains(option)) {
            bail!("{} means nothing to --config FILE", flag(option));
        }
        let listed = !self.timesteps.is_empty() || options.sigma_list.is_some() || options.times.is_some();
        match (self.steps, listed || options.sections.is_some()) {
            (None, false) => bail!(NO_STEPS),
            (Some(_), true) if self.compat() == Compat::Published => {
                bail!("--steps contradicts --timesteps, which says how many there are")
            }
            _ => {}
        }
        let path = || args.config.as_deref().map_or_else(String::new, |path| path.display().to_string());
        let sampler = scheduler.sampler(&options).map_err(|error| config_refusal(&error)).with_context(path)?;
        Ok((sampler, model))
    }
}

/// Options of a sampler that say something about a run, and not about the sampler of a configuration.
const WITH_CONFIG: [&str; 25] = [
    "max_timesteps",
    "intermediate_timesteps",
    "stage_index",
    "is_amplify_first_chunk",
    "start_time",
    "sampling_eps",
    "s_noise",
    "begin_index",
    "end_index",
    "eta",
    "rederive_epsilon",
    "mu",
    "tokens",
    "shift",
    "s_churn",
    "strength",
    "sections",
    "spacing",
    "offset",
    "sigmas",
    "times",
    "sigma_min",
    "sigma_max",
    "rho",
    "final",
];

/// A rule for the times of a flow, with the shift of the model.
fn of_model(placement: Placement, model: &Model) -> Placement {
    let shift = match model.placement() {
        Some(Placement::FlowTimes { shift } | Placement::FlowEnds { shift }) => shift,
        _ => return placement,
    };
    match placement {
        Placement::FlowTimes { .. } => Placement::FlowTimes { shift },
        Placement::FlowEnds { .. } => Placement::FlowEnds { shift },
        other => other,
    }
}

/// The error in the words of the options.
fn refusal(error: &CatalogError) -> Error {
    match error {
        CatalogError::NoSteps => anyhow!("{NO_STEPS}"),
        error => in_flags(error),
    }
}

/// Tells how an old spelling of a file was read.
fn note_of(note: &str) {
    warn(format_args!("--config: {note}"));
}

/// The same of a configuration.
fn config_refusal(error: &ConfigError) -> Error {
    match error {
        ConfigError::Catalog(error) => refusal(error),
        error => anyhow!("{error}"),
    }
}
