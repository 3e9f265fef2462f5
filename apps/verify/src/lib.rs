//! Every op on a device against the f64 reference: the checks of `tweedie verify` and of the web page.
//!
//! **Theory.** The checks cover all ops, quantities, storage types and a spread of shapes, at the timesteps that matter (0, 1, T/2,
//! T-2, T-1), with noise given and drawn; losses of every kind and terms of the variational bound, with their gradients; loops of
//! every kind of solver, each step by itself; and whole runs that were recorded in ComfyUI and diffusers. An error is measured as a
//! fraction of its bound; at most 1 passes. With wrong coefficients every check must fail, which shows that it can.
//!
//! **Practice.** [`checks`] and [`recorded_runs`] list the checks, and [`Check::run`] runs one. It is `async`, and never blocks in a
//! browser.

mod bounds;
mod device;
mod inexact;
mod losses;
mod maps;
mod schedulers;
mod steps;
mod tensors;
mod trajectories;

use device::Device;
pub use maps::noise_coefficients;
use std::sync::Arc;
use tweedie::error::ScheduleError;
use tweedie::gpu::compare::{Comparison, Expected};
use tweedie::gpu::{NoiseKey, PlanError, RecordError};
use tweedie::headless::{Gpu, HeadlessError};
use tweedie::math::{Model, Process};
use tweedie::table::Table;
use tweedie::{Context, Schedule, Shape, Storage};

/// The reason for which a check could not be made. A check that fails is not an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An op does not exist with this schedule.
    #[error("schedule: {0}")]
    Schedule(String),
    /// The plan was refused.
    #[error(transparent)]
    Plan(PlanError),
    /// The recording was refused.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The device failed.
    #[error(transparent)]
    Gpu(#[from] HeadlessError),
    /// A recorded run was refused.
    #[error(transparent)]
    Loop(tweedie::Error),
    /// A record of runs cannot be read.
    #[error("recorded runs: {0}")]
    Runs(String),
}

impl Error {
    fn of_schedule(error: impl std::error::Error) -> Self {
        Self::Schedule(error.to_string())
    }

    fn of_record(error: impl std::fmt::Display) -> Self {
        Self::Runs(error.to_string())
    }
}

/// Coefficients that f32 cannot hold are errors of the schedule.
impl From<PlanError> for Error {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Table(_) => Self::of_schedule(error),
            _ => Self::Plan(error),
        }
    }
}

type Outcome<T = ()> = Result<T, Error>;

/// A check that can be run.
#[derive(Clone, Debug)]
pub struct Check {
    /// The schedule and the op.
    pub name: String,
    /// Storage of its tensors.
    pub storage: Storage,
    op: Arc<Op>,
}

#[derive(Debug)]
enum Op {
    Map(maps::Op),
    Loss(losses::Op),
    Bound(bounds::Op),
    Loop(steps::Loop),
    Trajectory(Box<trajectories::Trajectory>),
    Scheduler(Box<schedulers::Recorded>),
}

/// A check and its name.
type Named<T> = (String, T);

/// Factor of a spoilt coefficient.
const WRONG: f64 = 1.01;

/// The number of timesteps in the schedules of other processes: a first, a middle and a last one.
const FEW: f64 = 3.0;

/// The schedules that are checked by default, with their names: linear, cosine, Stable Diffusion's with zero terminal SNR, and a short
/// one of each process that is not variance preserving.
///
/// # Errors
/// [`Error::Schedule`] if one cannot be built, which none of these does.
pub fn usual_schedules() -> Result<Vec<(String, Schedule)>, Error> {
    let zero = Schedule::scaled_linear(1000, 0.00085, 0.012).and_then(|schedule| schedule.zero_terminal_snr());
    let built = [
        ("linear", Schedule::linear(1000, 1e-4, 0.02)),
        ("cosine", Schedule::cosine(1000)),
        ("zero terminal SNR", zero),
    ];
    let built = built.into_iter().map(|(name, schedule)| Ok((name.to_owned(), schedule?)));
    let mut all: Vec<_> = built.collect::<Result<_, ScheduleError>>().map_err(Error::of_schedule)?;
    for entry in Model::PROCESSES.entries.iter() {
        let model = entry.build(&[("train_timesteps", FEW)]).map_err(Error::of_schedule)?;
        let known = all.iter().any(|(_, known)| known == model.schedule());
        if model.process() != Process::VariancePreserving && !known {
            all.push((entry.name.to_owned(), model.schedule().clone()));
        }
    }
    Ok(all)
}

/// Every check, schedule by schedule and storage by storage.
///
/// # Errors
/// [`Error::Schedule`] if an op does not exist with a schedule.
pub fn checks(schedules: &[(String, Schedule)], storages: &[Storage]) -> Result<Vec<Check>, Error> {
    let mut checks = Vec::new();
    for (schedule_name, schedule) in schedules {
        let maps = maps::ops(schedule).into_iter().map(|(name, op)| (name, Op::Map(op)));
        let losses = losses::ops(schedule)?.into_iter().map(|(name, op)| (name, Op::Loss(op)));
        // Only a chain of betas has a bound.
        let preserving = schedule.process() == Process::VariancePreserving;
        let bounds = if preserving { bounds::ops(schedule)? } else { Vec::new() };
        let bounds = bounds.into_iter().map(|(name, op)| (name, Op::Bound(op)));
        let loops = steps::loops(schedule)?.into_iter().map(|(name, op)| (name, Op::Loop(op)));
        let all = maps.chain(losses).chain(bounds).chain(loops);
        let ops: Vec<Named<Arc<Op>>> = all.map(|(name, op)| (name, Arc::new(op))).collect();
        for &storage in storages {
            checks.extend(ops.iter().map(|(name, op)| Check {
                name: format!("{schedule_name}: {name}"),
                storage,
                op: Arc::clone(op),
            }));
        }
    }
    Ok(checks)
}

/// The checks that replay whole runs of ComfyUI and of the classes of diffusers. They have their own schedules, and f32 tensors.
///
/// # Errors
/// [`Error::Runs`] for a record that cannot be read.
pub fn recorded_runs() -> Result<Vec<Check>, Error> {
    let storage = Storage::F32;
    let of_comfyui = trajectories::trajectories()?.into_iter();
    let of_comfyui = of_comfyui.map(|(name, it)| (format!("ComfyUI: {name}"), Op::Trajectory(Box::new(it))));
    let of_diffusers = schedulers::recorded()?.into_iter();
    let of_diffusers = of_diffusers.map(|(name, it)| (format!("diffusers: {name}"), Op::Scheduler(Box::new(it))));
    let check = |(name, op)| Check { name, storage, op: Arc::new(op) };
    Ok(of_comfyui.chain(of_diffusers).map(check).collect())
}

impl Check {
    /// Runs the check on all its shapes, with the op's own coefficients or wrong ones, and returns how near the results came.
    ///
    /// # Errors
    /// If the device fails, or a plan or a recording is refused.
    pub async fn run(&self, gpu: &Gpu, context: &Context, wrong_coefficient: bool) -> Result<Comparison, Error> {
        let device = Device { gpu, context, storage: self.storage };
        match &*self.op {
            Op::Map(op) => maps::check(&device, op, wrong_coefficient).await,
            Op::Loss(op) => losses::check(&device, op, wrong_coefficient).await,
            Op::Bound(op) => bounds::check(&device, op, wrong_coefficient).await,
            Op::Loop(op) => steps::check(&device, op, wrong_coefficient).await,
            Op::Trajectory(op) => trajectories::check(&device, op, wrong_coefficient).await,
            Op::Scheduler(op) => schedulers::check(&device, op, wrong_coefficient).await,
        }
    }
}

/// Elements of a sample: with and without whole lanes and words, and over several tiles.
const ELEMENTS: [u32; 7] = [1, 2, 7, 63, 64, 1024, 4099];

/// Elements of short samples, of which only four together are whole lanes; the kernel then takes another path.
const SHORT: [u32; 2] = [2, 7];

/// The shapes of a check: `batch` samples of each size, and four times as many short ones.
fn shapes(batch: u32) -> impl Iterator<Item = Shape> {
    let each = ELEMENTS.map(|elements| Shape::new(batch, elements)).into_iter();
    each.chain(SHORT.map(|elements| Shape::new(4 * batch, elements)))
}

/// Runs `check` on all shapes at the critical timesteps, with the rows of a table, or with the row at T/2 spoilt.
async fn over_shapes<R: Copy>(
    device: &Device<'_>,
    table: &Table<R>,
    spoilt: Option<impl Fn(R) -> R>,
    check: impl AsyncFn(&Table<R>, &[u32], Shape) -> Outcome<Comparison>,
) -> Outcome<Comparison> {
    let (times, middle) = (timesteps(table.len()), table.len() / 2);
    let spoilt = spoilt.map(|spoilt| {
        let rows = table.rows().iter().enumerate();
        Table::with_undefined(rows.map(|(t, row)| row.map(|row| if t == middle { spoilt(row) } else { row })))
    });
    let mut total = Comparison::new(device.storage);
    for shape in shapes(times.len() as u32) {
        let times = times.repeat(shape.batch as usize / times.len());
        total.merge(&check(spoilt.as_ref().unwrap_or(table), &times, shape).await?);
    }
    Ok(total)
}

/// The critical timesteps of a schedule, each once.
fn timesteps(steps: usize) -> Vec<u32> {
    let last = steps - 1;
    let mut times = [0, 1, steps / 2, steps.saturating_sub(2), last].map(|t| t.min(last) as u32).to_vec();
    times.sort_unstable();
    times.dedup();
    times
}

/// Standard normal numbers, as the storage holds them.
fn normals(storage: Storage, seed: u64, shape: Shape) -> Vec<f32> {
    let normals = NoiseKey::seed(seed).reference(shape.batch as usize, shape.elements as usize);
    let narrow: Vec<f32> = normals.iter().map(|&x| x as f32).collect();
    let mut values = storage.decode(&storage.encode(&narrow));
    values.truncate(normals.len()); // without the padding
    values
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

/// The normals of a key, as they are drawn in f64.
fn drawn(key: NoiseKey, shape: Shape) -> Vec<Expected> {
    let normals = key.reference(shape.batch as usize, shape.elements as usize);
    normals.iter().map(|&z| Expected { value: z, magnitude: z.abs() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    #[test]
    fn every_process_is_checked_and_the_readmes_say_how_often() {
        let schedules = usual_schedules().expect("schedules");
        let names: Vec<&str> = schedules.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["linear", "cosine", "zero terminal SNR", "ve", "flow", "trigflow"]);
        let count = checks(&schedules, &Storage::ALL).expect("checks").len();
        let apps = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for readme in ["cli/README.md", "web/README.md"] {
            let text = fs::read_to_string(apps.join(readme)).expect("the file");
            assert!(text.contains(&format!("{count} checks")), "{readme}: expected {count} checks");
        }
        let runs = recorded_runs().expect("runs").len();
        let text = fs::read_to_string(apps.join("cli/README.md")).expect("the file");
        assert!(text.contains(&format!("{runs} recorded runs")), "expected {runs} recorded runs");
    }
}
