//! The summary of many times: their median and the spread around it.

/// The median of some times, and their tenth and ninetieth percentiles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub median: f64,
    pub p10: f64,
    pub p90: f64,
}

impl Summary {
    /// Summarises at least one number. There is no summary of none.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let at = |part| quantile(&values, part);
        Some(Self { median: at(0.5)?, p10: at(0.1)?, p90: at(0.9)? })
    }
}

/// Interpolates between the two nearest of the sorted values.
fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let place = part * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate() {
        let eleven = (0..=10).rev().map(f64::from).collect();
        assert_eq!(Summary::of(eleven), Some(Summary { median: 5.0, p10: 1.0, p90: 9.0 }));
        assert_eq!(Summary::of(vec![3.0, 1.0]), Some(Summary { median: 2.0, p10: 1.2, p90: 2.8 }));
        assert_eq!(Summary::of(vec![7.0]), Some(Summary { median: 7.0, p10: 7.0, p90: 7.0 }));
        assert_eq!(Summary::of(Vec::new()), None);
    }
}
