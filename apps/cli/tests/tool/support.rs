//! Runs the tool in a folder of its own, and loads the vectors that its output is compared with.

use crate::tensors::Tensors;
use safetensors::Dtype;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tweedie::Storage;

/// Output of a run.
#[derive(Debug)]
pub struct Run {
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the tool with the words of a line.
pub fn run(line: &str) -> Run {
    run_in(Path::new("."), line)
}

fn run_in(folder: &Path, line: &str) -> Run {
    fed(folder, line, Vec::new())
}

fn fed(folder: &Path, line: &str, input: Vec<u8>) -> Run {
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_tweedie"));
    // Some OpenGL drivers complain on stderr where this is not set.
    command.env("XDG_RUNTIME_DIR", std::env::temp_dir());
    let command = command.current_dir(folder).args(line.split_whitespace()).write_stdin(input);
    let output = command.output().expect("the tool starts");
    let text = |bytes| String::from_utf8(bytes).expect("the tool prints UTF-8");
    Run { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Run {
    /// Asserts that it failed as every failure should: with this code, one line on stderr, nothing on stdout.
    #[track_caller]
    pub fn assert_one_line_error(&self, what: &str, code: i32) {
        let Self { code: found, stdout, stderr } = self;
        assert_eq!(*found, Some(code), "{what}: {stderr}");
        assert!(stderr.starts_with("error: ") && stderr.ends_with('\n'), "{what}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{what}: {stderr}");
        assert!(!stderr.contains("panicked"), "{what}: {stderr}");
        assert!(stdout.is_empty(), "{what}: {stdout}");
    }
}

/// A temporary folder in which the tool runs. It is removed at the end.
pub struct Folder(TempDir);

/// Content of an output file before a run that must not touch it.
const PRECIOUS: &[u8] = b"precious";

/// The output of most runs.
pub const OUT: &str = "out.safetensors";

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder for the test"))
    }

    /// A folder with these tensors in `in.safetensors`.
    pub fn with(tensors: &Tensors) -> Self {
        let folder = Self::new();
        tensors.save(&folder.path("in.safetensors"));
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).expect("a file that can be written");
    }

    /// Every file, hidden ones too.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).expect("a folder that can be read");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
        names.sort_unstable();
        names
    }

    pub fn run(&self, line: &str) -> Run {
        run_in(self.0.path(), line)
    }

    /// Runs it with this text on its standard input.
    pub fn fed(&self, line: &str, input: &str) -> Run {
        fed(self.0.path(), line, input.into())
    }

    /// Runs it, and returns what it printed.
    #[track_caller]
    pub fn succeeds(&self, line: &str) -> String {
        let run = self.run(line);
        assert_eq!(run.code, Some(0), "{line}: {}", run.stderr);
        assert!(run.stderr.is_empty(), "{line}: {}", run.stderr);
        run.stdout
    }

    /// As [`output`](Self::output), but warnings about the configuration may be printed on stderr.
    #[track_caller]
    pub fn noted_output(&self, line: &str) -> Tensors {
        let run = self.run(line);
        assert_eq!(run.code, Some(0), "{line}: {}", run.stderr);
        let noted = run.stderr.lines().all(|line| line.starts_with("warning: --config: "));
        assert!(noted, "{line}: {}", run.stderr);
        Tensors::load(&self.path(OUT))
    }

    /// As [`succeeds`](Self::succeeds), and reads the output file.
    #[track_caller]
    pub fn output(&self, line: &str) -> Tensors {
        self.succeeds(line);
        Tensors::load(&self.path(OUT))
    }

    /// As [`succeeds`](Self::succeeds), and reads the objects that it printed, one a line.
    #[track_caller]
    pub fn objects(&self, line: &str) -> Vec<Value> {
        objects(&self.succeeds(line))
    }

    /// As [`refuses`](Self::refuses), with these tensors in `in.safetensors`.
    #[track_caller]
    pub fn refuses_input(&self, tensors: &Tensors, line: &str, words: &[&str]) {
        tensors.save(&self.path("in.safetensors"));
        self.refuses(line, words);
    }

    /// Runs it three times: with an output file that must survive, without one, and with `--json`.
    ///
    /// Each time it must fail with code 2, name these words in one message, and leave no file behind.
    #[track_caller]
    pub fn refuses(&self, line: &str, words: &[&str]) {
        let out = self.path(OUT);
        for (existing, json) in [(true, false), (false, false), (true, true)] {
            if existing {
                self.write(OUT, PRECIOUS);
            } else {
                fs::remove_file(&out).expect("the file of the run before");
            }
            let before = self.names();
            let run = self.run(&if json { format!("{line} --json") } else { line.to_owned() });
            let said = if json {
                let object: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{line}: {run:?}"));
                assert_eq!((run.code, &object["code"]), (Some(2), &Value::from(2)), "{line}: {run:?}");
                assert!(run.stderr.is_empty(), "{line}: {}", run.stderr);
                object["error"].as_str().expect("a message").to_owned()
            } else {
                run.assert_one_line_error(line, 2);
                run.stderr
            };
            for word in words {
                assert!(said.contains(word), "{line}: expected `{word}` in: {said}");
            }
            assert_eq!(self.names(), before, "{line}");
            assert!(!existing || fs::read(&out).is_ok_and(|bytes| bytes == PRECIOUS), "{line}: the output was damaged");
        }
    }
}

/// One JSON object a line.
#[track_caller]
pub fn objects(text: &str) -> Vec<Value> {
    let objects: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(!objects.is_empty());
    objects
}

/// A file of the vectors.
/// The largest difference of two lists of the same length; NaN if one of the numbers is NaN, so that it is within no bound.
pub fn largest_difference(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    apart.fold(0.0, |most: f64, it| if most.is_nan() || it <= most { most } else { it })
}

pub fn vectors(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors").join(name)
}

/// The cases of a group (`A` or `B`) as the manifest lists them.
pub fn cases(group: &str) -> Vec<Value> {
    let text = fs::read_to_string(vectors("manifest.json")).expect("the manifest");
    let manifest: Value = serde_json::from_str(&text).expect("JSON");
    let cases = manifest["cases"].as_array().expect("a list of cases").iter();
    let found: Vec<Value> = cases.filter(|case| case["category"] == group).cloned().collect();
    assert!(!found.is_empty());
    found
}

pub fn id(case: &Value) -> &str {
    case["id"].as_str().expect("an id")
}

pub fn load(case: &Value) -> Tensors {
    Tensors::load(&vectors(&format!("{}.safetensors", id(case))))
}

/// The options that a user types for a case's schedule; `None` if it has no recipe.
pub fn options(case: &Value) -> Option<String> {
    let config = &case["config"];
    let number = |value: &Value| value.as_f64();
    let peers = &config["diffusers_f32_kwargs"];
    let beta = |key: &str| number(&peers[key]).or_else(|| number(&config[key]));
    let range = || match (beta("beta_start"), beta("beta_end")) {
        (Some(start), Some(end)) => format!("--beta-start {start} --beta-end {end}"),
        _ => String::new(),
    };
    let shape = |key: &str| number(&config[key]).expect("a number of the sigmoid");
    let words = match config["schedule"].as_str().expect("a schedule") {
        "linear" => format!("--schedule linear {}", range()),
        "linear_scaled_by_T" => "--schedule linear-scaled".to_owned(),
        "scaled_linear" => format!("--schedule scaled-linear {}", range()),
        "cosine" => "--schedule cosine".to_owned(),
        "sigmoid" => format!("--schedule sigmoid {}", range()),
        "sigmoid_alpha_bar (Jabri et al. 2212.11972)" => {
            let (start, end, tau) = (shape("start"), shape("end"), shape("tau"));
            format!("--schedule sigmoid-abar --sigmoid-start {start} --sigmoid-end {end} --sigmoid-tau {tau}")
        }
        "zero_snr(linear)" => format!("--schedule linear {} --zero-terminal-snr", range()),
        "zero_snr(scaled_linear)" => format!("--schedule scaled-linear {} --zero-terminal-snr", range()),
        "custom betas (stored)" => return None,
        other => panic!("no options for {other}"),
    };
    Some(format!("{words} --train-timesteps {}", config["T"]))
}

/// The device and the storage of a run; the error bound depends on them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum On {
    Cpu,
    Gpu(Storage),
}

impl On {
    pub fn options(self) -> String {
        match self {
            On::Cpu => "--on cpu".to_owned(),
            On::Gpu(storage) => format!("--on gpu --storage {storage}"),
        }
    }

    pub fn dtype(self) -> Dtype {
        match self {
            On::Cpu => Dtype::F64,
            On::Gpu(Storage::F32) => Dtype::F32,
            On::Gpu(Storage::F16) => Dtype::F16,
            On::Gpu(Storage::Bf16) => Dtype::BF16,
        }
    }
}

/// Inputs that the vectors define by a rule: `((mul*i + add mod 2^32) >> 8) * 2^-23 - 1`, scaled.
pub fn by_rule(rule: &Value, count: usize) -> Vec<f32> {
    let word = |key: &str| rule[key].as_u64().expect("a word") as u32;
    let (mul, add, scale) = (word("mul"), word("add"), rule["scale"].as_f64().expect("a scale"));
    let value = |i: u32| ((f64::from(mul.wrapping_mul(i).wrapping_add(add) >> 8) / 8_388_608.0 - 1.0) * scale) as f32;
    (0..count as u32).map(value).collect()
}

/// Returns whether a function that asserts fails.
pub fn fails(check: impl FnOnce()) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err()
}
