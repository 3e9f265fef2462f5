//! The data: a mixture of Gaussians, and the network's answers in f64.

use crate::Ask;

/// A mixture of isotropic Gaussians that all have the same deviation.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    pub(crate) elements: usize,
    /// Component after component.
    pub(crate) means: Vec<f32>,
    pub(crate) log_weights: Vec<f32>,
    pub(crate) deviation: f32,
}

impl Mixture {
    /// A mixture of components with these means, each of `elements` numbers, and these weights, which need not sum to 1. What
    /// one list has beyond the other, or an incomplete mean, is left out; there must be at least one component.
    #[must_use]
    pub fn new(elements: usize, means: &[f32], weights: &[f32], deviation: f32) -> Self {
        let count = means.len().checked_div(elements).unwrap_or(0).min(weights.len());
        let means = means[..count * elements].to_vec();
        let log_weights = weights[..count].iter().map(|weight| weight.ln()).collect();
        Self { elements, means, log_weights, deviation }
    }

    /// One Gaussian: every element is `N(mean, deviation^2)`.
    #[must_use]
    pub fn gaussian(elements: usize, mean: f32, deviation: f32) -> Self {
        Self::new(elements, &vec![mean; elements], &[1.0], deviation)
    }

    /// A mixture of these pictures, all equally likely, with the deviation 0.
    #[must_use]
    pub fn pictures(elements: usize, pictures: &[f32]) -> Self {
        let count = pictures.len().checked_div(elements).unwrap_or(0);
        Self::new(elements, pictures, &vec![1.0; count], 0.0)
    }

    /// Numbers in a sample.
    #[must_use]
    pub const fn elements(&self) -> usize {
        self.elements
    }

    /// Number of Gaussians.
    #[must_use]
    pub const fn components(&self) -> usize {
        self.log_weights.len()
    }

    /// The mean of a component, of [`elements`](Self::elements) numbers.
    pub fn means(&self) -> impl Iterator<Item = &[f32]> {
        self.means.chunks_exact(self.elements.max(1))
    }

    /// Probabilities of the components; they sum to 1.
    #[must_use]
    pub fn weights(&self) -> Vec<f64> {
        normalised(&self.log_weights.iter().map(|&w| f64::from(w)).collect::<Vec<_>>())
    }

    /// Answers for one sample, as `mixture.wgsl` does.
    #[must_use]
    pub fn answer(&self, ask: &Ask, x: &[f64]) -> Vec<f64> {
        let [alpha, sigma, of_x0, of_epsilon] = [ask.alpha, ask.sigma, ask.x0, ask.epsilon].map(f64::from);
        let variance = f64::from(self.deviation).powi(2);
        let spread = alpha * alpha * variance + sigma * sigma;
        let away = |x: f64, mean: f32| x - alpha * f64::from(mean);
        let distance = |mean: &[f32]| x.iter().zip(mean).map(|(&x, &mean)| away(x, mean).powi(2)).sum::<f64>();
        let fits = self.means().zip(&self.log_weights).map(|(mean, &w)| f64::from(w) - distance(mean) / (2.0 * spread));
        let shares = normalised(&fits.collect::<Vec<_>>());
        let element = |(i, &x): (usize, &f64)| {
            let one = |(mean, share): (&[f32], &f64)| {
                let surprise = away(x, mean[i]) / spread;
                let x0 = f64::from(mean[i]) + alpha * variance * surprise;
                share * (of_x0 * x0 + of_epsilon * sigma * surprise)
            };
            self.means().zip(&shares).map(one).sum()
        };
        x.iter().enumerate().map(element).collect()
    }
}

/// Shares that sum to 1, from logarithms of their ratios.
fn normalised(logs: &[f64]) -> Vec<f64> {
    let best = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let shares: Vec<f64> = logs.iter().map(|log| (log - best).exp()).collect();
    let whole: f64 = shares.iter().sum();
    shares.iter().map(|share| share / whole).collect()
}
