//! From the options of a sampler to the sampler.

use crate::model_args::{ModelArgs, Opened};
use crate::names::{flag, in_flags};
use crate::report::{Failure, Outcome};
use crate::sampler_args::{Final, SamplerArgs, SamplerEntry, System, uses};
use crate::sigmas_arg::Sigmas;
use anyhow::{Context, Error, Result, anyhow, bail};
use tweedie::config::{ConfigError, Scheduler};
use tweedie::math::catalog::{CatalogError, SamplerOptions};
use tweedie::math::sampler::{Corrector, Sampler, Scale};
use tweedie::math::{Model, Placement, Process};

/// The error where no option says how many steps there are.
const NO_STEPS: &str = "expected --steps N or --timesteps T,..";

impl SamplerArgs {
    /// Builds the sampler that the options describe, and returns the model that it samples, which [`ModelArgs::open`] opened.
    pub fn sampler(&self, model: &Opened<'_>) -> Outcome<(Sampler, Model)> {
        if self.prediction.is_some() && (model.scheduler.is_some() || model.args.model.is_some()) {
            let why = "--prediction contradicts --config or --model, which says what the network predicts";
            return Err(Failure::input(anyhow!(why)));
        }
        if self.compat == Some(System::ComfyUi) {
            let why = "--compat comfyui is for runs alone (--run FILE)";
            return Err(Failure::input(anyhow!(why)));
        }
        Ok(match (self.sampler, &model.scheduler) {
            (None, None) => return Err(Failure::input(anyhow!("expected --sampler NAME or --config FILE"))),
            (Some(entry), _) => self.named(entry, model)?,
            (None, Some(scheduler)) => self.configured(scheduler, model.args)?,
        })
    }

    fn named(&self, entry: SamplerEntry, opened: &Opened<'_>) -> Result<(Sampler, Model)> {
        // A placement by sigmas would hide a spacing that the sampler does not use.
        if self.spacing.is_some() && !uses(entry, "spacing") {
            bail!("--spacing does not apply to the {}", entry.title());
        }
        let model = self.model(entry, opened)?;
        let options = self.options(&model);
        let sampler = match &opened.scheduler {
            Some(scheduler) => scheduler.sampler_instead(entry, &options).map_err(|error| config_refusal(&error))?,
            None => entry.build(&model, &options).map_err(|error| refusal(&error))?,
        };
        Ok((sampler, model))
    }

    /// The model that the options describe; a sampler of flows implies a flow.
    fn model(&self, entry: SamplerEntry, opened: &Opened<'_>) -> Result<Model> {
        let args = opened.args;
        let exploding = self.scale.unwrap_or(entry.make.scale()) == Scale::VarianceExploding;
        let raw = self.prediction.is_some_and(|it| it.sigma_data().is_some());
        let implied = raw && exploding && !args.schedule.names_levels();
        if args.settles_prediction() || implied {
            return opened.model(self.prediction);
        }
        let schedule = opened.schedule()?.clone();
        let named = schedule.process();
        let model = entry.usual_model(schedule, self.prediction, self.scale);
        if let (Some(option), Process::Flow) = (args.schedule.level_option(), model.process())
            && named != Process::Flow
        {
            bail!("{option} does not apply to a rectified flow, which the sampler, --prediction or --scale asks for");
        }
        Ok(model)
    }

    /// The process of the model that the options describe.
    pub fn process(&self, entry: SamplerEntry, model: &Opened<'_>) -> Result<Process> {
        Ok(self.model(entry, model)?.process())
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
            corrector_order: self.corrector_order,
            tau: self.tau,
            jump_length: self.jump_length,
            jump_n_sample: self.jump_n_sample,
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

    fn configured(&self, scheduler: &Scheduler, args: &ModelArgs) -> Result<(Sampler, Model)> {
        let model = scheduler.model().clone();
        let options = self.options(&model);
        let path = || args.config.as_deref().map_or_else(String::new, |path| path.display().to_string());
        let sampler = scheduler.sampler(&options).map_err(|error| config_refusal(&error)).with_context(path)?;
        Ok((sampler, model))
    }
}

/// The placement; a rule for the times of a flow gets the shift of the model.
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

/// The same for the error of a configuration.
fn config_refusal(error: &ConfigError) -> Error {
    match error {
        ConfigError::Catalog(error) => refusal(error),
        ConfigError::Unused { option } => anyhow!("{} does not apply to --config FILE", flag(option)),
        error => anyhow!("{error}"),
    }
}
