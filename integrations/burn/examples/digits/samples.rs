//! The same digits by Burn's network and by the kernels of `apps/digits`.

use super::unet::UNet;
use anyhow::{Result, ensure};
use burn::tensor::{DType, Int, Tensor, TensorData};
use digits::architecture::{PIXELS, SIDE};
use digits::{Generation, Kernels, NO_CLASS, SamplerRequest, Weights};
use tweedie::Context;
use tweedie::headless::Gpu;
use tweedie_burn::{Bridge, Guide, Sampling};

/// Generates the digits of a request by a network in Burn, pixel after pixel.
pub fn by_burn(bridge: &Bridge, network: &UNet, request: &SamplerRequest<'_>) -> Result<Vec<f32>> {
    let SamplerRequest { labels, sampler, guidance, key } = *request;
    let (count, guided) = (labels.len(), guidance != 1.0);
    let unconditional = if guided { count } else { 0 };
    let asked = labels.iter().copied().chain(std::iter::repeat_n(NO_CLASS, unconditional));
    let asked: Vec<i32> = asked.map(|label| label as i32).collect();
    let predictions = asked.len();
    let classes = Tensor::<1, Int>::from_data(TensorData::new(asked, [predictions]), bridge.device());
    let sampling = Sampling::new(bridge, sampler.clone());
    let sampling = if guided { sampling.guided(Guide::new(guidance)) } else { sampling };
    let mut run = sampling.start([count, 1, SIDE as usize, SIDE as usize], DType::F32, key)?;
    while let Some(call) = run.call() {
        let times = vec![call.timestep as f32; predictions];
        let x = if guided { Tensor::cat(vec![run.input(), run.input()], 0) } else { run.input() };
        let prediction = network.forward(x, &times, classes.clone());
        run.step(prediction)?;
    }
    let pixels: Vec<f32> = run.finish().into_data().try_to_vec().map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let expected = count * PIXELS as usize;
    ensure!(pixels.len() == expected, "expected {expected} pixels, found {}", pixels.len());
    Ok(pixels)
}

/// The kernels of `apps/digits` on a device of their own.
pub struct ByKernels {
    gpu: Gpu,
    context: Context,
    kernels: Kernels,
}

impl ByKernels {
    /// Opens the device.
    pub fn open() -> Result<Self> {
        let gpu = pollster::block_on(Gpu::open(std::env::var("TWEEDIE_ADAPTER").ok().as_deref()))?;
        let (context, kernels) = (Context::new(&gpu.device), Kernels::new(&gpu.device)?);
        Ok(Self { gpu, context, kernels })
    }

    /// Generates the digits of a request.
    pub fn write(&self, weights: &Weights, request: &SamplerRequest<'_>) -> Result<Vec<f32>> {
        let generation = Generation::of_sampler(&self.context, &self.kernels, weights, request)?;
        self.gpu.submit(|encoder| generation.record(&mut encoder.begin_compute_pass(&Default::default())))??;
        let pictures = generation.pictures();
        let bytes = pollster::block_on(self.gpu.download(pictures, 0..pictures.size()))?;
        Ok(bytemuck::pod_collect_to_vec(&bytes))
    }
}

/// The largest difference of a pixel; NaN counts as infinite.
pub fn difference(found: &[f32], expected: &[f32]) -> Result<f64> {
    ensure!(found.len() == expected.len(), "expected {} pixels, found {}", expected.len(), found.len());
    let apart = found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs());
    Ok(apart.fold(0.0, |most, apart| if apart.is_nan() { f64::INFINITY } else { apart.max(most) }))
}
