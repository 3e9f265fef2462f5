//! `tweedie noise`: clean samples to noisy ones and training targets.

use super::{Files, quantity};
use crate::engine::{ComputeArgs, Input, Job};
use crate::report::{Outcome, say, warn};
use crate::schedule_args::ScheduleArgs;
use files::{TensorFile, TensorWriter};
use serde_json::json;
use tweedie::Quantity;
use tweedie::gpu::NoiseKey;

/// Add noise to clean samples, and make the training target
///
/// Reads `x0` (the clean samples), `t` (a timestep for each, I64, I32 or U32) and `eps` (the noise), or draws the noise
/// and writes it as `eps` too. Writes `x_t = sqrt(abar) x0 + sqrt(1 - abar) eps` and `target`, in one pass over the data.
#[derive(clap::Args, Clone, Debug)]
pub struct Noise {
    #[command(flatten)]
    files: Files,

    /// Quantity that a network shall learn to predict: epsilon, x0, v, score or flow
    #[arg(long, value_name = "QUANTITY", default_value = "epsilon", value_parser = quantity)]
    target: Quantity,

    /// The seed of the noise where the file has no `eps`: the same seed gives the same noise on every device
    #[arg(long, value_name = "S")]
    seed: Option<u64>,

    #[command(flatten)]
    schedule: ScheduleArgs,

    #[command(flatten)]
    compute: ComputeArgs,
}

impl Noise {
    pub fn run(&self, json: bool) -> Outcome {
        self.files.check()?;
        let schedule = self.schedule.build()?;
        let file = TensorFile::open(&self.files.input)?;
        let x0 = file.finite_floats("x0")?;
        let timesteps = file.timesteps("t", &x0, schedule.len())?;
        let eps = if file.has("eps") { Some(file.floats_like("eps", &x0)?) } else { None };
        if eps.is_some() && self.seed.is_some() {
            warn("--seed is not used: the file brings its own noise, `eps`");
        }
        let seed = self.seed.unwrap_or(0);
        let table = schedule.noising(Some(self.target)).map_err(anyhow::Error::from)?;
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
        outputs.out0.write(&mut writer, "x_t", &x0.shape)?;
        if let Some(target) = outputs.out1 {
            target.write(&mut writer, "target", &x0.shape)?;
        }
        if let Some(noise) = outputs.noise {
            noise.write(&mut writer, "eps", &x0.shape)?;
        }
        writer.save(&self.files.out)?;
        let (target, out) = (self.target, self.files.out.display());
        if json {
            let drawn = eps.is_none().then_some(seed);
            return say(json!({ "shape": x0.shape, "target": target.name(), "seed": drawn, "out": out.to_string() }));
        }
        let noise = if eps.is_some() { "given noise".to_owned() } else { format!("noise drawn from seed {seed}") };
        say(format_args!("{:?}: x_t and the {target} target from {noise} -> {out}", x0.shape))
    }
}
