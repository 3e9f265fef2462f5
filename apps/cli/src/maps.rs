//! Maps over the tensors of a file, window by window, on the engine that `--on` names.

use crate::engine::{Adapter, Engine, Values, plan_failure};
use crate::output::Output;
use crate::progress::Progress;
use crate::report::{Failure, Outcome};
use crate::windows::{Cut, Window, windows};
use anyhow::anyhow;
use files::{Announced, Elements, Stored};
use tweedie::Shape;
use tweedie::gpu::{Drawn, Map, Noise, NoiseKey, Plan, Recording, Timesteps};
use tweedie::table::Table;

/// The tensor that drawn noise is written to.
const NOISE: &str = "eps";

/// Maps of two tensors to others.
pub struct MapJob<'a> {
    /// A row of the tables for each sample, in range.
    pub timesteps: &'a [u32],
    pub in0: &'a Stored,
    pub in1: Input<'a>,
    pub passes: Vec<Pass<'a>>,
}

/// The second input of a job.
#[derive(Clone, Copy)]
pub enum Input<'a> {
    Given(&'a Stored),
    /// Noise that is drawn, and written too.
    Drawn(NoiseKey),
}

/// A pass over the data, which makes one or two tensors.
pub struct Pass<'a> {
    pub table: Table,
    pub outputs: Vec<&'a str>,
}

impl MapJob<'_> {
    /// The tensors that the job writes.
    pub fn announced(&self, engine: &Engine) -> Vec<Announced> {
        let drawn = matches!(self.in1, Input::Drawn(_)).then_some(NOISE);
        let names = self.passes.iter().flat_map(|pass| pass.outputs.iter().copied()).chain(drawn);
        names.map(|name| Announced::new(name, engine.dtype(), &self.in0.shape)).collect()
    }

    /// The windows of the job. Noise is drawn for whole samples, so windows then end between samples.
    fn windows(&self) -> impl Iterator<Item = Window> {
        let cut = if matches!(self.in1, Input::Drawn(_)) { Cut::BetweenSamples } else { Cut::WithinSamples };
        windows(self.in0.batch(), self.in0.per_sample(), cut)
    }

    fn key(key: NoiseKey, window: &Window) -> NoiseKey {
        key.first_sample(key.first_sample.wrapping_add(window.samples.start as u64))
    }

    /// Writes the outputs of a pass for a window.
    fn put(&self, pass: &Pass<'_>, window: &Window, values: Vec<Values>, output: &mut Output) -> Outcome {
        let exists = |sample: usize| self.timesteps.get(sample).is_some_and(|&t| pass.table.row(t as usize).is_some());
        pass.outputs.iter().zip(values).try_for_each(|(name, values)| output.put(name, values, window, exists))
    }
}

impl Engine {
    /// Runs a job, and writes its outputs.
    pub fn map(&self, what: &str, job: &MapJob<'_>, output: &mut Output) -> Outcome {
        let mut progress = Progress::new(what, job.in0.shape.iter().product::<usize>() as u64);
        let mut on_adapter: Option<Maps<'_>> = None;
        for window in job.windows() {
            let range = window.range();
            let in0 = job.in0.read(range.clone())?;
            let in1 = match job.in1 {
                Input::Given(stored) => Some(stored.read(range.clone())?),
                Input::Drawn(_) => None,
            };
            match self {
                Engine::Cpu => on_cpu(job, &window, &in0, in1.as_ref(), output)?,
                Engine::Gpu(adapter) => {
                    let shape = window.shape().ok_or_else(|| window.too_large())?;
                    let maps = match on_adapter.take() {
                        Some(maps) if maps.shape == shape => maps,
                        _ => Maps::new(adapter, job, shape)?,
                    };
                    maps.run(job, &window, (in0, in1), output)?;
                    on_adapter = Some(maps);
                }
            }
            progress.advance(range.len() as u64);
        }
        Ok(())
    }
}

fn on_cpu(job: &MapJob<'_>, window: &Window, in0: &Elements, in1: Option<&Elements>, output: &mut Output) -> Outcome {
    let in0 = in0.widened();
    let in1 = match (in1, job.in1) {
        (Some(elements), _) => elements.widened(),
        (None, Input::Drawn(key)) => MapJob::key(key, window).reference(window.samples.len(), window.per_sample),
        (None, Input::Given(_)) => Vec::new(),
    };
    for pass in &job.passes {
        let made = Map::reference(&pass.table, window.entries(job.timesteps), window.elements.len(), &in0, &in1);
        let values = made.map(|exact| Values::Double(exact.into_iter().map(|exact| exact.value).collect()));
        job.put(pass, window, values.into(), output)?;
    }
    if let Input::Drawn(_) = job.in1 {
        output.append(NOISE, Values::Double(in1))?;
    }
    Ok(())
}

/// The plans and the buffers of windows of one shape.
struct Maps<'a> {
    adapter: &'a Adapter,
    shape: Shape,
    times: wgpu::Buffer,
    inputs: [wgpu::Buffer; 2],
    out: [wgpu::Buffer; 2],
    plans: Vec<Plan>,
}

impl<'a> Maps<'a> {
    fn new(adapter: &'a Adapter, job: &MapJob<'_>, shape: Shape) -> Outcome<Self> {
        adapter.require_room("a sample", Shape::new(1, shape.elements))?;
        let buffer = |label| adapter.buffer(label, shape.total());
        let times = adapter.gpu.buffer("tweedie-cli::t", 4 * u64::from(shape.batch));
        // Drawn noise is kept where given noise would be.
        let inputs = ["tweedie-cli::in0", "tweedie-cli::in1"].map(buffer);
        let out = ["tweedie-cli::out0", "tweedie-cli::out1"].map(buffer);
        let [in0, in1] = inputs.each_ref().map(|buffer| adapter.tensor(buffer));
        let plan = |pass: &Pass<'_>| {
            let map = Map {
                table: &pass.table,
                shape,
                timesteps: Timesteps::per_sample(&times),
                in0: Some(in0),
                in1: match job.in1 {
                    Input::Given(_) => Noise::Tensor(in1),
                    Input::Drawn(key) => Noise::Drawn(Drawn::new(key).keep(in1)),
                },
                out0: adapter.tensor(&out[0]),
                out1: (pass.outputs.len() > 1).then(|| adapter.tensor(&out[1])),
            };
            map.plan(&adapter.context).map_err(plan_failure)
        };
        let plans = job.passes.iter().map(plan).collect::<Outcome<_>>()?;
        Ok(Self { adapter, shape, times, inputs, out, plans })
    }

    fn run(
        &self,
        job: &MapJob<'_>,
        window: &Window,
        (in0, in1): (Elements, Option<Elements>),
        output: &mut Output,
    ) -> Outcome {
        let Self { adapter, shape, .. } = self;
        let queue = &adapter.gpu.queue;
        queue.write_buffer(&self.times, 0, bytemuck::cast_slice(window.entries(job.timesteps)));
        adapter.fill(&self.inputs[0], job.in0, in0)?;
        if let (Some(in1), Input::Given(stored)) = (in1, job.in1) {
            adapter.fill(&self.inputs[1], stored, in1)?;
        }
        let read = |buffer: &wgpu::Buffer| -> Outcome<Values> {
            Ok(Values::Stored(adapter.storage, adapter.download(buffer, shape.total())?))
        };
        for (pass, plan) in job.passes.iter().zip(&self.plans) {
            if let Input::Drawn(key) = job.in1 {
                plan.set_key(queue, 0, MapJob::key(key, window)).map_err(|error| Failure::gpu(anyhow!(error)))?;
            }
            adapter.run(plan, Recording::per_sample())?;
            let values = self.out.iter().take(pass.outputs.len()).map(read).collect::<Outcome<_>>()?;
            job.put(pass, window, values, output)?;
        }
        if let Input::Drawn(_) = job.in1 {
            output.append(NOISE, read(&self.inputs[1])?)?;
        }
        Ok(())
    }
}
