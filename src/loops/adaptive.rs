//! The loop of a sampler that chooses its own steps, recorded in advance: the GPU chooses them.

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
    /// Makes the loop of a run whose sampler chooses its own steps (`dpm_adaptive`). At most `attempts` steps are attempted; the GPU
    /// decides how long each one is and whether it is accepted. Attempts after the end change nothing.
    ///
    /// Step sizes are multiples of 1/4096 of the whole way in `-ln(sigma)`; [`RunLoop::on_table`] gives the same steps on the host,
    /// in f64. The numbers of a call are in [`values`](crate::LoopCall::values) only: the fields for the host are NaN.
    /// [`state`](Self::state) holds the progress of each sample. To avoid recording attempts in vain, record them one by one
    /// ([`record_call`](Self::record_call), [`stages`](RunLoop::stages) calls for each attempt) and read the state in between: the
    /// results are the same to the bit.
    ///
    /// The network's input must be a tensor of its own. The noise of steps (`eta` above 0) is drawn in the kernels, on the key's
    /// stream plus the number of steps accepted so far.
    ///
    /// The pairs of solvers and the error are those of DPM-Solver-12 and -23 (Lu et al. 2022, arXiv 2206.00927, appendix C). The
    /// controller is k-diffusion's, which takes the error over the batch.
    ///
    /// Memory, in addition to that of [`Loop::new`]: rows for 4096 steps of 2 or 3 stages (some 2 to 5 MB, twice that with a mask), and
    /// 6 tensors of the loop's shape in f32 (8 for order 3), 1 more with noise, 2 more per stage with a mask. The whole batch in f32
    /// must fit in one binding. An attempt takes 7 dispatches and 3 per stage (4 with a mask), in addition to the network's; noise
    /// takes 2 more, and a guider its own.
    ///
    /// # Errors
    /// [`LoopError::Unsupported`] for a run whose steps are known in advance, sigmas that do not fall, differential diffusion, and
    /// noise of steps that is not drawn in the kernels; [`LoopError::Missing`] without `input`; [`PlanError::Rule`] unless `attempts`
    /// is 1 to 10,000; otherwise as [`Loop::new`].
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
        let Some(adaptive) = run.adaptive() else {
            return refuse("a run whose steps are known in advance", "Loop::new");
        };
        if run.is_differential() && tensors.mask.is_some() {
            return refuse("differential diffusion with steps that the GPU chooses", "math::run::HostLoop");
        }
        // The limit is that of the host.
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
            let reason = "the network is also given samples that are not x";
            return Err(LoopError::Missing { tensor: "input", reason }.into());
        }
        let noise = noise.into();
        let is_noisy = adaptive.eta > 0.0 && adaptive.s_noise != 0.0;
        if is_noisy && !matches!(noise, LoopNoise::Drawn(_)) {
            return refuse("noise of steps that the GPU chooses, from the host or a tensor,", "LoopNoise::Drawn");
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

/// The levels of the table: `order` for each of its units, and one for the end.
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

/// The calls of all attempts. Guidance that depends on the step takes the index of the attempt.
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
