//! The options that describe a noise schedule, and the schedule that they build.
//!
//! A contradiction is an error in words: an option that is silently ignored would let somebody believe that they
//! have measured a schedule which never existed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;

use crate::names::Named;
use crate::schedule_name::ScheduleName;
use files::{Array, TensorFile};
use tweedie::Schedule;
use tweedie::error::ScheduleError;

/// The most training timesteps that the tool accepts.
pub const MOST_TIMESTEPS: u32 = 1 << 24;

/// Length of the schedule where nothing else is said; every published DDPM uses it.
const USUAL_TIMESTEPS: u32 = 1000;

/// The first and the last beta of DDPM (Ho et al. 2020).
const BETAS: (f64, f64) = (1e-4, 0.02);

/// Those of Stable Diffusion.
const SCALED_BETAS: (f64, f64) = (0.00085, 0.012);

/// The options that describe a noise schedule.
#[derive(Args, Clone, Debug, Default, PartialEq)]
#[command(next_help_heading = "Noise schedule (must be the one that the model was trained with)")]
pub struct ScheduleArgs {
    /// Growth of the noise from timestep to timestep
    ///
    /// linear: DDPM. scaled-linear: Stable Diffusion. cosine: improved DDPM, called squaredcos_cap_v2 in diffusers.
    /// linear-scaled: linear, multiplied by 1000/T, as in guided-diffusion. sigmoid: diffusers' sigmoid of betas.
    /// sigmoid-abar: Jabri et al. laplace: as diffusers computes it; laplace-paper: as its paper defines it.
    /// custom: read from --betas. Upper or lower case, `-` or `_`; the names used by diffusers and guided-diffusion are
    /// understood too. [default: linear, or custom with --betas]
    #[arg(long, value_name = "NAME", alias = "beta-schedule", value_parser = ScheduleName::parse)]
    pub schedule: Option<ScheduleName>,

    /// T, the number of noise levels that the model was trained on; timesteps run from 0 (almost clean) to T-1 (almost
    /// pure noise) [default: 1000, or as many as --betas holds]
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

    /// Rescale so that the last timestep is pure noise, without any trace of the picture (zero terminal SNR); an epsilon
    /// prediction says nothing about the picture there, v does
    #[arg(long, alias = "rescale-betas-zero-snr")]
    pub zero_terminal_snr: bool,

    /// A safetensors file with your own schedule: a tensor `betas` of T values (or `alphas_cumprod`, which is used
    /// where there is no `betas`)
    #[arg(long, value_name = "FILE", alias = "trained-betas")]
    pub betas: Option<PathBuf>,
}

impl ScheduleArgs {
    /// Builds the schedule. Reads the file of `--betas`.
    pub fn build(&self) -> Result<Schedule> {
        let name = self.name()?;
        self.refuse_unused(name)?;
        let t = self.train_timesteps.unwrap_or(USUAL_TIMESTEPS) as usize;
        let (start, end) = self.betas_between(if name == ScheduleName::ScaledLinear { SCALED_BETAS } else { BETAS })?;
        let built = match name {
            ScheduleName::Linear => Schedule::linear(t, start, end),
            ScheduleName::LinearScaled => Schedule::linear_scaled(t, start, end),
            ScheduleName::ScaledLinear => Schedule::scaled_linear(t, start, end),
            ScheduleName::Sigmoid => Schedule::sigmoid(t, start, end),
            ScheduleName::SigmoidAbar => {
                let [start, end, tau] = self.sigmoid()?;
                Schedule::sigmoid_abar(t, start, end, tau)
            }
            ScheduleName::Cosine => Schedule::cosine(t),
            ScheduleName::Laplace => Schedule::laplace(t),
            ScheduleName::LaplacePaper => Schedule::laplace_paper(t),
            ScheduleName::Custom => self.custom()?,
        };
        let rescaled = if self.zero_terminal_snr { built.and_then(|it| it.zero_terminal_snr()) } else { built };
        rescaled.map_err(|error| anyhow!("schedule: {error}"))
    }

    fn name(&self) -> Result<ScheduleName> {
        Ok(match (self.schedule, &self.betas) {
            (None, None) => ScheduleName::Linear,
            (None, Some(_)) => ScheduleName::Custom,
            (Some(ScheduleName::Custom), None) => bail!("--schedule custom needs --betas FILE"),
            (Some(name), Some(_)) if name != ScheduleName::Custom => {
                bail!("--schedule {name} contradicts --betas FILE, which brings a schedule of its own")
            }
            (Some(name), _) => name,
        })
    }

    /// An option that the schedule has no use for.
    fn refuse_unused(&self, name: ScheduleName) -> Result<()> {
        let options = [
            ("--beta-start", self.beta_start.is_some(), name.has_beta_range()),
            ("--beta-end", self.beta_end.is_some(), name.has_beta_range()),
            ("--sigmoid-start", self.sigmoid_start.is_some(), name == ScheduleName::SigmoidAbar),
            ("--sigmoid-end", self.sigmoid_end.is_some(), name == ScheduleName::SigmoidAbar),
            ("--sigmoid-tau", self.sigmoid_tau.is_some(), name == ScheduleName::SigmoidAbar),
        ];
        for (option, given, used) in options {
            if given && !used {
                bail!("{option} means nothing to the {name} schedule");
            }
        }
        Ok(())
    }

    fn betas_between(&self, (start, end): (f64, f64)) -> Result<(f64, f64)> {
        let (start, end) = (self.beta_start.unwrap_or(start), self.beta_end.unwrap_or(end));
        for (option, beta) in [("--beta-start", start), ("--beta-end", end)] {
            if !(0.0..=1.0).contains(&beta) {
                bail!("{option}: expected a variance between 0 and 1, found {beta}");
            }
        }
        Ok((start, end))
    }

    fn sigmoid(&self) -> Result<[f64; 3]> {
        let start = self.sigmoid_start.unwrap_or(-3.0);
        let end = self.sigmoid_end.unwrap_or(3.0);
        let tau = self.sigmoid_tau.unwrap_or(1.0);
        if !(start.is_finite() && end.is_finite() && start < end) {
            bail!("--sigmoid-start must be below --sigmoid-end, found {start} and {end}");
        }
        if !(tau.is_finite() && tau > 0.0) {
            bail!("--sigmoid-tau: expected a number above 0, found {tau}");
        }
        Ok([start, end, tau])
    }

    /// Reads the file of `--betas`, and then builds its schedule.
    fn custom(&self) -> Result<Result<Schedule, ScheduleError>> {
        let path = self.betas.as_deref().context("--schedule custom needs --betas FILE")?;
        let Array { name, data, .. } = read_custom(path).context("--betas")?;
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
        assert_eq!(refusal("--schedule cosine --beta-end 0.1"), "--beta-end means nothing to the cosine schedule");
        assert_eq!(refusal("--betas f --beta-start 0.1"), "--beta-start means nothing to the custom schedule");
        assert!(refusal("--sigmoid-tau 2").contains("means nothing to the linear schedule"));
        assert!(refusal("--beta-start -1").contains("between 0 and 1, found -1"));
        assert!(refusal("--beta-end nan").contains("between 0 and 1, found NaN"));
        assert!(refusal("--schedule jabri --sigmoid-start 5").contains("below --sigmoid-end"));
        assert!(refusal("--schedule jabri --sigmoid-tau 0").contains("above 0"));
        assert!(refusal("--train-timesteps 0").contains("0 is not in"));
        assert!(refusal("--train-timesteps 16777217").contains("is not in"));
        assert!(refusal("--schedule bogus").contains("squaredcos_cap_v2"));
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
