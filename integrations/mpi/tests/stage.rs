//! The runs that the tests share, and what is measured in them.

use crate::launch::{self, Ended};
use anyhow::{Context as _, Result, ensure};
use files::TensorFile;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tweedie::headless::Gpu;

/// Samples of a batch.
pub const BATCH: u32 = 256;
/// Steps of a run, and half of them.
pub const STEPS: u32 = 40;
pub const HALF: u32 = 20;
/// Numbers of processes that are compared.
pub const SIZES: [u32; 3] = [1, 2, 4];

/// The adapter, a folder, and what was measured.
pub struct Stage {
    pub adapter: String,
    folder: tempfile::TempDir,
    whole: Mutex<Option<[Finished; 3]>>,
    measured: Mutex<Map<String, Value>>,
}

/// A run with its files.
#[derive(Clone, Debug)]
pub struct Finished {
    pub processes: u32,
    pub records: PathBuf,
    pub checkpoint: PathBuf,
}

impl Stage {
    /// Prepares the runs. Fails without an adapter or without `mpirun`.
    pub fn open() -> Result<Self> {
        let which = std::env::var("TWEEDIE_ADAPTER").ok();
        let gpu = pollster::block_on(Gpu::open(which.as_deref()))?;
        let version = std::process::Command::new("mpirun").arg("--version").output().context("mpirun")?;
        let version = String::from_utf8_lossy(&version.stdout).lines().next().unwrap_or_default().to_owned();
        ensure!(version.contains("Open MPI"), "expected the mpirun of Open MPI, found `{version}`");
        let measured = json!({ "mpi": version, "batch": BATCH, "steps": STEPS });
        Ok(Self {
            adapter: Gpu::describe(&gpu.info),
            folder: tempfile::tempdir()?,
            whole: Mutex::default(),
            measured: Mutex::new(measured.as_object().cloned().unwrap_or_default()),
        })
    }

    /// A file or folder of this name for a test.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs of 1, 2 and 4 processes from the start, made once.
    pub fn whole(&self) -> Result<[Finished; 3]> {
        let mut whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runs) = &*whole {
            return Ok(runs.clone());
        }
        let run = |processes| self.run(&format!("whole{processes}"), processes, &["--until", &STEPS.to_string()]);
        let [one, two, four] = SIZES.map(run);
        let runs = [one?, two?, four?];
        Ok(whole.insert(runs).clone())
    }

    /// Makes a run of this name that records its steps, from the checkpoint of the same name if there is one.
    pub fn run(&self, name: &str, processes: u32, further: &[&str]) -> Result<Finished> {
        let (records, checkpoint) = (self.path(name), self.path(&format!("{name}.safetensors")));
        let files = ["--record", shown(&records)?, "--checkpoint", shown(&checkpoint)?, "--steps", &STEPS.to_string()];
        launch::run(processes, &[&files, further].concat())?;
        Ok(Finished { processes, records, checkpoint })
    }

    /// Keeps a number for the results.
    pub fn measured(&self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        println!("{name}: {value}");
        self.measured.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), value);
    }

    /// Writes what was measured, and the time of a step, if `TWEEDIE_RENEW` is set.
    pub fn renew(&self) -> Result<()> {
        if std::env::var_os("TWEEDIE_RENEW").is_none() {
            return Ok(());
        }
        for processes in SIZES {
            self.measured(&format!("milliseconds_a_step_of_{processes}"), milliseconds(processes)?);
        }
        let date = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
        let mut all = json!({ "date": date.split('T').next(), "adapter": self.adapter });
        let measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        all.as_object_mut().context("an object")?.extend(measured.clone());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/ranks.json");
        files::atomic::write(&path, format!("{all:#}\n").as_bytes())
    }
}

/// The time of a step, by a run that records nothing.
fn milliseconds(processes: u32) -> Result<f64> {
    let Ended { stdout, .. } = launch::run(processes, &[])?;
    let time = stdout.lines().find_map(|line| line.strip_suffix(" ms a step")?.rsplit(' ').next()?.parse().ok());
    time.context("expected the time of a step, found none")
}

impl Finished {
    /// A tensor of a step: the parts of all processes, one after the other.
    pub fn tensor(&self, step: u32, name: &str) -> Result<Vec<f64>> {
        let count = BATCH / self.processes;
        let of_part = |part: u32| {
            let path = self.records.join(format!("step{step:05}_sample{:05}.safetensors", part * count));
            Ok(TensorFile::open(&path)?.numbers(name)?.data)
        };
        Ok((0..self.processes).map(of_part).collect::<Result<Vec<_>>>()?.concat())
    }

    /// The gradient of the weights, which every process has.
    pub fn weight_gradient(&self, step: u32) -> Result<Vec<f64>> {
        let path = self.records.join(format!("step{step:05}_sample00000.safetensors"));
        Ok(TensorFile::open(&path)?.finite_floats("weight_gradient")?.data)
    }

    /// The weights at the end.
    pub fn weights(&self) -> Result<Vec<f64>> {
        Ok(TensorFile::open(&self.checkpoint)?.finite_floats("weights")?.data)
    }
}

/// A path as an argument.
pub fn shown(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("expected a path in UTF-8, found {}", path.display()))
}
