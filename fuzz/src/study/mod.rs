//! What `tweedie study` reads.

#[path = "../../../apps/cli/src/study/data.rs"]
pub mod data;
#[path = "../../../apps/cli/src/study/npy.rs"]
pub mod npy;
#[path = "../../../apps/cli/src/study/short.rs"]
pub mod short;
