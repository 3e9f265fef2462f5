//! The type of a class's reader, and what readers share.

use crate::config::common::{prediction, spacing};
use crate::config::error::ConfigError;
use crate::config::options::Options;
use crate::config::scheduler::Scheduler;
use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::catalog::sampler_rules::GridRules;
use crate::math::model::Model;
use crate::math::schedule::Schedule;
use crate::math::spacing::Spacing;

/// Reads the options of a class.
pub(super) type Read = fn(&mut Options) -> Result<Scheduler, ConfigError>;

/// The spacing of most classes that visit timesteps.
pub(super) const LEADING: Spacing = Spacing::Leading { offset: 0 };

/// A class that visits the timesteps of a schedule, with the spacing of the file or its default.
pub(super) fn spaced(
    options: &mut Options,
    sampler: &str,
    schedule: Schedule,
    usual: Spacing,
    defaults: SamplerOptions,
) -> Result<Scheduler, ConfigError> {
    let rules = GridRules { spacing: Some(spacing(options, usual)?), ..GridRules::default() };
    let model = Model::new(schedule, prediction(options)?);
    Ok(Scheduler { rules, ..Scheduler::new(model, sampler, defaults)? })
}
