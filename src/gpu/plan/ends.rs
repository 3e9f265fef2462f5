//! The distribution of a draw of timesteps on the GPU: the ends of the ranges of random words.

use crate::gpu::record_error::RecordError;
use crate::gpu::shader::params::TimestepParams;
use std::mem::offset_of;

/// The number of random words that timesteps share.
const WORDS: u64 = 1 << 32;

/// The ends of a draw on the GPU, which may be replaced.
#[derive(Debug)]
pub(crate) struct Ends {
    pub params: wgpu::Buffer,
    pub ends: wgpu::Buffer,
    pub timesteps: usize,
}

impl Ends {
    /// Writes other ends through the caller's queue; see [`Plan::set_ends`](crate::gpu::Plan::set_ends).
    pub fn set(&self, queue: &wgpu::Queue, ends: &[u64]) -> Result<(), RecordError> {
        if ends.len() != self.timesteps {
            return Err(RecordError::Timesteps { expected: self.timesteps, found: ends.len() });
        }
        check_ends(ends).map_err(|(timestep, found)| RecordError::Ends { timestep, found })?;
        let (ends, count) = inner_ends(ends);
        queue.write_buffer(&self.ends, 0, bytemuck::cast_slice(&ends));
        queue.write_buffer(&self.params, offset_of!(TimestepParams, ends) as u64, bytemuck::bytes_of(&count));
        Ok(())
    }
}

/// Checks that the ends of ranges never fall and that the last one is 2^32; returns the first timestep whose end is wrong,
/// and that end, otherwise.
pub(crate) fn check_ends(ends: &[u64]) -> Result<(), (usize, u64)> {
    let mut before = 0;
    for (timestep, &end) in ends.iter().enumerate() {
        let is_last = timestep + 1 == ends.len();
        if end < before || end > WORDS || (is_last && end != WORDS) {
            return Err((timestep, end));
        }
        before = end;
    }
    Ok(())
}

/// The ends that a word can reach, padded to one for each timestep, and their number before padding. The last timestep ends
/// at 2^32, which no word reaches.
pub(crate) fn inner_ends(ends: &[u64]) -> (Vec<u32>, u32) {
    let inner = ends.iter().map_while(|&end| u32::try_from(end).ok()).take(ends.len() - 1);
    let mut words: Vec<u32> = inner.collect();
    let count = words.len() as u32;
    words.resize(ends.len(), u32::MAX);
    (words, count)
}
