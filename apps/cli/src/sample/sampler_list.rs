//! Which samplers take part, each with the options of the command line.

use crate::names::Named;
use crate::report::{Failure, Outcome};
use crate::sampler_args::SamplerArgs;
use crate::sampler_build::prediction;
use crate::sampler_choices::SpacingName;
use crate::sampler_name::SamplerName as Name;
use crate::schedule_args::ScheduleArgs;
use anyhow::anyhow;
use tweedie::Quantity;
use tweedie::math::sampler::Sampler;
use tweedie::table::Deviation;

/// A sampler on the command line, or all of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Choice {
    All,
    One(Name),
}

impl Choice {
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            text => Name::parse(text).map(Self::One).map_err(|expected| format!("{expected}, or all")),
        }
    }
}

/// Default choice: deterministic and not, of first and higher order, diffusion and flow.
const TELLING: [Name; 5] = [Name::Ddim, Name::Ddpm, Name::Heun, Name::Dpm, Name::FlowEuler];

/// All that lead from noise to pictures.
const ALL: [Name; 11] = [
    Name::Ddim,
    Name::Ddpm,
    Name::Euler,
    Name::EulerAncestral,
    Name::Heun,
    Name::Dpm,
    Name::DpmSde,
    Name::UniPc,
    Name::Lcm,
    Name::FlowEuler,
    Name::FlowHeun,
];

/// Steps where nothing is said.
const STEPS: usize = 20;

/// Calls that a run may have: more than anybody samples with.
const MOST_CALLS: usize = 10_000;

/// A sampler that takes part.
pub struct Entry {
    pub name: Name,
    pub sampler: Sampler,
    pub predicts: Quantity,
}

impl Entry {
    fn new(name: Name, arguments: &SamplerArgs, schedule: &ScheduleArgs) -> Outcome<Self> {
        let sampler = arguments.sampler(schedule)?;
        let refuse = |why: String| Err(Failure::input(anyhow!("{name}: {why}")));
        if name == Name::DdimInverse {
            return refuse("it leads from pictures to noise; expected one that leads to pictures".to_owned());
        }
        if sampler.deviation() != Deviation::Fixed {
            return refuse(
                "the ideal denoiser learned no variance; expected --variance fixed-small or fixed-large".to_owned(),
            );
        }
        if sampler.calls().len() > MOST_CALLS {
            return refuse(format!(
                "expected at most {MOST_CALLS} calls of the network, found {}",
                sampler.calls().len()
            ));
        }
        let predicts = prediction(arguments, name);
        Ok(Self { name, sampler, predicts })
    }
}

/// The samplers of these choices, each once.
pub fn sampler_list(choices: &[Choice], options: &SamplerArgs, schedule: &ScheduleArgs) -> Outcome<Vec<Entry>> {
    if options.config.is_some() {
        return Err(Failure::input(anyhow!("--config is for recorded runs; expected --sampler NAME,..")));
    }
    let chosen = choices.iter().flat_map(|choice| match choice {
        Choice::All => ALL.to_vec(),
        Choice::One(name) => vec![*name],
    });
    let mut names: Vec<Name> = Vec::new();
    for name in if choices.is_empty() { TELLING.to_vec() } else { chosen.collect() } {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.into_iter().map(|name| Entry::new(name, &completed(name, options), schedule)).collect()
}

/// The options, with defaults that suit a loop which begins with pure noise: it must begin at the noisiest timestep.
fn completed(name: Name, options: &SamplerArgs) -> SamplerArgs {
    let counted = options.steps.is_some() || !options.timesteps.is_empty() || options.sections.is_some();
    let spaced = !name.is_flow() && name != Name::Lcm;
    SamplerArgs {
        sampler: Some(name),
        steps: options.steps.or((!counted).then_some(STEPS)),
        spacing: options.spacing.or(spaced.then_some(SpacingName::Trailing)),
        ..options.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_all() {
        assert_eq!(Choice::parse("all"), Ok(Choice::All));
        assert_eq!(Choice::parse("DPM++"), Ok(Choice::One(Name::Dpm)));
        assert!(Choice::parse("plms").unwrap_err().contains("flow-heun, or all"));
    }
}
