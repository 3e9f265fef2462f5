//! Guides predictions on an adapter.

use crate::engine::{Adapter, Values};
use crate::guide_run::RecordedPredictions;
use crate::report::{Failure, Outcome};
use anyhow::anyhow;

impl Adapter {
    /// The guided predictions of all calls.
    pub fn guide(&self, _recorded: &RecordedPredictions) -> Outcome<Values> {
        Err(Failure::input(anyhow!("guidance is computed in f64: expected --on cpu")))
    }
}
