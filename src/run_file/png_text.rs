//! The text in a PNG file (W3C PNG specification, section 11.3.3).

use super::workflow_error::WorkflowError;

/// The first bytes of a PNG.
const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// The text of a keyword, from a chunk `tEXt` or an uncompressed `iTXt`.
pub(super) fn text(png: &[u8], keyword: &str) -> Result<String, WorkflowError> {
    let error = |reason: &str| WorkflowError::Png { reason: reason.to_owned() };
    let mut rest = png.strip_prefix(&SIGNATURE[..]).ok_or_else(|| error("it is not a PNG"))?;
    loop {
        let cut_off = || error("it is cut off");
        let (head, after) = rest.split_first_chunk::<8>().ok_or_else(cut_off)?;
        let [a, b, c, d, kind @ ..] = *head;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let data = after.get(..length).ok_or_else(cut_off)?;
        // A checksum of four bytes follows.
        rest = after.get(length.saturating_add(4)..).ok_or_else(cut_off)?;
        let of_keyword = data.strip_prefix(keyword.as_bytes()).and_then(|data| data.strip_prefix(b"\0"));
        match (&kind, of_keyword) {
            // Latin-1; ComfyUI writes only ASCII.
            (b"tEXt", Some(text)) => return Ok(text.iter().map(|&byte| char::from(byte)).collect()),
            (b"iTXt", Some([0, _, text @ ..])) => {
                // The language and the translated keyword, each ended by a zero.
                let text = text.splitn(3, |byte| *byte == 0).nth(2).ok_or_else(cut_off)?;
                return String::from_utf8(text.to_vec()).map_err(|_| error("its text is not UTF-8"));
            }
            (b"iTXt" | b"zTXt", Some(_)) => return Err(error("its text is compressed")),
            (b"IEND", _) => return Err(error(&format!("it has no text `{keyword}`"))),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let chunk =
            |kind: &[u8; 4], data: &[u8]| [&(data.len() as u32).to_be_bytes()[..], kind, data, &[0; 4]].concat();
        [&SIGNATURE[..], &chunk(kind, data), &chunk(b"IEND", &[])].concat()
    }

    #[test]
    fn text_is_found_in_both_kinds_of_chunk() {
        assert_eq!(text(&png(b"tEXt", b"prompt\0{}"), "prompt").unwrap(), "{}");
        assert_eq!(text(&png(b"iTXt", b"prompt\0\0\0en\0\0{\"a\": 1}"), "prompt").unwrap(), "{\"a\": 1}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let reason = |png: &[u8]| text(png, "prompt").unwrap_err().to_string();
        assert!(reason(b"GIF89a").ends_with("it is not a PNG"));
        assert!(reason(&png(b"tEXt", b"workflow\0{}")).ends_with("it has no text `prompt`"));
        assert!(reason(&png(b"zTXt", b"prompt\0\0abc")).ends_with("compressed"));
        let whole = png(b"tEXt", b"prompt\0{}");
        for length in 8..whole.len() - 12 {
            assert!(text(&whole[..length], "prompt").is_err_and(|error| error.to_string().ends_with("cut off")));
        }
    }
}
