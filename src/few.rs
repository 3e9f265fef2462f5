//! Short decimal forms of numbers for messages.

/// Formats a number in few characters: `1e300` and `-1e-300` instead of three hundred digits.
pub(crate) fn few(value: &f64) -> String {
    if *value == 0.0 || !value.is_finite() || (1e-4..1e16).contains(&value.abs()) {
        value.to_string()
    } else {
        format!("{value:e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, -0.25, 1e300, -1e-300, 1000.0, f64::MAX, f64::NEG_INFINITY, f64::NAN].map(|x| few(&x));
        assert_eq!(shown, ["0", "-0.25", "1e300", "-1e-300", "1000", "1.7976931348623157e308", "-inf", "NaN"]);
    }
}
