//! A measured row as one JSON object on one line, with the fields of `benches/peers/torch_bench.py` and some more.

use anyhow::{Context as _, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, Write};
use std::path::Path;

/// The name of the program in our own lines.
pub const TWEEDIE: &str = "tweedie";

/// A row. A field that another program does not write is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The program.
    #[serde(rename = "impl")]
    pub program: String,
    /// `cpu`, `gpu`, or a peer's word such as `cuda`.
    pub device: String,
    /// The name of the size.
    pub workload: String,
    /// The name of the op.
    pub op: String,
    /// The storage of the tensors.
    pub dtype: String,
    /// Samples.
    pub batch: u64,
    /// Elements of a sample.
    pub elements: u64,
    /// Milliseconds: the median, above 0.
    pub median_ms: f64,
    /// The bytes of each input read once and each output written once.
    pub min_bytes: u64,
    /// The rate in GB/s: `min_bytes` in the median time.
    pub gbps: f64,
    /// The rate of the device's own copy, counting bytes read and written.
    pub copy_gbps: Option<f64>,
    /// The rate of the streaming copy shader.
    pub stream_gbps: Option<f64>,
    /// Milliseconds: a tenth of the runs is faster.
    pub p10_ms: Option<f64>,
    /// Milliseconds: a tenth of the runs is slower.
    pub p90_ms: Option<f64>,
    /// The median by timestamp queries, even where `median_ms` is wall time.
    pub timestamp_ms: Option<f64>,
    /// `timestamp` or `wall`.
    pub timer: Option<String>,
    /// Nanoseconds that recording a dispatch takes the host.
    pub record_ns: Option<f64>,
    /// The median milliseconds of the same by wgpu's own calls, for times of the host.
    pub by_hand_ms: Option<f64>,
    /// Runs that were measured.
    pub runs: Option<u64>,
    /// Sets of buffers that the runs cycled through.
    pub sets: Option<u64>,
    /// The adapter's name.
    pub adapter: Option<String>,
    /// The API that it was reached by.
    pub backend: Option<String>,
    /// The driver's name and version.
    pub driver: Option<String>,
    /// The time of the measurement, in UTC.
    pub date: Option<String>,
}

impl Line {
    /// The rate as a part of that of `copy_buffer_to_buffer`.
    pub fn of_copy(&self) -> Option<f64> {
        Some(self.gbps / self.copy_gbps?)
    }

    /// The rate as a part of that of the streaming copy.
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

/// Reads the lines of a file, and skips empty ones.
///
/// # Errors
/// For a file that cannot be read, one without lines, and a malformed line, which is named by its number.
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

/// The error without the parser's own count of lines, which is always 1.
fn plain(error: &anyhow::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

/// Writes a line and flushes it, so that an interrupted run leaves the lines measured so far. It is no error if the reader of
/// a pipe closes it.
///
/// # Errors
/// Writing fails.
pub fn write(to: &mut dyn Write, line: &Line) -> Result<()> {
    let text = serde_json::to_string(line)? + "\n";
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write a line"),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A line as the PyTorch script prints it.
    pub const TORCH: &str = r#"{"impl": "torch-eager", "device": "cuda", "workload": "image256", "op": "noise", "dtype": "f32", "batch": 64, "elements": 196608, "median_ms": 0.21, "min_bytes": 150994944, "gbps": 719.0, "copy_gbps": 4100.0}"#;

    /// The same line for another program, op and time.
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

    #[test]
    fn a_file_comes_back_as_it_was_written() {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let lines = [line("tweedie", "noise", 1.0), Line { sets: Some(2), ..line("tweedie", "loss", 3.5) }];
        let mut file = std::fs::File::create(&path).unwrap();
        lines.iter().for_each(|line| write(&mut file, line).unwrap());
        assert_eq!(read(&path).unwrap(), lines);
    }

    #[test]
    fn refused_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |name: &str, text: Option<&[u8]>| {
            let path = folder.path().join(name);
            text.into_iter().for_each(|text| std::fs::write(&path, text).unwrap());
            let error = format!("{:#}", read(&path).unwrap_err());
            assert!(error.contains(name), "{error}");
            error
        };
        assert!(refused("missing", None).starts_with("cannot read "));
        assert!(refused("empty", Some(b"\n\n")).ends_with("expected lines of measurements, found none"));
        assert!(refused("binary", Some(&[0xff, 0xfe])).starts_with("cannot read "));
        let infinite = TORCH.replace("0.21", "1e999");
        assert!(refused("infinite", Some(infinite.as_bytes())).contains(": line 1: "));
    }

    #[test]
    fn a_closed_pipe_is_forgiven_and_a_full_disk_is_not() {
        struct Broken(ErrorKind);
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let write_to = |kind| write(&mut Broken(kind), &line("tweedie", "noise", 1.0));
        assert!(write_to(ErrorKind::BrokenPipe).is_ok());
        assert!(write_to(ErrorKind::StorageFull).is_err());
    }

    #[test]
    fn kept_results_are_still_read() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../results");
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            assert!(read(&path).unwrap().len() > 10, "{}", path.display());
        }
    }
}
