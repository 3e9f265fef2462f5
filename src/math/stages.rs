//! Stages of a pyramid: a flow whose first steps are taken at low resolution.
//!
//! **Theory.** The times of a flow are split into ranges, one for each resolution (Jin et al. 2024, arXiv 2410.05954). Between two
//! stages the sample is upsampled and noised, which raises the noise at which the next one starts: the signal falls from `1 - s`
//! to `(1 - s)/(sqrt(1 + 1/gamma)*s + 1 - s)`. Each stage runs in a flow of its own, from almost pure noise to the stage's clean
//! sample, while the network is given the part of the whole range that falls to the stage.
//!
//! **Practice.** The grid of a stage lists its own sigmas and the timesteps that the network is given there. The caller does the
//! upsampling, from [`end`](Stages::end) of a stage to [`start`](Stages::start) of the next.

use super::check;
use super::flow;
use super::schedule::check_steps;
use crate::math::error::sampler::SamplerError;

/// The first sigma of a stage, and the largest timestep that the network is given.
const FIRST: [f64; 2] = [0.999, 999.0];

/// The share of the whole range at which the last stage ends.
const LAST_SHARE: f64 = 0.999_999_999_999_999_9;

/// The stages of a flow, as Helios runs them.
///
/// ```
/// use tweedie::math::Stages;
///
/// let stages = Stages::new(1000, 1.0, &[0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0], 1.0 / 3.0)?;
/// let [sigmas, told] = stages.grid(1, 4)?;
/// assert_eq!((stages.len(), sigmas.len(), told.len()), (3, 4, 4));
/// assert!(stages.start(1) > stages.end(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Stages {
    timesteps: usize,
    levels: Vec<[f64; 2]>,
    told: Vec<[f64; 2]>,
}

impl Stages {
    /// Creates the stages of a flow of this many timesteps with this shift. `range` holds their ends as fractions of the
    /// timesteps, rising from 0 to 1, one more than there are stages; `gamma`, above 0, is the correlation of the noise that
    /// upsampling leaves.
    ///
    /// # Errors
    /// [`SamplerError::Parameter`] for numbers out of range, ends that do not rise or fewer than two of them,
    /// [`SamplerError::Schedule`] for the number of timesteps.
    pub fn new(timesteps: usize, shift: f64, range: &[f64], gamma: f64) -> Result<Self, SamplerError> {
        check_steps(timesteps)?;
        check::positive("gamma", gamma)?;
        for &end in range {
            check::fraction("an end of a stage", end)?;
        }
        let refused = |expected, found| SamplerError::Parameter { name: "stage_range", expected, found };
        if range.len() < 2 {
            return Err(refused("a list of at least 2 ends", range.len() as f64));
        }
        if let Some(pair) = range.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(refused("a list of ends that rise", pair[1]));
        }
        // The time of place `j`, from noisy to clean.
        let all = timesteps as f64;
        let time = |j: usize| flow::shifted((all - j as f64) * (1.0 - 1.0 / all) / all, shift);
        let place = |part: f64| (part * all) as usize;
        let mut levels = Vec::new();
        for (i, pair) in range.windows(2).enumerate() {
            let [start, end] = [pair[0], pair[1]].map(place);
            let start = time(start.min(timesteps - 1))?;
            let start = if i == 0 { start } else { renoised(start, gamma) };
            levels.push([start, if end < timesteps { time(end)? } else { 0.0 }]);
        }
        let whole: f64 = levels.iter().map(|[start, end]| start - end).sum();
        let (mut told, mut before) = (Vec::new(), 0.0);
        for (i, [start, end]) in levels.iter().enumerate() {
            let after = before + (start - end);
            let last = if i + 1 == levels.len() { LAST_SHARE } else { after / whole };
            let most = (time(place(before / whole).min(timesteps - 1))? * all).min(FIRST[1]);
            told.push([most, time(place(last).min(timesteps - 1))? * all]);
            before = after;
        }
        Ok(Self { timesteps, levels, told })
    }

    /// The number of stages, at least 1.
    #[must_use]
    pub fn len(&self) -> usize {
        self.levels.len()
    }

    /// Always false.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// The time at which a stage starts, after the sample has been upsampled and noised; `None` for a stage that does not exist.
    #[must_use]
    pub fn start(&self, stage: usize) -> Option<f64> {
        self.levels.get(stage).map(|[start, _]| *start)
    }

    /// The time at which a stage ends: 0 for a last one that ends at 1 in `range`; `None` for a stage that does not exist.
    #[must_use]
    pub fn end(&self, stage: usize) -> Option<f64> {
        self.levels.get(stage).map(|[_, end]| *end)
    }

    /// The largest and the least timestep that the network is given in a stage.
    pub(crate) fn told(&self, stage: usize) -> Result<[f64; 2], SamplerError> {
        let (name, expected, found) = ("a stage", "below the number of stages", stage as f64);
        let [most, least] = *self.told.get(stage).ok_or(SamplerError::Parameter { name, expected, found })?;
        Ok([most, self.but_the_last([most, least])])
    }

    /// Returns the sigmas of this many steps of a stage, from noisy to clean in its own flow, and the timesteps that the network
    /// is given at each.
    ///
    /// # Errors
    /// [`SamplerError::Parameter`] for a stage that does not exist, [`SamplerError::Schedule`] for the number of steps.
    pub fn grid(&self, stage: usize, steps: usize) -> Result<[Vec<f64>; 2], SamplerError> {
        check_steps(steps)?;
        let even = |[most, least]: [f64; 2]| {
            let step = (least - most) / steps.saturating_sub(1).max(1) as f64;
            (0..steps).map(|i| if i > 0 && i + 1 == steps { least } else { most + i as f64 * step }).collect()
        };
        Ok([even([FIRST[0], self.but_the_last([FIRST[0], 0.0])]), even(self.told(stage)?)])
    }

    /// The last point before `least` of as many equal steps from `most` to `least` as there are timesteps.
    fn but_the_last(&self, [most, least]: [f64; 2]) -> f64 {
        let all = self.timesteps as f64;
        most + (all - 1.0) / all * (least - most)
    }
}

/// The time of a sample that was upsampled and noised so that its noise is white again.
fn renoised(time: f64, gamma: f64) -> f64 {
    let signal = 1.0 - time;
    1.0 - signal / ((1.0 + 1.0 / gamma).sqrt() * time + signal)
}
