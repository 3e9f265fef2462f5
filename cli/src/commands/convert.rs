//! `tweedie convert`: a prediction of one quantity to others.

use super::{Files, HoleArgs, quantity, schedule};
use crate::compute::{ComputeArgs, Input, Job};
use crate::report::{Outcome, say};
use crate::schedule_args::ScheduleArgs;
use crate::tensor_file::TensorFile;
use crate::tensor_writer::TensorWriter;
use anyhow::bail;
use serde_json::json;
use tweedie::math::solve;
use tweedie::{Quantity, Schedule};

/// Convert what a network predicts into other quantities
///
/// Reads `x_t` (the noisy samples), `prediction` and `t`, and writes a tensor for each quantity of --to, under the name it
/// has there. Any of epsilon, x0, v, score and flow to any other.
#[derive(clap::Args, Clone, Debug)]
pub struct Convert {
    #[command(flatten)]
    files: Files,

    /// What the prediction is: epsilon, x0, v, score or flow
    #[arg(long, value_name = "QUANTITY", value_parser = quantity)]
    from: Quantity,

    /// What to write, separated by commas: x0,epsilon
    #[arg(long, value_name = "QUANTITY,..", value_delimiter = ',', required = true)]
    to: Vec<String>,

    #[command(flatten)]
    holes: HoleArgs,

    #[command(flatten)]
    schedule: ScheduleArgs,

    #[command(flatten)]
    compute: ComputeArgs,
}

impl Convert {
    pub fn run(&self, json: bool) -> Outcome {
        let wanted = self.wanted()?;
        self.files.check()?;
        let schedule = schedule(&self.schedule)?;
        let file = TensorFile::open(&self.files.input)?;
        let x_t = file.finite_floats("x_t")?;
        let prediction = file.floats_like("prediction", &x_t)?;
        let timesteps = file.timesteps("t", &x_t, schedule.len())?;
        for (_, quantity) in &wanted {
            let table = schedule.conversion_where_defined(self.from, *quantity, None);
            let why = |t: usize| {
                let undefined = solve(schedule.levels()[t], self.from, *quantity).err();
                undefined.map_or(String::new(), |error| error.at(t).to_string())
            };
            self.holes.check(&timesteps, |t| table.row(t).is_some(), why)?;
        }
        let engine = self.compute.open()?;
        let mut writer = TensorWriter::new();
        for pair in passes(&schedule, self.from, &timesteps, &wanted) {
            let (name, first) = &pair[0];
            let second = pair.get(1).map(|(_, quantity)| *quantity);
            let table = schedule.conversion_where_defined(self.from, *first, second);
            let job = Job {
                table: &table,
                batch: x_t.batch(),
                elements: x_t.per_sample(),
                timesteps: &timesteps,
                in0: &x_t,
                in1: Input::Given(&prediction),
                both: second.is_some(),
            };
            let outputs = engine.run("converting", &job)?;
            outputs.out0.write(&mut writer, name, &x_t.shape)?;
            if let (Some(values), Some((name, _))) = (outputs.out1, pair.get(1)) {
                values.write(&mut writer, name, &x_t.shape)?;
            }
        }
        writer.save(&self.files.out)?;
        let names: Vec<&str> = wanted.iter().map(|(name, _)| name.as_str()).collect();
        let out = self.files.out.display();
        if json {
            return say(json!({ "shape": x_t.shape, "from": self.from.name(), "to": names, "out": out.to_string() }));
        }
        say(format_args!("{:?}: {} from {} -> {out}", x_t.shape, names.join(" and "), self.from))
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
