//! The names of the noise schedules, ours and everybody else's.

use std::fmt;

/// A schedule that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduleName {
    Linear,
    LinearScaled,
    ScaledLinear,
    Cosine,
    Sigmoid,
    SigmoidAbar,
    Laplace,
    LaplacePaper,
    Custom,
}

/// Our name first, then the synonyms, as their libraries spell them.
const NAMES: [(ScheduleName, &[&str]); 9] = [
    (ScheduleName::Linear, &["linear"]),
    (ScheduleName::LinearScaled, &["linear-scaled", "linear_scaled_by_T"]),
    (ScheduleName::ScaledLinear, &["scaled-linear", "quad", "quadratic"]),
    (ScheduleName::Cosine, &["cosine", "squaredcos_cap_v2"]),
    (ScheduleName::Sigmoid, &["sigmoid"]),
    (ScheduleName::SigmoidAbar, &["sigmoid-abar", "sigmoid_alpha_bar", "sigmoid_jabri", "jabri"]),
    (ScheduleName::Laplace, &["laplace"]),
    (ScheduleName::LaplacePaper, &["laplace-paper"]),
    (ScheduleName::Custom, &["custom", "trained_betas"]),
];

impl ScheduleName {
    /// Upper or lower case, `-` or `_`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let plain = |name: &str| name.trim().to_lowercase().replace('_', "-");
        let wanted = plain(text);
        let known = NAMES.iter().find(|(_, names)| names.iter().any(|name| plain(name) == wanted));
        known.map(|(schedule, _)| *schedule).ok_or_else(|| format!("expected {}", accepted()))
    }

    /// Whether `--beta-start` and `--beta-end` shape it.
    pub fn has_beta_range(self) -> bool {
        matches!(self, Self::Linear | Self::LinearScaled | Self::ScaledLinear | Self::Sigmoid)
    }
}

impl fmt::Display for ScheduleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = NAMES.iter().find(|(schedule, _)| schedule == self).map_or(&[][..], |(_, names)| names);
        f.write_str(names.first().copied().unwrap_or("unnamed"))
    }
}

fn accepted() -> String {
    let each = NAMES.iter().map(|(_, names)| match names.split_first() {
        Some((ours, [])) => (*ours).to_string(),
        Some((ours, others)) => format!("{ours} (or {})", others.join(", ")),
        None => String::new(),
    });
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_in_every_spelling() {
        for (schedule, names) in NAMES {
            for name in names {
                for spelling in [name.to_string(), name.to_uppercase(), name.replace('_', "-"), name.replace('-', "_")]
                {
                    assert_eq!(ScheduleName::parse(&spelling), Ok(schedule), "{spelling}");
                }
            }
            assert_eq!(ScheduleName::parse(&schedule.to_string()), Ok(schedule));
        }
    }

    #[test]
    fn an_unknown_name_is_told_the_known_ones() {
        let text = ScheduleName::parse("karras").unwrap_err();
        assert!(text.contains("scaled-linear (or quad, quadratic)") && text.contains("laplace-paper"), "{text}");
    }
}
