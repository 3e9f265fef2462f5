//! Steps from levels that a loop does not visit: tokens, frames or channels of a sample that are at levels of their own.
//!
//! **Theory.** Euler's method needs nothing but the level that it comes from and the one that it goes to, so each part of a sample
//! may be at its own. Pipelines with conditions keep known parts near clean while the others are denoised: a token at level `s`
//! goes to the noisiest level of the loop that is cleaner than it (`per_token_timesteps` of diffusers'
//! `FlowMatchEulerDiscreteScheduler`, LTX-Video).
//!
//! **Practice.** A plan of [`Step`](crate::gpu::Step) with [timesteps of groups](crate::Timesteps::PerGroup) takes these rows beside those of
//! the loop. Parts that are to stay as they are take [`StepRow::IDENTITY`].

use crate::math::error::sampler::SamplerError;
use crate::math::level::NoiseLevel;
use crate::math::model::Model;
use crate::math::quantity::Quantity;
use crate::math::sampler::Sampler;
use crate::table::step::StepRow;

/// The least difference in sigma of a cleaner level: one that is nearer counts as the same (diffusers).
const NEAR: f64 = 1e-6;

impl Model {
    /// Euler's step between two levels: from a level to itself it leaves the sample as it is.
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
    /// The noisiest level of the loop that is cleaner than this one by more than 1e-6 of sigma; `None` if none is.
    #[must_use]
    pub fn level_below(&self, level: NoiseLevel) -> Option<NoiseLevel> {
        let reached = self.calls().iter().map(|call| call.row.known);
        let reached = reached.map(|[alpha, sigma]| NoiseLevel::raw(alpha, sigma));
        let levels = self.calls().iter().map(|call| call.level).chain(reached);
        let cleaner = levels.filter(|other| other.sigma() < level.sigma() - NEAR);
        cleaner.max_by(|a, b| a.sigma().total_cmp(&b.sigma()))
    }
}
