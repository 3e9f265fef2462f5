//! Classes of rectified flows.

use super::read::Read;
use crate::config::common::{placement, train_timesteps};
use crate::config::error::ConfigError;
use crate::config::lists::Lists;
use crate::config::options::{Options, refused};
use crate::config::scheduler::{Mu, Scheduler};
use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::model::{Model, Told};

/// The classes of this file.
pub(super) const CLASSES: &[(&str, Read)] = &[
    ("FlowMatchEulerDiscreteScheduler", flow_euler),
    ("FlowMatchHeunDiscreteScheduler", flow_heun),
    ("FlowMatchLCMScheduler", flow_lcm),
];

/// The shift of a flow: a fixed one, whose option has this name, or one that follows from the size of the image.
pub(super) fn shifts(options: &mut Options, mut read: Scheduler, name: &str) -> Result<Scheduler, ConfigError> {
    read.model = read.model.shifted(options.number(name, 1.0)?);
    let mu = options.choice(
        "time_shift_type",
        &[("exponential", Mu::Exponential), ("linear", Mu::Linear)],
        Mu::Exponential,
    )?;
    let mut point = |tokens, [usual_tokens, usual_shift]: [f64; 2], shift| {
        Ok::<_, ConfigError>((options.number(tokens, usual_tokens)?, options.number(shift, usual_shift)?))
    };
    let base = point("base_image_seq_len", [256.0, 0.5], "base_shift")?;
    let most = point("max_image_seq_len", [4096.0, 1.15], "max_shift")?;
    if options.flag("use_dynamic_shifting", false)? {
        (read.mu, read.rules.dynamic) = (mu, true);
        read.takes.extend(["mu", "tokens"]);
        read.model = read.model.shifted_by_tokens(base, most);
    }
    read.rules.terminal = Some(options.number("shift_terminal", 0.0)?).filter(|terminal| *terminal != 0.0);
    Ok(read)
}

pub(super) fn flow_euler(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let mut model = Model::flow(train_timesteps(options, 1000)?)?;
    let placement = placement(options, false)?.map(|(_, placement)| placement);
    let inverted = options.flag("invert_sigmas", false)?;
    let stochastic = options.flag("stochastic_sampling", false)?;
    if inverted && stochastic {
        return Err(ConfigError::Contradiction { first: "invert_sigmas", second: "stochastic_sampling" });
    }
    if inverted {
        // The network's time runs from noise to data, and so does its velocity.
        let timesteps = model.schedule().len() as f64;
        model = model.negated().told_as(Told::RisingTime(timesteps));
    }
    let defaults = SamplerOptions { placement, stochastic, ..SamplerOptions::default() };
    let mut read = shifts(options, Scheduler::new(model, "flow-euler", defaults)?, "shift")?;
    read.rules.between_listed = true;
    read.lists = Lists::Counted;
    read.takes.push("timesteps");
    Ok(read)
}

/// A consistency model of a flow: each step noises the clean sample again.
fn flow_lcm(options: &mut Options) -> Result<Scheduler, ConfigError> {
    if options.has("scale_factors") {
        return Err(refused("scale_factors", "none, since samples keep their size", "a list"));
    }
    let mut read = flow_euler(options)?;
    read.defaults.stochastic = true;
    Ok(read)
}

fn flow_heun(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let model = Model::flow(train_timesteps(options, 1000)?)?.shifted(options.number("shift", 1.0)?);
    Scheduler::new(model, "flow-heun", SamplerOptions::default())
}
