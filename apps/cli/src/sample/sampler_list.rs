//! Which samplers take part, each with the options of the command line.

use crate::model_args::{ModelArgs, Opened};
use crate::names::{joined, unknown_name};
use crate::report::{Failure, Outcome};
use crate::sampler_args::{SamplerArgs, SamplerEntry, uses};
use crate::sigmas_arg::Sigmas;
use anyhow::{Context, anyhow};
use tweedie::Quantity;
use tweedie::math::sampler::Sampler;
use tweedie::math::{Placement, Process, Spacing};
use tweedie::table::Deviation;

/// A sampler on the command line, or all of them.
#[derive(Clone, Copy, Debug)]
pub enum Choice {
    All,
    One(SamplerEntry),
}

impl Choice {
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            text => match Sampler::CATALOGUE.find(text) {
                Ok(entry) => Ok(Self::One(entry)),
                Err(error) => Err(unknown_name(&error, &format!("{}, or all", joined(&Sampler::CATALOGUE)))),
            },
        }
    }

    fn entries(self) -> Vec<SamplerEntry> {
        match self {
            Self::All => all().collect(),
            Self::One(entry) => vec![entry],
        }
    }
}

/// The default choice: deterministic and stochastic, of first and higher order, for diffusion and flow.
const TELLING: [&str; 5] = ["ddim", "ddpm", "heun", "dpm++", "flow-euler"];

/// All samplers from noise to pictures whose predictions have a single slice.
fn all() -> impl Iterator<Item = SamplerEntry> {
    Sampler::CATALOGUE.entries.iter().filter(|entry| !entry.make.inverts() && !entry.make.is_sliced())
}

/// The default number of steps.
const STEPS: usize = 20;

/// The most calls of a run, far more than anybody samples with.
const MOST_CALLS: usize = 10_000;

/// A sampler that takes part.
pub struct Entry {
    pub name: &'static str,
    pub sampler: Sampler,
    pub predicts: Quantity,
}

impl Entry {
    fn new(entry: SamplerEntry, arguments: &SamplerArgs, model: &Opened<'_>) -> Outcome<Self> {
        let name = entry.name;
        let (sampler, model) = arguments.sampler(model)?;
        let refuse = |why: String| Err(Failure::input(anyhow!("{name}: {why}")));
        if entry.make.inverts() {
            return refuse("it leads from pictures to noise; expected a sampler that leads to pictures".to_owned());
        }
        if sampler.deviation() != Deviation::Fixed {
            return refuse(
                "the ideal denoiser predicts no variance; expected --variance fixed-small or fixed-large".to_owned(),
            );
        }
        if sampler.calls().len() > MOST_CALLS {
            return refuse(format!(
                "expected at most {MOST_CALLS} calls of the network, found {}",
                sampler.calls().len()
            ));
        }
        Ok(Self { name, sampler, predicts: model.prediction() })
    }
}

/// The samplers of these choices, each once.
pub fn sampler_list(choices: &[Choice], options: &SamplerArgs, model: &ModelArgs) -> Outcome<Vec<Entry>> {
    if let (Some(_), []) = (&model.config, choices) {
        return of_file(options, &model.open()?).map(|entry| vec![entry]);
    }
    let model = &model.open()?;
    let built = |entry| Entry::new(entry, &completed(entry, options, model), model);
    if choices.is_empty() {
        return telling(built);
    }
    let mut once: Vec<SamplerEntry> = Vec::new();
    for entry in choices.iter().flat_map(|choice| choice.entries()) {
        if once.iter().all(|known| known.name != entry.name) {
            once.push(entry);
        }
    }
    once.into_iter().map(built).collect()
}

/// Those of the default choice that can sample the model with the options; the first error where none can.
fn telling(built: impl Fn(SamplerEntry) -> Outcome<Entry>) -> Outcome<Vec<Entry>> {
    let mut unknown_name = None;
    let mut fitting = Vec::new();
    for entry in all().filter(|entry| TELLING.contains(&entry.name)) {
        match built(entry) {
            Ok(entry) => fitting.push(entry),
            Err(error) => unknown_name = unknown_name.or(Some(error)),
        }
    }
    unknown_name.filter(|_| fitting.is_empty()).map_or(Ok(fitting), Err)
}

/// The sampler of the `--config` file.
fn of_file(options: &SamplerArgs, model: &Opened<'_>) -> Outcome<Entry> {
    let scheduler = model.scheduler.as_ref().context("expected --config FILE")?;
    let steps = options.steps.or((!counted(options)).then_some(STEPS));
    Entry::new(scheduler.entry(), &SamplerArgs { steps, ..options.clone() }, model)
}

/// True for a process that is sampled at timesteps.
fn has_timesteps(process: Process) -> bool {
    matches!(process, Process::VariancePreserving | Process::Levels)
}

fn counted(options: &SamplerArgs) -> bool {
    let listed = matches!(options.sigmas, Some(Sigmas::Listed(_))) || !options.times.is_empty();
    options.steps.is_some() || !options.timesteps.is_empty() || options.sections.is_some() || listed
}

/// The options, with defaults for a loop that begins with pure noise: it must begin at the noisiest timestep.
fn completed(entry: SamplerEntry, options: &SamplerArgs, model: &Opened<'_>) -> SamplerArgs {
    let spaced = || uses(entry, "spacing") && options.process(entry, model).is_ok_and(has_timesteps);
    let steps = options.steps.is_some() || !counted(options);
    let trailing = || (steps && spaced()).then_some(Placement::Timesteps(Spacing::Trailing));
    SamplerArgs {
        sampler: Some(entry),
        steps: options.steps.or((!counted(options)).then_some(STEPS)),
        spacing: options.spacing.or_else(trailing),
        ..options.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_all() {
        let names = |text: &str| Choice::parse(text).map(|choice| choice.entries().iter().map(|it| it.name).collect());
        let all: Vec<&str> = names("all").unwrap();
        assert!(TELLING.iter().all(|name| all.contains(name)) && !all.contains(&"ddim-inverse"), "{all:?}");
        assert_eq!(names("DPM++"), Ok(vec!["dpm++"]));
        assert!(
            names("no-such").unwrap_err().contains("flow-heun") && names("no-such").unwrap_err().contains(", or all")
        );
    }
}
