//! Spacing: the timesteps that a short loop visits.
//!
//! **Theory.** A network trained on `T` timesteps is called at `n` of them. The start of the list matters most: only
//! trailing and linspace begin at the noisiest timestep (Lin et al. 2023, arXiv 2305.08891, section 3.3 and table 2).
//! guided-diffusion divides the timesteps into sections instead (Nichol & Dhariwal 2021, arXiv 2102.09672, section 4).
//!
//! **Practice.** Lists run from noisy to clean and have exactly `n` entries, all different and all in the schedule. Halves
//! are rounded to even, as in numpy.

use super::check;
use super::schedule::check_steps as check_timesteps;
use crate::math::error::sampler::SamplerError;
use std::str::FromStr;

/// A rule that chooses `n` timesteps from `T`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Spacing {
    /// Multiples of `floor(T/n)`, plus an offset: ends at the offset and usually begins below the noisiest timestep.
    Leading {
        /// The offset that is added to each timestep (`steps_offset`): 0, or 1 for Stable Diffusion.
        offset: usize,
    },
    /// `round(T - i*T/n) - 1`: begins at the noisiest timestep, ends at `round(T/n) - 1`.
    Trailing,
    /// Equal steps from the noisiest timestep to 0.
    Linspace,
}

impl Spacing {
    /// Returns `steps` of this many timesteps, from noisy to clean.
    ///
    /// # Errors
    /// [`SamplerError::NoSteps`], [`SamplerError::TooManySteps`]; [`SamplerError::Spacing`] if an offset leads out of the
    /// schedule; [`SamplerError::Schedule`] for a schedule of no timesteps or too many.
    pub fn timesteps(self, timesteps: usize, steps: usize) -> Result<Vec<usize>, SamplerError> {
        check_steps(steps, timesteps)?;
        self.whole(timesteps, steps, steps)
    }

    /// Returns the timesteps without a timestep 0 at the end, as in diffusers' DPM-Solver and UniPC: leading and linspace place
    /// `n + 1` and leave the last out.
    ///
    /// # Errors
    /// As [`timesteps`](Self::timesteps); leading and linspace take at most `T - 1` steps.
    pub fn timesteps_before_zero(self, timesteps: usize, steps: usize) -> Result<Vec<usize>, SamplerError> {
        check_steps(steps, timesteps)?;
        match self {
            Self::Trailing => self.whole(timesteps, steps, steps),
            Self::Leading { .. } | Self::Linspace => {
                check_steps(steps, timesteps - 1)?;
                self.whole(timesteps, steps + 1, steps)
            }
        }
    }

    /// Returns the timesteps, those of linspace without rounding, as in diffusers' Euler and Heun. The others are whole anyway.
    ///
    /// # Errors
    /// As [`timesteps`](Self::timesteps).
    pub fn positions(self, timesteps: usize, steps: usize) -> Result<Vec<f64>, SamplerError> {
        check_steps(steps, timesteps)?;
        match self {
            Self::Linspace => Ok(self.places(timesteps, steps)),
            Self::Leading { .. } | Self::Trailing => {
                Ok(self.whole(timesteps, steps, steps)?.into_iter().map(|t| t as f64).collect())
            }
        }
    }

    /// Returns the timesteps of latent consistency models (Luo et al. 2023, arXiv 2310.04378, section 4.3): `steps` of the
    /// `original` ones on which the model was distilled, which are the multiples of `floor(T/original)`, less 1. A `strength`
    /// in `0..=1` takes only the cleaner part of them.
    ///
    /// # Errors
    /// [`SamplerError::NoSteps`]; [`SamplerError::TooManySteps`] for more steps than original ones or more original ones than
    /// timesteps; [`SamplerError::Parameter`] for the strength.
    pub fn distilled(
        timesteps: usize,
        original: usize,
        strength: f64,
        steps: usize,
    ) -> Result<Vec<usize>, SamplerError> {
        check::fraction("strength", strength)?;
        check_steps(original, timesteps)?;
        let stride = timesteps / original;
        let usable = (original as f64 * strength) as usize;
        check_steps(steps, usable)?;
        let gap = usable as f64 / steps as f64;
        let place = |i: usize| (i as f64 * gap).floor() as usize;
        Ok((0..steps).map(|i| (usable - place(i)) * stride - 1).collect())
    }

    /// The first `take` of `points` places, rounded to timesteps.
    fn whole(self, timesteps: usize, points: usize, take: usize) -> Result<Vec<usize>, SamplerError> {
        let places = self.places(timesteps, points).into_iter().take(take);
        let mut list: Vec<usize> = places.map(|place| place.round_ties_even() as usize).collect();
        list.dedup();
        match list.len() == take && list[0] < timesteps {
            true => Ok(list),
            false => {
                Err(SamplerError::Spacing { expected: take, found: list.iter().filter(|&&t| t < timesteps).count() })
            }
        }
    }

    fn places(self, timesteps: usize, points: usize) -> Vec<f64> {
        let (all, last) = (timesteps as f64, timesteps as f64 - 1.0);
        let place = |i: usize| match self {
            Self::Leading { offset } => ((points - 1 - i) * (timesteps / points)) as f64 + offset as f64,
            Self::Trailing => {
                // The step as numpy.arange computes it, so that halves fall on the same side.
                let step = (all - all / points as f64) - all;
                (all + i as f64 * step).round_ties_even() - 1.0
            }
            Self::Linspace if i == 0 && points > 1 => last,
            Self::Linspace => (points - 1 - i) as f64 * (last / (points.max(2) - 1) as f64),
        };
        (0..points).map(place).collect()
    }
}

/// The respacing of guided-diffusion: how many timesteps are taken from each of equal sections of the schedule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sections {
    /// The number of timesteps from each section, evenly spaced from its first to its last; a single one is the first.
    Counts(Vec<usize>),
    /// This many timesteps from timestep 0 on, at the smallest whole stride that gives exactly this number (`ddimN`).
    Ddim(usize),
}

impl Sections {
    /// Returns the timesteps of a schedule of this many, from noisy to clean.
    ///
    /// # Errors
    /// [`SamplerError::Sections`] if a section has fewer timesteps than are to be taken, none are to be taken, or no stride
    /// fits; [`SamplerError::Schedule`] for a schedule of no timesteps or too many.
    pub fn timesteps(&self, timesteps: usize) -> Result<Vec<usize>, SamplerError> {
        check_timesteps(timesteps)?;
        let found = match self {
            Self::Counts(counts) => of_counts(counts, timesteps),
            Self::Ddim(steps) => of_stride(*steps, timesteps),
        };
        let mut list = found.ok_or_else(|| SamplerError::Sections { found: self.to_string(), timesteps })?;
        list.reverse();
        Ok(list)
    }
}

fn of_counts(counts: &[usize], timesteps: usize) -> Option<Vec<usize>> {
    let mut list = Vec::new();
    let (sections, mut start) = (counts.len(), 0);
    let (each, rest) = (timesteps.checked_div(sections)?, timesteps % sections);
    for (i, &count) in counts.iter().enumerate() {
        let size = each + usize::from(i < rest);
        if count > size {
            return None;
        }
        let stride = if count > 1 { (size - 1) as f64 / (count - 1) as f64 } else { 1.0 };
        let mut place = 0.0_f64;
        for _ in 0..count {
            list.push(start + place.round_ties_even() as usize);
            place += stride;
        }
        start += size;
    }
    (!list.is_empty()).then_some(list)
}

fn of_stride(steps: usize, timesteps: usize) -> Option<Vec<usize>> {
    let stride = (1..timesteps.max(2)).find(|&stride| timesteps.div_ceil(stride) == steps)?;
    Some((0..timesteps).step_by(stride).collect())
}

impl std::fmt::Display for Sections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ddim(steps) => write!(f, "ddim{steps}"),
            Self::Counts(counts) => {
                let counts: Vec<String> = counts.iter().map(usize::to_string).collect();
                f.write_str(&counts.join(","))
            }
        }
    }
}

/// Reads `"ddim25"`, or counts such as `"10,15,20"`.
impl FromStr for Sections {
    type Err = SamplerError;

    fn from_str(text: &str) -> Result<Self, SamplerError> {
        let unread = |_| SamplerError::SectionsText { found: text.to_owned() };
        if let Some(steps) = text.trim().strip_prefix("ddim") {
            return Ok(Self::Ddim(steps.parse().map_err(unread)?));
        }
        let counts = text.split(',').map(|count| count.trim().parse());
        Ok(Self::Counts(counts.collect::<Result<_, _>>().map_err(unread)?))
    }
}

fn check_steps(steps: usize, timesteps: usize) -> Result<(), SamplerError> {
    check_timesteps(timesteps)?;
    match steps {
        0 => Err(SamplerError::NoSteps),
        found if found > timesteps => Err(SamplerError::TooManySteps { found, available: timesteps }),
        _ => Ok(()),
    }
}
