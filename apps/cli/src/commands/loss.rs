//! `tweedie loss`: what a prediction costs, and which way it should go.

use super::{Files, HoleArgs, quantity, quantity_help};
use crate::engine::ComputeArgs;
use crate::levels::{self, Levels};
use crate::loss_args::LossArgs;
use crate::losses::{LossJob, LossOutputs};
use crate::model_args::{ModelArgs, Opened};
use crate::report::{Outcome, say};
use anyhow::{Context, Error, Result, bail};
use files::{Array, TensorFile, TensorWriter};
use serde_json::json;
use tweedie::math::{LossInputs, Objective, Weight};
use tweedie::table::LossRow;
use tweedie::{Quantity, Schedule};

/// The loss of a prediction and its gradient, for training
///
/// Reads `prediction` and what it should have been: `target`, or `x0` and `eps` (the clean samples and the noise), from which
/// the target is formed. Also the level of each sample, `t`, `sigma` or `time` as for `tweedie noise`, where the target or the
/// weight depends on it (without a model, `sigma` has the signal at 1; the weights sid2 and table belong to whole timesteps);
/// and `x_t` where `target` is not what the network predicts. Writes `loss` (each sample's mean over its elements, weighted),
/// `mean` (of the batch) and `grad` (with respect to `prediction`); of those, `--storage` is that of `grad` alone.
#[derive(clap::Args, Clone, Debug)]
pub struct Loss {
    #[command(flatten)]
    files: Files,

    /// Quantity of the prediction
    #[arg(long, value_name = "QUANTITY", alias = "from", value_parser = quantity, help = quantity_help(
        "Quantity of the prediction", "that of --config, --model or --process, else epsilon"))]
    predicts: Option<Quantity>,

    /// Quantity that the loss is on [default: that of the prediction]
    #[arg(long, value_name = "QUANTITY", value_parser = quantity)]
    target: Option<Quantity>,

    #[command(flatten)]
    loss: LossArgs,

    #[command(flatten)]
    holes: HoleArgs,

    #[command(flatten)]
    model: ModelArgs,

    #[command(flatten)]
    compute: ComputeArgs,
}

/// Inputs of the loss beside the prediction.
struct Truth {
    given: LossInputs,
    inputs: [Option<Array>; 2],
}

impl Loss {
    pub fn run(&self, json: bool) -> Outcome {
        self.files.check()?;
        let (penalty, weight) = (self.loss.penalty()?, self.loss.weight()?);
        let model = self.model.open()?;
        let (predicts, factor) = self.predicted(&model)?;
        let objective = Objective { predicts, on: self.target.unwrap_or(predicts), weight };
        let file = TensorFile::open(&self.files.input)?;
        let prediction = file.finite_floats("prediction")?;
        let truth = self.truth(&file, &prediction, &objective)?;
        let (schedule, timesteps) = self.levels((&model, &file), &prediction, &objective, truth.given)?;
        let table = schedule.loss_where_defined(&objective, truth.given).map_err(Error::from)?;
        // A target that is at hand is in the units of the output.
        let as_it_is = truth.given == LossInputs::NoisyAndTarget && objective.predicts == objective.on;
        let factor = if as_it_is { 1.0 } else { factor };
        let table = table.map(|row| LossRow { prediction: row.prediction * factor, ..*row });
        self.holes.check(&timesteps, |t| schedule.loss_row(t, &objective, truth.given))?;
        let job = LossJob {
            table: &table,
            penalty,
            timesteps: &timesteps,
            prediction: &prediction,
            inputs: truth.inputs.each_ref().map(Option::as_ref),
            of: self.loss.grad_of,
        };
        let LossOutputs { samples, mean, gradient } = self.compute.open()?.losses(&job)?;
        let value = mean.widened()[0];
        let mut writer = TensorWriter::new();
        samples.write(&mut writer, "loss", &[timesteps.len()])?;
        mean.write(&mut writer, "mean", &[1])?;
        gradient.write(&mut writer, "grad", &prediction.shape)?;
        writer.save(&self.files.out)?;
        self.print(&prediction, &objective, value, json)
    }

    /// The quantity that the network predicts, and the factor by which its output becomes it.
    fn predicted(&self, model: &Opened<'_>) -> Result<(Quantity, f64)> {
        match self.predicts {
            Some(predicts) => Ok((predicts, 1.0)),
            None if self.model.settles_prediction() => {
                let model = model.model(None)?;
                Ok((model.prediction(), model.output_factor()))
            }
            None => Ok((Quantity::Epsilon, 1.0)),
        }
    }

    fn print(&self, prediction: &Array, objective: &Objective, mean: f64, json: bool) -> Outcome {
        let (kind, out) = (self.loss.kind.name, self.files.out.display());
        let Objective { predicts, on, weight } = objective;
        if json {
            return say(json!({
                "shape": prediction.shape,
                "kind": kind,
                "weight": weight.name(),
                "predicts": predicts.name(),
                "target": on.name(),
                "mean": mean,
                "out": out.to_string(),
            }));
        }
        let shape = &prediction.shape;
        say(format_args!("{shape:?}: {kind} on {on} from {predicts}, weight {}: {mean:.9e} -> {out}", weight.name()))
    }

    /// A target that can be used as it is comes first, then the pair.
    fn truth(&self, file: &TensorFile, prediction: &Array, objective: &Objective) -> Result<Truth> {
        let read = |name| file.floats_like(name, prediction).map(Some);
        let same = objective.predicts == objective.on;
        if file.has("target") && (same || file.has("x_t") || !file.has("x0")) {
            let x_t = if same { None } else { read("x_t").context("to convert the prediction")? };
            return Ok(Truth { given: LossInputs::NoisyAndTarget, inputs: [x_t, read("target")?] });
        }
        if !file.has("x0") && !file.has("eps") {
            let (path, found) = (self.files.input.display(), file.names().join("`, `"));
            bail!("{path}: expected a tensor `target`, or `x0` and `eps`, found `{found}`");
        }
        Ok(Truth { given: LossInputs::CleanAndNoise, inputs: [read("x0")?, read("eps")?] })
    }

    /// The noise level of each sample, as a schedule and an index into it. A target as it is, without a weight, needs none.
    fn levels(
        &self,
        (model, file): (&Opened<'_>, &TensorFile),
        prediction: &Array,
        objective: &Objective,
        given: LossInputs,
    ) -> Outcome<(Schedule, Vec<u32>)> {
        let plain = given == LossInputs::NoisyAndTarget
            && objective.predicts == objective.on
            && objective.weight == Weight::None;
        let predicts = self.predicts.is_some().then_some(objective.predicts);
        if plain {
            return Ok((model.model(predicts)?.schedule().clone(), vec![0; prediction.batch()]));
        }
        let model = model.model_of(file, predicts)?;
        let Levels { schedule, rows, whole } = levels::read(file, prediction, &model)?;
        // These weigh the timesteps of a schedule; the levels of a batch are none.
        let of_timesteps = matches!(objective.weight, Weight::Table(_) | Weight::Sid2 { .. });
        file.require(whole || !of_timesteps, levels::tensor(file).unwrap_or("t"), || {
            format!("--weight {} needs whole timesteps, a tensor `t` of integers", objective.weight.name())
        })?;
        Ok((schedule, rows))
    }
}
