//! The option `--run`: a file that describes a run.

use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use tweedie::math::run::Run;

/// The run of a file.
pub fn open(path: &Path) -> Result<Run> {
    let read = || -> Result<Run> { Ok(Run::from_json(&fs::read_to_string(path)?)?) };
    read().with_context(|| format!("--run {}", path.display()))
}
