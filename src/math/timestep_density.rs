//! Distributions of training timesteps.
//!
//! **Theory.** A distribution over timesteps is a division of the 2^32 random words into consecutive ranges, one per
//! timestep. The word of a sample is the first of its Philox block (see [`noise`](crate::noise)), so its timestep depends
//! only on (seed, stream, global sample index), not on the batch or on the number of machines that share the work.
//! Stratified sampling replaces the word `w` of a sample by one from the sample's own share of all words,
//! ```text
//! (stratum*2^32 + w) / batch        stratum = (sample + shift) mod batch
//! ```
//! which spreads a batch evenly (the low-discrepancy sampler of Kingma et al. 2021, arXiv 2107.00630, appendix I.1).
//! The shift is drawn anew for each stream, so the timestep of any one sample still has the whole distribution.
//!
//! The distributions themselves are [`Density`]s on a continuous time in `0..=1`, 1 being pure noise, cut into the steps
//! `t/T..(t+1)/T`; EDM's is a density on `sigma`, and a draw goes to the nearest timestep.
//!
//! **Practice.** The division is computed once, in f64. A draw is then a search among integers, bitwise equal on every
//! device. The error of a probability is at most 2^-32, and [`TimestepDensity::probability`] returns the probability of
//! the actual draws, so importance weights are exact.

use super::normal::{self, bisect};
use super::schedule::{Schedule, check_steps};
use crate::math::error::draw::DrawError;
use crate::noise::{NoiseKey, TIMESTEP_BLOCK};

/// The number of random words.
const WORDS: u64 = 1 << 32;

/// The largest scale at which [`Density::Mode`] is a density, `2/(pi - 2)`.
pub(super) const MODE_LIMIT: f64 = 2.0 / (std::f64::consts::PI - 2.0);

/// A distribution of a continuous noise level.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Density {
    /// Uniform times in `0..=1` (Ho et al. 2020, arXiv 2006.11239).
    Uniform,
    /// `sigmoid` of a normal (Esser et al. 2024, arXiv 2403.03206, eq. 19, Stable Diffusion 3): noisier for a higher mean.
    ///
    /// diffusers draws the same number and uses it as an index into falling timesteps: its mean has the opposite sign.
    LogitNormal {
        /// The mean of the normal: 0 in the paper.
        mean: f64,
        /// Its standard deviation, above 0: 1 in the paper.
        deviation: f64,
    },
    /// `1 - u - scale*(cos(pi*u/2)^2 - 1 + u)` of a uniform `u` (Esser et al. 2024, eq. 20): favours the middle for a
    /// positive scale, the ends for a negative one.
    Mode {
        /// In `-1..=2/(pi - 2)`; 1.29 in the paper.
        scale: f64,
    },
    /// `sigma/alpha` is the exponential of a normal (Karras et al. 2022, arXiv 2206.00364, table 1).
    LogNormal {
        /// The mean of the normal, `P_mean`: -1.2 in the paper.
        mean: f64,
        /// Its standard deviation, `P_std`, above 0: 1.2 in the paper.
        deviation: f64,
    },
}

impl Density {
    /// Draws the noise levels of a batch: times in `0..=1`, for [`LogNormal`](Self::LogNormal) ratios `sigma/alpha`.
    ///
    /// To train on them, make a schedule of them, whose timesteps are the indices of the samples:
    /// [`Schedule::variance_exploding`], [`Schedule::rectified_flow_times`].
    ///
    /// # Errors
    /// [`DrawError::Parameter`] for a parameter of the density out of range.
    pub fn draw(self, key: NoiseKey, batch: usize) -> Result<Vec<f64>, DrawError> {
        self.check()?;
        let uniform = |word: u32| (f64::from(word) + 0.5) / WORDS as f64;
        Ok(samples(key, batch).map(|sample| self.quantile(uniform(word(key, sample, 0)))).collect())
    }

    /// The probability of a draw of at most `x`.
    fn cdf(self, x: f64) -> f64 {
        match self {
            Self::Uniform => x.clamp(0.0, 1.0),
            Self::LogitNormal { mean, deviation } => normal::cdf(((x / (1.0 - x)).ln() - mean) / deviation),
            Self::Mode { .. } => bisect(x, 0.0, 1.0, |u| self.quantile(u)),
            Self::LogNormal { mean, deviation } => normal::cdf((x.ln() - mean) / deviation),
        }
    }

    /// The quantile: a fraction `u` of all draws does not exceed it.
    fn quantile(self, u: f64) -> f64 {
        match self {
            Self::Uniform => u,
            Self::LogitNormal { mean, deviation } => 1.0 / (1.0 + (-mean - deviation * normal::quantile(u)).exp()),
            Self::Mode { scale } => {
                let sine = (std::f64::consts::FRAC_PI_2 * u).sin();
                u - scale * (sine * sine - u)
            }
            Self::LogNormal { mean, deviation } => (mean + deviation * normal::quantile(u)).exp(),
        }
    }

    fn check(self) -> Result<(), DrawError> {
        let finite = |name, value: f64| require(value.is_finite(), name, "finite", value);
        match self {
            Self::Uniform => Ok(()),
            Self::LogitNormal { mean, deviation } | Self::LogNormal { mean, deviation } => {
                finite("mean", mean)?;
                require(deviation.is_finite() && deviation > 0.0, "deviation", "finite and above 0", deviation)
            }
            Self::Mode { scale } => {
                require((-1.0..=MODE_LIMIT).contains(&scale), "scale", "within -1..=2/(pi - 2)", scale)
            }
        }
    }
}

/// A distribution over the timesteps `0..T`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestepDensity {
    /// Timestep `t` has the words `ends[t - 1]..ends[t]`, timestep 0 those from 0 on.
    ends: Vec<u64>,
}

impl TimestepDensity {
    /// Creates the uniform distribution: `t = floor(word*steps/2^32)`.
    ///
    /// # Errors
    /// [`DrawError::Schedule`] for no timestep or too many.
    pub fn uniform(steps: usize) -> Result<Self, DrawError> {
        check_steps(steps)?;
        let ends = (1..=steps as u64).map(|end| (end * WORDS).div_ceil(steps as u64));
        Ok(Self { ends: ends.collect() })
    }

    /// Creates the distribution that a density gives to a schedule's timesteps. Levels beyond the ends of the schedule go to the
    /// nearest timestep.
    ///
    /// # Errors
    /// [`DrawError::Parameter`] for a parameter of the density out of range; for [`Density::LogNormal`] also
    /// [`DrawError::Order`] unless the ratio of noise to signal rises with the timestep.
    pub fn of(schedule: &Schedule, density: Density) -> Result<Self, DrawError> {
        density.check()?;
        let steps = schedule.len();
        let bounds = match density {
            Density::Uniform => return Self::uniform(steps),
            Density::LogNormal { .. } => midpoints(schedule)?,
            _ => (1..steps).map(|t| t as f64 / steps as f64).collect(),
        };
        let inner = bounds.into_iter().map(|bound| (density.cdf(bound) * WORDS as f64).round() as u64);
        Ok(Self::rising(inner.chain([WORDS])))
    }

    /// Creates a distribution from numbers that are proportional to the probabilities.
    ///
    /// # Errors
    /// [`DrawError::Probability`], [`DrawError::Nothing`], [`DrawError::Schedule`] for no timestep or too many.
    pub fn from_probabilities(probabilities: &[f64]) -> Result<Self, DrawError> {
        check_steps(probabilities.len())?;
        let mut numbered = probabilities.iter().copied().enumerate();
        if let Some((timestep, value)) = numbered.find(|(_, p)| !(p.is_finite() && *p >= 0.0)) {
            return Err(DrawError::Probability { timestep, value });
        }
        let largest = probabilities.iter().copied().fold(0.0, f64::max);
        if largest == 0.0 {
            return Err(DrawError::Nothing);
        }
        let sums = probabilities.iter().scan(0.0, |sum, p| {
            *sum += p / largest;
            Some(*sum)
        });
        let sums: Vec<f64> = sums.collect();
        let total = sums[sums.len() - 1];
        Ok(Self::rising(sums.into_iter().map(|sum| (sum / total * WORDS as f64).round() as u64)))
    }

    /// Creates the distribution from ends, which are kept rising in spite of rounding and at most 2^32.
    fn rising(ends: impl Iterator<Item = u64>) -> Self {
        let ends = ends.scan(0, |last, end: u64| {
            *last = end.clamp(*last, WORDS);
            Some(*last)
        });
        Self { ends: ends.collect() }
    }

    /// The number of timesteps, at least 1.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Always false: no constructor makes an empty distribution.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The end of each timestep's range of random words, in `0..=2^32` and rising to 2^32. A draw needs nothing else.
    #[must_use]
    pub fn ends(&self) -> &[u64] {
        &self.ends
    }

    /// The probability with which a timestep is drawn, a multiple of 2^-32; 0 beyond the end.
    #[must_use]
    pub fn probability(&self, timestep: usize) -> f64 {
        let before = timestep.checked_sub(1).map_or(0, |t| self.ends.get(t).copied().unwrap_or(WORDS));
        let end = self.ends.get(timestep).copied().unwrap_or(WORDS);
        (end - before) as f64 / WORDS as f64
    }

    /// The importance weight `1/(T*probability)`, with which a loss has the mean that uniform timesteps would give. `None` for a
    /// timestep that is never drawn.
    #[must_use]
    pub fn importance(&self, timestep: usize) -> Option<f64> {
        let probability = self.probability(timestep);
        (probability > 0.0).then(|| 1.0 / (self.len() as f64 * probability))
    }

    /// The timestep of a random word.
    #[must_use]
    pub fn at(&self, word: u32) -> u32 {
        self.ends.partition_point(|&end| end <= u64::from(word)) as u32
    }

    /// Draws a timestep for each sample of a batch, whose first has the global index `key.first_sample`.
    #[must_use]
    pub fn draw(&self, key: NoiseKey, batch: usize) -> Vec<u32> {
        self.draw_groups(key, batch, 1)
    }

    /// Draws a timestep for each group of each sample, `[batch, groups]`: for tokens, frames or channels that have noise levels of
    /// their own. The first group of each sample gets the timestep of [`draw`](Self::draw).
    #[must_use]
    pub fn draw_groups(&self, key: NoiseKey, batch: usize, groups: u32) -> Vec<u32> {
        let of_sample = |sample| (0..groups).map(move |group| self.at(word(key, sample, group)));
        samples(key, batch).flat_map(of_sample).collect()
    }

    /// Draws timesteps that are spread evenly over the `whole` samples of all devices; `key.first_sample` is the global
    /// index of the first sample of this batch.
    ///
    /// Samples beyond the whole batch wrap around. A `whole` of 0 counts as 1.
    #[must_use]
    pub fn draw_stratified(&self, key: NoiseKey, batch: usize, whole: u32) -> Vec<u32> {
        self.draw_groups_stratified(key, batch, 1, whole)
    }

    /// Draws such timesteps for each group of each sample, `[batch, groups]`: those of one group are spread evenly over the samples.
    #[must_use]
    pub fn draw_groups_stratified(&self, key: NoiseKey, batch: usize, groups: u32, whole: u32) -> Vec<u32> {
        let whole = u64::from(whole.max(1));
        let stratified = |sample: u64, group: u32| {
            let stratum = (sample % whole + shift(key, whole, group)) % whole;
            ((u128::from(stratum) << 32 | u128::from(word(key, sample, group))) / u128::from(whole)) as u32
        };
        let of_sample = |sample| (0..groups).map(move |group| self.at(stratified(sample, group)));
        samples(key, batch).flat_map(of_sample).collect()
    }
}

/// The random word of the timestep of a sample's group.
fn word(key: NoiseKey, sample: u64, group: u32) -> u32 {
    key.words_of(block(group), sample)[0]
}

/// The first of the two Philox blocks of a group; the second is for its strata.
fn block(group: u32) -> u32 {
    TIMESTEP_BLOCK.wrapping_add(group.wrapping_mul(2))
}

/// The stratum of sample 0 in a group: one number for the whole batch, from the group's second block.
fn shift(key: NoiseKey, whole: u64, group: u32) -> u64 {
    let word = key.words_of(block(group) + 1, 0)[0];
    (u64::from(word) * whole) >> 32
}

fn samples(key: NoiseKey, batch: usize) -> impl Iterator<Item = u64> {
    (0..batch as u64).map(move |i| key.first_sample.wrapping_add(i))
}

/// The ratios `sigma/alpha` halfway, in logarithm, between neighbouring timesteps.
fn midpoints(schedule: &Schedule) -> Result<Vec<f64>, DrawError> {
    let lambda = schedule.lambda();
    let pairs = lambda.windows(2).enumerate();
    let middle = |(t, pair): (usize, &[f64])| match pair[0] > pair[1] {
        true => Ok((-0.5 * pair[0] - 0.5 * pair[1]).exp()),
        false => Err(DrawError::Order { timestep: t + 1 }),
    };
    pairs.map(middle).collect()
}

fn require(holds: bool, name: &'static str, range: &'static str, value: f64) -> Result<(), DrawError> {
    if holds { Ok(()) } else { Err(DrawError::Parameter { name, range, value }) }
}
