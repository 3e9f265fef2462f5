//! Loss weights, and the shapes of losses.

use super::entry::{Catalogue, Entry, Make, Values};
use super::parameter::{ABOVE_ZERO, FINITE, Parameter};
use super::quantities::SIGMA_DATA;
use crate::math::delta_schedule::DeltaSchedule;
use crate::math::edm::SigmaData;
use crate::math::weight::Weight;
use crate::table::loss::Penalty;

impl Weight {
    /// Every loss weight that is described by numbers; [`Weight::Table`] holds any other.
    pub const CATALOGUE: Catalogue<Make<Self>> = Catalogue { entries: WEIGHTS };
}

impl Penalty {
    /// Every shape of a loss.
    pub const CATALOGUE: Catalogue<Make<Self>> = Catalogue { entries: PENALTIES };
}

impl DeltaSchedule {
    /// Every rule for the delta of a loss at a timestep.
    pub const CATALOGUE: Catalogue<Make<Self>> = Catalogue { entries: DELTAS };
}

const DELTAS: &[Entry<Make<DeltaSchedule>>] = &[
    Entry::new("delta schedule", "constant", &["none"], "the same delta at every timestep", &[], |_| {
        Ok(DeltaSchedule::Constant)
    }),
    Entry::new("delta schedule", "exponential", &[], "delta^(t/T): 1 at timestep 0", &[], |_| {
        Ok(DeltaSchedule::Exponential)
    }),
    Entry::new("delta schedule", "snr", &[], "(1 - delta)/(1 + sigma)^2 + delta: 1 without noise", &[], |_| {
        Ok(DeltaSchedule::Snr)
    }),
];

/// The signal-to-noise ratio at which a weight bends.
const fn gamma(default: f64) -> Parameter {
    Parameter::new("gamma", default, [ABOVE_ZERO, FINITE], "signal-to-noise ratio at which the weight bends")
}

/// The constants of Choi et al. 2022 (arXiv 2204.00227).
const P2: &[Parameter] = &[
    Parameter::new("k", 1.0, [0.0, FINITE], "added to the signal-to-noise ratio"),
    Parameter::new("gamma", 1.0, [0.0, FINITE], "exponent; 0 leaves epsilon's loss as it is"),
];

const BIAS: &[Parameter] = &[Parameter::new("bias", 0.0, [-FINITE, FINITE], "higher weighs the finer detail more")];

const WEIGHTS: &[Entry<Make<Weight>>] = &[
    Entry::new("weight", "none", &["constant", "uniform", "1"], "no weight: 1 at every timestep", &[], |_| {
        Ok(Weight::None)
    }),
    Entry::new("weight", "snr", &[], "a uniform loss on epsilon (Salimans & Ho 2022)", &[], |_| Ok(Weight::Snr)),
    Entry::new(
        "weight",
        "min-snr",
        &["min_snr_gamma", "vmin_snr"],
        "min(snr, gamma) on x0 (Hang et al. 2023)",
        &[gamma(5.0)],
        |v| Ok(Weight::MinSnr { gamma: v.number("gamma") }),
    ),
    Entry::new(
        "weight",
        "soft-min-snr",
        &["soft_min_snr_gamma"],
        "snr*gamma/(snr + gamma) on x0 (Crowson et al. 2024)",
        &[gamma(4.0)],
        |v| Ok(Weight::SoftMinSnr { gamma: v.number("gamma") }),
    ),
    Entry::new(
        "weight",
        "max-snr",
        &["trunc_snr", "truncated_snr", "truncated"],
        "max(snr, gamma) on x0 (Salimans & Ho 2022)",
        &[gamma(1.0)],
        |v| Ok(Weight::MaxSnr { gamma: v.number("gamma") }),
    ),
    Entry::new("weight", "p2", &["p2-weighting"], "1/(k + snr)^gamma on epsilon (Choi et al. 2022)", P2, |v| {
        Ok(Weight::P2 { k: v.number("k"), gamma: v.number("gamma") })
    }),
    Entry::new("weight", "edm", &["karras"], "snr + 1/sigma_data^2 on x0 (Karras et al. 2022)", &[SIGMA_DATA], |v| {
        Ok(Weight::Edm(SigmaData::new(v.number("sigma_data"))?))
    }),
    Entry::new("weight", "sigmoid", &[], "sigmoid(bias - ln(snr)) on epsilon (Kingma & Gao 2023)", BIAS, |v| {
        Ok(Weight::Sigmoid { bias: v.number("bias") })
    }),
    Entry::new(
        "weight",
        "sid2",
        &["simpler-diffusion"],
        "sigmoid times the speed of the log SNR (Hoogeboom et al. 2024)",
        BIAS,
        |v| Ok(Weight::Sid2 { bias: v.number("bias") }),
    ),
    Entry::new(
        "weight",
        "cosmap",
        &[],
        "2/(pi (1 - 2t + 2t^2)) at a flow's time t, whatever the loss is on (Esser et al. 2024)",
        &[],
        |_| Ok(Weight::Cosmap),
    ),
    Entry::new(
        "weight",
        "sigma-sqrt",
        &[],
        "t^-2 at a flow's time t, whatever the loss is on, as in diffusers' training of Stable Diffusion 3",
        &[],
        |_| Ok(Weight::SigmaSqrt),
    ),
];

/// The error at which a parabola turns into a line.
const fn delta(default: f64, min: f64) -> Parameter {
    Parameter::new("delta", default, [min, FINITE], "error at which the parabola turns into a line")
}

const PENALTIES: &[Entry<Make<Penalty>>] = &[
    Entry::new("loss", "mse", &["l2", "mse_loss", "l2_loss", "squared"], "the squared error d^2", &[], |_| {
        Ok(Penalty::MSE)
    }),
    Entry::new("loss", "l1", &["mae", "l1_loss", "absolute"], "the absolute error |d|", &[], |_| Ok(Penalty::L1)),
    Entry::new(
        "loss",
        "huber",
        &["huber_loss"],
        "d^2/2 up to delta, then delta*(|d| - delta/2) (Huber 1964), as in torch",
        &[delta(1.0, ABOVE_ZERO)],
        |v| Ok(Penalty::huber(bend(v))?),
    ),
    Entry::new(
        "loss",
        "smooth-l1",
        &["smooth_l1_loss"],
        "huber divided by delta, which torch calls beta",
        &[delta(1.0, 0.0)],
        |v| Ok(Penalty::smooth_l1(bend(v))?),
    ),
    Entry::new(
        "loss",
        "pseudo-huber",
        &["pseudo_huber_loss"],
        "sqrt(d^2 + delta^2) - delta (Luo et al. 2023), where delta is called c",
        &[delta(0.001, 0.0)],
        |v| Ok(Penalty::pseudo_huber(bend(v))?),
    ),
];

fn bend(values: &Values) -> f64 {
    values.number("delta")
}
