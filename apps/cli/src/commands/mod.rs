//! The commands, one file each.

pub mod bench;
pub mod convert;
pub mod demo;
pub mod devices;
pub mod grid;
pub mod guide;
pub mod list;
mod list_classes;
mod list_models;
pub mod loss;
pub mod noise;
pub mod posterior;
pub mod preview;
pub mod randn;
pub mod replay;
pub mod sample;
pub mod samplers;
pub mod schedule;
pub mod study;
pub mod verify;

use crate::engine::{ComputeArgs, Engine};
use crate::finite::FiniteArgs;
use crate::levels::{self, Levels};
use crate::maps::{Input, MapJob, Pass};
use crate::model_args::{ModelArgs, Opened};
use crate::report::{Failure, Outcome, warn};
use anyhow::anyhow;
use files::{Stored, TensorFile, atomic};
use std::fmt::Display;
use std::path::PathBuf;
use tweedie::error::Undefined;
use tweedie::math::Model;
use tweedie::table::{Row, Table};
use tweedie::{Quantity, Schedule};

/// The file that a command reads and the one that it writes.
#[derive(clap::Args, Clone, Debug)]
pub struct Files {
    /// The safetensors file to read; tensors may be F64, F32, F16 or BF16 of any rank, dimension 0 being the batch
    #[arg(value_name = "IN.safetensors")]
    pub input: PathBuf,

    /// The safetensors file to write; it appears whole or not at all
    #[arg(long, value_name = "OUT.safetensors")]
    pub out: PathBuf,
}

impl Files {
    /// Refuses an output that cannot be written, before any work is done for it.
    pub fn check(&self) -> Outcome {
        Ok(atomic::check_destination(&self.out)?)
    }
}

/// A quantity on the command line.
pub fn quantity(name: &str) -> Result<Quantity, String> {
    name.parse::<Quantity>().map_err(|error| error.to_string())
}

/// Names of the quantities that a network can predict.
pub fn quantities() -> String {
    let names = Quantity::ALL.into_iter().filter(|quantity| *quantity != Quantity::Xt).map(Quantity::name);
    names.collect::<Vec<_>>().join(", ")
}

/// Help of an option that takes one of them.
pub fn quantity_help(what: &str, usual: &str) -> String {
    format!(
        "{what}: {}; edm:1 and trigflow:1 for data of standard deviation 1 instead of 0.5 [default: {usual}]",
        quantities()
    )
}

/// Arguments of the commands that start from a network's prediction.
#[derive(clap::Args, Clone, Debug)]
pub struct PredictionArgs {
    #[command(flatten)]
    pub files: Files,

    /// Quantity of the prediction
    #[arg(long, value_name = "QUANTITY", value_parser = quantity, help = quantity_help(
        "Quantity of the prediction", "that of --config, --model or --process"))]
    pub from: Option<Quantity>,

    #[command(flatten)]
    pub holes: HoleArgs,

    #[command(flatten)]
    pub finite: FiniteArgs,

    #[command(flatten)]
    pub model: ModelArgs,

    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// Input of such a command.
pub struct Prediction {
    pub file: TensorFile,
    /// The model, read as one that predicts `--from` where that is given.
    pub model: Model,
    pub from: Quantity,
    pub schedule: Schedule,
    /// True if the rows are whole timesteps of the schedule.
    pub whole: bool,
    pub x_t: Stored,
    pub prediction: Stored,
    pub timesteps: Vec<u32>,
}

impl PredictionArgs {
    /// Reads `x_t`, `prediction` and the levels, after checking that the result can be written.
    pub fn read(&self) -> Outcome<Prediction> {
        self.files.check()?;
        let opened = self.model.open()?;
        let from = self.from(&opened)?;
        let file = TensorFile::open(&self.files.input)?;
        let model = opened.model_of(&file, Some(from))?;
        let x_t = file.stored("x_t")?;
        let prediction = file.stored_like("prediction", &x_t)?;
        let Levels { schedule, rows: timesteps, whole } = levels::read(&file, &x_t, &model)?;
        let model = self.from.map_or(model.clone(), |from| model.predicting(from));
        Ok(Prediction { file, model, from, schedule, whole, x_t, prediction, timesteps })
    }

    fn from(&self, model: &Opened<'_>) -> Outcome<Quantity> {
        match self.from {
            Some(from) => Ok(from),
            None if self.model.settles_prediction() => Ok(model.model(None)?.prediction()),
            None => Err(anyhow!("expected --from QUANTITY, or --config, --model or --process, which imply it").into()),
        }
    }
}

impl Prediction {
    /// Adds the timestep of the row to the error, if rows are timesteps.
    pub fn at(&self, row: usize, error: Undefined) -> Undefined {
        if self.whole { error.at(row) } else { error }
    }

    /// The job of these passes over the input.
    pub fn job<'a>(&'a self, passes: Vec<Pass<'a>>) -> MapJob<'a> {
        MapJob { timesteps: &self.timesteps, in0: &self.x_t, in1: Input::Given(&self.prediction), passes }
    }
}

/// Treatment of samples at a timestep where the wanted value does not exist.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct HoleArgs {
    /// Write NaN for samples at a timestep where a result does not exist (x0 from epsilon at zero terminal SNR, the score
    /// without noise), instead of refusing the file
    #[arg(long)]
    pub allow_undefined: bool,
}

impl HoleArgs {
    /// Checks the timesteps in use: a value that does not exist at one of them is an error, or a warning if NaN was asked for.
    pub fn check<T, E: Display>(self, timesteps: &[u32], value: impl Fn(usize) -> Result<T, E>) -> Outcome {
        let mut missing = timesteps.iter().map(|&t| value(t as usize).err()).enumerate();
        let Some((sample, reason)) = missing.find_map(|(sample, reason)| Some((sample, reason?))) else {
            return Ok(());
        };
        if self.allow_undefined {
            warn(format_args!("sample {sample}: {reason}; NaN is written for such samples"));
            return Ok(());
        }
        Err(Failure::input(anyhow!("sample {sample}: {reason} (--allow-undefined writes NaN there)")))
    }

    /// Returns the rows that the engine can hold. On the GPU, a row in use that f32 cannot hold counts as one that does not exist.
    pub fn held<const N: usize, R: Row<N> + Clone>(
        self,
        engine: &Engine,
        timesteps: &[u32],
        table: Table<R>,
    ) -> Outcome<Table<R>> {
        let held = match engine {
            Engine::Cpu => return Ok(table),
            Engine::Gpu(_) => table.within_f32(),
        };
        let lost = |t: usize| table.row(t).is_some() && held.row(t).is_none();
        if timesteps.iter().any(|&t| lost(t as usize)) {
            let reason = "a coefficient does not fit f32; --on cpu computes in f64";
            self.check(timesteps, |t| if lost(t) { Err(reason) } else { Ok(()) })?;
        }
        Ok(held)
    }
}
