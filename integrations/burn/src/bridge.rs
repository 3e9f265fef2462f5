//! tweedie on a Burn device.

use crate::Error;
use crate::lent::{Access, Lent, shape_of};
use burn::tensor::wgpu::WgpuSetup;
use burn::tensor::{DType, Device, Int, Tensor, TensorCreationOptions};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tweedie::gpu::RecordError;
use tweedie::{Context, wgpu};

/// tweedie on the wgpu device that a Burn device computes on.
///
/// It is cheap to clone; clones share the compiled pipelines. [`Training`](crate::Training) and [`Sampling`](crate::Sampling) are
/// made from one. For any other op of tweedie, [`lend`](Self::lend) the inputs, [`lend_out`](Self::lend_out)
/// [`empty`](Self::empty) tensors for the outputs, make the plan on [`context`](Self::context), and [`submit`](Self::submit) it.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie::gpu::{Recording, Plan, Drawn, NoiseKey};
/// use tweedie_burn::{Bridge, Error};
///
/// # fn run(device: &Device, setup: &burn::tensor::wgpu::WgpuSetup) -> Result<Tensor<4>, Error> {
/// // let (device, setup) = Device::wgpu_options().init_with_setup()?;
/// let bridge = Bridge::new(device, setup);
/// let noise: Tensor<4> = bridge.empty("noise", [8, 3, 16, 16], burn::tensor::DType::F32)?;
/// let lent = bridge.lend_out("noise", &noise)?;
/// let plan = Plan::fill(bridge.context(), lent.shape(), Drawn::new(NoiseKey::seed(1)), lent.tensor())?;
/// bridge.submit(plan.dispatches(), |pass| plan.record(pass, Recording::timestep(0)))?;
/// # Ok(noise) }
/// ```
#[derive(Clone, Debug)]
pub struct Bridge {
    device: Device,
    context: Context,
    queue: wgpu::Queue,
    dispatches: Arc<AtomicU64>,
}

impl Bridge {
    /// Creates a bridge for a Burn device and the wgpu device and queue underneath: those that the application gave to
    /// `Device::wgpu_options().setup(..)`, or those that `Device::wgpu_options().init_with_setup()` returned.
    #[must_use]
    pub fn new(device: &Device, setup: &WgpuSetup) -> Self {
        Self {
            device: device.clone().without_autodiff(),
            context: Context::new(&setup.device),
            queue: setup.queue.clone(),
            dispatches: Arc::default(),
        }
    }

    /// Burn's device, without autodiff.
    #[must_use]
    pub const fn device(&self) -> &Device {
        &self.device
    }

    /// The context on which plans are made.
    #[must_use]
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// The queue that Burn submits to.
    #[must_use]
    pub const fn queue(&self) -> &wgpu::Queue {
        &self.queue
    }

    /// The number of dispatches that have been submitted.
    #[must_use]
    pub fn dispatches(&self) -> u64 {
        self.dispatches.load(Ordering::Relaxed)
    }

    /// Lends a tensor's memory to be read. `role` names the tensor in errors.
    ///
    /// # Errors
    /// [`Error`] for a tensor of another device, for elements that are not f32, f16 or bf16, and if Burn has no memory for it.
    pub fn lend<const D: usize>(&self, role: &'static str, tensor: &Tensor<D>) -> Result<Lent, Error> {
        Lent::float(role, &self.device, tensor, Access::Read)
    }

    /// Lends a tensor's memory to be written: a tensor made by [`empty`](Self::empty), or one that is not read by anything else.
    ///
    /// # Errors
    /// As [`lend`](Self::lend), and [`Error::Gaps`] for a tensor that is not contiguous.
    pub fn lend_out<const D: usize>(&self, role: &'static str, tensor: &Tensor<D>) -> Result<Lent, Error> {
        Lent::float(role, &self.device, tensor, Access::Written)
    }

    /// Lends the memory of 32-bit integers to be read as timesteps: [`Lent::buffer`] and [`Lent::offset`].
    ///
    /// # Errors
    /// As [`lend`](Self::lend).
    pub fn lend_words(&self, role: &'static str, tensor: &Tensor<1, Int>) -> Result<Lent, Error> {
        Lent::words(role, &self.device, tensor, Access::Read)
    }

    /// Lends the memory of 32-bit integers to be written.
    ///
    /// # Errors
    /// As [`lend_out`](Self::lend_out).
    pub fn lend_words_out(&self, role: &'static str, tensor: &Tensor<1, Int>) -> Result<Lent, Error> {
        Lent::words(role, &self.device, tensor, Access::Written)
    }

    /// Creates a tensor for a result. Its elements are not initialised.
    ///
    /// # Errors
    /// [`Error::Extent`] for a shape without elements, or with too many.
    pub fn empty<const D: usize>(
        &self,
        role: &'static str,
        shape: [usize; D],
        elements: DType,
    ) -> Result<Tensor<D>, Error> {
        shape_of(role, &shape)?;
        Ok(Tensor::empty(shape, self.options(elements)))
    }

    /// Creates integers for a result, one per sample.
    pub(crate) fn empty_words(&self, batch: usize) -> Tensor<1, Int> {
        Tensor::empty([batch], self.options(DType::I32))
    }

    fn options(&self, elements: DType) -> TensorCreationOptions {
        TensorCreationOptions::new(self.device.clone()).with_dtype(elements)
    }

    /// Records into a compute pass and submits it on Burn's queue, after everything that the lent tensors depend on and before
    /// everything that Burn is asked to compute from now on. `dispatches` is only added to the [count](Self::dispatches).
    ///
    /// # Errors
    /// The error of `record`; then nothing is submitted.
    pub fn submit(
        &self,
        dispatches: usize,
        record: impl FnOnce(&mut wgpu::ComputePass<'_>) -> Result<(), RecordError>,
    ) -> Result<(), Error> {
        let descriptor = wgpu::CommandEncoderDescriptor { label: Some("tweedie::Burn::encoder") };
        let mut encoder = self.context.device().create_command_encoder(&descriptor);
        let descriptor = wgpu::ComputePassDescriptor { label: Some("tweedie::Burn::pass"), timestamp_writes: None };
        record(&mut encoder.begin_compute_pass(&descriptor))?;
        self.queue.submit([encoder.finish()]);
        self.dispatches.fetch_add(dispatches as u64, Ordering::Relaxed);
        Ok(())
    }
}
