//! Splitting a batch into windows that a device can bind.
//!
//! A device binds at most `max_storage_buffer_binding_size` bytes of a buffer at once (128 MiB by default). A window is
//! a range of samples or, where one sample alone is too large, a range of elements of one sample.

use crate::gpu::tensor::Shape;

/// Part of a batch that one dispatch covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub first_sample: u32,
    pub samples: u32,
    pub first_element: u32,
    pub elements: u32,
}

impl Window {
    /// Splits it into windows of at most this many samples.
    pub fn split(self, most: u32) -> impl Iterator<Item = Window> {
        steps(self.samples, whole_lanes(most, self.samples)).map(move |(first, samples)| Window {
            first_sample: self.first_sample + first,
            samples,
            ..self
        })
    }
}

/// The extent of a tensor: bytes of an element, elements from sample to sample, and elements of each sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub bytes: u64,
    pub stride: u64,
    pub span: u64,
}

/// The windows of a batch, in order, such that no tensor binds more than `limit` bytes in one of them; `slack` bytes of the
/// limit are left for aligning the start. Window borders within a sample are multiples of `grain` elements.
pub(crate) fn windows(shape: Shape, extents: &[Extent], limit: u64, slack: u64, grain: u32) -> Vec<Window> {
    // At least four grains, so that a tiny limit does not make countless windows; the device's limit is checked later.
    let room = limit.saturating_sub(slack).max(u64::from(grain) * 4);
    let elements = u64::from(shape.elements);
    let fitting = |e: &Extent| match (room / e.bytes).checked_sub(e.span) {
        None => 0,
        // A broadcast input takes no more room for more samples.
        Some(rest) => rest.checked_div(e.stride).map_or(u64::from(shape.batch), |more| more + 1),
    };
    let samples = extents.iter().map(fitting).min().unwrap_or(1).min(u64::from(shape.batch)) as u32;
    if samples >= 1 {
        return steps(shape.batch, whole_lanes(samples, shape.batch))
            .map(|(first_sample, samples)| Window { first_sample, samples, first_element: 0, elements: shape.elements })
            .collect();
    }
    // Not even one sample fits, so a window is a part of one. All tensors are cut at the same elements, and the widest
    // decides how many.
    let widest = extents.iter().map(|e| e.bytes).max().unwrap_or(4);
    let part = (room / widest / u64::from(grain) * u64::from(grain)).min(elements) as u32;
    (0..shape.batch)
        .flat_map(|first_sample| {
            steps(shape.elements, part).map(move |(first_element, elements)| Window {
                first_sample,
                samples: 1,
                first_element,
                elements,
            })
        })
        .collect()
}

/// Rounds a number of samples down to a multiple of 4, unless it is below 4 or all of them: 4 samples of any size are whole
/// lanes.
fn whole_lanes(samples: u32, all: u32) -> u32 {
    if samples < 4 || samples >= all { samples } else { samples / 4 * 4 }
}

/// `(start, length)` of the pieces of `0..total` of at most `piece` each.
fn steps(total: u32, piece: u32) -> impl Iterator<Item = (u32, u32)> {
    (0..total).step_by(piece.max(1) as usize).map(move |start| (start, piece.min(total - start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covered(shape: Shape, parts: &[Window]) -> u64 {
        assert!(parts.iter().all(|w| w.first_sample + w.samples <= shape.batch));
        assert!(parts.iter().all(|w| w.first_element + w.elements <= shape.elements));
        parts.iter().map(|w| u64::from(w.samples) * u64::from(w.elements)).sum()
    }

    #[test]
    fn a_batch_that_fits_is_one_window() {
        let shape = Shape::new(5, 63);
        let parts = windows(shape, &[Extent { bytes: 4, stride: 63, span: 63 }], 1 << 20, 256, 4);
        assert_eq!(parts, [Window { first_sample: 0, samples: 5, first_element: 0, elements: 63 }]);
    }

    #[test]
    fn a_larger_batch_is_split_between_samples_by_its_widest_tensor() {
        let shape = Shape::new(10, 100);
        let extents = [Extent { bytes: 4, stride: 100, span: 100 }, Extent { bytes: 4, stride: 200, span: 100 }];
        let parts = windows(shape, &extents, 2656, 256, 4);
        assert_eq!(parts.len(), 4, "room for 600 elements holds 3 samples of stride 200");
        assert_eq!(covered(shape, &parts), shape.total());
    }

    #[test]
    fn a_sample_that_does_not_fit_is_split_within() {
        let shape = Shape::new(2, 1003);
        let parts = windows(shape, &[Extent { bytes: 4, stride: 1003, span: 1003 }], 1280, 256, 4);
        assert_eq!(parts[0].elements, 256);
        assert_eq!(covered(shape, &parts), shape.total());
        assert!(parts.iter().all(|w| w.first_element % 4 == 0));
    }

    #[test]
    fn a_broadcast_input_does_not_limit_the_samples() {
        let parts = windows(Shape::new(1000, 100), &[Extent { bytes: 4, stride: 0, span: 100 }], 1024, 256, 4);
        assert_eq!(parts.len(), 1);
    }
}
