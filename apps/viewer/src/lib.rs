//! A window on the algebra of diffusion models: a picture, its noised form, what a network is trained to predict, and what
//! is recovered from a prediction with an error; every sampler at work, back and forth; and digits that a trained network
//! writes, whole or only where a part of one was erased with the mouse.
//!
//! Everything that is shown is computed by [`tweedie`]'s kernels on the window's own device, into storage buffers that the
//! window's render pass draws from; see [`embed`]. Drawing needs no readback, and a frame in which nothing has changed
//! computes nothing.
//!
//! ```text
//! scenes (a crate)                                  what was chosen, and the kernels that compute it
//! embed                                             its integration into an egui window
//! app  controls  *_view  gallery  curves  dialog    the window's content
//! brush                                             the mouse on a digit
//! window  restart  test_log                         the window itself, the next one after a lost device, and the log for
//!                                                   tests
//! ```

pub mod app;
mod brush;
mod controls;
mod curves;
mod dialog;
mod digits_view;
pub mod embed;
mod gallery;
mod plane_view;
pub mod restart;
mod sampling_view;
mod test_log;
pub mod window;

pub use ::scenes::{
    ImageSlice, course, digits, figures, plane, playback, region, renderer, schedules, solvers, state, trajectory,
};
