//! The ways in which a grid finds its levels, and the options that each of them reads.
//!
//! An option that the way does not read is refused: if it were ignored, the caller would believe that it had an effect.

use super::error::CatalogError;
use super::sampler_grid::{GridBuilder, contradiction, needs};
use super::sampler_options::SamplerOptions;
use super::sampler_recipe::Walk;
use crate::math::level::NoiseLevel;
use crate::math::placement::Placement;
use crate::math::process::Process;
use crate::math::sampler::grid::Scale;
use crate::math::spacing::Spacing;

/// The way in which a grid finds its levels.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Way {
    /// Levels that the options list.
    Listed(Vec<NoiseLevel>),
    /// Levels of the schedule at whole timesteps.
    Schedule,
    /// Sigmas of timesteps, which need not be whole.
    Timesteps,
    /// Sigmas that a rule places.
    Sigmas(Placement),
    /// Times of a flow.
    Flow,
    /// Angles of TrigFlow.
    Angles,
}

impl GridBuilder<'_> {
    /// The way that follows from the options, the model and the sampler.
    pub(super) fn way(&self, scale: Scale) -> Result<Way, CatalogError> {
        let way = match (self.listed_levels(scale)?, scale, self.placement()) {
            (Some(levels), ..) => Way::Listed(levels),
            (_, Scale::Flow, None | Some(Placement::FlowTimes { .. } | Placement::FlowEnds { .. })) => Way::Flow,
            (.., Some(Placement::FlowTimes { .. })) => return Err(needs("sigmas", "flow-times", "scale", "flow")),
            (.., Some(Placement::FlowEnds { .. })) => return Err(needs("sigmas", "flow-ends", "scale", "flow")),
            (_, Scale::TrigFlow(_), None) => Way::Angles,
            (_, Scale::VariancePreserving | Scale::VariancePreservingEdm(_), None)
                if !(self.rules.finite && self.is_diffusers()) =>
            {
                Way::Schedule
            }
            (.., None) => Way::Timesteps,
            (.., Some(placement)) => Way::Sigmas(placement.with_rho(self.options.rho)),
        };
        match self.model.process() {
            // Such a process has no levels between those of its list.
            found @ Process::Levels if way != Way::Schedule => {
                Err(CatalogError::Process { expected: Process::VariancePreserving, found })
            }
            _ => Ok(way),
        }
    }

    /// True if the strength chooses among the steps of the teacher, not among those of the grid.
    pub(super) fn strength_distils(&self, way: &Way) -> bool {
        *way == Way::Schedule && self.walk() == Walk::Distilled && self.options.steps.is_some()
    }

    /// Refuses options about the levels that this way does not read.
    pub(super) fn refuse_idle(&self, scale: Scale, way: &Way) -> Result<(), CatalogError> {
        self.refuse_shift(scale)?;
        let SamplerOptions { placement, offset, sections, sigma_min, sigma_max, rho, original_steps, .. } = self.asked;
        let given = [
            (placement.map_or("sigmas", Placement::option), placement.is_some()),
            ("offset", offset.is_some()),
            ("sections", sections.is_some()),
            ("sigma_min", sigma_min.is_some()),
            ("sigma_max", sigma_max.is_some()),
            ("rho", rho.is_some()),
            ("original_steps", original_steps.is_some()),
        ];
        let idle = given.into_iter().find(|(option, given)| *given && !self.reads(way, option));
        let Some((option, _)) = idle else { return Ok(()) };
        Err(match (self.listing(), way) {
            (Some("sigmas"), _) if option == "sigmas" => contradiction("placement", "sigmas", "places the levels"),
            (Some(list), _) if list != option => contradiction(option, list, "places the levels"),
            (_, Way::Schedule | Way::Timesteps | Way::Flow | Way::Angles) if sigma_option(option) => {
                CatalogError::NoSigmas
            }
            _ => CatalogError::Unused { option: option.to_owned(), by: self.words(way) },
        })
    }

    fn reads(&self, way: &Way, option: &str) -> bool {
        let counted = self.listing().is_none();
        let whole = matches!(way, Way::Schedule | Way::Timesteps);
        let between_listed = matches!(way, Way::Sigmas(_)) && self.rules.between_listed;
        match (option, way) {
            ("spacing", _) => whole && counted && self.walk() != Walk::Distilled,
            ("offset", _) => {
                (self.reads(way, "spacing") || (between_listed && counted))
                    && matches!(self.spacing(), Spacing::Leading { .. })
            }
            ("sections", Way::Timesteps) => matches!(self.walk(), Walk::BeforeZero | Walk::Rising),
            ("sections", _) => *way == Way::Schedule,
            ("original_steps", _) => *way == Way::Schedule && counted && self.walk() == Walk::Distilled,
            ("sigmas", Way::Flow) => counted,
            ("sigmas", Way::Sigmas(_)) => true,
            ("sigma_min" | "sigma_max", Way::Sigmas(placement)) => !matches!(placement, Placement::Vp { .. }),
            ("rho", Way::Sigmas(placement)) => placement.rho().is_some(),
            _ => false,
        }
    }

    /// The name of the option that lists the levels, instead of a number of steps.
    fn listing(&self) -> Option<&'static str> {
        let SamplerOptions { timesteps, sigma_list, times, sections, .. } = self.options;
        let lists = [
            ("timesteps", timesteps.is_some()),
            ("sigmas", sigma_list.is_some()),
            ("times", times.is_some()),
            ("sections", sections.is_some()),
        ];
        lists.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }

    /// The way, for a message.
    fn words(&self, way: &Way) -> String {
        match way {
            Way::Schedule if self.walk() == Walk::Distilled => "timesteps of a distilled model".to_owned(),
            Way::Schedule | Way::Timesteps => format!("{} spacing", Placement::Timesteps(self.spacing()).name()),
            Way::Sigmas(placement) => format!("{} sigmas", placement.name()),
            Way::Flow => "times of a flow".to_owned(),
            Way::Angles => "angles of TrigFlow".to_owned(),
            Way::Listed(_) => "listed levels".to_owned(),
        }
    }

    /// Refuses a shift that has no effect on the levels.
    fn refuse_shift(&self, scale: Scale) -> Result<(), CatalogError> {
        let SamplerOptions { placement, timesteps, shift, mu, tokens, .. } = self.options;
        let given = [("mu", mu), ("tokens", tokens), ("shift", shift)];
        let Some((shift, _)) = given.into_iter().find(|(_, value)| value.is_some()) else { return Ok(()) };
        if scale != Scale::Flow {
            let by = format!("{} model", self.model.process());
            return Err(CatalogError::Unused { option: shift.to_owned(), by });
        }
        let list = self.listing().filter(|_| timesteps.is_some() || self.is_listed());
        if let Some(list) = list.filter(|_| !self.shifts_lists()) {
            return Err(contradiction(shift, list, "places the levels"));
        }
        let fixed = |placement: &Placement| placement.shift().is_none();
        if placement.as_ref().is_some_and(fixed) && !self.rules.between_listed {
            return Err(contradiction(shift, "sigmas", "places the levels"));
        }
        Ok(())
    }
}

fn sigma_option(option: &str) -> bool {
    matches!(option, "sigma_min" | "sigma_max" | "rho")
}
