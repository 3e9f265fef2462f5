//! The check that results are finite: an infinity or NaN that no input explains is an error, and no file is written.

use crate::engine::Values;
use crate::report::{Failure, Outcome, warn};
use crate::windows::Window;
use anyhow::anyhow;
use clap::builder::Resettable;
use tweedie::Storage;

/// Treatment of results that are not finite.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct FiniteArgs {
    /// Write the file even if a result is beyond the range of its type
    #[arg(long, help_heading = Resettable::Reset)]
    pub force: bool,
}

/// A value that is not finite.
pub struct Overflow {
    /// Index of the sample, over all entries of a list.
    pub sample: usize,
    element: usize,
    value: f64,
}

impl FiniteArgs {
    /// Refuses the first value of a result that is not finite.
    pub fn check(self, name: &str, values: &Values, window: &Window) -> Outcome {
        match first(values, window, |_| true) {
            Some(overflow) => self.refuse(name, values, &overflow, &format!("sample {}", overflow.sample)),
            None => Ok(()),
        }
    }

    /// Returns the failure; with `--force`, warns instead.
    pub fn refuse(self, name: &str, values: &Values, overflow: &Overflow, place: &str) -> Outcome {
        let Overflow { element, value, .. } = overflow;
        let (range, other) = match values {
            Values::Double(_) => ("f64", ""),
            Values::Stored(Storage::F16, _) => ("f16", "--storage f32 or bf16 reaches further, "),
            Values::Stored(storage, _) => (storage.name(), ""),
        };
        let found =
            format!("{place}: tensor `{name}` is beyond the range of {range}: found {value} at element {element}");
        if self.force {
            warn(found);
            return Ok(());
        }
        Err(Failure::check(anyhow!("{found} ({other}--force writes the file anyway)")))
    }
}

/// Returns the first value of a window that is not finite, if it is in a sample that `exists`.
pub fn first(values: &Values, window: &Window, exists: impl Fn(usize) -> bool) -> Option<Overflow> {
    let in_sample = |place: usize, values: &mut dyn Iterator<Item = f64>| {
        let (element, value) = values.enumerate().find(|(_, value)| !value.is_finite())?;
        let sample = window.samples.start + place;
        exists(sample).then_some(Overflow { sample, element: window.elements.start + element, value })
    };
    let elements = window.elements.len().max(1);
    match values {
        Values::Double(values) => values
            .chunks(elements)
            .enumerate()
            .find_map(|(place, values)| in_sample(place, &mut values.iter().copied())),
        Values::Stored(storage, bytes) => bytes
            .chunks(elements * storage.bytes() as usize)
            .enumerate()
            .find_map(|(place, bytes)| in_sample(place, &mut storage.decode(bytes).into_iter().map(f64::from))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_that_is_not_finite_is_found() {
        let values = [1.0, f64::NAN, 2.0, 3.0, 4.0, f64::INFINITY];
        let window = Window { samples: 5..8, elements: 0..2, per_sample: 2 };
        let mut halves = Storage::F16.encode(&values.map(|value| value as f32));
        halves.truncate(2 * values.len());
        for values in [Values::Double(values.to_vec()), Values::Stored(Storage::F16, halves)] {
            let found = |missing: usize| {
                first(&values, &window, |sample| sample != missing + 5).map(|it| (it.sample, it.element))
            };
            assert_eq!([found(9), found(0), found(2)], [Some((5, 1)), Some((7, 1)), Some((5, 1))]);
            assert!(first(&values, &window, |_| false).is_none());
        }
    }
}
