//! A tensor that stays in its file and is read window by window.
//!
//! Windows are read into memory, not mapped: mapped pages count as memory of the process while they are resident, a file that is
//! shortened meanwhile would kill the process, and mapping needs `unsafe`.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use safetensors::Dtype;

use crate::array::Array;
use crate::elements::{first_not_finite, float_bytes, widen};
use crate::header::Header;

/// An open file that several tensors are read from.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    path: PathBuf,
    file: Arc<Mutex<File>>,
}

impl Source {
    pub fn new(path: &Path, file: File) -> Self {
        Self { path: path.to_owned(), file: Arc::new(Mutex::new(file)) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads `length` bytes of the file from `start`.
    pub fn read(&self, start: u64, length: usize) -> Result<Vec<u8>> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(start)).context("cannot be read")?;
        let mut bytes = vec![0; length];
        file.read_exact(&mut bytes).context("cannot be read")?;
        Ok(bytes)
    }
}

/// A floating point tensor of a file.
#[derive(Clone, Debug)]
pub struct Stored {
    header: Header,
    source: Source,
    /// The tensor's first byte in the file.
    start: u64,
}

/// Name, shape and element type.
impl Deref for Stored {
    type Target = Header;

    fn deref(&self) -> &Header {
        &self.header
    }
}

/// Consecutive elements of a tensor, as the file holds them.
#[derive(Clone, Debug, PartialEq)]
pub struct Elements {
    /// Index of the first one in the tensor.
    pub first: usize,
    /// Element type.
    pub dtype: Dtype,
    /// Little-endian numbers.
    pub bytes: Vec<u8>,
}

impl Elements {
    /// The numbers, widened without loss.
    pub fn widened(&self) -> Vec<f64> {
        widen(self.dtype, &self.bytes).unwrap_or_default()
    }
}

impl Stored {
    pub(crate) fn new(header: Header, source: Source, start: u64) -> Self {
        Self { header, source, start }
    }

    /// Reads a range of elements, refusing NaN and infinities.
    pub fn read(&self, range: Range<usize>) -> Result<Elements> {
        let elements = self.elements(range)?;
        if let Some(place) = first_not_finite(elements.dtype, &elements.bytes) {
            let value = elements.widened().get(place).copied().unwrap_or(f64::NAN);
            self.within(self.header.refuse_not_finite(elements.first + place, value))?;
        }
        Ok(elements)
    }

    /// Reads the whole tensor into memory; it may hold NaN.
    pub fn array(&self) -> Result<Array> {
        let elements = self.elements(0..self.shape.iter().product())?;
        Ok(Array { header: self.header.clone(), data: elements.widened() })
    }

    /// Returns the result, with the name of the file added to an error.
    pub fn within<T>(&self, result: Result<T>) -> Result<T> {
        result.with_context(|| self.source.path().display().to_string())
    }

    fn elements(&self, range: Range<usize>) -> Result<Elements> {
        let (name, dtype, first) = (&self.name, self.dtype, range.start);
        let bytes = || -> Result<Vec<u8>> {
            let size = float_bytes(dtype).unwrap_or_default();
            let total: usize = self.shape.iter().product();
            if range.start > range.end || range.end > total {
                bail!("expected elements within 0..{total}, found {range:?}");
            }
            self.source.read(self.start + (range.start * size) as u64, range.len() * size)
        };
        let bytes = self.within(bytes().with_context(|| format!("tensor `{name}`")))?;
        Ok(Elements { first, dtype, bytes })
    }
}

#[cfg(test)]
mod tests {
    use crate::tensor_file::TensorFile;
    use crate::tensor_writer::TensorWriter;
    use safetensors::Dtype;

    #[test]
    fn windows_are_those_of_the_whole_tensor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.safetensors");
        let values: Vec<f64> = (0..12).map(f64::from).collect();
        let mut writer = TensorWriter::new();
        let halves = values.iter().flat_map(|&x| half::f16::from_f64(x).to_le_bytes()).collect();
        writer.raw("half", Dtype::F16, &[3, 4], halves).unwrap();
        writer.doubles("other", &[1], &[7.0]).unwrap();
        writer.save(&path).unwrap();
        let stored = TensorFile::open(&path).unwrap().stored("half").unwrap();
        assert_eq!(stored.array().unwrap().data, values);
        for range in [0..12, 5..9, 11..12, 4..4] {
            let elements = stored.read(range.clone()).unwrap();
            assert_eq!((elements.first, elements.widened()), (range.start, values[range].to_vec()));
        }
        for (start, end) in [(0, 13), (5, 4)] {
            let text = format!("{:#}", stored.read(start..end).unwrap_err());
            assert!(text.contains("tensor `half`: expected elements within 0..12"), "{text}");
        }
    }

    #[test]
    fn a_file_that_is_cut_off_while_it_is_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.safetensors");
        let mut writer = TensorWriter::new();
        writer.doubles("x0", &[4], &[0.0; 4]).unwrap();
        writer.save(&path).unwrap();
        let stored = TensorFile::open(&path).unwrap().stored("x0").unwrap();
        let length = std::fs::metadata(&path).unwrap().len();
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length - 8).unwrap();
        stored.read(0..3).unwrap();
        let text = format!("{:#}", stored.read(0..4).unwrap_err());
        assert!(text.contains("in.safetensors: tensor `x0`: cannot be read"), "{text}");
    }

    #[test]
    fn what_is_not_finite_is_told_of_by_its_place_in_the_tensor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.safetensors");
        let mut writer = TensorWriter::new();
        writer.doubles("x0", &[3, 2], &[0.0, 1.0, 2.0, f64::INFINITY, 4.0, 5.0]).unwrap();
        writer.save(&path).unwrap();
        let stored = TensorFile::open(&path).unwrap().stored("x0").unwrap();
        stored.read(0..3).unwrap();
        let text = format!("{:#}", stored.read(2..6).unwrap_err());
        let words = "in.safetensors: tensor `x0` holds an infinity at sample 1, element 1 (flat index 3)";
        assert!(text.ends_with(words), "{text}");
    }
}
