//! `tweedie bench`: the speed of the ops on an adapter, compared with a copy of as many bytes and with other programs.

use crate::engine::gpu_failure;
use crate::interrupt;
use crate::progress::Progress;
use crate::report::{Failure, Outcome, say, warn};
use anyhow::{Context as _, anyhow};
use files::atomic;
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tweedie::Storage;
use tweedie::headless::Gpu;
use tweedie_bench::compare::join;
use tweedie_bench::lines;
use tweedie_bench::ops::{OPS, Op};
use tweedie_bench::page::Page;
use tweedie_bench::results::{Results, Skipped};
use tweedie_bench::runner::{Row, Runner};
use tweedie_bench::table;
use tweedie_bench::workloads::{WORKLOADS, Workload};

/// Measure the ops on your adapter against a plain copy, and against other programs
///
/// For each op, storage and workload, measures the time on the device (by timestamp queries where the adapter has them, else
/// wall time around a submit; the table says which), and in the same run that of copy_buffer_to_buffer and of a streaming copy
/// shader that move as many bytes. Each run takes other buffers, so that memory is measured and not a cache. Ctrl-C stops
/// after the current row (exit code 130).
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

    /// A workload of your own: the number of samples
    #[arg(long, value_name = "B", requires = "elements", value_parser = clap::value_parser!(u32).range(1..))]
    batch: Option<u32>,

    /// A workload of your own: the elements in a sample
    #[arg(long, value_name = "E", requires = "batch", value_parser = clap::value_parser!(u32).range(1..))]
    elements: Option<u32>,

    /// How tensors are stored: f32, f16 or bf16
    #[arg(long, value_name = "TYPE,..", value_delimiter = ',', default_value = "f32")]
    storage: Vec<Storage>,

    /// The adapter: its index or a part of its name, as `tweedie devices` lists them [default: the best one]
    #[arg(long, value_name = "ADAPTER")]
    adapter: Option<String>,

    /// The sets of buffers that runs take in turn; with 1, a cache may take the place of memory, as in programs that time one
    /// set [default: enough that no cache holds them]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    sets: Option<u32>,

    /// The runs of each row [default: 15, more if they are short]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,

    /// Write JSON, one object per line, as rows are measured; - is standard output. An interrupted run leaves the lines
    /// measured so far
    #[arg(long, value_name = "FILE", value_parser = Json::file)]
    json: Option<Json>,

    /// Print how the times compare with these lines, of another program or of an earlier run
    #[arg(long, value_name = "FILE.jsonl")]
    compare: Option<PathBuf>,

    /// Measure nothing, and use these lines of an earlier run instead
    #[arg(long, value_name = "FILE.jsonl", conflicts_with_all = ["ops", "workloads", "batch", "storage", "adapter", "sets", "runs", "json"])]
    with: Option<PathBuf>,

    /// Measure only the times on the host: recording, moving, writing and making plans, next to wgpu's own calls for the same
    /// work, and first uses
    #[arg(long, conflicts_with_all = ["ops", "workloads", "batch", "storage", "sets", "with", "report"])]
    host: bool,

    /// Write DIR/index.html with plots, fraction.svg and size.svg; a range of sizes is measured too
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

/// The value of `--json`: a flag for the other commands, and a file here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    No,
    Stdout,
    File(PathBuf),
}

impl Json {
    /// Reads the flag, as clap spells it.
    pub fn flag(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "true" { Json::Stdout } else { Json::No })
    }

    /// Reads the name of a file.
    pub fn file(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "-" { Json::Stdout } else { Json::File(text.into()) })
    }
}

fn ops_help() -> String {
    format!("The ops: {} [default: all]", OPS.map(|op| op.name).join(", "))
}

fn workloads_help() -> String {
    let names = WORKLOADS.map(|workload| workload.name).join(", ");
    format!("The workloads: {names} [default: all but bulk]")
}

impl Bench {
    /// Runs the benchmark, and returns the exit code if it was interrupted.
    pub fn run(&self) -> Outcome<Option<ExitCode>> {
        let theirs = self.compare.as_deref().map(lines::read).transpose()?.unwrap_or_default();
        if let Some(folder) = &self.report {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let results = match &self.with {
            Some(path) => Results::read(path)?,
            None => self.measure()?,
        };
        let ours = [&results.lines[..], &results.host].concat();
        let pairs = join(&ours, &theirs);
        if self.compare.is_some() && pairs.is_empty() {
            warn("no line of --compare has the workload, op and storage of one of ours");
        } else if !pairs.is_empty() && !self.quiet() {
            say(format_args!("\n{}", table::pairs(&pairs).trim_end()))?;
        }
        if let Some(folder) = &self.report {
            let path = save(folder, &Page { results: &results, pairs: &pairs })?;
            if !self.quiet() {
                say(format_args!("\n-> {}", path.display()))?;
            }
        }
        Ok(interrupt::requested().then(|| ExitCode::from(interrupt::EXIT_CODE)))
    }

    /// Returns whether standard output is for JSON alone.
    fn quiet(&self) -> bool {
        self.json == Some(Json::Stdout)
    }

    fn measure(&self) -> Outcome<Results> {
        // A missing folder is reported before an adapter is looked for; the file is replaced only after one is found.
        if let Some(Json::File(path)) = &self.json {
            atomic::check_destination(path)?;
        }
        let gpu = pollster::block_on(Gpu::open(self.adapter.as_deref())).map_err(gpu_failure)?;
        let mut json = self.json_lines()?;
        interrupt::listen();
        if !self.quiet() {
            say(format_args!("{}", Gpu::describe(&gpu.info)))?;
        }
        let rows = self.rows(gpu.info.device_type == wgpu::DeviceType::Cpu);
        let mut runner =
            Runner::new(gpu, self.runs.map(|runs| runs as usize), self.sets.map(u64::from)).map_err(Failure::gpu)?;
        let results =
            if self.host { measure_host(&runner, &mut *json) } else { measure_rows(&mut runner, &rows, &mut *json) };
        let results = results?;
        self.print(&results, &runner)?;
        match results.skipped.first() {
            Some(skipped) if results.lines.is_empty() && !self.host => {
                Err(Failure::gpu(anyhow!("nothing was measured: {}: {}", skipped.workload, skipped.reason)))
            }
            _ => Ok(results),
        }
    }

    /// Opens the destination of result lines. Unlike other files of the tool this one grows while the tool runs.
    fn json_lines(&self) -> Outcome<Box<dyn Write>> {
        Ok(match &self.json {
            Some(Json::File(path)) => {
                Box::new(File::create(path).with_context(|| format!("cannot write {}", path.display()))?)
            }
            Some(Json::Stdout) => Box::new(io::stdout()),
            Some(Json::No) | None => Box::new(io::sink()),
        })
    }

    /// Lists everything to measure: the rows of the table, and the sizes of a report.
    fn rows(&self, software: bool) -> Vec<Row> {
        let (ops, workloads) = (self.ops(), self.workloads());
        let mut rows = Vec::new();
        for &storage in &self.storage {
            for &workload in &workloads {
                rows.extend(ops.iter().map(|&op| Row { op: Some(op), workload, storage, with_copies: true }));
            }
        }
        if self.report.is_some() {
            rows.extend(Row::sweep(software));
        }
        rows
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

    fn print(&self, results: &Results, runner: &Runner) -> Outcome {
        if self.quiet() {
            for Skipped { op, workload, storage, reason } in &results.skipped {
                warn(format_args!("{op} {workload} {storage} skipped: {reason}"));
            }
            return Ok(());
        }
        if self.host {
            return say(format_args!("\n{}", table::host(&results.host).trim_end()));
        }
        say(format_args!("\n{}", table::rows(&results.lines, &results.skipped)))?;
        say(table::legend(&results.lines))?;
        say(format_args!("\n{}", table::first_uses(&runner.first_uses).trim_end()))?;
        let costs = runner.fixed_costs().map_err(Failure::gpu)?;
        say(format_args!("\n{}", table::fixed_costs(&costs).trim_end()))?;
        if !results.sweep.is_empty() {
            say(format_args!("\n{}", table::sweep(&results.sweep).trim_end()))?;
        }
        Ok(())
    }
}

/// Measures the host's times, and writes their lines.
fn measure_host(runner: &Runner, json: &mut dyn Write) -> Outcome<Results> {
    let host = runner.host().map_err(Failure::gpu)?;
    host.iter().try_for_each(|line| lines::write(json, line))?;
    Ok(Results { host, ..Results::default() })
}

/// Measures row after row until Ctrl-C, and writes each line as soon as it is measured.
fn measure_rows(runner: &mut Runner, rows: &[Row], json: &mut dyn Write) -> Outcome<Results> {
    let mut results = Results::default();
    let mut progress = Progress::new("measuring", rows.len() as u64);
    for row in rows {
        if interrupt::requested() {
            break;
        }
        let measured = runner.measure(row).map_err(Failure::gpu)?;
        if let Some(line) = results.add(row, measured) {
            lines::write(json, line)?;
        }
        progress.advance(1);
    }
    Ok(results)
}

/// Writes the files of a report, and returns the path of the last, its page.
fn save(folder: &Path, page: &Page<'_>) -> Outcome<PathBuf> {
    let mut path = folder.to_owned();
    for (name, text) in page.files()? {
        path = folder.join(name);
        atomic::write(&path, text.as_bytes())?;
    }
    Ok(path)
}
