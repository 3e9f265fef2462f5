//! A whole run on the host around a function that is its network, and the record of what it went through.

use super::adaptive::Attempt;
use super::error::RunError;
use super::host_loop::{HostLoop, RunAsk};
use super::inputs::RunInputs;
use super::run_loop::RunLoop;

/// Everything that a run went through.
#[derive(Clone, Debug, Default)]
pub struct RunRecord {
    /// The sample at the first call of each step, then the sampler's result.
    pub samples: Vec<Vec<f64>>,
    /// The result of the run, after the rule for its end.
    pub output: Vec<f64>,
    /// The sample of each call, as the network was shown it but for its scale.
    pub call_x: Vec<Vec<f64>>,
    /// The clean sample of each call, after guidance and before a mask.
    pub pred_x0: Vec<Vec<f64>>,
    /// The sigma of each call.
    pub call_sigma: Vec<f64>,
    /// The number that the network was told at each call.
    pub timesteps: Vec<f64>,
    /// The attempts of a sampler that chooses its own steps.
    pub attempts: Vec<Attempt>,
}

impl RunLoop {
    /// Runs it. `network` returns its raw outputs at a sample: the conditional one and those that the call
    /// [asks](RunAsk::asks) for, unconditional, third and fourth; others may be empty.
    ///
    /// # Errors
    /// Those of the network, of [`HostLoop::new`] and of [`HostLoop::give`].
    pub fn drive<E: From<RunError>>(
        &self,
        inputs: &RunInputs<'_>,
        mut network: impl FnMut(RunAsk<'_>) -> Result<[Vec<f64>; 4], E>,
    ) -> Result<RunRecord, E> {
        let mut host = HostLoop::new(self, *inputs)?;
        let (mut record, mut before) = (RunRecord::default(), None);
        while let Some(ask) = host.call() {
            if before != Some(ask.step) {
                record.samples.push(host.sample().to_vec());
                before = Some(ask.step);
            }
            record.call_x.push(ask.x.to_vec());
            record.call_sigma.push(ask.sigma);
            record.timesteps.push(ask.told);
            let outputs = network(ask)?;
            host.give(&outputs.each_ref().map(Vec::as_slice))?;
            record.pred_x0.push(host.clean().to_vec());
        }
        record.samples.push(host.sample().to_vec());
        record.output = host.result().unwrap_or_default().to_vec();
        record.attempts = host.attempts().to_vec();
        Ok(record)
    }
}
