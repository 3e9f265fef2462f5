//! tweedie's loop on the host around an ONNX network on the CPU.
//!
//! ```text
//! network         a network in an engine without wgpu: slices of f32 in and out
//! flow            a run of ComfyUI around a small network, through `HostLoop`
//! digits          handwritten digits by the trained U-Net
//! ```
//!
//! All elementwise math happens on the host in f64.

mod digits;
mod flow;
mod network;

pub use digits::{DIGITS, write_digits};
pub use flow::{DEVIATION, FLOW, MEANS, sample};
pub use network::Network;
