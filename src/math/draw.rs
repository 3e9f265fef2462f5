//! Which timestep a training sample gets.
//!
//! **Theory.** A distribution over timesteps is a division of the 2^32 random words into consecutive ranges, one a
//! timestep. The word of a sample is the first of its Philox block (see [`noise`](crate::noise)), so its timestep depends
//! on (seed, stream, global sample index) alone: not on the batch it is in, nor on how many machines share the work.
//! Stratified sampling replaces the word `w` of a sample by one from the sample's own share of all words,
//! ```text
//! (stratum*2^32 + w) / batch        stratum = (sample + shift) mod batch
//! ```
//! so that a batch is spread as evenly as can be (the low-discrepancy idea of Kingma et al. 2021, arXiv 2107.00630,
//! appendix I.1). The shift is drawn anew for each stream, which leaves every sample its whole distribution.
//!
//! The distributions themselves are [`Density`]s on a continuous time in `0..=1`, 1 being pure noise, cut into the steps
//! `t/T..(t+1)/T`; EDM's is one on `sigma`, and a timestep gets what is nearest to it.
//!
//! **Practice.** The division is made once, in f64; a draw is then one search among integers, equal to the bit wherever
//! it is done. What a probability is off by is at most 2^-32, and [`TimestepDensity::probability`] returns what is
//! really drawn, so that importance weights are exact.

use super::normal;
use super::schedule::{Schedule, check_steps};
use crate::error::DrawError;
use crate::noise::{NoiseKey, TIMESTEP_BLOCK};

/// The number of random words.
const WORDS: u64 = 1 << 32;

/// The largest scale of [`Density::Mode`] at which it is one, `2/(pi - 2)`.
pub(super) const MODE_LIMIT: f64 = 2.0 / (std::f64::consts::PI - 2.0);

/// A distribution of a continuous noise level.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Density {
    /// All times in `0..=1` alike (Ho et al. 2020, arXiv 2006.11239).
    Uniform,
    /// `sigmoid` of a normal (Esser et al. 2024, arXiv 2403.03206, eq. 19, Stable Diffusion 3): noisier for a higher mean.
    ///
    /// diffusers draws the same number and uses it as an index into timesteps that fall: its mean has the other sign.
    LogitNormal {
        /// The mean of the normal: 0 in the paper.
        mean: f64,
        /// Its standard deviation, above 0: 1 in the paper.
        deviation: f64,
    },
    /// `1 - u - scale*(cos(pi*u/2)^2 - 1 + u)` of a uniform `u` (Esser et al. 2024, eq. 20): the middle for a positive
    /// scale, the ends for a negative one.
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
    /// Noise levels of a batch: times in `0..=1`, for [`LogNormal`](Self::LogNormal) the ratio `sigma/alpha`.
    ///
    /// A batch's own levels are a schedule, with the sample's index for a timestep:
    /// [`Schedule::variance_exploding`], [`Schedule::rectified_flow_times`].
    ///
    /// # Errors
    /// [`DrawError::Parameter`].
    pub fn draw(self, key: NoiseKey, batch: usize) -> Result<Vec<f64>, DrawError> {
        self.check()?;
        let uniform = |word: u32| (f64::from(word) + 0.5) / WORDS as f64;
        Ok(samples(key, batch).map(|sample| self.quantile(uniform(word(key, sample)))).collect())
    }

    /// The probability of at most `x`.
    fn cdf(self, x: f64) -> f64 {
        match self {
            Self::Uniform => x.clamp(0.0, 1.0),
            Self::LogitNormal { mean, deviation } => normal::cdf(((x / (1.0 - x)).ln() - mean) / deviation),
            Self::Mode { .. } => bisect(x, 0.0, 1.0, |u| self.quantile(u)),
            Self::LogNormal { mean, deviation } => normal::cdf((x.ln() - mean) / deviation),
        }
    }

    /// What a fraction `u` of all draws does not exceed.
    fn quantile(self, u: f64) -> f64 {
        match self {
            Self::Uniform => u,
            Self::LogitNormal { mean, deviation } => 1.0 / (1.0 + (-mean - deviation * standard_normal(u)).exp()),
            Self::Mode { scale } => {
                let sine = (std::f64::consts::FRAC_PI_2 * u).sin();
                u - scale * (sine * sine - u)
            }
            Self::LogNormal { mean, deviation } => (mean + deviation * standard_normal(u)).exp(),
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
    /// Timestep `t` has the words from the end of `t - 1` on, up to `ends[t]` and without it.
    ends: Vec<u64>,
}

impl TimestepDensity {
    /// Every timestep alike: `t = floor(word*steps/2^32)`.
    ///
    /// # Errors
    /// [`DrawError::Schedule`] for no timestep or too many.
    pub fn uniform(steps: usize) -> Result<Self, DrawError> {
        check_steps(steps)?;
        let ends = (1..=steps as u64).map(|end| (end * WORDS).div_ceil(steps as u64));
        Ok(Self { ends: ends.collect() })
    }

    /// A density over a schedule's timesteps.
    ///
    /// # Errors
    /// [`DrawError::Parameter`]; for [`Density::LogNormal`] [`DrawError::Order`] unless the noise rises, and
    /// [`DrawError::Nothing`] is never returned: the nearest timestep takes what lies beyond the ends.
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

    /// Any distribution, as numbers that are proportional to the probabilities.
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

    /// Rounding must not make an end fall, nor leave words to nobody.
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

    /// Where the words of each timestep end, in `0..=2^32`, rising to 2^32: all that a draw needs.
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

    /// `1/(T*probability)`: with it, a weighted loss has the mean that uniform timesteps would give. `None` for a
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

    /// A timestep for each sample of a batch, whose first has the global index `key.first_sample`.
    #[must_use]
    pub fn draw(&self, key: NoiseKey, batch: usize) -> Vec<u32> {
        samples(key, batch).map(|sample| self.at(word(key, sample))).collect()
    }

    /// The same, spread evenly over the `whole` samples of all devices: `key.first_sample` says which of them these are.
    ///
    /// A sample beyond the whole batch counts from its beginning again. A whole of 0 is one of 1.
    #[must_use]
    pub fn draw_stratified(&self, key: NoiseKey, batch: usize, whole: u32) -> Vec<u32> {
        let whole = u64::from(whole.max(1));
        let shift = shift(key, whole);
        let stratified = |sample: u64| {
            let stratum = (sample % whole + shift) % whole;
            ((u128::from(stratum) << 32 | u128::from(word(key, sample))) / u128::from(whole)) as u32
        };
        samples(key, batch).map(|sample| self.at(stratified(sample))).collect()
    }
}

/// The word that decides a sample's timestep.
fn word(key: NoiseKey, sample: u64) -> u32 {
    key.words_of(TIMESTEP_BLOCK, sample)[0]
}

/// Which stratum sample 0 has: one number for the whole batch, from a block that belongs to no sample.
fn shift(key: NoiseKey, whole: u64) -> u64 {
    let word = key.words_of(TIMESTEP_BLOCK + 1, 0)[0];
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

/// The standard normal that a fraction `u` does not exceed.
fn standard_normal(u: f64) -> f64 {
    const LIMIT: f64 = 10.0; // 2^-33 is at 6.4
    bisect(u, -LIMIT, LIMIT, normal::cdf)
}

/// Where a rising function takes a value.
fn bisect(wanted: f64, mut low: f64, mut high: f64, f: impl Fn(f64) -> f64) -> f64 {
    const HALVINGS: usize = 60; // of a range of 20: below the last place of what is returned
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if f(middle) < wanted { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

fn require(holds: bool, name: &'static str, range: &'static str, value: f64) -> Result<(), DrawError> {
    if holds { Ok(()) } else { Err(DrawError::Parameter { name, range, value }) }
}
