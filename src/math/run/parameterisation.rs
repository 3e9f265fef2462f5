//! What a network's output means to a ComfyUI sampler.

use crate::math::catalog::entry::{Catalogue, Entry};

/// What a network's output means, after ComfyUI's class of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Parameterisation {
    /// The noise.
    Epsilon,
    /// The velocity of a variance-preserving process (Salimans & Ho 2022).
    V,
    /// The output of a preconditioned network (Karras et al. 2022).
    Edm,
    /// The clean sample.
    CleanSample,
    /// The velocity of a rectified flow.
    Flow,
    /// The velocity of a rectified flow that is run in variance-exploding coordinates (Cosmos).
    CosmosFlow,
    /// The noise, of a consistency model whose boundary condition is imposed (Luo et al. 2023).
    Consistency,
    /// The clean sample, of a network whose input is not scaled.
    ImageToImage,
    /// The clean sample, of a network on a rectified flow.
    FlowImageToImage,
}

impl Parameterisation {
    /// Every parameterisation.
    pub const CATALOGUE: Catalogue<Self> = Catalogue { entries: PARAMETERISATIONS };

    /// True where a noisy sample is `(1 - sigma)*x0 + sigma*epsilon`.
    pub(super) const fn is_flow(self) -> bool {
        matches!(self, Self::Flow | Self::FlowImageToImage)
    }
}

const KIND: &str = "parameterisation";

const PARAMETERISATIONS: &[Entry<Parameterisation>] = &[
    Entry::new(KIND, "EPS", &["epsilon"], "the noise", &[], Parameterisation::Epsilon),
    Entry::new(
        KIND,
        "V_PREDICTION",
        &["v", "V_PREDICTION_EDM", "V_PREDICTION_CONTINUOUS"],
        "the velocity v",
        &[],
        Parameterisation::V,
    ),
    Entry::new(KIND, "EDM", &[], "the output of a preconditioned network", &[], Parameterisation::Edm),
    Entry::new(KIND, "X0", &[], "the clean sample", &[], Parameterisation::CleanSample),
    Entry::new(KIND, "CONST", &["FLOW", "FLUX"], "the velocity of a rectified flow", &[], Parameterisation::Flow),
    Entry::new(
        KIND,
        "COSMOS_RFLOW",
        &["FLOW_COSMOS"],
        "the velocity of a rectified flow in variance-exploding coordinates",
        &[],
        Parameterisation::CosmosFlow,
    ),
    Entry::new(
        KIND,
        "LCM",
        &[],
        "the noise, with the boundary condition of a consistency model",
        &[],
        Parameterisation::Consistency,
    ),
    Entry::new(
        KIND,
        "IMG_TO_IMG",
        &[],
        "the clean sample; the input is not scaled",
        &[],
        Parameterisation::ImageToImage,
    ),
    Entry::new(
        KIND,
        "IMG_TO_IMG_FLOW",
        &[],
        "the clean sample on a rectified flow",
        &[],
        Parameterisation::FlowImageToImage,
    ),
];
