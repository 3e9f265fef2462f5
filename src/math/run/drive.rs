//! The loop of a run on the host, in f64: the twin of what a GPU does, and the form for networks that do not run on wgpu.

use super::adaptive::{Adaptive, Attempt, MOST_ATTEMPTS};
use super::error::RunError;
use super::run_loop::{RunLoop, Way};
use super::solvers::course::Walked;
use crate::math::guidance::apply::{GuidanceLoop, Predictions};
use crate::math::guidance::guider::Guider;
use crate::table::step::StepRow;

/// The tensors of a run, sample after sample.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunInputs<'a> {
    /// The shape of each of them, `[batch, ...]`, which guidance with statistics needs; empty for one sample.
    pub shape: &'a [usize],
    /// The noise of the start.
    pub noise: Option<&'a [f64]>,
    /// The first sample itself, in the place of noise and latent image.
    pub initial: Option<&'a [f64]>,
    /// The latent image; zeros where there is none.
    pub latent_image: Option<&'a [f64]>,
    /// 1 where the sample is written, 0 where the latent image is known, as ComfyUI's masks.
    pub mask: Option<&'a [f64]>,
    /// The noise of the known region; that of the start where there is none.
    pub inpaint_noise: Option<&'a [f64]>,
    /// The noises in the order of draws, one after the other.
    pub noises: &'a [f64],
}

/// A question to the network.
#[derive(Clone, Copy, Debug)]
pub struct RunAsk<'a> {
    /// The index of the call.
    pub call: usize,
    /// The sigma.
    pub sigma: f64,
    /// The number that the network is told.
    pub told: f64,
    /// The factor of the sample in its input.
    pub input: f64,
    /// The sample, in the scale of the sampler.
    pub x: &'a [f64],
}

/// Everything that a run went through.
#[derive(Clone, Debug, Default)]
pub struct RunRecord {
    /// The sample at the first call of each step, then the sampler's result.
    pub samples: Vec<Vec<f64>>,
    /// The result of the run, after the rule for its end.
    pub output: Vec<f64>,
    /// The sample of each call, as the network was shown it but for its scale.
    pub call_x: Vec<Vec<f64>>,
    /// The clean sample of each call, after guidance and before a mask.
    pub pred_x0: Vec<Vec<f64>>,
    /// The sigma of each call.
    pub call_sigma: Vec<f64>,
    /// The number that the network was told at each call.
    pub timesteps: Vec<f64>,
    /// The attempts of a sampler that chooses its own steps.
    pub attempts: Vec<Attempt>,
}

/// The guided clean sample and that of the unconditional prediction.
type Clean = [Vec<f64>; 2];

impl RunLoop {
    /// `factors` of the latent image and a noise, which is not looked at where its factor is 0.
    fn mixed(
        inputs: &RunInputs<'_>,
        [latent, of_noise]: [f64; 2],
        noise: Option<&[f64]>,
    ) -> Result<Vec<f64>, RunError> {
        if of_noise != 0.0 && noise.is_none() {
            return Err(RunError::Missing { expected: "noise, with which the run starts" });
        }
        let at = |tensor: Option<&[f64]>, i: usize| tensor.and_then(|tensor| tensor.get(i)).copied().unwrap_or(0.0);
        let term = |c: f64, x: f64| if c == 0.0 { 0.0 } else { c * x };
        let count = inputs.count()?;
        Ok((0..count).map(|i| term(latent, at(inputs.latent_image, i)) + term(of_noise, at(noise, i))).collect())
    }

    /// The sample at the first call.
    ///
    /// # Errors
    /// [`RunError::Missing`] without noise that the start needs, [`RunError::Value`] for too few noises.
    pub fn first_sample(&self, inputs: &RunInputs<'_>) -> Result<Vec<f64>, RunError> {
        let mut x = match inputs.initial {
            Some(initial) => initial.to_vec(),
            None => Self::mixed(inputs, self.start(), inputs.noise)?,
        };
        if let Way::Planned(planned) = &self.way {
            let (kept, noises) = &planned.recorded.start;
            x.iter_mut().for_each(|x| *x *= kept);
            for &(draw, c) in noises {
                x.iter_mut().zip(self.noise(inputs, draw)?).for_each(|(x, z)| *x += c * z);
            }
        }
        Ok(x)
    }

    /// A noise of the run, clipped as it asks for.
    ///
    /// # Errors
    /// [`RunError::Value`] for a draw that the inputs do not have.
    pub fn noise(&self, inputs: &RunInputs<'_>, draw: usize) -> Result<Vec<f64>, RunError> {
        let count = inputs.count()?;
        let begin = draw.saturating_mul(count);
        let Some(found) = inputs.noises.get(begin..begin.saturating_add(count)) else {
            let (name, expected) = ("noises".to_owned(), format!("at least {} draws", draw + 1));
            return Err(RunError::Value { name, expected, found: (inputs.noises.len() / count.max(1)).to_string() });
        };
        let Some(clip) = self.clip else { return Ok(found.to_vec()) };
        // The deviation of the whole batch, unbiased, as ComfyUI takes it.
        let n = found.len() as f64;
        let mean = found.iter().sum::<f64>() / n;
        let deviation = (found.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
        let most = clip * deviation;
        Ok(found.iter().map(|z| if most.is_nan() { *z } else { z.clamp(-most, most) }).collect())
    }

    /// The mask of a call at which the network is told this: made binary by its share of differential diffusion (Levin & Fried
    /// 2023, arXiv 2306.00950). None without a mask.
    #[must_use]
    pub fn mask(&self, inputs: &RunInputs<'_>, told: f64) -> Option<Vec<f64>> {
        let mask = inputs.mask?;
        let Some(strength) = self.differential else { return Some(mask.to_vec()) };
        let (model, sigmas) = (self.model(), self.sigmas());
        let [first, last] = [sigmas.first(), sigmas.last()].map(|sigma| sigma.copied().unwrap_or(0.0));
        let [begin, end] = [first, last.max(model.sigma_min())].map(|sigma| model.told(sigma));
        let threshold = (told - end) / (begin - end);
        let at_call = |m: &f64| {
            let binary = if *m >= threshold { 1.0 } else { 0.0 };
            strength * binary + (1.0 - strength) * m
        };
        Some(mask.iter().map(at_call).collect())
    }

    /// Runs it. `network` returns its raw outputs at a sample: the conditional one and, where the loop
    /// [needs](Self::needs_unconditional) them or its [guider](Self::guider) asks for them, the unconditional one, a third and a
    /// fourth; the others may be empty.
    ///
    /// # Errors
    /// Those of the network; [`RunError::Value`] for a tensor of another length than the rest, [`RunError::Missing`] for one that
    /// the run needs, [`RunError::Steps`] for a sampler that chooses its own steps and does not come to the end in 10,000.
    pub fn drive<E: From<RunError>>(
        &self,
        inputs: &RunInputs<'_>,
        network: impl FnMut(RunAsk<'_>) -> Result<[Vec<f64>; 4], E>,
    ) -> Result<RunRecord, E> {
        let count = inputs.count()?;
        let shape = if inputs.shape.is_empty() { vec![1, count] } else { inputs.shape.to_vec() };
        let guidance = GuidanceLoop::new(&shape).map_err(RunError::from)?;
        let mut drive = Drive { of: self, inputs, network, count, guidance, record: RunRecord::default() };
        let first = self.first_sample(inputs)?;
        let result = match &self.way {
            Way::Nothing => {
                let untouched = inputs.latent_image.map_or_else(|| vec![0.0; count], <[f64]>::to_vec);
                drive.record.samples.push(untouched.clone());
                drive.record.output = untouched;
                return Ok(drive.record);
            }
            Way::Planned(planned) => drive.planned(planned, first)?,
            Way::Adaptive(adaptive) => drive.adaptive(adaptive, first)?,
        };
        let end = self.end();
        drive.record.output = result.iter().map(|x| x * end).collect();
        drive.record.samples.push(result);
        Ok(drive.record)
    }
}

impl RunInputs<'_> {
    /// The elements of each tensor.
    fn count(&self) -> Result<usize, RunError> {
        let tensors = [
            ("initial", self.initial),
            ("noise", self.noise),
            ("latent_image", self.latent_image),
            ("mask", self.mask),
            ("inpaint_noise", self.inpaint_noise),
        ];
        let starts = tensors[..3].iter().filter_map(|(_, tensor)| *tensor);
        let missing = RunError::Missing { expected: "noise, an initial sample or a latent image" };
        let count = starts.map(<[f64]>::len).next().ok_or(missing)?;
        for (name, tensor) in tensors {
            length(name, tensor.map_or(count, <[f64]>::len), count)?;
        }
        Ok(count)
    }
}

fn length(name: &str, found: usize, expected: usize) -> Result<(), RunError> {
    if found == expected {
        return Ok(());
    }
    let (name, expected) = (name.to_owned(), format!("{expected} elements"));
    Err(RunError::Value { name, expected, found: found.to_string() })
}

/// A loop on its way.
struct Drive<'a, N> {
    of: &'a RunLoop,
    inputs: &'a RunInputs<'a>,
    network: N,
    count: usize,
    guidance: GuidanceLoop,
    record: RunRecord,
}

impl<E: From<RunError>, N: FnMut(RunAsk<'_>) -> Result<[Vec<f64>; 4], E>> Drive<'_, N> {
    /// Asks the network, and returns the clean samples that the sampler is given.
    fn ask(&mut self, x: &[f64], sigma: f64, step: usize) -> Result<Clean, E> {
        let model = self.of.model();
        let told = model.told(sigma);
        let mask = self.of.mask(self.inputs, told);
        let shown: Vec<f64> = match &mask {
            None => x.to_vec(),
            Some(mask) => {
                let own = self.inputs.inpaint_noise;
                let known = RunLoop::mixed(self.inputs, model.start(sigma, false), own.or(self.inputs.noise))?;
                x.iter().zip(mask).zip(known).map(|((x, m), known)| m * x + (1.0 - m) * known).collect()
            }
        };
        let call = self.record.call_x.len();
        let outputs = (self.network)(RunAsk { call, sigma, told, input: model.input(sigma), x: &shown })?;
        let [of_x, of_output] = model.denoised(sigma);
        let clean = |output: &[f64]| -> Vec<f64> {
            shown.iter().zip(output).map(|(x, output)| of_x * x + of_output * output).collect()
        };
        length("an output of the network", outputs[0].len(), self.count)?;
        if self.of.needs_unconditional() {
            length("an unconditional output of the network", outputs[1].len(), self.count)?;
        }
        let alone = clean(&outputs[1]);
        let guided = match (&self.of.guider, self.of.needs_unconditional()) {
            (Some(guider), _) => {
                let steps = self.of.sigmas().len().saturating_sub(1).max(1);
                let call = guider.call(step.min(steps - 1), steps).map_err(RunError::from)?;
                let space = Space::of(guider, sigma);
                let given = outputs.each_ref().map(|output| space.of_clean(&shown, &clean(output)));
                let [conditional, unconditional, third, fourth] = given.each_ref().map(|output| &output[..]);
                let predictions = Predictions { conditional, unconditional, third, fourth };
                space.to_clean(&shown, &self.guidance.call(&call, predictions).map_err(RunError::from)?)
            }
            (None, false) => clean(&outputs[0]),
            (None, true) => {
                let scale = self.of.guidance();
                let mixed = |(c, u): (&f64, &f64)| if scale == 1.0 { *c } else { u + scale * (c - u) };
                clean(&outputs[0]).iter().zip(&alone).map(mixed).collect()
            }
        };
        self.record.call_x.push(shown);
        self.record.call_sigma.push(sigma);
        self.record.timesteps.push(told);
        self.record.pred_x0.push(guided.clone());
        let given = match (mask, self.inputs.latent_image) {
            (None, _) => guided,
            (Some(mask), image) => {
                let at = |i: usize| image.and_then(|image| image.get(i)).copied().unwrap_or(0.0);
                let mixed = |(i, (d, m)): (usize, (f64, &f64))| m * d + (1.0 - m) * at(i);
                guided.into_iter().zip(&mask).enumerate().map(mixed).collect()
            }
        };
        Ok([given, alone])
    }

    fn planned(&mut self, planned: &Walked, first: Vec<f64>) -> Result<Vec<f64>, E> {
        let mut x = first;
        let (mut past, mut sigmas): (Vec<Vec<f64>>, _) = (Vec::new(), planned.call_sigmas.iter());
        let (mut clean, mut step) = (Clean::default(), None);
        for (call, asks) in planned.recorded.calls.iter().zip(&planned.recorded.asks) {
            if *asks {
                if step != Some(call.step) {
                    self.record.samples.push(x.clone());
                    step = Some(call.step);
                }
                clean = self.ask(&x, sigmas.next().copied().unwrap_or(f64::NAN), call.step)?;
            }
            let noises = self.noises_of(&call.row, call.noise)?;
            let next = stepped(&call.row, &x, &clean, &past, &noises);
            past.push(remembered(&call.row, &x, &clean));
            x = next;
        }
        Ok(x)
    }

    /// The noises of a row with their factors.
    fn noises_of(&self, row: &StepRow, noise: usize) -> Result<Vec<(f64, Vec<f64>)>, RunError> {
        let both = [(row.z, noise), (row.second_z.0, row.second_z.1 as usize)];
        both.into_iter()
            .filter(|(c, _)| *c != 0.0)
            .map(|(c, draw)| Ok((c, self.of.noise(self.inputs, draw)?)))
            .collect()
    }

    fn adaptive(&mut self, adaptive: &Adaptive, first: Vec<f64>) -> Result<Vec<f64>, E> {
        let mut walk = adaptive.walk(first);
        let mut draws = 0;
        loop {
            let before = walk.x.clone();
            let calls = self.record.call_x.len();
            let noise = if adaptive.is_noisy() { Some(self.of.noise(self.inputs, draws)) } else { None };
            let drawn = || noise.unwrap_or(Ok(Vec::new())).map_err(E::from);
            let step = walk.attempts.len();
            let went = walk.attempt(|x, sigma| self.ask(x, sigma, step).map(|[clean, _]| clean), drawn)?;
            if self.record.call_x.len() > calls {
                self.record.samples.push(before);
            }
            if !went {
                break;
            }
            draws += usize::from(walk.attempts.last().is_some_and(|attempt| attempt.is_accepted));
        }
        if walk.is_unfinished() {
            let (expected, found) = (format!("at most {MOST_ATTEMPTS}"), "more: its tolerance is too tight".to_owned());
            return Err(RunError::Steps { grid: "dpm_adaptive", expected, found }.into());
        }
        self.record.attempts = walk.attempts;
        Ok(walk.x)
    }
}

/// The quantity that guidance mixes, `of_x*x + of_clean*x0`.
struct Space {
    of_x: f64,
    of_clean: f64,
}

impl Space {
    /// Clean samples. The deviations of a rescaled mixture (Lin et al. 2023, arXiv 2305.08891, section 3.4) are those of v, into
    /// which ComfyUI's `RescaleCFG` turns them whatever the model: `(x/(sigma^2 + 1) - x0)*sqrt(sigma^2 + 1)/sigma`.
    fn of(guider: &Guider, sigma: f64) -> Self {
        match guider.rescale == 0.0 {
            true => Self { of_x: 0.0, of_clean: 1.0 },
            false => {
                let root = sigma.hypot(1.0);
                Self { of_x: 1.0 / (root * sigma), of_clean: -root / sigma }
            }
        }
    }

    fn of_clean(&self, x: &[f64], clean: &[f64]) -> Vec<f64> {
        clean.iter().zip(x).map(|(clean, x)| self.of_x * x + self.of_clean * clean).collect()
    }

    fn to_clean(&self, x: &[f64], mixed: &[f64]) -> Vec<f64> {
        mixed.iter().zip(x).map(|(mixed, x)| (mixed - self.of_x * x) / self.of_clean).collect()
    }
}

/// A row applied.
fn stepped(
    row: &StepRow,
    x: &[f64],
    [clean, alone]: &Clean,
    past: &[Vec<f64>],
    noises: &[(f64, Vec<f64>)],
) -> Vec<f64> {
    let history = row.history.iter().zip(past.iter().rev()).map(|(&c, past)| (c, &past[..]));
    let now = [(row.x, x), (row.clean, &clean[..]), (row.unconditional_clean, &alone[..])];
    let noises = noises.iter().map(|(c, z)| (*c, &z[..]));
    let terms: Vec<(f64, &[f64])> = now.into_iter().chain(history).chain(noises).filter(|(c, _)| *c != 0.0).collect();
    let at = |i: usize| terms.iter().map(|(c, tensor)| c * tensor.get(i).copied().unwrap_or(f64::NAN)).sum();
    (0..x.len()).map(at).collect()
}

/// The tensor that a row remembers.
fn remembered(row: &StepRow, x: &[f64], [clean, alone]: &Clean) -> Vec<f64> {
    let terms = row.kept.into_iter().zip([x, clean, alone]).filter(|(c, _)| *c != 0.0).collect::<Vec<_>>();
    let at = |i: usize| terms.iter().map(|(c, tensor)| c * tensor.get(i).copied().unwrap_or(f64::NAN)).sum();
    (0..x.len()).map(at).collect()
}
