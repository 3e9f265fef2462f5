//! `tweedie noise`: clean samples to noisy ones and training targets.

use super::{Files, HoleArgs, quantity, quantity_help};
use crate::engine::ComputeArgs;
use crate::finite::FiniteArgs;
use crate::levels::{self, Levels};
use crate::maps::{Input, MapJob, Pass};
use crate::model_args::ModelArgs;
use crate::output::Output;
use crate::report::{Outcome, say};
use anyhow::anyhow;
use files::TensorFile;
use serde_json::json;
use tweedie::Quantity;
use tweedie::gpu::NoiseKey;
use tweedie::table::Table;

/// Add noise to clean samples, and compute the training target
///
/// Reads `x0` (the clean samples), the level of each, and `eps` (the noise); without `eps`, draws the noise and writes it as
/// `eps` too. Levels are `t` (timesteps of the model: integers, or floats that may lie between two; EDM and TrigFlow have
/// none), `sigma` (noise over signal; for a flow, its time) or `time` (for a flow, in the model's direction; for TrigFlow, an
/// angle). Where a file has several of them, they must agree. Writes `x_t = alpha x0 + sigma eps` by the model's process, and
/// `target`, in one pass over the data.
#[derive(clap::Args, Clone, Debug)]
pub struct Noise {
    #[command(flatten)]
    files: Files,

    /// Quantity that the network learns to predict
    #[arg(long, value_name = "QUANTITY", value_parser = quantity, help = quantity_help(
        "Quantity that the network learns to predict", "that of --config, --model or --process, else epsilon"))]
    target: Option<Quantity>,

    /// The seed of the noise where the file has no `eps`: the same seed gives the same noise on every device
    #[arg(long, value_name = "S")]
    seed: Option<u64>,

    #[command(flatten)]
    holes: HoleArgs,

    #[command(flatten)]
    finite: FiniteArgs,

    #[command(flatten)]
    model: ModelArgs,

    #[command(flatten)]
    compute: ComputeArgs,
}

impl Noise {
    pub fn run(&self, json: bool) -> Outcome {
        self.files.check()?;
        let file = TensorFile::open(&self.files.input)?;
        let x0 = file.stored("x0")?;
        let model = self.model.open()?.model_of(&file, self.target)?;
        let model = self.target.map_or(model.clone(), |target| model.predicting(target));
        let target = model.prediction();
        let Levels { schedule, rows: timesteps, whole } = levels::read(&file, &x0, &model)?;
        let eps = if file.has("eps") { Some(file.stored_like("eps", &x0)?) } else { None };
        if eps.is_some() && self.seed.is_some() {
            return Err(anyhow!("--seed does not apply to a file that brings its own noise, `eps`").into());
        }
        let seed = self.seed.unwrap_or(0);
        let row = |t: usize| {
            let row = model.noising_row(schedule.levels()[t]);
            row.map_err(|error| if whole { error.at(t) } else { error })
        };
        self.holes.check(&timesteps, row)?;
        let engine = self.compute.open()?;
        let table = Table::with_undefined((0..schedule.len()).map(|t| row(t).ok()));
        let table = self.holes.held(&engine, &timesteps, table)?;
        let job = MapJob {
            timesteps: &timesteps,
            in0: &x0,
            in1: eps.as_ref().map_or(Input::Drawn(NoiseKey::seed(seed)), Input::Given),
            passes: vec![Pass { table, outputs: vec!["x_t", "target"] }],
        };
        let mut output = Output::create(&self.files.out, self.finite, job.announced(&engine))?;
        engine.map("noising", &job, &mut output)?;
        output.finish()?;
        let out = self.files.out.display();
        if json {
            let drawn = eps.is_none().then_some(seed);
            return say(json!({ "shape": x0.shape, "target": target.name(), "seed": drawn, "out": out.to_string() }));
        }
        let noise = if eps.is_some() { "given noise".to_owned() } else { format!("noise drawn from seed {seed}") };
        say(format_args!("{:?}: x_t and the {target} target from {noise} -> {out}", x0.shape))
    }
}
