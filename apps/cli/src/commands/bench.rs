//! `tweedie bench`: how fast the ops are on an adapter, against a copy of as many bytes and against other programs.

use crate::bench::compare::{Pair, join};
use crate::bench::lines::{self, Line, Sink};
use crate::bench::ops::{OPS, Op};
use crate::bench::runner::{Measured, Runner};
use crate::bench::table::{self, Skipped};
use crate::bench::workloads::{SWEEP, WORKLOADS, Workload};
use crate::bench::{interrupt, page};
use crate::engine::gpu_failure;
use crate::progress::Progress;
use crate::report::{Failure, Outcome, say, warn};
use anyhow::{Context as _, anyhow};
use files::atomic::check_destination;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tweedie::Storage;
use tweedie::headless::{Gpu, describe};

/// Measure the ops on your adapter against a plain copy, and against other programs
///
/// For each op, storage and workload: the time on the device (by timestamp queries where the adapter has them, else wall
/// time around a submit; the table says which), beside copy_buffer_to_buffer and a streaming copy shader that move as many
/// bytes in the same run. The buffers change with every run, so that no cache answers for memory. Ctrl-C stops after the
/// current row (exit code 130).
///
/// The PyTorch script benches/peers/torch_bench.py prints lines that --compare reads.
#[derive(clap::Args, Clone, Debug)]
pub struct Bench {
    /// The ops [default: all]
    #[arg(long = "op", value_name = "NAME,..", value_delimiter = ',', value_parser = Op::named, help = ops_help())]
    ops: Vec<&'static Op>,

    /// The workloads
    #[arg(long = "workload", value_name = "NAME,..", value_delimiter = ',', value_parser = Workload::named, help = workloads_help())]
    workloads: Vec<Workload>,

    /// A workload of your own: samples
    #[arg(long, value_name = "B", requires = "elements", value_parser = clap::value_parser!(u32).range(1..))]
    batch: Option<u32>,

    /// A workload of your own: elements of a sample
    #[arg(long, value_name = "E", requires = "batch", value_parser = clap::value_parser!(u32).range(1..))]
    elements: Option<u32>,

    /// How tensors are stored: f32, f16 or bf16
    #[arg(long, value_name = "TYPE,..", value_delimiter = ',', default_value = "f32")]
    storage: Vec<Storage>,

    /// The adapter: its index or a part of its name, as `tweedie devices` lists them [default: the best one]
    #[arg(long, value_name = "ADAPTER")]
    adapter: Option<String>,

    /// Sets of buffers that runs take in turns: 1 lets a cache answer for memory, as programs do that time one set
    /// [default: as many as no cache holds]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    sets: Option<u32>,

    /// Runs of each row [default: 15, and more of short ones]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,

    /// Write one JSON object a line, as rows are measured; - is standard output. An interrupted run leaves the lines
    /// measured so far
    #[arg(long, value_name = "FILE", value_parser = Json::file)]
    json: Option<Json>,

    /// Print the ratio of times to the lines of another program, or of an earlier run
    #[arg(long, value_name = "FILE.jsonl")]
    compare: Option<PathBuf>,

    /// Measure nothing, and take these lines of an earlier run for ours
    #[arg(long, value_name = "FILE.jsonl", conflicts_with_all = ["ops", "workloads", "batch", "storage", "adapter", "sets", "runs", "json"])]
    with: Option<PathBuf>,

    /// Write DIR/index.html with plots, fraction.svg and size.svg; measures a range of sizes too
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

/// What `--json` means: a flag for the other commands, and a file here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    No,
    Stdout,
    File(PathBuf),
}

impl Json {
    /// The flag, in clap's words for it.
    pub fn flag(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "true" { Json::Stdout } else { Json::No })
    }

    /// The name of a file.
    pub fn file(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "-" { Json::Stdout } else { Json::File(text.into()) })
    }
}

fn ops_help() -> String {
    format!("The ops, of {} [default: all]", OPS.map(|op| op.name).join(", "))
}

fn workloads_help() -> String {
    let names = WORKLOADS.map(|workload| workload.name).join(", ");
    format!("The workloads, of {names} [default: all but bulk]")
}

/// How far the size plot goes: bytes of a tensor, on a software driver and on a GPU.
const SWEEP_SOFTWARE: u64 = 128 << 20;
const SWEEP_GPU: u64 = 1 << 30;
/// The ops of the size plot; beside them, the streaming copy.
const SWEEP_OPS: [&str; 2] = ["noise", "draw_noise_target_v"];

/// What was measured, or read.
#[derive(Default)]
struct Results {
    lines: Vec<Line>,
    sweep: Vec<Line>,
    skipped: Vec<Skipped>,
}

impl Bench {
    /// Runs, and returns the exit code of a run that was interrupted.
    pub fn run(&self) -> Outcome<Option<ExitCode>> {
        let theirs = self.compare.as_deref().map(lines::read).transpose()?.unwrap_or_default();
        if let Some(folder) = &self.report {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let results = match &self.with {
            Some(path) => read(path)?,
            None => self.measure()?,
        };
        let quiet = self.json == Some(Json::Stdout);
        let pairs = join(&results.lines, &theirs);
        if self.compare.is_some() {
            if pairs.is_empty() {
                warn("no line of --compare has the workload, op and storage of one of ours");
            } else if !quiet {
                say(format_args!("\n{}", table::pairs(&pairs).trim_end()))?;
            }
        }
        if let Some(folder) = &self.report {
            let path = report(folder, &results, &pairs)?;
            if !quiet {
                say(format_args!("\n-> {}", path.display()))?;
            }
        }
        Ok(interrupt::requested().then(|| ExitCode::from(interrupt::EXIT_CODE)))
    }

    fn measure(&self) -> Outcome<Results> {
        if let Some(Json::File(path)) = &self.json {
            check_destination(path)?;
        }
        let gpu = pollster::block_on(Gpu::open(self.adapter.as_deref())).map_err(gpu_failure)?;
        let mut sink = match &self.json {
            Some(Json::File(path)) => Sink::create(path)?,
            Some(Json::Stdout) => Sink::Stdout,
            Some(Json::No) | None => Sink::Nowhere,
        };
        let quiet = matches!(sink, Sink::Stdout);
        interrupt::listen();
        if !quiet {
            say(format_args!("{}", describe(&gpu.info)))?;
        }
        let software = gpu.info.device_type == wgpu::DeviceType::Cpu;
        let mut runner = Runner::new(gpu, self.runs.map(|runs| runs as usize), self.sets.map(u64::from))?;
        let results = self.all(&mut runner, &mut sink, software)?;
        if quiet {
            for Skipped { op, workload, storage, reason } in &results.skipped {
                warn(format_args!("{op} {workload} {storage} skipped: {reason}"));
            }
        } else {
            say(format_args!("\n{}", table::rows(&results.lines, &results.skipped)))?;
            say(table::legend(&results.lines))?;
            say(format_args!("\n{}", table::first_uses(&runner.first_uses).trim_end()))?;
            say(format_args!("\n{}", table::fixed_costs(&runner.fixed_costs()?).trim_end()))?;
            if !results.sweep.is_empty() {
                say(format_args!("\n{}", table::sweep(&results.sweep).trim_end()))?;
            }
        }
        match results.skipped.first() {
            Some(skipped) if results.lines.is_empty() => {
                Err(Failure::gpu(anyhow!("nothing was measured: {}: {}", skipped.workload, skipped.reason)))
            }
            _ => Ok(results),
        }
    }

    /// Every row, and every size if there is a report to draw, until Ctrl-C.
    fn all(&self, runner: &mut Runner, sink: &mut Sink, software: bool) -> Outcome<Results> {
        let mut rows = Vec::new();
        for &storage in &self.storage {
            for workload in self.workloads() {
                rows.extend(self.ops().into_iter().map(|op| (op, workload, storage)));
            }
        }
        let most = if software { SWEEP_SOFTWARE } else { SWEEP_GPU };
        let sizes = if self.report.is_some() { Workload::sweep(most) } else { Vec::new() };
        let subjects = SWEEP_OPS.map(|name| Op::named(name).ok()).into_iter().filter(Option::is_some).chain([None]);
        let sweep: Vec<_> = subjects.flat_map(|op| sizes.iter().map(move |&size| (op, size))).collect();

        let mut results = Results::default();
        let mut progress = Progress::new("measuring", (rows.len() + sweep.len()) as u64);
        for (op, workload, storage) in rows {
            if interrupt::requested() {
                return Ok(results);
            }
            match runner.row(op, workload, storage)? {
                Measured::Line(line) => {
                    sink.put(&line)?;
                    results.lines.push(*line);
                }
                Measured::Skipped(reason) => {
                    let (workload, storage) = (workload.name, storage.name());
                    results.skipped.push(Skipped { op: op.name, workload, storage, reason });
                }
            }
            progress.advance(1);
        }
        for (op, size) in sweep {
            if interrupt::requested() {
                break;
            }
            // The plot ends where memory ends.
            if let Measured::Line(line) = runner.alone(op, size)? {
                sink.put(&line)?;
                results.sweep.push(*line);
            }
            progress.advance(1);
        }
        Ok(results)
    }

    fn ops(&self) -> Vec<&'static Op> {
        if self.ops.is_empty() { OPS.iter().collect() } else { self.ops.clone() }
    }

    fn workloads(&self) -> Vec<Workload> {
        let custom = self.batch.zip(self.elements).map(|(batch, elements)| Workload::custom(batch, elements));
        if self.workloads.is_empty() && custom.is_none() {
            return WORKLOADS.into_iter().filter(|workload| workload.usual).collect();
        }
        self.workloads.iter().copied().chain(custom).collect()
    }
}

/// An earlier run in place of a measurement.
fn read(path: &Path) -> Outcome<Results> {
    let (sweep, lines) = lines::read(path)?.into_iter().partition(|line| line.workload == SWEEP);
    Ok(Results { lines, sweep, skipped: Vec::new() })
}

fn report(folder: &Path, results: &Results, pairs: &[Pair<'_>]) -> Outcome<PathBuf> {
    let Results { lines, sweep, skipped } = results;
    let page = page::Page { lines, sweep, pairs, skipped };
    Ok(page.save(folder)?)
}
