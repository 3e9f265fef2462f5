//! The quantities that a tensor can hold: points of the plane of the clean sample and the noise.

use super::entry::{Catalogue, Entry, Make};
use super::error::CatalogError;
use super::parameter::{ABOVE_ZERO, FINITE, Parameter};
use crate::math::edm::SigmaData;
use crate::math::quantity::Quantity;
use std::str::FromStr;

impl Quantity {
    /// Every quantity, with the names under which networks and libraries know it.
    pub const CATALOGUE: Catalogue<Make<Self>> = Catalogue { entries: ENTRIES };
}

/// Accepts the names and synonyms of the catalogue. `edm` has the paper's standard deviation of the data, 0.5; `edm:1` has 1, and
/// so does `trigflow:1`.
impl FromStr for Quantity {
    type Err = CatalogError;

    fn from_str(text: &str) -> Result<Self, CatalogError> {
        let Some((name, sigma_data)) = text.split_once(':') else { return Self::CATALOGUE.find(text)?.build(&[]) };
        let sigma_data = sigma_data.trim().parse().map_err(|_| Self::CATALOGUE.unknown(text))?;
        Self::CATALOGUE.find(name)?.build(&[(SIGMA_DATA.name, sigma_data)])
    }
}

/// The standard deviation of the data. The default is that of Karras et al. 2022 (arXiv 2206.00364) for images in `-1..=1`.
pub(super) const SIGMA_DATA: Parameter = Parameter::new(
    "sigma_data",
    SigmaData::KARRAS.value(),
    [ABOVE_ZERO, FINITE],
    "standard deviation of the data that the network was trained on",
);

const ENTRIES: &[Entry<Make<Quantity>>] = &[
    Entry::new("quantity", "x_t", &["noisy", "noisy_sample"], "the noisy sample alpha*x0 + sigma*epsilon", &[], |_| {
        Ok(Quantity::Xt)
    }),
    Entry::new(
        "quantity",
        "x0",
        &["sample", "x_start", "start_x", "pred_x0", "pred_xstart", "clean", "pred_original_sample"],
        "the clean sample",
        &[],
        |_| Ok(Quantity::X0),
    ),
    Entry::new(
        "quantity",
        "epsilon",
        &["eps", "noise", "pred_noise"],
        "the noise, of unit variance (Ho et al. 2020)",
        &[],
        |_| Ok(Quantity::Epsilon),
    ),
    Entry::new(
        "quantity",
        "v",
        &["v_prediction", "velocity", "v_pred", "pred_v"],
        "alpha*epsilon - sigma*x0 (Salimans & Ho 2022)",
        &[],
        |_| Ok(Quantity::V),
    ),
    Entry::new(
        "quantity",
        "score",
        &[],
        "the gradient of the log density, -epsilon/sigma (Song et al. 2021)",
        &[],
        |_| Ok(Quantity::Score),
    ),
    Entry::new(
        "quantity",
        "flow",
        &["flow_prediction", "flow_velocity", "u", "rectified_flow"],
        "the velocity epsilon - x0 of rectified flow (Liu et al. 2022)",
        &[],
        |_| Ok(Quantity::Flow),
    ),
    Entry::new(
        "quantity",
        "edm",
        &["karras"],
        "the output of a preconditioned network (Karras et al. 2022)",
        &[SIGMA_DATA],
        |values| Ok(Quantity::Edm(SigmaData::new(values.number("sigma_data"))?)),
    ),
    Entry::new(
        "quantity",
        "rising-flow",
        &["negative_flow", "clean_minus_noise"],
        "the velocity x0 - epsilon of a flow whose time runs from noise to data (Liu et al. 2022)",
        &[],
        |_| Ok(Quantity::RisingFlow),
    ),
    Entry::new(
        "quantity",
        "trigflow",
        &["scm"],
        "edm with the opposite sign: TrigFlow (Lu & Song 2024), EDM's v_prediction",
        &[SIGMA_DATA],
        |values| Ok(Quantity::TrigFlow(SigmaData::new(values.number("sigma_data"))?)),
    ),
];
