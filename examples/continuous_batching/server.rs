//! The server: slots of one batch, into which requests are written and out of which finished samples are read.
//!
//! ```text
//! made once        a plan of starts (a row for each slot), a plan of steps (MOST rows for each slot, and an idle one)
//! written by join  the request's rows, its seed, the rows of the starts
//! each tick        the row and the level of each slot; then starts, the network, steps: one submit
//! ```

use tweedie::gpu::{Drawn, Map, PlanError, Step};
use tweedie::headless::{Gpu, HeadlessError};
use tweedie::math::sampler::Call;
use tweedie::table::{Matrix, StepRow, Table};
use tweedie::wgpu;
use tweedie::{Context, Error, Noise, NoiseKey, Plan, Recording, Sampler, Shape, Tensor, Timesteps};

/// The elements of a sample.
pub const ELEMENTS: u32 = 4 * 16 * 16;
pub const BYTES: u64 = ELEMENTS as u64 * 4;
/// The samples of the batch.
pub const SLOTS: usize = 4;
/// The largest number of calls of a request.
pub const MOST: usize = 64;
/// The row of a slot without a request, after those of the slots.
const IDLE: usize = SLOTS * MOST;
/// The number of clean samples that a loop remembers: as many as any sampler looks back to, which needs extended rows.
pub const DEPTH: usize = StepRow::HISTORY;
/// The stream before the first call's, on which [`tweedie::Sampling::start`] draws too.
const START: NoiseKey = NoiseKey::seed(0).stream(u32::MAX);

/// A request, with everything that is computed before it joins.
#[derive(Clone, Debug)]
pub struct Request {
    pub sampler: Sampler,
    pub guidance: f64,
    pub seed: u64,
    rows: Vec<StepRow>,
    levels: Vec<[f32; 2]>,
}

impl Request {
    pub fn new(sampler: Sampler, guidance: f64, seed: u64) -> Self {
        // The noise of a call has its own stream, wherever the row lies in the table.
        let row = |(stream, row): (u32, StepRow)| StepRow { stream: Some(stream), ..row };
        let guided = |call: &Call| call.row.guided([guidance, 1.0 - guidance]);
        let rows = (0..).zip(sampler.calls().iter().map(guided)).map(row).collect();
        let seen = |call: &Call| [call.level.alpha(), call.level.sigma()].map(|part| (call.input * part) as f32);
        let levels = sampler.calls().iter().map(seen).collect();
        Self { sampler, guidance, seed, rows, levels }
    }

    /// The factors of signal and noise in the network's input at each call.
    pub fn levels(&self) -> &[[f32; 2]] {
        &self.levels
    }
}

/// The application's network: it predicts the noise for two Gaussians, one with the condition and one without.
const NETWORK: &str = "
@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read> levels: array<vec2<f32>>; // (alpha, sigma) of each sample
@group(0) @binding(2) var<storage, read_write> predictions: array<f32>; // the batch with the condition, then without
override elements: u32;
override total: u32;

fn epsilon(x: f32, level: vec2<f32>, mean: f32, deviation: f32) -> f32 {
    let data = level.x * deviation;
    return level.y * (x - level.x * mean) / (data * data + level.y * level.y);
}

@compute @workgroup_size(64)
fn network(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= total) { return; }
    let level = levels[id.x / elements];
    predictions[id.x] = epsilon(input[id.x], level, 0.7, 0.3);
    predictions[total + id.x] = epsilon(input[id.x], level, 0.1, 0.8);
}";

/// The network on buffers: `[input, levels, predictions]`.
pub struct Network {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    workgroups: u32,
}

impl Network {
    pub fn new(device: &wgpu::Device, batch: u32, buffers: [&wgpu::Buffer; 3]) -> Self {
        let total = batch * ELEMENTS;
        let source = wgpu::ShaderSource::Wgsl(NETWORK.into());
        let constants = [("elements", f64::from(ELEMENTS)), ("total", f64::from(total))];
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("network"),
            layout: None,
            module: &device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some("network"), source }),
            entry_point: Some("network"),
            compilation_options: wgpu::PipelineCompilationOptions { constants: &constants, ..Default::default() },
            cache: None,
        });
        let entries = (0..).zip(buffers);
        let entries =
            entries.map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() });
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("network"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries.collect::<Vec<_>>(),
        });
        Self { pipeline, group, workgroups: total.div_ceil(64) }
    }

    pub fn record(&self, encoder: &mut wgpu::CommandEncoder) {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.dispatch_workgroups(self.workgroups, 1, 1);
    }
}

/// A request in a slot.
struct Running<'r> {
    id: usize,
    request: &'r Request,
    /// The call that comes next.
    call: usize,
}

impl Running<'_> {
    /// Its row in the plan of starts: its start before the first call, and afterwards a copy of its sample.
    fn start_row(&self) -> Matrix {
        let sampler = &self.request.sampler;
        let input = sampler.calls()[self.call].input;
        if self.call == 0 { sampler.start_row() } else { [[1.0, 0.0], [input, 0.0]] }
    }
}

/// The reason why a request cannot join. Nothing has been recorded, and the slot is unchanged.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum JoinError {
    /// Another request is there.
    #[error("expected a free slot, found a request in slot {0}")]
    Occupied(usize),
    /// The plans cannot apply it: a learned variance, a clip, more calls than `MOST`.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// The row that keeps the sample of an empty slot.
const KEPT: Matrix = [[1.0, 0.0]; 2];

/// A request that has ended.
pub struct Left {
    pub id: usize,
    pub sample: Vec<u8>,
}

/// `true` if all numbers of a sample are finite; equal bytes could otherwise come from two failures.
pub fn is_finite(sample: &[u8]) -> bool {
    sample.chunks_exact(4).all(|bytes| f32::from_le_bytes(bytes.try_into().unwrap_or([0xff; 4])).is_finite())
}

/// One batch that requests join and leave.
pub struct Server<'a> {
    gpu: &'a Gpu,
    x: wgpu::Buffer,
    calls: wgpu::Buffer,
    levels: wgpu::Buffer,
    seeds: wgpu::Buffer,
    network: Network,
    starts: Plan,
    steps: Plan,
    slots: [Option<Running<'a>>; SLOTS],
    /// `true` if a request is waiting for its start.
    is_starting: bool,
}

impl<'a> Server<'a> {
    /// Makes both plans, the only ones of the server.
    pub fn new(gpu: &'a Gpu, context: &Context) -> Result<Self, Error> {
        let shape = Shape::new(SLOTS as u32, ELEMENTS);
        let all = SLOTS as u64 * BYTES;
        let [x, input] = ["x", "input"].map(|label| gpu.buffer(label, all));
        let predictions = gpu.buffer("predictions", 2 * all);
        let [calls, seeds] =
            [("calls", 4), ("seeds", 16)].map(|(label, bytes)| gpu.buffer(label, SLOTS as u64 * bytes));
        let levels = gpu.buffer("levels", SLOTS as u64 * 8);
        let slots =
            gpu.upload("slots", bytemuck::cast_slice(&std::array::from_fn::<u32, SLOTS, _>(|slot| slot as u32)));

        let starts = Map {
            table: &Table::new([KEPT; SLOTS]),
            shape,
            timesteps: Timesteps::per_sample(&slots), // each slot has a row
            in0: Some(Tensor::f32(&x)),
            in1: Drawn::new(START).seeded(&seeds).into(),
            out0: Tensor::f32(&x),
            out1: Some(Tensor::f32(&input)),
        };
        // A plan binds the noise that it is given even if no row uses it yet, so that stochastic requests may join.
        let rows = [StepRow::IDENTITY; IDLE + 1];
        let steps = Step {
            calls: Timesteps::per_sample(&calls),
            unconditional: Some(Tensor::f32(&predictions).at(all)),
            noise: Noise::Drawn(Drawn::new(NoiseKey::seed(0)).seeded(&seeds)),
            input: Some(Tensor::f32(&input)),
            least_depth: DEPTH,
            ..Step::in_place(&rows, shape, Tensor::f32(&x), Tensor::f32(&predictions))
        };
        let network = Network::new(&gpu.device, SLOTS as u32, [&input, &levels, &predictions]);
        let (starts, steps) = (starts.plan(context)?, steps.plan(context)?);
        let slots = [const { None }; SLOTS];
        Ok(Self { gpu, x, calls, levels, seeds, network, starts, steps, slots, is_starting: false })
    }

    /// A slot without a request.
    pub fn free_slot(&self) -> Option<usize> {
        self.slots.iter().position(Option::is_none)
    }

    /// Puts a request into a free slot by three writes through the queue. It starts with the next tick.
    pub fn join(&mut self, slot: usize, id: usize, request: &'a Request) -> Result<(), JoinError> {
        if self.slots[slot].is_some() {
            return Err(JoinError::Occupied(slot));
        }
        // Beyond MOST are the rows of the next slot.
        if request.rows.len() > MOST {
            return Err(PlanError::Rows { expected: MOST as u64, found: request.rows.len() as u64 }.into());
        }
        let (queue, running) = (&self.gpu.queue, Running { id, request, call: 0 });
        let mut starts = self.slots.each_ref().map(|slot| slot.as_ref().map_or(KEPT, Running::start_row));
        starts[slot] = running.start_row();
        self.steps.set_rows(queue, (slot * MOST) as u32, &request.rows)?;
        self.starts.set_rows(queue, 0, &starts)?;
        // The seed, and the index of the sample, which is 0 as if the request ran alone.
        let seed = [request.seed as u32, (request.seed >> 32) as u32, 0, 0];
        queue.write_buffer(&self.seeds, slot as u64 * 16, bytemuck::cast_slice(&seed));
        self.slots[slot] = Some(running);
        self.is_starting = true;
        Ok(())
    }

    /// Makes one call for every request, and returns the samples of those that end with it.
    pub fn tick(&mut self) -> Result<Vec<Left>, Box<dyn std::error::Error>> {
        let (mut calls, mut levels) = ([IDLE as u32; SLOTS], [[1.0, 0.0]; SLOTS]);
        for (slot, running) in self.slots.iter().enumerate().filter_map(|(slot, place)| Some((slot, place.as_ref()?))) {
            calls[slot] = (slot * MOST + running.call) as u32;
            levels[slot] = running.request.levels[running.call];
        }
        self.gpu.queue.write_buffer(&self.calls, 0, bytemuck::cast_slice(&calls));
        self.gpu.queue.write_buffer(&self.levels, 0, bytemuck::cast_slice(&levels));
        let starting = std::mem::take(&mut self.is_starting);
        self.gpu.submit(|encoder| {
            if starting {
                self.starts.encode(encoder, Recording::per_sample())?;
            }
            self.network.record(encoder);
            self.steps.encode(encoder, Recording::per_sample())
        })??;
        self.leave()
    }

    /// Reads the samples of the requests that have made their last call, and frees their slots.
    fn leave(&mut self) -> Result<Vec<Left>, Box<dyn std::error::Error>> {
        let mut left = Vec::new();
        for (slot, place) in (0..).zip(&mut self.slots) {
            let Some(running) = place else { continue };
            running.call += 1;
            if running.call == running.request.rows.len() {
                let bytes = slot * BYTES..(slot + 1) * BYTES;
                left.push(Left { id: running.id, sample: pollster::block_on(self.gpu.download(&self.x, bytes))? });
                *place = None;
            }
        }
        Ok(left)
    }

    /// The number of samples whose row was out of range: 0, unless something is wrong.
    pub fn out_of_range(&self) -> Result<u32, HeadlessError> {
        let Some(status) = self.steps.status() else { return Ok(0) };
        let bytes = pollster::block_on(self.gpu.download(status, 0..4))?;
        Ok(bytemuck::pod_read_unaligned(&bytes))
    }
}
