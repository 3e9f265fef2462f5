//! A loop that is ready to be recorded.

use super::asked::{Levels, asked, check};
use super::builder::{Around, Builder, Work};
use super::call::{Facts, LoopCall, stride, values};
use super::source::Source;
use super::tensors::{LoopNoise, LoopTensors};
use crate::error::Error;
use crate::gpu::context::Context;
use crate::gpu::inputs::Timesteps;
use crate::gpu::plan::plan::Plan;
use crate::gpu::tensor::{Shape, Tensor};
use crate::loop_error::LoopError;
use crate::math::run::run_loop::RunLoop;

/// A whole run around the application's network, on the application's tensors.
///
/// It is made once: that compiles pipelines and uploads the rows, the noise of the host and the numbers that the network reads.
/// Recording it sets pipelines and bind groups and dispatches. It does not submit, poll, map, upload or allocate GPU memory.
///
/// ```
/// use tweedie::math::run::{Node, Run, RunGrid, RunInputs, RunModel};
/// use tweedie::{Context, Error, Loop, LoopCall, LoopTensors, Shape, Tensor, wgpu};
///
/// /// DPM++ 2M SDE on Karras' sigmas, with the noise that ComfyUI draws from seed 42.
/// fn record(
///     context: &Context,
///     encoder: &mut wgpu::CommandEncoder,
///     [x, input, prediction]: [Tensor<'_>; 3],
///     network: impl FnMut(&mut wgpu::CommandEncoder, LoopCall<'_>) -> Result<(), Error>,
/// ) -> Result<(), Error> {
///     let run = Run {
///         model: Some(RunModel::named("sd15")?),
///         sampler: Some("dpmpp_2m_sde".to_owned()),
///         grid: Some(RunGrid::Scheduler(Node::named("karras"))),
///         steps: Some(20),
///         seed: Some(42),
///         ..Run::default()
///     };
///     let planned = run.plan()?;
///     let noise = planned.noise(&RunInputs { shape: &[1, 4, 64, 64], ..RunInputs::default() })?;
///     let tensors = LoopTensors::new(x, input, prediction);
///     let recorded = Loop::new(context, &planned, Shape::new(1, 4 * 64 * 64), &tensors, noise)?;
///     recorded.record(encoder, network) // x is the result
/// }
/// ```
#[derive(Debug)]
pub struct Loop {
    plans: Vec<Plan>,
    start: Vec<Work>,
    around: Vec<Around>,
    end: Option<Work>,
    facts: Vec<Facts>,
    values: wgpu::Buffer,
    stride: u64,
    state: Option<u64>,
}

/// The work of a whole loop.
pub(super) struct Whole {
    pub start: Vec<Work>,
    pub around: Vec<Around>,
    pub end: Option<Work>,
}

impl Loop {
    /// Makes the loop of a planned run.
    ///
    /// It allocates the memory of the solver, unless that is given; with a mask or a guider up to nine tensors of the loop's shape in
    /// f32, and those of a guider's [pyramids](crate::gpu::GuideFinish); and the uploaded [noise](LoopNoise::Host) and
    /// [masks](crate::LoopMask::Host).
    ///
    /// # Errors
    /// [`LoopError`] for a run that cannot be recorded in advance, which names what to use instead, and for a missing tensor;
    /// [`Error::Run`] for noise that the host cannot draw; [`Error::Plan`] for tensors that do not fit.
    pub fn new<'a>(
        context: &Context,
        run: &RunLoop,
        shape: Shape,
        tensors: &LoopTensors<'a>,
        noise: impl Into<LoopNoise<'a>>,
    ) -> Result<Self, Error> {
        let mut asked = asked(run)?;
        check(&asked, shape, tensors)?;
        let source = Source::new(context, run, shape, tensors.mask.is_some(), noise.into())?;
        let mut it = Builder { context, run, shape, tensors: *tensors, plans: Vec::new() };
        let mut around = vec![Around::default(); asked.len()];
        let input = asked.first().map_or(1.0, |asked| asked.facts.input);
        let start = it.start(&source, Some(input))?;
        let is_direct = tensors.mask.is_none() && run.guider().is_none() || asked.is_empty();
        let levels = Levels { rows: &asked, at: Timesteps::Batch };
        let answers = match is_direct {
            true => None,
            false => Some(it.answers(levels, &asked, tensors.x, &source, &mut around)?),
        };
        let shown = answers.as_ref().and_then(|answers| answers.shown.as_ref());
        it.inputs(&asked, shown.map_or(tensors.x, Tensor::f32), &mut around)?;
        it.steps(&mut asked, &source, answers.as_ref(), &mut around)?;
        let end = it.end()?;
        let facts: Vec<Facts> = asked.into_iter().map(|asked| asked.facts).collect();
        Self::made(context, shape, it.plans, facts, Whole { start, around, end })
    }

    pub(super) fn made(
        context: &Context,
        shape: Shape,
        plans: Vec<Plan>,
        facts: Vec<Facts>,
        Whole { start, around, end }: Whole,
    ) -> Result<Self, Error> {
        let values = values(context, shape, &facts)?;
        Ok(Self { plans, start, around, end, facts, values, stride: stride(shape), state: None })
    }

    /// A loop whose numbers the GPU writes into a buffer: `stride` bytes for each stage, and the states from byte `state` on.
    pub(super) fn chosen(
        plans: Vec<Plan>,
        start: Vec<Work>,
        around: Vec<Around>,
        end: Option<Work>,
        facts: Vec<Facts>,
        (values, stride, state): (wgpu::Buffer, u64, u64),
    ) -> Self {
        Self { plans, start, around, end, facts, values, stride, state: Some(state) }
    }

    /// The buffer with the progress of each sample, with usage COPY_SRC, and the byte at which that begins, for a loop whose steps the
    /// GPU chooses; `None` for others.
    ///
    /// Each sample has 8 words: the way done in 4096ths, the accepted steps, the attempts, and 1 at the end or else 0, as u32; the error
    /// of its last attempt, the next step in 4096ths, and the controller's last two inverse errors, as f32.
    #[must_use]
    pub fn state(&self) -> Option<(&wgpu::Buffer, u64)> {
        Some((&self.values, self.state?))
    }

    /// The number of calls of the network; 0 for a run without steps.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.facts.len()
    }

    /// A call of the network; `None` beyond the last.
    #[must_use]
    pub fn call(&self, index: usize) -> Option<LoopCall<'_>> {
        let Facts { step, sigma, told, input, asks, draw, place } = *self.facts.get(index)?;
        let (values, offset, calls) = (&self.values, place as u64 * self.stride, self.calls());
        Some(LoopCall { index, calls, step, sigma, told, input, asks, draw, values, offset })
    }

    /// The number of dispatches of the whole loop, without the network's.
    #[must_use]
    pub fn dispatches(&self) -> usize {
        // Without a call, the end follows the start.
        let of_calls = (0..self.calls()).map(|index| self.call_dispatches(index)).sum::<usize>();
        self.start_dispatches() + of_calls
    }

    /// The number of dispatches of [`record_start`](Self::record_start).
    #[must_use]
    pub fn start_dispatches(&self) -> usize {
        let end = self.end.iter().filter(|_| self.calls() == 0);
        self.dispatches_of(self.start.iter().chain(end))
    }

    /// The number of dispatches of [`record_call`](Self::record_call), without the network's; 0 beyond the last call.
    #[must_use]
    pub fn call_dispatches(&self, index: usize) -> usize {
        let around = self.around.get(index).into_iter().flat_map(|around| around.before.iter().chain(&around.after));
        let end = self.end.iter().filter(|_| index + 1 == self.calls());
        self.dispatches_of(around.chain(end))
    }

    fn dispatches_of<'w>(&self, works: impl Iterator<Item = &'w Work>) -> usize {
        works.filter_map(|work| self.plans.get(work.plan)).map(Plan::dispatches).sum()
    }

    /// Records the whole run: start, calls and end. `network` records its own work at each call: it reads the input, writes
    /// the predictions that the call asks for, and may return an error to stop.
    ///
    /// # Errors
    /// Those of the network; [`Error::Record`].
    pub fn record<E: From<Error>>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        mut network: impl FnMut(&mut wgpu::CommandEncoder, LoopCall<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.record_start(encoder)?;
        (0..self.calls()).try_for_each(|index| self.record_call(encoder, index, &mut network))
    }

    /// Records several loops around one network that makes the predictions of all of them, such as the video and the sound of LTX-2.
    /// Each loop has its own tensors and schedule. The network is given the call of each loop.
    ///
    /// # Errors
    /// [`LoopError::Calls`] unless all loops have the same number of calls; those of the network; [`Error::Record`].
    pub fn record_together<const N: usize, E: From<Error>>(
        loops: [&Self; N],
        encoder: &mut wgpu::CommandEncoder,
        mut network: impl FnMut(&mut wgpu::CommandEncoder, [LoopCall<'_>; N]) -> Result<(), E>,
    ) -> Result<(), E> {
        let expected = loops.first().map_or(0, |first| first.calls());
        if let Some(other) = loops.iter().find(|other| other.calls() != expected) {
            return Err(Error::from(LoopError::Calls { expected, found: other.calls() }).into());
        }
        loops.iter().try_for_each(|one| one.record_start(encoder))?;
        for index in 0..expected {
            loops.iter().try_for_each(|one| one.before_call(encoder, index).map(drop))?;
            let beyond = || Error::from(LoopError::Call { calls: expected, found: index });
            let calls: Vec<LoopCall<'_>> = loops.iter().filter_map(|one| one.call(index)).collect();
            network(encoder, calls.try_into().map_err(|_| beyond())?)?;
            loops.iter().try_for_each(|one| one.after_call(encoder, index))?;
        }
        Ok(())
    }

    /// Records the start: the first sample from noise and the latent image. To continue from a sample that was kept, leave it out.
    ///
    /// # Errors
    /// [`Error::Record`].
    pub fn record_start(&self, encoder: &mut wgpu::CommandEncoder) -> Result<(), Error> {
        self.works(encoder, &self.start)?;
        if self.calls() == 0 { self.works(encoder, self.end.as_slice()) } else { Ok(()) }
    }

    /// Records one call: the network, the steps that follow it and, at the last call, the end. Between two calls an application may
    /// submit, show its progress, stop for good, or keep its tensors and continue later.
    ///
    /// # Errors
    /// Those of the network; [`LoopError::Call`] beyond the last call; [`Error::Record`].
    pub fn record_call<E: From<Error>>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        index: usize,
        network: impl FnOnce(&mut wgpu::CommandEncoder, LoopCall<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let call = self.before_call(encoder, index)?;
        network(encoder, call)?;
        Ok(self.after_call(encoder, index)?)
    }

    /// Records what comes before the network in a call, and returns the call: for a network that is submitted separately.
    ///
    /// # Errors
    /// [`LoopError::Call`] beyond the last call; [`Error::Record`].
    pub fn before_call(&self, encoder: &mut wgpu::CommandEncoder, index: usize) -> Result<LoopCall<'_>, Error> {
        let beyond = LoopError::Call { calls: self.calls(), found: index };
        let (call, around) = self.call(index).zip(self.around.get(index)).ok_or(beyond)?;
        self.works(encoder, &around.before)?;
        Ok(call)
    }

    /// Records what comes after the network in a call; see [`before_call`](Self::before_call).
    ///
    /// # Errors
    /// [`LoopError::Call`] beyond the last call; [`Error::Record`].
    pub fn after_call(&self, encoder: &mut wgpu::CommandEncoder, index: usize) -> Result<(), Error> {
        let beyond = LoopError::Call { calls: self.calls(), found: index };
        self.works(encoder, &self.around.get(index).ok_or(beyond)?.after)?;
        if index + 1 == self.calls() { self.works(encoder, self.end.as_slice()) } else { Ok(()) }
    }

    fn works(&self, encoder: &mut wgpu::CommandEncoder, works: &[Work]) -> Result<(), Error> {
        for work in works {
            if let Some(plan) = self.plans.get(work.plan) {
                plan.encode(encoder, work.at)?;
            }
        }
        Ok(())
    }
}
