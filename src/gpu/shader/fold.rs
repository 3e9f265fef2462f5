//! The ends of reductions: small kernels that combine what the chunks of a sample left in scratch memory into its result.
//!
//! Host twin of `shaders/reduce/fold.wgsl` and the files whose names begin like its name.

use crate::gpu::shader::op::reduce::{CO_MOMENTS, MOMENTS, RADIX, TOTAL, TREE};
use crate::gpu::shader::params;

const FOLD: &str = include_str!("../../../shaders/reduce/fold.wgsl");
const SUM: &str = include_str!("../../../shaders/reduce/fold_sum.wgsl");

/// The result that a sample's chunks are folded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fold {
    /// `shaders/reduce/fold_spread.wgsl`: the factor of its guided prediction.
    Spread,
    /// `shaders/reduce/fold_histogram.wgsl`: one pass of the selection of its threshold.
    Histogram,
    /// `shaders/guide/fold.wgsl`: the sums from which its weights of guidance follow.
    Guide,
    /// `shaders/reduce/fold_total.wgsl`: a sum.
    Total,
}

impl Fold {
    pub const ALL: [Fold; 4] = [Fold::Spread, Fold::Histogram, Fold::Guide, Fold::Total];

    /// The entry point.
    pub fn name(self) -> &'static str {
        match self {
            Fold::Spread => "fold_spread",
            Fold::Histogram => "fold_histogram",
            Fold::Guide => "fold_guide",
            Fold::Total => "fold_total",
        }
    }

    fn files(self) -> &'static [&'static str] {
        match self {
            Fold::Spread => &[MOMENTS, TREE, SUM, include_str!("../../../shaders/reduce/fold_spread.wgsl")],
            Fold::Histogram => &[RADIX, include_str!("../../../shaders/reduce/fold_histogram.wgsl")],
            Fold::Guide => &[CO_MOMENTS, TREE, SUM, include_str!("../../../shaders/guide/fold.wgsl")],
            Fold::Total => &[TOTAL, TREE, SUM, include_str!("../../../shaders/reduce/fold_total.wgsl")],
        }
    }

    /// The complete WGSL.
    pub fn compose(self) -> String {
        // The entry point has the fold's name, which labels and dumps show.
        let fold = FOLD.replace("fold_samples", self.name());
        params::constants() + &fold + &self.files().concat()
    }
}
