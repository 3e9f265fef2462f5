//! `tweedie study`: what to predict, measured on the user's own data.

use crate::engine::Adapter;
use crate::model_args::ModelArgs;
use crate::report::{Failure, Outcome, say};
use crate::study::advice::advise;
use crate::study::data::Data;
use crate::study::drawing;
use crate::study::measure::Experiment;
use crate::study::results::Results;
use crate::study::storage_loss::{HALVES, recover};
use crate::study::textbook_claims::claims;
use crate::study::{ERROR, report};
use anyhow::{Context as _, anyhow};
use files::atomic;
use serde_json::json;
use std::path::PathBuf;
use tweedie::gpu::NoiseKey;
use tweedie::headless::Gpu;
use tweedie::math::{NoiseLevel, Spacing};
use tweedie::{Schedule, Storage};

/// Measure epsilon, x0 and v on your own data and schedule, and recommend one
///
/// Measures on the GPU, at timesteps from almost clean to almost pure noise: the variance of each target, how errors of each
/// prediction grow into x0 and epsilon, how a plain loss on each weighs the timesteps, and where f16 and bf16 lose the noise
/// or the signal. Says which textbook statements hold for these data, and what to predict, with which loss weight, for a
/// number of sampling steps. Writes DIR/study.svg and DIR/study.json. Exits with 1 if a measurement disagrees with its
/// formula.
///
/// The shape of the data does not matter: all elements are one population, of which about 33 thousand are used. Pictures and
/// .npy files of unsigned 8 or 16 bits are scaled to -1..1; other numbers are taken as they are.
#[derive(clap::Args, Clone, Debug)]
pub struct Study {
    /// Your data: .png, .jpg, .npy or .safetensors [default: a generated picture]
    #[arg(value_name = "FILE")]
    data: Option<PathBuf>,

    /// The tensor of a safetensors file [default: the only one, or x0]
    #[arg(long, value_name = "NAME")]
    tensor: Option<String>,

    /// The number of sampling steps, in trailing spacing [default: 20, or T if that is less]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,

    /// The folder for the results, created if it does not exist
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,

    /// The seed of the noise and of the choice of elements
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// Make coefficients on the adapter wrong by 1%: the study must then fail, which shows that it can
    #[arg(long)]
    wrong_coefficient: bool,

    /// The adapter: its index or a part of its name, as `tweedie devices` lists them [default: the best one]
    #[arg(long, value_name = "ADAPTER")]
    adapter: Option<String>,

    #[command(flatten)]
    model: ModelArgs,
}

/// The number of timesteps that are measured besides those that sampling visits.
const SPREAD: usize = 33;

/// The usual number of sampling steps.
const USUAL_STEPS: usize = 20;

impl Study {
    pub fn run(&self, json: bool) -> Outcome {
        let schedule = self.model.schedule()?;
        let visited = self.visited(&schedule)?;
        let data = Data::open(self.data.as_deref(), self.tensor.as_deref(), self.seed)?;
        let mut adapter = Adapter::open(self.adapter.as_deref(), Storage::F32)?;
        std::fs::create_dir_all(&self.out).with_context(|| self.out.display().to_string())?;
        let paths = ["study.svg", "study.json"].map(|name| self.out.join(name));
        paths.iter().try_for_each(|path| atomic::check_destination(path))?;

        let results = self.measure(&mut adapter, &data, &schedule, visited)?;
        let ((measured, off), worst) = (report::verdict(&results), report::disagreement(&results));
        if off > 0 {
            let error = anyhow!(
                "{off} of {measured} measurements disagree with their formulas, by up to {worst:.1} times the tolerance"
            );
            return Err(Failure::check(error));
        }
        let (claims, advice) = (claims(&results), advise(&results)?);
        let [svg, file] = &paths;
        atomic::write(svg, drawing::draw(&results)?.as_bytes())?;
        atomic::write(file, format!("{:#}\n", report::file(&results, &claims, &advice)).as_bytes())?;
        if json {
            let mut summary = report::summary(&results, &claims, &advice);
            summary["adapter"] = json!(Gpu::describe(&adapter.gpu.info));
            summary["files"] = json!(paths.each_ref().map(|path| path.display().to_string()));
            return say(summary);
        }
        say(format_args!("{}", Gpu::describe(&adapter.gpu.info)))?;
        say(report::describe(&results))?;
        let (times, chosen) = (results.moments.len(), data.chosen.len());
        say(format_args!(
            "{chosen} elements at {times} of {} timesteps, errors of {ERROR}, seed {}\n",
            schedule.len(),
            self.seed
        ))?;
        report::print(&results, &claims, &advice)?;
        say(format_args!(
            "\n{measured} measurements agree with their f64 formulas: {worst:.2} of the tolerance at worst"
        ))?;
        paths.iter().try_for_each(|path| say(format_args!("-> {}", path.display())))
    }

    fn visited(&self, schedule: &Schedule) -> Outcome<Vec<usize>> {
        let steps = self.steps.map_or(USUAL_STEPS.min(schedule.len()), |steps| steps as usize);
        Spacing::Trailing.timesteps(schedule.len(), steps).map_err(|error| Failure::input(anyhow!("--steps: {error}")))
    }

    fn measure<'a>(
        &self,
        adapter: &mut Adapter,
        data: &'a Data,
        schedule: &'a Schedule,
        visited: Vec<usize>,
    ) -> Outcome<Results<'a>> {
        let mut times = [spread(schedule.len()), visited.clone()].concat();
        times.sort_unstable();
        times.dedup();
        let levels: Vec<NoiseLevel> = times.iter().map(|&t| schedule.levels()[t]).collect();
        let key = NoiseKey::seed(self.seed);
        let mut halves = [Vec::new(), Vec::new()];
        for (storage, found) in HALVES.into_iter().zip(&mut halves) {
            adapter.storage = storage;
            *found = recover(adapter, data, &levels, key)?;
        }
        adapter.storage = Storage::F32;
        let experiment = Experiment { adapter, data, schedule, key, spoiled: self.wrong_coefficient };
        let moments = experiment.measure(&times)?;
        Ok(Results { data, schedule, moments, visited, halves })
    }
}

/// Timesteps from the first to the last, denser at both ends, where curves are steep.
fn spread(steps: usize) -> Vec<usize> {
    let last = (steps - 1) as f64;
    let place = |i: usize| (1.0 - (std::f64::consts::PI * i as f64 / (SPREAD - 1) as f64).cos()) / 2.0;
    (0..SPREAD).map(|i| (place(i) * last).round() as usize).collect()
}
