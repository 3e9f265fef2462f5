//! The ends of reductions: small kernels that make the result of a sample of what its chunks left in scratch memory.
//!
//! Host twin of `shaders/finish*.wgsl`.

use crate::gpu::shader::op::text;

/// What is made of a sample's chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fold {
    /// `shaders/finish_spread.wgsl`: the factor of its guided prediction.
    Spread,
    /// `shaders/finish_digits.wgsl`: a pass of the selection of its threshold.
    Digits,
    /// `shaders/finish_total.wgsl`: a sum.
    Total,
}

impl Fold {
    pub const ALL: [Fold; 3] = [Fold::Spread, Fold::Histogram, Fold::Total];

    /// The entry point.
    pub fn name(self) -> &'static str {
        match self {
            Fold::Spread => "finish_spread",
            Fold::Histogram => "finish_digits",
            Fold::Total => "finish_total",
        }
    }

    /// The complete WGSL.
    pub fn compose(self) -> String {
        let sum = include_str!("../../../shaders/finish_sum.wgsl");
        let parts: &[&str] = match self {
            Fold::Spread => &[text::MOMENTS, text::TREE, sum, include_str!("../../../shaders/finish_spread.wgsl")],
            Fold::Histogram => &[text::DIGIT, include_str!("../../../shaders/finish_digits.wgsl")],
            Fold::Total => &[text::TOTAL, text::TREE, sum, include_str!("../../../shaders/finish_total.wgsl")],
        };
        let text = [include_str!("../../../shaders/finish.wgsl"), &parts.concat()].concat();
        text.replace("finish_sample", self.name())
    }
}
