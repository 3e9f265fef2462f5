//! The command line.

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Measures the digits that three networks generate, and draws the results.
#[derive(Parser)]
#[command(name = "digits_study")]
pub struct Options {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Generates digits with every setting, and measures their distances from real ones and their classes
    Measure(Measure),
    /// Draws results of `measure` and of `evaluate.py` as SVG
    Draw(Draw),
}

/// Every combination of the lists is measured.
#[derive(Args, Clone, Debug)]
pub struct Measure {
    /// The file of results, rewritten after each setting
    #[arg(long, value_name = "FILE", default_value = "out/digits_study.json")]
    pub out: PathBuf,
    /// The quantities that the networks predict
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "v,x0,epsilon",
          value_parser = PossibleValuesParser::new(["v", "x0", "epsilon"]))]
    pub predicts: Vec<String>,
    /// Samplers, as `tweedie list samplers` names them
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "ddim,dpm++,unipc,ddpm")]
    pub solvers: Vec<String>,
    /// Calls of the network; a sampler takes as many steps as these allow
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "8,16,32",
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub calls: Vec<u16>,
    /// Scales of classifier-free guidance; 1 means no guidance
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "1", allow_negative_numbers = true,
          value_parser = finite)]
    pub guidance: Vec<f64>,
    /// Whether the clean sample of each call is clipped to -1..1
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "on,off")]
    pub clipping: Vec<Clipping>,
    /// Digits per setting, of all classes in turn
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u16).range(10..))]
    pub samples: u16,
    /// The seed of the noise; all settings begin with the same
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// The adapter: its index or a part of its name [default: the best one]
    #[arg(long, value_name = "ADAPTER")]
    pub adapter: Option<String>,
}

#[derive(Args, Clone, Debug)]
pub struct Draw {
    /// Results of `measure`
    #[arg(required = true, value_name = "FILE")]
    pub study: Vec<PathBuf>,
    /// Results of `evaluate.py`
    #[arg(long, value_name = "FILE")]
    pub levels: Option<PathBuf>,
    /// The folder of the pictures
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
}

/// The treatment of clean samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Clipping {
    On,
    Off,
}

fn finite(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| "expected a finite number".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(line: &str) -> Result<Measure, clap::Error> {
        let words = ["digits_study", "measure"].into_iter().chain(line.split_whitespace());
        Options::try_parse_from(words).map(|options| match options.command {
            Command::Measure(measure) => measure,
            Command::Draw(_) => unreachable!("the line says measure"),
        })
    }

    #[test]
    fn lists_are_read() {
        let found = measure("--calls 8,20 --clipping off --guidance 1,-0.5 --solvers heun").unwrap();
        assert_eq!((found.calls, found.clipping), (vec![8, 20], vec![Clipping::Off]));
        assert_eq!((found.guidance, found.solvers), (vec![1.0, -0.5], vec!["heun".to_owned()]));
        let usual = measure("").unwrap();
        assert_eq!(usual.predicts.len() * usual.solvers.len() * usual.calls.len() * usual.clipping.len(), 72);
    }

    #[test]
    fn wrong_values_are_named() {
        for (line, expected) in [
            ("--calls 8,0", "0 is not in 1..=1000"),
            ("--calls 8,x", "'x'"),
            ("--samples 9", "9 is not in 10.."),
            ("--predicts score", "[possible values: v, x0, epsilon]"),
            ("--guidance NaN", "expected a finite number"),
            ("--clipping maybe", "[possible values: on, off]"),
        ] {
            let error = measure(line).unwrap_err().to_string();
            assert!(error.contains(expected), "{line}: {error}");
        }
        assert!(Options::try_parse_from(["digits_study", "draw"]).is_err());
    }
}
