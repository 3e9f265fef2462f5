//! The loop of a solver: its sigmas, its network, its options.

use crate::math::catalog::entry::Values;
use crate::math::error::sampler::SamplerError;
use crate::math::level::NoiseLevel;
use crate::math::run::model::RunModel;
use crate::math::run::window::FIRST_FLOW_PERCENT;
use crate::math::sampler::linear::Linear;
use crate::math::sampler::recorder::{Answer, Asked, Recorded, Recorder};

/// A clock that rises as the noise falls, and the factor of the clean sample that goes with it, at a sigma.
pub type Clock = fn(&Course<'_>, f64) -> [f64; 2];

/// `-ln(sigma)` whatever the model, as k-diffusion has it.
pub fn sigma_clock(_: &Course<'_>, sigma: f64) -> [f64; 2] {
    [-sigma.ln(), 1.0]
}

/// Half the log SNR, as the papers have it.
pub fn snr_clock(course: &Course<'_>, sigma: f64) -> [f64; 2] {
    [course.half_log_snr(sigma), course.alpha(sigma)]
}

/// A solver on its way along the sigmas of a run.
pub struct Course<'a> {
    /// The model.
    pub model: &'a RunModel,
    /// The sigmas, one more than steps.
    pub sigmas: Vec<f64>,
    /// The numbers of its options.
    pub values: Values,
    /// The words of its options.
    pub words: Vec<&'static str>,
    it: Recorder,
    asked: Vec<f64>,
    spans: Vec<[f64; 2]>,
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
    /// The sigma at which it ended.
    pub last_sigma: f64,
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
    /// Begins a loop.
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
        }
    }

    /// Ends it with this result.
    pub fn finish(self, result: &Linear) -> Result<Walked, SamplerError> {
        let last_sigma = self.sigmas.last().copied().unwrap_or(0.0);
        Ok(Walked { recorded: self.it.finish(result)?, call_sigmas: self.asked, spans: self.spans, last_sigma })
    }

    /// The number of steps.
    pub fn steps(&self) -> usize {
        self.sigmas.len().saturating_sub(1)
    }

    /// The sigmas from which and to which a step leads.
    pub fn ends(&self, step: usize) -> (f64, f64) {
        let at = |i: usize| self.sigmas.get(i).copied().unwrap_or(f64::NAN);
        (at(step), at(step + 1))
    }

    /// Says which step the next calls belong to, and returns its sigmas.
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

    /// Draws noise of the deviation `up` for a step, times the option `s_noise` and the model's own scale.
    pub fn step_noise(&mut self, up: f64) -> Linear {
        self.it.noise() * (up * self.number("s_noise") * self.model.noise_scale())
    }

    /// The same of a Brownian motion between two sigmas.
    pub fn brownian_noise(&mut self, up: f64, from: f64, to: f64) -> Linear {
        self.spans.push([from, to]);
        self.step_noise(up)
    }

    /// Asks the network at a sample of this sigma.
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

    /// Asks at the start of every step and takes it by `step`, which is given the answer and the sigmas from and to which it leads.
    /// A step to 0 ends at the clean sample.
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

    /// Lets the last call remember a value; see [`Recorder::remember`].
    pub fn remember(&mut self, value: &Linear) -> Result<Linear, SamplerError> {
        self.it.remember(value)
    }

    /// The value over the sample of the last call; see [`Recorder::current`].
    pub fn current(&self, value: &Linear) -> Result<Linear, SamplerError> {
        self.it.current(value)
    }

    /// The number of an option.
    pub fn number(&self, name: &str) -> f64 {
        self.values.number(name)
    }

    /// The count of an option.
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

    /// The sigma of a half log SNR.
    pub fn sigma_of(&self, half_log_snr: f64) -> f64 {
        let round = |value| self.model.precision().round(value);
        match self.model.is_flow() {
            true => round(1.0 / round(1.0 + round(half_log_snr.exp()))),
            false => round((-half_log_snr).exp()),
        }
    }

    /// The sigma at a part of the way between two, in half the log SNR.
    pub fn sigma_between(&self, from: f64, to: f64, part: f64) -> f64 {
        let round = |value| self.model.precision().round(value);
        let [start, end] = [from, to].map(|sigma| self.half_log_snr(sigma));
        self.sigma_of(round(start + round(part * round(end - start))))
    }

    /// Moves the first sigma of a flow that begins with pure noise, where half the log SNR is infinite. The sample stays.
    pub fn leave_pure_noise(&mut self) {
        let first = self.model.precision().round(self.model.percent_to_sigma(FIRST_FLOW_PERCENT));
        if let Some(sigma) = self.sigmas.first_mut().filter(|sigma| self.model.is_flow() && **sigma >= 1.0) {
            *sigma = first;
        }
    }

    /// The sample on the way from `(x, d)` at `from` along a constant clean sample, at `to`: exponential Euler.
    pub fn straight(&self, (x, d): (&Linear, &Linear), from: f64, to: f64) -> Linear {
        let ratio = to / from;
        x * ratio + d * (self.alpha(to) - self.alpha(from) * ratio)
    }
}

/// Euler's step in sigma, which leads to the clean sample at 0.
pub fn euler(x: &Linear, d: &Linear, from: f64, to: f64) -> Linear {
    let ratio = to / from;
    x * ratio + d * (1.0 - ratio)
}

/// The slope in sigma, `(x - d)/sigma`.
pub fn slope(x: &Linear, d: &Linear, sigma: f64) -> Linear {
    (x - d) * (1.0 / sigma)
}
