//! The facts of recipes in words, for lists and pages.

use super::facts::UsualGuidance;
use super::grid::{GridRule, Shift, TimeList};
use crate::math::model::Told;
use crate::math::placement::Placement;
use crate::math::spacing::Spacing;
use std::fmt::{Display, Formatter, Result};

impl Display for GridRule {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Usual => f.write_str("the sampler's own"),
            Self::Placed(Placement::Timesteps(Spacing::Leading { offset })) if *offset > 0 => {
                write!(f, "leading spacing, offset {offset}")
            }
            Self::Placed(placement @ Placement::Timesteps(_)) => write!(f, "{} spacing", placement.name()),
            Self::Placed(placement) => write!(f, "{} sigmas", placement.name()),
            Self::Times { list, shift, terminal } => {
                write!(f, "{list}, {shift}")?;
                terminal.map_or(Ok(()), |terminal| write!(f, ", stretched to {terminal}"))
            }
            Self::Listed(list) => {
                let numbers: Vec<String> = list.iter().map(f64::to_string).collect();
                f.write_str(&numbers.join(", "))
            }
            Self::LinearQuadratic { threshold } => write!(f, "linear, then quadratic, threshold {threshold}"),
            Self::Normal { deviation, log_snr: [least, most] } => write!(
                f,
                "quantiles of a normal distribution of deviation {deviation}, mean ln(pixels/512^2)/2, log SNR in {least}..{most}"
            ),
            Self::Exploding { sigmas: [least, most] } => {
                write!(f, "karras sigmas from {most} to {least}, as times sigma/(1 + sigma)")
            }
        }
    }
}

impl Display for TimeList {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Even => "1 - i/n",
            Self::Ends => "1 to the shift of 0.001",
            Self::BeforeLast => "n of n + 1 from 1 to 0.001",
            Self::FromData => "n of n + 1 from 0.999 to 0",
            Self::Thousandths => "whole thousandths from 1",
            Self::Points => "n points from 1 to 0",
        })
    }
}

impl Display for Shift {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Fixed(1.0) => f.write_str("no shift"),
            Self::Fixed(shift) => write!(f, "shift {shift}"),
            Self::Line([(from, low), (to, high)]) => {
                write!(f, "ln(shift) from {low} at {from} tokens to {high} at {to}")
            }
            Self::Empirical => f.write_str("shift by tokens and steps"),
            Self::Root => f.write_str("shift 0.75*sqrt(tokens/256) + 0.25"),
            Self::ByArea([small, large]) => write!(f, "shift {small} at 480p, {large} above"),
        }
    }
}

impl Display for UsualGuidance {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Unknown => f.write_str("not known"),
            Self::Off => f.write_str("none"),
            Self::Scale(scale) => write!(f, "{scale}"),
            Self::Normed(scale) => write!(f, "{scale}, with the norm of the conditional"),
            Self::Embedded(scale) => write!(f, "embedded {scale}"),
            Self::OverFrames([from, to]) => write!(f, "{from} to {to} over the frames"),
            Self::Between([from, to]) => write!(f, "{from} to {to}"),
            Self::Terms(terms) => {
                let each: Vec<String> = terms.iter().map(|(name, scale)| format!("{name} {scale}")).collect();
                f.write_str(&each.join(", "))
            }
        }
    }
}

/// The formula of the number that a network is given: `1000*t`, `ln(sigma)/4`.
impl Display for Told {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Timestep => f.write_str("timestep"),
            Self::Time(1.0) => f.write_str("t"),
            Self::Time(scale) => write!(f, "{scale}*t"),
            Self::RisingTime(1.0) => f.write_str("1 - t"),
            Self::RisingTime(scale) => write!(f, "{scale}*(1 - t)"),
            Self::Sigma => f.write_str("sigma"),
            Self::LogSigma => f.write_str("ln(sigma)/4"),
            Self::CosineTime(_) => f.write_str("time in 0..1"),
            Self::ScaledLogSigma(scale) => write!(f, "{scale}*ln(sigma)"),
            Self::Angle(_) => f.write_str("angle"),
            Self::QuarterTurns => f.write_str("atan(sigma)*2/pi"),
        }
    }
}
