//! The program that names are read as.

/// The program whose numbers a run follows where a name means different things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunCompat {
    /// ComfyUI's.
    #[default]
    ComfyUi,
    /// The published method's.
    Published,
}
