//! Measures the losses of 16-bit storage.
//!
//! **Theory.** `x_t = alpha*x0 + sigma*epsilon` is rounded to 11 (f16) or 8 (bf16) bits. Where `sigma` is small the
//! rounding drowns the noise, where `alpha` is small it drowns the signal: even with the one known exactly, the other can be
//! recovered only as
//! ```text
//! epsilon ~ (x_t - alpha*x0)/sigma        x0 ~ (x_t - sigma*epsilon)/alpha
//! ```
//! **Practice.** The data are stored in that type too, as such a pipeline has them; the noise and the arithmetic are
//! f32. The error is relative to the deviation of what is recovered.

use super::LEVELS;
use super::data::Data;
use super::measurement::root_mean_square;
use crate::batch::Batch;
use crate::engine::Adapter;
use crate::report::Outcome;
use serde::Serialize;
use tweedie::Storage;
use tweedie::gpu::NoiseKey;
use tweedie::math::NoiseLevel;

/// The relative error above which a part counts as lost.
pub const LOST: f64 = 0.1;

/// The storages that may lose something.
pub const HALVES: [Storage; 2] = [Storage::F16, Storage::Bf16];

/// Parts of x_t.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Noise,
    Signal,
}

impl Part {
    pub const ALL: [Self; 2] = [Self::Noise, Self::Signal];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::Signal => "signal",
        }
    }
}

/// The relative errors of what can be recovered from x_t; NaN for a part that x_t does not have, infinite beyond the range.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Recovered {
    pub noise: f64,
    pub signal: f64,
}

impl Recovered {
    pub const fn of(&self, part: Part) -> f64 {
        match part {
            Part::Noise => self.noise,
            Part::Signal => self.signal,
        }
    }

    /// Returns whether a part exists and is lost.
    pub fn is_lost(&self, part: Part) -> bool {
        self.of(part) > LOST
    }
}

/// Returns the errors at each of these levels, in the storage of the adapter.
pub fn recover(adapter: &Adapter, data: &Data, levels: &[NoiseLevel], key: NoiseKey) -> Outcome<Vec<Recovered>> {
    let stored = adapter.storage.decode(&adapter.storage.encode(&data.chosen));
    let x0 = &stored[..data.chosen.len()];
    let mut recovered = Vec::new();
    for (index, levels) in levels.chunks(LEVELS).enumerate() {
        let batch = Batch::new(adapter, &data.chosen, levels, key.first_sample((index * LEVELS) as u64))?;
        let noise = batch.draw()?;
        let x_t = batch.read(&batch.x_t)?;
        recovered.extend(levels.iter().enumerate().map(|(index, level)| {
            let (x_t, noise) = (batch.sample(&x_t, index), batch.sample(&noise, index));
            let [alpha, sigma] = [level.alpha(), level.sigma()];
            // Both are off by the same amount of x_t.
            let off = x_t
                .iter()
                .zip(x0)
                .zip(noise)
                .map(|((&x_t, &x0), &noise)| f64::from(x_t) - alpha * f64::from(x0) - sigma * f64::from(noise));
            let off = root_mean_square(off);
            let off = if off.is_nan() { f64::INFINITY } else { off };
            Recovered { noise: relative(off, sigma), signal: relative(off, alpha * data.deviation) }
        }));
    }
    Ok(recovered)
}

/// The error relative to a whole; NaN for a whole of 0.
fn relative(off: f64, whole: f64) -> f64 {
    if whole > 0.0 { off / whole } else { f64::NAN }
}
