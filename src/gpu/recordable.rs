//! Plans of any op, for code that holds plans of several kinds.

use crate::gpu::error::RecordError;
use crate::gpu::inputs::At;
use crate::gpu::loss::plan::LossPlan;
use crate::gpu::map::MapPlan;
use crate::gpu::step::plan::StepPlan;
use crate::gpu::vlb::plan::VlbPlan;

/// A plan that can be recorded into a compute pass, whatever its op.
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
