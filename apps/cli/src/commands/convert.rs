//! `tweedie convert`: a prediction of one quantity to others.

use super::{Prediction, PredictionArgs, quantities};
use crate::maps::Pass;
use crate::output::Output;
use crate::report::{Outcome, say};
use anyhow::bail;
use serde_json::json;
use tweedie::math::solve;
use tweedie::{Quantity, Schedule};

/// Convert what a network predicts into other quantities
///
/// Reads `x_t` (the noisy samples), `prediction`, and the level of each sample, `t`, `sigma` or `time` as for `tweedie noise`.
/// Writes a tensor for each quantity of --to, under the name given there. Any quantity can be converted to any other.
#[derive(clap::Args, Clone, Debug)]
pub struct Convert {
    /// Quantities to write
    #[arg(long, value_name = "QUANTITY,..", value_delimiter = ',', required = true, help = format!(
        "Quantities to write, separated by commas: {}", quantities()))]
    to: Vec<String>,

    #[command(flatten)]
    arguments: PredictionArgs,
}

impl Convert {
    pub fn run(&self, json: bool) -> Outcome {
        let wanted = self.wanted()?;
        let PredictionArgs { holes, finite, compute, files, .. } = &self.arguments;
        let input = self.arguments.read()?;
        let Prediction { from, schedule, x_t, timesteps, .. } = &input;
        for (_, quantity) in &wanted {
            holes.check(timesteps, |t| {
                solve(schedule.levels()[t], *from, *quantity).map_err(|error| input.at(t, error))
            })?;
        }
        let engine = compute.open()?;
        let mut made = Vec::new();
        for part in passes(schedule, *from, timesteps, &wanted) {
            let second = part.get(1).map(|(_, quantity)| *quantity);
            let table = input.model.conversion_where_defined(schedule, part[0].1, second);
            let outputs = part.iter().map(|(name, _)| name.as_str()).collect();
            made.push(Pass { table: holes.held(&engine, timesteps, table)?, outputs });
        }
        let job = input.job(made);
        let mut output = Output::create(&files.out, *finite, job.announced(&engine))?;
        engine.map("converting", &job, &mut output)?;
        output.finish()?;
        let names: Vec<&str> = wanted.iter().map(|(name, _)| name.as_str()).collect();
        let out = files.out.display();
        if json {
            return say(json!({ "shape": x_t.shape, "from": from.name(), "to": names, "out": out.to_string() }));
        }
        say(format_args!("{:?}: {} from {} -> {out}", x_t.shape, names.join(" and "), from))
    }

    /// The names as they were typed, which the tensors get, and what they mean.
    fn wanted(&self) -> anyhow::Result<Vec<Wanted>> {
        let mut wanted: Vec<Wanted> = Vec::new();
        for name in &self.to {
            let name = name.trim();
            let quantity: Quantity = name.parse().map_err(|error| anyhow::anyhow!("--to: {error}"))?;
            if let Some((other, _)) = wanted.iter().find(|(_, known)| *known == quantity) {
                bail!("--to: `{name}` and `{other}` are the same quantity");
            }
            wanted.push((name.to_owned(), quantity));
        }
        Ok(wanted)
    }
}

/// A quantity under the name that its tensor gets.
type Wanted = (String, Quantity);

/// Two quantities come from one pass over the data, unless only one of them exists at some timestep in use: a hole of the
/// table would take both.
fn passes<'a>(schedule: &Schedule, from: Quantity, timesteps: &[u32], wanted: &'a [Wanted]) -> Vec<&'a [Wanted]> {
    let exists = |quantity: Quantity, t: u32| solve(schedule.levels()[t as usize], from, quantity).is_ok();
    let alike = |pair: &[Wanted]| timesteps.iter().all(|&t| exists(pair[0].1, t) == exists(pair[pair.len() - 1].1, t));
    wanted.chunks(2).flat_map(|pair| pair.chunks(if alike(pair) { 2 } else { 1 })).collect()
}
