//! The loop that a solver walks along: its sigmas, its network and its options.

use crate::math::catalog::entry::Values;
use crate::math::error::sampler::SamplerError;
use crate::math::level::NoiseLevel;
use crate::math::run::model::RunModel;
use crate::math::run::window::FIRST_FLOW_PERCENT;
use crate::math::sampler::linear::Linear;
use crate::math::sampler::recorder::{Answer, Asked, Recorded, Recorder};

/// A time that rises as the noise falls, and the factor of the clean sample that goes with it, both at a sigma.
pub type Clock = fn(&Course<'_>, f64) -> [f64; 2];

/// `-ln(sigma)` whatever the model, as in k-diffusion.
pub fn sigma_clock(_: &Course<'_>, sigma: f64) -> [f64; 2] {
    [-sigma.ln(), 1.0]
}

/// Half the log SNR, as in the papers.
pub fn snr_clock(course: &Course<'_>, sigma: f64) -> [f64; 2] {
    [course.half_log_snr(sigma), course.alpha(sigma)]
}

/// A solver's loop along the sigmas of a run, which records its formulas.
pub struct Course<'a> {
    /// The model.
    pub model: &'a RunModel,
    /// The sigmas, one more than steps.
    pub sigmas: Vec<f64>,
    /// The values of its options that are numbers.
    pub values: Values,
    /// The values of its options that are words.
    pub words: Vec<&'static str>,
    it: Recorder,
    asked: Vec<f64>,
    spans: Vec<[f64; 2]>,
    left: Option<f64>,
}

/// A loop that a solver has walked.
#[derive(Clone, Debug)]
pub struct Walked {
    /// The rows and the formulas.
    pub recorded: Recorded,
    /// The sigma of each call of the network.
    pub call_sigmas: Vec<f64>,
    /// The sigmas between which each noise is drawn, of a sampler with Brownian noise.
    pub spans: Vec<[f64; 2]>,
    /// The last sigma of its grid.
    pub last_sigma: f64,
    /// The sigma of the noise that remains in the result.
    pub remaining_sigma: f64,
}

/// The last sigma of a grid that is above 0, if one of the last two is: there a sampler ends that cannot step to 0.
pub fn last_above_zero(sigmas: &[f64]) -> f64 {
    match sigmas {
        [.., before, last] if *last == 0.0 => *before,
        [.., last] => *last,
        [] => 0.0,
    }
}

impl<'a> Course<'a> {
    /// Starts a loop.
    pub fn new(
        name: &'static str,
        model: &'a RunModel,
        sigmas: &[f64],
        values: Values,
        words: Vec<&'static str>,
    ) -> Self {
        Self {
            model,
            sigmas: sigmas.to_vec(),
            values,
            words,
            it: Recorder::new(name),
            asked: Vec::new(),
            spans: Vec::new(),
            left: None,
        }
    }

    /// Says that noise of this sigma remains, where that is not the last sigma.
    pub const fn leaves(&mut self, sigma: f64) {
        self.left = Some(sigma);
    }

    /// Ends it with this result.
    pub fn finish(self, result: &Linear) -> Result<Walked, SamplerError> {
        let last_sigma = self.sigmas.last().copied().unwrap_or(0.0);
        let (recorded, remaining_sigma) = (self.it.finish(result)?, self.left.unwrap_or(last_sigma));
        Ok(Walked { recorded, call_sigmas: self.asked, spans: self.spans, last_sigma, remaining_sigma })
    }

    /// The number of steps.
    pub fn steps(&self) -> usize {
        self.sigmas.len().saturating_sub(1)
    }

    /// The sigmas at the start and at the end of a step.
    pub fn ends(&self, step: usize) -> (f64, f64) {
        let at = |i: usize| self.sigmas.get(i).copied().unwrap_or(f64::NAN);
        (at(step), at(step + 1))
    }

    /// Sets the step to which the next calls belong, and returns its sigmas.
    pub fn step(&mut self, step: usize) -> (f64, f64) {
        self.it.step(step);
        self.ends(step)
    }

    /// The sample at the start.
    pub fn start(&self) -> Linear {
        self.it.start()
    }

    /// Draws noise.
    pub fn noise(&mut self) -> Linear {
        self.it.noise()
    }

    /// Draws noise of standard deviation `up` for a step, times the option `s_noise` and the model's noise scale.
    pub fn step_noise(&mut self, up: f64) -> Linear {
        self.it.noise() * (up * self.number("s_noise") * self.model.noise_scale())
    }

    /// The same for a Brownian motion between two sigmas.
    pub fn brownian_noise(&mut self, up: f64, from: f64, to: f64) -> Linear {
        self.spans.push([from, to]);
        self.step_noise(up)
    }

    /// Calls the network at a sample of this sigma.
    pub fn ask(&mut self, x: &Linear, sigma: f64) -> Result<Answer, SamplerError> {
        let alpha = self.model.alpha(sigma).max(0.0);
        let asked = Asked {
            told: self.model.told(sigma),
            level: NoiseLevel::new(alpha, sigma)?,
            input: self.model.input(sigma),
            x0: self.model.denoised(sigma),
        };
        let answer = self.it.call(x, asked)?;
        self.asked.push(sigma);
        Ok(answer)
    }

    /// Calls the network at the start of every step and takes the step by `step`, which gets the answer and the two sigmas. A step to
    /// 0 gives the clean sample.
    pub fn each_step(
        &mut self,
        mut step: impl FnMut(&mut Self, Answer, f64, f64) -> Result<Linear, SamplerError>,
    ) -> Result<Linear, SamplerError> {
        let mut x = self.start();
        for i in 0..self.steps() {
            let (from, to) = self.step(i);
            let now = self.ask(&x, from)?;
            x = if to == 0.0 { now.d } else { step(self, now, from, to)? };
        }
        Ok(x)
    }

    /// Makes the last call remember a value; see [`Recorder::remember`].
    pub fn remember(&mut self, value: &Linear) -> Result<Linear, SamplerError> {
        self.it.remember(value)
    }

    /// The value expressed in the sample of the last call; see [`Recorder::current`].
    pub fn current(&self, value: &Linear) -> Result<Linear, SamplerError> {
        self.it.current(value)
    }

    /// The value of an option.
    pub fn number(&self, name: &str) -> f64 {
        self.values.number(name)
    }

    /// The value of an option that is a count.
    pub fn count(&self, name: &str) -> usize {
        self.values.count(name)
    }

    /// True if an option is switched on.
    pub fn is_on(&self, name: &str) -> bool {
        self.values.number(name) == 1.0
    }

    /// True if a word was chosen.
    pub fn chose(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    /// The factor of the clean sample at a sigma.
    pub fn alpha(&self, sigma: f64) -> f64 {
        self.model.alpha(sigma)
    }

    /// The ratio of noise to signal.
    pub fn ratio(&self, sigma: f64) -> f64 {
        sigma / self.alpha(sigma)
    }

    /// `ln(alpha/sigma)`, half the log SNR.
    pub fn half_log_snr(&self, sigma: f64) -> f64 {
        let round = |value| self.model.precision().round(value);
        match self.model.is_flow() {
            true => -round(round(sigma / round(1.0 - sigma)).ln()),
            false => -round(sigma.ln()),
        }
    }

    /// The sigma at which half the log SNR has this value.
    pub fn sigma_of(&self, half_log_snr: f64) -> f64 {
        let round = |value| self.model.precision().round(value);
        match self.model.is_flow() {
            true => round(1.0 / round(1.0 + round(half_log_snr.exp()))),
            false => round((-half_log_snr).exp()),
        }
    }

    /// The sigma at a fraction of the way between two, measured in half the log SNR.
    pub fn sigma_between(&self, from: f64, to: f64, part: f64) -> f64 {
        let round = |value| self.model.precision().round(value);
        let [start, end] = [from, to].map(|sigma| self.half_log_snr(sigma));
        self.sigma_of(round(start + round(part * round(end - start))))
    }

    /// Replaces the first sigma of a flow that starts at pure noise, where half the log SNR is infinite. The sample does not change.
    pub fn leave_pure_noise(&mut self) {
        let first = self.model.precision().round(self.model.percent_to_sigma(FIRST_FLOW_PERCENT));
        if let Some(sigma) = self.sigmas.first_mut().filter(|sigma| self.model.is_flow() && **sigma >= 1.0) {
            *sigma = first;
        }
    }

    /// The sample at `to`, from the sample and the clean sample `(x, d)` at `from`, if the clean sample stays constant: exponential
    /// Euler.
    pub fn straight(&self, (x, d): (&Linear, &Linear), from: f64, to: f64) -> Linear {
        let ratio = to / from;
        x * ratio + d * (self.alpha(to) - self.alpha(from) * ratio)
    }
}

/// Euler's step in sigma; a step to 0 gives the clean sample.
pub fn euler(x: &Linear, d: &Linear, from: f64, to: f64) -> Linear {
    let ratio = to / from;
    x * ratio + d * (1.0 - ratio)
}

/// The slope in sigma, `(x - d)/sigma`.
pub fn slope(x: &Linear, d: &Linear, sigma: f64) -> Linear {
    (x - d) * (1.0 / sigma)
}
