//! Numbers as a study prints them.

/// Formats a number with three digits, without an exponent where possible; a dash for one that is not finite.
pub fn short(value: f64) -> String {
    if !value.is_finite() {
        return "-".into();
    }
    // Rounded first, so that 99.96 has as many digits as 100.
    let rounded: f64 = format!("{value:.2e}").parse().unwrap_or(value);
    match rounded.abs() {
        0.0 => "0".into(),
        size @ 1e-3..1e5 => format!("{rounded:.*}", (2.0 - size.log10().floor()).max(0.0) as usize),
        _ => format!("{value:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let found = [0.0, 1.0, -0.99964, 99.96, 0.00123, 1234.5, 123_456.0, 1e-5, f64::NAN].map(short);
        assert_eq!(found.join(" "), "0 1.00 -1.00 100 0.00123 1230 1.2e5 1.0e-5 -");
    }
}
