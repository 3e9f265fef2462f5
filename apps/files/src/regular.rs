//! Opening and reading files within known bounds.

use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

/// Opens a regular file and returns its size. Devices and pipes, which might never end, are refused.
///
/// `kind` names the expected file in the error, such as "a safetensors file".
pub fn open(path: &Path, kind: &str) -> Result<(File, u64)> {
    let about = about(path, kind)?;
    if !about.is_file() {
        bail!("expected {kind}, found something that is not a regular file");
    }
    Ok((File::open(path).context("cannot be read")?, about.len()))
}

/// Reads a file or a pipe of at most `most` bytes.
pub fn read(path: &Path, kind: &str, most: u64) -> Result<Vec<u8>> {
    about(path, kind)?;
    let (file, mut bytes) = (File::open(path).context("cannot be read")?, Vec::new());
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).context("cannot be read")?;
    if bytes.len() as u64 > most {
        bail!("expected {kind} of at most {most} bytes, found a longer one");
    }
    Ok(bytes)
}

/// The metadata of a path, unless it is a directory.
fn about(path: &Path, kind: &str) -> Result<fs::Metadata> {
    match fs::metadata(path) {
        Ok(about) if about.is_dir() => bail!("expected {kind}, found a directory"),
        Ok(about) => Ok(about),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!("expected {kind}, found no such file"),
        Err(error) => Err(error).context("cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_up_to_a_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers");
        fs::write(&path, b"12345").unwrap();
        assert_eq!(read(&path, "numbers", 5).unwrap(), b"12345");
        let text = |path: &Path, most| read(path, "numbers", most).unwrap_err().to_string();
        assert_eq!(text(&path, 4), "expected numbers of at most 4 bytes, found a longer one");
        assert_eq!(text(folder.path(), 4), "expected numbers, found a directory");
        assert_eq!(text(&folder.path().join("none"), 4), "expected numbers, found no such file");
    }
}
