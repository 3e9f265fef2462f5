//! The parts of `tweedie study`: the data, what is measured of them on the GPU, what follows, and what is drawn.
//!
//! **Theory.** A parameterization is a direction in the plane of (x0, epsilon); see the library's first page. How its
//! target varies, how its errors grow on the way to x0 and epsilon, and how a plain loss on it weighs the timesteps all
//! follow from that direction, from the noise level, and from one number of the data: their variance.
//!
//! **Practice.** Everything that is reported was measured on the adapter with the user's own data, and is compared
//! with its formula in f64; where the two disagree, the study fails and draws nothing.

pub(crate) mod advice;
pub mod data;
pub(crate) mod drawing;
pub(crate) mod format;
pub(crate) mod measure;
pub(crate) mod measurement;
pub(crate) mod report;
pub(crate) mod results;
pub(crate) mod storage_loss;
pub(crate) mod textbook_claims;

use tweedie::Quantity;
use tweedie::math::{SigmaData, Weight};

/// The parameterizations to choose from.
pub const CHOICES: [Quantity; 3] = [Quantity::Epsilon, Quantity::X0, Quantity::V];

/// All targets that are measured; the choices come first.
pub const TARGETS: [Quantity; 6] =
    [Quantity::Epsilon, Quantity::X0, Quantity::V, Quantity::Flow, Quantity::Score, Quantity::Edm(SigmaData::KARRAS)];

/// Quantities that every prediction is converted to.
pub const WANTED: [Quantity; 2] = [Quantity::X0, Quantity::Epsilon];

/// The levels of a batch, few enough to keep its tensors at a few tens of megabytes at most.
pub(crate) const LEVELS: usize = 32;

/// The relative error that predictions are given: noise of this size relative to the root mean square of what is predicted.
/// Conversions are linear, so what is measured does not depend on it, as long as it is far above the roundings of f32.
pub const ERROR: f64 = 1e-2;

/// The weights that are compared with plain losses, with the parameters of their papers.
pub const WEIGHTS: [(&str, Weight); 2] =
    [("min-snr, gamma 5", Weight::MinSnr { gamma: 5.0 }), ("p2, k 1, gamma 1", Weight::P2 { k: 1.0, gamma: 1.0 })];
