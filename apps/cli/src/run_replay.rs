//! Computes a run of a run file over what was recorded: in f64 on the CPU, or on an adapter.

use crate::engine::{Engine, Number};
use crate::report::{Failure, Outcome};
use crate::run_tape::RunTape;
use anyhow::anyhow;
use tweedie::math::run::{RunError, RunLoop, RunRecord};

/// Everything that a run went through, and the type of its numbers.
pub struct ReplayedRun {
    pub record: RunRecord,
    pub number: Number,
}

/// A tape that does not fit the run, or a run that does not exist, is wrong input.
impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Failure::input(anyhow!(error))
    }
}

impl Engine {
    /// Runs a loop over what was recorded.
    pub fn replay_run(&self, run: &RunLoop, tape: &RunTape) -> Outcome<ReplayedRun> {
        let replayed = match self {
            Engine::Cpu => ReplayedRun { record: on_cpu(run, tape)?, number: Number::Double },
            // An adaptive run chooses its steps on the host; a run whose end is not finite has no result that a row can hold.
            Engine::Gpu(adapter) if run.is_adaptive() || !run.end().is_finite() => {
                ReplayedRun { record: on_cpu(run, tape)?, number: Number::Stored(adapter.storage) }
            }
            Engine::Gpu(adapter) => {
                ReplayedRun { record: adapter.replay_run(run, tape)?, number: Number::Stored(adapter.storage) }
            }
        };
        let (used, found) = (replayed.record.call_x.len(), tape.calls());
        if run.is_adaptive() && used != found {
            return Err(Failure::input(anyhow!(
                "tensor `model_outputs`: expected {used} outputs (one for each call of the run), found {found}"
            )));
        }
        Ok(replayed)
    }
}

fn on_cpu(run: &RunLoop, tape: &RunTape) -> Outcome<RunRecord> {
    run.drive(&tape.inputs(), |ask| Ok::<_, Failure>(tape.outputs(ask.call)?.map(<[f64]>::to_vec)))
}
