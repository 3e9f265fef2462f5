//! RePaint: DDIM or DDPM around a known region, with jumps back to more noise.
//!
//! **Theory.** Lugmayr et al. 2022 (arXiv 2201.09865, algorithm 1 and appendix B). The known region is noised afresh to the
//! level of each step. To bring the rest into agreement with it, the sample is noised back by `jump_length` steps and denoised
//! again, `jump_n_sample` times in all, at every `jump_length`-th level. Noising from one level to a noisier one is
//! ```text
//! x'' = alpha''/alpha'*x' + sqrt(sigma''^2 - (alpha''/alpha')^2*sigma'^2)*z
//! ```
//! and the sum of its noise and that of the step before is one normal. So a jump is part of the row of that step, and the
//! known region is noised to the level after the jump.
//!
//! **Practice.** The known region is that of [`Step`](crate::gpu::Step)'s mask. A loop of `n` steps calls the network `n` times,
//! and `jump_length` times more for each jump.

use super::call::Call;
use super::denoiser::Denoiser;
use super::first_order::FirstOrder;
use super::grid::{Grid, Step};
use super::solver::{Solution, Solver};
use crate::math::check;
use crate::math::error::sampler::SamplerError;
use crate::math::level::NoiseLevel;
use crate::math::schedule::Schedule;

/// The most network calls of a loop.
const MOST_CALLS: usize = 1 << 16;

/// RePaint: inpainting with jumps back to more noise.
#[derive(Clone, Debug, PartialEq)]
pub struct RePaint {
    /// The share of the posterior's noise that is drawn, in `0..=1`: 1 in the paper, 0 by default in diffusers.
    pub eta: f64,
    /// The number of steps that a jump goes back, at least 1; 10 in the paper.
    pub jump_length: usize,
    /// The number of times that each level is reached from above: 10 in the paper; 1 means no jumps.
    pub jump_n_sample: usize,
    /// The schedule of the model, for the jumps of diffusers, which come one step later than the paper's and noise by the
    /// betas of the timesteps above. `None` for the paper's jumps.
    pub diffusers: Option<Schedule>,
}

/// A network call.
struct Visit {
    /// The step, counted from the last: 0 leads to the clean sample.
    left: usize,
    jumps: bool,
}

impl RePaint {
    fn visits(&self, steps: usize) -> Result<Vec<Visit>, SamplerError> {
        let (length, most) = (self.jump_length, steps.saturating_sub(self.jump_length));
        if length == 0 {
            let (name, expected) = ("jump_length", "at least 1");
            return Err(SamplerError::Parameter { name, expected, found: 0.0 });
        }
        let repeats = self.jump_n_sample.saturating_sub(1);
        let calls = most.div_ceil(length).saturating_mul(repeats).saturating_mul(length).saturating_add(steps);
        if calls > MOST_CALLS {
            let (name, expected) = ("the number of network calls, jumps included,", "at most 65536");
            return Err(SamplerError::Parameter { name, expected, found: calls as f64 });
        }
        let mut jumps: Vec<usize> = (0..most).map(|t| if t % length == 0 { repeats } else { 0 }).collect();
        let (mut visits, mut left) = (Vec::with_capacity(calls), steps.checked_sub(1));
        while let Some(now) = left {
            let place = if self.diffusers.is_some() { Some(now) } else { now.checked_sub(1) };
            let again = place.and_then(|place| jumps.get_mut(place)).filter(|again| **again > 0);
            let jumps = again.is_some();
            if let Some(again) = again {
                *again -= 1;
            }
            visits.push(Visit { left: now, jumps });
            left = if jumps { (now + length).checked_sub(1) } else { now.checked_sub(1) };
        }
        Ok(visits)
    }

    /// The levels that the jump after a step passes through; one noise is added between each two.
    fn jump(&self, steps: &[Step], left: usize) -> Result<Vec<NoiseLevel>, SamplerError> {
        let from_last = |left: usize| &steps[steps.len() - 1 - left];
        let Some(schedule) = &self.diffusers else {
            return Ok(vec![from_last(left).to, from_last(left + self.jump_length - 1).from]);
        };
        // The betas of the timesteps from that of the step upwards.
        let [now, next] = [left, left + 1].map(|left| from_last(left).timestep.max(0.0) as usize);
        let end = now + next.saturating_sub(now) * self.jump_length;
        let start = now.checked_sub(1).map_or(Ok(NoiseLevel::CLEAN), |t| schedule.level(t))?;
        let above = (now..end).map(|t| schedule.level(t));
        Ok(std::iter::once(Ok(start)).chain(above).collect::<Result<_, _>>()?)
    }

    fn call(&self, index: usize, visit: &Visit, steps: &[Step], denoiser: &Denoiser) -> Result<Noised, SamplerError> {
        let k = steps.len() - 1 - visit.left;
        let mut call = FirstOrder::ddim(self.eta).call(k, &steps[k], denoiser)?;
        call.noise = index;
        if !visit.jumps {
            return Ok((call, Vec::new()));
        }
        let levels = self.jump(steps, visit.left)?;
        let [low, high] = [levels[0], levels[levels.len() - 1]];
        let ([kept, noise], row) = (noising(low, high), &mut call.row);
        (row.x, row.p, row.clean) = (kept * row.x, kept * row.p, kept * row.clean);
        let old = [kept * row.z, kept * row.known[1]];
        row.z = old[0].hypot(noise);
        row.known = [kept * row.known[0], old[1].hypot(noise)];
        let whole = [row.z, row.known[1]];
        let part = |part: f64, whole: f64| if part == 0.0 { 0.0 } else { part / whole };
        let of_pair = |pair: &[NoiseLevel]| noising(pair[0], pair[1])[1] * high.alpha() / pair[1].alpha();
        let new = levels.windows(2).map(of_pair).map(|noise| whole.map(|whole| part(noise, whole)));
        let first = [part(old[0], whole[0]), part(old[1], whole[1])];
        Ok((call, std::iter::once(first).chain(new).collect()))
    }
}

/// A call and the parts of its noise.
type Noised = (Call, Vec<[f64; 2]>);

/// The factors of the sample and of fresh noise from one level to a noisier one.
fn noising(low: NoiseLevel, high: NoiseLevel) -> [f64; 2] {
    let sum = low.alpha().mul_add(high.sigma(), high.alpha() * low.sigma());
    let noise = (low.noise_added_by(high).max(0.0) * sum).sqrt() / low.alpha();
    [high.alpha() / low.alpha(), noise]
}

impl Solver for RePaint {
    fn solve(&self, grid: &Grid, denoiser: &Denoiser) -> Result<Solution, SamplerError> {
        check::fraction("eta", self.eta)?;
        let visits = self.visits(grid.len())?;
        let calls = visits.iter().enumerate().map(|(index, visit)| self.call(index, visit, grid.steps(), denoiser));
        let (calls, noise_parts): (Vec<_>, _) = calls.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        Ok(Solution { noise_parts, ..calls.into() })
    }
}
