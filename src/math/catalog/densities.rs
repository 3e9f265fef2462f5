//! The densities from which training timesteps are drawn.

use super::entry::{Catalogue, Entry, Make, Values};
use super::parameter::{ABOVE_ZERO, FINITE, Parameter};
use crate::math::timestep_density::{Density, MODE_LIMIT};

impl Density {
    /// Every density of timesteps that is described by numbers.
    pub const CATALOGUE: Catalogue<Make<Self>> = Catalogue { entries: ENTRIES };
}

const fn normal(mean: f64, deviation: f64) -> [Parameter; 2] {
    [
        Parameter::new("mean", mean, [-FINITE, FINITE], "mean of the normal distribution"),
        Parameter::new("deviation", deviation, [ABOVE_ZERO, FINITE], "standard deviation of the normal distribution"),
    ]
}

const ENTRIES: &[Entry<Make<Density>>] = &[
    Entry::new("density", "uniform", &["none"], "every time equally likely (Ho et al. 2020)", &[], |_| {
        Ok(Density::Uniform)
    }),
    Entry::new(
        "density",
        "logit-normal",
        &["sd3"],
        "the sigmoid of a normal (Esser et al. 2024, eq. 19)",
        &normal(0.0, 1.0),
        |values| Ok(Density::LogitNormal { mean: mean(values), deviation: deviation(values) }),
    ),
    Entry::new(
        "density",
        "mode",
        &["mode_heavy_tails"],
        "more of the middle, with heavy tails (Esser et al. 2024, eq. 20)",
        &[Parameter::new("scale", 1.29, [-1.0, MODE_LIMIT], "above 0 favours the middle, below 0 the ends")],
        |values| Ok(Density::Mode { scale: values.number("scale") }),
    ),
    Entry::new(
        "density",
        "log-normal",
        &["edm", "karras"],
        "sigma/alpha is the exponential of a normal (Karras et al. 2022, table 1)",
        &normal(-1.2, 1.2),
        |values| Ok(Density::LogNormal { mean: mean(values), deviation: deviation(values) }),
    ),
];

fn mean(values: &Values) -> f64 {
    values.number("mean")
}

fn deviation(values: &Values) -> f64 {
    values.number("deviation")
}
