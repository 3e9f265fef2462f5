//! The text of kernels: composed from the files of `shaders/`, without a device or a plan.

pub(crate) mod access;
pub(crate) mod bindings;
pub(crate) mod catalog;
pub(crate) mod codes;
pub(crate) mod compose;
pub(crate) mod every_shader;
pub(crate) mod fold;
pub(crate) mod op;
pub(crate) mod params;
pub(crate) mod pixels;
pub(crate) mod slots;
pub(crate) mod standalone;
mod template;
pub(crate) mod variant;
