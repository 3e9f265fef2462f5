//! A row: the sets of buffers, the plans, the measurement, and the resulting line.

use crate::clock::{Clock, Timer, Work};
use crate::copies;
use crate::first_use;
use crate::fixed::{self, FixedCosts};
use crate::host::{self, HostTime};
use crate::kinds;
use crate::lines::{Line, TWEEDIE};
use crate::measure::{Times, Works, measure, record_ns};
use crate::ops::{self, Op};
use crate::set::{self, Set};
use crate::units;
use crate::workloads::{HOST, Workload};
use anyhow::Result;
use std::time::{Instant, SystemTime};
use tweedie::gpu::Context;
use tweedie::headless::Gpu;
use tweedie::{Schedule, Storage};

/// The name of the streaming copy in the size plot.
pub const STREAM_COPY: &str = "stream_copy";
/// The ops of the size plot, in addition to the streaming copy.
const SWEEP_OPS: [&str; 2] = ["noise", "draw_noise_target_v"];
/// Bytes of the largest tensor of the size plot, on a software driver and on a GPU.
const SWEEP_SOFTWARE: u64 = 128 << 20;
const SWEEP_GPU: u64 = 1 << 30;

/// A line that is to be measured.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The op, or `None` for the streaming copy of as many bytes as three tensors have.
    pub op: Option<&'static Op>,
    /// The size.
    pub workload: Workload,
    /// The type of the tensors.
    pub storage: Storage,
    /// True if both copies are measured alternately with the op.
    pub with_copies: bool,
}

impl Row {
    /// The op's name in the table.
    pub fn name(&self) -> &'static str {
        self.op.map_or(STREAM_COPY, |op| op.name)
    }

    /// Lists the rows of the size plot.
    pub fn sweep(software: bool) -> Vec<Row> {
        let sizes = Workload::sweep(if software { SWEEP_SOFTWARE } else { SWEEP_GPU });
        let ops = SWEEP_OPS.into_iter().filter_map(|name| Op::named(name).ok()).map(Some).chain([None]);
        let row = |op, workload| Row { op, workload, storage: Storage::F32, with_copies: false };
        ops.flat_map(|op| sizes.iter().map(move |&size| row(op, size))).collect()
    }

    /// The size of one tensor in bytes. The largest shapes on the command line exceed 64 bits, and any buffer.
    fn tensor(&self) -> u64 {
        self.workload.shape.total().saturating_mul(self.storage.bytes())
    }

    fn bytes(&self) -> u64 {
        self.op.map_or(3 * self.tensor(), |op| op.bytes(self.tensor()))
    }
}

/// A line, or the reason why there is none.
pub type Measured = Result<Line, String>;

/// The times that it took to make the plans of an op, in milliseconds.
#[derive(Debug)]
pub struct FirstUse {
    /// The op.
    pub op: &'static str,
    /// The type of its tensors.
    pub storage: Storage,
    /// Plans that compiled a pipeline.
    pub compiling: Vec<f64>,
    /// Plans that found their pipeline compiled.
    pub later: Vec<f64>,
}

/// An adapter, and everything that is the same for all rows.
pub struct Runner {
    /// Times of making plans so far.
    pub first_uses: Vec<FirstUse>,
    clock: Clock,
    context: Context,
    schedule: Schedule,
    runs: Option<usize>,
    sets: Option<u64>,
    memory: u64,
}

impl Runner {
    /// Prepares an adapter, for this many runs of each row and this many sets of buffers, or for the usual numbers of both.
    ///
    /// # Errors
    /// The device fails.
    pub fn new(gpu: Gpu, runs: Option<usize>, sets: Option<u64>) -> Result<Self> {
        Ok(Self {
            context: Context::new(&gpu.device),
            schedule: ops::schedule()?,
            memory: set::memory(&gpu.info),
            first_uses: Vec::new(),
            clock: Clock::new(gpu)?,
            runs,
            sets,
        })
    }

    /// Measures the costs that work of any size has on this adapter.
    ///
    /// # Errors
    /// The device fails.
    pub fn fixed_costs(&self) -> Result<FixedCosts> {
        fixed::measure(&self.clock, &self.context)
    }

    /// Measures a row.
    ///
    /// # Errors
    /// The device fails while it works. A row that it has no memory for is only skipped.
    pub fn measure(&mut self, row: &Row) -> Result<Measured> {
        let works = match self.sets(row) {
            Ok(sets) => match self.works(row, sets) {
                Err(_) if sets > 1 => self.works(row, 1),
                made => made,
            },
            Err(reason) => return Ok(Err(reason)),
        };
        let works = match works {
            Ok(works) => works,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let times = measure(&self.clock, &works, self.runs)?;
        let mut line = self.line(row, &times[0], works[0].len());
        if let [_, copy, stream] = &times[..] {
            let moved = 2 * copies::half(row.bytes());
            line.copy_gbps = Some(gbps(moved, copy.main.median));
            line.stream_gbps = Some(gbps(moved, stream.main.median));
            if let Some(Work::Plan(plan)) = works[0].first() {
                line.record_ns = Some(record_ns(&self.clock, plan)?.round());
            }
        }
        Ok(Ok(line))
    }

    /// Returns the number of sets of buffers for a row, or why there can be none.
    fn sets(&self, row: &Row) -> Result<u64, String> {
        let (tensor, most) = (row.tensor(), self.clock.gpu.device.limits().max_buffer_size);
        if tensor > most {
            let [tensor, most] = [tensor, most].map(units::bytes);
            return Err(format!("a tensor takes {tensor}, and this adapter's buffers hold {most}"));
        }
        let tensors = if row.with_copies { 2 * row.bytes() } else { row.bytes() };
        let numbers = set::PER_SAMPLE * u64::from(row.workload.shape.batch);
        set::count(tensors + numbers, self.memory, self.sets)
    }

    /// Makes the work of a row, then that of the two copies.
    fn works(&mut self, row: &Row, sets: u64) -> Result<Vec<Works>> {
        let mut works: Vec<Works> = Vec::new();
        if let Some(op) = row.op {
            works.push((0..sets).map(|seed| self.plan(op, row, seed)).collect::<Result<_>>()?);
        }
        if row.with_copies || row.op.is_none() {
            let copy = |_| self.clock.copier.pieces(&self.clock.gpu, row.bytes());
            let copies = (0..sets).map(copy).collect::<Result<Vec<_>>>()?;
            if row.with_copies {
                works.push(copies.iter().cloned().map(Work::BufferCopy).collect());
            }
            works.push(copies.into_iter().map(Work::StreamCopy).collect());
        }
        Ok(works)
    }

    /// Plans an op on a new set of buffers, and notes how long that took.
    fn plan(&mut self, op: &'static Op, row: &Row, seed: u64) -> Result<Work> {
        let set = Set::new(&self.clock.gpu, &self.context, op, row.workload.shape, row.storage, seed)?;
        let (compiled, begun) = (self.context.compiled_pipelines(), Instant::now());
        let plan = op.plan(&self.schedule, &self.context, &set)?;
        let milliseconds = begun.elapsed().as_secs_f64() * 1e3;
        let compiles = self.context.compiled_pipelines() > compiled;
        let uses = self.first_use(op, row.storage);
        if compiles { &mut uses.compiling } else { &mut uses.later }.push(milliseconds);
        Ok(Work::Plan(plan))
    }

    fn first_use(&mut self, op: &'static Op, storage: Storage) -> &mut FirstUse {
        let known = self.first_uses.iter().position(|it| it.op == op.name && it.storage == storage);
        let index = known.unwrap_or(self.first_uses.len());
        if known.is_none() {
            self.first_uses.push(FirstUse { op: op.name, storage, compiling: Vec::new(), later: Vec::new() });
        }
        &mut self.first_uses[index]
    }

    /// Measures the host's times: a line each.
    ///
    /// # Errors
    /// The device fails.
    pub fn host(&self) -> Result<Vec<Line>> {
        let gpu = &self.clock.gpu;
        let mut times = host::measure(gpu, &self.context, &self.schedule, self.runs)?;
        times.extend(first_use::measure(gpu, &self.schedule, self.runs)?);
        Ok(times.into_iter().map(|time| self.host_line(time)).collect())
    }

    fn host_line(&self, HostTime { what, summary, by_hand, runs }: HostTime) -> Line {
        let shape = kinds::SHAPE;
        Line {
            workload: HOST.into(),
            op: what,
            batch: shape.batch.into(),
            elements: shape.elements.into(),
            median_ms: rounded(summary.median),
            p10_ms: Some(rounded(summary.p10)),
            p90_ms: Some(rounded(summary.p90)),
            by_hand_ms: by_hand.map(|summary| rounded(summary.median)),
            timer: Some(Timer::Wall.name().into()),
            runs: Some(runs as u64),
            ..self.described(Storage::F32)
        }
    }

    fn line(&self, row: &Row, times: &Times, sets: usize) -> Line {
        Line {
            workload: row.workload.name.into(),
            op: row.name().into(),
            batch: row.workload.shape.batch.into(),
            elements: row.workload.shape.elements.into(),
            median_ms: rounded(times.main.median),
            min_bytes: row.bytes(),
            gbps: gbps(row.bytes(), times.main.median),
            p10_ms: Some(rounded(times.main.p10)),
            p90_ms: Some(rounded(times.main.p90)),
            timestamp_ms: times.timestamp.map(rounded),
            timer: Some(self.clock.timer().name().into()),
            runs: Some(times.runs as u64),
            sets: Some(sets as u64),
            ..self.described(row.storage)
        }
    }

    /// A line of this adapter, now, with nothing measured.
    fn described(&self, storage: Storage) -> Line {
        let info = &self.clock.gpu.info;
        let device = if info.device_type == wgpu::DeviceType::Cpu { "cpu" } else { "gpu" };
        let date = humantime::format_rfc3339_seconds(SystemTime::now());
        Line {
            program: TWEEDIE.into(),
            device: device.into(),
            workload: String::new(),
            op: String::new(),
            dtype: storage.name().into(),
            batch: 0,
            elements: 0,
            median_ms: 0.0,
            min_bytes: 0,
            gbps: 0.0,
            copy_gbps: None,
            stream_gbps: None,
            p10_ms: None,
            p90_ms: None,
            timestamp_ms: None,
            timer: None,
            record_ns: None,
            by_hand_ms: None,
            runs: None,
            sets: None,
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

/// Rounds to six decimals, which are nanoseconds of a time in milliseconds, so that lines are short.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_plot_has_two_ops_and_the_copy() {
        let rows = Row::sweep(true);
        assert_eq!(plots::distinct(rows.iter().map(Row::name)), ["noise", "draw_noise_target_v", STREAM_COPY]);
        assert!(rows.iter().all(|row| row.tensor() <= SWEEP_SOFTWARE && !row.with_copies));
        assert_eq!(rows[0].bytes(), 3 << 16);
    }

    #[test]
    fn no_shape_is_too_large_for_its_size() {
        let row = Row { workload: Workload::custom(u32::MAX, u32::MAX), ..Row::sweep(true)[0] };
        assert_eq!(row.tensor(), u64::MAX);
    }
}
