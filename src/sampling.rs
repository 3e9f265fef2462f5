//! Sampling: the rows of a sampler on the caller's tensors.

use crate::error::Error;
use crate::gpu::context::Context;
use crate::gpu::error::PlanError;
use crate::gpu::inputs::{Noise, Timesteps};
use crate::gpu::map::Map;
use crate::gpu::plan::plan::Plan;
use crate::gpu::step::inputs::{Inpainting, Step};
use crate::gpu::step::options::StepOptions;
use crate::gpu::tensor::{Shape, Tensor};
use crate::math::sampler::Sampler;
use crate::math::sampler::call::Call;
use crate::noise::NoiseKey;
use crate::table::Table;
use crate::table::step::StepRow;

/// The convention of the guidance scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GuidanceScale {
    /// `u + w*(c - u)`: 1 is no guidance (diffusers, Imagen).
    #[default]
    FromUnconditional,
    /// `c + w*(c - u)`: 0 is no guidance (Ho & Salimans 2022, arXiv 2207.12598, eq. 6).
    FromConditional,
}

/// Classifier-free guidance: a second prediction, without the condition.
#[derive(Clone, Copy, Debug)]
pub struct Guidance<'a> {
    /// The prediction without the condition.
    pub unconditional: Tensor<'a>,
    /// `w`.
    pub scale: f64,
    /// The convention of `w`.
    pub counts: GuidanceScale,
    /// The degree to which the mixture is rescaled to the conditional prediction's standard deviation, in `0..=1` (Lin
    /// et al. 2023, arXiv 2305.08891, section 3.4); 0 is not at all.
    pub rescale: f64,
}

impl<'a> Guidance<'a> {
    /// `u + scale*(c - u)`, without rescaling.
    pub const fn new(unconditional: Tensor<'a>, scale: f64) -> Self {
        Self { unconditional, scale, counts: GuidanceScale::FromUnconditional, rescale: 0.0 }
    }

    /// The coefficients of the conditional and the unconditional prediction.
    #[must_use]
    pub fn mix(&self) -> [f64; 2] {
        match self.counts {
            GuidanceScale::FromUnconditional => [self.scale, 1.0 - self.scale],
            GuidanceScale::FromConditional => [1.0 + self.scale, -self.scale],
        }
    }
}

/// The guidance of a row that takes the conditional prediction alone.
const UNGUIDED: [f64; 2] = [1.0, 0.0];

/// A sampling loop on the caller's tensors: each call's step is one dispatch.
///
/// The network reads `input` where the sampler's scale is not its own ([`Call::input`](crate::math::sampler::Call) is
/// not 1), else `next`, and writes `prediction`. `next` may be `x` itself.
#[derive(Clone, Copy, Debug)]
pub struct Sampling<'a> {
    /// The solver's rows.
    pub sampler: &'a Sampler,
    /// The batch.
    pub shape: Shape,
    /// The call of each sample: named at each recording, or read on the GPU.
    pub calls: Timesteps<'a>,
    /// The sample.
    pub x: Tensor<'a>,
    /// The network's output.
    pub prediction: Tensor<'a>,
    /// The second prediction and how it is mixed in.
    pub guidance: Option<Guidance<'a>>,
    /// The noise, for solvers that take some.
    pub noise: Noise<'a>,
    /// The network's second output, where the variance is learned.
    pub learned: Option<Tensor<'a>>,
    /// The known region of the sample (inpainting).
    pub known: Option<Inpainting<'a>>,
    /// The next sample.
    pub next: Tensor<'a>,
    /// A preview: the clean sample that the prediction implies.
    pub x0: Option<Tensor<'a>>,
    /// The next sample in the network's scale: needed where a call's scale is not 1.
    pub input: Option<Tensor<'a>>,
    /// The memory of the loop; see [`Step::memory`].
    pub memory: Option<Tensor<'a>>,
    /// The least number of clean samples that are remembered; see [`Step::least_depth`].
    pub least_depth: usize,
    /// Keep statistics of the clean samples; see [`CleanStats`](crate::gpu::CleanStats).
    pub clean_stats: bool,
}

impl<'a> Sampling<'a> {
    /// Creates a loop in place: one timestep for the batch, no guidance, no known region, no preview. A sampler whose scale
    /// is not the network's, such as one of sigmas, takes an `input` besides.
    pub const fn in_place(
        sampler: &'a Sampler,
        shape: Shape,
        x: Tensor<'a>,
        prediction: Tensor<'a>,
        noise: Noise<'a>,
    ) -> Self {
        Self {
            sampler,
            shape,
            calls: Timesteps::Batch,
            x,
            prediction,
            guidance: None,
            noise,
            learned: None,
            known: None,
            next: x,
            x0: None,
            input: None,
            memory: None,
            least_depth: 0,
            clean_stats: false,
        }
    }

    /// The rows that the plan applies, guidance included. Each names the stream of its noise, the index of its call, so that
    /// the rows of several runs may lie in one table. A row whose [guidance](StepRow::guidance) is not `[1, 0]` keeps
    /// its own, so a scale may differ from call to call ([`Sampler::calls_mut`]): for an interval, set the rows in it and
    /// let [`Guidance::scale`] be 1. Results can be compared with
    /// [`reference`](crate::gpu::step::reference()).
    #[must_use]
    pub fn rows(&self) -> Vec<StepRow> {
        let mix = self.guidance.map_or(UNGUIDED, |guidance| guidance.mix());
        let guided = |row: StepRow| if row.guidance == UNGUIDED { row.guided(mix) } else { row };
        let rows = (0..)
            .zip(self.sampler.calls())
            .map(|(call, Call { row, .. })| StepRow { stream: row.stream.or(Some(call)), ..guided(*row) });
        rows.collect()
    }

    /// The options that all steps share.
    #[must_use]
    pub fn options(&self) -> StepOptions {
        let rescale = self.guidance.map_or(0.0, |guidance| guidance.rescale);
        StepOptions { clip: self.sampler.clip(), deviation: self.sampler.deviation(), rescale }
    }

    /// Creates the plan of the loop.
    ///
    /// # Errors
    /// [`Error::Plan`] for tensors that do not fit or are missing: so is `input` where the network's scale is not the
    /// sampler's. [`with_rows`](Self::with_rows) plans for a host that scales the sample itself.
    pub fn plan(&self, context: &Context) -> Result<Plan, Error> {
        self.check_input()?;
        Ok(self.with_rows(&self.rows()).plan(context)?)
    }

    /// Checks that there is a tensor for the network's input if a call's is not the sample as it stands.
    fn check_input(&self) -> Result<(), PlanError> {
        let scaled = |call: &Call| call.input != 1.0;
        match self.sampler.calls().iter().position(scaled).filter(|_| self.input.is_none()) {
            Some(row) => Err(PlanError::Missing { what: "input", row }),
            None => Ok(()),
        }
    }

    /// The request for the plan, with these rows in place of [`Self::rows`]: for your own coefficients.
    #[must_use]
    pub fn with_rows<'b>(&self, rows: &'b [StepRow]) -> Step<'b>
    where
        'a: 'b,
    {
        let Self {
            shape,
            calls,
            x,
            prediction,
            noise,
            learned,
            known,
            next,
            x0,
            input,
            memory,
            least_depth,
            clean_stats,
            ..
        } = *self;
        let unconditional = self.guidance.map(|guidance| guidance.unconditional);
        let options = self.options();
        Step {
            rows,
            options,
            shape,
            calls,
            x,
            prediction,
            unconditional,
            noise,
            learned,
            known,
            next,
            x0,
            input,
            memory,
            least_depth,
            clean_stats,
        }
    }

    /// Creates the plan that fills `x` with noise to start from, and `input` with the same in the network's scale:
    /// recorded once, at timestep 0. It draws on the stream before the first call's, so that a seed begins at the same
    /// place whatever the solver and however many its steps.
    ///
    /// # Errors
    /// [`Error::Plan`] for tensors that do not fit.
    pub fn start(&self, context: &Context, key: NoiseKey) -> Result<Plan, Error> {
        let calls = self.sampler.calls();
        // The churn of the first sample is one more independent noise.
        let [kept, churn] = self.sampler.start();
        let scale = (kept * self.sampler.noise_scale()).hypot(churn);
        let input = calls.first().map_or(1.0, |call| call.input);
        let key = key.stream(key.stream.wrapping_sub(1));
        let table = Table::new([[[0.0, scale], [0.0, scale * input]]]);
        let (out0, out1, in1) = (self.x, self.input, Noise::drawn(key));
        let map = Map { table: &table, shape: self.shape, timesteps: Timesteps::Batch, in0: None, in1, out0, out1 };
        Ok(map.in_roles(context, &["", "noise", "x", "input"], None)?)
    }
}
