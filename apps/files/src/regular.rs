//! Opening files whose size bounds the reading.

use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::path::Path;

/// Opens a regular file and returns its size. A device or a pipe might never end.
///
/// `kind` names the expected file in the error, such as "a safetensors file".
pub fn open(path: &Path, kind: &str) -> Result<(File, u64)> {
    let found = match fs::metadata(path) {
        Ok(about) if about.is_file() => return Ok((File::open(path).context("cannot be read")?, about.len())),
        Ok(about) if about.is_dir() => "a directory",
        Ok(_) => "something that is not a regular file",
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "no such file",
        Err(error) => return Err(error).context("cannot be read"),
    };
    bail!("expected {kind}, found {found}")
}
