//! The engine of a job, an adapter or the f64 reference on the CPU, and the values of its results.

use crate::report::{Failure, Outcome};
use anyhow::anyhow;
use clap::{Args, ValueEnum};
use files::{Elements, Header, TensorWriter};
use safetensors::Dtype;
use tweedie::gpu::{Context, Plan, PlanError, RecordError, Recording};
use tweedie::headless::{Gpu, HeadlessError};
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

/// The options of the commands that compute on an adapter or on the CPU.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Where and how to compute")]
pub struct ComputeArgs {
    /// The adapter: its index or a part of its name, as `tweedie devices` lists them [default: the best one]
    #[arg(long, value_name = "ADAPTER")]
    pub adapter: Option<String>,

    /// gpu: WGSL compute shaders; cpu: the f64 reference that they are checked against
    #[arg(long, value_enum, default_value_t)]
    pub on: On,

    /// Storage of tensors on the GPU and in the result: f32, f16 or bf16; arithmetic is always f32 [default: f32]
    #[arg(long, value_name = "TYPE")]
    pub storage: Option<Storage>,
}

impl ComputeArgs {
    /// Opens the adapter or the CPU. With `--on cpu`, which stores F64 alone, `--adapter` and `--storage` are errors.
    pub fn open(&self) -> Outcome<Engine> {
        let of_adapter = [("--adapter", self.adapter.is_some()), ("--storage", self.storage.is_some())];
        match (self.on, of_adapter.into_iter().find(|(_, given)| *given)) {
            (On::Cpu, Some((option, _))) => Err(Failure::input(anyhow!("{option} does not apply to --on cpu"))),
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

    /// Returns the bytes of a tensor, without the padding of its buffer.
    pub fn download(&self, buffer: &wgpu::Buffer, elements: u64) -> Outcome<Vec<u8>> {
        self.download_as(self.storage, buffer, elements)
    }

    /// The same for a tensor in another storage.
    pub fn download_as(&self, storage: Storage, buffer: &wgpu::Buffer, elements: u64) -> Outcome<Vec<u8>> {
        let length = elements * storage.bytes();
        let range = 0..length.next_multiple_of(4);
        let mut bytes = pollster::block_on(self.gpu.download(buffer, range)).map_err(gpu_failure)?;
        bytes.truncate(length as usize);
        Ok(bytes)
    }

    /// Overwrites a buffer of [`upload`](Self::upload) with other values.
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

/// Classifies an error: an unknown adapter is wrong usage, anything else a GPU error.
pub fn gpu_failure(error: HeadlessError) -> Failure {
    match error {
        HeadlessError::UnknownAdapter { .. } => Failure::input(anyhow!("--adapter: {error}")),
        _ => Failure::gpu(anyhow!(error)),
    }
}

/// Classifies an error: coefficients that f32 cannot hold come from the options, anything else is a GPU error.
pub fn plan_failure(error: PlanError) -> Failure {
    match error {
        PlanError::Table(_) => Failure::input(anyhow!("schedule: {error}")),
        _ => Failure::gpu(anyhow!(error)),
    }
}

/// Classifies an error: a schedule or a quantity comes from the options, a recording is a GPU error.
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

/// Values of a result, as they will be written.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    Double(Vec<f64>),
    Stored(Storage, Vec<u8>),
}

impl Values {
    /// Returns the numbers, widened to f64.
    pub fn widened(&self) -> Vec<f64> {
        match self {
            Values::Double(values) => values.clone(),
            Values::Stored(storage, bytes) => storage.decode(bytes).into_iter().map(f64::from).collect(),
        }
    }

    /// Returns other numbers, stored in the same type.
    pub fn like(&self, values: &[f64]) -> Self {
        self.number().of(values)
    }

    /// Adds the values to a file.
    pub fn write(self, writer: &mut TensorWriter, name: &str, shape: &[usize]) -> anyhow::Result<()> {
        let dtype = self.number().dtype();
        writer.raw(name, dtype, shape, self.into_bytes())
    }

    /// Returns the bytes as a file holds them: little-endian numbers.
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Values::Double(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Values::Stored(_, bytes) => bytes,
        }
    }

    fn number(&self) -> Number {
        match self {
            Values::Double(_) => Number::Double,
            Values::Stored(storage, _) => Number::Stored(*storage),
        }
    }
}

/// The type of the numbers of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    Double,
    Stored(Storage),
}

impl Number {
    /// Returns its dtype in a safetensors file.
    pub fn dtype(self) -> Dtype {
        match self {
            Number::Double => Dtype::F64,
            Number::Stored(Storage::F32) => Dtype::F32,
            Number::Stored(Storage::F16) => Dtype::F16,
            Number::Stored(Storage::Bf16) => Dtype::BF16,
        }
    }

    /// Converts numbers to this type.
    pub fn of(self, values: &[f64]) -> Values {
        match self {
            Number::Double => Values::Double(values.to_vec()),
            Number::Stored(storage) => {
                let mut bytes = storage.encode(&narrow(values));
                bytes.truncate(values.len() * storage.bytes() as usize); // without the padding
                Values::Stored(storage, bytes)
            }
        }
    }
}

/// Rounds to f32, the precision of arithmetic on the GPU.
pub fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&x| x as f32).collect()
}

impl Engine {
    /// The type of the tensors of a result.
    pub fn dtype(&self) -> Dtype {
        match self {
            Engine::Cpu => Number::Double.dtype(),
            Engine::Gpu(adapter) => Number::Stored(adapter.storage).dtype(),
        }
    }

    /// The type of sums: F32 on the GPU, whatever the storage.
    pub fn sums(&self) -> Number {
        match self {
            Engine::Cpu => Number::Double,
            Engine::Gpu(_) => Number::Stored(Storage::F32),
        }
    }
}

impl Adapter {
    /// Returns the elements of a sample; an error if there are too many samples, or a sample is too large for the adapter.
    pub fn elements(&self, batch: usize, elements: usize) -> Outcome<u32> {
        let too_large =
            |what: &str, n: usize| Failure::input(anyhow!("expected at most {} {what}, found {n}", u32::MAX));
        let elements = u32::try_from(elements).map_err(|_| too_large("elements in a sample", elements))?;
        u32::try_from(batch).map_err(|_| too_large("samples", batch))?;
        self.require_room("a sample", Shape::new(1, elements))?;
        Ok(elements)
    }

    /// Refuses a tensor that no buffer of the adapter can hold.
    pub fn require_room(&self, what: &str, shape: Shape) -> Outcome {
        let (found, most) = (shape.total() * self.storage.bytes(), self.gpu.device.limits().max_buffer_size);
        if found <= most {
            return Ok(());
        }
        Err(Failure::gpu(anyhow!("{what} takes {found} bytes, and this adapter's buffers hold at most {most}")))
    }

    /// Writes elements of a tensor to the beginning of a buffer, refusing values that would become infinite in the storage.
    pub fn fill(&self, buffer: &wgpu::Buffer, header: &Header, elements: Elements) -> Outcome {
        self.gpu.queue.write_buffer(buffer, 0, &self.encoded(header, elements)?);
        Ok(())
    }

    /// Returns the bytes of elements in the storage, padded to whole words.
    fn encoded(&self, header: &Header, elements: Elements) -> Outcome<Vec<u8>> {
        let mut bytes = if elements.dtype == Number::Stored(self.storage).dtype() {
            elements.bytes
        } else {
            let values = elements.widened();
            self.require_fit(header, elements.first, &values)?;
            self.storage.encode(&narrow(&values))
        };
        bytes.resize(bytes.len().next_multiple_of(wgpu::COPY_BUFFER_ALIGNMENT as usize), 0);
        Ok(bytes)
    }

    /// Refuses a value that would become infinite in the storage, among those that begin at this element of a tensor.
    pub fn require_fit(&self, header: &Header, first: usize, values: &[f64]) -> Outcome {
        let storage = self.storage;
        let Some(place) = values.iter().position(|&x| x.is_finite() && storage.round(x).is_infinite()) else {
            return Ok(());
        };
        let [sample, element] = header.place(first + place);
        let (name, value) = (&header.name, values[place]);
        Err(Failure::input(anyhow!(
            "tensor `{name}`: expected values within the range of {storage}, found {value:e} at sample {sample}, element {element}"
        )))
    }
}
