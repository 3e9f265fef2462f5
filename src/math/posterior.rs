//! The Gaussian posterior `q(x_s | x_t, x0)` between two noise levels.
//!
//! **Theory.** Ho et al. 2020 (arXiv 2006.11239, eq. 6-7) for adjacent timesteps of a variance-preserving chain, Kingma
//! et al. 2021 (arXiv 2107.00630, appendix A) for any two levels, `s` the cleaner:
//! ```text
//! keep     = abar_t/abar_s                 lost = 1 - keep       (beta_t if s = t-1)
//! mean     = sqrt(abar_s)*lost/(1-abar_t) * x0  +  sqrt(keep)*(1-abar_s)/(1-abar_t) * x_t
//! variance = lost*(1-abar_s)/(1-abar_t)
//! ```
//! and with plain levels, where `p = (sigma_s*alpha_t)/(sigma_t*alpha_s)` is the share of the noise that was there before:
//! ```text
//! mean     = alpha_s*(1-p^2) * x0  +  p*(sigma_s/sigma_t) * x_t
//! variance = sigma_s^2*(1-p^2)
//! ```
//!
//! **Practice.** `1 - p^2` is `(1-p)*(1+p)`, and `1-p` is one difference of products over `sigma_t*alpha_s`, so nearby
//! levels do not cancel. At the first timestep `s` is the clean sample and the posterior is x0 itself, with variance 0. At
//! `sigma_t = 0` the limit is taken in which `sigma_s` goes to 0 first: `x_s = alpha_s*x0`, variance 0.

use super::level::NoiseLevel;

/// The posterior `x_s ~ N(coef_x0*x0 + coef_xt*x_t, variance)`, element by element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Posterior {
    /// The clean sample's coefficient in the mean.
    pub coef_x0: f64,
    /// The noisy sample's coefficient in the mean.
    pub coef_xt: f64,
    /// The variance, at least 0.
    pub variance: f64,
}

impl Posterior {
    /// Creates the posterior from a noisy level to a cleaner one, on any process.
    ///
    /// `None` if no forward step leads from `cleaner` to `noisy`, because the signal-to-noise ratio would rise or `cleaner`
    /// holds no signal; or if the levels are so extreme that a coefficient leaves the range of f64.
    #[must_use]
    pub fn between(noisy: NoiseLevel, cleaner: NoiseLevel) -> Option<Self> {
        let added = cleaner.noise_added_by(noisy);
        if cleaner.alpha() == 0.0 || added < 0.0 {
            return None;
        }
        if cleaner.sigma() == 0.0 {
            return Some(Self::certain(cleaner.alpha()));
        }
        let shrink = noisy.alpha() / cleaner.alpha();
        let before = cleaner.sigma() / noisy.sigma();
        let p = shrink * before;
        let rest = added / noisy.sigma() / cleaner.alpha() * (1.0 + p);
        // A square may leave the range of f64 where the product does not.
        let variance = cleaner.sigma() * (cleaner.sigma() * rest);
        let (coef_x0, coef_xt) = (cleaner.alpha() * rest, p * before);
        let finite = [coef_x0, coef_xt, variance].iter().all(|number| number.is_finite());
        finite.then_some(Self { coef_x0, coef_xt, variance })
    }

    /// Creates the posterior from `abar_t/abar_s` and 1 minus it, `abar_s`, `1 - abar_s` and `1 - abar_t`.
    pub(super) fn of_transition(keep: f64, lost: f64, abar: f64, noise: f64, total: f64) -> Self {
        if noise == 0.0 {
            return Self::certain(abar.sqrt());
        }
        // Where the product underflows, the quotient does not.
        let variance = if lost * noise < f64::MIN_POSITIVE { lost * (noise / total) } else { lost * noise / total };
        Self { coef_x0: lost * abar.sqrt() / total, coef_xt: keep.sqrt() * noise / total, variance }
    }

    /// `x_s = alpha_s*x0` exactly.
    fn certain(alpha: f64) -> Self {
        Self { coef_x0: alpha, coef_xt: 0.0, variance: 0.0 }
    }
}
