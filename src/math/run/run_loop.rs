//! The loop of a run: its rows, and what the host needs at each call.

use super::adaptive::Adaptive;
use super::applied::Space;
use super::error::RunError;
use super::model::RunModel;
use super::run::{Run, RunGuidance};
use super::solvers::course::Walked;
use super::solvers::sampler::{RunSampler, StepNoise};
use super::value::{RunValue, numbers};
use crate::math::catalog::entry::Entry;
use crate::math::guidance::call::GuiderCall;
use crate::math::guidance::guider::Guider;
use crate::math::sampler::call::Call;
use crate::table::step::StepRow;

/// The distance from 1 up to which a guidance scale needs no unconditional prediction.
const UNGUIDED: f64 = 1e-9;

/// The loop of a [`Run`]: its calls with their rows, its start and its end.
///
/// The samples of a loop are in the sampler's scale: `x0 + sigma*epsilon`, on a flow `(1 - sigma)*x0 + sigma*epsilon`. It begins
/// with [`start`](Self::start) of a latent image and noise, steps by the rows of [`calls`](Self::calls), and its result is
/// the last sample times [`end`](Self::end).
///
/// ```
/// use tweedie::math::run::{Node, Run, RunGrid, RunModel};
///
/// let run = Run {
///     model: Some(RunModel::named("flow3")?),
///     sampler: Some("res_multistep".to_owned()),
///     grid: Some(RunGrid::Scheduler(Node::named("beta"))),
///     steps: Some(8),
///     ..Run::default()
/// };
/// let found = run.plan()?;
/// assert_eq!((found.calls().len(), found.start(), found.draws()), (8, [0.0, 1.0], 0));
/// # Ok::<(), tweedie::math::run::RunError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RunLoop {
    model: RunModel,
    sigmas: Vec<f64>,
    pub(super) way: Way,
    guidance: f64,
    pub(super) guider: Option<Guider>,
    needs_unconditional: bool,
    start: [f64; 2],
    adds_noise: bool,
    differential: Option<f64>,
    /// The number of standard deviations at which noise is clipped.
    pub(super) clip: Option<f64>,
    pub(super) redraws_known: bool,
    pub(super) seeded: Option<Seeded>,
}

/// The noise of a run with a seed.
#[derive(Clone, Debug)]
pub(super) struct Seeded {
    pub(super) seed: u64,
    pub(super) source: StepNoise,
    /// For a Brownian source: the sigmas, computed in f32, between which each noise is drawn.
    pub(super) spans: Vec<[f64; 2]>,
    /// For a Brownian source: the least sigma above 0 and the largest sigma of the grid, computed in f32.
    pub(super) ends: [f64; 2],
}

/// How the steps of a loop are chosen.
#[derive(Clone, Debug)]
pub(super) enum Way {
    /// By the grid: these are its rows in order.
    Planned(Walked),
    /// By the sampler itself, from the errors that it estimates.
    Adaptive(Adaptive),
    /// There are no steps: the latent image comes back untouched.
    Nothing,
}

impl Run {
    /// Plans the loop of this run.
    ///
    /// # Errors
    /// [`RunError`]: a run without a model, a sampler or a grid, names that no catalogue has, options without effect, and
    /// sigmas at which the sampler's formulas have no value.
    pub fn plan(&self) -> Result<RunLoop, RunError> {
        // The sigmas may be rounded as in an f32 program; everything that follows from them is computed in f64.
        let model = self.model.clone().ok_or(RunError::Missing { expected: "a model" })?;
        let sigmas = self.sigmas()?;
        let name = self.sampler.as_deref().ok_or(RunError::Missing { expected: "a sampler" })?;
        let sampler = RunSampler::CATALOGUE.find(name)?;
        if let Some(node) = self.node.as_ref().filter(|node| sampler.make.node != Some(&node.name)) {
            let expected = sampler.make.node.map_or("none for this sampler".to_owned(), str::to_owned);
            return Err(RunError::Value { name: "node".to_owned(), expected, found: node.name.clone() });
        }
        let options = self.all_options();
        let clip = numbers(sampler, sampler.make.choices, &options)?.number("noise_clip_std");
        let (guidance, guider) = match &self.guidance {
            None => (1.0, None),
            Some(RunGuidance::Scale(scale)) if scale.is_finite() => (*scale, None),
            Some(RunGuidance::Scale(found)) => {
                return Err(RunError::Number { name: "guidance", expected: "finite", found: *found });
            }
            Some(RunGuidance::Kind { guider, .. }) => (1.0, Some((**guider).clone())),
        };
        let is_guided = (guidance - 1.0).abs() > UNGUIDED;
        let needs_unconditional = is_guided || sampler.make.needs_unconditional;
        let guidance = if is_guided { guidance } else { 1.0 };
        let way = match &sigmas[..] {
            [] | [_] => Way::Nothing,
            _ if sampler.make.is_adaptive() => Way::Adaptive(Adaptive::new(sampler, &sigmas, &options)?),
            _ => {
                let mut walked = sampler.walk(&model, &sigmas, &options, self.compat)?;
                if needs_unconditional {
                    let calls = walked.recorded.calls.iter_mut();
                    calls.for_each(|call| call.row.guidance = [guidance, 1.0 - guidance]);
                }
                Way::Planned(walked)
            }
        };
        let first = sigmas.first().copied().unwrap_or(0.0);
        let [latent, noise] = model.start(first, model.is_full_denoise(first));
        let start = [latent, if self.add_noise { noise } else { 0.0 }];
        let differential = self.differential_diffusion_strength;
        if let Some(found) = differential.filter(|strength| !(0.0..=1.0).contains(strength)) {
            let (name, expected) = ("differential_diffusion_strength", "between 0 and 1");
            return Err(RunError::Number { name, expected, found });
        }
        let seeded = self.seed.map(|seed| self.seeded(seed, sampler, &options)).transpose()?;
        Ok(RunLoop {
            model,
            sigmas,
            way,
            guidance,
            guider,
            needs_unconditional,
            start,
            adds_noise: self.add_noise,
            differential,
            clip: (clip > 0.0).then_some(clip),
            redraws_known: sampler.make.redraws_known,
            seeded,
        })
    }

    /// The noise of a seed. A Brownian tree is evaluated at the sigmas of an f32 program, since their last bits change its noise.
    fn seeded(
        &self,
        seed: u64,
        sampler: &'static Entry<RunSampler>,
        options: &[(String, RunValue)],
    ) -> Result<Seeded, RunError> {
        let mut seeded = Seeded { seed, source: sampler.make.noise, spans: Vec::new(), ends: [0.0; 2] };
        if seeded.source == StepNoise::Brownian {
            let single = Self { float32: true, ..self.clone() };
            let (model, sigmas) = (single.model()?, single.sigmas()?);
            let above_zero = sigmas.iter().copied().filter(|sigma| *sigma > 0.0);
            seeded.ends = above_zero.fold([f64::INFINITY, 0.0], |[least, most], it| [least.min(it), most.max(it)]);
            if sigmas.len() > 1 {
                seeded.spans = sampler.walk(&model, &sigmas, options, self.compat)?.spans;
            }
        }
        Ok(seeded)
    }

    /// The options of the sampler: its own, and the inputs of its node.
    fn all_options(&self) -> Vec<(String, RunValue)> {
        let of_node = self.node.iter().flat_map(|node| node.inputs.iter());
        self.options.iter().chain(of_node).cloned().collect()
    }
}

impl RunLoop {
    /// The model.
    #[must_use]
    pub const fn model(&self) -> &RunModel {
        &self.model
    }

    /// The sigmas of the grid, one more than steps; empty if the run has nothing to do.
    #[must_use]
    pub fn sigmas(&self) -> &[f64] {
        &self.sigmas
    }

    /// The rows in order. A row for which [`asks`](Self::asks) is false reuses the network's answer for the row before it. Empty for a
    /// sampler that chooses its own steps.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        if let Way::Planned(planned) = &self.way { &planned.recorded.calls } else { &[] }
    }

    /// The rows for steps on the GPU, with the clean sample expressed in the sample and the network's raw outputs, which avoids
    /// cancellation in f32. Guidance by scale is included in the rows.
    #[must_use]
    pub fn rows(&self) -> Vec<StepRow> {
        self.calls().iter().map(|call| folded(&call.row)).collect()
    }

    /// The rows, to change their coefficients.
    pub fn calls_mut(&mut self) -> &mut [Call] {
        if let Way::Planned(planned) = &mut self.way { &mut planned.recorded.calls } else { &mut [] }
    }

    /// For each row, whether the network is called for it.
    #[must_use]
    pub fn asks(&self) -> &[bool] {
        if let Way::Planned(planned) = &self.way { &planned.recorded.asks } else { &[] }
    }

    /// The sigma of each call of the network, which is one for each true entry of [`asks`](Self::asks).
    #[must_use]
    pub fn call_sigmas(&self) -> &[f64] {
        if let Way::Planned(planned) = &self.way { &planned.call_sigmas } else { &[] }
    }

    /// True for a sampler that chooses its own steps, from the errors that it estimates.
    #[must_use]
    pub const fn is_adaptive(&self) -> bool {
        matches!(self.way, Way::Adaptive(_))
    }

    /// The number of calls in an attempt at a step: 2 or 3 for a sampler that chooses its own steps, 0 for others.
    #[must_use]
    pub const fn stages(&self) -> usize {
        if let Way::Adaptive(adaptive) = &self.way { adaptive.order } else { 0 }
    }

    /// The settings of a sampler that chooses its own steps.
    pub(crate) const fn adaptive(&self) -> Option<&Adaptive> {
        if let Way::Adaptive(adaptive) = &self.way { Some(adaptive) } else { None }
    }

    /// The same run with steps from a table: a sampler that chooses its own steps rounds each to a multiple of 1/4096 of the
    /// distance in `-ln(sigma)` from the first to the last sigma, and accepts a step of 1/4096 whatever its error. These are the
    /// steps of [`Loop::adaptive`](crate::Loop::adaptive). Other samplers do not change.
    #[must_use]
    pub fn on_table(mut self) -> Self {
        if let Way::Adaptive(adaptive) = &mut self.way {
            adaptive.on_table = true;
        }
        self
    }

    /// The number of noises that are drawn after the start, including those that have no effect.
    #[must_use]
    pub fn draws(&self) -> usize {
        if let Way::Planned(planned) = &self.way { planned.recorded.draws } else { 0 }
    }

    /// The factors of the latent image and of the noise in the first sample.
    #[must_use]
    pub const fn start(&self) -> [f64; 2] {
        self.start
    }

    /// The noise that is added before the first call: the factor of the sample, and the draws with their factors.
    pub(crate) fn churn(&self) -> (f64, &[(usize, f64)]) {
        match &self.way {
            Way::Planned(planned) => (planned.recorded.start.0, &planned.recorded.start.1),
            _ => (1.0, &[]),
        }
    }

    /// The sigma of the last sample: usually the last one of the grid. `dpm_fast` and `dpm_adaptive` cannot step to 0 and end at the
    /// last sigma above it; `uni_pc` ends at 0.001 instead of 0. Above 0, noise of this sigma remains in the result.
    #[must_use]
    pub fn last_sigma(&self) -> f64 {
        match &self.way {
            Way::Planned(planned) => planned.remaining_sigma,
            Way::Adaptive(adaptive) => adaptive.last_sigma(),
            Way::Nothing => self.sigmas.last().copied().unwrap_or(0.0),
        }
    }

    /// The factor of the last sample in the result; infinite for a flow that ends at pure noise.
    #[must_use]
    pub fn end(&self) -> f64 {
        let last = match &self.way {
            Way::Planned(planned) => planned.last_sigma,
            Way::Adaptive(_) => self.sigmas.last().copied().unwrap_or(0.0),
            Way::Nothing => return 1.0,
        };
        self.model.end(last)
    }

    /// The guidance scale; 1 where the unconditional prediction is not mixed in.
    #[must_use]
    pub const fn guidance(&self) -> f64 {
        self.guidance
    }

    /// True for `ddim`, which draws new noise for a known region.
    #[must_use]
    pub const fn redraws_known_noise(&self) -> bool {
        self.redraws_known
    }

    /// False for a run that starts from its latent image without noise. Its known region has no noise either, unless the sampler
    /// draws new noise for it.
    #[must_use]
    pub const fn adds_noise(&self) -> bool {
        self.adds_noise
    }

    /// True for a run that clips noise at a number of its standard deviations over the whole batch.
    #[must_use]
    pub const fn clips_noise(&self) -> bool {
        self.clip.is_some()
    }

    /// True for a run with differential diffusion, whose mask differs from call to call.
    #[must_use]
    pub const fn is_differential(&self) -> bool {
        self.differential.is_some()
    }

    /// True for a run with a seed, from which it draws the noise that is not given.
    #[must_use]
    pub const fn has_seed(&self) -> bool {
        self.seeded.is_some()
    }

    /// The guider, if guidance is given by kind. It mixes clean samples, as ComfyUI does.
    #[must_use]
    pub const fn guider(&self) -> Option<&Guider> {
        self.guider.as_ref()
    }

    /// The guider's call at a step.
    pub(crate) fn guider_call(&self, step: usize) -> Result<Option<GuiderCall>, RunError> {
        let steps = self.sigmas.len().saturating_sub(1).max(1);
        Ok(self.guider.as_ref().map(|guider| guider.call(step.min(steps - 1), steps)).transpose()?)
    }

    /// The quantity that the guider mixes at a sigma.
    pub(crate) fn guided_space(&self, sigma: f64) -> Space {
        self.guider.as_ref().map_or(Space::CLEAN, |guider| Space::of(guider, sigma))
    }

    /// The mask at the call at which the network is told `told`; `None` without a mask. Differential diffusion (Levin & Fried 2023,
    /// arXiv 2306.00950) makes a share of it binary: 1 where the mask is at least the threshold of the call, else 0.
    #[must_use]
    pub fn mask(&self, mask: Option<&[f64]>, told: f64) -> Option<Vec<f64>> {
        let mask = mask?;
        let Some((strength, threshold)) = self.mask_threshold(told) else { return Some(mask.to_vec()) };
        let at_call = |m: &f64| {
            let binary = if *m >= threshold { 1.0 } else { 0.0 };
            strength * binary + (1.0 - strength) * m
        };
        Some(mask.iter().map(at_call).collect())
    }

    /// The share of a mask that is made binary, and the threshold from which on it is then 1, at the call at which the network is
    /// told `told`. `None` without differential diffusion.
    pub(crate) fn mask_threshold(&self, told: f64) -> Option<(f64, f64)> {
        let strength = self.differential?;
        let [first, last] = [self.sigmas.first(), self.sigmas.last()].map(|sigma| sigma.copied().unwrap_or(0.0));
        let [begin, end] = [first, last.max(self.model.sigma_min())].map(|sigma| self.model.told(sigma));
        Some((strength, (told - end) / (begin - end)))
    }

    /// True if the sampler or the guidance scale uses the unconditional prediction. A [guider](Self::guider) says itself which
    /// predictions it uses.
    #[must_use]
    pub const fn needs_unconditional(&self) -> bool {
        self.needs_unconditional
    }
}

/// The row with the clean sample expressed in the sample and the prediction.
fn folded(row: &StepRow) -> StepRow {
    let [of_x, of_p, _] = row.x0.map(|c| c * row.clean);
    StepRow { x: row.x + of_x, p: row.p + of_p, clean: 0.0, ..*row }
}
