//! A model as a ComfyUI sampler sees it.
//!
//! **Theory.** A sampler works in variance-exploding coordinates, `x = x0 + sigma*epsilon`, or on a flow,
//! `x = (1 - sigma)*x0 + sigma*epsilon`. The model says which sigmas there are, what the network is told at each, how its
//! input is scaled, and how the clean sample follows from its output.
//!
//! **Practice.** A [`RunModel`] is a base (the table of sigmas) with a parameterisation (the meaning of the output) and
//! settings, each under ComfyUI's name. Its numbers are f64, or rounded to f32 after each operation by
//! [`in_float32`](RunModel::in_float32).

use super::base::Base;
use super::error::RunError;
use super::model_table::{COSINE_OFFSET, SigmaTable, cascade_sigma, exponentially_shifted, shifted, skip};
use super::parameterisation::Parameterisation;
use super::precision::Precision;
use super::value::{RunValue, RunValues, numbers};
use crate::math::catalog::entry::{Entry, Values};
use std::f64::consts::PI;

/// The sigma at the start of a variance-exploding schedule (percent 0) in ComfyUI: above any sigma of a table.
const SIGMA_OF_START: f64 = 999_999_999.9;

/// The timestep at percent 0 of a discrete model, whatever its number of timesteps.
const PERCENT_TIMESTEPS: f64 = 999.0;

/// The relative distance from `sigma_max` at which a start still counts as pure noise.
const FULL_DENOISE: f64 = 1e-5;

/// The deviation of the data, and the factor of the timestep, in the boundary condition of a consistency model (Luo et al.
/// 2023, arXiv 2310.04378, section 4.1).
const CONSISTENCY: [f64; 2] = [0.5, 10.0];

/// A model as a ComfyUI sampler sees it: its sigmas, and the scalings around its network.
///
/// ```
/// use tweedie::math::run::RunModel;
///
/// let model = RunModel::named("flow3")?;
/// assert_eq!((model.is_flow(), model.sigma_max(), model.told(0.5)), (true, 1.0, 500.0));
/// let shifted = RunModel::new("ModelSamplingDiscreteFlow", "CONST", &[("shift".to_owned(), 3.0.into())])?;
/// assert_eq!(shifted, model);
/// # Ok::<(), tweedie::math::run::RunError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RunModel {
    base: Base,
    parameterisation: Parameterisation,
    settings: Vec<(String, RunValue)>,
    values: Values,
    table: SigmaTable,
    precision: Precision,
}

impl RunModel {
    /// Creates a model from a base, a parameterisation and settings, all under ComfyUI's names. Settings that are not given take
    /// their defaults. Time and memory are linear in its number of timesteps.
    ///
    /// # Errors
    /// [`RunError`]: an unknown name or setting, a setting out of range, a parameterisation that does not fit the base, and
    /// settings whose sigmas fall or are not finite and above 0.
    pub fn new(base: &str, parameterisation: &str, settings: &RunValues) -> Result<Self, RunError> {
        let base = Base::CATALOGUE.find(base)?;
        let parameterisation = Parameterisation::CATALOGUE.find(parameterisation)?;
        if parameterisation.make.is_flow() && !base.make.ends_at_one() {
            return Err(RunError::Parameterisation { parameterisation: parameterisation.name, base: base.name });
        }
        let mut settings = settings.to_vec();
        settings.sort_by(|(name, _), (other, _)| name.cmp(other));
        Self::built(base, parameterisation.make, &settings, Precision::Double)
    }

    fn built(
        base: &'static Entry<Base>,
        parameterisation: Parameterisation,
        settings: &RunValues,
        precision: Precision,
    ) -> Result<Self, RunError> {
        let values = numbers(base, base.make.choices(), settings)?;
        if base.make == Base::Distilled && skip(&values) == 0 {
            let (name, found) = ("original_timesteps", values.number("original_timesteps"));
            return Err(RunError::Number { name, expected: "at most the number of timesteps", found });
        }
        let table = SigmaTable::new(base.make, base.name, &values, settings, precision)?;
        Ok(Self { base: base.make, parameterisation, settings: settings.to_vec(), values, table, precision })
    }

    /// The same model with sigmas as a program computes them in f32: each operation is rounded.
    ///
    /// # Errors
    /// [`RunError::Sigmas`] for sigmas that become 0 or infinite in f32, or that fall there.
    pub fn in_float32(&self) -> Result<Self, RunError> {
        Self::built(self.base_entry()?, self.parameterisation, &self.settings, Precision::Single)
    }

    fn base_entry(&self) -> Result<&'static Entry<Base>, RunError> {
        let found = Base::CATALOGUE.entries.iter().find(|entry| entry.make == self.base);
        found.ok_or(RunError::Missing { expected: "a base of the catalogue" })
    }

    /// Its base.
    #[must_use]
    pub const fn base(&self) -> Base {
        self.base
    }

    /// What its network's output means.
    #[must_use]
    pub const fn parameterisation(&self) -> Parameterisation {
        self.parameterisation
    }

    /// The precision of its sigmas.
    pub(super) const fn precision(&self) -> Precision {
        self.precision
    }

    /// The settings that were given, by name.
    #[must_use]
    pub fn settings(&self) -> &RunValues {
        &self.settings
    }

    /// True where a noisy sample is `(1 - sigma)*x0 + sigma*epsilon`: ComfyUI's `CONST`.
    #[must_use]
    pub const fn is_flow(&self) -> bool {
        self.parameterisation.is_flow()
    }

    /// The sigmas on which its grids are placed, rising; at least one.
    #[must_use]
    pub fn sigmas(&self) -> &[f64] {
        &self.table.sigmas
    }

    /// The least of its sigmas.
    #[must_use]
    pub fn sigma_min(&self) -> f64 {
        self.table.sigmas.first().copied().unwrap_or(f64::NAN)
    }

    /// The largest of its sigmas.
    #[must_use]
    pub fn sigma_max(&self) -> f64 {
        self.table.sigmas.last().copied().unwrap_or(f64::NAN)
    }

    /// The sigma at which the network is told `timestep`: ComfyUI's `sigma`.
    #[must_use]
    pub fn sigma_at(&self, timestep: f64) -> f64 {
        let round = |value| self.precision.round(value);
        match self.base {
            Base::Discrete => self.table.at(timestep, self.precision),
            Base::Distilled => {
                let skip = skip(&self.values) as f64;
                self.table.at(round(round(timestep - (skip - 1.0)) / skip), self.precision)
            }
            Base::DiscreteEdm | Base::ContinuousEdm => round(round(timestep / 0.25).exp()),
            Base::Cascade => round(cascade_sigma(timestep, self.values.number("shift"))),
            Base::Flow => {
                let [shift, multiplier] = ["shift", "multiplier"].map(|name| self.values.number(name));
                shifted(shift, round(timestep / multiplier), self.precision)
            }
            Base::Flux => exponentially_shifted(self.values.number("shift"), timestep, self.precision),
            Base::ContinuousV => round(round(timestep * PI / 2.0).tan()),
            Base::Cosmos => {
                let most = self.sigma_max();
                if timestep >= most / (most + 1.0) { most } else { round(timestep / round(1.0 - timestep)) }
            }
        }
    }

    /// The number that the network is told at a sigma: ComfyUI's `timestep`.
    #[must_use]
    pub fn told(&self, sigma: f64) -> f64 {
        let round = |value| self.precision.round(value);
        let nearest = || self.table.nearest(round(sigma.ln())) as f64;
        match self.base {
            Base::Discrete => nearest(),
            Base::Distilled => {
                let skip = skip(&self.values) as f64;
                nearest() * skip + (skip - 1.0)
            }
            Base::DiscreteEdm | Base::ContinuousEdm => round(0.25 * round(sigma.ln())),
            Base::Cascade => {
                let least = (COSINE_OFFSET / (1.0 + COSINE_OFFSET) * PI * 0.5).cos().powi(2);
                let abar = (1.0 / (sigma * sigma + 1.0)).clamp(0.0, 1.0);
                round((abar * least).sqrt().acos() / (PI * 0.5) * (1.0 + COSINE_OFFSET) - COSINE_OFFSET)
            }
            Base::Flow => round(sigma * self.values.number("multiplier")),
            Base::Flux => sigma,
            Base::ContinuousV => round(round(round(sigma.atan()) / PI) * 2.0),
            Base::Cosmos => round(sigma / round(sigma + 1.0)),
        }
    }

    /// The sigma at a fraction of the schedule: 0 is the start (noise), 1 the end.
    ///
    /// At or below 0 it is 1 for the base of a flow and 999999999.9 for other bases, at or above 1 it is 0, as in ComfyUI.
    #[must_use]
    pub fn percent_to_sigma(&self, percent: f64) -> f64 {
        if percent <= 0.0 {
            return if self.base.ends_at_one() { 1.0 } else { SIGMA_OF_START };
        }
        if percent >= 1.0 {
            return 0.0;
        }
        let left = 1.0 - percent;
        match self.base {
            Base::Discrete | Base::Distilled => self.sigma_at(left * PERCENT_TIMESTEPS),
            Base::DiscreteEdm => self.sigma_at(self.precision.round(left * PERCENT_TIMESTEPS)),
            Base::Cascade => self.sigma_at(left),
            // ComfyUI computes these with Python's floats, which are f64 whatever the type of the tensors.
            Base::Flow => shifted(self.values.number("shift"), left, Precision::Double),
            Base::Flux => exponentially_shifted(self.values.number("shift"), left, Precision::Double),
            Base::ContinuousEdm | Base::ContinuousV | Base::Cosmos => {
                let [least, most] = [self.sigma_min(), self.sigma_max()].map(f64::ln);
                ((most - least) * left + least).exp()
            }
        }
    }

    /// The factor of the clean sample in a noisy one: 1, or `1 - sigma` on a flow.
    #[must_use]
    pub fn alpha(&self, sigma: f64) -> f64 {
        if self.is_flow() { 1.0 - sigma } else { 1.0 }
    }

    /// The standard deviation of the data, by which inputs and outputs are scaled.
    fn sigma_data(&self) -> f64 {
        let sigma_data = self.values.number("sigma_data");
        if sigma_data.is_nan() { 1.0 } else { sigma_data }
    }

    /// The factor of a noisy sample in the network's input.
    #[must_use]
    pub fn input(&self, sigma: f64) -> f64 {
        match self.parameterisation {
            Parameterisation::Flow | Parameterisation::FlowImageToImage | Parameterisation::ImageToImage => 1.0,
            Parameterisation::CosmosFlow => 1.0 / (sigma + 1.0),
            _ => 1.0 / sigma.hypot(self.sigma_data()),
        }
    }

    /// The coefficients `[c0, c1]` of the clean sample `c0*x + c1*r`, with the noisy sample `x` and the network's output `r`.
    #[must_use]
    pub fn denoised(&self, sigma: f64) -> [f64; 2] {
        let data = self.sigma_data();
        let root = sigma.hypot(data);
        match self.parameterisation {
            Parameterisation::Epsilon | Parameterisation::Flow => [1.0, -sigma],
            Parameterisation::V => [(data / root).powi(2), -sigma * data / root],
            Parameterisation::Edm => [(data / root).powi(2), sigma * data / root],
            Parameterisation::CleanSample | Parameterisation::ImageToImage | Parameterisation::FlowImageToImage => {
                [0.0, 1.0]
            }
            Parameterisation::CosmosFlow => [1.0 / (sigma + 1.0), -sigma / (sigma + 1.0)],
            Parameterisation::Consistency => {
                let [skip, out] = self.consistency_boundary(sigma);
                [out + skip, -sigma * out]
            }
        }
    }

    /// The factors of the sample and of the clean sample in the answer of a consistency model, which make it the identity at
    /// timestep 0 (Luo et al. 2023, arXiv 2310.04378, section 4.1).
    pub(super) fn consistency_boundary(&self, sigma: f64) -> [f64; 2] {
        let [data, factor] = CONSISTENCY;
        let time = self.told(sigma) * factor;
        let whole = time.hypot(data);
        [(data / whole).powi(2), time / whole]
    }

    /// The factors of the latent image and of the noise in the sample at the start of a run. At full denoise (see
    /// [`is_full_denoise`](Self::is_full_denoise)) the noise of a variance-exploding start has the factor `sqrt(sigma^2 + 1)`: the
    /// standard deviation of noise and data together.
    #[must_use]
    pub fn start(&self, sigma: f64, full_denoise: bool) -> [f64; 2] {
        match self.parameterisation {
            Parameterisation::Flow | Parameterisation::FlowImageToImage => [1.0 - sigma, sigma * self.noise_scale()],
            Parameterisation::CosmosFlow => [1.0, sigma],
            _ if full_denoise => [1.0, sigma.hypot(1.0)],
            _ => [1.0, sigma],
        }
    }

    /// True for a first sigma at which a run starts from pure noise: `sigma_max`, within 1e-5 of it, or above.
    #[must_use]
    pub fn is_full_denoise(&self, sigma: f64) -> bool {
        let most = self.sigma_max();
        sigma > most || (most - sigma).abs() <= FULL_DENOISE * most.abs().max(sigma.abs())
    }

    /// The factor by which the last sample is scaled in a run that ends at this sigma: 1, or `1/(1 - sigma)` on a flow, which is
    /// infinite at 1.
    #[must_use]
    pub fn end(&self, sigma: f64) -> f64 {
        if self.is_flow() { 1.0 / (1.0 - sigma) } else { 1.0 }
    }

    /// The standard deviation of the noise that the model was trained on; 1 for most models.
    #[must_use]
    pub fn noise_scale(&self) -> f64 {
        let scale = self.values.number("noise_scale");
        if scale.is_nan() { 1.0 } else { scale }
    }
}
