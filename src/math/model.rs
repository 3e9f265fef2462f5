//! Models: the facts of a trained network that noising, conversion, losses and sampling need.
//!
//! **Theory.** A network was trained on the noise levels of one [`Process`], predicts one [`Quantity`], and is told the
//! level by a number of its own: a timestep, `1000*t`, `ln(sigma)/4`. A velocity may have the opposite sign, and a flow's
//! time may run from noise to data.
//!
//! **Practice.** A [`Model`] holds these facts once. What computes a level from a timestep, or the number that the network
//! is told, asks the model.

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

/// The number that a network is told at a noise level.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Told {
    /// The timestep of the schedule that has this ratio of noise to signal, not always whole.
    Timestep,
    /// `scale*t` with the time `t = sigma/(alpha + sigma)` of a flow: 1000 for most; 1 where the network multiplies itself, as in
    /// Flux's own code.
    Time(f64),
    /// `scale*(1 - t)`: a flow whose time runs from noise to data.
    RisingTime(f64),
    /// `sigma/alpha`.
    Sigma,
    /// `ln(sigma/alpha)/4` (Karras et al. 2022, arXiv 2206.00364, table 1).
    LogSigma,
    /// The time `t` in `0..=1` of a continuous cosine schedule: `abar = cos^2((t' + offset)/(1 + offset)*pi/2)` over its value at 0,
    /// clamped to `0.0001..=0.9999`. Here `t'` is `t^power` for powers up to 1 and `1 - (1 - t)^power` above (Pernias et al. 2023,
    /// arXiv 2306.00637: Würstchen, Stable Cascade).
    CosineTime(CosineClock),
    /// `scale*ln(sigma/alpha)`: 250 for consistency models (Song et al. 2023, arXiv 2303.01469).
    ScaledLogSigma(f64),
    /// The angle `t` with `tan(t) = sigma/(sigma_data*alpha)` (Lu & Song 2024, arXiv 2410.11081).
    Angle(SigmaData),
    /// `atan(sigma/alpha)*2/pi`, the angle as a part of a right one, in `0..=1` (k-diffusion's `VDenoiser`): the time of
    /// the cosine schedule `alpha = cos(pi*t/2)` (Salimans & Ho 2022, arXiv 2202.00512), as Stable Audio's network.
    QuarterTurns,
}

/// A trained network: its process, its prediction, and the number that it is told at a noise level.
///
/// Constructors know the usual combinations, [`Model::named`] published models; methods change a fact.
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
    /// A network that predicts a quantity at the levels of a schedule.
    ///
    /// It is told `ln(sigma)/4` if it predicts EDM's output, `T*t` of a rectified flow of `T` timesteps, `T*(1 - t)` if that
    /// flow's velocity leads to the data, TrigFlow's angle, and else the timestep.
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

    /// A rectified flow of this many timesteps that predicts the velocity `epsilon - x0`.
    ///
    /// # Errors
    /// [`ScheduleError::Empty`], [`ScheduleError::TooLong`].
    pub fn flow(timesteps: usize) -> Result<Self, ScheduleError> {
        Ok(Self::new(Schedule::rectified_flow(timesteps)?, Quantity::Flow))
    }

    /// TrigFlow of this many timesteps on data of this standard deviation (Lu & Song 2024, arXiv 2410.11081).
    ///
    /// # Errors
    /// [`ScheduleError::Empty`], [`ScheduleError::TooLong`].
    pub fn trig_flow(timesteps: usize, sigma_data: SigmaData) -> Result<Self, ScheduleError> {
        Ok(Self::new(Schedule::trig_flow(timesteps, sigma_data)?, Quantity::TrigFlow(sigma_data)))
    }

    /// The same with an output of the opposite sign: `x0 - epsilon`, or `v_prediction` of diffusers' EDM schedulers.
    #[must_use]
    pub fn negated(self) -> Self {
        match self.prediction.negated() {
            Some(prediction) => Self { prediction, ..self },
            None => Self { factor: -self.factor, ..self },
        }
    }

    /// The same with an output that is multiplied by this factor, above or below 0, besides those that it has been given: the
    /// product is the quantity.
    ///
    /// # Errors
    /// [`ScheduleError::ParamNotPositive`] for a factor whose size is not finite and above 0.
    pub fn with_output_factor(self, factor: f64) -> Result<Self, ScheduleError> {
        let size = factor.abs();
        if size.is_finite() && size > 0.0 {
            Ok(Self { factor: self.factor * factor, ..self })
        } else {
            Err(ScheduleError::ParamNotPositive { name: "the size of the output's factor", value: size })
        }
    }

    /// The same with another prediction, which is the output itself.
    pub(in crate::math) fn with_prediction(self, prediction: Quantity) -> Self {
        Self { prediction, factor: 1.0, ..self }
    }

    /// The same, told another number.
    #[must_use]
    pub fn told_as(self, told: Told) -> Self {
        Self { told, ..self }
    }

    /// The same, sampled at times that are shifted towards noise: [`Placement::FlowTimes`].
    #[must_use]
    pub fn shifted(self, shift: f64) -> Self {
        self.placed(Placement::FlowTimes { shift })
    }

    /// The same, sampled at the levels that this rule places where nothing else is asked for.
    #[must_use]
    pub fn placed(self, placement: Placement) -> Self {
        Self { placement: Some(placement), ..self }
    }

    /// The same, with a shift that follows from the size of the image: its logarithm is a line through two points of tokens and
    /// shift, usually (256, 0.5) and (4096, 1.15). See [`flow::dynamic_mu`](crate::math::flow::dynamic_mu).
    #[must_use]
    pub fn shifted_by_tokens(self, base: (f64, f64), most: (f64, f64)) -> Self {
        Self { line: Some([base, most]), ..self }
    }

    /// The same network as a flow map: it is told two levels, and predicts the mean velocity from one to the other (Geng et al.
    /// 2025, arXiv 2505.13447). The number of the second is [`Call::next_timestep`](crate::math::sampler::Call): the level that a
    /// step leads to for Euler's method, the clean sample for consistency sampling, and the level itself for samplers that
    /// need the velocity there.
    #[doc(alias = "MeanFlow")]
    #[must_use]
    pub fn flow_map(self) -> Self {
        Self { is_flow_map: true, ..self }
    }

    /// The same on `scale*(latent - shift)` instead of latents.
    #[must_use]
    pub fn in_latents(self, scale: f64, shift: f64) -> Self {
        Self { latent: [scale, shift], ..self }
    }

    /// The levels of training. Row `i` of a flow of `T` timesteps is the time `(i + 1)/T`; the row at which its network is told
    /// `t` is that of [`timesteps`](Self::timesteps). Of other processes the two are the same.
    #[must_use]
    pub const fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The curve of its levels.
    #[must_use]
    pub const fn process(&self) -> Process {
        self.schedule.process()
    }

    /// The quantity that the network predicts: its output, times the [factor](Self::output_factor).
    #[must_use]
    pub const fn prediction(&self) -> Quantity {
        self.prediction
    }

    /// The factor by which the network's output becomes the [prediction](Self::prediction); 1 for most.
    #[must_use]
    pub const fn output_factor(&self) -> f64 {
        self.factor
    }

    /// The number that the network is told.
    #[must_use]
    pub const fn told_number(&self) -> Told {
        self.told
    }

    /// The rule that places the levels at which the model is usually sampled; `None` for the sampler's own.
    #[must_use]
    pub const fn placement(&self) -> Option<Placement> {
        self.placement
    }

    /// The points of tokens and shift between which the logarithm of the shift is a line, if it follows from the size of the
    /// image.
    #[must_use]
    pub const fn token_line(&self) -> Option<[(f64, f64); 2]> {
        self.line
    }

    /// True for a flow map, which is told a second level.
    #[must_use]
    pub const fn is_flow_map(&self) -> bool {
        self.is_flow_map
    }

    /// The factor of latents: the network works on `latent_scale*(latent - latent_shift)`; 1 in the space of pixels.
    #[must_use]
    pub const fn latent_scale(&self) -> f64 {
        self.latent[0]
    }

    /// The number subtracted from latents; see [`latent_scale`](Self::latent_scale).
    #[must_use]
    pub const fn latent_shift(&self) -> f64 {
        self.latent[1]
    }

    /// The way from the network's output to the clean sample, without clipping.
    #[must_use]
    pub const fn denoiser(&self) -> Denoiser {
        Denoiser { factor: self.factor, ..Denoiser::new(self.prediction) }
    }

    /// The scale of samples on the process, from which [`Scale::level`] follows: the sigma of a flow is its time, any other
    /// the ratio of noise to signal.
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

    /// The sigma of a timestep, in the sense of [`scale`](Self::scale): the time `t/T` of a flow, or `1 - t/T` if the network's
    /// time runs from noise to data; else the ratio of noise to signal, interpolated between whole timesteps.
    ///
    /// # Errors
    /// [`SamplerError::Parameter`] for a timestep that the model does not have, and for TrigFlow, which has none.
    pub fn sigma_at(&self, timestep: f64) -> Result<f64, SamplerError> {
        let all = self.schedule.len() as f64;
        let expected = match self.process() {
            Process::TrigFlow(_) => "an angle, the time of TrigFlow, which has no timesteps",
            Process::Flow => {
                let time = timestep / all;
                check::fraction("the time of a flow's timestep", time)?;
                return Ok(if self.rises() { 1.0 - time } else { time });
            }
            Process::Levels if timestep.fract() != 0.0 => "whole: between its levels the model has none",
            _ if (0.0..=all - 1.0).contains(&timestep) => return Ok(self.schedule.sigma_at(timestep)),
            _ => "from 0 to the model's last timestep",
        };
        Err(SamplerError::Parameter { name: "a timestep", expected, found: timestep })
    }

    /// True if the network is told the number by which [`sigma_at`](Self::sigma_at) is asked.
    pub(crate) fn tells_timesteps(&self) -> bool {
        match self.told {
            Told::Timestep => true,
            Told::Time(scale) => scale == self.schedule.len() as f64,
            _ => false,
        }
    }

    /// The number that the network is told at a timestep, whose level this is.
    pub(in crate::math) fn told_at(&self, timestep: f64, level: NoiseLevel) -> f64 {
        if self.tells_timesteps() { timestep } else { self.told(level) }
    }

    /// The number that the network is told at a level, whatever its scale.
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
