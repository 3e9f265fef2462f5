//! The inputs and outputs of a step.

use crate::gpu::error::PlanError;
use crate::gpu::inputs::{DrawnNoise, Noise, Timesteps};
use crate::gpu::plan::job::Job;
use crate::gpu::plan::keys::Drawing;
use crate::gpu::plan::words::SampleWords;
use crate::gpu::shader::codes::ClipKind;
use crate::gpu::shader::op::{Op, SLOTS, StepVariant, step as slots};
use crate::gpu::step::options::Rules;
use crate::gpu::tensor::{Shape, Tensor};
use crate::table::RoundedTable;
use crate::table::step::{Clip, Deviation, StepRow};

/// A region of the sample that is known (inpainting).
///
/// After each step the region is what the known clean sample would be at that noise level, under the step's own noise
/// (Lugmayr et al. 2022, arXiv 2201.09865, eq. 8).
#[derive(Clone, Copy, Debug)]
pub struct Inpainting<'a> {
    /// 1 where the sample is known, 0 where it is not, or anything between.
    pub mask: Tensor<'a>,
    /// The known clean sample. Where the mask is 0 it may hold anything but NaN and infinity.
    pub x0: Tensor<'a>,
}

/// The inputs and outputs of a [`StepPlan`](super::StepPlan).
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// A row for each call of the loop.
    pub rows: &'a [StepRow],
    /// The options that hold for all calls.
    pub rules: Rules,
    /// The batch.
    pub shape: Shape,
    /// The call that each sample is at.
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
    /// The region that is known.
    pub known: Option<Inpainting<'a>>,
    /// The next sample. It may be the very same elements as `x`.
    pub next: Tensor<'a>,
    /// The clean sample that the prediction implies, after clipping: a preview.
    pub x0: Option<Tensor<'a>>,
    /// The next sample as the network is given it, for samplers whose scale is not the network's.
    pub input: Option<Tensor<'a>>,
    /// `true` to keep statistics of the clean samples; see [`CleanStats`](super::CleanStats).
    pub clean_stats: bool,
}

impl<'a> Step<'a> {
    /// Checks the options, and that the inputs are there that a row has a coefficient for.
    pub(super) fn check(&self) -> Result<(), PlanError> {
        self.rules.check()?;
        let missing = |what, uses: &dyn Fn(&StepRow) -> bool| match self.rows.iter().position(uses) {
            Some(row) => Err(PlanError::Missing { what, row }),
            None => Ok(()),
        };
        if matches!(self.noise, Noise::None) {
            missing("noise", &|row| row.draws(false))?;
            missing("noise (for the known region)", &|row| row.draws(self.known.is_some()))?;
        }
        // A tensor may be missing as long as no row has a coefficient for it.
        if self.unconditional.is_none() {
            missing("unconditional", &|row| row.guidance[1] != 0.0)?;
        }
        if self.learned.is_none() && self.rules.deviation != Deviation::Fixed {
            missing("learned", &|row| row.z != 0.0)?;
        }
        Ok(())
    }

    /// The job of the whole step.
    pub(super) fn job<'b>(&self, rows: &'b RoundedTable, clean_stats: Option<&'b wgpu::Buffer>) -> Job<'b>
    where
        'a: 'b,
    {
        let (given, drawn) = self.noise();
        let deviation = self.deviation();
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
            scaled: matches!(self.rules.clip, Clip::Quantile { .. }) || self.rules.rescales(self.rows),
            clean_stats: clean_stats.is_some(),
        };
        Job {
            // Each call has its own key, which the kernel makes of this one and the row.
            drawn: drawn.map(|drawn| Drawing::white(drawn.key, 1)),
            seeds: drawn.and_then(|drawn| drawn.seeds).map(SampleWords::of_seeds),
            clean_stats,
            limit,
            ..Job::new(Op::Step(variant), self.shape, self.calls, tensors, rows)
        }
    }

    /// The noise, as a tensor or drawn; none if no row has a coefficient for it.
    fn noise(&self) -> (Option<Tensor<'a>>, Option<DrawnNoise<'a>>) {
        let is_used = self.rows.iter().any(|row| row.draws(self.known.is_some()));
        match self.noise {
            Noise::Given(tensor) if is_used => (Some(tensor), None),
            Noise::Drawn(drawn) if is_used => (None, Some(drawn)),
            _ => (None, None),
        }
    }

    /// The deviation, which is of no effect where no row adds noise.
    fn deviation(&self) -> Deviation {
        if self.rows.iter().any(|row| row.z != 0.0) { self.rules.deviation } else { Deviation::Fixed }
    }
}

/// The part of a step's job that makes its clean sample.
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
