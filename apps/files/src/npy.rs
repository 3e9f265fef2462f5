//! Reading NumPy's .npy files, value by value.
//!
//! **Theory.** The format is a magic number, a version, the length of a header, the header (a Python dictionary of `descr`,
//! `fortran_order` and `shape`), and the values (NumPy Enhancement Proposal 1, "A simple file format for NumPy arrays").
//!
//! **Practice.** The claims of the header are checked against the length of the file before anything is allocated, and
//! values are read one by one, so memory does not grow with the file. Fortran order is accepted, because the users of this
//! module treat all elements as one population.
//!
//! The readers on crates.io do not survive headers that lie. `npyz` 0.9 and `ndarray-npy` 0.10 allocate as many bytes as
//! the header's length claims, up to 4 GiB; `npyz` multiplies the sizes of a shape without checking for overflow and
//! ignores what follows the values; `ndarray-npy` allocates the shape that the header claims.

use crate::regular;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// The longest header that is read; those that NumPy writes have a few hundred bytes.
const LONGEST_HEADER: u64 = 1 << 16;

/// An open file, positioned before its first value.
pub struct Npy {
    /// The sizes of its dimensions.
    pub shape: Vec<u64>,
    /// The type of its values.
    pub kind: Kind,
    swapped: bool,
    file: BufReader<File>,
}

/// The type of a value and its size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// IEEE 754, of 2, 4 or 8 bytes.
    Float(usize),
    /// Two's complement.
    Signed(usize),
    /// Unsigned integers.
    Unsigned(usize),
    /// One byte, true unless zero.
    Boolean,
}

impl Npy {
    /// Opens a file and checks that it is whole.
    pub fn open(path: &Path) -> Result<Self> {
        let (file, length) = regular::open(path, "an .npy file")?;
        let mut file = BufReader::new(file);
        let (start, text) = header(&mut file).context("expected an .npy file, found a damaged header")?;
        let header = Header::parse(&text).context("expected an .npy file, found a damaged header")?;
        let (kind, swapped) = kind_of(&header.descr)?;
        let count = header.shape.iter().try_fold(1u64, |product, &size| product.checked_mul(size));
        let end = count.and_then(|count| count.checked_mul(kind.bytes() as u64)?.checked_add(start));
        match end {
            Some(end) if end == length => {}
            Some(end) if end < length => {
                bail!("expected {end} bytes as its header says, found {} (something follows the values)", length)
            }
            _ => bail!(
                "expected the bytes of shape {:?} as its header says, found {} in all (the file is truncated)",
                header.shape,
                length
            ),
        }
        Ok(Self { shape: header.shape, kind, swapped, file })
    }

    /// The number of values; the file is as long as they are, so this does not overflow.
    pub fn count(&self) -> u64 {
        self.shape.iter().product()
    }

    /// The values in the order of the file.
    pub fn values(mut self) -> impl Iterator<Item = Result<f64>> {
        let count = self.count();
        let read = move |_| {
            let mut raw = [0; 8];
            let item = &mut raw[..self.kind.bytes()];
            self.file.read_exact(item).context("cannot be read")?;
            if self.swapped {
                item.reverse();
            }
            Ok(self.kind.value(raw))
        };
        (0..count).map(read)
    }
}

impl Kind {
    /// Bytes of a value.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Float(bytes) | Self::Signed(bytes) | Self::Unsigned(bytes) => bytes,
            Self::Boolean => 1,
        }
    }

    /// Decodes little-endian bytes, the rest of which are zero.
    fn value(self, raw: [u8; 8]) -> f64 {
        let bits = u64::from_le_bytes(raw);
        match self {
            Self::Float(2) => half::f16::from_bits(bits as u16).to_f64(),
            Self::Float(4) => f64::from(f32::from_bits(bits as u32)),
            Self::Float(_) => f64::from_bits(bits),
            Self::Signed(bytes) => {
                let unused = 64 - 8 * bytes as u32;
                ((bits << unused).cast_signed() >> unused) as f64
            }
            Self::Unsigned(_) => bits as f64,
            Self::Boolean => f64::from(bits != 0),
        }
    }
}

/// The type, and whether its bytes are in the other order.
fn kind_of(descr: &str) -> Result<(Kind, bool)> {
    let unknown = || {
        format!("expected values of a float or integer type such as `<f4` or `|u1`, found `{}`", descr.escape_debug())
    };
    let (order, name) = descr.split_at_checked(1).with_context(unknown)?;
    let (class, bytes) = name.split_at_checked(1).with_context(unknown)?;
    let size = bytes.parse().unwrap_or(0);
    let kind = match (class, bytes) {
        ("f", "2" | "4" | "8") => Kind::Float(size),
        ("i", "1" | "2" | "4" | "8") => Kind::Signed(size),
        ("u", "1" | "2" | "4" | "8") => Kind::Unsigned(size),
        ("b", "1") => Kind::Boolean,
        _ => bail!(unknown()),
    };
    match order {
        "<" | "|" => Ok((kind, false)),
        ">" => Ok((kind, true)),
        _ => bail!(unknown()),
    }
}

/// Reads the header, and returns the offset of the values and the text.
fn header(file: &mut impl Read) -> Result<(u64, String)> {
    let mut magic = [0; 8];
    file.read_exact(&mut magic).context("it is too short")?;
    if !magic.starts_with(b"\x93NUMPY") {
        bail!("it does not begin with NumPy's magic number");
    }
    let mut length = [0; 4];
    let field = match magic[6] {
        1 => 2,
        2 | 3 => 4,
        version => bail!("it has version {version}, and only 1 to 3 are known"),
    };
    file.read_exact(&mut length[..field]).context("it is too short")?;
    let length = u64::from(u32::from_le_bytes(length));
    if length > LONGEST_HEADER {
        bail!("it announces a header of {length} bytes, and at most {LONGEST_HEADER} are read");
    }
    let mut text = String::new();
    file.take(length).read_to_string(&mut text).context("its header is not text")?;
    if text.len() as u64 != length {
        bail!("it ends within its header");
    }
    Ok((8 + field as u64 + length, text))
}

/// Content of a header.
#[derive(Debug, Default, PartialEq)]
struct Header {
    descr: String,
    shape: Vec<u64>,
}

impl Header {
    /// Reads the one form that a header of plain values has. `fortran_order` must be there and does not matter.
    fn parse(text: &str) -> Result<Self> {
        let mut rest = Text(text);
        let (mut descr, mut shape, mut order) = (None, None, None);
        rest.expect('{')?;
        while !rest.take('}') {
            let key = rest.string()?;
            rest.expect(':')?;
            match key {
                "descr" => descr = Some(rest.string().context("`descr`: structured types are not read")?.to_owned()),
                "fortran_order" => order = Some(rest.word()),
                "shape" => shape = Some(rest.sizes().context("`shape`")?),
                other => bail!("it has an unknown key `{}`", other.escape_debug()),
            }
            if !rest.take(',') {
                rest.expect('}')?;
                break;
            }
        }
        if !rest.0.trim().is_empty() {
            bail!("something follows the dictionary");
        }
        match (descr, shape, order) {
            (Some(descr), Some(shape), Some("True" | "False")) => Ok(Self { descr, shape }),
            _ => bail!("expected `descr`, `fortran_order` and `shape`"),
        }
    }
}

/// The rest of a header that is being read.
struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    /// Skips the mark if it comes next, and returns whether it did.
    fn take(&mut self, mark: char) -> bool {
        let rest = self.0.trim_start().strip_prefix(mark);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn expect(&mut self, mark: char) -> Result<()> {
        if self.take(mark) { Ok(()) } else { bail!("expected `{mark}`") }
    }

    fn string(&mut self) -> Result<&'a str> {
        let quote = if self.take('\'') { '\'' } else { self.expect('"').map(|()| '"').context("expected a text")? };
        let (text, rest) = self.0.split_once(quote).context("a text does not end")?;
        self.0 = rest;
        Ok(text)
    }

    /// Reads letters and digits, perhaps none.
    fn word(&mut self) -> &'a str {
        let text = self.0.trim_start();
        let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.0 = rest;
        word
    }

    /// Reads a tuple of whole numbers.
    fn sizes(&mut self) -> Result<Vec<u64>> {
        self.expect('(')?;
        let mut sizes = Vec::new();
        while !self.take(')') {
            sizes.push(self.word().parse().context("expected a size")?);
            if !self.take(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(sizes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A file as NumPy writes it, but for the padding.
    fn file(descr: &str, shape: &str, values: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), values].concat()
    }

    fn open(bytes: &[u8]) -> Result<Npy> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a.npy");
        fs::write(&path, bytes)?;
        Npy::open(&path)
    }

    fn read(descr: &str, shape: &str, values: &[u8]) -> Vec<f64> {
        open(&file(descr, shape, values)).unwrap().values().collect::<Result<_>>().unwrap()
    }

    fn refusal(bytes: &[u8]) -> String {
        let error = format!("{:#}", open(bytes).err().expect("must be refused"));
        assert!(error.starts_with("expected ") && !error.contains('\n'), "{error}");
        error
    }

    #[test]
    fn every_type_in_both_orders() {
        assert_eq!(read("<f4", "(2,)", &[1.5f32.to_le_bytes(), (-2f32).to_le_bytes()].concat()), [1.5, -2.0]);
        assert_eq!(read(">f8", "(1, 1)", &0.1f64.to_be_bytes()), [0.1]);
        assert_eq!(read("<f2", "()", &half::f16::from_f32(0.25).to_le_bytes()), [0.25]);
        assert_eq!(read("|u1", "(2, 1)", &[0, 255]), [0.0, 255.0]);
        assert_eq!(read("|i1", "(2,)", &[255, 127]), [-1.0, 127.0]);
        assert_eq!(read(">i2", "(1,)", &(-300i16).to_be_bytes()), [-300.0]);
        assert_eq!(read("<i8", "(1,)", &i64::MIN.to_le_bytes()), [i64::MIN as f64]);
        assert_eq!(read("<u4", "(1,)", &u32::MAX.to_le_bytes()), [4_294_967_295.0]);
        assert_eq!(read("|b1", "(3,)", &[0, 1, 2]), [0.0, 1.0, 1.0]);
        assert!(open(&file("<f4", "(0, 3)", &[])).unwrap().values().next().is_none());
    }

    #[test]
    fn every_truncation_and_every_tail_is_refused() {
        let whole = file("<f4", "(3,)", &[0; 12]);
        for length in 0..whole.len() {
            refusal(&whole[..length]);
        }
        assert!(refusal(&whole[..whole.len() - 1]).contains("truncated"));
        assert!(refusal(&[&whole[..], b"x"].concat()).contains("something follows"));
    }

    #[test]
    fn lies_are_refused() {
        for shape in
            ["(4294967296, 4294967296)", "(99999999999999999999,)", "(-1,)", "(2.5,)", "3", "(3", "(,)", "None"]
        {
            refusal(&file("<f4", shape, &[0; 12]));
        }
        for descr in ["", "f4", "<c8", "|O", "<f16", "=f4", "<M8[ns]", "é"] {
            refusal(&file(descr, "(3,)", &[0; 12]));
        }
        for text in ["", "{", "{}", "{}x", "{'descr': [('a', '<f4')], }", "{'shape': (1,), }", "{'descr'", "{'x': 1}"] {
            let header = [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes()].concat();
            assert!(refusal(&header).contains("damaged header"), "{text}");
        }
        assert!(refusal(b"\x93NUMPY\x02\x00\xff\xff\xff\xff").contains("4294967295 bytes"));
        assert!(refusal(b"\x93NUMPY\x09\x00\xff\xff").contains("version 9"));
        let nested = "(".repeat(60_000);
        refusal(&file("<f4", &nested, &[]));
    }

    #[test]
    fn damaged_bytes_never_panic() {
        let whole = file("<f4", "(3,)", &[0; 12]);
        for place in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[place] ^= 1 << bit;
                if let Ok(npy) = open(&bytes) {
                    npy.values().for_each(drop);
                }
            }
        }
    }
}
