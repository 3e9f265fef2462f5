//! The options that describe a loss: its shape and its weight.

use crate::names::{Named, named};
use crate::report::warn;
use anyhow::{Context, Result, bail};
use clap::Args;
use files::TensorFile;
use std::path::PathBuf;
use tweedie::gpu::loss::Of;
use tweedie::math::{SigmaData, Weight};
use tweedie::table::Penalty;

named! {
    /// The shape of a loss.
    Kind {
        Mse: "mse" | "l2" | "mse_loss" | "l2_loss" | "squared",
        L1: "l1" | "mae" | "l1_loss" | "absolute",
        Huber: "huber" | "huber_loss",
        SmoothL1: "smooth-l1" | "smooth_l1_loss",
        PseudoHuber: "pseudo-huber" | "pseudo_huber_loss",
    }
}

named! {
    /// A weight, without its numbers.
    WeightName {
        None: "none" | "constant" | "uniform" | "1",
        Snr: "snr",
        MinSnr: "min-snr" | "min_snr_gamma" | "vmin_snr",
        SoftMinSnr: "soft-min-snr" | "soft_min_snr_gamma",
        MaxSnr: "max-snr" | "trunc_snr" | "truncated_snr" | "truncated",
        P2: "p2" | "p2-weighting",
        Edm: "edm" | "karras",
        Sigmoid: "sigmoid",
        Sid2: "sid2" | "simpler-diffusion",
        Table: "table" | "custom",
    }
}

/// The options that describe a loss.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Loss")]
pub struct LossArgs {
    /// The loss of an element, given its error d
    ///
    /// mse: d^2. l1: |d|. huber: d^2/2 up to |d| = delta, then delta (|d| - delta/2). smooth-l1: huber divided by delta.
    /// pseudo-huber: sqrt(d^2 + delta^2) - delta. All as in torch and in diffusers' training scripts.
    #[arg(long, value_name = "KIND", default_value_t = Kind::Mse, value_parser = Kind::parse)]
    pub kind: Kind,

    /// Error at which huber, smooth-l1 (there called beta) and pseudo-huber (there called c) turn from a parabola into a line
    /// [default: 1; pseudo-huber: 0.001]
    #[arg(long, value_name = "D", aliases = ["beta", "c", "huber-c"], allow_negative_numbers = true)]
    pub delta: Option<f64>,

    /// Factor of a timestep's loss, by its signal-to-noise ratio snr
    ///
    /// Said of a loss on x0: snr; min-snr: min(snr, gamma); soft-min-snr: snr gamma/(snr + gamma); max-snr (or trunc-snr):
    /// max(snr, gamma); p2: snr/(k + snr)^gamma; edm: snr + 1/sigma_data^2; sigmoid: soft-min-snr with gamma = e^bias;
    /// sid2: sigmoid times the speed of the log snr. A loss on another quantity gets the weight that makes it the same
    /// loss, such as min(snr, gamma)/snr on epsilon and min(snr, gamma)/(snr + 1) on v. table: --weights, as they are.
    #[arg(long, value_name = "WEIGHT", default_value_t = WeightName::None, value_parser = WeightName::parse)]
    pub weight: WeightName,

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

    /// A safetensors file with a tensor `weights`, one for each timestep, for the weight table
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,

    /// Gradient of the sum of the samples' losses (each the mean over its elements), or of their mean
    #[arg(long, value_name = "sum|mean", default_value = "sum", value_parser = gradient_of)]
    pub grad_of: Of,
}

fn gradient_of(text: &str) -> Result<Of, String> {
    match text.to_lowercase().as_str() {
        "sum" => Ok(Of::Sum),
        "mean" => Ok(Of::Mean),
        _ => Err("expected sum or mean".to_owned()),
    }
}

impl LossArgs {
    /// The shape, with its bend.
    pub fn penalty(&self) -> Result<Penalty> {
        let delta = |usual: f64| self.delta.unwrap_or(usual);
        if self.delta.is_some() && matches!(self.kind, Kind::Mse | Kind::L1) {
            warn(format_args!("--delta is not used: {} has none", self.kind));
        }
        let built = match self.kind {
            Kind::Mse => Ok(Penalty::MSE),
            Kind::L1 => Ok(Penalty::L1),
            Kind::Huber => Penalty::huber(delta(1.0)),
            Kind::SmoothL1 => Penalty::smooth_l1(delta(1.0)),
            Kind::PseudoHuber => Penalty::pseudo_huber(delta(0.001)),
        };
        built.with_context(|| format!("--delta of {}", self.kind))
    }

    /// The weight, with its numbers. Reads the file of `--weights`.
    pub fn weight(&self) -> Result<Weight> {
        self.mention_unused();
        let gamma = |usual: f64| self.gamma.unwrap_or(usual);
        let (k, bias) = (self.k.unwrap_or(1.0), self.bias.unwrap_or(0.0));
        Ok(match self.weight {
            WeightName::None => Weight::None,
            WeightName::Snr => Weight::Snr,
            WeightName::MinSnr => Weight::MinSnr { gamma: gamma(5.0) },
            WeightName::SoftMinSnr => Weight::SoftMinSnr { gamma: gamma(4.0) },
            WeightName::MaxSnr => Weight::MaxSnr { gamma: gamma(1.0) },
            WeightName::P2 => Weight::P2 { k, gamma: gamma(1.0) },
            WeightName::Edm => Weight::Edm(self.sigma_data.map_or(Ok(SigmaData::KARRAS), SigmaData::new)?),
            WeightName::Sigmoid => Weight::Sigmoid { bias },
            WeightName::Sid2 => Weight::Sid2 { bias },
            WeightName::Table => Weight::Table(self.table()?),
        })
    }

    fn table(&self) -> Result<Vec<f64>> {
        let path = self.weights.as_deref().context("--weight table needs --weights FILE")?;
        let values = TensorFile::open(path).and_then(|file| file.finite_floats("weights")).context("--weights")?;
        if values.shape.len() != 1 {
            bail!("--weights: {}: expected one dimension, found shape {:?}", path.display(), values.shape);
        }
        Ok(values.data)
    }

    /// A number that the weight has no use for.
    fn mention_unused(&self) {
        use WeightName::{Edm, MaxSnr, MinSnr, P2, Sid2, Sigmoid, SoftMinSnr, Table};
        let options: [(&str, bool, &[WeightName]); 5] = [
            ("--gamma", self.gamma.is_some(), &[MinSnr, SoftMinSnr, MaxSnr, P2]),
            ("--k", self.k.is_some(), &[P2]),
            ("--sigma-data", self.sigma_data.is_some(), &[Edm]),
            ("--bias", self.bias.is_some(), &[Sigmoid, Sid2]),
            ("--weights", self.weights.is_some(), &[Table]),
        ];
        for (option, given, users) in options {
            if given && !users.contains(&self.weight) {
                warn(format_args!("{option} is not used: the weight {} has none", self.weight));
            }
        }
    }
}
