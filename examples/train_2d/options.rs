//! The command line.

use clap::Parser;
use std::path::PathBuf;

/// A diffusion model from end to end on the GPU.
#[derive(Parser, Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// One short training instead of nine, and all checks
    #[arg(long)]
    pub quick: bool,
    /// Training steps
    #[arg(long, value_name = "N", default_value = "800", default_value_if("quick", "true", QUICK_STEPS),
          value_parser = clap::value_parser!(u32).range(1..=MOST_STEPS))]
    pub steps: u32,
    /// The picture's file
    #[arg(long, value_name = "FILE.svg", default_value = "out/train_2d.svg")]
    pub out: PathBuf,
}

/// The most steps whose random keys a plan takes ([`Drawn::steps`](tweedie::gpu::Drawn::steps)).
const MOST_STEPS: i64 = 65_536;
const QUICK_STEPS: &str = "400";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, clap::Error> {
        Options::try_parse_from(std::iter::once("train_2d").chain(line.split_whitespace()))
    }

    #[test]
    fn options_are_read_in_any_order() {
        let found = parse("--out a.svg --steps 7 --quick").unwrap();
        assert_eq!(found, Options { quick: true, steps: 7, out: "a.svg".into() });
        assert_eq!(parse("--quick").unwrap().steps.to_string(), QUICK_STEPS);
        assert_eq!(parse("").unwrap().steps, 800);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, expected) in [("--stps", "'--stps'"), ("--steps", "required for '--steps"), ("--steps 0", "'0'")] {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
