//! The state of a run in a file that is written atomically and does not depend on the number of processes.

use anyhow::{Context as _, Result, ensure};
use files::{TensorFile, TensorWriter};
use safetensors::Dtype;
use std::path::Path;

/// The numbers on which the next step depends.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The weights of the network.
    pub weights: Vec<f32>,
    /// Both moments of each weight in the optimiser.
    pub moments: Vec<f32>,
}

/// Writes a checkpoint after this many steps of a run with this setting. The one before stays until it is complete.
pub fn write(path: &Path, setting: &[u32; 2], step: u32, state: &State) -> Result<()> {
    let mut file = TensorWriter::new();
    let mut words = |name: &str, words: &[u32]| {
        file.raw(name, Dtype::U32, &[words.len()], words.iter().flat_map(|word| word.to_le_bytes()).collect())
    };
    words("step", &[step])?;
    words("setting", setting)?;
    for (name, numbers) in [("weights", &state.weights), ("moments", &state.moments)] {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        file.raw(name, Dtype::F32, &[numbers.len()], bytes)?;
    }
    file.save(path)
}

/// Reads the number of completed steps and the state after them, for a run with this setting and a state of this size.
pub fn read(path: &Path, setting: &[u32; 2], like: &State) -> Result<(u32, State)> {
    let file = TensorFile::open(path)?;
    let words = |name| anyhow::Ok(file.numbers(name)?.data);
    let found = words("setting")?;
    let expected: Vec<f64> = setting.iter().copied().map(f64::from).collect();
    file.require(found == expected, "setting", || format!("expected batch and steps {setting:?}, found {found:?}"))?;
    let numbers = |name, like: &[f32]| {
        let found = file.finite_floats(name)?.data;
        let fits = found.len() == like.len();
        file.require(fits, name, || format!("expected {} numbers, found {}", like.len(), found.len()))?;
        anyhow::Ok(found.into_iter().map(|number| number as f32).collect())
    };
    let step = words("step")?.first().copied().context("expected a step, found none")?;
    let most = f64::from(setting[1]);
    ensure!((1.0..=most).contains(&step), "{}: expected a step of 1 to {most}, found {step}", path.display());
    let state = State { weights: numbers("weights", &like.weights)?, moments: numbers("moments", &like.moments)? };
    Ok((step as u32, state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.safetensors");
        let state = State { weights: vec![0.1, -2.5e-7], moments: vec![0.0, 1e-30, 3.0, 4.0] };
        write(&path, &[256, 60], 20, &state).unwrap();
        assert_eq!(read(&path, &[256, 60], &state).unwrap(), (20, state.clone()));
        let refused = |setting, like| format!("{:#}", read(&path, setting, like).unwrap_err());
        let found = refused(&[128, 60], &state);
        assert!(found.ends_with("`setting`: expected batch and steps [128, 60], found [256.0, 60.0]"), "{found}");
        let small = State { weights: vec![0.0], ..state.clone() };
        assert!(refused(&[256, 60], &small).ends_with("`weights`: expected 1 numbers, found 2"));
        write(&path, &[256, 60], 61, &state).unwrap();
        assert!(refused(&[256, 60], &state).ends_with("expected a step of 1 to 60, found 61"));
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(refused(&[256, 60], &state).contains("run.safetensors: "));
    }
}
