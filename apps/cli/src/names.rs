//! Entries of the library's catalogues as values of options.

use anyhow::{Error, anyhow};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Arg, Command};
use std::ffi::OsStr;
use tweedie::math::catalog::{CatalogError, Catalogue, Entry, Make};

/// The entry of this name. Case, `-`, `_` and spaces do not count.
///
/// # Errors
/// Our names.
pub fn find<T>(catalogue: &Catalogue<T>, text: &str) -> Result<&'static Entry<T>, String> {
    catalogue.find(text).map_err(|error| unknown_name(&error, &joined(catalogue)))
}

/// The words for a name that no entry has: those that are expected, and the nearest one.
pub fn unknown_name(error: &CatalogError, expected: &str) -> String {
    match error {
        CatalogError::Unknown { nearest: Some(name), .. } => format!("expected {expected}; did you mean `{name}`?"),
        _ => format!("expected {expected}"),
    }
}

/// Our names, separated by commas.
pub fn joined<T>(catalogue: &Catalogue<T>) -> String {
    catalogue.entries.iter().map(|entry| entry.name).collect::<Vec<_>>().join(", ")
}

/// Parses a choice that needs no numbers, among the entries that `keep` accepts. Help lists them.
pub fn one_of<T>(catalogue: Catalogue<Make<T>>, keep: fn(&T) -> bool) -> OneOf<T> {
    OneOf { entries: catalogue.entries, keep }
}

/// See [`one_of`].
#[derive(Clone)]
pub struct OneOf<T: 'static> {
    entries: &'static [Entry<Make<T>>],
    keep: fn(&T) -> bool,
}

impl<T> OneOf<T> {
    /// Our names, for help.
    pub fn values(&self) -> impl Iterator<Item = PossibleValue> {
        let kept = self.entries.iter().filter(|entry| entry.build(&[]).is_ok_and(|built| (self.keep)(&built)));
        kept.map(|entry| PossibleValue::new(entry.name).help(entry.summary))
    }
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for OneOf<T> {
    type Value = T;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<T, clap::Error> {
        let catalogue = Catalogue { entries: self.entries };
        let ours = value.to_str().and_then(|text| catalogue.find(text).ok()).map_or(value, |it| OsStr::new(it.name));
        let name = PossibleValuesParser::new(self.values()).parse_ref(command, argument, ours)?;
        let built = catalogue.find(&name).and_then(|entry| entry.build(&[]));
        built.map_err(|error| command.clone().error(clap::error::ErrorKind::InvalidValue, error))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.values()))
    }
}

/// The option that sets a parameter.
pub fn flag(parameter: &str) -> String {
    match parameter {
        "corrector" => "--no-corrector".to_owned(),
        name => format!("--{}", name.replace('_', "-")),
    }
}

/// The error in the words of the command line.
pub fn in_flags(error: &CatalogError) -> Error {
    anyhow!(error.describe(flag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tweedie::math::Placement;
    use tweedie::math::sampler::{Sampler, Scale};
    use tweedie::math::{Schedule, Weight};
    use tweedie::table::Penalty;

    fn check<T>(catalogue: &Catalogue<T>) {
        for entry in catalogue.entries {
            for name in entry.names() {
                let spellings =
                    [name.to_uppercase(), name.replace('_', "-"), name.replace('-', "_"), name.replace('-', "")];
                for spelling in spellings.iter().chain([&name.to_owned()]) {
                    assert_eq!(find(catalogue, spelling).map(|found| found.name), Ok(entry.name), "{spelling}");
                }
            }
        }
    }

    #[test]
    fn every_name_parses_in_every_spelling() {
        check(&Penalty::CATALOGUE);
        check(&Weight::CATALOGUE);
        check(&Sampler::CATALOGUE);
        check(&Schedule::CATALOGUE);
    }

    #[test]
    fn an_unknown_name_is_told_the_known_ones() {
        let unknown = |catalogue: &Catalogue<_>| find(catalogue, "lpips").unwrap_err();
        assert_eq!(unknown(&Penalty::CATALOGUE), "expected mse, l1, huber, smooth-l1, pseudo-huber");
        assert!(find(&Sampler::CATALOGUE, "restart").unwrap_err().contains("ddim, ddim-inverse, ddim-reverse, euler"));
    }

    #[test]
    fn choices_are_kept_and_built() {
        let parse = |text: &str| {
            let argument = Arg::new("x").value_parser(one_of(Placement::CATALOGUE, |it| *it == Placement::Exponential));
            let line = Command::new("x").arg(argument);
            line.try_get_matches_from(["x", text]).map(|mut found| found.remove_one::<Placement>("x"))
        };
        assert_eq!(parse("lu_lambdas").unwrap(), Some(Placement::Exponential));
        assert!(parse("karras").unwrap_err().to_string().contains("[possible values: exponential]"));
        assert_eq!(Scale::CATALOGUE.entries.len(), joined(&Scale::CATALOGUE).split(", ").count());
    }
}
