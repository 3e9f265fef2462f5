//! Sizes, times and missing numbers as short text.

/// Writes a number of bytes, with a decimal where it is small and not whole.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [(u32, &str); 4] = [(30, "GiB"), (20, "MiB"), (10, "KiB"), (0, "B")];
    let (power, unit) = UNITS.into_iter().find(|(power, _)| bytes >> power > 0).unwrap_or((0, "B"));
    let number = bytes as f64 / (1u64 << power) as f64;
    let decimals = if number < 10.0 && number.fract() > 0.01 { 1 } else { 0 };
    format!("{number:.decimals$} {unit}")
}

/// Writes milliseconds with about four digits.
pub fn milliseconds(milliseconds: f64) -> String {
    let decimals = (3.0 - milliseconds.max(1e-6).log10().floor()).clamp(0.0, 5.0) as usize;
    format!("{milliseconds:.decimals$}")
}

/// Writes a number, or a dash where it is missing.
pub fn optional(value: Option<f64>, decimals: usize) -> String {
    value.map_or("-".into(), |value| format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_few_digits() {
        let told = [0, 192 << 10, 3 << 19, 3 << 20, 5 << 30].map(bytes);
        assert_eq!(told, ["0 B", "192 KiB", "1.5 MiB", "3 MiB", "5 GiB"]);
    }

    #[test]
    fn milliseconds_keep_four_digits() {
        let told = [0.004567, 0.1234567, 1.234567, 123.4567, 12345.6].map(milliseconds);
        assert_eq!(told.join(" "), "0.00457 0.1235 1.235 123.5 12346");
    }
}
