//! Langevin's corrector, whose step size follows from the network's output.
//!
//! **Theory.** A sample moves along its score at a fixed level, with noise (Song et al. 2021, arXiv 2011.13456, algorithm 4):
//! ```text
//! x' = x + e*score + sqrt(2*e)*z        e = 2*(snr*|z|/|score|)^2
//! ```
//! where each norm is that of a sample, averaged over the batch.
//!
//! **Practice.** The norm of the score is known only after the network call, so the row is computed during the loop, between the
//! calls of a predictor. `|z|` is close to the square root of the number of elements.

use super::call::Call;
use super::denoiser::Denoiser;
use crate::math::check;
use crate::math::error::sampler::SamplerError;
use crate::math::quantity::Quantity;
use crate::table::step::StepRow;

/// Langevin's corrector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Langevin {
    /// The signal-to-noise ratio of a step, above 0: usually about 0.15.
    pub snr: f64,
}

impl Langevin {
    /// Returns the corrector's call at the level of `before`, the predictor's call that follows it, from the mean norms of the
    /// noise and of the score, both above 0.
    ///
    /// # Errors
    /// [`SamplerError::Parameter`] for numbers that are not finite and above 0, [`SamplerError::Undefined`] where the prediction
    /// does not determine the score.
    pub fn call(
        &self,
        before: &Call,
        denoiser: &Denoiser,
        [noise_norm, score_norm]: [f64; 2],
    ) -> Result<Call, SamplerError> {
        let all =
            [("the signal-to-noise ratio", self.snr), ("the noise norm", noise_norm), ("the score norm", score_norm)];
        all.into_iter().try_for_each(|(name, value)| check::positive(name, value))?;
        let [of_x, of_p] = denoiser.at((before.step, before.level, before.input), Quantity::Score)?;
        let length = 2.0 * (self.snr * noise_norm / score_norm).powi(2);
        let (x0, known) = (before.row.x0, [before.level.alpha(), before.level.sigma()]);
        let (x, p, z) = (1.0 + length * of_x, length * of_p, (2.0 * length).sqrt());
        let row = StepRow { x0, known, x, p, z, input: before.input, ..StepRow::IDENTITY };
        Ok(Call { row, ..*before })
    }
}
