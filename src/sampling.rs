//! Sampling: the rows of a sampler on the caller's tensors.

use crate::error::Error;
use crate::gpu::context::Context;
use crate::gpu::error::PlanError;
use crate::gpu::inputs::{Drawn, Noise, Timesteps};
use crate::gpu::map::Map;
use crate::gpu::plan::plan::Plan;
use crate::gpu::step::inputs::{Inpainting, Step};
use crate::gpu::step::options::StepOptions;
use crate::gpu::tensor::{Shape, Tensor};
use crate::math::error::sampler::SamplerError;
use crate::math::sampler::Sampler;
use crate::table::step::StepRow;
use crate::table::{Matrix, Table};

/// The convention of the guidance scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GuidanceScale {
    /// `u + w*(c - u)`: 1 is no guidance (diffusers, Imagen).
    #[default]
    FromUnconditional,
    /// `c + w*(c - u)`: 0 is no guidance (Ho & Salimans 2022, arXiv 2207.12598, eq. 6).
    FromConditional,
}

/// Classifier-free guidance: a second prediction, made without the condition, and how it is mixed in.
///
/// ```
/// use tweedie::{Guidance, Model, Sampler, Sampling, Tensor};
///
/// /// Guidance of 7.5 in the first half of the loop only; 1 means no guidance.
/// fn plan<'a>(sampling: &Sampling<'a>, unconditional: Tensor<'a>, context: &tweedie::Context) -> Result<(), tweedie::Error> {
///     let calls = sampling.sampler.calls().len();
///     let scales: Vec<f64> = (0..calls).map(|call| if call < calls / 2 { 7.5 } else { 1.0 }).collect();
///     let guidance = Guidance { scales: Some(&scales), ..Guidance::new(unconditional, 7.5) };
///     Sampling { guidance: Some(guidance), ..*sampling }.plan(context)?;
///     Ok(())
/// }
/// ```
#[doc(alias = "cfg")]
#[doc(alias = "guidance_scale")]
#[derive(Clone, Copy, Debug)]
pub struct Guidance<'a> {
    /// The prediction without the condition.
    pub unconditional: Tensor<'a>,
    /// `w`, the same at every call, unless `scales` is given.
    pub scale: f64,
    /// `w` of each call, one for each of the sampler's calls: a guidance schedule, or an interval outside of which `w` means no
    /// guidance.
    pub scales: Option<&'a [f64]>,
    /// The convention of `w`.
    pub counts: GuidanceScale,
    /// The degree to which the mixture is rescaled to the conditional prediction's standard deviation, in `0..=1` (Lin
    /// et al. 2023, arXiv 2305.08891, section 3.4); 0 for no rescaling.
    pub rescale: f64,
}

impl<'a> Guidance<'a> {
    /// Guidance by `u + scale*(c - u)`, without rescaling.
    pub const fn new(unconditional: Tensor<'a>, scale: f64) -> Self {
        Self { unconditional, scale, scales: None, counts: GuidanceScale::FromUnconditional, rescale: 0.0 }
    }

    /// Returns the coefficients of the conditional and the unconditional prediction at a call, counted from 0.
    #[must_use]
    pub fn mix(&self, call: usize) -> [f64; 2] {
        let scale = self.scales.and_then(|scales| scales.get(call)).copied().unwrap_or(self.scale);
        match self.counts {
            GuidanceScale::FromUnconditional => [scale, 1.0 - scale],
            GuidanceScale::FromConditional => [1.0 + scale, -scale],
        }
    }
}

/// A sampling loop on the caller's tensors, with one dispatch for the step after each call of the network.
///
/// ```
/// use tweedie::{Context, Error, Model, Noise, NoiseKey, Recording, Sampler, Sampling, Shape, Tensor, wgpu};
///
/// /// Record 28 steps of Euler's method on a rectified flow, which needs no tensor for the network's input.
/// fn record(
///     context: &Context,
///     encoder: &mut wgpu::CommandEncoder,
///     [x, prediction]: [Tensor<'_>; 2],
///     mut network: impl FnMut(&mut wgpu::CommandEncoder, f64),
/// ) -> Result<(), Error> {
///     let sampler = Sampler::euler(&Model::named("sd3")?, 28)?;
///     let sampling = Sampling::in_place(&sampler, Shape::new(1, 16 * 128 * 128), x, prediction, Noise::None);
///     sampling.start(context, NoiseKey::seed(7))?.encode(encoder, Recording::timestep(0))?;
///     let steps = sampling.plan(context)?;
///     for (k, call) in (0..).zip(sampler.calls()) {
///         network(encoder, call.timestep);
///         steps.encode(encoder, Recording::call(k))?;
///     }
///     Ok(())
/// }
/// ```
///
/// The network reads `input` if the sampler's scale is not the network's ([`Call::input`](crate::math::sampler::Call) is not 1),
/// else `next`, and writes `prediction`. `next` may be `x` itself.
#[doc(alias = "scheduler")]
#[doc(alias = "step")]
#[doc(alias = "denoise")]
#[doc(alias = "img2img")]
#[doc(alias = "inpaint")]
#[derive(Clone, Copy, Debug)]
pub struct Sampling<'a> {
    /// The solver's rows.
    pub sampler: &'a Sampler,
    /// The batch.
    pub shape: Shape,
    /// The call that each sample is at: named at each recording, or read on the GPU.
    pub calls: Timesteps<'a>,
    /// The sample.
    pub x: Tensor<'a>,
    /// The network's output: for each sample its [slices](Sampler::slices), one after the other.
    pub prediction: Tensor<'a>,
    /// The second prediction and how it is mixed in.
    pub guidance: Option<Guidance<'a>>,
    /// The noise, for solvers that use some.
    pub noise: Noise<'a>,
    /// The network's second output, if the variance is learned.
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
    /// `true` to keep statistics of the clean samples; see [`CleanStats`](crate::gpu::CleanStats).
    pub clean_stats: bool,
}

impl<'a> Sampling<'a> {
    /// Creates a loop in place: the whole batch at the same call, no guidance, no known region, no preview. A sampler whose scale
    /// is not the network's, such as one that works in sigmas, needs an `input` as well.
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

    /// Returns the rows that the plan applies, guidance included.
    ///
    /// Each row names the stream of its noise, which is the index of its call, so that the rows of several runs may lie in one
    /// table. A row whose [guidance](StepRow::guidance) is not `[1, 0]` keeps it ([`Sampler::calls_mut`]). A plan with another
    /// clipping or variance than the sampler's refuses these rows. Results can be compared with
    /// [`Step::reference`](crate::gpu::Step::reference).
    #[must_use]
    pub fn rows(&self) -> Vec<StepRow> {
        let mix = |call| self.guidance.map_or(StepRow::IDENTITY.guidance, |guidance| guidance.mix(call));
        let calls = self.sampler.calls().iter().map(|call| call.row).enumerate();
        calls
            .map(|(k, row)| StepRow { stream: row.stream.or(Some(k as u32)), ..row.guided_by_default(mix(k)) })
            .collect()
    }

    /// Returns the options that all steps share: clipping, variance and guidance rescale.
    #[must_use]
    pub fn options(&self) -> StepOptions {
        let rescale = self.guidance.map_or(0.0, |guidance| guidance.rescale);
        StepOptions { clip: self.sampler.clip(), deviation: self.sampler.deviation(), rescale }
    }

    /// Creates the plan of the loop.
    ///
    /// # Errors
    /// [`Error::Sampler`] for [`Guidance::scales`] that are not one for each call; [`Error::Plan`] for tensors that do not fit or
    /// are missing, such as `input` if the network's scale is not the sampler's. A host that scales the sample itself uses
    /// [`with_rows`](Self::with_rows), which does not ask for `input`.
    pub fn plan(&self, context: &Context) -> Result<Plan, Error> {
        self.check()?;
        Ok(self.with_rows(&self.rows()).plan(context)?)
    }

    /// Checks that there is a tensor for the network's input if some call scales the sample, and one guidance scale for each call
    /// if there are `scales`.
    fn check(&self) -> Result<(), Error> {
        let calls = self.sampler.calls();
        if let Some(row) = calls.iter().position(|call| call.input != 1.0).filter(|_| self.input.is_none()) {
            return Err(PlanError::Missing { what: "input", row }.into());
        }
        match self.guidance.and_then(|guidance| guidance.scales) {
            Some(scales) if scales.len() != calls.len() => {
                Err(SamplerError::GuidanceScales { expected: calls.len(), found: scales.len() }.into())
            }
            _ => Ok(()),
        }
    }

    /// Returns the request for a plan with these rows in place of [`Self::rows`]: for your own coefficients.
    #[must_use]
    pub fn with_rows<'b>(&self, rows: &'b [StepRow]) -> Step<'b>
    where
        'a: 'b,
    {
        Step {
            options: self.options(),
            calls: self.calls,
            unconditional: self.guidance.map(|guidance| guidance.unconditional),
            noise: self.noise,
            learned: self.learned,
            known: self.known,
            next: self.next,
            x0: self.x0,
            input: self.input,
            memory: self.memory,
            least_depth: self.least_depth,
            clean_stats: self.clean_stats,
            slices: self.sampler.slices() as u32,
            ..Step::in_place(rows, self.shape, self.x, self.prediction)
        }
    }

    /// Creates the plan that fills `x` with the noise to start from, and `input`, if given, with the same in the network's scale.
    /// Record it once, at timestep 0.
    ///
    /// The noise is given by a [`NoiseKey`](crate::NoiseKey), or by a [`Drawn`] with a seed for each sample. It is drawn on the
    /// stream before the key's own: stream `u32::MAX` for a key on stream 0, where call `k`, and its known region, draw on stream `k`. So
    /// the start of a seed is the same for every solver and number of steps.
    ///
    /// # Errors
    /// [`Error::Plan`] for tensors that do not fit.
    pub fn start<'d>(&self, context: &Context, noise: impl Into<Drawn<'d>>) -> Result<Plan, Error> {
        self.start_at(context, noise.into(), None, self.sampler.start_row())
    }

    /// Creates the plan that fills `x`, and `input` if given, with a clean sample noised to the first call's level: the start of a
    /// loop over the last steps only ([`strength`](crate::math::catalog::SamplerOptions::strength)). Its noise is that of
    /// [`start`](Self::start).
    ///
    /// # Errors
    /// [`Error::Plan`] for tensors that do not fit.
    #[doc(alias = "strength")]
    #[doc(alias = "img2img")]
    #[doc(alias = "add_noise")]
    pub fn start_from<'d>(
        &self,
        context: &Context,
        noise: impl Into<Drawn<'d>>,
        x0: Tensor<'d>,
    ) -> Result<Plan, Error> {
        self.start_at(context, noise.into(), Some(x0), self.sampler.start_from_row())
    }

    fn start_at<'d>(
        &self,
        context: &Context,
        noise: Drawn<'d>,
        in0: Option<Tensor<'d>>,
        row: Matrix,
    ) -> Result<Plan, Error> {
        let key = noise.key.stream(noise.key.stream.wrapping_sub(1));
        let table = Table::new([row]);
        let (out0, out1, in1) = (self.x, self.input, Noise::Drawn(Drawn { key, ..noise }));
        let map = Map { table: &table, shape: self.shape, timesteps: Timesteps::Batch, in0, in1, out0, out1 };
        Ok(map.in_roles(context, &["x0", "noise", "x", "input", "keep"], None)?)
    }
}
