//! Steps from levels that a loop does not visit: tokens, frames or channels of a sample that have levels of their own.
//!
//! **Theory.** Euler's method needs only the level from which it starts and the one to which it leads, so each part of a sample
//! may have its own. Pipelines with conditions keep known parts near clean while the others are denoised: a token at level `s`
//! goes to the noisiest level of the loop that is cleaner than `s` (`per_token_timesteps` of diffusers'
//! `FlowMatchEulerDiscreteScheduler`, LTX-Video).
//!
//! **Practice.** A plan of [`Step`](crate::gpu::Step) with [timesteps of groups](crate::Timesteps::PerGroup) takes these rows
//! along with those of the loop. Parts that are not to change take [`StepRow::IDENTITY`].

use crate::math::error::sampler::SamplerError;
use crate::math::level::NoiseLevel;
use crate::math::model::Model;
use crate::math::quantity::Quantity;
use crate::math::sampler::Sampler;
use crate::table::step::StepRow;

/// The difference in sigma up to which two levels count as the same (diffusers).
const NEAR: f64 = 1e-6;

impl Model {
    /// Returns the row of Euler's step between two levels. From a level to itself, and from a level without noise, it leaves
    /// the sample unchanged.
    ///
    /// ```
    /// use tweedie::Model;
    ///
    /// let model = Model::named("ltx-video")?;
    /// let [from, to] = [0.3, 0.25].map(|sigma| model.level_of_sigma(sigma));
    /// let row = model.euler_step(from?, to?)?;
    /// assert!((row.x0[1] + 0.3).abs() < 1e-15); // x0 = x - 0.3 u
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SamplerError::Undefined`] where the prediction does not determine the clean sample.
    pub fn euler_step(&self, from: NoiseLevel, to: NoiseLevel) -> Result<StepRow, SamplerError> {
        let input = self.scale().input(from);
        let [c_x, c_p] = self.denoiser().at((0, from, input), Quantity::X0)?;
        let kept = if from.sigma() == 0.0 || from == to { 1.0 } else { to.sigma() / from.sigma() };
        let clean = if kept == 1.0 { 0.0 } else { to.alpha() - kept * from.alpha() };
        let (x0, known, input) = ([c_x, c_p, 0.0], [to.alpha(), to.sigma()], self.scale().input(to));
        Ok(StepRow { x0, x: kept, clean, known, input, ..StepRow::IDENTITY })
    }
}

impl Sampler {
    /// Returns the noisiest level of the loop whose `sigma` is smaller than this level's by more than 1e-6; `None` if none is.
    #[must_use]
    pub fn level_below(&self, level: NoiseLevel) -> Option<NoiseLevel> {
        let reached = self.calls().iter().map(|call| call.row.known);
        let reached = reached.map(|[alpha, sigma]| NoiseLevel::raw(alpha, sigma));
        let levels = self.calls().iter().map(|call| call.level).chain(reached);
        let cleaner = levels.filter(|other| other.sigma() < level.sigma() - NEAR);
        cleaner.max_by(|a, b| a.sigma().total_cmp(&b.sigma()))
    }
}
