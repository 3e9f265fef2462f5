//! A model of each process, for networks that have no entry of their own.

use super::entry::{Catalogue, Entry, Make, Values};
use super::error::CatalogError;
use super::parameter::Parameter;
use super::quantities::SIGMA_DATA;
use super::schedules::TIMESTEPS;
use crate::math::edm::SigmaData;
use crate::math::model::Model;
use crate::math::quantity::Quantity;
use crate::math::schedule::Schedule;

impl Model {
    /// A model of each process, with its usual schedule and prediction.
    pub const PROCESSES: Catalogue<Make<Self>> = Catalogue { entries: ENTRIES };
}

const LENGTH: &[Parameter] = &[TIMESTEPS];

const PRECONDITIONED: &[Parameter] = &[TIMESTEPS, SIGMA_DATA];

const ENTRIES: &[Entry<Make<Model>>] = &[
    Entry::new("process", "vp", &["variance-preserving"], "alpha^2 + sigma^2 = 1 (Ho et al. 2020)", LENGTH, |v| {
        model("linear", v, Quantity::Epsilon)
    }),
    Entry::new("process", "ve", &["variance-exploding"], "alpha = 1 (Song et al. 2021)", LENGTH, |v| {
        model("variance-exploding", v, Quantity::Epsilon)
    }),
    Entry::new(
        "process",
        "edm",
        &["karras"],
        "alpha = 1, a preconditioned network (Karras et al. 2022)",
        PRECONDITIONED,
        |v| model("variance-exploding", v, Quantity::Edm(data(v)?)),
    ),
    Entry::new(
        "process",
        "flow",
        &["rectified-flow", "flow-matching"],
        "alpha = 1 - sigma, the velocity epsilon - x0 (Esser et al. 2024)",
        LENGTH,
        |v| model("rectified-flow", v, Quantity::Flow),
    ),
    Entry::new(
        "process",
        "rising-flow",
        &["inverted-flow"],
        "alpha = 1 - sigma, the velocity x0 - epsilon, a time from noise to data (Liu et al. 2022)",
        LENGTH,
        |v| model("rectified-flow", v, Quantity::RisingFlow),
    ),
    Entry::new(
        "process",
        "trigflow",
        &["scm"],
        "alpha = cos(t), sigma = sigma_data*sin(t) (Lu & Song 2024)",
        PRECONDITIONED,
        |v| Ok(Model::trig_flow(v.count(TIMESTEPS.name), data(v)?)?),
    ),
];

fn data(values: &Values) -> Result<SigmaData, CatalogError> {
    Ok(SigmaData::new(values.number(SIGMA_DATA.name))?)
}

fn model(schedule: &str, values: &Values, prediction: Quantity) -> Result<Model, CatalogError> {
    let timesteps = (TIMESTEPS.name, values.number(TIMESTEPS.name));
    Ok(Model::new(Schedule::CATALOGUE.find(schedule)?.build(&[timesteps])?, prediction))
}
