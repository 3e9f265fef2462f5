//! Errors of the catalogues.

use super::parameter::Parameter;
use crate::few::few;
use crate::math::error::guidance::GuidanceError;
use crate::math::error::sampler::SamplerError;
use crate::math::process::Process;
use crate::math::schedule_error::ScheduleError;
use crate::table::loss::PenaltyError;
use thiserror::Error;

/// The reason why a catalogue has no such entry, or why an entry cannot be built.
///
/// Parameters and options are named as in the library. A program that spells them differently, such as `--sigma-min` for
/// `sigma_min`, gets messages in its own spelling from [`describe`](Self::describe).
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{}", self.describe(str::to_owned))]
#[non_exhaustive]
pub enum CatalogError {
    /// A name that no entry has.
    Unknown {
        /// The word for the kind of thing, such as `schedule`.
        kind: &'static str,
        /// The names and synonyms of the catalogue.
        accepted: String,
        /// The name that differs least from the given one, if it differs by one or two letters.
        nearest: Option<&'static str>,
        /// The name that was given.
        found: String,
    },
    /// A parameter or an option that the entry does not use. If it were ignored, the caller would believe that it had an effect.
    Unused {
        /// The parameter or the option.
        option: String,
        /// The entry, with the word for what it is: `heun sampler`.
        by: String,
    },
    /// A parameter without a default that was not given.
    Missing {
        /// The parameter.
        option: &'static str,
        /// The entry, with the word for what it is.
        by: String,
    },
    /// A number outside the parameter's range.
    Range {
        /// The parameter.
        parameter: Parameter,
        /// The number that was given.
        found: f64,
    },
    /// A value that the option cannot have here.
    Value {
        /// The option.
        option: &'static str,
        /// The values that it can have.
        expected: String,
        /// The value that was given.
        found: String,
    },
    /// Neither a number of steps nor a list of timesteps.
    NoSteps,
    /// A flow whose shift follows from the size of the image, where the size is not given: in
    /// [`SamplerOptions::tokens`](super::SamplerOptions::tokens) or `mu`, or as the size that
    /// [`Recipe::sampler`](crate::math::Recipe::sampler) takes.
    NoSize,
    /// Two options that determine the same thing.
    Contradiction {
        /// An option.
        first: &'static str,
        /// The option that already determines it.
        second: &'static str,
        /// What the second option does, as a clause about it.
        because: &'static str,
    },
    /// An option, or one value of it, that needs a value of another.
    Needs {
        /// An option.
        option: &'static str,
        /// Its value.
        value: &'static str,
        /// The other option.
        other: &'static str,
        /// The value that the other option must have.
        needed: &'static str,
    },
    /// A model of another process than the sampler or the scale needs.
    Process {
        /// The process that is needed.
        expected: Process,
        /// The model's.
        found: Process,
    },
    /// The bounds or the exponent of sigmas, where no rule places sigmas.
    NoSigmas,
    /// The parameters describe no schedule, or no level of one.
    Schedule(#[from] ScheduleError),
    /// The options describe no sampler.
    Sampler(#[from] SamplerError),
    /// The parameters describe no penalty.
    Penalty(#[from] PenaltyError),
    /// The parameters describe no guider.
    Guidance(#[from] GuidanceError),
}

impl CatalogError {
    /// The message, with the name of each parameter and option as `spell` writes it.
    ///
    /// ```
    /// use tweedie::math::catalog::SamplerOptions;
    /// use tweedie::math::{Model, Sampler};
    ///
    /// let options = SamplerOptions { eta: Some(0.5), ..SamplerOptions::steps(20) };
    /// let error = Sampler::CATALOGUE.find("heun")?.build(&Model::named("sdxl")?, &options).unwrap_err();
    /// assert_eq!(error.to_string(), "eta does not apply to the heun sampler");
    /// assert_eq!(error.describe(|name| format!("--{name}")), "--eta does not apply to the heun sampler");
    /// # Ok::<(), tweedie::math::catalog::CatalogError>(())
    /// ```
    pub fn describe(&self, spell: impl Fn(&str) -> String) -> String {
        match self {
            Self::Unknown { kind, accepted, nearest, found } => {
                let hint = nearest.map_or(String::new(), |name| format!("; did you mean `{name}`?"));
                format!("no {kind} is called `{found}`{hint} (expected {accepted})")
            }
            Self::Unused { option, by } => format!("{} does not apply to the {by}", spell(option)),
            Self::Missing { option, by } => format!("the {by} needs {}", spell(option)),
            Self::Range { parameter, found } => {
                format!("{} must be {}, found {}", spell(parameter.name), parameter.range(), few(found))
            }
            Self::Value { option, expected, found } => {
                format!("{}: expected {expected}, found {found}", spell(option))
            }
            Self::NoSteps => format!("expected {} or {}", spell("steps"), spell("timesteps")),
            Self::NoSize => {
                let [tokens, mu] = ["tokens", "mu"].map(spell);
                format!("expected {tokens} or {mu}: the shift of this model follows from the size of the image")
            }
            Self::Contradiction { first, second, because } => {
                format!("{} contradicts {}, which {because}", spell(first), spell(second))
            }
            Self::Needs { option, value, other, needed } => {
                format!("{} {value} needs {} {needed}", spell(option), spell(other))
            }
            Self::Process { expected, found } => format!("expected a {expected} model, found a {found} one"),
            Self::NoSigmas => {
                let [least, most, rho, sigmas] = ["sigma_min", "sigma_max", "rho", "sigmas"].map(spell);
                format!("{least}, {most} and {rho} apply only together with {sigmas}")
            }
            Self::Schedule(error) => error.to_string(),
            Self::Sampler(error) => error.to_string(),
            Self::Penalty(error) => error.to_string(),
            Self::Guidance(error) => error.to_string(),
        }
    }
}
