//! How the names of a run are understood.

/// The source whose formulas a run follows where a name means different things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunCompat {
    /// ComfyUI.
    #[default]
    ComfyUi,
    /// The published method.
    Published,
}
