//! The names of the noise schedules.

use crate::names::named;

named! {
    /// A noise schedule. The synonyms are spelled as their libraries do.
    ScheduleName {
        Linear: "linear",
        LinearScaled: "linear-scaled" | "linear_scaled_by_T",
        ScaledLinear: "scaled-linear" | "quad" | "quadratic",
        Cosine: "cosine" | "squaredcos_cap_v2",
        Sigmoid: "sigmoid",
        SigmoidAbar: "sigmoid-abar" | "sigmoid_alpha_bar" | "sigmoid_jabri" | "jabri",
        Laplace: "laplace",
        LaplacePaper: "laplace-paper",
        Custom: "custom" | "trained_betas",
    }
    const TELLS_SYNONYMS: bool = true;
}

impl ScheduleName {
    /// Returns whether `--beta-start` and `--beta-end` shape it.
    pub fn has_beta_range(self) -> bool {
        matches!(self, Self::Linear | Self::LinearScaled | Self::ScaledLinear | Self::Sigmoid)
    }
}
