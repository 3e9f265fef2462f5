//! Writing a safetensors file window by window; it appears whole or not at all.
//!
//! The header is known before the data, so it is written first. Each tensor has its place after the header and is filled from its
//! beginning to its end, whatever is appended to others in between.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use crate::atomic::Pending;

/// Bytes of the length field, and the alignment of the data.
const WORD: usize = 8;

/// A tensor that will be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The name in the file.
    pub name: String,
    /// Element type.
    pub dtype: Dtype,
    /// Shape.
    pub shape: Vec<usize>,
}

impl Announced {
    /// Creates an announcement of a tensor of this name, type and shape.
    pub fn new(name: &str, dtype: Dtype, shape: &[usize]) -> Self {
        Self { name: name.to_owned(), dtype, shape: shape.to_vec() }
    }
}

/// The size of a tensor in bytes; `None` if it is too large for a file.
pub(crate) fn length(dtype: Dtype, shape: &[usize]) -> Option<usize> {
    let elements = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size))?;
    Some(elements.checked_mul(dtype.bitsize())? / 8)
}

/// A file whose tensors are being written.
#[derive(Debug)]
pub struct TensorStream {
    file: Pending,
    tensors: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    name: String,
    /// The next byte of the file to write.
    next: u64,
    end: u64,
}

impl TensorStream {
    /// Begins a file with these tensors, in the order that the format asks for: wide types first, then by name.
    pub fn create(path: &Path, mut tensors: Vec<Announced>) -> Result<Self> {
        tensors.sort_by(|a, b| b.dtype.cmp(&a.dtype).then_with(|| a.name.cmp(&b.name)));
        let (header, tensors) = layout(&tensors).with_context(|| path.display().to_string())?;
        let mut file = Pending::create(path)?;
        file.write_at(0, &header)?;
        Ok(Self { file, tensors })
    }

    /// Writes the next bytes of a tensor.
    pub fn append(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let Some(place) = self.tensors.iter_mut().find(|place| place.name == name) else {
            bail!("tensor `{name}` was not announced");
        };
        let room = place.end - place.next;
        if bytes.len() as u64 > room {
            bail!("tensor `{name}`: expected at most {room} more bytes, found {}", bytes.len());
        }
        self.file.write_at(place.next, bytes)?;
        place.next += bytes.len() as u64;
        Ok(())
    }

    /// Puts the file in place, once every tensor is complete.
    pub fn finish(self) -> Result<()> {
        if let Some(Place { name, next, end }) = self.tensors.iter().find(|place| place.next < place.end) {
            bail!("tensor `{name}`: {} bytes were not written", end - next);
        }
        self.file.finish()
    }
}

/// The length field with the header, and the place of each tensor.
fn layout(tensors: &[Announced]) -> Result<(Vec<u8>, Vec<Place>)> {
    let (mut infos, mut places, mut end) = (Vec::with_capacity(tensors.len()), Vec::with_capacity(tensors.len()), 0);
    for Announced { name, dtype, shape } in tensors {
        if infos.iter().any(|(known, _)| known == name) {
            bail!("tensor `{name}` was announced twice");
        }
        let start: usize = end;
        let size = length(*dtype, shape).and_then(|size| start.checked_add(size));
        end = size.ok_or_else(|| anyhow!("tensor `{name}`: {dtype} {shape:?} is too large for a file"))?;
        infos.push((name.clone(), TensorInfo { dtype: *dtype, shape: shape.clone(), data_offsets: (start, end) }));
        places.push(Place { name: name.clone(), next: start as u64, end: end as u64 });
    }
    let mut header = serde_json::to_vec(&Metadata::new(None, infos)?)?;
    header.resize(header.len().next_multiple_of(WORD), b' ');
    let length = (header.len() as u64).to_le_bytes();
    let data = (WORD + header.len()) as u64;
    for place in &mut places {
        (place.next, place.end) = (place.next + data, place.end + data);
    }
    Ok(([&length[..], &header].concat(), places))
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::TensorView;
    use std::fs;

    /// Three tensors of two types, in windows that take turns, against the crate's own writer.
    #[test]
    fn windows_make_the_file_that_the_format_asks_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.safetensors");
        let (b, a, wide): (Vec<u8>, Vec<u8>, Vec<u8>) = ((0..24).collect(), (24..48).collect(), (48..80).collect());
        let announced = vec![
            Announced::new("b", Dtype::F32, &[3, 2]),
            Announced::new("a", Dtype::F32, &[3, 2]),
            Announced::new("wide", Dtype::F64, &[4]),
        ];
        let mut stream = TensorStream::create(&path, announced).unwrap();
        stream.append("wide", &wide[..16]).unwrap();
        for window in 0..3 {
            let bytes = 8 * window..8 * (window + 1);
            stream.append("b", &b[bytes.clone()]).unwrap();
            stream.append("a", &a[bytes]).unwrap();
        }
        stream.append("wide", &wide[16..]).unwrap();
        stream.finish().unwrap();
        let views = [
            ("a", TensorView::new(Dtype::F32, vec![3, 2], &a).unwrap()),
            ("b", TensorView::new(Dtype::F32, vec![3, 2], &b).unwrap()),
            ("wide", TensorView::new(Dtype::F64, vec![4], &wide).unwrap()),
        ];
        assert_eq!(fs::read(&path).unwrap(), safetensors::serialize(views, None).unwrap());
    }

    #[test]
    fn a_file_with_a_part_missing_does_not_appear() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.safetensors");
        let announced = vec![Announced::new("a", Dtype::F32, &[2])];
        let mut stream = TensorStream::create(&path, announced.clone()).unwrap();
        stream.append("a", &[0; 4]).unwrap();
        assert!(stream.append("a", &[0; 5]).unwrap_err().to_string().contains("at most 4 more bytes, found 5"));
        assert!(stream.append("b", &[]).unwrap_err().to_string().contains("not announced"));
        assert_eq!(stream.finish().unwrap_err().to_string(), "tensor `a`: 4 bytes were not written");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let twice = [announced.clone(), announced].concat();
        assert!(format!("{:#}", TensorStream::create(&path, twice).unwrap_err()).contains("twice"));
        let vast = vec![Announced::new("a", Dtype::F32, &[usize::MAX, 2])];
        assert!(format!("{:#}", TensorStream::create(&path, vast).unwrap_err()).contains("too large"));
    }
}
