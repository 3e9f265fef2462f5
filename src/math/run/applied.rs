//! The arithmetic of a call on the host: a row applied to tensors, and the quantity that guidance mixes.

use crate::math::guidance::guider::Guider;
use crate::table::step::StepRow;

/// The guided clean sample, which includes the known region, and the clean sample of the unconditional prediction.
pub(super) type Clean = [Vec<f64>; 2];

/// The quantity that guidance mixes, `of_x*x + of_clean*x0`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Space {
    /// The coefficient of the sample.
    pub of_x: f64,
    /// The coefficient of the clean sample.
    pub of_clean: f64,
}

impl Space {
    /// Clean samples.
    pub const CLEAN: Self = Self { of_x: 0.0, of_clean: 1.0 };

    /// Clean samples, or v for a guider that rescales (Lin et al. 2023, arXiv 2305.08891, section 3.4): ComfyUI's `RescaleCFG` takes
    /// standard deviations of v whatever the model, `v = (x/(sigma^2 + 1) - x0)*sqrt(sigma^2 + 1)/sigma`.
    pub(super) fn of(guider: &Guider, sigma: f64) -> Self {
        match guider.rescales() {
            false => Self::CLEAN,
            true => {
                let root = sigma.hypot(1.0);
                Self { of_x: 1.0 / (root * sigma), of_clean: -root / sigma }
            }
        }
    }

    pub(super) fn of_clean(self, x: &[f64], clean: &[f64]) -> Vec<f64> {
        clean.iter().zip(x).map(|(clean, x)| self.of_x * x + self.of_clean * clean).collect()
    }

    pub(super) fn to_clean(self, x: &[f64], mixed: &[f64]) -> Vec<f64> {
        mixed.iter().zip(x).map(|(mixed, x)| (mixed - self.of_x * x) / self.of_clean).collect()
    }
}

/// Applies a row: the next sample.
pub(super) fn stepped(
    row: &StepRow,
    x: &[f64],
    [clean, alone]: &Clean,
    past: &[Vec<f64>],
    noises: &[(f64, Vec<f64>)],
) -> Vec<f64> {
    let history = row.history.iter().zip(past.iter().rev()).map(|(&c, past)| (c, &past[..]));
    let now = [(row.x, x), (row.clean, &clean[..]), (row.unconditional_clean, &alone[..])];
    let noises = noises.iter().map(|(c, z)| (*c, &z[..]));
    let terms: Vec<(f64, &[f64])> = now.into_iter().chain(history).chain(noises).filter(|(c, _)| *c != 0.0).collect();
    let at = |i: usize| terms.iter().map(|(c, tensor)| c * tensor.get(i).copied().unwrap_or(f64::NAN)).sum();
    (0..x.len()).map(at).collect()
}

/// The tensor that a row remembers.
pub(super) fn remembered(row: &StepRow, x: &[f64], [clean, alone]: &Clean) -> Vec<f64> {
    let terms = row.kept.into_iter().zip([x, clean, alone]).filter(|(c, _)| *c != 0.0).collect::<Vec<_>>();
    let at = |i: usize| terms.iter().map(|(c, tensor)| c * tensor.get(i).copied().unwrap_or(f64::NAN)).sum();
    (0..x.len()).map(at).collect()
}
