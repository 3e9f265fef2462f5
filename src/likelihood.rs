//! Evaluation: bits per dimension of a model over a whole chain.

use crate::error::Error;
use crate::gpu::context::Context;
use crate::gpu::error::PlanError;
use crate::gpu::inputs::{Drawn, Noise, Recording, Timesteps};
use crate::gpu::map::Map;
use crate::gpu::plan::keys::{Drawing, Keys, MOST_STEPS, check_loop, check_not_kept};
use crate::gpu::plan::plan::Plan;
use crate::gpu::record_error::RecordError;
use crate::gpu::tensor::{Shape, Tensor};
use crate::gpu::vlb::chain::{VlbLoop, VlbLoopTerms};
use crate::gpu::vlb::inputs::VlbInputs;
use crate::math::loss::LossInputs;
use crate::math::quantity::Quantity;
use crate::math::vlb::Vlb;
use crate::noise::NoiseKey;
use std::sync::Arc;

/// The request for a [`LikelihoodLoop`].
#[derive(Clone, Copy, Debug)]
pub struct Likelihood<'a> {
    /// The variational bound of the model: schedule, prediction, variance and clip. The schedule has at most 65,536 timesteps.
    pub vlb: &'a Vlb,
    /// The batch.
    pub shape: Shape,
    /// The noise, for one step, white and not [kept](Drawn::keep). Timestep `t` draws it from stream `key.stream + t`.
    pub noise: Drawn<'a>,
    /// The clean samples whose likelihood is computed.
    pub x0: Tensor<'a>,
    /// The noisy sample, which the network reads.
    pub x_t: Tensor<'a>,
    /// The network's output.
    pub prediction: Tensor<'a>,
    /// The network's second output, if the variance is learned.
    pub learned: Option<Tensor<'a>>,
    /// The output: the bits per dimension of each sample, one `f32` per sample.
    pub total: &'a wgpu::Buffer,
    /// `true` to keep the mean squared errors of x0 too, at the cost of one more pass per timestep.
    pub x0_mse: bool,
}

/// The variational bound of a batch in bits per dimension, timestep by timestep around a network (`calc_bpd_loop` of
/// guided-diffusion).
///
/// Each timestep takes one dispatch before the network, and one pass over the tensors and a small dispatch after it.
/// Nothing is read back between timesteps. They may be recorded in any order and into any number of encoders: the terms
/// are summed in a fixed order at the end. If a timestep is left out, the sum is NaN.
///
/// ```
/// use tweedie::gpu::{Drawn, NoiseKey};
/// use tweedie::math::{Vlb, ModelVariance};
/// use tweedie::{Context, Likelihood, LikelihoodLoop, Quantity, Schedule, Shape, Tensor, wgpu};
///
/// # fn run(context: &Context, device: &wgpu::Device, queue: &wgpu::Queue, [x0, x_t, prediction, learned, total]: [&wgpu::Buffer; 5],
/// #        network: impl Fn(&mut wgpu::ComputePass<'_>, u32)) -> Result<(), tweedie::Error> {
/// let schedule = Schedule::linear(1000, 1e-4, 0.02)?;
/// let vlb = Vlb::new(&schedule, Quantity::Epsilon, ModelVariance::LearnedRange, Some(1.0))?;
/// let bits = LikelihoodLoop::new(context, &Likelihood {
///     vlb: &vlb,
///     shape: Shape::new(16, 3 * 32 * 32),
///     noise: Drawn::new(NoiseKey::seed(42)),
///     x0: Tensor::f32(x0),
///     x_t: Tensor::f32(x_t),
///     prediction: Tensor::f32(prediction),
///     learned: Some(Tensor::f32(learned)),
///     total,
///     x0_mse: false,
/// })?;
///
/// for timesteps in (0..bits.timesteps()).collect::<Vec<_>>().chunks(50) {
///     let mut encoder = device.create_command_encoder(&Default::default());
///     let mut pass = encoder.begin_compute_pass(&Default::default());
///     if timesteps[0] == 0 {
///         bits.record_start(&mut pass)?;      // the prior
///     }
///     for &t in timesteps {
///         bits.record_before(&mut pass, t)?;  // x_t
///         network(&mut pass, t);              // prediction and learned
///         bits.record_after(&mut pass, t)?;   // the term of this timestep
///     }
///     if timesteps.last() == Some(&999) {
///         bits.record_end(&mut pass);         // total, one f32 a sample
///     }
///     drop(pass);
///     queue.submit([encoder.finish()]);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct LikelihoodLoop {
    timesteps: u32,
    /// A key for each timestep, shared by all plans.
    keys: Arc<Keys>,
    noising: Plan,
    bits: VlbLoop,
    x0_mse: Option<VlbLoop>,
}

impl LikelihoodLoop {
    /// Creates the plans.
    ///
    /// # Errors
    /// [`Error::Vlb`] where the prediction does not determine x0, as epsilon does not at zero terminal SNR; [`Error::Plan`]
    /// for tensors that do not fit, a missing second output, a schedule of more than 65,536 timesteps, and noise of several
    /// steps, perturbed or kept.
    pub fn new(context: &Context, likelihood: &Likelihood<'_>) -> Result<Self, Error> {
        let Likelihood { vlb, shape, noise, x0, x_t, prediction, learned, total, x0_mse } = *likelihood;
        let timesteps = vlb.schedule().len() as u32;
        check_loop(&noise)?;
        check_not_kept(&noise, "noise of a likelihood")?;
        if timesteps > MOST_STEPS {
            let (what, expected) = ("timesteps of a likelihood", "at most 65,536");
            return Err(PlanError::Rule { what, expected, found: f64::from(timesteps) }.into());
        }
        let drawn = noise.steps(timesteps);
        let keys = Arc::new(Keys::new(context, "tweedie::Likelihood::keys", Some(Drawing::of(drawn)))?);
        let noise = Noise::Drawn(drawn);
        let noising = Map {
            table: &vlb.schedule().rows_of(Quantity::Xt, None)?,
            shape,
            timesteps: Timesteps::Batch,
            in0: Some(x0),
            in1: noise,
            out0: x_t,
            out1: None,
        };
        let table = vlb.chain_table(LossInputs::CleanAndNoise)?;
        let (clip, in1) = (vlb.clip(), noise);
        let inputs = VlbInputs { table: &table, clip, shape, prediction, learned, x0, in1 };
        let bits = VlbLoop::with_keys(context, &VlbLoopTerms { inputs, total: Some((total, 0)) }, Some(&keys))?;
        let errors = || {
            let table = vlb.x0_mse_table(LossInputs::CleanAndNoise)?;
            let inputs = VlbInputs { table: &table, ..inputs };
            Ok::<_, Error>(VlbLoop::with_keys(context, &VlbLoopTerms { inputs, total: None }, Some(&keys))?)
        };
        let x0_mse = x0_mse.then(errors).transpose()?;
        let noising = noising.in_roles(context, &["x0", "noise", "x_t"], Some(&keys))?;
        Ok(Self { timesteps, keys, noising, bits, x0_mse })
    }

    /// The number of timesteps.
    pub fn timesteps(&self) -> u32 {
        self.timesteps
    }

    /// Records the start into the caller's pass: clears the terms and computes the prior.
    ///
    /// # Errors
    /// None of the variants of [`RecordError`] can occur here.
    pub fn record_start(&self, pass: &mut wgpu::ComputePass<'_>) -> Result<(), RecordError> {
        self.bits.record_start(pass);
        self.x0_mse.iter().for_each(|errors| errors.record_start(pass));
        self.bits.record(pass, Recording::timestep(self.timesteps))
    }

    /// Records the work before the network at a timestep: `x_t`.
    ///
    /// # Errors
    /// [`RecordError`] for a timestep out of range; then nothing has been recorded.
    pub fn record_before(&self, pass: &mut wgpu::ComputePass<'_>, timestep: u32) -> Result<(), RecordError> {
        self.noising.record(pass, Recording::timestep(timestep).step(timestep))
    }

    /// Records the work after the network: the term of this timestep.
    ///
    /// # Errors
    /// [`RecordError`] for a timestep out of range; then nothing has been recorded.
    pub fn record_after(&self, pass: &mut wgpu::ComputePass<'_>, timestep: u32) -> Result<(), RecordError> {
        let at = Recording::timestep(timestep).step(timestep);
        self.bits.record(pass, at)?;
        self.x0_mse.as_ref().map_or(Ok(()), |errors| errors.record(pass, at))
    }

    /// Records the end: the bits per dimension of each sample.
    pub fn record_end(&self, pass: &mut wgpu::ComputePass<'_>) {
        self.bits.record_total(pass);
    }

    /// The terms in bits per dimension, `[batch][timesteps + 1]` of `f32`: those of the timesteps, 0 first, then the
    /// prior. The caller's encoder may copy the buffer.
    pub fn terms(&self) -> &wgpu::Buffer {
        self.bits.terms()
    }

    /// The mean squared error of the clean sample that the prediction implies, clipped as [`Vlb::clip`] says,
    /// `[batch][timesteps]` of `f32`, if [`Likelihood::x0_mse`] asks for it. The error of epsilon is this times the
    /// [signal-to-noise ratio](crate::Schedule::snr) of the timestep.
    pub fn x0_mse(&self) -> Option<&wgpu::Buffer> {
        self.x0_mse.as_ref().map(VlbLoop::terms)
    }

    /// Sets the noise key for everything submitted from now on, for the next batch: timestep `t` draws from stream
    /// `key.stream + t`. This is one queue write of at most 256 bytes per timestep.
    ///
    /// # Errors
    /// None of the variants of [`RecordError`] can occur here.
    pub fn set_key(&self, queue: &wgpu::Queue, key: NoiseKey) -> Result<(), RecordError> {
        self.keys.set_all(queue, key)
    }
}
