//! Reading safetensors files that may be wrong.
//!
//! Every message names the file, the tensor, what was expected and what was found, on one line. Opening a file reads its header;
//! memory is bounded by the real size of the tensors that are asked for, never by what the header claims.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use safetensors::tensor::{Metadata, TensorInfo};

use crate::array::Array;
use crate::elements::{float_bytes, integers};
use crate::header::Header;
use crate::stored::{Source, Stored};
use crate::{regular, tensor_header};

/// The most tensor names that a message lists.
const LISTED: usize = 12;

/// An open file and its validated header.
#[derive(Debug)]
pub struct TensorFile {
    source: Source,
    /// The offset of the data in the file, in bytes.
    start: u64,
    metadata: Metadata,
}

impl TensorFile {
    /// Opens a file, and validates its header against its size.
    pub fn open(path: &Path) -> Result<Self> {
        let open = || -> Result<Self> {
            let (mut file, size) = regular::open(path, "a safetensors file")?;
            let (start, metadata) = tensor_header::read(&mut file, size)?;
            Ok(Self { source: Source::new(path, file), start, metadata })
        };
        open().with_context(|| path.display().to_string())
    }

    /// The names of its tensors, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.metadata.offset_keys();
        names.sort_unstable();
        names
    }

    /// Returns whether it holds a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.metadata.info(name).is_some()
    }

    /// A floating point tensor of any rank from 1, which stays in the file.
    pub fn stored(&self, name: &str) -> Result<Stored> {
        self.within(self.find_floats(name))
    }

    /// The same, refusing a tensor whose shape is not that of `like`.
    pub fn stored_like(&self, name: &str, like: &Header) -> Result<Stored> {
        let stored = self.stored(name)?;
        self.within(stored.require_shape_of(like))?;
        Ok(stored)
    }

    /// A floating point tensor of any rank from 1, widened to f64. It may hold NaN: see [`Self::finite_floats`].
    pub fn floats(&self, name: &str) -> Result<Array> {
        self.stored(name)?.array()
    }

    /// The same, refusing NaN and infinities.
    pub fn finite_floats(&self, name: &str) -> Result<Array> {
        let array = self.floats(name)?;
        self.within(array.require_finite())?;
        Ok(array)
    }

    /// A finite floating point tensor of the same shape as `like`, widened to f64.
    pub fn floats_like(&self, name: &str, like: &Header) -> Result<Array> {
        let array = self.stored_like(name, like)?.array()?; // a wrong shape is the likelier mistake, so it is reported first
        self.within(array.require_finite())?;
        Ok(array)
    }

    /// True if there is a tensor of this name and it does not hold integers (I64, I32 or U32).
    pub fn is_float(&self, name: &str) -> bool {
        self.metadata.info(name).is_some_and(|info| integers(info.dtype, &[]).is_none())
    }

    /// A tensor of integers (I64, I32 or U32) or finite floating point numbers, widened to f64.
    pub fn numbers(&self, name: &str) -> Result<Array> {
        if self.has(name) && !self.is_float(name) {
            return self.within(self.decode_integers(name));
        }
        self.finite_floats(name)
    }

    fn decode_integers(&self, name: &str) -> Result<Array> {
        let info = self.shaped(name)?;
        let values = integers(info.dtype, &self.data(info)?).unwrap_or_default();
        let data = values.into_iter().map(|value| value as f64).collect();
        Ok(Array { header: header(name, info), data })
    }

    /// Refuses the file unless `holds`, which is said of one of its tensors.
    pub fn require(&self, holds: bool, name: &str, why: impl FnOnce() -> String) -> Result<()> {
        let verdict = if holds { Ok(()) } else { Err(anyhow!("tensor `{}`: {}", name.escape_debug(), why())) };
        self.within(verdict)
    }

    /// Reads one timestep for each sample of `like`, all below `train_timesteps`.
    pub fn timesteps(&self, name: &str, like: &Header, train_timesteps: usize) -> Result<Vec<u32>> {
        self.within(self.decode_timesteps(name, like, train_timesteps))
    }

    fn find_floats(&self, name: &str) -> Result<Stored> {
        let info = self.shaped(name)?;
        if float_bytes(info.dtype).is_none() {
            bail!("tensor `{}`: expected F64, F32, F16 or BF16, found {}", name.escape_debug(), info.dtype);
        }
        Ok(Stored::new(header(name, info), self.source.clone(), self.start + info.data_offsets.0 as u64))
    }

    /// Returns a tensor that has elements along at least one dimension.
    fn shaped(&self, name: &str) -> Result<&TensorInfo> {
        let info = self.info(name)?;
        let shown = name.escape_debug();
        if info.shape.is_empty() {
            bail!("tensor `{shown}`: expected at least one dimension (the batch), found a single number of rank 0");
        }
        if info.shape.contains(&0) {
            bail!("tensor `{shown}`: expected every dimension to be at least 1, found shape {:?}", info.shape);
        }
        Ok(info)
    }

    fn decode_timesteps(&self, name: &str, like: &Header, train_timesteps: usize) -> Result<Vec<u32>> {
        let info = self.info(name)?;
        let (shown, batch) = (name.escape_debug(), like.batch());
        let wanted = format!("{batch} timesteps (one per sample of `{}`)", like.name);
        let [found] = info.shape[..] else {
            bail!("tensor `{shown}`: expected {wanted}, found shape {:?}", info.shape);
        };
        if found != batch {
            bail!("tensor `{shown}`: expected {wanted}, found {found}");
        }
        let values = integers(info.dtype, &self.data(info)?)
            .ok_or_else(|| anyhow!("tensor `{shown}`: expected I64, I32 or U32, found {}", info.dtype))?;
        let checked = values.iter().enumerate().map(|(sample, &t)| {
            let inside = u32::try_from(t).ok().filter(|&t| (t as usize) < train_timesteps);
            inside.ok_or_else(|| {
                anyhow!("tensor `{shown}`: expected timesteps in 0..{train_timesteps}, found {t} at sample {sample}")
            })
        });
        checked.collect()
    }

    fn info(&self, name: &str) -> Result<&TensorInfo> {
        self.metadata
            .info(name)
            .ok_or_else(|| anyhow!("expected a tensor `{}`, found {}", name.escape_debug(), self.listing()))
    }

    fn data(&self, info: &TensorInfo) -> Result<Vec<u8>> {
        let (from, to) = info.data_offsets;
        self.source.read(self.start + from as u64, to.saturating_sub(from))
    }

    fn listing(&self) -> String {
        let names = self.names();
        if names.is_empty() {
            return "no tensor at all".into();
        }
        let shown: Vec<_> = names.iter().take(LISTED).map(|name| format!("`{}`", name.escape_debug())).collect();
        match names.len().saturating_sub(LISTED) {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    }

    /// Returns the result, with the name of the file added to an error.
    pub fn within<T>(&self, result: Result<T>) -> Result<T> {
        result.with_context(|| self.source.path().display().to_string())
    }
}

fn header(name: &str, info: &TensorInfo) -> Header {
    Header { name: name.escape_debug().to_string(), shape: info.shape.clone(), dtype: info.dtype }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor_writer::TensorWriter;
    use safetensors::Dtype;
    use std::fs;

    /// A file with tensors of every kind that the tests ask for.
    fn sample() -> (tempfile::TempDir, TensorFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.safetensors");
        let mut writer = TensorWriter::new();
        let ramp: Vec<f64> = (0..15).map(f64::from).collect();
        let singles = |values: &[f64]| values.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect::<Vec<u8>>();
        let halves = ramp.iter().flat_map(|&x| half::f16::from_f64(x).to_le_bytes()).collect();
        let brains = ramp.iter().flat_map(|&x| half::bf16::from_f64(x).to_le_bytes()).collect();
        let mut add = |name: &str, dtype, shape: &[usize], bytes| writer.raw(name, dtype, shape, bytes).unwrap();
        add("x0", Dtype::F64, &[5, 3], ramp.iter().flat_map(|x| x.to_le_bytes()).collect());
        add("a32", Dtype::F32, &[5, 3], singles(&ramp));
        add("a16", Dtype::F16, &[5, 3], halves);
        add("ab16", Dtype::BF16, &[5, 3], brains);
        add("eps", Dtype::F32, &[5, 2], singles(&ramp[..10]));
        add("scalar", Dtype::F32, &[], singles(&[1.0]));
        add("none", Dtype::F32, &[5, 0], Vec::new());
        add("bad", Dtype::F32, &[2], singles(&[1.0, f64::NAN]));
        let mut times = |name: &str, shape: &[usize], values: &[i64]| {
            add(name, Dtype::I64, shape, values.iter().flat_map(|t| t.to_le_bytes()).collect());
        };
        times("t", &[5], &[0, 1, 2, 3, 9]);
        times("one", &[], &[1]);
        times("empty", &[0], &[]);
        times("t3", &[3], &[0, 1, 2]);
        times("t2d", &[5, 1], &[0; 5]);
        times("minus", &[5], &[0, 0, -1, 0, 0]);
        writer.save(&path).unwrap();
        let file = TensorFile::open(&path).unwrap();
        (folder, file)
    }

    fn text<T: std::fmt::Debug>(result: Result<T>) -> String {
        let text = format!("{:#}", result.unwrap_err());
        assert!(text.contains("in.safetensors: ") && !text.contains('\n'), "{text}");
        text
    }

    #[test]
    fn reads_every_float_type() {
        let (_folder, file) = sample();
        let x0 = file.finite_floats("x0").unwrap();
        assert_eq!(x0.shape, [5, 3]);
        for name in ["a32", "a16", "ab16"] {
            assert_eq!(file.floats_like(name, &x0).unwrap().data, x0.data);
        }
        assert!(file.has("t") && !file.has("T"));
        assert_eq!(file.names()[0], "a16");
    }

    #[test]
    fn integers_have_a_shape_as_floats_do() {
        let (_folder, file) = sample();
        assert_eq!(file.numbers("t").unwrap().data, [0.0, 1.0, 2.0, 3.0, 9.0]);
        assert!(text(file.numbers("one")).contains("rank 0"));
        assert!(text(file.numbers("empty")).contains("found shape [0]"));
    }

    #[test]
    fn reads_timesteps() {
        let (_folder, file) = sample();
        let x0 = file.floats("x0").unwrap();
        assert_eq!(file.timesteps("t", &x0, 10).unwrap(), [0, 1, 2, 3, 9]);
        let wrong = |name| text(file.timesteps(name, &x0, 9));
        assert!(wrong("t3").ends_with("tensor `t3`: expected 5 timesteps (one per sample of `x0`), found 3"));
        assert!(wrong("t2d").ends_with("found shape [5, 1]"));
        assert!(wrong("t").ends_with("expected timesteps in 0..9, found 9 at sample 4"));
        assert!(wrong("minus").ends_with("found -1 at sample 2"));
        assert!(text(file.timesteps("x0", &file.floats("bad").unwrap(), 9)).contains("found shape [5, 3]"));
    }

    #[test]
    fn says_what_is_wrong_with_a_tensor() {
        let (_folder, file) = sample();
        let x0 = file.floats("x0").unwrap();
        assert!(text(file.floats("prediction")).contains("expected a tensor `prediction`, found `a16`, `a32`"));
        assert!(text(file.floats("scalar")).contains("rank 0"));
        assert!(text(file.floats("none")).contains("found shape [5, 0]"));
        assert!(text(file.floats("t")).contains("expected F64, F32, F16 or BF16, found I64"));
        assert!(text(file.finite_floats("bad")).contains("holds NaN at sample 1, element 0"));
        assert!(text(file.floats_like("eps", &x0)).contains("expected shape [5, 3] like `x0`, found [5, 2]"));
    }

    #[test]
    fn says_what_is_wrong_with_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.safetensors");
        assert!(text(TensorFile::open(&path)).contains("no such file"));
        fs::create_dir(&path).unwrap();
        assert!(text(TensorFile::open(&path)).contains("a directory"));
        fs::remove_dir(&path).unwrap();
        fs::write(&path, b"").unwrap();
        assert!(text(TensorFile::open(&path)).contains("an empty file"));
        fs::write(&path, u64::MAX.to_le_bytes()).unwrap();
        assert!(text(TensorFile::open(&path)).contains("announces a header"));
    }

    #[cfg(unix)]
    #[test]
    fn an_endless_device_is_not_read() {
        let text = format!("{:#}", TensorFile::open(Path::new("/dev/zero")).unwrap_err());
        assert!(text.contains("not a regular file"), "{text}");
    }
}
