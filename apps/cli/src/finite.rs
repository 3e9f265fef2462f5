//! A last look at results: an infinity or NaN that no input explains is an error, and no file.

use crate::engine::{Job, Values};
use crate::report::{Failure, Outcome, warn};
use anyhow::anyhow;
use tweedie::Storage;

/// Treatment of results that are not finite.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct FiniteArgs {
    /// Write the file also where a result is beyond the range of its type
    #[arg(long)]
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
    /// Refuses values of a job that are not finite; samples without a row hold NaN.
    pub fn check(self, name: &str, values: &Values, job: &Job<'_>) -> Outcome {
        let exists = |sample: usize| job.table.row(job.timesteps[sample] as usize).is_some();
        match first(values, job.elements, exists) {
            Some(overflow) => self.refuse(name, values, &overflow, &format!("sample {}", overflow.sample)),
            None => Ok(()),
        }
    }

    /// The failure; a warning where the file is wanted all the same.
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
        Err(Failure::check(anyhow!("{found} ({other}--force writes it all the same)")))
    }
}

/// The first value that is not finite, in the samples that `exists` says must be.
pub fn first(values: &Values, elements: usize, exists: impl Fn(usize) -> bool) -> Option<Overflow> {
    let in_sample = |sample: usize, values: &mut dyn Iterator<Item = f64>| {
        let (element, value) = values.enumerate().find(|(_, value)| !value.is_finite())?;
        exists(sample).then_some(Overflow { sample, element, value })
    };
    let elements = elements.max(1);
    match values {
        Values::Double(values) => values
            .chunks(elements)
            .enumerate()
            .find_map(|(sample, values)| in_sample(sample, &mut values.iter().copied())),
        Values::Stored(storage, bytes) => bytes
            .chunks(elements * storage.bytes() as usize)
            .enumerate()
            .find_map(|(sample, bytes)| in_sample(sample, &mut storage.decode(bytes).into_iter().map(f64::from))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_that_is_not_finite_is_found() {
        let values = [1.0, f64::NAN, 2.0, 3.0, 4.0, f64::INFINITY];
        let mut halves = Storage::F16.encode(&values.map(|value| value as f32));
        halves.truncate(2 * values.len());
        for values in [Values::Double(values.to_vec()), Values::Stored(Storage::F16, halves)] {
            let found =
                |missing: usize| first(&values, 2, |sample| sample != missing).map(|it| (it.sample, it.element));
            assert_eq!([found(9), found(0), found(2)], [Some((0, 1)), Some((2, 1)), Some((0, 1))]);
            assert!(first(&values, 2, |_| false).is_none());
        }
    }
}
