//! A whole run on the host around a function that is its network, and the record of its calls.

use super::adaptive::Attempt;
use super::error::RunError;
use super::host_loop::{HostLoop, RunAsk};
use super::inputs::RunInputs;
use super::run_loop::RunLoop;

/// The record of a run: its samples, its calls and its result.
#[derive(Clone, Debug, Default)]
pub struct RunRecord {
    /// The sample at the first call of each step, then the sampler's result.
    pub samples: Vec<Vec<f64>>,
    /// The result of the run: the sampler's, scaled by [`RunLoop::end`].
    pub output: Vec<f64>,
    /// The sample of each call as the network saw it, with the known region, before it was scaled for the network.
    pub call_x: Vec<Vec<f64>>,
    /// The clean sample of each call, after guidance and before the mask.
    pub pred_x0: Vec<Vec<f64>>,
    /// The sigma of each call.
    pub call_sigma: Vec<f64>,
    /// The number that the network was told at each call.
    pub timesteps: Vec<f64>,
    /// The attempts of a sampler that chooses its own steps; empty for others.
    pub attempts: Vec<Attempt>,
}

impl RunLoop {
    /// Runs the loop around a network. `network` returns its raw outputs at a sample: conditional, unconditional, third and fourth.
    /// The conditional one is always needed; others that the call does not [ask](RunAsk::asks) for may be empty.
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
