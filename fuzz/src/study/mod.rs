//! What `tweedie study` reads.

#[path = "../../../cli/src/study/data.rs"]
pub mod data;
#[path = "../../../cli/src/study/npy.rs"]
pub mod npy;
#[path = "../../../cli/src/study/short.rs"]
pub mod short;
