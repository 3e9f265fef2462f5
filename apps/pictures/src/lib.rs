//! Pictures as programs around diffusion models compute with them, for the tool, the viewer and the page.
//!
//! [`picture`] reads and writes files, [`atomic`] sees to it that they appear whole or not at all. [`test_card`] and
//! [`motifs`] are pictures made of mathematics, so that nothing has to be opened; a [`set`] of square ones is what an ideal
//! denoiser knows.

#[cfg(not(target_family = "wasm"))] // a page has no files
pub mod atomic;
pub mod motifs;
pub mod picture;
pub mod set;
pub mod test_card;

pub use picture::Picture;
pub use set::Set;
