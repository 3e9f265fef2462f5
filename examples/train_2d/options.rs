//! The command line.

use std::path::PathBuf;

pub const USAGE: &str = "usage: train_2d [--quick] [--steps N] [--out FILE.svg]";

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// One short training instead of nine.
    pub quick: bool,
    /// Training steps, at least 1.
    pub steps: u32,
    /// Where the picture goes.
    pub out: PathBuf,
}

/// A plan keeps up to 256 bytes for the random key of each step: this many stay far below the 256 MiB that a buffer may
/// have anywhere.
const MOST_STEPS: u32 = 100_000;
const STEPS: u32 = 800;
const QUICK_STEPS: u32 = 400;

impl Options {
    /// From the arguments after the program's name.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut quick, mut steps, mut out) = (false, None, PathBuf::from("out/train_2d.svg"));
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("expected a value after {argument}\n{USAGE}"));
            match argument.as_str() {
                "--quick" => quick = true,
                "--steps" => steps = Some(number_of_steps(&value()?)?),
                "--out" => out = value()?.into(),
                _ => return Err(format!("unexpected `{argument}`\n{USAGE}")),
            }
        }
        Ok(Self { quick, steps: steps.unwrap_or(if quick { QUICK_STEPS } else { STEPS }), out })
    }
}

fn number_of_steps(found: &str) -> Result<u32, String> {
    let steps = found.parse().ok().filter(|steps| (1..=MOST_STEPS).contains(steps));
    steps.ok_or_else(|| format!("expected 1 to {MOST_STEPS} steps, found `{found}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read_in_any_order() {
        let found = parse("--out a.svg --steps 7 --quick").unwrap();
        assert_eq!(found, Options { quick: true, steps: 7, out: "a.svg".into() });
        assert_eq!(parse("--quick").unwrap().steps, QUICK_STEPS);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, expected) in [("--stps", "`--stps`"), ("--steps", "after --steps"), ("--steps 0", "found `0`")] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
