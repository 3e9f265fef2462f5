//! `tweedie noise`: clean samples to noisy ones and training targets.

use super::{Files, quantity};
use crate::engine::{ComputeArgs, Input, Job};
use crate::finite::FiniteArgs;
use crate::levels::{self, Levels};
use crate::model_args::ModelArgs;
use crate::report::{Outcome, say, warn};
use files::{TensorFile, TensorWriter};
use serde_json::json;
use tweedie::Quantity;
use tweedie::gpu::NoiseKey;

/// Add noise to clean samples, and make the training target
///
/// Reads `x0` (the clean samples), the level of each, and `eps` (the noise), or draws the noise and writes it as `eps` too. A level is
/// `t` (what the network is told, whole or not), `sigma` (noise over signal, of a flow its time) or `time` (of a flow, in the
/// model's direction; of TrigFlow, an angle). Writes `x_t = alpha x0 + sigma eps` of the model's process and `target`, in one
/// pass over the data.
#[derive(clap::Args, Clone, Debug)]
pub struct Noise {
    #[command(flatten)]
    files: Files,

    /// Quantity that a network shall learn to predict: epsilon, x0, v, score, flow, rising-flow, edm or trigflow
    /// [default: that of --config, --model or --process, else epsilon]
    #[arg(long, value_name = "QUANTITY", value_parser = quantity)]
    target: Option<Quantity>,

    /// The seed of the noise where the file has no `eps`: the same seed gives the same noise on every device
    #[arg(long, value_name = "S")]
    seed: Option<u64>,

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
        let x0 = file.finite_floats("x0")?;
        let model = self.model.open()?.model_of(&file, self.target)?;
        let target = self.target.unwrap_or(model.prediction());
        let Levels { schedule, rows: timesteps, .. } = levels::read(&file, &x0, &model)?;
        let eps = if file.has("eps") { Some(file.floats_like("eps", &x0)?) } else { None };
        if eps.is_some() && self.seed.is_some() {
            warn("--seed is not used: the file brings its own noise, `eps`");
        }
        let seed = self.seed.unwrap_or(0);
        // What the network shall say is the quantity without the factor by which it becomes one.
        let factor = if self.target.is_none() { model.output_factor() } else { 1.0 };
        let table = schedule.noising(Some(target)).map_err(anyhow::Error::from)?;
        let table = table.map(|&[x_t, target]| [x_t, target.map(|coefficient| coefficient / factor)]);
        let job = Job {
            table: &table,
            batch: x0.batch(),
            elements: x0.per_sample(),
            timesteps: &timesteps,
            in0: &x0,
            in1: eps.as_ref().map_or(Input::Drawn(NoiseKey::seed(seed)), Input::Given),
            both: true,
        };
        let outputs = self.compute.open()?.run("noising", &job)?;
        let mut writer = TensorWriter::new();
        self.finite.check("x_t", &outputs.out0, &job)?;
        outputs.out0.write(&mut writer, "x_t", &x0.shape)?;
        if let Some(values) = outputs.out1 {
            self.finite.check("target", &values, &job)?;
            values.write(&mut writer, "target", &x0.shape)?;
        }
        if let Some(noise) = outputs.noise {
            noise.write(&mut writer, "eps", &x0.shape)?;
        }
        writer.save(&self.files.out)?;
        let out = self.files.out.display();
        if json {
            let drawn = eps.is_none().then_some(seed);
            return say(json!({ "shape": x0.shape, "target": target.name(), "seed": drawn, "out": out.to_string() }));
        }
        let noise = if eps.is_some() { "given noise".to_owned() } else { format!("noise drawn from seed {seed}") };
        say(format_args!("{:?}: x_t and the {target} target from {noise} -> {out}", x0.shape))
    }
}
