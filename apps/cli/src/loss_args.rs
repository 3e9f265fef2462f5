//! The options that describe a loss: its shape and its weight.

use crate::names::{find, flag, in_flags, joined, one_of, unknown_name};
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use files::TensorFile;
use std::path::PathBuf;
use tweedie::gpu::Reduction;
use tweedie::math::catalog::{Entry, Make};
use tweedie::math::{DeltaSchedule, Weight};
use tweedie::table::Penalty;

/// The weight that a file brings, which no catalogue can hold.
const TABLE: &str = "table";

/// The options that describe a loss.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Loss")]
pub struct LossArgs {
    /// The loss of an element, given its error d
    ///
    /// mse: d^2. l1: |d|. huber: d^2/2 up to |d| = delta, then delta (|d| - delta/2). smooth-l1: huber divided by delta.
    /// pseudo-huber: sqrt(d^2 + delta^2) - delta. The first four are those of torch, pseudo-huber that of diffusers'
    /// training scripts.
    #[arg(long, value_name = "KIND", default_value = "mse", value_parser = |text: &str| find(&Penalty::CATALOGUE, text))]
    pub kind: &'static Entry<Make<Penalty>>,

    /// Error at which huber, smooth-l1 (there called beta) and pseudo-huber (there called c) turn from a parabola into a line
    /// [default: 1; pseudo-huber: 0.001]
    #[arg(long, value_name = "D", aliases = ["beta", "c", "huber-c"], allow_negative_numbers = true)]
    pub delta: Option<f64>,

    /// The rule by which delta changes with the timestep t of T (`huber_schedule`): constant; exponential: delta^(t/T); snr:
    /// (1 - delta)/(1 + sigma)^2 + delta, with sigma = noise/signal [default: constant]
    #[arg(long, value_name = "RULE", alias = "huber-schedule", value_parser = one_of(DeltaSchedule::CATALOGUE, |_| true))]
    pub delta_schedule: Option<DeltaSchedule>,

    /// The weight of a timestep's loss, from its signal-to-noise ratio snr
    ///
    /// For a loss on x0: snr; min-snr: min(snr, gamma); soft-min-snr: snr gamma/(snr + gamma); max-snr (or trunc-snr):
    /// max(snr, gamma); p2: snr/(k + snr)^gamma; edm: snr + 1/sigma_data^2; sigmoid: soft-min-snr with gamma = e^bias;
    /// sid2: sigmoid times the speed of the log snr. A loss on another quantity gets the weight that makes it the same
    /// loss, such as min(snr, gamma)/snr on epsilon and min(snr, gamma)/(snr + 1) on v. For a loss on any quantity,
    /// as it is: cosmap: 2/(pi (1 - 2t + 2t^2)) and sigma-sqrt: t^-2, at a flow's time t; table: the factors of --weights.
    #[arg(long, value_name = "WEIGHT", default_value = "none", value_parser = weight_name)]
    pub weight: &'static str,

    /// The gamma of a weight [default: min-snr 5, soft-min-snr 4, max-snr 1, p2 1]
    #[arg(long, value_name = "G", aliases = ["snr-gamma", "p2-gamma"], allow_negative_numbers = true)]
    pub gamma: Option<f64>,

    /// The k of p2 [default: 1]
    #[arg(long, value_name = "K", alias = "p2-k", allow_negative_numbers = true)]
    pub k: Option<f64>,

    /// The standard deviation of the data, for the weight edm [default: 0.5]
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub sigma_data: Option<f64>,

    /// The bias of sigmoid and sid2 [default: 0]
    #[arg(long, value_name = "B", allow_negative_numbers = true)]
    pub bias: Option<f64>,

    /// A safetensors file with a tensor `weights`, one for each timestep, for --weight table
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,

    /// The loss whose gradient is written: the sum of the samples' losses (each the mean over its elements), or their mean
    #[arg(long, value_name = "sum|mean", default_value = "sum", value_parser = gradient_of)]
    pub grad_of: Reduction,
}

fn gradient_of(text: &str) -> Result<Reduction, String> {
    match text.to_lowercase().as_str() {
        "sum" => Ok(Reduction::Sum),
        "mean" => Ok(Reduction::Mean),
        _ => Err("expected sum or mean".to_owned()),
    }
}

/// Our name of a weight.
fn weight_name(text: &str) -> Result<&'static str, String> {
    match text.to_lowercase().as_str() {
        TABLE | "custom" => Ok(TABLE),
        _ => match Weight::CATALOGUE.find(text) {
            Ok(entry) => Ok(entry.name),
            Err(error) => Err(unknown_name(&error, &format!("{}, {TABLE}", joined(&Weight::CATALOGUE)))),
        },
    }
}

impl LossArgs {
    /// The loss of an element, with its delta.
    pub fn penalty(&self) -> Result<Penalty> {
        let (entry, delta) = (self.kind, self.delta.map(|delta| ("delta", delta)));
        if delta.is_some() && entry.parameter("delta").is_none() {
            bail!("--delta does not apply to the loss {}", entry.name);
        }
        // The number of pseudo-huber is called c in its paper and in the library's errors.
        let spell = |name: &str| if entry.name == "pseudo-huber" { "c".to_owned() } else { name.to_owned() };
        let built = entry.build(delta.as_slice());
        built.map_err(|error| anyhow!("--delta of {}: {}", entry.name, error.describe(spell)))
    }

    /// The rule by which delta changes with the timestep, and the delta it is given; `None` for a constant delta.
    pub fn deltas(&self) -> Result<Option<(DeltaSchedule, f64)>> {
        let Some(rule) = self.delta_schedule.filter(|rule| *rule != DeltaSchedule::Constant) else { return Ok(None) };
        let Some(parameter) = self.kind.parameter("delta") else {
            bail!("--delta-schedule does not apply to the loss {}", self.kind.name);
        };
        let delta = self.delta.or(parameter.default).context("--delta-schedule needs --delta D")?;
        Ok(Some((rule, delta)))
    }

    /// The loss of an element with another delta; `None` where it takes no such delta.
    pub fn penalty_at(&self, delta: f64) -> Option<Penalty> {
        self.kind.build(&[("delta", delta)]).ok()
    }

    /// The weight, with its numbers. Reads the file of `--weights`.
    pub fn weight(&self) -> Result<Weight> {
        let numbers = [("gamma", self.gamma), ("k", self.k), ("sigma_data", self.sigma_data), ("bias", self.bias)];
        let entry = Weight::CATALOGUE.find(self.weight).ok();
        let given: Vec<_> = numbers.into_iter().filter_map(|(name, number)| Some((name, number?))).collect();
        let unused = |name: &str| entry.is_none_or(|entry| entry.parameter(name).is_none());
        let weights = self.weights.as_ref().filter(|_| entry.is_some()).map(|_| "weights");
        if let Some(name) = given.iter().map(|(name, _)| *name).filter(|name| unused(name)).chain(weights).next() {
            bail!("{} does not apply to the weight {}", flag(name), self.weight);
        }
        match entry {
            Some(entry) => entry.build(&given).map_err(|error| in_flags(&error)),
            None => Ok(Weight::Table(self.table()?)),
        }
    }

    fn table(&self) -> Result<Vec<f64>> {
        let path = self.weights.as_deref().context("--weight table needs --weights FILE")?;
        let values = TensorFile::open(path).and_then(|file| file.finite_floats("weights")).context("--weights")?;
        if values.shape.len() != 1 {
            bail!("--weights: {}: expected one dimension, found shape {:?}", path.display(), values.shape);
        }
        Ok(values.data)
    }
}
