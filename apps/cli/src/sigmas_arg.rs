//! The option `--sigmas`: a rule that places sigmas, or a list of them.

use crate::names::{OneOf, one_of};
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

/// Parses either. Help lists the rules.
#[derive(Clone, Copy)]
pub struct SigmasParser;

/// The rules.
fn rules() -> OneOf<Placement> {
    one_of(Placement::CATALOGUE, |it| !is_spacing(it))
}

impl TypedValueParser for SigmasParser {
    type Value = Sigmas;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<Sigmas, clap::Error> {
        let numbers = value.to_str().map(|text| text.split(',').map(|part| part.trim().parse::<f64>()).collect());
        match numbers {
            Some(Ok(list)) => Ok(Sigmas::Listed(list)),
            _ => rules().parse_ref(command, argument, value).map(Sigmas::Placed),
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(rules().values().collect::<Vec<_>>().into_iter()))
    }
}

/// True for a placement by timesteps.
pub const fn is_spacing(placement: &Placement) -> bool {
    matches!(placement, Placement::Timesteps(_))
}
