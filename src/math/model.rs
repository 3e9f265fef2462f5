//! Models: the facts of a trained network that noising, conversion, losses and sampling need.
//!
//! **Theory.** A network was trained on the noise levels of one [`Process`], predicts one [`Quantity`], and is given the
//! level as a number in its own convention: a timestep, `1000*t`, `ln(sigma)/4`. A velocity may have the opposite sign,
//! and a flow's time may run from noise to data.
//!
//! **Practice.** A [`Model`] holds these facts in one place: all code that needs the level of a timestep, or the number
//! that the network is given, gets it from the model.

use super::check;
use super::cosine_clock::CosineClock;
use super::edm::SigmaData;
use super::level::NoiseLevel;
use super::placement::Placement;
use super::process::Process;
use super::quantity::Quantity;
use super::sampler::denoiser::Denoiser;
use super::sampler::grid::Scale;
use super::schedule::Schedule;
use crate::math::error::sampler::SamplerError;
use crate::math::schedule_error::ScheduleError;
use std::f64::consts::FRAC_PI_2;

/// The number that a network is given ("told") as its time at a noise level.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Told {
    /// The timestep whose ratio of noise to signal is the level's; it may lie between whole timesteps.
    Timestep,
    /// `scale*t` with the time `t = sigma/(alpha + sigma)` of a flow. The scale is 1000 for most networks, and 1 for those that
    /// multiply the time themselves, as in Flux's own code.
    Time(f64),
    /// `scale*(1 - t)`, for a flow whose time runs from noise to data.
    RisingTime(f64),
    /// `sigma/alpha`.
    Sigma,
    /// `ln(sigma/alpha)/4` (Karras et al. 2022, arXiv 2206.00364, table 1).
    LogSigma,
    /// The time `t` in `0..=1` of a continuous cosine schedule: `abar = cos^2((t' + offset)/(1 + offset)*pi/2)` divided by its
    /// value at `t' = 0`, clamped to `0.0001..=0.9999`. Here `t'` is `t^power` for powers up to 1 and `1 - (1 - t)^power` above
    /// (Pernias et al. 2023, arXiv 2306.00637: Würstchen, Stable Cascade).
    CosineTime(CosineClock),
    /// `scale*ln(sigma/alpha)`: 250 for consistency models (Song et al. 2023, arXiv 2303.01469).
    ScaledLogSigma(f64),
    /// The angle `t` with `tan(t) = sigma/(sigma_data*alpha)` (Lu & Song 2024, arXiv 2410.11081).
    Angle(SigmaData),
    /// `atan(sigma/alpha)*2/pi`, the angle as a fraction of a right angle, in `0..=1` (k-diffusion's `VDenoiser`): the time
    /// of the cosine schedule `alpha = cos(pi*t/2)` (Salimans & Ho 2022, arXiv 2202.00512), used by Stable Audio.
    QuarterTurns,
}

/// A trained network: its process, its prediction, and the number that it is given at a noise level.
///
/// The constructors cover the usual combinations, and [`Model::named`] published models; each method changes one fact.
///
/// ```
/// use tweedie::{Model, Quantity, Sampler, Schedule};
///
/// let sdxl = Model::named("sdxl")?;
/// let mine = Model::new(Schedule::cosine(1000)?.zero_terminal_snr()?, Quantity::V);
/// assert_eq!(Sampler::ddim(&mine, 50)?.calls().len(), 50);
/// assert_eq!((sdxl.prediction(), sdxl.latent_scale()), (Quantity::Epsilon, 0.13025));
/// # Ok::<(), tweedie::Error>(())
/// ```
#[doc(alias = "scheduler")]
#[doc(alias = "parameterization")]
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    schedule: Schedule,
    prediction: Quantity,
    factor: f64,
    told: Told,
    placement: Option<Placement>,
    line: Option<[(f64, f64); 2]>,
    latent: [f64; 2],
    is_flow_map: bool,
}

impl Model {
    /// Creates the model of a network that predicts a quantity at the levels of a schedule.
    ///
    /// The network is given the angle on a TrigFlow schedule; elsewhere `ln(sigma)/4` if it predicts the output of EDM or
    /// TrigFlow, `T*t` on a rectified flow of `T` timesteps, or `T*(1 - t)` if it predicts that flow's velocity towards the
    /// data, and otherwise the timestep. EDM's and TrigFlow's outputs on variance-exploding levels are sampled at the sigmas
    /// of Karras et al. with `rho = 7`.
    #[must_use]
    pub fn new(schedule: Schedule, prediction: Quantity) -> Self {
        let told = match (schedule.process(), prediction) {
            (Process::TrigFlow(sigma_data), _) => Told::Angle(sigma_data),
            (_, Quantity::Edm(_) | Quantity::TrigFlow(_)) => Told::LogSigma,
            (Process::Flow, Quantity::RisingFlow) => Told::RisingTime(schedule.len() as f64),
            (Process::Flow, _) => Told::Time(schedule.len() as f64),
            _ => Told::Timestep,
        };
        let edm = schedule.process() == Process::VarianceExploding && prediction.sigma_data().is_some();
        let placement = edm.then_some(Placement::KARRAS);
        Self { schedule, prediction, factor: 1.0, told, placement, line: None, latent: [1.0, 0.0], is_flow_map: false }
    }

    /// Creates a rectified flow of this many timesteps that predicts the velocity `epsilon - x0`.
    ///
    /// # Errors
    /// [`ScheduleError::Empty`], [`ScheduleError::TooLong`].
    pub fn flow(timesteps: usize) -> Result<Self, ScheduleError> {
        Ok(Self::new(Schedule::rectified_flow(timesteps)?, Quantity::Flow))
    }

    /// Creates a TrigFlow model of this many timesteps on data of this standard deviation (Lu & Song 2024, arXiv 2410.11081).
    ///
    /// # Errors
    /// [`ScheduleError::Empty`], [`ScheduleError::TooLong`].
    pub fn trig_flow(timesteps: usize, sigma_data: SigmaData) -> Result<Self, ScheduleError> {
        Ok(Self::new(Schedule::trig_flow(timesteps, sigma_data)?, Quantity::TrigFlow(sigma_data)))
    }

    /// Returns the model with an output of the opposite sign: `x0 - epsilon`, or `v_prediction` of diffusers' EDM schedulers.
    #[must_use]
    pub fn negated(self) -> Self {
        match self.prediction.negated() {
            Some(prediction) => Self { prediction, ..self },
            None => Self { factor: -self.factor, ..self },
        }
    }

    /// Returns the model whose output must be multiplied by this factor, of either sign, to give the predicted quantity.
    /// Factors of several calls multiply.
    ///
    /// # Errors
    /// [`ScheduleError::ParamNotPositive`] for a factor that is 0 or not finite.
    pub fn with_output_factor(self, factor: f64) -> Result<Self, ScheduleError> {
        let size = factor.abs();
        if size.is_finite() && size > 0.0 {
            Ok(Self { factor: self.factor * factor, ..self })
        } else {
            Err(ScheduleError::ParamNotPositive { name: "the magnitude of the output factor", value: size })
        }
    }

    /// Returns the model with another prediction, which is the output itself: the factor becomes 1.
    pub(in crate::math) fn with_prediction(self, prediction: Quantity) -> Self {
        Self { prediction, factor: 1.0, ..self }
    }

    /// Returns the model of a network that is given another number as its time.
    #[must_use]
    pub fn told_as(self, told: Told) -> Self {
        Self { told, ..self }
    }

    /// Returns the model sampled at flow times that are shifted towards noise: [`Placement::FlowTimes`].
    #[must_use]
    pub fn shifted(self, shift: f64) -> Self {
        self.placed(Placement::FlowTimes { shift })
    }

    /// Returns the model with this rule for its sampling levels, used unless a sampler is given another one.
    #[must_use]
    pub fn placed(self, placement: Placement) -> Self {
        Self { placement: Some(placement), ..self }
    }

    /// Returns the model with a shift that depends on the size of the image: its logarithm `mu` is the straight line through two
    /// points `(tokens, mu)`, usually (256, 0.5) and (4096, 1.15). See [`flow::dynamic_mu`](crate::math::flow::dynamic_mu).
    #[must_use]
    pub fn shifted_by_tokens(self, base: (f64, f64), most: (f64, f64)) -> Self {
        Self { line: Some([base, most]), ..self }
    }

    /// Returns the model as a flow map: a network that is given two levels, and predicts the mean velocity from one to the other
    /// (Geng et al. 2025, arXiv 2505.13447). The number for the second level is
    /// [`Call::next_timestep`](crate::math::sampler::Call): that of the level to which a step leads for Euler's method, of the
    /// clean sample for consistency sampling, and of the first level again for samplers that need the velocity there.
    #[doc(alias = "MeanFlow")]
    #[must_use]
    pub fn flow_map(self) -> Self {
        Self { is_flow_map: true, ..self }
    }

    /// Returns the model of a network that works on `scale*(latent - shift)` instead of on latents.
    #[must_use]
    pub fn in_latents(self, scale: f64, shift: f64) -> Self {
        Self { latent: [scale, shift], ..self }
    }

    /// The levels of training. On a flow of `T` timesteps, row `i` is the time `(i + 1)/T`, while row `t` of
    /// [`timesteps`](Self::timesteps) is the level at which the network is given timestep `t`. On other processes the two
    /// schedules are the same.
    #[must_use]
    pub const fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The process: the curve of the levels.
    #[must_use]
    pub const fn process(&self) -> Process {
        self.schedule.process()
    }

    /// The quantity that the network predicts: its output, times the [factor](Self::output_factor).
    #[must_use]
    pub const fn prediction(&self) -> Quantity {
        self.prediction
    }

    /// The factor by which the network's output is multiplied to give the [prediction](Self::prediction); 1 for most networks.
    #[must_use]
    pub const fn output_factor(&self) -> f64 {
        self.factor
    }

    /// The kind of number that the network is given as its time.
    #[must_use]
    pub const fn told_number(&self) -> Told {
        self.told
    }

    /// The rule that places the levels at which the model is usually sampled; `None` for the sampler's own rule.
    #[must_use]
    pub const fn placement(&self) -> Option<Placement> {
        self.placement
    }

    /// The two points `(tokens, mu)` of the line of [`shifted_by_tokens`](Self::shifted_by_tokens); `None` if the shift does not
    /// depend on the size of the image.
    #[must_use]
    pub const fn token_line(&self) -> Option<[(f64, f64); 2]> {
        self.line
    }

    /// Returns true for a flow map, whose network is given a second level.
    #[must_use]
    pub const fn is_flow_map(&self) -> bool {
        self.is_flow_map
    }

    /// The factor of latents: the network works on `latent_scale*(latent - latent_shift)`; 1 for models of pixels.
    #[must_use]
    pub const fn latent_scale(&self) -> f64 {
        self.latent[0]
    }

    /// The number subtracted from latents; see [`latent_scale`](Self::latent_scale).
    #[must_use]
    pub const fn latent_shift(&self) -> f64 {
        self.latent[1]
    }

    /// The map from the network's output to the clean sample, without clipping.
    #[must_use]
    pub const fn denoiser(&self) -> Denoiser {
        Denoiser { factor: self.factor, ..Denoiser::new(self.prediction) }
    }

    /// The scale of samples on the process, whose [`Scale::level`] is the level of a sigma: the time of a flow, on any other
    /// process the ratio of noise to signal.
    #[must_use]
    pub const fn scale(&self) -> Scale {
        match (self.process(), self.prediction) {
            (Process::Flow, _) => Scale::Flow,
            (Process::TrigFlow(sigma_data), _) => Scale::TrigFlow(sigma_data),
            (Process::VarianceExploding, Quantity::Edm(data) | Quantity::TrigFlow(data)) => Scale::Edm(data),
            (Process::VarianceExploding, _) => Scale::Denoiser,
            (Process::VariancePreserving | Process::Levels, _) => Scale::VariancePreserving,
        }
    }

    /// Returns the sigma of a timestep, in the sense of [`scale`](Self::scale): the time `t/T` of a flow, or `1 - t/T` if the
    /// network's time runs from noise to data; otherwise the ratio of noise to signal, interpolated between whole timesteps.
    ///
    /// # Errors
    /// [`SamplerError::Parameter`] for a timestep that the model does not have, for one between the levels of
    /// [`Process::Levels`], and for TrigFlow, which has no timesteps.
    pub fn sigma_at(&self, timestep: f64) -> Result<f64, SamplerError> {
        let all = self.schedule.len() as f64;
        let expected = match self.process() {
            Process::TrigFlow(_) => "an angle, the time of TrigFlow, which has no timesteps",
            Process::Flow => {
                let time = timestep / all;
                check::fraction("the time of a flow's timestep", time)?;
                return Ok(if self.rises() { 1.0 - time } else { time });
            }
            Process::Levels if timestep.fract() != 0.0 => "whole: this model has no levels between its timesteps",
            _ if (0.0..=all - 1.0).contains(&timestep) => return Ok(self.schedule.sigma_at(timestep)),
            _ => "from 0 to the model's last timestep",
        };
        Err(SamplerError::Parameter { name: "a timestep", expected, found: timestep })
    }

    /// Returns true if the network is given the very timestep that [`sigma_at`](Self::sigma_at) takes.
    pub(crate) fn tells_timesteps(&self) -> bool {
        match self.told {
            Told::Timestep => true,
            Told::Time(scale) => scale == self.schedule.len() as f64,
            _ => false,
        }
    }

    /// The number that the network is given at a timestep, whose level this is.
    pub(in crate::math) fn told_at(&self, timestep: f64, level: NoiseLevel) -> f64 {
        if self.tells_timesteps() { timestep } else { self.told(level) }
    }

    /// Returns the number that the network is given at a level; only the ratio of `alpha` and `sigma` matters.
    #[must_use]
    pub fn told(&self, level: NoiseLevel) -> f64 {
        let (alpha, sigma) = (level.alpha(), level.sigma());
        match self.told {
            Told::Timestep => self.schedule.timestep_of(sigma / alpha),
            Told::Time(scale) => scale * (sigma / (alpha + sigma)),
            Told::RisingTime(scale) => scale * (alpha / (alpha + sigma)),
            Told::Sigma => sigma / alpha,
            Told::LogSigma => 0.25 * (sigma / alpha).ln(),
            Told::ScaledLogSigma(scale) => scale * (sigma / alpha).ln(),
            Told::CosineTime(clock) => clock.time(level),
            Told::Angle(sigma_data) => sigma.atan2(sigma_data.value() * alpha),
            Told::QuarterTurns => sigma.atan2(alpha) / FRAC_PI_2,
        }
    }
}
