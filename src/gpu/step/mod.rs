//! step: one step of any sampler, from guidance to the next sample, as one streaming kernel.
//!
//! **Theory.** [`StepRow`] says what is computed. The kernel reads the sample, the predictions and what else a row needs
//! once, and writes the next sample, and the clean sample and the network's next input if they are wanted, once.
//!
//! **Practice.** A [`StepPlan`] is made once for a whole loop: it holds the rows of all calls, what it must remember
//! between them, and draws call `k`'s noise on stream `key.stream + k`. Recording a call is a few calls on the caller's
//! pass: no submit, no poll, no allocation, no upload; so a whole loop may be recorded ahead around the network. Which
//! call it is, the host says at each recording ([`At::call`]), or the GPU reads from a buffer: for every sample by itself,
//! so that requests at different points of their loops share a batch, or one for all ([`Counter`] advances it).
//!
//! Calls are to be recorded in order: a multistep solver looks back at the calls before, of the same plan or of one made
//! [`beside`](StepPlan::beside) it.
//!
//! Host twin of `shaders/op/step.wgsl`: [`reference()`].

mod health;
mod reference;
mod scales;

pub use health::Health;
pub use reference::{Sample, Stepped, quantile, reference};

use super::{Shape, Storage, Tensor};
use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, RecordError};
use crate::gpu::map::{At, Timesteps};
use crate::gpu::noise::NoiseKey;
use crate::gpu::plan::builder::PlanBuilder;
use crate::gpu::plan::job::{Drawing, Job};
use crate::gpu::plan::plan::Plan;
use crate::gpu::shader::codes::ClipKind;
use crate::gpu::shader::op::{Op, SLOTS, StepVariant, step as slots};
use crate::gpu::shader::variant::Walk;
use crate::table::{Clip, Deviation, STEP_WIDTH, StepRow};
use std::cell::RefCell;

/// What holds for all steps of a loop.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rules {
    /// What is done to the clean sample.
    pub clip: Clip,
    /// What the noise is multiplied with.
    pub deviation: Deviation,
    /// How far the guided prediction is brought back to the standard deviation of the conditional one, in `0..=1` (Lin
    /// et al. 2023, arXiv 2305.08891, section 3.4): of a sample whose deviations are not both finite in f32, or whose
    /// guided one is 0, nothing is brought back. 0 is not at all.
    pub rescale: f64,
}

/// What a step's output may be off by, in units of the bound of a [`Comparison`](crate::gpu::compare::Comparison), which allows
/// for one sum of two products: the mixture of predictions, the clean sample made of it and the next sample made of that
/// are three sums of up to seven terms.
pub const ROUNDINGS: f64 = 2.5;

/// The noise of a loop.
#[derive(Clone, Copy, Debug, Default)]
pub enum Noise<'a> {
    /// None: no row may ask for it.
    #[default]
    None,
    /// A tensor, which the application fills before each call that needs it.
    Given(Tensor<'a>),
    /// Drawn in the kernel: call `k` draws on stream `key.stream + k`.
    Drawn(DrawnNoise<'a>),
}

/// Noise that a step draws.
#[derive(Clone, Copy, Debug)]
pub struct DrawnNoise<'a> {
    /// Seed, first stream and first sample.
    pub key: NoiseKey,
    /// A seed and an index for each sample instead of the key's: four `u32` a sample, `[seed low, seed high, sample low,
    /// sample high]`, without gaps; and the byte at which they begin, a multiple of the device's
    /// `min_storage_buffer_offset_alignment`. Requests that share a batch keep their own noise.
    pub seeds: Option<(&'a wgpu::Buffer, u64)>,
    /// Where to write the noise too.
    pub keep: Option<Tensor<'a>>,
}

impl<'a> Noise<'a> {
    /// Noise of this key.
    pub const fn drawn(key: NoiseKey) -> Self {
        Self::Drawn(DrawnNoise { key, seeds: None, keep: None })
    }
}

/// A region of the sample that is known (inpainting).
///
/// After each step the region is what the known clean sample would be at that noise level, under the step's own noise
/// (Lugmayr et al. 2022, arXiv 2201.09865, eq. 8).
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// 1 where the sample is known, 0 where it is not, or anything between.
    pub mask: Tensor<'a>,
    /// The known clean sample. What it holds where the mask is 0 does not matter unless it is NaN or infinite.
    pub x0: Tensor<'a>,
}

/// What a [`StepPlan`] is made of.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// A row for each call of the loop.
    pub rows: &'a [StepRow],
    /// What holds for all calls.
    pub rules: Rules,
    /// The batch.
    pub shape: Shape,
    /// Which call each sample is at.
    pub calls: Timesteps<'a>,
    /// The sample.
    pub x: Tensor<'a>,
    /// The network's output.
    pub prediction: Tensor<'a>,
    /// The network's output without the condition, for guidance.
    pub unconditional: Option<Tensor<'a>>,
    /// The noise.
    pub noise: Noise<'a>,
    /// The network's second output, where the deviation is learned.
    pub learned: Option<Tensor<'a>>,
    /// What is known of the sample.
    pub known: Option<Known<'a>>,
    /// The next sample. It may be the very same elements as `x`.
    pub next: Tensor<'a>,
    /// The clean sample that the prediction implies, after clipping: a preview.
    pub x0: Option<Tensor<'a>>,
    /// The next sample as the network is given it, for samplers whose scale is not the network's.
    pub input: Option<Tensor<'a>>,
    /// Whether to keep a record of the clean samples; see [`Health`].
    pub health: bool,
}

/// A loop whose steps are ready to be recorded.
#[derive(Debug)]
pub struct StepPlan {
    plan: Plan,
    health: Option<wgpu::Buffer>,
    history: Option<History>,
}

/// The clean samples that a loop looks back to, and how they are stored.
type History = (wgpu::Buffer, Storage);

impl StepPlan {
    /// Makes a plan.
    ///
    /// Cost: the first plan of a kind compiles a shader; every plan uploads 80 bytes a row (one aligned slot a row for one
    /// call per batch) and, for solvers that look back, allocates as many clean samples as they look back to. See
    /// [`PlanError`] for what is rejected.
    pub fn new(context: &Context, step: &Step<'_>) -> Result<Self, PlanError> {
        Self::remembering(context, step, None)
    }

    /// Makes a plan of the same loop on other tensors: it remembers in the same memory, so that each call may be recorded
    /// from either. For hosts whose allocator hands out other memory at every call.
    ///
    /// # Errors
    /// As [`new`](Self::new), and [`PlanError::History`] for a loop that remembers otherwise.
    pub fn beside(&self, context: &Context, step: &Step<'_>) -> Result<Self, PlanError> {
        Self::remembering(context, step, Some(self))
    }

    fn remembering(context: &Context, step: &Step<'_>, beside: Option<&Self>) -> Result<Self, PlanError> {
        step.check()?;
        let rows: Vec<[f32; STEP_WIDTH]> =
            step.rows.iter().enumerate().map(|(index, row)| row.rounded(index)).collect::<Result<_, _>>()?;
        let health = step.health.then(|| Health::buffer(context, rows.len())).transpose()?;
        let job = step.job(&rows, health.as_ref());
        let history = RefCell::new(None);
        let plan = PlanBuilder::plan(context, &job, |draft| {
            let scales = scales::plan(draft, &job, &step.rules, step.rows)?;
            let mut job = Job { scales: scales.as_ref(), ..job.clone() }.folded();
            let past = remembered(draft, &job, beside)?;
            job.tensors[slots::HISTORY] = past
                .as_ref()
                .map(|(buffer, storage)| Tensor::new(buffer, *storage).stride(job.depth() * job.shape.elements));
            history.replace(past.clone());
            // In the narrow form the clean sample goes first, in a dispatch of its own, if that spares a binding too many.
            if draft.narrow && !draft.fits(&job) && job.tensors[slots::X0].is_some() {
                draft.stream(&preview(&job))?;
                job.tensors[slots::X0] = None;
            }
            draft.stream(&job)
        });
        Ok(Self { plan: plan?, health, history: history.into_inner() })
    }

    /// Records a call's step into the caller's pass: one dispatch, or one for each window of buffers that are larger than
    /// the device binds at once; two more before it for guidance rescale, and six for a threshold. Sets the pipeline and
    /// bind group 0. No heap allocation, no upload, no submit.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>, at: At) -> Result<(), RecordError> {
        self.plan.record(pass, at)
    }

    /// Records a call's step into a compute pass of its own.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder, at: At) -> Result<(), RecordError> {
        self.plan.encode(encoder, at)
    }

    /// Dispatches of one recording.
    pub fn dispatches(&self) -> usize {
        self.plan.dispatches.len()
    }

    /// Draws from another key from now on, through the caller's queue: it holds for whatever is submitted after this
    /// call. For the next run of the loop.
    pub fn set_key(&self, queue: &wgpu::Queue, key: NoiseKey) -> Result<(), RecordError> {
        self.plan.set_key(queue, 0, key)
    }

    /// For calls from a buffer: as [`MapPlan::status`](super::MapPlan::status).
    pub fn status(&self) -> Option<&wgpu::Buffer> {
        self.plan.status.as_ref()
    }

    /// The record of the clean samples, if it is kept: [`Health::BYTES`] for each call, read by [`Health::decode`]. It may
    /// be copied from and cleared by the caller's encoder.
    pub fn health(&self) -> Option<&wgpu::Buffer> {
        self.health.as_ref()
    }
}

impl<'a> Step<'a> {
    fn check(&self) -> Result<(), PlanError> {
        self.rules.check()?;
        let missing = |what, uses: &dyn Fn(&StepRow) -> bool| match self.rows.iter().position(uses) {
            Some(row) => Err(PlanError::Missing { what, row }),
            None => Ok(()),
        };
        if matches!(self.noise, Noise::None) {
            missing("noise", &|row| row.draws(self.known.is_some()))?;
        }
        if self.unconditional.is_none() {
            missing("unconditional", &|row| row.guidance[1] != 0.0)?;
        }
        if self.learned.is_none() && self.rules.deviation != Deviation::Fixed {
            missing("learned", &|row| row.z != 0.0)?;
        }
        Ok(())
    }

    fn job<'b>(&self, rows: &'b [[f32; STEP_WIDTH]], health: Option<&'b wgpu::Buffer>) -> Job<'b>
    where
        'a: 'b,
    {
        let drawing = self.rows.iter().any(|row| row.draws(self.known.is_some()));
        let (given, drawn) = match self.noise {
            Noise::Given(tensor) if drawing => (Some(tensor), None),
            Noise::Drawn(drawn) if drawing => (None, Some(drawn)),
            _ => (None, None),
        };
        let deviation = if self.rows.iter().any(|row| row.z != 0.0) { self.rules.deviation } else { Deviation::Fixed };
        let mut tensors = [None; SLOTS];
        tensors[slots::X] = Some(self.x);
        tensors[slots::CONDITIONAL] = Some(self.prediction);
        tensors[slots::UNCONDITIONAL] = self.unconditional;
        tensors[slots::NOISE] = given;
        tensors[slots::LEARNED] = self.learned.filter(|_| deviation != Deviation::Fixed);
        tensors[slots::MASK] = self.known.map(|known| known.mask);
        tensors[slots::KNOWN] = self.known.map(|known| known.x0);
        tensors[slots::NEXT] = Some(self.next);
        tensors[slots::X0] = self.x0;
        tensors[slots::INPUT] = self.input;
        tensors[slots::NOISE_OUT] = drawn.and_then(|drawn| drawn.keep);
        let (clip, limit) = match self.rules.clip {
            Clip::None => (ClipKind::None, f32::MAX),
            Clip::Range(range) => (ClipKind::Range, range as f32),
            Clip::Quantile { .. } => (ClipKind::Quantile, f32::MAX),
        };
        let variant = StepVariant {
            clip,
            deviation,
            depth: self.rows.iter().map(StepRow::depth).max().unwrap_or(0) as u32,
            scaled: clip == ClipKind::Quantile || scales::rescales(&self.rules, self.rows),
            health: health.is_some(),
        };
        Job {
            rows: rows.iter().map(|row| Some(row.as_slice())).collect(),
            drawn: drawn.map(|drawn| Drawing { key: drawn.key, steps: 1, perturbed: None }),
            seeds: drawn.and_then(|drawn| drawn.seeds).map(|(buffer, offset)| Tensor::f32(buffer).at(offset)),
            health,
            limit,
            ..Job::new(Op::Step(variant), self.shape, self.calls, tensors)
        }
    }
}

impl Rules {
    fn check(&self) -> Result<(), PlanError> {
        let check = |what, expected, found: f64, holds: bool| {
            if holds { Ok(()) } else { Err(PlanError::Rule { what, expected, found }) }
        };
        check("rescale", "within 0..=1", self.rescale, (0.0..=1.0).contains(&self.rescale))?;
        let positive = |x: f64| x.is_finite() && x > 0.0 && (x as f32).is_normal();
        match self.clip {
            Clip::None => Ok(()),
            Clip::Range(range) => check("clip range", "finite and above 0", range, positive(range)),
            Clip::Quantile { ratio, least, most } => {
                check("quantile", "within 0..=1", ratio, (0.0..=1.0).contains(&ratio))?;
                check("least threshold", "finite and above 0", least, positive(least))?;
                check("largest threshold", "at least the least one", most, most >= least)
            }
        }
    }
}

/// Of a step, what makes its clean sample.
fn preview<'a>(job: &Job<'a>) -> Job<'a> {
    let variant = match job.op {
        Op::Step(variant) => StepVariant { deviation: Deviation::Fixed, depth: 0, health: false, ..variant },
        _ => StepVariant::default(),
    };
    let mut tensors = [None; SLOTS];
    [slots::X, slots::CONDITIONAL, slots::UNCONDITIONAL, slots::NOISE, slots::X0]
        .into_iter()
        .for_each(|slot| tensors[slot] = job.tensors[slot]);
    Job { op: Op::Step(variant), tensors, health: None, ..job.clone() }
}

/// A buffer for the clean samples that the rows look back to, another plan's if there is one: in the storage of the next
/// sample; in f32 where tensors are walked word by word, so that no two of them share a word.
fn remembered(draft: &PlanBuilder<'_>, job: &Job<'_>, beside: Option<&StepPlan>) -> Result<Option<History>, PlanError> {
    let depth = u64::from(job.depth());
    let Some(next) = job.tensors[slots::NEXT].filter(|_| depth > 0) else { return Ok(None) };
    let walk = draft.builder(job).walk_of_all();
    let storage = if walk == Walk::Words { Storage::F32 } else { next.storage };
    let sample = depth * u64::from(job.shape.elements) * storage.bytes();
    let found = (u64::from(job.shape.batch) * sample).next_multiple_of(4);
    let limits = draft.context.limits();
    let check = |limit, allowed, found| {
        let what = "clean samples of earlier steps";
        if found <= allowed { Ok(()) } else { Err(PlanError::DeviceLimit { what, limit, allowed, found }) }
    };
    check("max_buffer_size", limits.max_buffer_size, found)?;
    if depth > 1 {
        check("max_storage_buffer_binding_size", limits.max_storage_buffer_binding_size.saturating_sub(256), sample)?;
    }
    if let Some(plan) = beside {
        let expected = plan.history.as_ref().map_or((0, storage), |(buffer, storage)| (buffer.size(), *storage));
        let same = expected == (found, storage);
        return if same {
            Ok(plan.history.clone())
        } else {
            Err(PlanError::History { expected, found: (found, storage) })
        };
    }
    let buffer = draft.context.device().create_buffer(&wgpu::BufferDescriptor {
        label: Some("tweedie::Step::history"),
        size: found,
        usage: wgpu::BufferUsages::STORAGE,
        mapped_at_creation: false,
    });
    Ok(Some((buffer, storage)))
}
