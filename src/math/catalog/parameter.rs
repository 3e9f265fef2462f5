//! The parameters of entries: their names, defaults and ranges.

/// A number that an entry is built from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// Its name: lower case, words joined by underscores.
    pub name: &'static str,
    /// The number that is used where none is given. Without a default a number must be given, except in samplers, where the
    /// option is then off.
    pub default: Option<f64>,
    /// The least number that is accepted.
    pub min: f64,
    /// The largest number that is accepted.
    pub max: f64,
    /// True if only whole numbers are accepted. With the range 0 to 1 the parameter is a switch.
    pub whole: bool,
    /// A line about it.
    pub about: &'static str,
}

/// The `min` of a parameter that must be above 0.
pub(in crate::math) const ABOVE_ZERO: f64 = f64::MIN_POSITIVE;

/// The `max` of a parameter that may be any finite number from its `min` up; the negative is the `min` of one without a lower
/// bound.
pub(in crate::math) const FINITE: f64 = f64::MAX;

impl Parameter {
    /// A real number with a default and a range.
    #[must_use]
    pub const fn new(name: &'static str, default: f64, [min, max]: [f64; 2], about: &'static str) -> Self {
        Self { name, default: Some(default), min, max, whole: false, about }
    }

    /// The same, for whole numbers only.
    #[must_use]
    pub const fn whole(self) -> Self {
        Self { whole: true, ..self }
    }

    /// The same without a default.
    #[must_use]
    pub const fn without_default(self) -> Self {
        Self { default: None, ..self }
    }

    /// The range in words: `between 0 and 1`, `finite and above 0`.
    #[must_use]
    pub fn range(&self) -> String {
        let whole = if self.whole { "a whole number " } else { "" };
        let range = match (self.min, self.max) {
            (min, max) if min == -FINITE && max == FINITE => "finite".to_owned(),
            (min, max) if min == ABOVE_ZERO && max == FINITE => "finite and above 0".to_owned(),
            (min, max) if min == ABOVE_ZERO => format!("above 0 and at most {max}"),
            (min, max) if max == FINITE => format!("finite and at least {min}"),
            (min, max) if max == f64::INFINITY => format!("at least {min}"),
            (min, max) => format!("between {min} and {max}"),
        };
        format!("{whole}{range}")
    }

    /// True for a number that is accepted.
    pub(super) fn fits(&self, found: f64) -> bool {
        (self.min..=self.max).contains(&found) && (!self.whole || found.fract() == 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_told_in_few_digits() {
        let range = |min, max| Parameter::new("p", 1.0, [min, max], "").range();
        assert_eq!(range(ABOVE_ZERO, 1.0), "above 0 and at most 1");
        assert_eq!(range(ABOVE_ZERO, FINITE), "finite and above 0");
        assert_eq!(range(0.0, 1.0), "between 0 and 1");
    }
}
