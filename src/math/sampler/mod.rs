//! Samplers: host code in f64 that returns one row of coefficients per network call.
//!
//! **Theory.** A sampler visits noise levels from noisy to clean and calls the network at each. The next sample is linear
//! in the sample, the prediction, the clean sample that the prediction implies, the clean samples of earlier calls, and
//! noise. So a solver is a function from a list of levels to [`StepRow`]s. Each solver is a small file:
//!
//! | on | method | solver |
//! |---|---|---|
//! | timesteps of a [`Schedule`](crate::math::Schedule) | DDIM, its inversion | [`FirstOrder::ddim`] |
//! | | DDPM | [`Ddpm`] |
//! | sigmas, [`Scale::VarianceExploding`] | Euler, Euler ancestral | [`FirstOrder::euler`], [`FirstOrder::ancestral`] |
//! | sigmas, [`Scale::Flow`] | flow matching | [`FirstOrder::euler`] |
//! | any of these | Heun, DPM2, DPM-Solver++, its singlestep form and its SDE, UniPC, LCM | [`Heun`], [`Dpm2`], [`DpmSolver`], [`Singlestep`], [`DpmSde`], [`UniPc`], [`Consistency`] |
//! | | PNDM, LMS, iPNDM, DEIS | [`AdamsBashforth`] |
//!
//! # Choosing a solver
//!
//! | solver | when to use it | order | network calls per step | earlier calls kept | noise | source |
//! |---|---|---|---|---|---|---|
//! | [`FirstOrder::ddim`]`(0.0)` | the default choice: robust, deterministic, invertible; 30 to 100 steps | 1 | 1 | - | no | Song et al. 2021, arXiv 2010.02502, eq. 12 |
//! | [`FirstOrder::ddim`]`(eta)` | between DDIM and DDPM: more steps, less bias | 1 | 1 | - | yes | the same, eq. 16 |
//! | [`Ddpm`] | the whole chain, or a learned variance; 100 steps and more | 1 | 1 | - | yes | Ho et al. 2020, arXiv 2006.11239, alg. 2; Nichol & Dhariwal 2021, arXiv 2102.09672 |
//! | [`FirstOrder::ddim`] on [`Grid::reversed`] | from an image to its noise, for editing | 1 | 1 | - | no | Dhariwal & Nichol 2021, arXiv 2105.05233, app. F |
//! | [`FirstOrder::euler`] | freely chosen sigmas (Karras, exponential); flow matching (Stable Diffusion 3, Flux) | 1 | 1 | - | no | Karras et al. 2022, arXiv 2206.00364; Esser et al. 2024, arXiv 2403.03206 |
//! | [`FirstOrder::ancestral`] | the same with fresh noise: does not converge to one image as steps are added | 1 | 1 | - | yes | k-diffusion, `sample_euler_ancestral` |
//! | [`Ancestral`] | the same on sigmas; on a rectified flow, the sampler that LTX-Video is distilled for | 1 | 1 | - | yes | ComfyUI, `sample_euler_ancestral_RF` |
//! | [`Heun`] | the reference for few, accurate steps; stiff levels | 2 | 2 | 1 | no | Karras et al. 2022, alg. 1 |
//! | [`Dpm2`] | like Heun, with the slope at the midpoint; [`Dpm2::ancestral`] adds fresh noise | 2 | 2 | 1 | no, yes | k-diffusion, `sample_dpm_2` |
//! | [`Grid::churned`] with Heun or Euler | noise added before each step, which corrects errors of earlier steps | - | - | - | yes | Karras et al. 2022, alg. 2 |
//! | [`DpmSolver::new`]`(2)`, 2M | usually the best at 10 to 25 steps | 2 | 1 | 1 | no | Lu et al. 2022, arXiv 2211.01095, alg. 2 |
//! | [`DpmSolver::new`]`(3)`, 3M | unguided models at 15 steps and more; second order as published, third with [`DpmKind::Exact`] | 2, 3 | 1 | 2 | no | the same; k-diffusion |
//! | [`DpmSolver::sde`]`(2)` | 2M with fresh noise: 20 to 50 steps, richer detail | 2 as eta goes to 0 | 1 | 1 | yes | the same, app. B |
//! | [`Singlestep`] | like 2M and 3M, but each group of calls starts from one sample: orders 2 and 3 as published | 2, 3 | 1 | 1, 2 | no, or with `eta` | Lu et al. 2022, arXiv 2206.00927, alg. 1 and 2 |
//! | [`DpmSde`] | fresh noise and the x0 at the midpoint: the richest detail per step, for two calls | 2 as eta goes to 0 | 2 | 1 | yes | k-diffusion, `sample_dpmpp_sde` |
//! | [`UniPc`] | the fewest steps: 5 to 10 | p + 1 with its corrector | 1 | p | no | Zhao et al. 2023, arXiv 2302.04867 |
//! | [`AdamsBashforth::deis`]`(2)` | like 2M, in epsilon | its order | 1 | 1 | no | Zhang & Chen 2023, arXiv 2204.13902 |
//! | [`AdamsBashforth::lms`]`(4)`, [`ipndm`](AdamsBashforth::ipndm)`(4)` | many steps, or sigmas that change slowly | its order; iPNDM only 2 unless sigmas are equally spaced | 1 | 3 | no | k-diffusion; Zhang & Chen 2023 |
//! | [`AdamsBashforth::pndm`] | the first sampler of Stable Diffusion | as iPNDM | 1, but 2 in the first step | 4 | no | Liu et al. 2022, arXiv 2202.09778 |
//! | [`SaSolver`] | 20 to 50 steps with noise where it helps; PixArt's | p, q with its corrector; 2 with noise | 1 | 3 | yes | Xue et al. 2023, arXiv 2309.05019 |
//! | [`PiFlow`] | flows distilled for it, whose output is a policy for the whole step | - | 1 | - | no | Chen et al. 2025, arXiv 2510.14974 |
//! | [`ScoreRescaling`] | flows sampled at a lower temperature than that of their data: proteins | 1 | 1 | - | yes | RFD4-Proteina, as in diffusers |
//! | [`Langevin`] | corrector steps between the predictor steps of a score model | - | 1 | - | yes | Song et al. 2021, arXiv 2011.13456, alg. 4 |
//! | [`Consistency::lcm`] | models distilled for it, 1 to 8 steps | - | 1 | - | yes | Luo et al. 2023, arXiv 2310.04378 |
//! | [`ConsistencyModel`] | models distilled on EDM's sigmas, 1 to 4 steps | - | 1 | - | yes | Song et al. 2023, arXiv 2303.01469, alg. 1 |
//! | [`Tcd`] | models distilled for it, 2 to 20 steps | - | 1 | - | yes | Zheng et al. 2024, arXiv 2402.19159, alg. 4 |
//! | [`RePaint`] | inpainting: a known region that the rest must agree with; hundreds of calls | 1 | 1 | - | yes | Lugmayr et al. 2022, arXiv 2201.09865 |
//!
//! `p` is the order of a predictor, `q` that of a corrector. Orders are measured against the exact solution for Gaussian data
//! (`tests/samplers/orders.rs`). Every step is one dispatch that reads the sample, the prediction and the remembered tensors
//! once. Those are the clean samples of earlier calls, or for some solvers the noise or a velocity ([`Sampler::keeps`]), in
//! memory that the plan owns.
//!
//! **Practice.** A [`Grid`] holds the noise levels, a [`Denoiser`] says what the network's output means, and a
//! [`Solver`] gives the formula of a step. [`Sampler::new`] combines them; its calls hold everything that a loop needs, so
//! that no coefficient is computed while the loop runs.
//!
//! ```
//! use tweedie::math::sampler::{Denoiser, FirstOrder, Grid, Sampler};
//! use tweedie::math::{NoiseLevel, Quantity, Schedule, Spacing};
//!
//! let schedule = Schedule::scaled_linear(1000, 0.00085, 0.012)?;
//! let timesteps = Spacing::Trailing.timesteps(1000, 20)?;
//! let grid = Grid::of_schedule(&schedule, &timesteps, NoiseLevel::CLEAN)?;
//! let sampler = Sampler::new(&FirstOrder::ddim(0.0), &grid, &Denoiser::new(Quantity::Epsilon))?;
//! assert_eq!(sampler.calls().len(), 20);
//! assert_eq!(sampler.calls()[0].timestep, 999.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub(crate) mod adams_bashforth;
pub(crate) mod ancestral;
pub(crate) mod call;
pub(crate) mod churn;
pub(crate) mod clock;
pub(crate) mod consistency;
pub(crate) mod ddpm;
pub(crate) mod denoiser;
pub(crate) mod dpm;
pub(crate) mod dpm2;
pub(crate) mod dpm_sde;
pub(crate) mod first_order;
pub(crate) mod grid;
pub(crate) mod halfway;
pub(crate) mod heun;
pub(crate) mod langevin;
pub(crate) mod linear;
pub(crate) mod multistep;
pub(crate) mod pi_flow;
mod recorded_rows;
pub(crate) mod recorder;
pub(crate) mod repaint;
pub(crate) mod runge_kutta;
pub(crate) mod sa_solver;
pub(crate) mod score_rescaling;
pub(crate) mod singlestep;
pub(crate) mod slope;
pub(crate) mod solver;
pub(crate) mod tcd;
pub(crate) mod transition;
pub(crate) mod unipc;
pub(crate) mod written;

pub use adams_bashforth::{AdamsBashforth, Clock, WarmUp};
pub use ancestral::Ancestral;
pub use call::Call;
pub use churn::Churn;
pub use consistency::{Consistency, ConsistencyModel};
pub use ddpm::{Ddpm, Variance};
pub use denoiser::Denoiser;
pub use dpm::{DpmKind, DpmSolver};
pub use dpm_sde::DpmSde;
pub use dpm2::Dpm2;
pub use first_order::FirstOrder;
pub use grid::{Grid, Scale, Step};
pub use heun::Heun;
pub use langevin::Langevin;
pub use multistep::Form;
pub use pi_flow::PiFlow;
pub use repaint::RePaint;
pub use sa_solver::{SaSolver, Tau};
pub use score_rescaling::{NoiseCourse, ScoreRescaling};
pub use singlestep::Singlestep;
pub use solver::{Compat, Interval, Solution, Solver};
pub use tcd::Tcd;
pub use unipc::{Corrector, UniPc, UniPcKind};

use crate::math::error::sampler::SamplerError;
use crate::math::level::NoiseLevel;
use crate::math::quantity::Quantity;
use crate::math::sampler::denoiser::check_clip;
use crate::math::sampler::written::Written;
use crate::table::Matrix;
use crate::table::step::{Clip, Deviation, StepRow};

/// The coefficients of a whole sampling loop.
///
/// A constructor for each sampler of the [catalogue](Sampler::CATALOGUE) takes a [`Model`](crate::Model) and a number of
/// steps. [`Sampler::new`] takes any solver, grid and denoiser.
///
/// ```
/// use tweedie::{Model, Sampler};
///
/// let sampler = Sampler::dpm_solver_pp(&Model::named("sdxl")?, 20)?.clipped(1.0)?;
/// for call in sampler.calls() {
///     // The network is given `call.timestep` and the sample times `call.input`; the step applies `call.row`.
///     assert!(call.timestep <= 999.0 && call.input == 1.0);
/// }
/// # Ok::<(), tweedie::Error>(())
/// ```
#[doc(alias = "scheduler")]
#[doc(alias = "solver")]
#[derive(Clone, Debug)]
pub struct Sampler {
    calls: Vec<Call>,
    /// Each row as the solver wrote it, from which the rows for another clipping are made.
    written: Vec<Written>,
    start: [f64; 2],
    clip: Clip,
    deviation: Deviation,
    keeps: Quantity,
    noise_parts: Vec<Vec<[f64; 2]>>,
    grid: String,
}

/// Samplers are equal if they compute the same; the name of the rule that placed their levels does not count.
impl PartialEq for Sampler {
    fn eq(&self, other: &Self) -> bool {
        let numbers = |it: &Self| (it.start, it.clip, it.deviation, it.keeps);
        numbers(self) == numbers(other) && self.calls == other.calls && self.written == other.written
    }
}

impl Sampler {
    /// Computes the rows of a solver on a grid.
    ///
    /// # Errors
    /// Errors of the solver; [`SamplerError::Parameter`] for invalid clipping; [`SamplerError::Unsupported`] for clipping that
    /// the solver cannot do (see [`with_clip`](Self::with_clip)); [`SamplerError::Clean`] for a solver that divides by the
    /// noise of a step that starts and ends clean; [`SamplerError::NotFinite`] for levels so extreme that a coefficient
    /// overflows f64.
    pub fn new(solver: &(impl Solver + ?Sized), grid: &Grid, denoiser: &Denoiser) -> Result<Self, SamplerError> {
        check_clip(denoiser.clip)?;
        let Solution { mut calls, deviation, keeps, noise_parts } = solver.solve(grid, denoiser)?;
        calls.iter_mut().for_each(|call| call.row.deviation = Some(deviation));
        let churn = |call: &Call| grid.steps().get(call.step).map_or(0.0, |step| step.churn);
        let start = [1.0, calls.first().map_or(0.0, churn)];
        for k in 1..calls.len() {
            let next = calls[k];
            let call = &mut calls[k - 1];
            call.row.input = next.input;
            if next.step != call.step {
                call.churned(churn(&next));
            }
        }
        let written = calls.iter().map(|call| Written::new(call, keeps, denoiser)).collect();
        let clean = |step: usize| {
            let at = calls.get(step).and_then(|call: &Call| grid.steps().get(call.step));
            at.is_some_and(|step| step.from.sigma() == 0.0 && step.to.sigma() == 0.0)
        };
        let clean: Vec<bool> = (0..calls.len()).map(clean).collect();
        let clip = Clip::None;
        let sampler = Self { calls, written, start, clip, deviation, keeps, noise_parts, grid: String::new() }
            .with_clip(denoiser.clip);
        sampler.map_err(|error| match error {
            SamplerError::NotFinite { step, .. } if clean[step] => SamplerError::Clean { step },
            error => error,
        })
    }

    /// Returns the sampler with its clean samples clamped to `-range..=range`: 1 for images in `-1..=1`.
    ///
    /// # Errors
    /// As [`with_clip`](Self::with_clip).
    #[doc(alias = "clip_sample")]
    pub fn clipped(self, range: f64) -> Result<Self, SamplerError> {
        self.with_clip(Clip::Range(range))
    }

    /// Returns the sampler with dynamic thresholding of its clean samples: the threshold is this quantile of their absolute
    /// values, for example 0.995, and at least 1 (Saharia et al. 2022, arXiv 2205.11487, section 2.3).
    ///
    /// # Errors
    /// As [`with_clip`](Self::with_clip).
    #[doc(alias = "thresholding")]
    pub fn thresholded(self, ratio: f64) -> Result<Self, SamplerError> {
        self.with_clip(Clip::Quantile { ratio, least: 1.0, most: f64::INFINITY })
    }

    /// Returns the sampler with another clipping of its clean samples. Guidance and input scales that were changed through
    /// [`calls_mut`](Self::calls_mut) are kept; the coefficients of `x`, `p`, `z`, `clean`, `x0` and `kept` are replaced.
    ///
    /// # Errors
    /// [`SamplerError::Parameter`] for an invalid range or quantile; [`SamplerError::Unsupported`] for a solver that
    /// remembers epsilon or slopes, at a level where those do not follow from the clean sample;
    /// [`SamplerError::NotFinite`] for a coefficient that overflows f64.
    pub fn with_clip(mut self, clip: Clip) -> Result<Self, SamplerError> {
        check_clip(clip)?;
        for (k, (call, written)) in self.calls.iter_mut().zip(&self.written).enumerate() {
            let Written { next: [x, p, z, clean], x0, .. } = *written;
            let row = StepRow { x, p, z, clean, x0, kept: StepRow::IDENTITY.kept, clip: Some(clip), ..call.row };
            call.row = match clip {
                Clip::None => folded(&row),
                _ if self.keeps == Quantity::X0 => row,
                _ => written.in_clean_samples(k, &row)?,
            };
            check_finite(k, &call.row)?;
        }
        Ok(Self { clip, ..self })
    }

    /// The rule that placed the levels, in words: `1 - i/n, shift 3`, `leading spacing, offset 1`, `listed sigmas`. Empty for
    /// a sampler made by [`Sampler::new`].
    ///
    /// ```
    /// use tweedie::{Model, Sampler};
    ///
    /// let flow = Model::flow(1000)?.shifted(3.0);
    /// assert_eq!(Sampler::euler(&flow, 4)?.grid(), "1 - i/n, shift 3");
    /// assert_eq!(Sampler::ddim(&Model::named("sd15")?, 50)?.grid(), "leading spacing");
    /// # Ok::<(), tweedie::Error>(())
    /// ```
    #[must_use]
    pub fn grid(&self) -> &str {
        &self.grid
    }

    pub(in crate::math) fn on_grid(self, grid: String) -> Self {
        Self { grid, ..self }
    }

    /// The calls in the order in which they are made.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// The calls, mutable: to change guidance, the scale of the input, or any coefficient.
    pub fn calls_mut(&mut self) -> &mut [Call] {
        &mut self.calls
    }

    /// The timesteps that the network is given, call by call.
    pub fn timesteps(&self) -> impl Iterator<Item = f64> {
        self.calls.iter().map(|call| call.timestep)
    }

    /// The coefficients of the first sample, `start[0]*x + start[1]*z`, where `x` is a sample at the first level and `z` is
    /// noise 0; `[1, 0]` unless the first step is churned.
    #[must_use]
    pub const fn start(&self) -> [f64; 2] {
        self.start
    }

    /// The standard deviation of the initial sample, `sqrt(alpha^2 + sigma^2)` at the first level: 1 if variance preserving.
    /// Noised data of unit variance has this deviation there. It is diffusers' `init_noise_sigma` with leading spacing; with
    /// other spacings diffusers leaves out the data and takes `sigma`.
    #[must_use]
    pub fn noise_scale(&self) -> f64 {
        self.calls.first().map_or(1.0, |call| call.level.alpha().hypot(call.level.sigma()))
    }

    /// The row that starts a loop from noise: the coefficients of a clean sample (0) and of noise, first in the first sample,
    /// then in the network's first input. [`Sampling::start`](crate::Sampling::start) makes a plan of it; a server can write
    /// the rows of many requests into one plan.
    #[must_use]
    pub fn start_row(&self) -> Matrix {
        self.started([0.0, self.noise_scale()])
    }

    /// The row that starts a loop from a clean sample, which it noises to the first level; laid out as in
    /// [`start_row`](Self::start_row).
    #[doc(alias("strength", "img2img"))]
    #[must_use]
    pub fn start_from_row(&self) -> Matrix {
        let level = self.calls.first().map_or(NoiseLevel::CLEAN, |call| call.level);
        self.started([level.alpha(), level.sigma()])
    }

    fn started(&self, [signal, noise]: [f64; 2]) -> Matrix {
        // The churn of the first sample is a further independent noise.
        let [kept, churn] = self.start;
        let row = [kept * signal, (kept * noise).hypot(churn)];
        let input = self.calls.first().map_or(1.0, |call| call.input);
        [row, row.map(|coefficient| coefficient * input)]
    }

    /// The clipping of the clean sample in every step.
    #[must_use]
    pub const fn clip(&self) -> Clip {
        self.clip
    }

    /// The factor of the noise in every step.
    #[must_use]
    pub const fn deviation(&self) -> Deviation {
        self.deviation
    }

    /// The quantity that calls remember for later ones. Where nothing is clipped, the row's `x0` yields it too. It is x0, except
    /// for solvers in [`Form::Epsilon`] and for [`AdamsBashforth`], which remember epsilon, a velocity or the prediction.
    #[must_use]
    pub const fn keeps(&self) -> Quantity {
        self.keeps
    }

    /// The number of earlier calls whose clean samples, or the quantities kept in their place, must be stored.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.calls.iter().map(|call| call.row.depth()).max().unwrap_or(0)
    }

    /// The noises that other programs draw one after the other where call `k` draws a single one. [`RePaint`] draws one for a
    /// step and one for each part of the jump after it; a row has their sum. Each entry holds a noise's two factors, in the
    /// noise of the row and in that of a known region; both sums are standard normal. Empty where a row's noise is not a sum.
    #[must_use]
    pub fn noise_parts(&self, k: usize) -> &[[f64; 2]] {
        self.noise_parts.get(k).map_or(&[], Vec::as_slice)
    }

    /// The number of slices of a prediction: 1, except for [`PiFlow`], which gives each slice a weight.
    #[must_use]
    pub fn slices(&self) -> usize {
        let last = |call: &Call| call.row.slices.iter().rposition(|&weight| weight != 0.0).map_or(1, |last| last + 1);
        self.calls.iter().map(last).max().unwrap_or(1)
    }

    /// The number of noises that the loop draws: one more than the largest [`Call::noise`] in use, 0 if it draws none.
    #[must_use]
    pub fn noises(&self) -> usize {
        let first = usize::from(self.start[1] != 0.0);
        let drawing = self.calls.iter().filter(|call| call.row.draws(false));
        drawing.map(|call| call.noise + 1).max().unwrap_or(0).max(first)
    }
}

/// Returns the row with the formula of the clean sample substituted, which avoids cancellation in f32 if nothing is clipped.
fn folded(row: &StepRow) -> StepRow {
    let [c_x, c_p, c_z] = row.x0.map(|c| c * row.clean);
    StepRow { x: row.x + c_x, p: row.p + c_p, z: row.z + c_z, clean: 0.0, ..*row }
}

fn check_finite(step: usize, row: &StepRow) -> Result<(), SamplerError> {
    let numbers = [row.x, row.p, row.clean, row.unconditional_clean, row.z, row.second_z.0, row.input];
    let mut all =
        numbers.iter().chain(&row.kept).chain(&row.history).chain(&row.x0).chain(&row.learned).chain(&row.slices);
    match all.find(|number| !number.is_finite()) {
        Some(&value) => Err(SamplerError::NotFinite { step, value }),
        None => Ok(()),
    }
}
