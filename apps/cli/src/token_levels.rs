//! Tokens, frames or channels of a recorded run at levels of their own.

use crate::report::Outcome;
use anyhow::Context;
use files::{Array, Header, TensorFile};
use std::iter::once;
use tweedie::math::{NoiseLevel, Sampler};
use tweedie::table::StepRow;
use tweedie::{Groups, Model};

/// The largest difference between the coefficients of a sampler's step and those of Euler's method that counts as rounding.
const ROUNDING: f64 = 1e-12;

/// A sigma within this distance of the loop's counts as the same (the condition pipelines of LTX-Video).
const NEAR: f64 = 1e-6;

/// Rows of Euler's method, by call, sample and group.
pub struct TokenLevels {
    /// The elements of a group.
    pub groups: Groups,
    /// Distinct rows.
    pub rows: Vec<StepRow>,
    /// Which row each group of each sample takes in each call, `[calls, batch, groups]`.
    which: Vec<u32>,
    batch: usize,
}

impl TokenLevels {
    /// Reads `token_timesteps` and `moves`, or `conditioning`; `None` with none of them.
    pub fn read(file: &TensorFile, model: &Model, sampler: &Sampler, like: &Header) -> Outcome<Option<Self>> {
        let calls = sampler.calls().len();
        let batch = like.batch();
        let (groups, tokens) = if file.has("token_timesteps") {
            let told = file.finite_floats("token_timesteps")?;
            let groups = groups(file, "token_timesteps", &told, &[calls, batch], like)?;
            let moves = file.has("moves").then(|| file.numbers("moves")).transpose()?;
            if let Some(moves) = &moves {
                file.require(moves.shape == told.shape, "moves", || {
                    format!("expected shape {:?} like `token_timesteps`, found {:?}", told.shape, moves.shape)
                })?;
            }
            let moves = |index: usize| moves.as_ref().is_none_or(|moves| moves.data[index] != 0.0);
            let level = |(index, &timestep)| {
                let level = model.level_at(timestep).context("tensor `token_timesteps`")?;
                Ok((level, moves(index)))
            };
            (groups, told.data.iter().enumerate().map(level).collect::<anyhow::Result<Vec<_>>>())
        } else if file.has("conditioning") {
            let conditioning = file.finite_floats("conditioning")?;
            let groups = groups(file, "conditioning", &conditioning, &[batch], like)?;
            file.require(conditioning.data.iter().all(|known| (0.0..=1.0).contains(known)), "conditioning", || {
                "expected numbers in 0..=1, 1 where a token is known".to_owned()
            })?;
            (groups, conditioned(model, sampler, &conditioning))
        } else {
            return Ok(None);
        };
        require_euler(file, model, sampler)?;
        let mut levels = Self { groups, rows: Vec::new(), which: Vec::new(), batch };
        for (level, moves) in file.within(tokens)? {
            let row = row(model, sampler, level, moves)?;
            let known = levels.rows.iter().position(|other| *other == row);
            levels.which.push(known.unwrap_or(levels.rows.len()) as u32);
            levels.rows.extend(known.is_none().then_some(row));
        }
        Ok(Some(levels))
    }

    /// The rows of the groups of some samples in a call, `[samples, groups]`.
    pub fn of_call(&self, call: usize, first: usize, samples: usize) -> &[u32] {
        let each = self.groups.count as usize;
        let start = (call * self.batch + first) * each;
        self.which.get(start..start + samples * each).unwrap_or_default()
    }

    /// The row of a sample's element in a call.
    pub fn row(&self, call: usize, sample: usize, element: usize) -> &StepRow {
        let group = self.groups.group_of(element as u32).unwrap_or_default();
        let which = self.of_call(call, sample, 1).get(group as usize).copied().unwrap_or_default();
        &self.rows[which as usize]
    }
}

/// The levels of tokens that are known to some degree `k`, and whether they move: the sigma of a token is at most `1 - k`.
fn conditioned(model: &Model, sampler: &Sampler, conditioning: &Array) -> anyhow::Result<Vec<(NoiseLevel, bool)>> {
    let sigmas = sampler.calls().iter().map(|call| call.level.sigma());
    let tokens = sigmas.flat_map(|sigma| conditioning.data.iter().map(move |known| (sigma, 1.0 - known)));
    tokens.map(|(sigma, own)| Ok((model.level_of_sigma(sigma.min(own))?, sigma - NEAR < own))).collect()
}

/// The row of a token at this level: to the next cleaner level of the loop, or, if it does not move, to its own.
fn row(model: &Model, sampler: &Sampler, level: NoiseLevel, moves: bool) -> anyhow::Result<StepRow> {
    let below = || sampler.level_below(level).map_or_else(|| model.level_of_sigma(0.0), Ok);
    Ok(model.euler_step(level, if moves { below()? } else { level })?)
}

/// Checks that the steps of the loop are Euler's, which tokens at other levels can take too.
fn require_euler(file: &TensorFile, model: &Model, sampler: &Sampler) -> Outcome {
    let is_euler = sampler.calls().iter().all(|call| {
        let [_, sigma] = call.row.known;
        let to = model.level_of_sigma(sigma);
        let step = to.and_then(|to| model.euler_step(call.level, to));
        step.is_ok_and(|step| {
            // What becomes of the sample and the prediction, however the row is written.
            let total = |row: &StepRow| [row.x + row.clean * row.x0[0], row.p + row.clean * row.x0[1]];
            let mut pairs = total(&step).into_iter().zip(total(&call.row));
            call.row.depth() == 0 && !call.row.draws(false) && pairs.all(|(a, b)| (a - b).abs() <= ROUNDING)
        })
    });
    let name = if file.has("token_timesteps") { "token_timesteps" } else { "conditioning" };
    file.require(is_euler, name, || "expected Euler's method on a flow for tokens at levels of their own".to_owned())?;
    Ok(())
}

/// The groups of an array of shape `[.., groups]`, or of the rank of a sample with one axis that is not 1.
fn groups(file: &TensorFile, name: &str, array: &Array, leading: &[usize], like: &Header) -> Outcome<Groups> {
    let sample = &like.shape[1..];
    let own = array.shape.strip_prefix(leading);
    let axis = own.and_then(|own| match own {
        [count] => sample.first().filter(|first| *first == count).map(|_| 0),
        _ if own.len() == sample.len() && own.iter().zip(sample).all(|(a, b)| *a == 1 || a == b) => {
            let mut longer = (0..own.len()).filter(|&axis| own[axis] != 1);
            let axis = longer.next().unwrap_or(0);
            longer.next().is_none().then_some(axis)
        }
        _ => None,
    });
    file.require(axis.is_some(), name, || {
        let tokens = sample.first().copied().unwrap_or(1);
        let expected: Vec<usize> = leading.iter().copied().chain(once(tokens)).collect();
        format!(
            "expected shape {expected:?}, or that of a sample with all axes but one of size 1, found {:?}",
            array.shape
        )
    })?;
    let axis = axis.unwrap_or(0);
    let count = own.map_or(1, |own| own.iter().product::<usize>());
    let run: usize = sample[axis + 1..].iter().product();
    Ok(Groups::new(count as u32, run as u32))
}
