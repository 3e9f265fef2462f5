//! What a loop's clean samples looked like, for whoever reads it frames later.

use crate::gpu::plan::tables::check;
use crate::gpu::{Context, PlanError};

/// What a call's clean samples looked like before they were clipped, over all recordings of the call since the record was
/// last cleared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Health {
    /// Elements that were NaN or infinite.
    pub not_finite: u32,
    /// Elements that were clipped.
    pub clipped: u32,
    /// The least and the largest finite element; `None` if there was none.
    pub range: Option<[f32; 2]>,
}

impl Health {
    /// Bytes of a call's record.
    pub const BYTES: u64 = 16;

    pub(super) fn buffer(context: &Context, calls: usize) -> Result<wgpu::Buffer, PlanError> {
        let size = (calls as u64).max(1) * Self::BYTES;
        let allowed = context.limits().max_storage_buffer_binding_size;
        check("record of clean samples", "max_storage_buffer_binding_size", allowed, size)?;
        Ok(context.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some("tweedie::Step::health"),
            size,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        }))
    }

    /// The record of each call, from the bytes of [`StepPlan::health`](super::StepPlan::health). A last incomplete record
    /// is ignored.
    pub fn decode(bytes: &[u8]) -> Vec<Health> {
        bytes.as_chunks::<16>().0.iter().map(Self::of_record).collect()
    }

    fn of_record(record: &[u8; 16]) -> Self {
        let word = |i: usize| u32::from_le_bytes([record[i], record[i + 1], record[i + 2], record[i + 3]]);
        let range = (word(12) > 0).then(|| [number(!word(8)), number(word(12))]);
        Self { not_finite: word(0), clipped: word(4), range }
    }
}

/// The number that ordered bits stand for: the inverse of `ordered` in `shaders/op/clean_stats.wgsl`.
fn number(ordered: u32) -> f32 {
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
        assert_eq!(Health::decode(&[0; 17]), [Health { not_finite: 0, clipped: 0, range: None }]);
    }
}
