//! The option `--sigmas`: a rule that places sigmas, or a list of them.

use crate::names::one_of;
use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Command};
use std::ffi::OsStr;
use tweedie::math::Placement;

/// A rule that places sigmas, or a list of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Sigmas {
    Placed(Placement),
    Listed(Vec<f64>),
}

/// Parses either.
pub fn sigmas() -> impl TypedValueParser<Value = Sigmas> {
    SigmasParser
}

/// See [`sigmas`].
#[derive(Clone)]
struct SigmasParser;

impl TypedValueParser for SigmasParser {
    type Value = Sigmas;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<Sigmas, clap::Error> {
        let numbers = value.to_str().map(|text| text.split(',').map(|part| part.trim().parse::<f64>()).collect());
        match numbers {
            Some(Ok(list)) => Ok(Sigmas::Listed(list)),
            _ => one_of(Placement::CATALOGUE, |it| !is_spacing(it))
                .parse_ref(command, argument, value)
                .map(Sigmas::Placed),
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        None
    }
}

/// True for a placement by timesteps.
pub const fn is_spacing(placement: &Placement) -> bool {
    matches!(placement, Placement::Timesteps(_))
}
