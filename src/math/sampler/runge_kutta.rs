//! Runge-Kutta tableaux, as rows that need no second sample.
//!
//! **Theory.** Stage `i` of a step leads from the sample `x` at its start to the sample at which the network is called next, or
//! to the end of the step, with a mean of the slopes so far, `x_i = r_i*x + w_i*sum_j a_ij*s_j` (see [`slope`](super::slope)). No
//! sample is kept: `x` is eliminated with the formula of the stage before,
//! ```text
//! x_{i+1} = (r_{i+1}/r_i)*x_i + sum_j (w_{i+1}*a_{i+1,j} - (r_{i+1}/r_i)*w_i*a_ij)*s_j
//! ```
//!
//! **Practice.** A tableau says how slopes are mixed; the caller chooses the levels of the stages.

/// The shares of the slopes in each stage, the oldest first. Each row's sum is 1.
pub(super) type Tableau = &'static [&'static [f64]];

/// Heun's method: an Euler step, then the mean of the slopes at both ends.
pub(super) const HEUN: Tableau = &[&[1.0], &[0.5, 0.5]];

/// The classical method of fourth order: two stages at half the step, two at its end (Kutta 1901).
pub(super) const CLASSICAL: Tableau =
    &[&[1.0], &[0.0, 1.0], &[0.0, 0.0, 1.0], &[1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0]];

/// A stage without the sample at the start of the step: the factor of the current sample, and those of the slopes, newest first.
/// `moves` are the factors `[r_i, w_i]` of the stages up to this one.
pub(super) fn stage(tableau: Tableau, moves: &[[f64; 2]]) -> (f64, Vec<f64>) {
    let shares = |i: usize| tableau.get(i).copied().unwrap_or_default();
    match moves {
        [] => (1.0, Vec::new()),
        [[ratio, weight]] => (*ratio, vec![*weight]),
        [.., before, now] => {
            let (i, ratio) = (moves.len() - 1, now[0] / before[0]);
            let old = |j: usize| shares(i - 1).get(j).map_or(0.0, |share| ratio * before[1] * share);
            let slopes = shares(i).iter().enumerate().map(|(j, share)| now[1].mul_add(*share, -old(j)));
            (ratio, slopes.rev().collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A few roundings of numbers near 1.
    const ROUNDINGS: f64 = 1e-14;

    #[test]
    fn the_first_sample_is_divided_out() {
        let (x, slopes) = (0.7, [0.3, -1.1, 0.4, 2.0]);
        let moves = [[0.9, -0.2], [0.8, -0.4], [0.6, -0.5], [0.6, -0.5]];
        for tableau in [HEUN, CLASSICAL] {
            let mut now = x;
            for (i, shares) in tableau.iter().enumerate() {
                let (ratio, weights) = stage(tableau, &moves[..=i]);
                let newest_first = slopes[..=i].iter().rev();
                now = ratio * now + weights.iter().zip(newest_first).map(|(w, s)| w * s).sum::<f64>();
                let mean: f64 = shares.iter().zip(slopes).map(|(share, slope)| share * slope).sum();
                assert!((now - (moves[i][0] * x + moves[i][1] * mean)).abs() < ROUNDINGS);
                assert!((shares.iter().sum::<f64>() - 1.0).abs() < ROUNDINGS);
            }
        }
    }
}
