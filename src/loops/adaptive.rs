//! The loop of a sampler that chooses its own steps, recorded ahead: the GPU chooses.

use super::asked::{Asked, check, level};
use super::attempts::{Attempts, ErrorOver, RunBuffer};
use super::builder::Builder;
use super::call::{Facts, stride};
use super::recorded::Loop;
use super::source::Source;
use super::tensors::{LoopNoise, LoopTensors};
use crate::error::Error;
use crate::gpu::context::Context;
use crate::gpu::error::PlanError;
use crate::gpu::tensor::Shape;
use crate::loop_error::LoopError;
use crate::math::run::adaptive::{Adaptive, MOST_ATTEMPTS};
use crate::math::run::run_loop::RunLoop;
use crate::table::UNITS;

impl Loop {
    /// Makes the loop of a run whose sampler chooses its own steps (`dpm_adaptive`): of at most so many attempts at a step, whose
    /// sizes and acceptance the GPU decides. After the end an attempt changes nothing.
    ///
    /// Steps are whole 4096ths of the way in `-ln(sigma)`; [`RunLoop::on_table`] is the same on the host, in f64. What a call tells is
    /// in its `values` alone; its numbers for the host are NaN. [`state`](Self::state) says how far each sample is. A host that would
    /// rather not record attempts in vain records them one by one ([`record_call`](Self::record_call), as many calls as
    /// [`stages`](RunLoop::stages)) and reads the state between them: the bits are the same.
    ///
    /// A call takes an input in its own tensor. Noise of steps (`eta` above 0) is drawn in the kernels, on the key's stream plus the number
    /// of accepted steps before it.
    ///
    /// The pair of solvers and the error are those of DPM-Solver-12 and -23 (Lu et al. 2022, arXiv 2206.00927, appendix C), the controller
    /// is k-diffusion's, whose error is that of the batch.
    ///
    /// Cost: beside what [`Loop::new`] takes, rows for 4096 steps of 2 or 3 stages (some 2 to 5 MB, twice that with a mask), and 6
    /// tensors of the shape in f32, 8 for order 3, 1 more with noise, 2 more a stage with a mask; a whole batch in f32 must fit a binding.
    /// An attempt is, beside the network, 7 dispatches and 3 a stage, 4 with a mask; noise takes 2 more, a guider its own.
    ///
    /// # Errors
    /// [`LoopError::Unsupported`] for a run that has its steps ahead, whose sigmas do not fall, differential diffusion, and noise of steps
    /// from the host; [`LoopError::Missing`] without `input`; [`PlanError::Rule`] for no attempts or more than 10,000; else as [`Loop::new`].
    pub fn adaptive<'a>(
        context: &Context,
        run: &RunLoop,
        shape: Shape,
        tensors: &LoopTensors<'a>,
        noise: impl Into<LoopNoise<'a>>,
        attempts: u32,
        over: ErrorOver,
    ) -> Result<Self, Error> {
        let refuse = |what, instead| Err(LoopError::Unsupported { what, instead }.into());
        let Some(adaptive) = run.adaptive() else { return refuse("a run that has its steps ahead", "Loop::new") };
        if run.is_differential() && tensors.mask.is_some() {
            return refuse("differential diffusion with steps that the GPU chooses", "math::run::HostLoop");
        }
        // As many as the host would make; a negative way down, or none, has no steps.
        if attempts == 0 || attempts as usize > MOST_ATTEMPTS {
            let (what, expected) = ("attempts", "from 1 to 10,000");
            return Err(PlanError::Rule { what, expected, found: f64::from(attempts) }.into());
        }
        if !(adaptive.unit() > 0.0 && adaptive.unit().is_finite()) {
            return refuse(
                "steps that the GPU chooses, where the sigmas do not fall from first to last",
                "math::run::HostLoop",
            );
        }
        let order = adaptive.order;
        let levels = levels(run, adaptive)?;
        let asked = asked(run, order, attempts)?;
        check(&asked, shape, tensors)?;
        if tensors.input.is_none() {
            let reason = "the network is asked about samples that are not x";
            return Err(LoopError::Missing { tensor: "input", reason }.into());
        }
        let noise = noise.into();
        let is_noisy = adaptive.eta > 0.0 && adaptive.s_noise != 0.0;
        if is_noisy && !matches!(noise, LoopNoise::Drawn(_)) {
            return refuse("noise of steps that the GPU chooses from the host or a tensor", "LoopNoise::Drawn");
        }
        let source = Source::new(context, run, shape, tensors.mask.is_some(), noise)?;
        let of_run = RunBuffer::new(context, shape, order)?;
        let mut it = Builder { context, run, shape, tensors: *tensors, plans: Vec::new() };
        let maker = Attempts { adaptive, run: &of_run, levels: &levels, count: attempts, over };
        let mut start = it.start(&source, None)?;
        let (begin, around) = maker.add_to(&mut it, &asked, &source)?;
        start.extend(begin);
        let end = it.end()?;
        let facts = asked.into_iter().map(|asked| asked.facts).collect();
        let plans = it.plans;
        Ok(Self::chosen(plans, start, around, end, facts, (of_run.buffer, stride(shape), of_run.state)))
    }
}

/// The levels of a table: for each place all stages of a step.
fn levels(run: &RunLoop, adaptive: &Adaptive) -> Result<Vec<Asked>, Error> {
    let model = run.model();
    let points = UNITS as usize * adaptive.order;
    let at = |point: usize| {
        let t = adaptive.first + (adaptive.last - adaptive.first) * point as f64 / points as f64;
        let sigma = (-t).exp();
        let facts = Facts { sigma, told: model.told(sigma), input: model.input(sigma), ..Facts::default() };
        level(run, facts, model.denoised(sigma))
    };
    (0..=points).map(at).collect()
}

/// The calls of all attempts. The guidance of a run's steps is that of its attempts.
fn asked(run: &RunLoop, order: usize, attempts: u32) -> Result<Vec<Asked>, Error> {
    let nan = f64::NAN;
    let mut asked = Vec::new();
    for attempt in 0..attempts as usize {
        for place in 0..order {
            let facts = Facts { step: attempt, sigma: nan, told: nan, input: nan, asks: [false; 3], draw: None, place };
            asked.push(level(run, facts, [0.0; 2])?);
        }
    }
    Ok(asked)
}
