//! Generated images for the tool, the viewer and the page, so that nothing has to be opened first.
//!
//! [`test_card`] and [`motifs`] compute images from formulas. A [`set`] of square images is the data that an ideal denoiser
//! knows; its members are read from files or generated.

pub mod motifs;
pub mod set;
pub mod test_card;

pub use files::Picture;
pub use set::Set;
