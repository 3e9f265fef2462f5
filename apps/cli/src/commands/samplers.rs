//! `tweedie samplers`: the accuracy of the samplers of a run by their number of network calls.

use crate::accuracy::{Accuracy, accuracy};
use crate::engine::Adapter;
use crate::names::find;
use crate::report::{Failure, Outcome, say};
use crate::wall::{Card, wall};
use anyhow::{Context as _, Result, anyhow};
use files::{atomic, picture};
use image::RgbImage;
use plots::cells::Cells;
use serde_json::json;
use std::path::PathBuf;
use tweedie::Storage;
use tweedie::math::catalog::Entry;
use tweedie::math::run::{Node, Run, RunError, RunGrid, RunLoop, RunModel, RunSampler};

/// Compare the samplers of a run: how near they come to the data with how many network calls
///
/// Runs every sampler of `tweedie list run-samplers` (or those of --sampler) with as many steps as its calls allow, on the same
/// scheduler and model. The network is perfect, for data that are normal with deviations from 1/32 to 2, so that the distribution
/// of the results is known exactly: no sample is drawn, and no adapter is needed. Its distance from the data is Wasserstein-2, one
/// number for samplers with and without noise. Writes the table of all as DIR/samplers.svg. With --wall also computes what each
/// sampler makes of a spiral on the adapter, and writes DIR/wall.png.
#[derive(clap::Args, Clone, Debug)]
pub struct Samplers {
    /// Names of samplers [default: all]
    #[arg(long = "sampler", value_name = "NAME,..", value_delimiter = ',', value_parser = entry)]
    samplers: Vec<&'static Entry<RunSampler>>,

    /// The numbers of network calls to compare at
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_values_t = [5, 10, 20, 40, 80],
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    calls: Vec<u32>,

    /// The model of the run: sd15, flow3, edm .. (`tweedie list run-models`)
    #[arg(long, value_name = "NAME", default_value = "sd15")]
    model: String,

    /// The scheduler: karras, simple, beta .. (`tweedie list run-grids`)
    #[arg(long, value_name = "NAME", default_value = "karras")]
    scheduler: String,

    /// The folder for the table, created if it does not exist
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,

    /// Also draw the points that each sampler generates in at most this many calls
    #[arg(long, value_name = "CALLS", value_parser = clap::value_parser!(u32).range(1..=1000))]
    wall: Option<u32>,

    /// The seed of the noise of the wall
    #[arg(long, value_name = "S", default_value_t = 1, requires = "wall")]
    seed: u64,

    /// The adapter of the wall: its index or a part of its name, as `tweedie devices` lists them [default: the best one]
    #[arg(long, value_name = "ADAPTER", requires = "wall")]
    adapter: Option<String>,
}

fn entry(name: &str) -> Result<&'static Entry<RunSampler>, String> {
    find(&RunSampler::CATALOGUE, name)
}

/// A sampler with its steps and accuracy for each number of calls; `None` where it has no run of so few.
struct Row {
    entry: &'static Entry<RunSampler>,
    found: Vec<Option<(usize, Accuracy)>>,
}

impl Samplers {
    pub fn run(&self, json: bool) -> Outcome {
        let [path, wall_path] = ["samplers.svg", "wall.png"].map(|name| self.out.join(name));
        let model = RunModel::named(&self.model).map_err(|error| Failure::input(anyhow!(error)))?;
        let all = || RunSampler::CATALOGUE.entries.iter().collect();
        let entries: Vec<_> = if self.samplers.is_empty() { all() } else { self.samplers.clone() };
        // A scheduler that does not exist, or has no such grid on this model, is reported here, once.
        let most = self.calls.iter().copied().max().unwrap_or(1);
        self.planned("euler", &model, most as usize).map_err(|error| Failure::input(anyhow!(error)))?;
        let rows = entries.into_iter().map(|entry| self.row(entry, &model)).collect::<Result<Vec<_>>>()?;
        let table = self.draw(&rows)?;
        let drawn = self.wall.map(|calls| self.draw_wall(&rows, &model, calls)).transpose()?;
        std::fs::create_dir_all(&self.out).with_context(|| self.out.display().to_string())?;
        let mut files = vec![&path];
        files.extend(drawn.is_some().then_some(&wall_path));
        files.iter().try_for_each(|path| atomic::check_destination(path))?;
        atomic::write(&path, table.as_bytes())?;
        drawn.map_or(Ok(()), |image| picture::save_png(&image, &wall_path))?;
        if !json {
            let columns: Vec<String> = self.calls.iter().map(|calls| format!("{calls:>9}")).collect();
            say(format_args!("{:<31}{}", "distance after calls", columns.join(" ")))?;
        }
        rows.iter().try_for_each(|row| self.report(row, json))?;
        let names: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
        if json {
            return say(json!({ "files": names }));
        }
        names.iter().try_for_each(|name| say(format_args!("-> {name}")))
    }

    fn report(&self, Row { entry, found }: &Row, json: bool) -> Outcome {
        let name = entry.name;
        if json {
            let one = |(calls, found): (&u32, &Option<(usize, Accuracy)>)| {
                let (steps, accuracy) = found.unzip();
                let distance = accuracy.map(|it| it.distance).filter(|distance| distance.is_finite());
                json!({ "most_calls": calls, "steps": steps, "calls": accuracy.map(|it| it.calls), "distance": distance })
            };
            let runs: Vec<_> = self.calls.iter().zip(found).map(one).collect();
            return say(json!({ "sampler": name, "model": self.model, "scheduler": self.scheduler, "runs": runs }));
        }
        let one =
            |found: &Option<(usize, Accuracy)>| found.map_or("-".to_owned(), |(_, it)| format!("{:.2e}", it.distance));
        let found: Vec<String> = found.iter().map(|found| format!("{:>9}", one(found))).collect();
        say(format_args!("{name:<31}{}", found.join(" ")))
    }

    fn planned(&self, sampler: &str, model: &RunModel, steps: usize) -> Result<RunLoop, RunError> {
        let run = Run {
            model: Some(model.clone()),
            model_name: Some(self.model.clone()),
            sampler: Some(sampler.to_owned()),
            grid: Some(RunGrid::Scheduler(Node::named(&self.scheduler))),
            steps: Some(steps),
            ..Run::default()
        };
        run.plan()
    }

    /// The accuracy of a sampler for each number of calls, with the most steps that they allow. One that chooses its own steps has a
    /// single accuracy, at the first number that its calls do not exceed.
    fn row(&self, entry: &'static Entry<RunSampler>, model: &RunModel) -> Result<Row> {
        let mut found = vec![None; self.calls.len()];
        if entry.make.is_adaptive() {
            let own = accuracy(&self.planned(entry.name, model, 20)?)?;
            if let Some(place) = self.calls.iter().position(|calls| own.calls <= *calls as usize) {
                found[place] = Some((20, own));
            }
            return Ok(Row { entry, found });
        }
        for (calls, found) in self.calls.iter().zip(&mut found) {
            *found = self.most_steps(entry, model, *calls as usize)?;
        }
        Ok(Row { entry, found })
    }

    /// The accuracy of the run with the most steps whose calls do not exceed `calls`. A scheduler may have no grid for some numbers
    /// of steps.
    fn most_steps(
        &self,
        entry: &'static Entry<RunSampler>,
        model: &RunModel,
        calls: usize,
    ) -> Result<Option<(usize, Accuracy)>> {
        let (mut steps, mut found) = (calls, None);
        while found.is_none() && steps > 0 {
            match self.planned(entry.name, model, steps) {
                Ok(run) if run.call_sigmas().len() > calls => {
                    steps = (steps * calls / run.call_sigmas().len()).min(steps - 1);
                }
                Ok(run) if !run.call_sigmas().is_empty() => found = Some(run),
                Ok(_) | Err(RunError::Steps { .. }) => steps -= 1,
                Err(error) => return Err(error.into()),
            }
        }
        let Some(mut run) = found else { return Ok(None) };
        // The first step or the last may take fewer calls than the others.
        while let Ok(more) = self.planned(entry.name, model, steps + 1)
            && steps < calls
            && more.call_sigmas().len() <= calls
        {
            (run, steps) = (more, steps + 1);
        }
        Ok(Some((steps, accuracy(&run)?)))
    }

    /// The table, from the nearest to the farthest at the number of calls in the middle.
    fn draw(&self, rows: &[Row]) -> Result<String> {
        let middle = self.calls.len() / 2;
        let mut sorted: Vec<&Row> = rows.iter().collect();
        let rank = |row: &Row| row.found.get(middle).and_then(distance).unwrap_or(f64::INFINITY);
        sorted.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
        let cells = Cells {
            title: "The samplers of a run: distance from the data after so many calls of the network".into(),
            subtitle: format!(
                "Perfect predictions of normal data, model {}, scheduler {}; Wasserstein-2, smaller is nearer",
                self.model, self.scheduler
            ),
            columns: ("calls".into(), self.calls.iter().map(u32::to_string).collect()),
            rows: sorted
                .iter()
                .map(|row| (row.entry.name.to_owned(), row.found.iter().map(distance).collect()))
                .collect(),
        };
        cells.draw()
    }

    /// The wall, from the nearest to the farthest at its number of calls. One that chooses its own steps is the last.
    fn draw_wall(&self, rows: &[Row], model: &RunModel, calls: u32) -> Outcome<RgbImage> {
        let adapter = Adapter::open(self.adapter.as_deref(), Storage::F32)?;
        let mut cards = Vec::new();
        for Row { entry, found } in rows {
            let own = || found.iter().flatten().next().copied();
            let at = if entry.make.is_adaptive() { own() } else { self.most_steps(entry, model, calls as usize)? };
            let Some((steps, accuracy)) = at else { continue };
            let run = self.planned(entry.name, model, steps).map_err(|error| Failure::input(anyhow!(error)))?;
            let rank = if entry.make.is_adaptive() { f64::INFINITY } else { accuracy.distance };
            cards.push((rank, Card { name: entry.name, run, distances: found.iter().map(distance).collect() }));
        }
        cards.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let cards: Vec<Card> = cards.into_iter().map(|(_, card)| card).collect();
        let [first, last] = [self.calls.first(), self.calls.last()].map(|calls| calls.copied().unwrap_or_default());
        let subtitle = format!(
            "The same noise, {calls} calls, model {}, scheduler {}; nearest first. The curve: distance after {first} to {last} calls",
            self.model, self.scheduler
        );
        wall(&adapter, self.seed, &cards, subtitle)
    }
}

fn distance(found: &Option<(usize, Accuracy)>) -> Option<f64> {
    found.map(|(_, accuracy)| accuracy.distance)
}
