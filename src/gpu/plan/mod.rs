//! From tensors to dispatches: validation, layout, uploads and recording.

pub(crate) mod builder;
pub(crate) mod check;
pub(crate) mod ends;
pub(crate) mod entry;
pub(crate) mod fold_pass;
pub(crate) mod four_buffers;
pub(crate) mod job;
pub(crate) mod keys;
pub(crate) mod layout;
pub(crate) mod place;
#[expect(clippy::module_inception, reason = "the folder makes plans, and this file defines them")]
pub(crate) mod plan;
pub(crate) mod reduce;
pub(crate) mod role;
pub(crate) mod rows;
pub(crate) mod sums;
pub(crate) mod tables;
pub(crate) mod walk;
pub(crate) mod window;
pub(crate) mod words;
