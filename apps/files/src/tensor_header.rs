//! The header of a safetensors file, and the check that the file is whole.
//!
//! The `safetensors` crate validates everything, but its errors say little to a user. The commonest accidents (a file that is not
//! safetensors, a download that stopped) are recognised here first, by comparing the header with the size of the file.
//!
//! The layout is: header length (u64, little endian), header (JSON), data. The header names each tensor's bytes,
//! counted from the start of the data.

use std::io::{ErrorKind, Read};

use anyhow::{Context, Result, bail};
use safetensors::tensor::Metadata;
use serde_json::{Map, Value};

/// Bytes of the length field.
const LENGTH: usize = 8;

/// Longest header that the `safetensors` crate reads and writes.
const LONGEST: u64 = 100_000_000;

/// Reads and validates the header of a file of `size` bytes. Returns the offset of the data, and the header.
pub fn read(file: &mut impl Read, size: u64) -> Result<(u64, Metadata)> {
    let header = header_of(file, size)?;
    let start = (LENGTH + header.len()) as u64;
    check_size(&header, start, size)?;
    let metadata: Metadata = match serde_json::from_slice(&header) {
        Ok(metadata) => metadata,
        Err(error) => bail!("expected a safetensors file, found a damaged header: {error}"),
    };
    // Checked again by the crate's own reading of the header, which gives the ranges of the data.
    let end = start.saturating_add(metadata.data_len() as u64);
    if end != size {
        bail!("expected {end} bytes as its header says, found {size}");
    }
    Ok((start, metadata))
}

fn header_of(file: &mut impl Read, size: u64) -> Result<Vec<u8>> {
    let mut length = [0; LENGTH];
    match file.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof && size == 0 => {
            bail!("expected a safetensors file, found an empty file")
        }
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            bail!("expected a safetensors file, found only {size} bytes")
        }
        Err(error) => return Err(error).context("cannot be read"),
    }
    let length = u64::from_le_bytes(length);
    if length > size.saturating_sub(LENGTH as u64) {
        bail!(
            "expected a safetensors file, found a file of {size} bytes that announces a header of {length} bytes \
             (it is truncated, or in another format)"
        );
    }
    if length > LONGEST {
        bail!("expected a header of at most {LONGEST} bytes, found one of {length}");
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).context("cannot be read")?;
    Ok(header)
}

/// Compares the end of the last tensor with the end of the file.
fn check_size(header: &[u8], start: u64, found: u64) -> Result<()> {
    let Ok(tensors) = serde_json::from_slice::<Map<String, Value>>(header) else {
        bail!("expected a safetensors file, found a header that is not a JSON object");
    };
    let ends = tensors.values().filter_map(|tensor| tensor.get("data_offsets")?.get(1)?.as_u64());
    let expected = ends.max().unwrap_or(0).saturating_add(start);
    match expected.cmp(&found) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => {
            bail!("expected {expected} bytes as its header says, found {found} (the file is truncated)")
        }
        std::cmp::Ordering::Less => {
            bail!("expected {expected} bytes as its header says, found {found} (something follows the last tensor)")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    }

    fn parse(mut bytes: &[u8]) -> Result<(u64, Metadata)> {
        let size = bytes.len() as u64;
        read(&mut bytes, size)
    }

    fn refusal(bytes: &[u8]) -> String {
        let error = format!("{:#}", parse(bytes).expect_err("must be refused"));
        assert!(!error.contains('\n'), "{error}");
        error
    }

    const ONE: &str = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;

    #[test]
    fn a_whole_file_is_accepted() {
        let (start, metadata) = parse(&file(ONE, 8)).unwrap();
        assert_eq!(start, 8 + ONE.len() as u64);
        assert_eq!(metadata.info("a").unwrap().shape, [2]);
    }

    #[test]
    fn every_truncation_and_every_tail_is_refused() {
        let whole = file(ONE, 8);
        for length in 0..whole.len() {
            refusal(&whole[..length]);
        }
        assert!(refusal(&file(ONE, 7)).contains("truncated"));
        assert!(refusal(&file(ONE, 9)).contains("something follows"));
    }

    #[test]
    fn a_lying_header_length_is_refused() {
        for length in [9, 1 << 20, 1 << 40, u64::MAX - 7, u64::MAX] {
            let mut bytes = length.to_le_bytes().to_vec();
            bytes.push(b'{');
            assert!(refusal(&bytes).contains("announces"), "{length}");
        }
    }

    #[test]
    fn a_header_that_is_too_long_is_not_read() {
        let length = LONGEST + 1;
        let error = read(&mut &length.to_le_bytes()[..], u64::MAX).unwrap_err().to_string();
        assert!(error.contains("at most 100000000 bytes, found one of 100000001"), "{error}");
    }

    #[test]
    fn garbage_and_lying_tensors_are_refused() {
        assert!(refusal(&[]).contains("empty"));
        assert!(refusal(b"\x89PNG\r\n\x1a\n and so on").contains("another format"));
        for header in [
            "",
            "{}x",
            "[1, 2]",
            r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#,
            r#"{"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}}"#,
            r#"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#,
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#,
            r#"{"a":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,18446744073709551615]}}"#,
            r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}"#,
            r#"{"a":7}"#,
        ] {
            refusal(&file(header, 8));
        }
    }

    #[test]
    fn flipping_any_byte_never_panics() {
        let whole = file(ONE, 8);
        for place in 0..whole.len() {
            for flip in [1, 0x20, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[place] ^= flip;
                let _ = parse(&bytes);
            }
        }
    }
}
