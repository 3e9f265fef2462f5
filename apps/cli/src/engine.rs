//! Computes jobs on an adapter, or in f64 on the CPU, from the same table and with the same result type.

use crate::progress::Progress;
use crate::report::{Failure, Outcome};
use anyhow::anyhow;
use clap::{Args, ValueEnum};
use files::{Array, TensorWriter};
use tweedie::gpu::{Context, Drawn, Map, Noise, NoiseKey, Plan, PlanError, RecordError, Recording, Timesteps};
use tweedie::headless::{Gpu, HeadlessError};
use tweedie::table::Table;
use tweedie::{Shape, Storage, Tensor};

/// Choice between adapter and CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum On {
    /// The GPU adapter (a software driver counts as one).
    #[default]
    Gpu,
    /// The f64 reference on the CPU; results are F64.
    Cpu,
}

/// The options that every computing command has.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Where and how to compute")]
pub struct ComputeArgs {
    /// The adapter: its index or a part of its name, as `tweedie devices` lists them [default: the best one]
    #[arg(long, value_name = "ADAPTER")]
    pub adapter: Option<String>,

    /// gpu: WGSL compute shaders; cpu: the f64 reference that they are checked against
    #[arg(long, value_enum, default_value_t)]
    pub on: On,

    /// Storage of tensors on the GPU and in the result: f32, f16 or bf16; arithmetic is f32 in any case [default: f32]
    #[arg(long, value_name = "TYPE")]
    pub storage: Option<Storage>,
}

impl ComputeArgs {
    /// Opens what the options name. The CPU has neither an adapter nor another storage than F64.
    pub fn open(&self) -> Outcome<Engine> {
        let of_adapter = [("--adapter", self.adapter.is_some()), ("--storage", self.storage.is_some())];
        match (self.on, of_adapter.into_iter().find(|(_, given)| *given)) {
            (On::Cpu, Some((option, _))) => Err(Failure::input(anyhow!("{option} means nothing to --on cpu"))),
            (On::Cpu, None) => Ok(Engine::Cpu),
            (On::Gpu, _) => Ok(Engine::Gpu(Box::new(self.adapter()?))),
        }
    }

    /// Opens the adapter, whatever `--on` says.
    pub fn adapter(&self) -> Outcome<Adapter> {
        Adapter::open(self.adapter.as_deref(), self.storage.unwrap_or(Storage::F32))
    }
}

/// An open adapter and the storage to use on it.
pub struct Adapter {
    pub gpu: Gpu,
    pub context: Context,
    pub storage: Storage,
}

impl Adapter {
    pub fn open(which: Option<&str>, storage: Storage) -> Outcome<Self> {
        let gpu = pollster::block_on(Gpu::open(which)).map_err(gpu_failure)?;
        let context = Context::new(&gpu.device);
        Ok(Self { gpu, context, storage })
    }

    pub fn upload(&self, label: &str, values: &[f32]) -> wgpu::Buffer {
        self.gpu.upload(label, &self.storage.encode(values))
    }

    pub fn buffer(&self, label: &str, elements: u64) -> wgpu::Buffer {
        self.gpu.buffer(label, elements * self.storage.bytes())
    }

    pub fn tensor<'a>(&self, buffer: &'a wgpu::Buffer) -> Tensor<'a> {
        Tensor::new(buffer, self.storage)
    }

    /// The bytes of a tensor, without the padding of its buffer.
    pub fn download(&self, buffer: &wgpu::Buffer, elements: u64) -> Outcome<Vec<u8>> {
        self.download_as(self.storage, buffer, elements)
    }

    /// As [`download`](Self::download), of a tensor in another storage.
    pub fn download_as(&self, storage: Storage, buffer: &wgpu::Buffer, elements: u64) -> Outcome<Vec<u8>> {
        let length = elements * storage.bytes();
        let range = 0..length.next_multiple_of(4);
        let mut bytes = pollster::block_on(self.gpu.download(buffer, range)).map_err(gpu_failure)?;
        bytes.truncate(length as usize);
        Ok(bytes)
    }

    /// Writes other values into a buffer of [`upload`](Self::upload).
    pub fn refill(&self, buffer: &wgpu::Buffer, values: &[f32]) {
        self.gpu.queue.write_buffer(buffer, 0, &self.storage.encode(values));
    }

    pub fn run(&self, plan: &Plan, at: Recording) -> Outcome {
        self.submit(|encoder| plan.encode(encoder, at))
    }

    /// Records something and submits it.
    pub fn submit(&self, record: impl FnOnce(&mut wgpu::CommandEncoder) -> Result<(), RecordError>) -> Outcome {
        self.gpu.submit(record).map_err(gpu_failure)?.map_err(|error| Failure::gpu(anyhow!(error)))
    }
}

/// A wrong adapter name is the user's to mend, the rest is the machine's.
pub fn gpu_failure(error: HeadlessError) -> Failure {
    match error {
        HeadlessError::UnknownAdapter { .. } => Failure::input(anyhow!("--adapter: {error}")),
        _ => Failure::gpu(anyhow!(error)),
    }
}

/// Coefficients that f32 cannot hold come from the options; all else is between the tool and the adapter.
pub fn plan_failure(error: PlanError) -> Failure {
    match error {
        PlanError::Table(_) => Failure::input(anyhow!("schedule: {error}")),
        _ => Failure::gpu(anyhow!(error)),
    }
}

/// A schedule or a quantity comes from the options, all else is between the tool and the adapter.
pub fn front_failure(error: tweedie::Error) -> Failure {
    match error {
        tweedie::Error::Plan(error) => plan_failure(error),
        tweedie::Error::Record(error) => Failure::gpu(anyhow!(error)),
        _ => Failure::input(anyhow!(error)),
    }
}

/// An adapter or the CPU.
pub enum Engine {
    Gpu(Box<Adapter>),
    Cpu,
}

/// The second input of a job.
pub enum Input<'a> {
    Given(&'a Array),
    Drawn(NoiseKey),
}

/// A map over whole tensors in memory.
pub struct Job<'a> {
    pub table: &'a Table,
    pub batch: usize,
    pub elements: usize,
    /// A row of the table for each sample, in range.
    pub timesteps: &'a [u32],
    pub in0: &'a Array,
    pub in1: Input<'a>,
    /// True if the second output is wanted.
    pub both: bool,
}

/// Values of a result, as they will be written.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    Double(Vec<f64>),
    Stored(Storage, Vec<u8>),
}

impl Values {
    /// The numbers.
    pub fn widened(&self) -> Vec<f64> {
        match self {
            Values::Double(values) => values.clone(),
            Values::Stored(storage, bytes) => storage.decode(bytes).into_iter().map(f64::from).collect(),
        }
    }

    /// Other numbers, stored as these.
    pub fn like(&self, values: Vec<f64>) -> Self {
        match self {
            Values::Double(_) => Values::Double(values),
            Values::Stored(storage, _) => {
                let mut bytes = storage.encode(&narrow(&values));
                bytes.truncate(values.len() * storage.bytes() as usize); // without the padding
                Values::Stored(*storage, bytes)
            }
        }
    }

    /// Adds them to a file.
    pub fn write(self, writer: &mut TensorWriter, name: &str, shape: &[usize]) -> anyhow::Result<()> {
        match self {
            Values::Double(values) => writer.doubles(name, shape, &values),
            Values::Stored(storage, bytes) => {
                let dtype = match storage {
                    Storage::F32 => safetensors::Dtype::F32,
                    Storage::F16 => safetensors::Dtype::F16,
                    Storage::Bf16 => safetensors::Dtype::BF16,
                };
                writer.raw(name, dtype, shape, bytes)
            }
        }
    }
}

/// The outputs of a job; the noise where it was drawn.
pub struct Outputs {
    pub out0: Values,
    pub out1: Option<Values>,
    pub noise: Option<Values>,
}

/// To the precision that arithmetic on the GPU has.
pub fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&x| x as f32).collect()
}

/// Bytes of a tensor that are on the GPU at once; a larger batch goes through in pieces, which does not change a result.
const PIECE: usize = 64 << 20;

impl Engine {
    /// Runs a job.
    pub fn run(&self, what: &str, job: &Job<'_>) -> Outcome<Outputs> {
        match self {
            Engine::Cpu => Ok(on_cpu(job)),
            Engine::Gpu(adapter) => adapter.map(what, job),
        }
    }
}

fn on_cpu(job: &Job<'_>) -> Outputs {
    let mut noise = None;
    let in1 = match job.in1 {
        Input::Given(array) => &array.data,
        Input::Drawn(key) => noise.insert(key.reference(job.batch, job.elements)),
    };
    let [out0, out1] = Map::reference(job.table, job.timesteps, job.elements, &job.in0.data, in1)
        .map(|exact| Values::Double(exact.into_iter().map(|exact| exact.value).collect()));
    Outputs { out0, out1: job.both.then_some(out1), noise: noise.map(Values::Double) }
}

impl Adapter {
    fn map(&self, what: &str, job: &Job<'_>) -> Outcome<Outputs> {
        let elements = self.elements(job.batch, job.elements)?;
        self.require_fit(job.in0)?;
        if let Input::Given(array) = job.in1 {
            self.require_fit(array)?;
        }
        let per_piece = Self::samples_per_piece(elements);
        let mut progress = Progress::new(what, job.batch as u64);
        let (mut out0, mut out1, mut noise) = (Vec::new(), Vec::new(), Vec::new());
        for first in (0..job.batch).step_by(per_piece) {
            let samples = per_piece.min(job.batch - first);
            let [a, b, z] = self.piece(job, first, samples, elements)?;
            out0.extend(a);
            out1.extend(b);
            noise.extend(z);
            progress.advance(samples as u64);
        }
        let stored = |bytes| Values::Stored(self.storage, bytes);
        let drawn = matches!(job.in1, Input::Drawn(_));
        Ok(Outputs { out0: stored(out0), out1: job.both.then(|| stored(out1)), noise: drawn.then(|| stored(noise)) })
    }

    /// The elements of a sample, if a batch of such samples can be computed.
    pub fn elements(&self, batch: usize, elements: usize) -> Outcome<u32> {
        let too_large =
            |what: &str, n: usize| Failure::input(anyhow!("expected at most {} {what}, found {n}", u32::MAX));
        let elements = u32::try_from(elements).map_err(|_| too_large("elements in a sample", elements))?;
        u32::try_from(batch).map_err(|_| too_large("samples", batch))?;
        self.require_room("a sample", Shape::new(1, elements))?;
        Ok(elements)
    }

    /// Refuses what no buffer of the adapter can hold.
    pub fn require_room(&self, what: &str, shape: Shape) -> Outcome {
        let (found, most) = (shape.total() * self.storage.bytes(), self.gpu.device.limits().max_buffer_size);
        if found <= most {
            return Ok(());
        }
        Err(Failure::gpu(anyhow!("{what} takes {found} bytes, and this adapter's buffers hold {most}")))
    }

    /// Number of samples that are computed at once.
    pub fn samples_per_piece(elements: u32) -> usize {
        (PIECE / 4 / (elements as usize).max(1)).max(1)
    }

    /// Refuses a value that would become infinite in the storage.
    pub fn require_fit(&self, array: &Array) -> Outcome {
        let storage = self.storage;
        let Some(flat) = array.data.iter().position(|&x| x.is_finite() && storage.round(x).is_infinite()) else {
            return Ok(());
        };
        let (sample, element) = (flat / array.per_sample(), flat % array.per_sample());
        let (name, value) = (&array.name, array.data[flat]);
        Err(Failure::input(anyhow!(
            "tensor `{name}`: expected values within the range of {storage}, found {value:e} at sample {sample}, element {element}"
        )))
    }

    fn piece(&self, job: &Job<'_>, first: usize, samples: usize, elements: u32) -> Outcome<[Vec<u8>; 3]> {
        let shape = Shape::new(samples as u32, elements);
        let range = first * job.elements..(first + samples) * job.elements;
        let in0 = self.upload("tweedie-cli::in0", &narrow(&job.in0.data[range.clone()]));
        let times = self.gpu.upload("tweedie-cli::t", bytemuck::cast_slice(&job.timesteps[first..first + samples]));
        let out = ["tweedie-cli::out0", "tweedie-cli::out1", "tweedie-cli::noise"]
            .map(|label| self.buffer(label, shape.total()));
        let given;
        let in1 = match job.in1 {
            Input::Given(array) => {
                given = self.upload("tweedie-cli::in1", &narrow(&array.data[range]));
                Noise::Tensor(self.tensor(&given))
            }
            Input::Drawn(key) => {
                let key = key.first_sample(key.first_sample.wrapping_add(first as u64));
                Noise::Drawn(Drawn::new(key).keep(self.tensor(&out[2])))
            }
        };
        let map = Map {
            table: job.table,
            shape,
            timesteps: Timesteps::per_sample(&times),
            in0: Some(self.tensor(&in0)),
            in1,
            out0: self.tensor(&out[0]),
            out1: job.both.then(|| self.tensor(&out[1])),
        };
        let plan = map.plan(&self.context).map_err(plan_failure)?;
        self.run(&plan, Recording::per_sample())?;
        let read = |wanted: bool, buffer| if wanted { self.download(buffer, shape.total()) } else { Ok(Vec::new()) };
        Ok([read(true, &out[0])?, read(job.both, &out[1])?, read(matches!(job.in1, Input::Drawn(_)), &out[2])?])
    }
}
