//! The time that one piece of work takes on the device.
//!
//! Timestamp queries measure the work alone. A software driver, or a device without timestamps, is measured by wall
//! time from the first call of the encoder until the device is idle. That is all that a caller waits for, and what is
//! measured of PyTorch on a CPU.

use crate::copies::{self, Copier, Pieces};
use anyhow::{Result, bail};
use std::time::Instant;
use tweedie::gpu::{Plan, RecordError, Recording};
use tweedie::headless::Gpu;

/// Work that is timed.
#[derive(Debug)]
pub enum Work {
    Plan(Plan),
    BufferCopy(Pieces),
    StreamCopy(Pieces),
}

/// Where the times of the table come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    Timestamp,
    Wall,
}

impl Timer {
    pub const fn name(self) -> &'static str {
        match self {
            Timer::Timestamp => "timestamp",
            Timer::Wall => "wall",
        }
    }
}

/// The most pieces of work whose timestamps are read back at once.
pub const MOST_AT_ONCE: usize = 96;

struct Queries {
    set: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    milliseconds: f64,
}

/// A query set, and the index of the timestamp of the beginning; that of the end is the next.
type Marks<'a> = Option<(&'a wgpu::QuerySet, u32)>;

/// A device and the means to time it.
pub struct Clock {
    pub gpu: Gpu,
    pub copier: Copier,
    queries: Option<Queries>,
}

impl Clock {
    pub fn new(gpu: Gpu) -> Result<Self> {
        let copier = Copier::new(&gpu);
        let queries = gpu.device.features().contains(wgpu::Features::TIMESTAMP_QUERY).then(|| Queries {
            set: gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("tweedie-bench::timestamps"),
                ty: wgpu::QueryType::Timestamp,
                count: 2 * MOST_AT_ONCE as u32,
            }),
            resolved: gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("tweedie-bench::resolved"),
                size: 16 * MOST_AT_ONCE as u64,
                usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            }),
            milliseconds: f64::from(gpu.queue.get_timestamp_period()) / 1e6,
        });
        gpu.check()?;
        Ok(Self { gpu, copier, queries })
    }

    /// Returns where the times of the table come from.
    pub fn timer(&self) -> Timer {
        let software = self.gpu.info.device_type == wgpu::DeviceType::Cpu;
        if self.has_timestamps() && !software { Timer::Timestamp } else { Timer::Wall }
    }

    pub fn has_timestamps(&self) -> bool {
        self.queries.is_some()
    }

    /// Measures the wall time in milliseconds of one piece of work: recorded, submitted and waited for.
    pub fn wall(&self, work: &Work) -> Result<f64> {
        let begun = Instant::now();
        self.submit(work, None)?;
        self.gpu.wait()?;
        Ok(begun.elapsed().as_secs_f64() * 1e3)
    }

    /// Measures the milliseconds on the device of each piece of work; of at most [`MOST_AT_ONCE`] of them.
    ///
    /// Each is a submit of its own, which the device executes one after the other, so that they do not overlap; the host waits
    /// once, so that the device does not idle between two.
    pub fn timestamps(&self, works: &[&Work]) -> Result<Vec<f64>> {
        let Some(queries) = &self.queries else {
            bail!("the device has no timestamps");
        };
        for (index, work) in (0u32..).zip(works) {
            self.submit(work, Some((&queries.set, 2 * index)))?;
        }
        let count = 2 * works.len() as u32;
        let resolve = |encoder: &mut wgpu::CommandEncoder| {
            encoder.resolve_query_set(&queries.set, 0..count, &queries.resolved, 0);
        };
        self.gpu.submit(resolve)?;
        let range = 0..u64::from(count) * 8;
        let bytes = pollster::block_on(self.gpu.download(&queries.resolved, range))?;
        let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&bytes);
        Ok(ticks.chunks_exact(2).map(|pair| pair[1].saturating_sub(pair[0]) as f64 * queries.milliseconds).collect())
    }

    fn submit(&self, work: &Work, marks: Marks<'_>) -> Result<()> {
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        self.encode(&mut encoder, work, marks)?;
        self.gpu.queue.submit([encoder.finish()]);
        Ok(())
    }

    fn encode(&self, encoder: &mut wgpu::CommandEncoder, work: &Work, marks: Marks<'_>) -> Result<(), RecordError> {
        let (begin, end) = (marks.map(|(_, index)| index), marks.map(|(_, index)| index + 1));
        match work {
            Work::Plan(plan) => plan.record(&mut pass(encoder, marks, begin, end), Recording::per_sample())?,
            Work::StreamCopy(pieces) => self.copier.record(&mut pass(encoder, marks, begin, end), pieces),
            // Timestamps belong to passes: an empty one is recorded before the copy and one after it.
            Work::BufferCopy(pieces) => {
                if marks.is_some() {
                    drop(pass(encoder, marks, None, begin));
                }
                copies::encode(encoder, pieces);
                if marks.is_some() {
                    drop(pass(encoder, marks, end, None));
                }
            }
        }
        Ok(())
    }
}

fn pass<'a>(
    encoder: &'a mut wgpu::CommandEncoder,
    marks: Marks<'_>,
    begin: Option<u32>,
    end: Option<u32>,
) -> wgpu::ComputePass<'a> {
    let timestamp_writes = marks.map(|(query_set, _)| wgpu::ComputePassTimestampWrites {
        query_set,
        beginning_of_pass_write_index: begin,
        end_of_pass_write_index: end,
    });
    encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some("tweedie-bench::timed"), timestamp_writes })
}
