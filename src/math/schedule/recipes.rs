//! The named noise schedules.
//!
//! **Theory.** Each is a published formula for betas, cited at its function. They differ in how fast the signal fades; only
//! the zero-terminal-SNR ones lose all of it.
//!
//! **Practice.** A model was trained on the betas that its own system computed, rounding errors included, so each recipe
//! follows that system's f64 operations in their order: torch's `linspace` runs from both ends with fused multiply-adds,
//! numpy's from the start; `1 - f(t+1)/f(t)` is formed naively. From the betas on nothing cancels. Logarithms, cosines and
//! exponentials come from the platform's library and may differ in their last bit between platforms.

use super::{Schedule, check_steps};
use crate::math::schedule_error::ScheduleError;
use std::f64::consts::PI;

/// The offset `s` of the cosine schedule (Nichol & Dhariwal 2021, section 3.2).
const COSINE_OFFSET: f64 = 0.008;

/// The largest beta of the recipes that are cut off (Nichol & Dhariwal 2021, section 3.2).
const MAX_BETA: f64 = 0.999;

/// The number that diffusers adds inside the logarithm of the Laplace schedule to keep its ends finite.
const LAPLACE_GUARD: f64 = 1e-6;

/// The scale of the Laplace schedule's log SNR (Hang et al. 2024, table 1; diffusers).
const LAPLACE_SCALE: f64 = 0.5;

/// The rate of diffusers' exponential schedule: the logarithm of its last `abar`.
const EXPONENTIAL_RATE: f64 = -12.0;

impl Schedule {
    /// Creates the schedule of betas in equal steps from `beta_start` to `beta_end` (Ho et al. 2020, arXiv 2006.11239: 1e-4 to
    /// 0.02 at 1000 timesteps), as in diffusers: the range is *not* scaled with the number of timesteps. A single timestep has
    /// `beta_start`.
    ///
    /// # Errors
    /// [`ScheduleError::Endpoint`], [`ScheduleError::Empty`], [`ScheduleError::TooLong`].
    pub fn linear(steps: usize, beta_start: f64, beta_end: f64) -> Result<Self, ScheduleError> {
        check_steps(steps)?;
        check_endpoints(beta_start, beta_end)?;
        Self::from_betas(&torch_linspace(steps, beta_start, beta_end))
    }

    /// As [`linear`](Self::linear) with both ends multiplied by `1000/steps`: guided-diffusion's and lucidrains'
    /// "linear" (Dhariwal & Nichol 2021, arXiv 2105.05233), whose final signal hardly depends on the number of timesteps.
    ///
    /// # Errors
    /// As `linear`; [`ScheduleError::Beta`] where the scaled range exceeds 1 (2 to 19 timesteps with the usual range).
    pub fn linear_scaled(steps: usize, beta_start: f64, beta_end: f64) -> Result<Self, ScheduleError> {
        check_steps(steps)?;
        check_endpoints(beta_start, beta_end)?;
        let scale = 1000.0 / steps as f64;
        Self::from_betas(&numpy_linspace(steps, scale * beta_start, scale * beta_end))
    }

    /// Creates the schedule of `sqrt(beta)` in equal steps (Rombach et al. 2022, arXiv 2112.10752; Stable Diffusion: 0.00085 to
    /// 0.012).
    ///
    /// # Errors
    /// [`ScheduleError::Endpoint`], [`ScheduleError::Empty`], [`ScheduleError::TooLong`].
    pub fn scaled_linear(steps: usize, beta_start: f64, beta_end: f64) -> Result<Self, ScheduleError> {
        check_steps(steps)?;
        check_endpoints(beta_start, beta_end)?;
        let roots = torch_linspace(steps, beta_start.sqrt(), beta_end.sqrt());
        Self::from_betas(&apply(&roots, |root| root * root))
    }

    /// Creates the cosine schedule of guided-diffusion (Nichol & Dhariwal 2021, arXiv 2102.09672, eq. 17), `squaredcos_cap_v2`
    /// in diffusers:
    /// ```text
    /// f(t)   = cos((t + 0.008)/1.008 * pi/2)^2
    /// beta_i = min(1 - f((i+1)/T)/f(i/T), 0.999)
    /// ```
    ///
    /// # Errors
    /// [`ScheduleError::Empty`], [`ScheduleError::TooLong`].
    pub fn cosine(steps: usize) -> Result<Self, ScheduleError> {
        Self::from_alpha_bar(steps, |t| {
            let cosine = ((t + COSINE_OFFSET) / (1.0 + COSINE_OFFSET) * PI / 2.0).cos();
            cosine * cosine
        })
    }

    /// Creates the schedule of betas along a sigmoid, diffusers' "sigmoid" (Xu et al. 2022, arXiv 2203.02923, GeoDiff):
    /// ```text
    /// beta_i = sigmoid(x_i)*(beta_end - beta_start) + beta_start        x from -6 to 6
    /// ```
    ///
    /// # Errors
    /// [`ScheduleError::Endpoint`], [`ScheduleError::Empty`], [`ScheduleError::TooLong`].
    pub fn sigmoid(steps: usize, beta_start: f64, beta_end: f64) -> Result<Self, ScheduleError> {
        check_steps(steps)?;
        check_endpoints(beta_start, beta_end)?;
        let height = beta_end - beta_start;
        let betas = apply(&torch_linspace(steps, -6.0, 6.0), |x| sigmoid(x) * height + beta_start);
        Self::from_betas(&betas)
    }

    /// Creates the schedule of `abar` along a normalised sigmoid (Jabri et al. 2022, arXiv 2212.11972, algorithm 1), as
    /// lucidrains discretises it; usual values: `start = -3`, `end = 3`, `tau = 1`.
    /// ```text
    /// f(t)   = (sigmoid(end/tau) - sigmoid((t*(end-start) + start)/tau)) / (sigmoid(end/tau) - sigmoid(start/tau))
    /// beta_i = clip(1 - f((i+1)/T)/f(i/T), 0, 0.999)
    /// ```
    /// lucidrains rounds the two constant sigmoids to f32; here all is f64.
    ///
    /// # Errors
    /// [`ScheduleError::ParamNotPositive`] for `tau`, [`ScheduleError::Range`] for ends whose sigmoids do not differ,
    /// [`ScheduleError::Beta`] where the sigmoid saturates so that `f` is 0 before the end.
    pub fn sigmoid_abar(steps: usize, start: f64, end: f64, tau: f64) -> Result<Self, ScheduleError> {
        check_steps(steps)?;
        check_positive("tau", tau)?;
        let (v_start, v_end) = (sigmoid(start / tau), sigmoid(end / tau));
        let span = v_end - v_start;
        if !start.is_finite() || !end.is_finite() || span == 0.0 {
            let name = "sigmoid";
            return Err(ScheduleError::Range { name, start, end });
        }
        let abar = |i: usize| {
            let t = i as f64 / steps as f64;
            (v_end - sigmoid((t * (end - start) + start) / tau)) / span
        };
        let first = abar(0);
        let beta = |i| (1.0 - (abar(i + 1) / first) / (abar(i) / first)).clamp(0.0, MAX_BETA);
        Self::from_betas(&(0..steps).map(beta).collect::<Vec<_>>())
    }

    /// Creates the schedule that diffusers calls "laplace":
    /// ```text
    /// lambda(t) = -0.5*sgn(0.5 - t)*ln(1 - 2|0.5 - t| + 1e-6)        snr = exp(lambda)
    /// f(t)      = sqrt(snr/(1 + snr))
    /// beta_i    = min(1 - f((i+1)/T)/f(i/T), 0.999)
    /// ```
    /// The paper's `abar` is `snr/(1 + snr)`; diffusers puts its root in the place of `abar`, so models trained with it
    /// keep more signal (0.03 instead of 0.001 at the end). [`laplace_paper`](Self::laplace_paper) is the paper's.
    ///
    /// # Errors
    /// [`ScheduleError::Empty`], [`ScheduleError::TooLong`]; [`ScheduleError::Beta`] above a million timesteps, where the
    /// guard of 1e-6 makes `f` rise at `t = 0.5`.
    pub fn laplace(steps: usize) -> Result<Self, ScheduleError> {
        Self::from_alpha_bar(steps, |t| laplace_abar(t).sqrt())
    }

    /// Creates the Laplace schedule of Hang et al. 2024 (arXiv 2407.03297, table 1) with `mu = 0`, `b = 0.5`: as
    /// [`laplace`](Self::laplace) with `f(t) = snr/(1 + snr)`.
    ///
    /// # Errors
    /// As `laplace`.
    pub fn laplace_paper(steps: usize) -> Result<Self, ScheduleError> {
        Self::from_alpha_bar(steps, laplace_abar)
    }

    /// Creates the schedule of `abar` along an exponential, `exp(-12 t)` ("exp" of diffusers' Heun): every timestep has the same
    /// beta.
    ///
    /// # Errors
    /// [`ScheduleError::Empty`], [`ScheduleError::TooLong`].
    pub fn exponential(steps: usize) -> Result<Self, ScheduleError> {
        Self::from_alpha_bar(steps, |t| (t * EXPONENTIAL_RATE).exp())
    }

    /// Creates the schedule `beta_i = min(1 - f((i+1)/T)/f(i/T), 0.999)`: guided-diffusion's `betas_for_alpha_bar`.
    fn from_alpha_bar(steps: usize, f: impl Fn(f64) -> f64) -> Result<Self, ScheduleError> {
        check_steps(steps)?;
        let time = |i: usize| i as f64 / steps as f64;
        let beta = |i| (1.0 - f(time(i + 1)) / f(time(i))).min(MAX_BETA);
        Self::from_betas(&(0..steps).map(beta).collect::<Vec<_>>())
    }

    /// Returns the schedule with its signal-to-noise ratios divided by a number (Yang et al. 2024, arXiv 2408.06072, section 3.3;
    /// `snr_shift_scale` of diffusers):
    /// ```text
    /// abar' = abar/(k + (1 - k)*abar)
    /// ```
    ///
    /// # Errors
    /// [`ScheduleError::NoBetas`] unless built from betas or `abar`; [`ScheduleError::ParamNotPositive`] for `k`.
    pub fn with_snr_divided(&self, k: f64) -> Result<Self, ScheduleError> {
        check_positive("snr_shift_scale", k)?;
        let abar = self.chain()?.alphas_cumprod();
        Self::from_alphas_cumprod(&apply(&abar, |abar| abar / (k + (1.0 - k) * abar)))
    }

    /// Returns the schedule shifted and scaled so that its last timestep has no signal (Lin et al. 2023, arXiv 2305.08891,
    /// algorithm 1): the first `sqrt(abar)` is kept, the last becomes 0 exactly, its beta 1.
    /// ```text
    /// s_t  = sqrt(abar_t)
    /// s_t' = (s_t - s_{T-1}) * s_0/(s_0 - s_{T-1})        abar_t' = s_t'^2
    /// ```
    /// A schedule that already ends in 0 is returned unchanged. After the first 0 a beta is not determined; the old one is
    /// kept there.
    ///
    /// # Errors
    /// [`ScheduleError::NoBetas`] unless built from betas or `abar`; [`ScheduleError::NoRescale`] if the first `abar` is not above
    /// the last (always so with one timestep) or some `abar` is below the last.
    pub fn zero_terminal_snr(&self) -> Result<Self, ScheduleError> {
        let chain = self.chain()?;
        let roots = if chain.is_from_alphas_cumprod() {
            apply(&chain.alphas_cumprod(), f64::sqrt)
        } else {
            apply(&running_products(chain.betas()), f64::sqrt)
        };
        let (Some(&first), Some(&last)) = (roots.first(), roots.last()) else {
            return Err(ScheduleError::Empty);
        };
        if last == 0.0 {
            return Ok(self.clone());
        }
        if first <= last || roots.iter().any(|&root| root < last) {
            return Err(ScheduleError::NoRescale { first, last });
        }
        let scale = first / (first - last);
        let abar = apply(&roots, |root| {
            let shifted = (root - last) * scale;
            shifted * shifted
        });
        if chain.is_from_alphas_cumprod() {
            return Self::from_alphas_cumprod(&abar);
        }
        Self::from_betas(&betas_of(&abar, chain.betas()))
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn laplace_abar(t: f64) -> f64 {
    let distance = 0.5 - t;
    let lambda = -LAPLACE_SCALE * 1f64.copysign(distance) * (1.0 - 2.0 * distance.abs() + LAPLACE_GUARD).ln();
    let snr = lambda.exp();
    snr / (1.0 + snr)
}

/// `prod_{i<=t} (1 - beta_i)` in plain f64, as by `cumprod` of torch and numpy.
fn running_products(betas: &[f64]) -> Vec<f64> {
    let product = betas.iter().scan(1.0, |product, beta| {
        *product *= 1.0 - beta;
        Some(*product)
    });
    product.collect()
}

/// `1 - abar_t/abar_{t-1}`, naively; the old beta where no signal was left.
fn betas_of(abar: &[f64], old: &[f64]) -> Vec<f64> {
    let previous = std::iter::once(1.0).chain(abar.iter().copied());
    let triples = previous.zip(abar).zip(old);
    let beta = |((p, a), old): ((f64, &f64), &f64)| if p == 0.0 { *old } else { 1.0 - a / p };
    triples.map(beta).collect()
}

/// `torch.linspace` on a CPU: from both ends to the middle, each entry one fused multiply-add.
fn torch_linspace(steps: usize, start: f64, end: f64) -> Vec<f64> {
    if steps == 1 {
        return vec![start];
    }
    let step = (end - start) / (steps - 1) as f64;
    let value = |i: usize| match i < steps / 2 {
        true => step.mul_add(i as f64, start),
        false => (-step).mul_add((steps - 1 - i) as f64, end),
    };
    (0..steps).map(value).collect()
}

/// `numpy.linspace`: from the start, a multiplication and an addition; the last entry is the end itself.
fn numpy_linspace(steps: usize, start: f64, end: f64) -> Vec<f64> {
    let step = (end - start) / steps.saturating_sub(1).max(1) as f64;
    let value = |i: usize| match i > 0 && i + 1 == steps {
        true => end,
        false => i as f64 * step + start,
    };
    (0..steps).map(value).collect()
}

fn apply(values: &[f64], change: impl Fn(f64) -> f64) -> Vec<f64> {
    values.iter().map(|&value| change(value)).collect()
}

fn check_endpoints(beta_start: f64, beta_end: f64) -> Result<(), ScheduleError> {
    for (name, value) in [("beta_start", beta_start), ("beta_end", beta_end)] {
        if !(0.0..=1.0).contains(&value) {
            return Err(ScheduleError::Endpoint { name, value });
        }
    }
    Ok(())
}

pub(super) fn check_positive(name: &'static str, value: f64) -> Result<(), ScheduleError> {
    if value.is_finite() && value > 0.0 { Ok(()) } else { Err(ScheduleError::ParamNotPositive { name, value }) }
}
