//! A window on the algebra of diffusion models: a picture, its noised form, what a network is trained to predict, and what
//! comes back of a prediction that errs; and every sampler at work, back and forth.
//!
//! Everything that is seen is computed by [`tweedie`]'s kernels on the window's own device, into storage buffers that the
//! window's render pass draws from; see [`embed`]. Nothing is read back for a frame, and a frame in which nothing has
//! changed computes nothing.
//!
//! ```text
//! state  schedules  solvers  variants    what was chosen; knows no window and no device
//! plane  trajectory                      the kernels of the two views
//! wall  studio  embed  readout  buffers  what is on the device, and how it comes into a frame
//! app  controls  *_view  gallery  curves  dialog    the window's content
//! window  trace                          the window itself, and what it says to tests
//! ```

pub mod app;
mod buffers;
mod controls;
mod curves;
mod dialog;
pub mod embed;
mod gallery;
pub mod plane;
mod plane_view;
mod readout;
mod sampling_view;
pub mod schedules;
pub mod solvers;
pub mod state;
pub mod studio;
mod trace;
pub mod trajectory;
mod variants;
mod wall;
pub mod window;

pub use buffers::Hung;
