//! The level in the middle of a step, at which some solvers call the network.

use super::grid::Scale;
use crate::math::level::NoiseLevel;

/// The number whose geometric mean defines the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mean {
    /// The sigma of the scale, which for a flow is the time.
    Sigma,
    /// `sigma/alpha`, which gives the midpoint in lambda.
    Ratio,
}

/// The level in the middle of two, on the curve of the scale; `None` where there is none because one end is clean or pure noise.
pub(super) fn halfway(scale: Scale, from: NoiseLevel, to: NoiseLevel, mean: Mean) -> Option<NoiseLevel> {
    let of_time = mean == Mean::Sigma && scale == Scale::Flow;
    let sigma = |level: NoiseLevel| if of_time { level.sigma() } else { level.sigma() / level.alpha() };
    let middle = sigma(from).sqrt() * sigma(to).sqrt();
    if !middle.is_normal() {
        return None;
    }
    let time = middle / (1.0 + middle);
    let level = scale.level(if scale == Scale::Flow && !of_time { time } else { middle });
    level.ok().filter(|level| level.sigma() > 0.0 && level.alpha() > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A few roundings.
    const ROUNDING: f64 = 1e-15;

    #[test]
    fn the_middle_is_that_of_a_logarithm() {
        let flow = |time| Scale::Flow.level(time).unwrap();
        let [by_time, by_ratio] =
            [Mean::Sigma, Mean::Ratio].map(|mean| halfway(Scale::Flow, flow(0.8), flow(0.2), mean));
        assert!((by_time.unwrap().sigma() - 0.4).abs() < ROUNDING);
        assert!((by_ratio.unwrap().sigma() - 0.5).abs() < ROUNDING);
        assert!(halfway(Scale::Flow, flow(1.0), flow(0.2), Mean::Sigma).is_some());
        assert_eq!(halfway(Scale::Flow, flow(1.0), flow(0.2), Mean::Ratio), None);
        assert_eq!(halfway(Scale::Flow, flow(0.5), flow(0.0), Mean::Sigma), None);
        let ends = [9.0, 4.0].map(|sigma| Scale::VariancePreserving.level(sigma).unwrap());
        let found = halfway(Scale::VariancePreserving, ends[0], ends[1], Mean::Sigma).unwrap();
        assert!((found.sigma() / found.alpha() - 6.0).abs() < 8.0 * ROUNDING && found.alpha() < 0.2);
    }
}
