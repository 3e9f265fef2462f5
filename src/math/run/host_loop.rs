//! A run on the host, call by call: for networks that do not run on wgpu, and the f64 reference of the loop on the GPU.

use super::adaptive::{Attempt, MOST_ATTEMPTS, Walk};
use super::applied::{Clean, remembered, stepped};
use super::error::RunError;
use super::inputs::{RunInputs, length};
use super::run_loop::{RunLoop, Way};
use super::run_noise::RunNoise;
use super::solvers::course::Walked;
use crate::math::guidance::apply::GuidanceLoop;
use crate::math::guidance::call::GuiderCall;
use crate::math::guidance::mixture::Predictions;
use crate::table::step::StepRow;

/// A call of the network that waits for an answer.
#[derive(Clone, Copy, Debug)]
pub struct RunAsk<'a> {
    /// The index of the call, from 0.
    pub call: usize,
    /// The step of the grid to which the call belongs; for a sampler that chooses its own steps, the attempt.
    pub step: usize,
    /// The sigma of the sample.
    pub sigma: f64,
    /// The number that the network is told.
    pub told: f64,
    /// The factor that turns the sample into the network's input.
    pub input: f64,
    /// The predictions that are needed besides the conditional one: unconditional, third and fourth.
    pub asks: [bool; 3],
    /// The sample, in the scale of the sampler.
    pub x: &'a [f64],
}

impl RunAsk<'_> {
    /// The sample in the network's scale, in f32.
    pub fn network_input(&self) -> impl Iterator<Item = f32> + '_ {
        self.x.iter().map(|x| (self.input * x) as f32)
    }
}

/// A run on the host, driven by its caller: [`call`](Self::call) returns the next input of the network, [`give`](Self::give) takes
/// its answer.
///
/// Nothing blocks and nothing runs in between, so a network may answer from another thread, a queue or a later frame. To stop, drop
/// the loop; to continue later, keep it. A clone continues independently.
///
/// ```
/// use tweedie::math::run::{HostLoop, Node, Run, RunGrid, RunInputs, RunModel};
///
/// let run = Run {
///     model: Some(RunModel::named("flow3")?),
///     sampler: Some("euler_ancestral".to_owned()),
///     grid: Some(RunGrid::Scheduler(Node::named("beta"))),
///     steps: Some(8),
///     seed: Some(42),
///     ..Run::default()
/// };
/// let planned = run.plan()?;
/// let mut host = HostLoop::new(&planned, RunInputs { shape: &[1, 16, 8, 8], ..RunInputs::default() })?;
/// while let Some(call) = host.call() {
///     let input: Vec<f32> = call.network_input().collect(); // and call.told
///     host.give(&[&input[..]])?; // what the network made of it
/// }
/// assert_eq!(host.result().map(<[f64]>::len), Some(16 * 8 * 8));
/// # Ok::<(), tweedie::math::run::RunError>(())
/// ```
#[derive(Clone, Debug)]
pub struct HostLoop<'a> {
    run: &'a RunLoop,
    inputs: RunInputs<'a>,
    noise: RunNoise<'a>,
    count: usize,
    guidance: GuidanceLoop,
    going: Going<'a>,
    calls: usize,
    asked: Option<Asked>,
    clean: Vec<f64>,
    result: Option<Vec<f64>>,
}

/// The state of a loop.
#[derive(Clone, Debug)]
enum Going<'a> {
    /// Along the rows.
    Planned { planned: &'a Walked, row: usize, is_answered: bool, x: Vec<f64>, clean: Clean, past: Vec<Vec<f64>> },
    /// By the attempts of the sampler; `answers` are the clean samples of the current attempt.
    Adaptive { walk: Walk<'a>, answers: Vec<Vec<f64>>, draws: usize },
    /// No steps: the result is the latent image.
    Nothing { x: Vec<f64> },
}

/// The call that waits for an answer.
#[derive(Clone, Debug)]
struct Asked {
    shown: Vec<f64>,
    mask: Option<Vec<f64>>,
    sigma: f64,
    told: f64,
    step: usize,
    guider: Option<GuiderCall>,
}

/// The reason why an attempt of an adaptive sampler cannot continue.
enum Held {
    /// It needs the clean sample that the network predicts at this sample and sigma.
    Asks(Vec<f64>, f64),
    Fails(RunError),
}

impl<'a> HostLoop<'a> {
    /// Starts a run with these tensors.
    ///
    /// # Errors
    /// [`RunError::Value`] for a tensor of another length than the rest, [`RunError::Missing`] for one that the run needs and no
    /// seed gives, [`RunError::Guidance`] for a shape without elements, and those of [`RunLoop::noise`].
    pub fn new(run: &'a RunLoop, inputs: RunInputs<'a>) -> Result<Self, RunError> {
        let count = inputs.count()?;
        let shape = if inputs.shape.is_empty() { vec![1, count] } else { inputs.shape.to_vec() };
        let guidance = GuidanceLoop::new(&shape)?;
        let mut noise = run.noise(&inputs)?;
        let going = match &run.way {
            Way::Nothing => Going::Nothing { x: (0..count).map(|i| inputs.latent_at(i)).collect() },
            Way::Planned(planned) => {
                let x = run.first_sample(&mut noise)?;
                Going::Planned { planned, row: 0, is_answered: false, x, clean: Clean::default(), past: Vec::new() }
            }
            Way::Adaptive(adaptive) => {
                let walk = adaptive.walk(run.first_sample(&mut noise)?);
                Going::Adaptive { walk, answers: Vec::new(), draws: 0 }
            }
        };
        let (clean, asked, result) = (Vec::new(), None, None);
        let mut it = Self { run, inputs, noise, count, guidance, going, calls: 0, asked, clean, result };
        it.go_on()?;
        Ok(it)
    }

    /// The call that waits for an answer; `None` at the end.
    #[must_use]
    pub fn call(&self) -> Option<RunAsk<'_>> {
        let Asked { shown, sigma, told, step, guider, .. } = self.asked.as_ref()?;
        let mut asks = guider.map_or([false; 3], |call| call.asks);
        asks[0] |= self.run.needs_unconditional();
        let input = self.run.model().input(*sigma);
        Some(RunAsk { call: self.calls, step: *step, sigma: *sigma, told: *told, input, asks, x: shown })
    }

    /// Takes the network's raw outputs and continues to the next call or to the end. The outputs are in the order conditional,
    /// unconditional, third, fourth; those that the call does not [ask](RunAsk::asks) for may be empty or left out.
    ///
    /// # Errors
    /// [`RunError::Value`] for an output of another length and [`RunError::Guidance`] for guidance that does not fit the shape; after
    /// these the call still waits. [`RunError::Missing`] at the end of the run. [`RunError::Steps`] for a sampler that chooses its own
    /// steps and does not reach the end in 10,000 attempts, and those of [`RunNoise::draw`]: these end the run without a result.
    pub fn give<T: Copy + Into<f64>>(&mut self, outputs: &[&[T]]) -> Result<(), RunError> {
        let asks = self.call().ok_or(RunError::Missing { expected: "no output: the run has ended" })?.asks;
        let names = ["an output", "an unconditional output", "a third output", "a fourth output"]
            .map(|it| [it, " of the network"]);
        let mut all: [Vec<f64>; 4] = Default::default();
        for (i, (all, name)) in all.iter_mut().zip(names).enumerate() {
            let given = outputs.get(i).copied().unwrap_or_default();
            if i == 0 || asks.get(i - 1) == Some(&true) {
                length(&name.concat(), given.len(), self.count)?;
            }
            *all = given.iter().map(|value| (*value).into()).collect();
        }
        let Some(asked) = self.asked.take() else { return Ok(()) };
        let [guided, alone] = match self.answered(&asked, &all) {
            Ok(clean) => clean,
            Err(error) => {
                self.asked = Some(asked);
                return Err(error);
            }
        };
        self.calls += 1;
        self.clean.clone_from(&guided);
        let given = match &asked.mask {
            None => guided,
            Some(mask) => {
                let mixed = |(i, (d, m)): (usize, (f64, &f64))| m * d + (1.0 - m) * self.inputs.latent_at(i);
                guided.into_iter().zip(mask).enumerate().map(mixed).collect()
            }
        };
        match &mut self.going {
            Going::Planned { clean, is_answered, .. } => (*clean, *is_answered) = ([given, alone], true),
            Going::Adaptive { answers, .. } => answers.push(given),
            Going::Nothing { .. } => {}
        }
        self.go_on()
    }

    /// The number of answers so far.
    #[must_use]
    pub const fn calls(&self) -> usize {
        self.calls
    }

    /// The sample, in the scale of the sampler: that of the current step without the known region, or the sampler's result.
    #[must_use]
    pub fn sample(&self) -> &[f64] {
        match &self.going {
            Going::Planned { x, .. } | Going::Nothing { x } => x,
            Going::Adaptive { walk, .. } => &walk.x,
        }
    }

    /// The clean sample of the last answer, after guidance and before the mask: a preview. Empty before the first answer.
    #[must_use]
    pub fn clean(&self) -> &[f64] {
        &self.clean
    }

    /// The result of the run, scaled by [`RunLoop::end`]; `None` until the run has ended.
    #[must_use]
    pub fn result(&self) -> Option<&[f64]> {
        self.result.as_deref()
    }

    /// The attempts of a sampler that chooses its own steps; empty for others.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        if let Going::Adaptive { walk, .. } = &self.going { &walk.attempts } else { &[] }
    }

    /// The guided clean sample and that of the unconditional prediction.
    fn answered(&mut self, asked: &Asked, outputs: &[Vec<f64>; 4]) -> Result<Clean, RunError> {
        let (run, shown) = (self.run, &asked.shown);
        let [of_x, of_output] = run.model().denoised(asked.sigma);
        let clean = |output: &[f64]| -> Vec<f64> {
            shown.iter().zip(output).map(|(x, output)| of_x * x + of_output * output).collect()
        };
        let alone = clean(&outputs[1]);
        let guided = match asked.guider {
            Some(call) => {
                let space = run.guided_space(asked.sigma);
                let given = outputs.each_ref().map(|output| space.of_clean(shown, &clean(output)));
                let [conditional, unconditional, third, fourth] = given.each_ref().map(|output| &output[..]);
                let predictions = Predictions { conditional, unconditional, third, fourth };
                space.to_clean(shown, &self.guidance.call(&call, predictions)?)
            }
            None if run.needs_unconditional() => {
                let scale = run.guidance();
                let mixed = |(c, u): (&f64, &f64)| if scale == 1.0 { *c } else { u + scale * (c - u) };
                clean(&outputs[0]).iter().zip(&alone).map(mixed).collect()
            }
            None => clean(&outputs[0]),
        };
        Ok([guided, alone])
    }

    /// Continues to the next call of the network or to the end.
    fn go_on(&mut self) -> Result<(), RunError> {
        let question = match &mut self.going {
            Going::Planned { planned, row, is_answered, x, clean, past } => {
                let mut question = None;
                while let Some((call, asks)) = planned.recorded.calls.get(*row).zip(planned.recorded.asks.get(*row)) {
                    if *asks && !std::mem::take(is_answered) {
                        let sigma = planned.call_sigmas.get(self.calls).copied().unwrap_or(f64::NAN);
                        question = Some((x.clone(), sigma, call.step));
                        break;
                    }
                    let mut noises = Vec::new();
                    for (c, draw) in [(call.row.z, call.noise), (call.row.second_z.0, call.row.second_z.1 as usize)] {
                        if c != 0.0 {
                            noises.push((c, self.noise.draw(draw)?));
                        }
                    }
                    let next = stepped(&call.row, x, clean, past, &noises);
                    past.push(remembered(&call.row, x, clean));
                    if past.len() > StepRow::HISTORY {
                        past.remove(0);
                    }
                    *x = next;
                    *row += 1;
                }
                question
            }
            Going::Adaptive { walk, answers, draws } => loop {
                let step = walk.attempts.len();
                let noise = &mut self.noise;
                let mut given = answers.iter();
                let ask = |x: &[f64], sigma: f64| given.next().cloned().ok_or_else(|| Held::Asks(x.to_vec(), sigma));
                let is_noisy = walk.is_noisy();
                let drawn = || if is_noisy { noise.draw(*draws).map_err(Held::Fails) } else { Ok(Vec::new()) };
                match walk.attempt(ask, drawn) {
                    Ok(true) => {
                        answers.clear();
                        *draws += usize::from(walk.attempts.last().is_some_and(|attempt| attempt.is_accepted));
                    }
                    Ok(false) if walk.is_unfinished() => {
                        let found = "more: its tolerance is too tight".to_owned();
                        let expected = format!("at most {MOST_ATTEMPTS}");
                        return Err(RunError::Steps { grid: "dpm_adaptive", expected, found });
                    }
                    Ok(false) => break None,
                    Err(Held::Asks(x, sigma)) => break Some((x, sigma, step)),
                    Err(Held::Fails(error)) => return Err(error),
                }
            },
            Going::Nothing { .. } => None,
        };
        match question {
            Some((x, sigma, step)) => self.asked = Some(self.question(&x, sigma, step)?),
            None => {
                let end = self.run.end();
                self.result = Some(self.sample().iter().map(|x| x * end).collect());
            }
        }
        Ok(())
    }

    fn question(&self, x: &[f64], sigma: f64, step: usize) -> Result<Asked, RunError> {
        let model = self.run.model();
        let told = model.told(sigma);
        let mask = self.run.mask(self.inputs.mask, told);
        let shown = match &mask {
            None => x.to_vec(),
            Some(mask) => {
                let known = self.noise.known_at(model.start(sigma, false))?;
                x.iter().zip(mask).zip(known).map(|((x, m), known)| m * x + (1.0 - m) * known).collect()
            }
        };
        Ok(Asked { shown, mask, sigma, told, step, guider: self.run.guider_call(step)? })
    }
}
