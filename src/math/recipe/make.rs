//! Models of named schedules, and what a recipe adds to them.

use super::facts::{Facts, Recipe};
use super::grid::{GridRule, Shift, TimeList};
use crate::math::catalog::entry::{Entry, Make};
use crate::math::catalog::error::CatalogError;
use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::edm::SigmaData;
use crate::math::model::Model;
use crate::math::placement::Placement;
use crate::math::quantity::Quantity;
use crate::math::schedule::Schedule;

pub(super) type Made = Result<Model, CatalogError>;

/// A network at the levels of a named schedule.
pub(super) fn model(schedule: &str, given: &[(&str, f64)], prediction: Quantity) -> Made {
    Ok(Model::new(Schedule::CATALOGUE.find(schedule)?.build(given)?, prediction))
}

/// A network on Stable Diffusion's betas.
pub(super) fn scaled_linear(prediction: Quantity) -> Made {
    model("scaled-linear", &[], prediction)
}

/// A rectified flow of 1000 timesteps that predicts `epsilon - x0`.
pub(super) fn flow() -> Made {
    model("rectified-flow", &[], Quantity::Flow)
}

/// A rectified flow of 1000 timesteps that predicts `x0 - epsilon`, and whose time runs from noise to data.
pub(super) fn rising_flow() -> Made {
    model("rectified-flow", &[], Quantity::RisingFlow)
}

/// A network in EDM's form on data of this standard deviation, at sigmas between these.
pub(super) fn edm(sigma_data: f64, [least, most]: [f64; 2]) -> Made {
    let given = [("sigma_min", least), ("sigma_max", most)];
    model("variance-exploding", &given, Quantity::Edm(SigmaData::new(sigma_data)?))
}

/// A network that predicts v on Stable Diffusion's betas, with signal-to-noise ratios divided by a number and zero terminal SNR.
pub(super) fn cogvideox(divisor: f64) -> Made {
    let schedule = scaled_linear(Quantity::V)?.schedule().with_snr_divided(divisor)?;
    Ok(Model::new(schedule.zero_terminal_snr()?, Quantity::V))
}

/// The facts of a flow that Euler's method samples.
pub(super) const fn euler(grid: GridRule) -> Facts {
    Facts::new("flow-euler", grid)
}

/// Ends a run at the least noise of training instead of at none, so that a list of sigmas ends in its last one twice.
pub(super) fn to_least_noise(options: SamplerOptions) -> SamplerOptions {
    SamplerOptions { ends_at_least_sigma: Some(true), ..options }
}

/// The note on latents whose channels are normalized by statistics that are not in the catalogue.
pub(super) const STATISTICS_IN_FILE: &str =
    "The mean and the deviation of its latents are in the file of the autoencoder";

impl Facts {
    /// Adds the latents and the levels of these facts to a model.
    pub(super) fn complete(&self, model: Model) -> Model {
        let model = match self.latent {
            Some(latent) => model.in_latents(latent.scale, latent.shift),
            None => model,
        };
        match self.grid {
            GridRule::Times { list: TimeList::Ends, shift: Shift::Fixed(shift), .. } => {
                model.placed(Placement::FlowEnds { shift })
            }
            GridRule::Times { shift: Shift::Fixed(shift), .. } if shift != 1.0 => model.shifted(shift),
            GridRule::Times { shift: Shift::Line([base, most]), .. } => model.shifted_by_tokens(base, most),
            _ => model,
        }
    }
}

pub(super) const fn entry(
    name: &'static str,
    synonyms: &'static [&'static str],
    summary: &'static str,
    make: Make<Model>,
    facts: Facts,
) -> Entry<Recipe> {
    Entry::new("model", name, synonyms, summary, &[], Recipe { make, facts })
}

/// An entry of the catalogue: name, synonyms, summary, model, facts. The model takes its latents and its levels from the facts.
macro_rules! recipe {
    ($name:literal, $synonyms:expr, $summary:literal, $model:expr, $facts:expr) => {{
        const FACTS: Facts = $facts;
        fn make(_: &Values) -> Made {
            let model: Made = $model;
            Ok(FACTS.complete(model?))
        }
        entry($name, &$synonyms, $summary, make, FACTS)
    }};
}
pub(super) use recipe;
