//! The time that plans and recordings take on the thread that makes them, next to wgpu's own calls for the same.
//!
//! Two things that are compared are measured alternately in the same run. Dropping is off the clock, and so is the submit that
//! flushes queue writes.

use crate::kinds::{ByHand, KINDS, Kind, Made, SHAPE};
use crate::set::Set;
use crate::statistics::Summary;
use anyhow::{Context as _, Result};
use std::hint::black_box;
use std::time::Instant;
use tweedie::gpu::{Context, Drawn, Map, Noise, NoiseKey, Plan, Step};
use tweedie::headless::Gpu;
use tweedie::table::{Matrix, StepRow, Table};
use tweedie::{Schedule, Tensor};

/// Runs, and those before them that warm up.
const RUNS: usize = 60;
const WARM_UP: usize = 5;
/// Repetitions in a run, whose time is divided by them.
const TIMES: usize = 50;
const RECORDINGS: usize = 1000;
const HALF: Matrix = [[0.5, 0.5], [0.0, 0.0]];

/// A time of the host, in milliseconds.
pub struct HostTime {
    pub what: String,
    pub summary: Summary,
    /// The time of the same by wgpu's own calls.
    pub by_hand: Option<Summary>,
    pub runs: usize,
}

struct Host<'a> {
    gpu: &'a Gpu,
    context: &'a Context,
    here: Set,
    there: Set,
    runs: usize,
    times: Vec<HostTime>,
}

/// Measures all of the host's times, in this many runs or in the usual number.
pub fn measure(gpu: &Gpu, context: &Context, schedule: &Schedule, runs: Option<usize>) -> Result<Vec<HostTime>> {
    let [here, there] = [Kind::set(gpu, context, 1)?, Kind::set(gpu, context, 2)?];
    let mut host = Host { gpu, context, here, there, runs: runs.unwrap_or(RUNS), times: Vec::new() };
    for kind in &KINDS {
        let made = kind.plan(schedule, context, &host.here)?;
        host.record(kind, &made)?;
        host.moved(kind, &made)?;
    }
    host.plans()?;
    host.writes()?;
    host.readback()?;
    Ok(host.times)
}

/// Measures the milliseconds of one of `TIMES` things that `make` makes; they are dropped off the clock.
fn spread<T>(mut make: impl FnMut(usize) -> Result<T>) -> Result<f64> {
    let mut made = Vec::with_capacity(TIMES);
    let begun = Instant::now();
    for index in 0..TIMES {
        made.push(make(index)?);
    }
    let taken = begun.elapsed();
    drop(black_box(made));
    Ok(taken.as_secs_f64() * 1e3 / TIMES as f64)
}

/// A run by wgpu's own calls.
type ByHandTime<'a> = dyn Fn() -> Result<f64> + 'a;

impl Host<'_> {
    /// Adds a time, and that of the same by hand; each run measures both.
    fn add(
        &mut self,
        what: String,
        ours: impl Fn(&Self) -> Result<f64>,
        by_hand: Option<&ByHandTime<'_>>,
    ) -> Result<()> {
        let mut times = [Vec::new(), Vec::new()];
        for run in 0..WARM_UP + self.runs {
            let both = [Some(ours(self)?), by_hand.map(|by_hand| by_hand()).transpose()?];
            // Flushes whatever waits for a submit.
            self.gpu.submit(|_| ())?;
            if run >= WARM_UP {
                times.iter_mut().zip(both).for_each(|(times, time)| times.extend(time));
            }
        }
        let [ours, by_hand] = times.map(Summary::of);
        self.times.push(HostTime { what, summary: ours.context("no runs")?, by_hand, runs: self.runs });
        Ok(())
    }

    /// Adds the time of a recording in a long pass, which is dropped; and its part of the time to finish that pass's encoder.
    fn record(&mut self, kind: &Kind, made: &Made) -> Result<()> {
        let run = |host: &Self, finishes: bool| -> Result<f64> {
            let mut encoder = host.gpu.device.create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            let begun = Instant::now();
            (0..RECORDINGS).try_for_each(|_| made.record(&mut pass))?;
            let recorded = begun.elapsed();
            drop(pass);
            let begun = Instant::now();
            let taken = if finishes { (encoder.finish(), begun.elapsed()).1 } else { recorded };
            Ok(taken.as_secs_f64() * 1e3 / RECORDINGS as f64)
        };
        self.add(format!("record_{}", kind.name), |host| run(host, false), None)?;
        self.add(format!("finish_{}", kind.name), |host| run(host, true), None)
    }

    /// Adds the time of moving a plan to and fro between two sets of tensors, and of bind groups of the same bindings.
    fn moved(&mut self, kind: &Kind, made: &Made) -> Result<()> {
        let by_hand = kind.dispatches.iter().map(|&bindings| ByHand::new(&self.gpu.device, bindings));
        let by_hand: Vec<_> = by_hand.collect();
        let ours = |host: &Self| {
            let roles = [&host.there, &host.here].map(|set| kind.roles(set));
            spread(|index| Ok(made.moved(host.context, &roles[index % 2])?))
        };
        let by_hand = || spread(|_| Ok(by_hand.iter().map(ByHand::group).collect::<Vec<_>>()));
        self.add(format!("moved_{}", kind.name), ours, Some(&by_hand))
    }

    fn map(&self, table: &Table) -> Result<Plan> {
        let (set, in1) = (&self.here, Noise::Drawn(Drawn::new(NoiseKey::seed(1))));
        let (in0, out0) = (Some(set.input(0)), set.output(0));
        Ok(Map { table, shape: SHAPE, timesteps: set.timesteps(), in0, in1, out0, out1: None }.plan(self.context)?)
    }

    fn step(&self, rows: &[StepRow]) -> Result<Plan> {
        let set = &self.here;
        let step = Step { next: set.output(0), ..Step::in_place(rows, SHAPE, set.input(0), set.input(1)) };
        Ok(step.plan(self.context)?)
    }

    /// Adds the times of plans whose pipelines are compiled. A map's timesteps come from a buffer, a step's call is the batch's.
    fn plans(&mut self) -> Result<()> {
        for rows in [1, 20, 1000] {
            let table = Table::new(vec![HALF; rows]);
            self.add(format!("plan_map_{rows}"), |host| spread(|_| host.map(&table)), None)?;
            let table = vec![StepRow::IDENTITY; rows];
            self.add(format!("plan_step_{rows}"), |host| spread(|_| host.step(&table)), None)?;
        }
        Ok(())
    }

    /// Adds the times of writing rows and keys into a plan, and of wgpu's own writes of the same number of bytes.
    fn writes(&mut self) -> Result<()> {
        const MATRIX: usize = 16;
        const KEY: usize = 32;
        let queue = self.gpu.queue.clone();
        let plan = self.map(&Table::new([HALF; 1000]))?;
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let (label, size) = (Some("tweedie-bench::written"), 1000 * MATRIX as u64);
        let own = wgpu::BufferDescriptor { label, size, usage, mapped_at_creation: false };
        let own = self.gpu.device.create_buffer(&own);
        let bytes = vec![1; 1000 * MATRIX];
        let write = |count: usize| queue.write_buffer(&own, 0, &bytes[..count]);
        let by_hand = |count: usize| {
            spread(|_| {
                write(count);
                Ok(())
            })
        };
        for rows in [20, 1000] {
            let table = vec![HALF; rows];
            let ours = |_: &Self| spread(|_| Ok(plan.set_rows(&queue, 0, &table)?));
            self.add(format!("set_rows_{rows}"), ours, Some(&|| by_hand(rows * MATRIX)))?;
        }
        // One call for the batch: each row has an aligned slot.
        let table = vec![StepRow::IDENTITY; 1000];
        let steps = self.step(&table)?;
        for rows in [20, 1000] {
            let ours = |_: &Self| spread(|_| Ok(steps.set_rows(&queue, 0, &table[..rows])?));
            self.add(format!("set_rows_step_{rows}"), ours, None)?;
        }
        let ours = |_: &Self| spread(|_| Ok(plan.set_key(&queue, 0, NoiseKey::seed(2))?));
        self.add("set_key".into(), ours, Some(&|| by_hand(KEY)))
    }

    /// Adds the time of reading a tensor back, which callers do and wait for themselves.
    fn readback(&mut self) -> Result<()> {
        let ours = |host: &Self| {
            let Tensor { buffer, .. } = host.here.output(0);
            let begun = Instant::now();
            black_box(pollster::block_on(host.gpu.download(buffer, 0..buffer.size()))?);
            Ok(begun.elapsed().as_secs_f64() * 1e3)
        };
        self.add("readback".into(), ours, None)
    }
}
