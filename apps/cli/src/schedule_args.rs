//! The options that describe a noise schedule, and the schedule that they build.
//!
//! Options that contradict each other are an error: if one were ignored silently, users would believe that they had measured a
//! schedule that never existed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow, bail};
use clap::Args;

use crate::names::{flag, in_flags, unknown_name};
use files::{Array, Header, TensorFile};
use tweedie::Schedule;
use tweedie::error::ScheduleError;
use tweedie::math::catalog::{CatalogError, Catalogue, Make};

/// The most training timesteps that the tool accepts.
pub const MOST_TIMESTEPS: u32 = 1 << 24;

/// The schedule that a file brings, which no catalogue can hold.
const CUSTOM: &str = "custom";

/// Other names of [`CUSTOM`].
const TRAINED_BETAS: &str = "trained_betas";

/// The default schedule.
const USUAL: &str = "linear";

/// The options that describe a noise schedule.
#[derive(Args, Clone, Debug, Default, PartialEq)]
#[command(next_help_heading = "Noise schedule (must be the one that the model was trained with)")]
pub struct ScheduleArgs {
    /// The noise schedule: how noise grows from timestep to timestep
    ///
    /// linear: DDPM. scaled-linear: Stable Diffusion. cosine: improved DDPM, called squaredcos_cap_v2 in diffusers.
    /// linear-scaled: linear, multiplied by 1000/T, as in guided-diffusion. sigmoid: diffusers' sigmoid of betas.
    /// sigmoid-abar: Jabri et al. laplace: as diffusers computes it; laplace-paper: as its paper defines it.
    /// custom: read from --betas. `tweedie list schedules` has them all. Case and `-` or `_` do not matter; the names that
    /// diffusers and guided-diffusion use are understood too. [default: linear, or custom with --betas]
    #[arg(long, value_name = "NAME", alias = "beta-schedule",
          value_parser = |text: &str| named(&Schedule::CATALOGUE, text))]
    pub schedule: Option<&'static str>,

    /// T, the number of noise levels that the model was trained on; timesteps run from 0 (almost clean) to T-1 (almost
    /// pure noise) [default: 1000, or the length of --betas]
    #[arg(long, value_name = "T", alias = "num-train-timesteps",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_TIMESTEPS)))]
    pub train_timesteps: Option<u32>,

    /// beta (the variance of the noise that one timestep adds) at timestep 0 [default: 0.0001; scaled-linear: 0.00085]
    #[arg(long, value_name = "BETA", allow_negative_numbers = true)]
    pub beta_start: Option<f64>,

    /// beta at timestep T-1 [default: 0.02; scaled-linear: 0.012]
    #[arg(long, value_name = "BETA", allow_negative_numbers = true)]
    pub beta_end: Option<f64>,

    /// sigmoid-abar: where on the sigmoid curve the schedule starts [default: -3]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub sigmoid_start: Option<f64>,

    /// sigmoid-abar: where on the sigmoid curve the schedule ends [default: 3]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub sigmoid_end: Option<f64>,

    /// sigmoid-abar: the temperature; smaller is steeper [default: 1]
    #[arg(long, value_name = "TAU", allow_negative_numbers = true)]
    pub sigmoid_tau: Option<f64>,

    /// Rescale so that the last timestep is pure noise, without any trace of the picture (zero terminal SNR); there, an
    /// epsilon prediction says nothing about the picture, but v does
    #[arg(long, alias = "rescale-betas-zero-snr")]
    pub zero_terminal_snr: bool,

    /// A safetensors file with your own schedule: a tensor `betas` of T values (or `alphas_cumprod`, which is used
    /// where there is no `betas`)
    #[arg(long, value_name = "FILE", alias = "trained-betas")]
    pub betas: Option<PathBuf>,
}

/// Our name of a schedule.
///
/// # Errors
/// All names that are accepted.
pub fn named(catalogue: &Catalogue<Make<Schedule>>, text: &str) -> Result<&'static str, String> {
    let error = match catalogue.find(text) {
        Ok(entry) => return Ok(entry.name),
        Err(error) => error,
    };
    match text.to_lowercase().replace(['-', '_', ' '], "") {
        plain if [CUSTOM, &TRAINED_BETAS.replace('_', "")].contains(&plain.as_str()) => Ok(CUSTOM),
        _ => Err(unknown_name(&error, &format!("{}, {CUSTOM} (or {TRAINED_BETAS})", catalogue.accepted()))),
    }
}

impl ScheduleArgs {
    /// Builds the schedule. Reads the file of `--betas`.
    pub fn build(&self) -> Result<Schedule> {
        self.build_from(&Schedule::CATALOGUE)
    }

    /// The same, with the schedules of a catalogue.
    pub fn build_from(&self, catalogue: &Catalogue<Make<Schedule>>) -> Result<Schedule> {
        let (name, mut numbers) = (self.name()?, self.numbers());
        if name == CUSTOM {
            if let Some((unused, _)) = numbers.first() {
                bail!("{} does not apply to the {CUSTOM} schedule", flag(unused));
            }
            let built = self.custom()?;
            let rescaled = if self.zero_terminal_snr { built.and_then(|it| it.zero_terminal_snr()) } else { built };
            return rescaled.map_err(|error| anyhow!("schedule: {error}"));
        }
        numbers.extend(self.train_timesteps.map(|t| ("train_timesteps", f64::from(t))));
        numbers.extend(self.zero_terminal_snr.then_some(("zero_terminal_snr", 1.0)));
        let entry = catalogue.find(name).map_err(|error| in_flags(&error))?;
        entry.build(&numbers).map_err(|error| refusal(&error))
    }

    /// True if the options say which levels there are, and not only how many.
    pub fn names_levels(&self) -> bool {
        self.level_option().is_some()
    }

    /// The first option that says which levels there are.
    pub fn level_option(&self) -> Option<String> {
        let named = [
            ("--schedule", self.schedule.is_some()),
            ("--betas", self.betas.is_some()),
            ("--zero-terminal-snr", self.zero_terminal_snr),
        ];
        let named = named.into_iter().find(|(_, given)| *given).map(|(option, _)| option.to_owned());
        named.or_else(|| self.numbers().first().map(|(name, _)| flag(name)))
    }

    fn name(&self) -> Result<&'static str> {
        Ok(match (self.schedule, &self.betas) {
            (None, None) => USUAL,
            (None, Some(_)) => CUSTOM,
            (Some(CUSTOM), None) => bail!("--schedule custom needs --betas FILE"),
            (Some(name), Some(_)) if name != CUSTOM => {
                bail!("--schedule {name} contradicts --betas FILE, which brings a schedule of its own")
            }
            (Some(name), _) => name,
        })
    }

    /// The given numbers that only some schedules have.
    fn numbers(&self) -> Vec<(&'static str, f64)> {
        let numbers = [
            ("beta_start", self.beta_start),
            ("beta_end", self.beta_end),
            ("sigmoid_start", self.sigmoid_start),
            ("sigmoid_end", self.sigmoid_end),
            ("sigmoid_tau", self.sigmoid_tau),
        ];
        numbers.into_iter().filter_map(|(name, number)| Some((name, number?))).collect()
    }

    /// Reads the file of `--betas`, and builds its schedule.
    fn custom(&self) -> Result<Result<Schedule, ScheduleError>> {
        let path = self.betas.as_deref().context("--schedule custom needs --betas FILE")?;
        let Array { header: Header { name, .. }, data } = read_custom(path).context("--betas")?;
        let found = data.len();
        match self.train_timesteps {
            Some(t) if t as usize != found => {
                bail!("--train-timesteps {t} contradicts --betas FILE, which holds {found} timesteps")
            }
            _ if name == "betas" => Ok(Schedule::from_betas(&data)),
            _ => Ok(Schedule::from_alphas_cumprod(&data)),
        }
    }
}

/// The error in the words of the options.
fn refusal(error: &CatalogError) -> Error {
    match error {
        CatalogError::Range { parameter, found } if parameter.name.starts_with("beta_") => {
            anyhow!("{}: expected a variance between 0 and 1, found {found}", flag(parameter.name))
        }
        CatalogError::Schedule(ScheduleError::Range { name: "sigmoid", start, end }) => {
            anyhow!("--sigmoid-start must be below --sigmoid-end, found {start} and {end}")
        }
        CatalogError::Schedule(error) => anyhow!("schedule: {error}"),
        error => in_flags(error),
    }
}

/// The tensor `betas`, or else `alphas_cumprod`.
fn read_custom(path: &Path) -> Result<Array> {
    let file = TensorFile::open(path)?;
    let by_abar = !file.has("betas") && file.has("alphas_cumprod");
    let values = file.finite_floats(if by_abar { "alphas_cumprod" } else { "betas" })?;
    let most = MOST_TIMESTEPS as usize;
    if values.shape.len() != 1 || values.data.len() > most {
        bail!(
            "{}: tensor `{}`: expected one dimension of at most {most} timesteps, found shape {:?}",
            path.display(),
            values.name,
            values.shape
        );
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use files::TensorWriter;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        schedule: ScheduleArgs,
    }

    fn built(line: &str) -> Result<Schedule> {
        let words = std::iter::once("tweedie").chain(line.split_whitespace());
        Line::try_parse_from(words)?.schedule.build()
    }

    fn refusal(line: &str) -> String {
        built(line).map_err(|error| format!("{error:#}")).expect_err(line)
    }

    #[test]
    fn defaults_follow_the_schedule() {
        let same = |line: &str, schedule: Schedule| assert_eq!(built(line).unwrap(), schedule, "{line}");
        same("", Schedule::linear(1000, 1e-4, 0.02).unwrap());
        same("--schedule scaled_linear", Schedule::scaled_linear(1000, 0.00085, 0.012).unwrap());
        same("--schedule cosine --train-timesteps 50", Schedule::cosine(50).unwrap());
        same("--schedule exponential", Schedule::exponential(1000).unwrap());
        same("--schedule JABRI", Schedule::sigmoid_abar(1000, -3.0, 3.0, 1.0).unwrap());
        let wide = "--schedule sigmoid-abar --sigmoid-start -4 --sigmoid-tau 0.5";
        same(wide, Schedule::sigmoid_abar(1000, -4.0, 3.0, 0.5).unwrap());
        let diffusers = "--beta-schedule squaredcos_cap_v2 --num-train-timesteps 7 --rescale-betas-zero-snr";
        same(diffusers, Schedule::cosine(7).unwrap().zero_terminal_snr().unwrap());
    }

    #[test]
    fn contradictions_are_errors_in_words() {
        assert_eq!(refusal("--schedule custom"), "--schedule custom needs --betas FILE");
        assert!(refusal("--schedule linear --betas f").starts_with("--schedule linear contradicts --betas"));
        assert_eq!(refusal("--schedule cosine --beta-end 0.1"), "--beta-end does not apply to the cosine schedule");
        assert_eq!(refusal("--betas f --beta-start 0.1"), "--beta-start does not apply to the custom schedule");
        assert!(refusal("--sigmoid-tau 2").contains("does not apply to the linear schedule"));
        assert!(refusal("--beta-start -1").contains("between 0 and 1, found -1"));
        assert!(refusal("--beta-end nan").contains("between 0 and 1, found NaN"));
        assert!(refusal("--schedule jabri --sigmoid-start 5").contains("below --sigmoid-end"));
        assert!(refusal("--schedule jabri --sigmoid-tau 0").contains("above 0"));
        assert!(refusal("--train-timesteps 0").contains("0 is not in"));
        assert!(refusal("--train-timesteps 16777217").contains("is not in"));
        assert!(refusal("--schedule bogus").contains("squaredcos_cap_v2"));
        let unused = "--zero-terminal-snr does not apply to the rectified-flow schedule";
        assert_eq!(refusal("--schedule flow --zero-terminal-snr").replace('_', "-"), unused);
    }

    fn betas_file(name: &str, values: &[f64], shape: &[usize]) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("betas.safetensors");
        let mut writer = TensorWriter::new();
        writer.doubles(name, shape, values).unwrap();
        writer.save(&path).unwrap();
        let argument = format!("--betas {}", path.display());
        (folder, argument)
    }

    #[test]
    fn a_file_brings_its_own_schedule() {
        let (_folder, betas) = betas_file("betas", &[0.1, 0.2], &[2]);
        assert_eq!(built(&betas).unwrap(), Schedule::from_betas(&[0.1, 0.2]).unwrap());
        assert_eq!(built(&format!("{betas} --train-timesteps 2 --schedule custom")).unwrap().len(), 2);
        assert!(refusal(&format!("{betas} --train-timesteps 3")).contains("which holds 2 timesteps"));
        let (_folder, abar) = betas_file("alphas_cumprod", &[0.9, 0.5], &[2]);
        assert_eq!(built(&abar).unwrap(), Schedule::from_alphas_cumprod(&[0.9, 0.5]).unwrap());
    }

    #[test]
    fn a_bad_file_is_refused() {
        assert!(refusal("--betas nowhere.safetensors").contains("no such file"));
        let (_folder, nan) = betas_file("betas", &[0.1, f64::NAN], &[2]);
        assert!(refusal(&nan).contains("holds NaN at sample 1"));
        let (_folder, square) = betas_file("betas", &[0.1; 4], &[2, 2]);
        assert!(refusal(&square).contains("expected one dimension"));
        let (_folder, other) = betas_file("gammas", &[0.1], &[1]);
        assert!(refusal(&other).contains("expected a tensor `betas`, found `gammas`"));
    }
}
