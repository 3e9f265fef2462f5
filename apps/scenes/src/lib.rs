//! Scenes that the window (`viewer`) and the web page (`web`) show: a picture, its noised form, what a network is
//! trained to predict, and what is recovered from a prediction with an error; every sampler at work, back and forth; and
//! digits that a trained network writes, whole or only where a part was erased.
//!
//! **Theory.** Both programs are the same loop: a choice changes, kernels write storage buffers, a fragment shader draws
//! from them. Only what surrounds the pictures differs, so only that is written twice.
//!
//! **Practice.** [`state::State`] holds what is wanted; [`Renderer`] records what has changed into the caller's encoder and
//! draws it in the caller's render pass, on the caller's device. Nothing waits: each frame looks whether what is being read
//! back has arrived.
//!
//! ```text
//! state  schedules  solvers  variants  region  what was chosen, independent of a device
//! playback  figures                            the position in time, and the pictures that are shown with their texts
//! course                                       the loop of a sampler or of a run of ComfyUI
//! plane  trajectory  digits  history           the kernels of the three views, and the samples that two of them keep
//! renderer  image_renderer  buffers  readout   the device: kernels, drawing and readback
//! ```

mod buffers;
pub mod course;
pub mod digits;
pub mod figures;
mod history;
mod image_renderer;
pub mod plane;
pub mod playback;
mod readout;
pub mod region;
pub mod renderer;
pub mod schedules;
pub mod solvers;
pub mod state;
pub mod trajectory;
mod variants;

pub use buffers::ImageSlice;
pub use renderer::Renderer;
