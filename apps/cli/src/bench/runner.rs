//! A row: the sets of buffers, the plans, the measurement, and the line that comes of it.

use super::batch::{self, STEPS, Set};
use super::clock::{Clock, Work};
use super::copies;
use super::fixed::{self, FixedCosts};
use super::lines::{Line, TWEEDIE};
use super::measure::{Times, Works, measure, record_ns};
use super::ops::Op;
use super::workloads::Workload;
use crate::report::{Failure, Outcome};
use anyhow::anyhow;
use std::time::{Instant, SystemTime};
use tweedie::gpu::Context;
use tweedie::headless::Gpu;
use tweedie::{Diffusion, Schedule, Storage};

/// The name under which the streaming copy appears in the size plot.
pub const STREAM_COPY: &str = "stream_copy";

/// What a row gave.
#[derive(Debug)]
pub enum Measured {
    Line(Box<Line>),
    /// Why it was not measured.
    Skipped(String),
}

/// What making the plans of an op took.
#[derive(Debug)]
pub struct FirstUse {
    pub op: &'static str,
    pub storage: Storage,
    /// Milliseconds of each plan that compiled a pipeline.
    pub compiling: Vec<f64>,
    /// Milliseconds of each plan that found its pipeline compiled.
    pub later: Vec<f64>,
}

/// An adapter and everything that is the same for all rows.
pub struct Runner {
    pub clock: Clock,
    pub first_uses: Vec<FirstUse>,
    context: Context,
    diffusion: Diffusion,
    runs: Option<usize>,
    sets: Option<u64>,
    memory: u64,
}

impl Runner {
    pub fn new(gpu: Gpu, runs: Option<usize>, sets: Option<u64>) -> Outcome<Self> {
        let schedule = Schedule::linear(STEPS as usize, 1e-4, 0.02).map_err(|error| Failure::gpu(anyhow!(error)))?;
        Ok(Self {
            context: Context::new(&gpu.device),
            diffusion: Diffusion::new(schedule),
            memory: batch::memory(&gpu.info),
            first_uses: Vec::new(),
            clock: Clock::new(gpu)?,
            runs,
            sets,
        })
    }

    /// What work of any size costs on this adapter.
    pub fn fixed_costs(&self) -> Outcome<FixedCosts> {
        fixed::measure(&self.clock, &self.context)
    }

    /// An op beside both copies of as many bytes.
    pub fn row(&mut self, op: &'static Op, workload: Workload, storage: Storage) -> Outcome<Measured> {
        let bytes = op.bytes(workload.shape.total() * storage.bytes());
        let works = |it: &mut Self, sets| {
            let plans = it.plans(op, workload, storage, sets)?;
            let pieces = (0..sets).map(|_| it.clock.copier.pieces(&it.clock.gpu, bytes));
            let pieces = pieces.collect::<Outcome<Vec<_>>>()?;
            let copies = pieces.iter().cloned().map(Work::BufferCopy).collect();
            Ok(vec![plans, copies, pieces.into_iter().map(Work::StreamCopy).collect()])
        };
        let works = match self.fitting(workload, storage, 2 * bytes, works)? {
            Ok(works) => works,
            Err(reason) => return Ok(Measured::Skipped(reason)),
        };
        let times = measure(&self.clock, &works, self.runs)?;
        let record = match works[0].first() {
            Some(Work::Plan(plan)) => Some(record_ns(&self.clock, plan.as_ref())?),
            _ => None,
        };
        let moved = 2 * copies::half(bytes);
        let line = self.line(op.name, workload, storage, bytes, &times[0], works[0].len());
        Ok(Measured::Line(Box::new(Line {
            copy_gbps: Some(gbps(moved, times[1].main.median)),
            stream_gbps: Some(gbps(moved, times[2].main.median)),
            record_ns: record.map(f64::round),
            ..line
        })))
    }

    /// An op alone, or the streaming copy of so many bytes a tensor of three, for the size plot.
    pub fn alone(&mut self, op: Option<&'static Op>, workload: Workload) -> Outcome<Measured> {
        let (storage, tensor) = (Storage::F32, workload.shape.total() * 4);
        let bytes = op.map_or(3 * tensor, |op| op.bytes(tensor));
        let works = |it: &mut Self, sets| match op {
            Some(op) => Ok(vec![it.plans(op, workload, storage, sets)?]),
            None => {
                let copies = (0..sets).map(|_| it.clock.copier.pieces(&it.clock.gpu, bytes).map(Work::StreamCopy));
                Ok(vec![copies.collect::<Outcome<Works>>()?])
            }
        };
        let works = match self.fitting(workload, storage, bytes, works)? {
            Ok(works) => works,
            Err(reason) => return Ok(Measured::Skipped(reason)),
        };
        let times = measure(&self.clock, &works, self.runs)?;
        let name = op.map_or(STREAM_COPY, |op| op.name);
        Ok(Measured::Line(Box::new(self.line(name, workload, storage, bytes, &times[0], works[0].len()))))
    }

    /// Makes works of as many sets as are good, of one where the device has no memory for them, or tells why not.
    fn fitting(
        &mut self,
        workload: Workload,
        storage: Storage,
        bytes: u64,
        make: impl Fn(&mut Self, u64) -> Outcome<Vec<Works>>,
    ) -> Outcome<Result<Vec<Works>, String>> {
        let (tensor, most) = (workload.shape.total() * storage.bytes(), self.clock.gpu.device.limits().max_buffer_size);
        if tensor > most {
            let sizes = [tensor, most].map(batch::mebibytes);
            return Ok(Err(format!("a tensor takes {}, and this adapter's buffers hold {}", sizes[0], sizes[1])));
        }
        let sets =
            match batch::sets(bytes + batch::PER_SAMPLE * u64::from(workload.shape.batch), self.memory, self.sets) {
                Ok(sets) => sets,
                Err(reason) => return Ok(Err(reason)),
            };
        let made = match make(self, sets) {
            Err(_) if sets > 1 => make(self, 1),
            made => made,
        };
        Ok(made.map_err(|failure| failure.to_string()))
    }

    fn plans(&mut self, op: &'static Op, workload: Workload, storage: Storage, sets: u64) -> Outcome<Works> {
        let mut works = Vec::new();
        for seed in 0..sets {
            let set = Set::new(&self.clock.gpu, &self.context, op, workload.shape, storage, seed)?;
            let (compiled, begun) = (self.context.compiled_pipelines(), Instant::now());
            let plan = (op.plan)(&self.diffusion, &self.context, &set).map_err(|error| Failure::gpu(anyhow!(error)))?;
            let milliseconds = begun.elapsed().as_secs_f64() * 1e3;
            let compiles = self.context.compiled_pipelines() > compiled;
            let first_use = self.first_use(op, storage);
            if compiles {
                first_use.compiling.push(milliseconds)
            } else {
                first_use.later.push(milliseconds)
            }
            works.push(Work::Plan(plan));
        }
        Ok(works)
    }

    fn first_use(&mut self, op: &'static Op, storage: Storage) -> &mut FirstUse {
        let known = self.first_uses.iter().position(|it| it.op == op.name && it.storage == storage);
        let index = known.unwrap_or(self.first_uses.len());
        if known.is_none() {
            self.first_uses.push(FirstUse { op: op.name, storage, compiling: Vec::new(), later: Vec::new() });
        }
        &mut self.first_uses[index]
    }

    fn line(&self, op: &str, workload: Workload, storage: Storage, bytes: u64, times: &Times, sets: usize) -> Line {
        let info = &self.clock.gpu.info;
        let device = if info.device_type == wgpu::DeviceType::Cpu { "cpu" } else { "gpu" };
        let date = humantime::format_rfc3339_seconds(SystemTime::now());
        Line {
            program: TWEEDIE.into(),
            device: device.into(),
            workload: workload.name.into(),
            op: op.into(),
            dtype: storage.name().into(),
            batch: workload.shape.batch.into(),
            elements: workload.shape.elements.into(),
            median_ms: rounded(times.main.median),
            min_bytes: bytes,
            gbps: gbps(bytes, times.main.median),
            copy_gbps: None,
            stream_gbps: None,
            p10_ms: Some(rounded(times.main.p10)),
            p90_ms: Some(rounded(times.main.p90)),
            timestamp_ms: times.timestamp.map(rounded),
            timer: Some(self.clock.timer().name().into()),
            record_ns: None,
            runs: Some(times.runs as u64),
            sets: Some(sets as u64),
            adapter: Some(info.name.clone()),
            backend: Some(info.backend.to_string()),
            driver: Some(format!("{} {}", info.driver, info.driver_info).trim().into()),
            date: Some(date.to_string()),
        }
    }
}

fn gbps(bytes: u64, milliseconds: f64) -> f64 {
    rounded(bytes as f64 / milliseconds / 1e6)
}

/// To six decimals: a nanosecond of a millisecond, and shorter lines.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
