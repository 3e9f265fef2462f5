//! `tweedie verify`: every op on an adapter against the f64 reference.

mod bounds;
mod losses;
mod maps;
mod steps;

use super::schedule;
use crate::compute::{Adapter, narrow};
use crate::progress::Progress;
use crate::report::{Failure, Outcome, say};
use crate::schedule_args::ScheduleArgs;
use anyhow::anyhow;
use serde_json::json;
use tweedie::gpu::NoiseKey;
use tweedie::gpu::compare::Comparison;
use tweedie::headless::describe;
use tweedie::table::Table;
use tweedie::{Schedule, Shape, Storage};

/// Check every op on an adapter against the f64 reference
///
/// All ops, quantities, storage types and a spread of shapes, at the timesteps that matter (0, 1, T/2, T-2, T-1), with
/// noise given and drawn; losses of every shape and terms of the variational bound, with their gradients; and loops of every kind of solver, each step by
/// itself. Errors are shown as a fraction of their bound (at most 1 passes) and in units of the last place
/// (ULP) of the storage. Without schedule options, three schedules are checked: linear, cosine, and Stable Diffusion's
/// with zero terminal SNR. Exits with 1 when something is out of its bound.
#[derive(clap::Args, Clone, Debug)]
pub struct Verify {
    /// Only these storage types, separated by commas [default: f32,f16,bf16]
    #[arg(long, value_name = "TYPE,..", value_delimiter = ',')]
    storage: Vec<Storage>,

    /// Spoil coefficients by 1% on the adapter first (those at T/2; those of every step): every check must then fail, which shows that it can
    #[arg(long)]
    wrong_coefficient: bool,

    #[command(flatten)]
    schedule: ScheduleArgs,

    /// The adapter: its index or a part of its name, as `tweedie devices` lists them [default: the best one]
    #[arg(long, value_name = "ADAPTER")]
    adapter: Option<String>,
}

/// Elements of a sample: lanes and words, several tiles, a sample that is not a whole number of words.
const ELEMENTS: [u32; 7] = [1, 2, 7, 63, 64, 1024, 4099];

/// The timesteps of a batch: those that matter.
fn timesteps(steps: usize) -> Vec<u32> {
    let last = steps - 1;
    [0, 1, steps / 2, steps.saturating_sub(2), last].map(|t| t.min(last) as u32).to_vec()
}

/// Standard normal numbers, as the storage holds them.
fn normals(storage: Storage, seed: u64, shape: Shape) -> Vec<f32> {
    let normals = NoiseKey::seed(seed).reference(shape.batch as usize, shape.elements as usize);
    let mut values = storage.decode(&storage.encode(&narrow(&normals)));
    values.truncate(normals.len()); // without the padding
    values
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

/// A table whose row at T/2 is scaled by 1.01.
fn spoilt_at_the_middle<R: Copy>(table: &Table<R>, scale: impl Fn(R, f64) -> R) -> Table<R> {
    let middle = table.len() / 2;
    let rows = table.rows().iter().enumerate();
    Table::with_holes(rows.map(|(t, row)| row.map(|row| if t == middle { scale(row, 1.01) } else { row })))
}

/// What was seen of an op, over all shapes.
struct Finding {
    op: String,
    comparison: Comparison,
    storage: Storage,
}

impl Verify {
    pub fn run(&self, json: bool) -> Outcome {
        let schedules = self.schedules()?;
        let storages = if self.storage.is_empty() { Storage::ALL.to_vec() } else { self.storage.clone() };
        let mut adapter = Adapter::open(self.adapter.as_deref(), Storage::F32)?;
        if !json {
            say(format_args!("{}", describe(&adapter.gpu.info)))?;
        }
        let mut ops = Vec::new();
        for (name, schedule) in &schedules {
            let bounds = bounds::ops(schedule)?;
            let (losses, loops) = (losses::ops(schedule)?, steps::loops(schedule)?);
            ops.push((name, schedule.len(), maps::ops(schedule), losses, bounds, loops));
        }
        let count = |(.., maps, losses, bounds, loops): &(_, _, Vec<_>, Vec<_>, Vec<_>, Vec<_>)| {
            maps.len() + losses.len() + bounds.len() + loops.len()
        };
        let total = ops.iter().map(count).sum::<usize>() * storages.len();
        let mut progress = Progress::new("verifying", total as u64);
        let mut findings = Vec::new();
        for (name, timesteps, maps, losses, bounds, loops) in &ops {
            for &storage in &storages {
                adapter.storage = storage;
                let mut found = |finding: Finding| {
                    findings.push(Finding { op: format!("{name}: {}", finding.op), ..finding });
                    progress.advance(1);
                };
                for op in maps {
                    found(maps::check(&adapter, *timesteps, op, self.wrong_coefficient)?);
                }
                for op in losses {
                    found(losses::check(&adapter, *timesteps, op, self.wrong_coefficient)?);
                }
                for op in bounds {
                    found(bounds::check(&adapter, *timesteps, op, self.wrong_coefficient)?);
                }
                for sampling in loops {
                    found(steps::check(&adapter, sampling, self.wrong_coefficient)?);
                }
            }
        }
        drop(progress);
        let failed = findings.iter().filter(|finding| !finding.comparison.passes()).count();
        if json {
            findings.iter().try_for_each(|finding| say(object(&adapter, finding)))?;
        } else {
            print(&findings)?;
        }
        if failed > 0 {
            return Err(Failure::check(anyhow!("{failed} of {} checks are out of their bound", findings.len())));
        }
        if !json {
            let elements: u64 = findings.iter().map(|finding| finding.comparison.count).sum();
            say(format_args!("all {} checks passed ({elements} elements)", findings.len()))?;
        }
        Ok(())
    }

    fn schedules(&self) -> Outcome<Vec<(String, Schedule)>> {
        if self.schedule != ScheduleArgs::default() {
            return Ok(vec![("schedule".into(), schedule(&self.schedule)?)]);
        }
        let zero = Schedule::scaled_linear(1000, 0.00085, 0.012).and_then(|schedule| schedule.zero_terminal_snr());
        let built = [
            ("linear", Schedule::linear(1000, 1e-4, 0.02)),
            ("cosine", Schedule::cosine(1000)),
            ("zero terminal SNR", zero),
        ];
        let named = built.into_iter().map(|(name, schedule)| Ok((name.to_owned(), schedule?)));
        Ok(named.collect::<Result<_, tweedie::error::ScheduleError>>().map_err(anyhow::Error::from)?)
    }
}

fn print(findings: &[Finding]) -> Outcome {
    let width = findings.iter().map(|finding| finding.op.len()).max().unwrap_or(0);
    say(format_args!("{:<width$}  {:>7}  {:>9}  {:>8}  {:>10}", "op", "storage", "of bound", "ULP", "elements"))?;
    for Finding { op, comparison, storage } in findings {
        let verdict = if comparison.passes() { "" } else { "  FAILED" };
        let Comparison { worst_bound, worst_ulps, count, .. } = comparison;
        say(format_args!(
            "{op:<width$}  {:>7}  {worst_bound:>9.3}  {worst_ulps:>8.2}  {count:>10}{verdict}",
            storage.name()
        ))?;
    }
    Ok(())
}

fn object(adapter: &Adapter, finding: &Finding) -> serde_json::Value {
    let Finding { op, comparison, storage } = finding;
    json!({
        "adapter": describe(&adapter.gpu.info),
        "op": op,
        "storage": storage.name(),
        "of_bound": comparison.worst_bound,
        "ulps": comparison.worst_ulps,
        "error": comparison.worst_error,
        "mismatched": comparison.mismatched,
        "elements": comparison.count,
        "passed": comparison.passes(),
    })
}
