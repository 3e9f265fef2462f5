//! Statistics of the predicted clean samples, which the host may read later.

use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, check_limit};

/// Statistics of a call's clean samples before clipping, over all recordings of the call since the buffer was last cleared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CleanStats {
    /// Elements that were NaN or infinite.
    pub not_finite: u32,
    /// Elements that were clipped.
    pub clipped: u32,
    /// The least and the largest finite element; `None` if none was finite.
    pub range: Option<[f32; 2]>,
}

impl CleanStats {
    /// The bytes of a call's record.
    pub const BYTES: u64 = 16;

    pub(super) fn buffer(context: &Context, calls: usize) -> Result<wgpu::Buffer, PlanError> {
        // A buffer may not be empty.
        let size = (calls as u64).max(1) * Self::BYTES;
        let allowed = context.limits().max_storage_buffer_binding_size;
        check_limit("record of clean samples", "max_storage_buffer_binding_size", allowed, size)?;
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        Ok(context.zeroed_buffer("tweedie::Step::clean_stats", usage, size))
    }

    /// Decodes the statistics of each call from the bytes of [`Plan::clean_stats`](crate::gpu::Plan::clean_stats). A last
    /// incomplete record is ignored.
    pub fn decode(bytes: &[u8]) -> Vec<CleanStats> {
        bytes.as_chunks::<16>().0.iter().map(Self::of_record).collect()
    }

    fn of_record(record: &[u8; 16]) -> Self {
        let word = |i: usize| u32::from_le_bytes([record[i], record[i + 1], record[i + 2], record[i + 3]]);
        // The least element is stored inverted, as a maximum, so that a cleared record (0) means that there is none.
        let range = (word(12) > 0).then(|| [number(!word(8)), number(word(12))]);
        Self { not_finite: word(0), clipped: word(4), range }
    }
}

/// The number that ordered bits stand for: the inverse of `ordered` in `shaders/op/clean_stats.wgsl`.
fn number(ordered: u32) -> f32 {
    // Positive numbers have the sign bit set and negative ones all bits inverted, so that the words are in the numbers' order.
    f32::from_bits(if ordered >> 31 == 1 { ordered & 0x7fff_ffff } else { !ordered })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(x: f32) -> u32 {
        let bits = x.to_bits();
        if bits >> 31 == 1 { !bits } else { bits | 0x8000_0000 }
    }

    #[test]
    fn ordered_bits_keep_the_order_and_come_back() {
        let numbers = [f32::MIN, -1.5, -1e-40, -0.0, 0.0, 1e-40, 2.0, f32::MAX];
        assert!(numbers.is_sorted_by_key(|x| ordered(*x)));
        assert!(numbers.iter().all(|x| number(ordered(*x)).to_bits() == x.to_bits()));
        assert!(numbers.iter().all(|x| ordered(*x) > 0));
    }

    #[test]
    fn a_record_that_was_never_written_has_no_range() {
        assert_eq!(CleanStats::decode(&[0; 17]), [CleanStats { not_finite: 0, clipped: 0, range: None }]);
    }
}
