//! Losses over the tensors of a file, window by window, on the engine that `--on` names.

use crate::engine::{Adapter, Engine, Values, plan_failure};
use crate::output::Output;
use crate::progress::Progress;
use crate::report::Outcome;
use crate::windows::{Cut, Window, windows};
use files::{Announced, Elements, Stored};
use tweedie::gpu::loss::Batch;
use tweedie::gpu::{Gradient, GradientScale, Loss, Noise, Plan, Recording, Reduction, Timesteps};
use tweedie::table::{LossRow, Penalty, Table};
use tweedie::{Shape, Storage};

/// The tensors that a loss job writes: the weighted mean of each sample, their mean, and the gradient with respect to the
/// prediction. On the GPU the first two are F32 whatever the storage.
const SAMPLES: &str = "loss";
const MEAN: &str = "mean";
const GRADIENT: &str = "grad";

/// A loss of a batch.
pub struct LossJob<'a> {
    pub table: &'a Table<LossRow>,
    pub penalty: Penalty,
    /// A row of the table for each sample, in range.
    pub timesteps: &'a [u32],
    pub prediction: &'a Stored,
    /// The two other inputs; one that no row uses may be missing.
    pub inputs: [Option<&'a Stored>; 2],
    /// The reduction that the gradient is of.
    pub of: Reduction,
}

/// The losses of the samples of a window, and the gradient.
type Computed = (Vec<f64>, Values);

impl LossJob<'_> {
    /// The tensors that the job writes.
    pub fn announced(&self, engine: &Engine) -> Vec<Announced> {
        let numbers = engine.sums().dtype();
        vec![
            Announced::new(SAMPLES, numbers, &[self.timesteps.len()]),
            Announced::new(MEAN, numbers, &[1]),
            Announced::new(GRADIENT, engine.dtype(), &self.prediction.shape),
        ]
    }

    /// The factor from the gradient of a window, taken as a whole batch of whole samples, to that of the batch.
    fn share(&self, window: &Window) -> f64 {
        let of_batch = match self.of {
            Reduction::Sum => 1.0,
            Reduction::Mean => 1.0 / self.timesteps.len() as f64,
        };
        of_batch * window.part()
    }
}

impl Engine {
    /// Runs a loss, writes its outputs, and returns the mean.
    pub fn losses(&self, job: &LossJob<'_>, output: &mut Output) -> Outcome<f64> {
        let (batch, per_sample) = (job.timesteps.len(), job.prediction.per_sample());
        let exists = |sample: usize| job.timesteps.get(sample).is_some_and(|&t| job.table.row(t as usize).is_some());
        let mut progress = Progress::new("losses", job.prediction.shape.iter().product::<usize>() as u64);
        let (mut losses, mut sum) = (Vec::new(), 0.0);
        let mut on_adapter: Option<LossPlan<'_>> = None;
        for window in windows(batch, per_sample, Cut::WithinSamples) {
            let range = window.range();
            let prediction = job.prediction.read(range.clone())?;
            let read = |input: Option<&Stored>| input.map(|stored| stored.read(range.clone())).transpose();
            let inputs = [read(job.inputs[0])?, read(job.inputs[1])?];
            let (of_window, gradient) = match self {
                Engine::Cpu => on_cpu(job, &window, &prediction, inputs),
                Engine::Gpu(adapter) => {
                    let shape = window.shape().ok_or_else(|| window.too_large())?;
                    let plan = match on_adapter.take() {
                        Some(plan) if plan.shape == shape => plan,
                        _ => LossPlan::new(adapter, job, shape, job.share(&window))?,
                    };
                    let [in0, in1] = inputs;
                    let computed = plan.run(job, &window, [Some(prediction), in0, in1])?;
                    on_adapter = Some(plan);
                    computed
                }
            };
            if window.elements.start == 0 {
                losses = vec![0.0; window.samples.len()];
            }
            losses.iter_mut().zip(of_window).for_each(|(loss, part)| *loss += part * window.part());
            if window.is_last_of_samples() {
                let stored = self.sums().of(&losses);
                sum += stored.widened().iter().sum::<f64>();
                output.put(SAMPLES, stored, &window.of_samples(), exists)?;
            }
            output.put(GRADIENT, gradient, &window, exists)?;
            progress.advance(range.len() as u64);
        }
        let mean = self.sums().of(&[sum / batch as f64]);
        let value = mean.widened().first().copied().unwrap_or(f64::NAN);
        output.append(MEAN, mean)?;
        Ok(value)
    }
}

fn on_cpu(job: &LossJob<'_>, window: &Window, prediction: &Elements, inputs: [Option<Elements>; 2]) -> Computed {
    let prediction = prediction.widened();
    let inputs = inputs.map(|elements| elements.map(|elements| elements.widened()).unwrap_or_default());
    let batch = Batch {
        timesteps: window.entries(job.timesteps),
        elements: window.elements.len(),
        prediction: &prediction,
        inputs: inputs.each_ref().map(Vec::as_slice),
    };
    let losses = Loss::reference(job.table, job.penalty, &batch, Reduction::Sum);
    let share = job.share(window);
    let gradient = losses.gradient.iter().map(|slope| share * slope.value).collect();
    (losses.samples.iter().map(|loss| loss.value).collect(), Values::Double(gradient))
}

/// The plan and the buffers of windows of one shape.
struct LossPlan<'a> {
    adapter: &'a Adapter,
    shape: Shape,
    times: wgpu::Buffer,
    /// The prediction and the two others.
    inputs: [Option<wgpu::Buffer>; 3],
    samples: wgpu::Buffer,
    gradient: wgpu::Buffer,
    plan: Plan,
}

impl<'a> LossPlan<'a> {
    fn new(adapter: &'a Adapter, job: &LossJob<'_>, shape: Shape, share: f64) -> Outcome<Self> {
        let times = adapter.gpu.buffer("tweedie-cli::t", 4 * u64::from(shape.batch));
        let samples = adapter.gpu.buffer("tweedie-cli::loss", Storage::F32.bytes() * u64::from(shape.batch));
        let prediction = adapter.buffer("tweedie-cli::prediction", shape.total());
        let [in0, in1] = job.inputs.map(|input| input.map(|_| adapter.buffer("tweedie-cli::input", shape.total())));
        let gradient = adapter.buffer("tweedie-cli::gradient", shape.total());
        let loss = Loss {
            table: job.table,
            penalty: job.penalty,
            shape,
            timesteps: Timesteps::per_sample(&times),
            prediction: adapter.tensor(&prediction),
            in0: in0.as_ref().map(|buffer| adapter.tensor(buffer)),
            in1: in1.as_ref().map_or(Noise::None, |buffer| Noise::Tensor(adapter.tensor(buffer))),
            losses: (&samples, 0),
            mean: None,
            gradient: Some(Gradient {
                tensor: adapter.tensor(&gradient),
                reduction: Reduction::Sum,
                scale: GradientScale::Factor(share),
            }),
        };
        let plan = loss.plan(&adapter.context).map_err(plan_failure)?;
        Ok(Self { adapter, shape, times, inputs: [Some(prediction), in0, in1], samples, gradient, plan })
    }

    fn run(&self, job: &LossJob<'_>, window: &Window, inputs: [Option<Elements>; 3]) -> Outcome<Computed> {
        let Self { adapter, shape, .. } = self;
        adapter.gpu.queue.write_buffer(&self.times, 0, bytemuck::cast_slice(window.entries(job.timesteps)));
        let headers = [Some(job.prediction), job.inputs[0], job.inputs[1]];
        for ((elements, stored), buffer) in inputs.into_iter().zip(headers).zip(&self.inputs) {
            if let (Some(elements), Some(stored), Some(buffer)) = (elements, stored, buffer) {
                adapter.fill(buffer, stored, elements)?;
            }
        }
        adapter.run(&self.plan, Recording::per_sample())?;
        let losses = adapter.download_as(Storage::F32, &self.samples, shape.batch.into())?;
        let gradient = adapter.download(&self.gradient, shape.total())?;
        let losses = Storage::F32.decode(&losses).into_iter().map(f64::from).collect();
        Ok((losses, Values::Stored(adapter.storage, gradient)))
    }
}
