//! Files that the applications read and write.
//!
//! Readers check the claims of a header against the length of the file before they allocate for it, and report an error
//! as one line that names what was expected and what was found. Writers replace a file atomically.
//!
//! ```text
//! picture                                      PNG and JPEG
//! tensor_file  tensor_header                   reading safetensors
//! tensor_writer  tensor_stream                 writing safetensors, from memory or window by window
//! npy                                          NumPy arrays, read value by value
//! array  stored                                a tensor in memory, or in its file
//! header  elements                             name, shape and type of a tensor, and the bytes of its numbers
//! atomic  regular                              atomic writing, and opening regular files
//! ```

pub mod array;
#[cfg(not(target_family = "wasm"))] // a web page has no file system
pub mod atomic;
mod elements;
pub mod header;
pub mod npy;
pub mod picture;
pub mod regular;
pub mod stored;
pub mod tensor_file;
mod tensor_header;
#[cfg(not(target_family = "wasm"))]
pub mod tensor_stream;
#[cfg(not(target_family = "wasm"))]
pub mod tensor_writer;

pub use array::Array;
pub use header::Header;
pub use picture::Picture;
pub use stored::{Elements, Stored};
pub use tensor_file::TensorFile;
#[cfg(not(target_family = "wasm"))]
pub use tensor_stream::{Announced, TensorStream};
#[cfg(not(target_family = "wasm"))]
pub use tensor_writer::TensorWriter;
