//! The second picture of `demo`: digits that three networks generate, which differ in what they were trained to predict.

use crate::engine::{Adapter, front_failure, gpu_failure};
use crate::filmstrip::{Caption, Filmstrip, Row};
use crate::progress::Progress;
use crate::report::{Failure, Outcome, warn};
use anyhow::{Result, anyhow};
use digits::architecture::{PIXELS, SIDE};
use digits::{DigitsError, Generation, Kernels, NO_CLASS, Request, Weights};
use files::Picture;
use std::time::Instant;
use tweedie::Quantity;
use tweedie::gpu::NoiseKey;
use wgpu::DeviceType;

/// The quantities that the networks predict, with their symbols.
const PREDICTIONS: [(Quantity, &str); 3] = [(Quantity::V, "v"), (Quantity::X0, "x_0"), (Quantity::Epsilon, "ε")];
const CALLS: usize = 10;
const GUIDANCE: f64 = 2.0;
const SEED: u64 = 0;
/// Digits of each class and network; a software driver takes seconds for them.
const COLUMNS: usize = 3;
const SOFTWARE_COLUMNS: usize = 1;

/// The digits, and how long they took.
pub struct DigitSheet {
    pub picture: Filmstrip,
    pub count: usize,
    pub seconds: f64,
}

/// Generates a sheet of digits: a row for each class. None for a device below WebGPU's default limits, with a warning.
pub fn generate(adapter: &Adapter) -> Outcome<Option<DigitSheet>> {
    let begun = Instant::now();
    let kernels = match Kernels::new(&adapter.gpu.device) {
        Err(error @ DigitsError::StorageBuffers { .. }) => {
            warn(format_args!("no digits are generated: {error}"));
            return Ok(None);
        }
        kernels => kernels.map_err(failure)?,
    };
    let software = adapter.gpu.info.device_type == DeviceType::Cpu;
    let columns = if software { SOFTWARE_COLUMNS } else { COLUMNS };
    let mut progress = Progress::new("digits", (PREDICTIONS.len() * CALLS) as u64);
    let mut of_networks = Vec::new();
    for (prediction, _) in PREDICTIONS {
        of_networks.push(of_network(adapter, &kernels, prediction, columns, &mut progress)?);
    }
    drop(progress);
    let row = |class: usize| -> Result<Row> {
        let of_class = of_networks.iter().flat_map(|digits| &digits[class * columns..(class + 1) * columns]);
        let pictures = of_class.map(|digit| square(digit)).collect::<Result<Vec<_>>>()?;
        let captions = vec![Caption { text: String::new(), alarming: false }; pictures.len()];
        Ok(Row { label: class.to_string(), pictures, captions })
    };
    let labels = PREDICTIONS.iter().flat_map(|(_, sign)| std::iter::repeat_n((*sign).to_owned(), columns));
    let picture = Filmstrip {
        title: "Generated digits".into(),
        subtitle: format!("Networks for v, x_0 and ε, from the same noise in {CALLS} calls."),
        column_labels: labels.collect(),
        rows: (0..NO_CLASS as usize).map(row).collect::<Result<_>>()?,
    };
    let count = NO_CLASS as usize * columns * PREDICTIONS.len();
    Ok(Some(DigitSheet { picture, count, seconds: begun.elapsed().as_secs_f64() }))
}

/// Generates `columns` digits of each class, in the order of the classes. Each call is a submit of its own, so that a slow device
/// that also draws the screen is not blocked for the whole loop.
fn of_network(
    adapter: &Adapter,
    kernels: &Kernels,
    prediction: Quantity,
    columns: usize,
    progress: &mut Progress,
) -> Outcome<Vec<Vec<f32>>> {
    let labels: Vec<u32> = (0..NO_CLASS).flat_map(|class| std::iter::repeat_n(class, columns)).collect();
    let weights = Weights::trained(prediction).map_err(failure)?;
    let request = Request { labels: &labels, calls: CALLS, guidance: GUIDANCE, key: NoiseKey::seed(SEED) };
    let generation = Generation::new(&adapter.context, kernels, &weights, &request).map_err(failure)?;
    for call in 0..generation.calls() {
        let recorded = adapter.gpu.submit(|encoder| {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            if call == 0 {
                generation.record_start(&mut pass)?;
            }
            generation.record_call(&mut pass, call)
        });
        recorded.map_err(gpu_failure)?.map_err(failure)?;
        progress.advance(1);
    }
    let pictures = generation.pictures();
    let bytes = pollster::block_on(adapter.gpu.download(pictures, 0..pictures.size())).map_err(gpu_failure)?;
    let numbers: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
    if numbers.iter().any(|number| !number.is_finite()) {
        return Err(Failure::check(anyhow!("the network for {prediction} gave digits that are not finite")));
    }
    Ok(numbers.chunks(PIXELS as usize).map(<[f32]>::to_vec).collect())
}

fn square(grey: &[f32]) -> Result<Picture> {
    Picture::from_planar(SIDE as usize, SIDE as usize, grey.repeat(3))
}

/// Classifies an error: whatever fails here is a GPU error.
fn failure(error: DigitsError) -> Failure {
    match error {
        DigitsError::Tweedie(error) => front_failure(error),
        DigitsError::Device(error) => gpu_failure(error),
        error => Failure::gpu(anyhow!(error)),
    }
}
