//! The part of a batch of one process.

use crate::network::TILE;
use anyhow::{Result, ensure};

/// Consecutive samples of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Samples of the whole batch.
    pub batch: u32,
    /// The index of the first in the whole batch.
    pub first: u32,
    /// Samples of this process.
    pub count: u32,
}

impl Share {
    /// The part of a process. All parts are equally large, in the order of the processes.
    pub fn of(batch: u32, rank: u32, size: u32) -> Result<Self> {
        let count = batch / size.max(1);
        ensure!(
            count > 0 && count * size == batch && count.is_multiple_of(TILE),
            "expected a batch of {size} equal parts, one for each process, of a multiple of {TILE} samples, found {batch}"
        );
        Ok(Self { batch, first: rank * count, count })
    }

    /// The same number of samples, beginning one later: a fault.
    pub fn shifted(self) -> Self {
        Self { first: self.first + 1, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::Share;

    #[test]
    fn parts_cover_the_batch() {
        for size in [1, 2, 4, 8, 32] {
            let mut next = 0;
            for rank in 0..size {
                let share = Share::of(256, rank, size).unwrap();
                assert_eq!((share.first, share.count), (next, 256 / size));
                next += share.count;
            }
            assert_eq!(next, 256);
        }
    }

    #[test]
    fn a_batch_that_does_not_divide_is_refused() {
        for (batch, size) in [(256, 3), (256, 64), (8, 16), (256, 0)] {
            let error = Share::of(batch, 0, size).unwrap_err().to_string();
            assert!(error.ends_with(&format!("found {batch}")), "{error}");
        }
    }
}
