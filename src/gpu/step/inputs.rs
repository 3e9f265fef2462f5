//! The inputs and outputs of a step.

use crate::gpu::error::PlanError;
use crate::gpu::inputs::{Noise, Runs, Timesteps};
use crate::gpu::plan::job::Job;
use crate::gpu::plan::keys::check_loop;
use crate::gpu::plan::rows::{Accepts, StepBounds};
use crate::gpu::shader::codes::ClipKind;
use crate::gpu::shader::op::{Op, StepVariant};
use crate::gpu::shader::slots::{SLOTS, step as slots};
use crate::gpu::step::options::StepOptions;
use crate::gpu::tensor::{Shape, Tensor};
use crate::table::RoundedTable;
use crate::table::step::{Clip, Deviation, HISTORY, RowParts, SLICES, StepRow};

/// A region of the sample that is known (inpainting).
///
/// After each step the region is set to the known clean sample at that noise level, under the step's own noise (Lugmayr et al.
/// 2022, arXiv 2201.09865, eq. 8).
#[doc(alias("inpaint", "outpaint", "mask"))]
#[derive(Clone, Copy, Debug)]
pub struct Inpainting<'a> {
    /// 1 where the sample is known, 0 where it is not, or a value in between.
    pub mask: Tensor<'a>,
    /// The known clean sample. Where the mask is 0 it may hold anything but NaN and infinity.
    pub x0: Tensor<'a>,
}

/// The request for the plan of a loop's steps.
#[doc(alias("scheduler", "continuous batching"))]
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// A row for each call of the loop.
    pub rows: &'a [StepRow],
    /// The options that hold for all calls.
    pub options: StepOptions,
    /// The batch.
    pub shape: Shape,
    /// The call that each sample is at.
    pub calls: Timesteps<'a>,
    /// The sample.
    pub x: Tensor<'a>,
    /// The network's output: the [`slices`](Self::slices) of each sample, one after the other.
    pub prediction: Tensor<'a>,
    /// The number of slices of a prediction, 1 to [`StepRow::SLICES`]. Each has the elements of a sample; a row mixes them by its
    /// weights.
    pub slices: u32,
    /// The network's output without the condition, for guidance.
    pub unconditional: Option<Tensor<'a>>,
    /// The noise: a call draws on the stream of its row, counted from that of the key. The noise is bound even if no row uses it,
    /// so that rows which are written later may; a loop that never adds noise is cheaper without. What is
    /// [kept](crate::gpu::Drawn::keep) is the noise that the calls use: a call that draws none keeps zeros.
    pub noise: Noise<'a>,
    /// The network's second output, where the deviation is learned. It is bound where the options name a learned deviation and
    /// there is noise, even if no row uses it.
    pub learned: Option<Tensor<'a>>,
    /// The region that is known.
    pub known: Option<Inpainting<'a>>,
    /// The next sample. It may be the very same elements as `x`.
    pub next: Tensor<'a>,
    /// The clean sample that the prediction implies, after clipping: a preview.
    pub x0: Option<Tensor<'a>>,
    /// The tensor for the next sample as the network's input, for samplers whose scale is not the network's.
    pub input: Option<Tensor<'a>>,
    /// The memory of the loop, for hosts that keep, copy or move it: the clean samples of the last calls, those of each sample
    /// together, [`depth`](Self::depth) times its elements; `None` for the plan's own memory.
    ///
    /// Its storage may always be f32. It may also be that of `next` where tensors are walked in whole lanes of four: where the
    /// elements of a sample, its offsets and its strides are multiples of 4, or the samples of a batch without gaps together make
    /// up whole lanes. Call `k` replaces the clean sample of call `k - depth`, at the place `k % depth`. A plan of fewer samples
    /// with the same memory steps the first samples of the batch. A loop of depth 0, which remembers nothing, must not have one.
    pub memory: Option<Tensor<'a>>,
    /// The least number of clean samples that are remembered, at most [`StepRow::HISTORY`]. Rows that look back further raise it.
    /// Rows that are written later may look back as far.
    pub least_depth: usize,
    /// `true` to leave room in the rows for their further parts, so that rows which are written later may use them: the clean
    /// sample of the unconditional prediction, what a call remembers, a second noise. Rows that use one of these, a depth above 3
    /// and slices make room automatically. A row then has 144 bytes instead of 80, and 64 more with slices.
    pub extended: bool,
    /// `true` to keep statistics of the clean samples; see [`CleanStats`](super::CleanStats).
    pub clean_stats: bool,
}

impl<'a> Step<'a> {
    /// A request for steps in place, at one call for the batch, without guidance, noise or a known region; the other fields are
    /// for `..`.
    ///
    /// ```
    /// use tweedie::gpu::{Noise, NoiseKey, Step};
    /// use tweedie::{Shape, Tensor, table::StepRow};
    ///
    /// fn ancestral<'a>(rows: &'a [StepRow], x: Tensor<'a>, prediction: Tensor<'a>) -> Step<'a> {
    ///     Step { noise: Noise::drawn(NoiseKey::seed(1)), ..Step::in_place(rows, Shape::new(1, 4096), x, prediction) }
    /// }
    /// ```
    pub const fn in_place(rows: &'a [StepRow], shape: Shape, x: Tensor<'a>, prediction: Tensor<'a>) -> Self {
        Self {
            rows,
            options: StepOptions { clip: Clip::None, deviation: Deviation::Fixed, rescale: 0.0 },
            shape,
            calls: Timesteps::Batch,
            x,
            prediction,
            slices: 1,
            unconditional: None,
            noise: Noise::None,
            learned: None,
            known: None,
            next: x,
            x0: None,
            input: None,
            memory: None,
            least_depth: 0,
            extended: false,
            clean_stats: false,
        }
    }

    /// Checks everything except the rows.
    pub(super) fn check(&self) -> Result<(), PlanError> {
        self.options.check()?;
        self.noise.draws().map_or(Ok(()), |drawn| check_loop(&drawn))?;
        if !(1..=SLICES as u32).contains(&self.slices) {
            return Err(PlanError::SliceCount { most: SLICES as u32, found: self.slices });
        }
        if self.least_depth > HISTORY {
            return Err(PlanError::LeastDepth { most: HISTORY, found: self.least_depth });
        }
        match self.memory {
            Some(_) if self.depth() == 0 => {
                let (what, expected) = ("least_depth with a memory", "at least 1 where no row looks back");
                Err(PlanError::Rule { what, expected, found: 0.0 })
            }
            _ => Ok(()),
        }
    }

    /// The parts that the rows have room for.
    fn parts(&self) -> RowParts {
        let sliced = self.slices > 1;
        let extended = self.extended || sliced || self.depth() > 3 || self.rows.iter().any(StepRow::is_extended);
        RowParts { extended, sliced }
    }

    /// The number of clean samples that the loop remembers.
    pub fn depth(&self) -> usize {
        self.rows.iter().map(StepRow::depth).max().unwrap_or(0).max(self.least_depth)
    }

    /// The elements of a sample of this many parts, which kernels count in 32 bits.
    fn elements_of(&self, tensor: &'static str, parts: u32) -> Result<u32, PlanError> {
        let found = u64::from(parts) * u64::from(self.shape.elements);
        u32::try_from(found).map_err(|_| PlanError::SampleSize { tensor, most: u32::MAX, found })
    }

    /// Checks that no option needs a whole sample where its groups are at calls of their own.
    fn check_groups(&self, runs: Option<Runs>) -> Result<(), PlanError> {
        let refuse = |expected, found| Err(PlanError::Grouped { expected, found });
        match self.options.clip {
            _ if runs.is_none() => Ok(()),
            Clip::Quantile { .. } => refuse("no clip, or a range", "a threshold for each sample"),
            _ if self.options.rescales(self.rows) => {
                refuse("no guidance rescale", "guidance that is rescaled for each sample")
            }
            _ if self.slices > 1 => refuse("a prediction of one slice", "a prediction of several slices"),
            _ => Ok(()),
        }
    }

    /// The job of the whole step.
    pub(super) fn job<'b>(
        &self,
        rows: &'b RoundedTable,
        clean_stats: Option<&'b wgpu::Buffer>,
    ) -> Result<Job<'b>, PlanError>
    where
        'a: 'b,
    {
        let (shape, runs) = self.calls.runs_of(self.shape)?;
        self.check_groups(runs)?;
        let deviation = self.deviation();
        let mut tensors = [None; SLOTS];
        tensors[slots::X] = Some(self.x);
        // A sample's slices follow each other, and then come the next sample's.
        let sliced = self.elements_of("prediction", self.slices)?;
        let prediction = |tensor: Tensor<'a>| match tensor.stride {
            None if self.slices > 1 => tensor.stride(sliced),
            _ => tensor,
        };
        tensors[slots::CONDITIONAL] = Some(prediction(self.prediction));
        tensors[slots::UNCONDITIONAL] = self.unconditional.map(prediction);
        tensors[slots::NOISE] = self.noise.tensor();
        tensors[slots::LEARNED] = self.learned.filter(|_| deviation != Deviation::Fixed);
        tensors[slots::MASK] = self.known.map(|known| known.mask);
        tensors[slots::KNOWN] = self.known.map(|known| known.x0);
        tensors[slots::NEXT] = Some(self.next);
        tensors[slots::X0] = self.x0;
        tensors[slots::INPUT] = self.input;
        let depth = self.depth() as u32;
        self.elements_of("memory", depth)?;
        let remembered = depth * shape.elements;
        tensors[slots::HISTORY] = self.memory.map(|memory| memory.stride(memory.stride.unwrap_or(remembered)));
        let clip = match self.options.clip {
            Clip::None => ClipKind::None,
            Clip::Range(_) => ClipKind::Range,
            Clip::Quantile { .. } => ClipKind::Quantile,
        };
        let variant = StepVariant {
            clip,
            deviation,
            parts: self.parts(),
            depth,
            scaled: matches!(self.options.clip, Clip::Quantile { .. }) || self.options.rescales(self.rows),
            clean_stats: clean_stats.is_some(),
        };
        let job = Job {
            accepts: Accepts::Step(self.bounds()),
            clean_stats,
            slices: self.slices,
            runs,
            ..Job::new(Op::Step(variant), shape, self.calls, tensors, rows)
        };
        Ok(job.drawing(self.noise, slots::NOISE_OUT))
    }

    /// The rows that the plan can apply: the request's, and those that are written in their place.
    pub(super) fn bounds(&self) -> StepBounds {
        let any = |uses: &dyn Fn(&StepRow) -> bool| self.rows.iter().any(uses);
        // Reductions ahead of the step read what the rows of the request need.
        let quantile = matches!(self.options.clip, Clip::Quantile { .. });
        StepBounds {
            noise: !self.noise.is_none(),
            second_noise: self.noise.tensor().is_none(),
            noisy_clean: !quantile || any(&|row| row.x0[2] != 0.0),
            deviation: self.options.deviation,
            learned: self.learned.is_some(),
            unconditional: self.unconditional.is_some(),
            guided: self.options.rescale == 0.0 || self.options.rescales(self.rows),
            masked: self.known.is_some(),
            input: self.input.is_some() || any(&|row| row.input != 1.0),
            depth: self.depth(),
            parts: self.parts(),
            slices: self.slices as usize,
            clip: self.options.clip,
        }
    }

    /// The kind of deviation for the kernel. Without noise or the network's second output no row may ask for a learned one.
    fn deviation(&self) -> Deviation {
        let applies = !self.noise.is_none() && self.learned.is_some();
        if applies { self.options.deviation } else { Deviation::Fixed }
    }
}

/// The part of a step's job that computes its clean sample.
pub(super) fn preview<'a>(job: &Job<'a>) -> Job<'a> {
    let variant = match job.op {
        Op::Step(variant) => StepVariant { deviation: Deviation::Fixed, depth: 0, clean_stats: false, ..variant },
        _ => StepVariant::default(),
    };
    let mut tensors = [None; SLOTS];
    [slots::X, slots::CONDITIONAL, slots::UNCONDITIONAL, slots::NOISE, slots::X0]
        .into_iter()
        .for_each(|slot| tensors[slot] = job.tensors[slot]);
    Job { op: Op::Step(variant), tensors, clean_stats: None, ..job.clone() }
}
