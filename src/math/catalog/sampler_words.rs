//! The grid of a run in words: which levels were used, where a name or a file alone does not tell.

use super::error::CatalogError;
use super::sampler_grid::{GridBuilder, Steps};
use super::sampler_options::SamplerOptions;
use super::sampler_recipe::{ORIGINAL_STEPS, Walk};
use super::sampler_rules::Times;
use super::sampler_ways::Way;
use crate::few::few;
use crate::math::placement::Placement;
use crate::math::process::Process;
use crate::math::sampler::grid::Scale;
use crate::math::spacing::Spacing;

impl GridBuilder<'_> {
    /// The rule that places the levels with its parameters, such as `1 - i/n, shift 3`, and the part of the levels that is taken.
    pub(super) fn described(&self) -> Result<String, CatalogError> {
        let scale = self.scale()?;
        let way = self.way(scale)?;
        let SamplerOptions { strength, begin_index, end_index, .. } = self.options;
        let parts = [
            strength.map(|strength| format!("strength {}", few(&strength))),
            begin_index.map(|first| format!("from step {first}")),
            end_index.map(|end| format!("up to step {end}")),
        ];
        let placed = match &way {
            Way::Listed(_) | Way::Angles => self.listed_words().to_owned(),
            Way::Schedule | Way::Timesteps => self.timestep_words(),
            Way::Sigmas(placement) => self.sigma_words(scale, *placement)?,
            Way::Flow => self.flow_words()?,
        };
        Ok(std::iter::once(placed).chain(parts.into_iter().flatten()).collect::<Vec<_>>().join(", "))
    }

    /// The kind of list that was given, or the angles that a class lists for a number of steps.
    fn listed_words(&self) -> &'static str {
        let SamplerOptions { timesteps, sigma_list, times, .. } = self.asked;
        match (timesteps, sigma_list, times) {
            (_, Some(_), _) => "listed sigmas",
            (_, _, Some(_)) => "listed times",
            (Some(_), ..) => "listed timesteps",
            (None, None, None) if matches!(self.model.process(), Process::TrigFlow(_)) => "angles of TrigFlow",
            (None, None, None) => "levels of the scheduler's own",
        }
    }

    fn timestep_words(&self) -> String {
        let SamplerOptions { timesteps, sections, original_steps, .. } = self.options;
        let spacing = self.spacing();
        let spaced = || match spacing {
            Spacing::Leading { offset } if offset > 0 => format!("leading spacing, offset {offset}"),
            _ => format!("{} spacing", Placement::Timesteps(spacing).name()),
        };
        match (timesteps, sections) {
            (Some(_), _) => "listed timesteps".to_owned(),
            (None, Some(sections)) => format!("sections {sections}"),
            _ if self.recipe.walk == Walk::Distilled => {
                format!("those of a model distilled from {} steps", original_steps.unwrap_or(ORIGINAL_STEPS))
            }
            _ if self.rules.one_too_many && self.is_diffusers() => {
                format!("exponential sigmas, told {}", spaced())
            }
            _ => spaced(),
        }
    }

    fn sigma_words(&self, scale: Scale, placement: Placement) -> Result<String, CatalogError> {
        let rho = placement.rho().map_or_else(String::new, |rho| format!(", rho {}", few(&rho)));
        let ends = match self.placement_ends(scale)? {
            Some([least, most]) if !matches!(placement, Placement::Vp { .. }) => {
                format!(", from {} to {}", few(&rounded(most)), few(&rounded(least)))
            }
            _ => String::new(),
        };
        let of = match placement {
            Placement::Beta { .. } if self.places_timesteps() => "quantiles of timesteps",
            _ => "sigmas",
        };
        Ok(format!("{} {of}{rho}{ends}", placement.name()))
    }

    fn flow_words(&self) -> Result<String, CatalogError> {
        let listed = match self.steps()? {
            Steps::Timesteps(_) => Some("listed timesteps"),
            Steps::Sigmas(_) => Some("listed sigmas"),
            Steps::Count(_) => None,
        };
        let shifts_lists = self.is_diffusers() && self.rules.between_listed;
        if let Some(list) = listed.filter(|_| !shifts_lists) {
            return Ok(list.to_owned());
        }
        let base = listed.unwrap_or(match self.rules.times {
            _ if self.has_short_last() => "equal steps with a shorter last one",
            Times::Even => "1 - i/n",
            Times::Usual if self.times_are_even() => "1 - i/n",
            Times::Usual if self.is_sized() || self.shift()? == 1.0 => "from 1 to 1/T",
            Times::Usual => "from 1 to 1/T, both shifted first",
            Times::BeforeLast => "from 1 to 1/T without the last of n + 1",
            Times::FromData => "from 1 to 1/T without the last of n + 1, counted from data",
        });
        let SamplerOptions { mu, tokens, .. } = self.options;
        let shift = few(&rounded(self.shift()?));
        let shift = match (mu, tokens) {
            (Some(mu), _) => format!(", shift {shift} (mu {})", few(&rounded(*mu))),
            (None, Some(tokens)) => format!(", shift {shift} ({tokens} tokens)"),
            (None, None) if shift == "1" => String::new(),
            (None, None) => format!(", shift {shift}"),
        };
        let terminal = self.rules.terminal.map_or_else(String::new, |it| format!(", stretched to {}", few(&it)));
        Ok(format!("{base}{shift}{terminal}"))
    }
}

/// The number rounded to six digits, for readers.
fn rounded(number: f64) -> f64 {
    format!("{number:.5e}").parse().unwrap_or(number)
}
