//! A measured row as one JSON object on one line, with the fields of `benches/peers/torch_bench.py` and some more.

use anyhow::{Context as _, Result, anyhow, bail};
use files::atomic::check_destination;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Write, stdout};
use std::path::Path;

/// What a line of ours is of.
pub const TWEEDIE: &str = "tweedie";

/// A row. What other programs do not tell is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The program.
    #[serde(rename = "impl")]
    pub program: String,
    /// `cpu`, `gpu`, or a peer's word such as `cuda`.
    pub device: String,
    pub workload: String,
    pub op: String,
    pub dtype: String,
    pub batch: u64,
    pub elements: u64,
    pub median_ms: f64,
    /// Each input read once, each output written once.
    pub min_bytes: u64,
    /// `min_bytes` in the median time.
    pub gbps: f64,
    /// The device's own copy, read and written bytes.
    #[serde(default)]
    pub copy_gbps: Option<f64>,
    /// The streaming copy shader.
    #[serde(default)]
    pub stream_gbps: Option<f64>,
    #[serde(default)]
    pub p10_ms: Option<f64>,
    #[serde(default)]
    pub p90_ms: Option<f64>,
    /// Median by timestamp queries, also where `median_ms` is wall time.
    #[serde(default)]
    pub timestamp_ms: Option<f64>,
    /// `timestamp` or `wall`.
    #[serde(default)]
    pub timer: Option<String>,
    /// Nanoseconds of the host for recording a dispatch.
    #[serde(default)]
    pub record_ns: Option<f64>,
    #[serde(default)]
    pub runs: Option<u64>,
    /// Sets of buffers that the runs took in turns.
    #[serde(default)]
    pub sets: Option<u64>,
    #[serde(default)]
    pub adapter: Option<String>,
    #[serde(default)]
    pub backend: Option<String>,
    #[serde(default)]
    pub driver: Option<String>,
    #[serde(default)]
    pub date: Option<String>,
}

impl Line {
    /// Of the rate of `copy_buffer_to_buffer`.
    pub fn of_copy(&self) -> Option<f64> {
        Some(self.gbps / self.copy_gbps?)
    }

    /// Of the rate of the streaming copy.
    pub fn of_stream(&self) -> Option<f64> {
        Some(self.gbps / self.stream_gbps?)
    }

    fn parse(text: &str) -> Result<Self> {
        let line: Self = serde_json::from_str(text)?;
        if line.median_ms <= 0.0 {
            bail!("expected a positive `median_ms`, found {}", line.median_ms);
        }
        Ok(line)
    }
}

/// The lines of a file; empty ones are passed over.
pub fn read(path: &Path) -> Result<Vec<Line>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = parse(&text).with_context(|| path.display().to_string())?;
    if lines.is_empty() {
        bail!("{}: expected lines of measurements, found none", path.display());
    }
    Ok(lines)
}

fn parse(text: &str) -> Result<Vec<Line>> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(number, line)| Line::parse(line).map_err(|error| anyhow!("line {number}: {}", plain(&error)))).collect()
}

/// Each text is one line to the parser, so its own count of lines would only confuse.
fn plain(error: &anyhow::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

/// Where lines go as they are measured. Unlike other files of the tool this one grows: an interrupted run leaves the
/// lines measured so far.
pub enum Sink {
    Nowhere,
    Stdout,
    File(File),
}

impl Sink {
    /// Replaces the file.
    pub fn create(path: &Path) -> Result<Self> {
        check_destination(path)?;
        Ok(Self::File(File::create(path).with_context(|| format!("cannot write {}", path.display()))?))
    }

    /// Writes a line and flushes it.
    pub fn put(&mut self, line: &Line) -> Result<()> {
        let text = serde_json::to_string(line)? + "\n";
        let written = match self {
            Sink::Nowhere => return Ok(()),
            Sink::Stdout => stdout().lock().write_all(text.as_bytes()),
            Sink::File(file) => file.write_all(text.as_bytes()).and_then(|()| file.flush()),
        };
        match written {
            // A reader that has seen enough is no error.
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(anyhow!(error).context("cannot write a line"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A line of the PyTorch script, as it prints it.
    pub const TORCH: &str = r#"{"impl": "torch-eager", "device": "cuda", "workload": "image256", "op": "noise", "dtype": "f32", "batch": 64, "elements": 196608, "median_ms": 0.21, "min_bytes": 150994944, "gbps": 719.0, "copy_gbps": 4100.0}"#;

    /// That line as another program's, of another op and time.
    pub fn line(program: &str, op: &str, median_ms: f64) -> Line {
        let gbps = (150_994.944 / median_ms).round() / 1e3;
        Line { program: program.into(), op: op.into(), median_ms, gbps, ..Line::parse(TORCH).unwrap() }
    }

    #[test]
    fn a_line_of_torch_is_read() {
        let line = Line::parse(TORCH).unwrap();
        assert_eq!((line.program.as_str(), line.batch, line.timer.clone()), ("torch-eager", 64, None));
        assert!((line.of_copy().unwrap() - 719.0 / 4100.0).abs() < 1e-12);
        assert_eq!(line.of_stream(), None);
    }

    #[test]
    fn ours_come_back_as_they_went() {
        let ours =
            Line { stream_gbps: Some(3.5), timer: Some("wall".into()), runs: Some(15), ..line("tweedie", "a", 2.5) };
        let text = serde_json::to_string(&ours).unwrap();
        assert!(text.starts_with(r#"{"impl":"tweedie","device":"cuda","workload":"image256""#), "{text}");
        assert_eq!(Line::parse(&text).unwrap(), ours);
    }

    #[test]
    fn a_malformed_line_is_named() {
        let error = |text: &str| parse(text).unwrap_err().to_string();
        assert!(error(&format!("{TORCH}\n\n{{\"impl\"")).starts_with("line 3: EOF"), "{}", error("{"));
        assert!(error("{}").contains("line 1: missing field `impl` at column"), "{}", error("{}"));
        let negative = TORCH.replace("0.21", "-1");
        assert_eq!(error(&negative), "line 1: expected a positive `median_ms`, found -1");
        assert!(error("[1, 2").starts_with("line 1: "));
        assert_eq!(parse("\n \n").unwrap(), []);
    }
}
