//! The noise level of each sample of a file: from its timesteps, sigmas or times, by a model.

use anyhow::{Result, anyhow};
use files::{Header, TensorFile};
use tweedie::Schedule;
use tweedie::math::{Model, NoiseLevel, Process, Told};

/// The tensors that can give the level of a sample, in the order in which they are looked for. With `_to` appended to their
/// names, they give the level that a step leads to.
const NAMES: [&str; 3] = ["t", "sigma", "time"];

/// The largest relative distance between two levels that count as the same: a time or a sigma may have been rounded to f32.
const SAME: f64 = 1e-5;

/// A schedule, and the row of each sample in it.
pub struct Levels {
    pub schedule: Schedule,
    pub rows: Vec<u32>,
    /// True if the rows are whole timesteps of the schedule; false if each sample has a row of its own.
    pub whole: bool,
}

/// The name of the tensor that gives the levels, if there is one.
pub fn tensor(file: &TensorFile) -> Option<&'static str> {
    NAMES.into_iter().find(|name| file.has(name))
}

/// Reads the levels of the samples of `like`. Where several tensors give them, they must agree.
pub fn read(file: &TensorFile, like: &Header, model: &Model) -> Result<Levels> {
    let name = tensor(file).unwrap_or(if instead_of_timesteps(model).is_none() { "t" } else { "sigma" });
    if name == "t" && !file.is_float("t") {
        require_timesteps(file, "t", model)?;
        let schedule = model.timesteps()?;
        let rows = file.timesteps("t", like, schedule.len())?;
        level_list(file, "", like, model)?;
        return Ok(Levels { schedule, rows, whole: true });
    }
    let levels = match level_list(file, "", like, model)? {
        Some(levels) => levels,
        None => levels_of(file, name, name, like, model)?,
    };
    Ok(Levels { schedule: model.schedule_of(&levels)?, rows: (0..levels.len() as u32).collect(), whole: false })
}

/// Reads the level that each sample's step leads to, if the file gives it.
pub fn cleaner(file: &TensorFile, like: &Header, model: &Model) -> Result<Option<Vec<NoiseLevel>>> {
    level_list(file, "_to", like, model)
}

/// Reads the levels from the tensors whose names have this end, if there are any.
fn level_list(file: &TensorFile, end: &str, like: &Header, model: &Model) -> Result<Option<Vec<NoiseLevel>>> {
    let mut found: Option<(String, Vec<NoiseLevel>)> = None;
    for kind in NAMES {
        let name = format!("{kind}{end}");
        if !file.has(&name) {
            continue;
        }
        let levels = levels_of(file, &name, kind, like, model)?;
        match &found {
            None => found = Some((name, levels)),
            Some((first, known)) => {
                let apart = known.iter().zip(&levels).position(|(&a, &b)| !same(a, b));
                file.require(apart.is_none(), &name, || {
                    format!("expected the levels of `{first}`, found another at sample {}", apart.unwrap_or_default())
                })?;
            }
        }
    }
    Ok(found.map(|(_, levels)| levels))
}

fn same(a: NoiseLevel, b: NoiseLevel) -> bool {
    (a.alpha() - b.alpha()).hypot(a.sigma() - b.sigma()) <= SAME * a.alpha().hypot(a.sigma())
}

/// Reads the levels of the tensor `name`, which holds what `kind` says.
fn levels_of(file: &TensorFile, name: &str, kind: &str, like: &Header, model: &Model) -> Result<Vec<NoiseLevel>> {
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
    if kind == "t" {
        require_timesteps(file, name, model)?;
    }
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

/// Refuses timesteps for a network that is told none.
fn require_timesteps(file: &TensorFile, name: &str, model: &Model) -> Result<()> {
    let instead = instead_of_timesteps(model);
    let end = name.strip_prefix('t').unwrap_or_default();
    file.require(instead.is_none(), name, || {
        let instead: Vec<_> = instead.unwrap_or_default().iter().map(|it| format!("`{it}{end}`")).collect();
        format!("expected {}: this model has no timesteps", instead.join(" or "))
    })
}

/// The tensors that give the levels of a network that is not told a timestep but EDM's `ln(sigma)/4` or TrigFlow's angle. `None`
/// for one that is told a timestep.
fn instead_of_timesteps(model: &Model) -> Option<&'static [&'static str]> {
    match (model.process(), model.told_number()) {
        (Process::TrigFlow(_), _) => Some(&["sigma", "time"]),
        (Process::VarianceExploding, Told::LogSigma | Told::Sigma | Told::Angle(_)) => Some(&["sigma"]),
        _ => None,
    }
}
