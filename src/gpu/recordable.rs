//! The plans that a caller may hold without knowing of which kind they are.

use crate::gpu::error::RecordError;
use crate::gpu::loss::LossPlan;
use crate::gpu::map::{At, MapPlan};
use crate::gpu::step::StepPlan;
use crate::gpu::vlb::VlbPlan;

/// What can be recorded into a compute pass, whatever its op: for code that holds plans of several kinds.
pub trait Recordable: std::fmt::Debug {
    /// Records one application of the plan into the caller's pass.
    ///
    /// # Errors
    /// [`RecordError`]; then nothing has been recorded.
    fn record(&self, pass: &mut wgpu::ComputePass<'_>, at: At) -> Result<(), RecordError>;

    /// Dispatches of one recording.
    fn dispatches(&self) -> usize;
}

macro_rules! recordable {
    ($($plan:ty),*) => {$(
        impl Recordable for $plan {
            fn record(&self, pass: &mut wgpu::ComputePass<'_>, at: At) -> Result<(), RecordError> {
                self.record(pass, at)
            }

            fn dispatches(&self) -> usize {
                self.dispatches()
            }
        }
    )*};
}

recordable!(MapPlan, LossPlan, VlbPlan, StepPlan);
