//! The noise level of each sample of a file: from its timesteps, sigmas or times, by a model.

use crate::report::warn;
use anyhow::{Result, anyhow};
use files::{Array, TensorFile};
use tweedie::Schedule;
use tweedie::math::{Model, NoiseLevel, Process};

/// The tensors that can say at which level a sample is, in the order in which they are looked for.
const NAMES: [&str; 3] = ["t", "sigma", "time"];

/// A schedule, and the row of each sample in it.
pub struct Levels {
    pub schedule: Schedule,
    pub rows: Vec<u32>,
    /// True if the rows are the timesteps of the schedule.
    pub whole: bool,
}

/// The tensor that says the levels, if there is one.
pub fn tensor(file: &TensorFile) -> Option<&'static str> {
    NAMES.into_iter().find(|name| file.has(name))
}

/// Reads the levels of the samples of `like`.
pub fn read(file: &TensorFile, like: &Array, model: &Model) -> Result<Levels> {
    let name = tensor(file).unwrap_or("t");
    for other in NAMES.into_iter().filter(|other| *other != name && file.has(other)) {
        warn(format_args!("tensor `{other}` is not used: the file brings `{name}`"));
    }
    let continuous = model.process() == Process::Flow && file.is_float("t");
    if name == "t" && !continuous {
        let schedule = model.timesteps()?;
        let rows = file.timesteps("t", like, schedule.len())?;
        return Ok(Levels { schedule, rows, whole: true });
    }
    let levels = level_list(file, name, name, like, model)?;
    Ok(Levels { schedule: model.schedule_of(&levels)?, rows: (0..levels.len() as u32).collect(), whole: false })
}

/// The levels of a tensor that is named `name` and means what `kind` does.
pub fn level_list(file: &TensorFile, name: &str, kind: &str, like: &Array, model: &Model) -> Result<Vec<NoiseLevel>> {
    let values = file.numbers(name)?;
    let batch = like.batch();
    file.require(values.shape == [batch], name, || {
        let what = match kind {
            "t" => "timesteps",
            "sigma" => "noise levels",
            _ => "times",
        };
        format!("expected {batch} {what} (one per sample), found shape {:?}", values.shape)
    })?;
    let level = |(sample, &value): (usize, &f64)| {
        let found = match kind {
            "t" => model.level_at(value),
            "sigma" => model.level_of_sigma(value),
            _ => model.level_of_time(value),
        };
        found.map_err(|error| anyhow!("tensor `{name}`: {error} at sample {sample}"))
    };
    file.within(values.data.iter().enumerate().map(level).collect())
}
