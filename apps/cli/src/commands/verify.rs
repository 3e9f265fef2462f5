//! `tweedie verify`: every op on an adapter against the f64 reference.

use crate::engine::{Adapter, gpu_failure, plan_failure};
use crate::progress::Progress;
use crate::report::{Failure, Outcome, say};
use crate::schedule_args::ScheduleArgs;
use anyhow::anyhow;
use clap::builder::Resettable;
use serde_json::json;
use tweedie::gpu::compare::Comparison;
use tweedie::headless::Gpu;
use tweedie::{Schedule, Storage};
use verify::{checks, recorded_runs, usual_schedules};

/// Check every op on an adapter against the f64 reference
///
/// Checks all ops, quantities, storage types and a spread of shapes, at the timesteps that matter (0, 1, T/2, T-2, T-1), with
/// noise given and drawn; losses of every kind and terms of the variational bound, with their gradients; and loops of every
/// kind of solver, each step by itself. Without schedule options, several schedules are checked: linear, cosine, Stable
/// Diffusion's with zero terminal SNR, and a short one of each process that is not variance preserving. Recorded runs of ComfyUI
/// and of the classes of diffusers are then replayed whole in f32, from their settings, their noise or seed and the outputs of
/// their network to their result.
///
/// Errors are shown as a fraction of their bound (at most 1 passes) and in units of the last place (ULP) of the storage. Exits
/// with 1 if an error exceeds its bound.
#[derive(clap::Args, Clone, Debug)]
pub struct Verify {
    /// Only these storage types, separated by commas [default: f32,f16,bf16]
    #[arg(long, value_name = "TYPE,..", value_delimiter = ',')]
    storage: Vec<Storage>,

    /// Make coefficients on the adapter wrong by 1% (at T/2, or in every step of a loop): every check must then fail, which shows
    /// that it can
    #[arg(long)]
    wrong_coefficient: bool,

    #[command(flatten)]
    schedule: ScheduleArgs,

    /// The adapter: its index or a part of its name, as `tweedie devices` lists them [default: the best one]
    #[arg(long, value_name = "ADAPTER", help_heading = Resettable::Reset)]
    adapter: Option<String>,
}

/// The result of a check, over all shapes.
struct Finding {
    op: String,
    comparison: Comparison,
    storage: Storage,
}

impl Verify {
    pub fn run(&self, json: bool) -> Outcome {
        let schedules = self.schedules()?;
        let storages = if self.storage.is_empty() { Storage::ALL.to_vec() } else { self.storage.clone() };
        let adapter = Adapter::open(self.adapter.as_deref(), Storage::F32)?;
        if !json {
            say(format_args!("{}", Gpu::describe(&adapter.gpu.info)))?;
        }
        let mut checks = checks(&schedules, &storages).map_err(failure)?;
        // A recorded run has a schedule of its own.
        if self.schedule == ScheduleArgs::default() && storages.contains(&Storage::F32) {
            checks.extend(recorded_runs().map_err(failure)?);
        }
        let mut progress = Progress::new("verifying", checks.len() as u64);
        let mut findings = Vec::new();
        for check in &checks {
            let run = check.run(&adapter.gpu, &adapter.context, self.wrong_coefficient);
            let comparison = pollster::block_on(run).map_err(failure)?;
            findings.push(Finding { op: check.name.clone(), comparison, storage: check.storage });
            progress.advance(1);
        }
        drop(progress);
        let failed = findings.iter().filter(|finding| !finding.comparison.passes()).count();
        if json {
            findings.iter().try_for_each(|finding| say(object(&adapter, finding)))?;
        } else {
            print(&findings)?;
        }
        if failed > 0 {
            return Err(Failure::check(anyhow!("{failed} of {} checks exceed their bounds", findings.len())));
        }
        if !json {
            let elements: u64 = findings.iter().map(|finding| finding.comparison.count).sum();
            say(format_args!("all {} checks passed ({elements} elements)", findings.len()))?;
        }
        Ok(())
    }

    fn schedules(&self) -> Outcome<Vec<(String, Schedule)>> {
        if self.schedule != ScheduleArgs::default() {
            return Ok(vec![("schedule".into(), self.schedule.build()?)]);
        }
        usual_schedules().map_err(failure)
    }
}

/// Classifies an error: a schedule comes from the options, anything else is a GPU error.
fn failure(error: verify::Error) -> Failure {
    match error {
        verify::Error::Plan(error) => plan_failure(error),
        verify::Error::Gpu(error) => gpu_failure(error),
        verify::Error::Schedule(_) => Failure::input(anyhow!(error)),
        _ => Failure::gpu(anyhow!(error)),
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
        "adapter": Gpu::describe(&adapter.gpu.info),
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
