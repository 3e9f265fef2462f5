//! Files that the applications read and write.
//!
//! Readers check the claims of a header against the length of the file before they allocate for it, and report an error
//! as one line that names what was expected and what was found. Writers replace a file atomically.
//!
//! ```text
//! picture                                      PNG and JPEG
//! tensor_file  tensor_header  tensor_writer    safetensors
//! npy                                          NumPy arrays, read value by value
//! array                                        a tensor in memory
//! atomic  regular                              writing and opening
//! ```

pub mod array;
#[cfg(not(target_family = "wasm"))] // a page has no file system
pub mod atomic;
pub mod npy;
pub mod picture;
mod regular;
pub mod tensor_file;
mod tensor_header;
#[cfg(not(target_family = "wasm"))]
pub mod tensor_writer;

pub use array::Array;
pub use picture::Picture;
pub use tensor_file::TensorFile;
#[cfg(not(target_family = "wasm"))]
pub use tensor_writer::TensorWriter;
