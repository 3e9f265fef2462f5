//! The result of a step, as it is kept in `docs/platforms/NAME.json`.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::PlatformError;
use super::steps::Step;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Passed,
    Failed,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Verdict::Passed { "passed" } else { "failed" })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The step's name.
    pub step: String,
    pub result: Verdict,
    /// Reason of a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Summary of the step, with its counts.
    pub ran: String,
    /// The adapter and its driver, or the tools, with their versions.
    pub with: String,
    /// Architecture and operating system.
    pub on: String,
    /// The day on which it began, in UTC.
    pub date: String,
    pub seconds: u64,
    /// The version of the library.
    pub tweedie: String,
    /// The commit, and `+` if files differed from it.
    pub commit: String,
    /// Counts that the step has written, one a line of the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counts: Vec<serde_json::Value>,
}

impl Record {
    pub fn save(&self, root: &Path) -> Result<(), PlatformError> {
        let path = path(root, &self.step);
        let text = self.text().map_err(|error| PlatformError::Record { path: path.clone(), error })?;
        let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        folder.and_then(|()| std::fs::write(&path, text + "\n")).map_err(|error| PlatformError::File { path, error })
    }

    /// The record as JSON.
    fn text(&self) -> serde_json::Result<String> {
        let head = serde_json::to_string_pretty(&Self { counts: Vec::new(), ..self.clone() })?;
        if self.counts.is_empty() {
            return Ok(head);
        }
        let counts: Vec<String> = self.counts.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        let head = head.trim_end_matches(['}', '\n']);
        Ok(format!("{head},\n  \"counts\": [\n{}\n]}}", counts.join(",\n")))
    }

    /// Reads the result of a step; `None` if there never was one.
    pub fn load(root: &Path, step: &Step) -> Result<Option<Self>, PlatformError> {
        let path = path(root, step.name);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(PlatformError::File { path, error }),
        };
        serde_json::from_str(&text).map(Some).map_err(|error| PlatformError::Record { path, error })
    }
}

fn path(root: &Path, step: &str) -> PathBuf {
    root.join("docs/platforms").join(format!("{step}.json"))
}
