//! Scenes that the window (`viewer`) and the web page (`web`) show: a picture, its noised form, what a network is
//! trained to predict, and what comes back of a prediction that errs; every sampler at work, back and forth; and digits that
//! a trained network writes, whole or where a part was erased.
//!
//! **Theory.** Both programs are the same loop: a choice changes, kernels write storage buffers, a fragment shader draws
//! from them. Only what surrounds the pictures differs, so only that is written twice.
//!
//! **Practice.** [`state::State`] says what is wanted, [`Renderer`] records what of it has changed into the caller's encoder
//! and draws it in the caller's render pass, on the caller's device. Nothing waits: what is read back is asked for again
//! in the next frame.
//!
//! ```text
//! state  schedules  solvers  variants  region  what was chosen; knows no device
//! playback  figures                            how it goes on by itself, and what is seen of it, in words
//! course                                       the loop of a sampler or of a run of ComfyUI
//! plane  trajectory  digits  history           the kernels of the three views, and what two of them keep
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
