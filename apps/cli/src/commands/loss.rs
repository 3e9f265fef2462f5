//! `tweedie loss`: the loss of a prediction and its gradient.

use super::{Files, HoleArgs, quantity, quantity_help};
use crate::engine::ComputeArgs;
use crate::finite::FiniteArgs;
use crate::levels::{self, Levels};
use crate::loss_args::LossArgs;
use crate::losses::LossJob;
use crate::model_args::{ModelArgs, Opened};
use crate::output::Output;
use crate::report::{Outcome, say};
use anyhow::{Context, Error, Result, bail};
use files::{Header, Stored, TensorFile};
use serde_json::json;
use tweedie::math::{DeltaSchedule, LossInputs, Objective, Process, Weight};
use tweedie::table::{LossRow, Penalty, Table};
use tweedie::{Quantity, Schedule};

/// Compute the loss of a prediction and its gradient, for training
///
/// Reads `prediction` and what it should have been: `target`, or `x0` and `eps` (the clean samples and the noise), from which
/// the target is computed. Where the target or the weight depends on it, also reads the level of each sample, `t`, `sigma` or
/// `time` as for `tweedie noise` (without a model, `sigma` is that of a signal at 1; the weights sid2 and table need whole
/// timesteps); and `x_t` where `target` is not the quantity that the network predicts. Writes `loss` (each sample's mean over
/// its elements, weighted), `mean` (over the batch) and `grad` (with respect to `prediction`); --storage applies to `grad`
/// alone.
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
    finite: FiniteArgs,

    #[command(flatten)]
    model: ModelArgs,

    #[command(flatten)]
    compute: ComputeArgs,
}

/// Inputs of the loss besides the prediction.
struct Truth {
    given: LossInputs,
    inputs: [Option<Stored>; 2],
}

impl Loss {
    pub fn run(&self, json: bool) -> Outcome {
        self.files.check()?;
        let (penalty, weight) = (self.loss.penalty()?, self.loss.weight()?);
        let deltas = self.loss.deltas()?;
        let model = self.model.open()?;
        let objective = self.predicted(&model)?.weighted(weight);
        let objective = self.target.map_or(objective.clone(), |on| objective.on(on));
        let file = TensorFile::open(&self.files.input)?;
        let prediction = file.stored("prediction")?;
        let truth = self.truth(&file, &prediction, &objective)?;
        let (schedule, timesteps) = self.levels((&model, &file), &prediction, &objective, truth.given)?;
        let table = schedule.loss_where_defined(&objective, truth.given).map_err(Error::from)?;
        self.holes.check(&timesteps, |t| schedule.loss_row(t, &objective, truth.given))?;
        let engine = self.compute.open()?;
        let table = match deltas {
            Some(deltas) => self.bent(&table, penalty, deltas, &schedule)?,
            None => table,
        };
        let table = self.holes.held(&engine, &timesteps, table)?;
        let job = LossJob {
            table: &table,
            penalty,
            timesteps: &timesteps,
            prediction: &prediction,
            inputs: truth.inputs.each_ref().map(Option::as_ref),
            of: self.loss.grad_of,
        };
        let mut output = Output::create(&self.files.out, self.finite, job.announced(&engine))?;
        let mean = engine.losses(&job, &mut output)?;
        output.finish()?;
        self.print(&prediction, &objective, mean, json)
    }

    /// The table with a delta of its own for each timestep.
    fn bent(
        &self,
        table: &Table<LossRow>,
        shared: Penalty,
        (rule, delta): (DeltaSchedule, f64),
        schedule: &Schedule,
    ) -> Result<Table<LossRow>> {
        let deltas = schedule.deltas(rule, delta)?;
        let own = |delta: f64| self.loss.penalty_at(delta);
        let rows = table.rows().iter().zip(deltas);
        Ok(Table::with_undefined(rows.map(|(row, delta)| (*row)?.under(own(delta)?, shared))))
    }

    /// The loss on what the network predicts.
    fn predicted(&self, model: &Opened<'_>) -> Result<Objective> {
        match self.predicts {
            Some(predicts) => Ok(Objective::of(predicts)),
            None if self.model.settles_prediction() => Ok(model.model(None)?.objective()),
            None => Ok(Objective::of(Quantity::Epsilon)),
        }
    }

    fn print(&self, prediction: &Header, objective: &Objective, mean: f64, json: bool) -> Outcome {
        let (kind, out) = (self.loss.kind.name, self.files.out.display());
        let Objective { predicts, on, weight, .. } = objective;
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

    /// Reads the target where it can be used as it is, else the pair of `x0` and `eps`.
    fn truth(&self, file: &TensorFile, prediction: &Header, objective: &Objective) -> Result<Truth> {
        let read = |name| file.stored_like(name, prediction).map(Some);
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

    /// The noise level of each sample, as a schedule and an index into it. A target that is used as it is needs none, unless there is a
    /// weight.
    fn levels(
        &self,
        (model, file): (&Opened<'_>, &TensorFile),
        prediction: &Header,
        objective: &Objective,
        given: LossInputs,
    ) -> Outcome<(Schedule, Vec<u32>)> {
        let plain = given == LossInputs::NoisyAndTarget
            && objective.predicts == objective.on
            && objective.weight == Weight::None
            && self.loss.deltas()?.is_none();
        let predicts = self.predicts.is_some().then_some(objective.predicts);
        if plain {
            return Ok((model.model(predicts)?.schedule().clone(), vec![0; prediction.batch()]));
        }
        let model = model.model_of(file, predicts)?;
        let Levels { schedule, rows, whole } = levels::read(file, prediction, &model)?;
        // These weigh the timesteps of a schedule, which the levels of a batch are not.
        let of_timesteps = matches!(objective.weight, Weight::Table(_) | Weight::Sid2 { .. });
        file.require(whole || !of_timesteps, levels::tensor(file).unwrap_or("t"), || {
            format!("--weight {} needs whole timesteps, a tensor `t` of integers", objective.weight.name())
        })?;
        let exponential = matches!(self.loss.deltas()?, Some((DeltaSchedule::Exponential, _)));
        let by_timestep = exponential && model.process() != Process::Flow;
        file.require(whole || !by_timestep, levels::tensor(file).unwrap_or("t"), || {
            "--delta-schedule exponential needs whole timesteps, a tensor `t` of integers".to_owned()
        })?;
        Ok((schedule, rows))
    }
}
