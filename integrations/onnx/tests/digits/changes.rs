//! The weights with which the network's file is compared, and that file with a parameter changed.

use anyhow::{Context, Result, ensure};
use half::f16;
use safetensors::SafeTensors;
use tweedie_onnx::DIGITS;

/// The weights from which `network/digits.py` made the network.
pub const WEIGHTS: &[u8] = include_bytes!("../../../../apps/digits/weights/v.safetensors");

/// The place of a parameter in the network's file, which holds its numbers as the weights do.
pub fn place(name: &str) -> Result<std::ops::Range<usize>> {
    let weights = SafeTensors::deserialize(WEIGHTS)?;
    let bytes = weights.tensor(name)?.data();
    // A tensor's name comes before its numbers, which protobuf precedes by their length.
    let label = format!("{name}.f16");
    let found = DIGITS.windows(label.len()).rposition(|window| window == label.as_bytes()).context("no such name")?;
    let end = (found + label.len() + 8 + bytes.len()).min(DIGITS.len());
    let begin = (found + label.len()..end).find(|&at| DIGITS[at..].starts_with(bytes));
    let begin = begin.with_context(|| format!("`{name}`: other numbers than in the weights"))?;
    Ok(begin..begin + bytes.len())
}

/// The network's file with all numbers of a parameter multiplied by a factor.
pub fn scaled(name: &str, factor: f32) -> Result<Vec<u8>> {
    let (mut file, place) = (DIGITS.to_vec(), place(name)?);
    for pair in file[place].as_chunks_mut::<2>().0 {
        *pair = f16::from_f32(f16::from_le_bytes(*pair).to_f32() * factor).to_le_bytes();
    }
    ensure!(file != DIGITS, "`{name}`: expected a change");
    Ok(file)
}
