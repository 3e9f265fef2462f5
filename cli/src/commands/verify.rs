//! `tweedie verify`: every op on an adapter against the f64 reference.

use super::schedule;
use crate::compute::{Adapter, plan_failure};
use crate::progress::Progress;
use crate::report::{Failure, Outcome, say};
use crate::schedule_args::ScheduleArgs;
use anyhow::anyhow;
use serde_json::json;
use tweedie::gpu::compare::{Comparison, Exact};
use tweedie::gpu::map::reference;
use tweedie::gpu::{At, Drawn, Map, MapPlan, NoiseKey, Second, Timesteps};
use tweedie::headless::describe;
use tweedie::table::Table;
use tweedie::{Quantity, Schedule, Shape, Storage};

/// Check every op on an adapter against the f64 reference
///
/// All ops, quantities, storage types and a spread of shapes, at the timesteps that matter (0, 1, T/2, T-2, T-1), with
/// noise given and drawn. Errors are shown as a fraction of their bound (at most 1 passes) and in units of the last place
/// (ULP) of the storage. Without schedule options, three schedules are checked: linear, cosine, and Stable Diffusion's
/// with zero terminal SNR. Exits with 1 when something is out of its bound.
#[derive(clap::Args, Clone, Debug)]
pub struct Verify {
    /// Only these storage types, separated by commas [default: f32,f16,bf16]
    #[arg(long, value_name = "TYPE,..", value_delimiter = ',')]
    storage: Vec<Storage>,

    /// Spoil the coefficients at T/2 by 1% on the adapter first: every check must then fail, which shows that it can
    #[arg(long)]
    wrong_coefficient: bool,

    #[command(flatten)]
    schedule: ScheduleArgs,

    /// The adapter: its index or a part of its name, as `tweedie devices` lists them [default: the best one]
    #[arg(long, value_name = "ADAPTER")]
    adapter: Option<String>,
}

/// Samples and elements: lanes and words, several tiles, a sample that is not a whole number of words.
const ELEMENTS: [u32; 7] = [1, 2, 7, 63, 64, 1024, 4099];

/// One op: what is computed from what.
struct Op {
    name: String,
    table: Table,
    drawn: bool,
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
        let ops: Vec<_> = schedules.iter().map(|(name, schedule)| (name, schedule, ops(schedule))).collect();
        let total: usize = ops.iter().map(|(.., ops)| ops.len() * storages.len()).sum();
        let mut progress = Progress::new("verifying", total as u64);
        let mut findings = Vec::new();
        for (name, schedule, ops) in &ops {
            for &storage in &storages {
                adapter.storage = storage;
                for op in ops {
                    let spoilt = self.wrong_coefficient.then(|| spoil(&op.table));
                    let mut finding = check(&adapter, schedule.len(), op, spoilt.as_ref().unwrap_or(&op.table))?;
                    finding.op = format!("{name}: {}", finding.op);
                    findings.push(finding);
                    progress.advance(1);
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

/// Every op of a schedule: noising with every target, every prediction to every quantity, every posterior mean.
fn ops(schedule: &Schedule) -> Vec<Op> {
    let mut ops = Vec::new();
    for target in [Quantity::X0, Quantity::Epsilon, Quantity::V, Quantity::Score, Quantity::Flow] {
        // The score exists wherever there is noise, which is everywhere in these schedules unless a beta is 0.
        let Ok(table) = schedule.noising(Some(target)) else { continue };
        for drawn in [false, true] {
            let how = if drawn { "drawn noise" } else { "given noise" };
            ops.push(Op { name: format!("x_t and {target}, {how}"), table: table.clone(), drawn });
        }
    }
    let predictions = [Quantity::Epsilon, Quantity::X0, Quantity::V, Quantity::Score, Quantity::Flow];
    for given in predictions {
        for (first, second) in
            [(Quantity::X0, Quantity::Epsilon), (Quantity::V, Quantity::Flow), (Quantity::Score, Quantity::Xt)]
        {
            let table = schedule.conversion_where_defined(given, first, Some(second));
            ops.push(Op { name: format!("{given} to {first} and {second}"), table, drawn: false });
        }
        let table = schedule.posterior_mean_where_defined(given);
        ops.push(Op { name: format!("posterior mean from {given}"), table, drawn: false });
    }
    ops
}

/// The table with the coefficients at T/2 off by 1%.
fn spoil(table: &Table) -> Table {
    let middle = table.len() / 2;
    let rows = table.rows().iter().enumerate().map(|(t, row)| {
        let factor = if t == middle { 1.01 } else { 1.0 };
        row.map(|row| row.map(|row| row.map(|c| c * factor)))
    });
    Table::with_holes(rows.collect::<Vec<_>>())
}

/// Runs an op on all shapes; `table` is what the adapter gets.
fn check(adapter: &Adapter, steps: usize, op: &Op, table: &Table) -> Outcome<Finding> {
    let storage = adapter.storage;
    let mut times = vec![0, 1, steps / 2, steps.saturating_sub(2), steps - 1];
    times.iter_mut().for_each(|t| *t = (*t).min(steps - 1));
    let times: Vec<u32> = times.into_iter().map(|t| t as u32).collect();
    let mut total = Comparison::new(storage);
    for elements in ELEMENTS {
        total.merge(&check_shape(adapter, op, table, &times, elements)?);
    }
    Ok(Finding { op: op.name.clone(), comparison: total, storage })
}

fn check_shape(adapter: &Adapter, op: &Op, table: &Table, times: &[u32], elements: u32) -> Outcome<Comparison> {
    let storage = adapter.storage;
    let shape = Shape::new(times.len() as u32, elements);
    let data = |seed| -> Vec<f32> {
        let normals = NoiseKey::seed(seed).reference(times.len(), elements as usize);
        storage.decode(&storage.encode(&normals.iter().map(|&x| x as f32).collect::<Vec<_>>()))
    };
    let trim = |values: Vec<f32>| values.into_iter().take(shape.total() as usize).collect::<Vec<f32>>();
    let (in0, in1) = (trim(data(1)), trim(data(2)));
    let key = NoiseKey::seed(3).stream(7);
    let (a, b) = (adapter.upload("verify::in0", &in0), adapter.upload("verify::in1", &in1));
    let out = ["verify::out0", "verify::out1", "verify::noise"].map(|label| adapter.buffer(label, shape.total()));
    let t = adapter.gpu.upload("verify::t", bytemuck::cast_slice(times));
    let map = Map {
        table,
        shape,
        timesteps: Timesteps::per_sample(&t),
        in0: Some(adapter.tensor(&a)),
        in1: if op.drawn {
            Second::Drawn(Drawn::new(key).keep(adapter.tensor(&out[2])))
        } else {
            Second::Given(adapter.tensor(&b))
        },
        out0: adapter.tensor(&out[0]),
        out1: Some(adapter.tensor(&out[1])),
    };
    let plan = MapPlan::new(&adapter.context, &map).map_err(plan_failure)?;
    adapter.run(&plan, At::per_sample())?;

    let wide = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
    let second = if op.drawn { key.reference(times.len(), elements as usize) } else { wide(&in1) };
    let [first_exact, second_exact] = reference(&op.table, times, elements as usize, &wide(&in0), &second);
    let mut total = Comparison::new(storage);
    let mut compare = |buffer, exact: &[Exact], coefficient: f64| -> Outcome {
        let mut comparison = Comparison::new(storage).with_noise(coefficient);
        let values = storage.decode(&adapter.download(buffer, shape.total())?);
        comparison.add_all(&values, exact);
        total.merge(&comparison);
        Ok(())
    };
    let largest = |output: usize| {
        let rows = times.iter().filter_map(|&t| op.table.row(t as usize));
        if op.drawn { rows.map(|row| row[output][1].abs()).fold(0.0, f64::max) } else { 0.0 }
    };
    compare(&out[0], &first_exact, largest(0))?;
    compare(&out[1], &second_exact, largest(1))?;
    if op.drawn {
        let exact: Vec<Exact> = second.iter().map(|&z| Exact { value: z, magnitude: z.abs() }).collect();
        compare(&out[2], &exact, 1.0)?;
    }
    Ok(total)
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
