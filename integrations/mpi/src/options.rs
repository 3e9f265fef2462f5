//! The command line.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// Trains a small network in several processes, each of which computes its own part of the batch.
#[derive(Parser, Clone, Debug)]
#[command(name = "train")]
pub struct Options {
    /// Training steps of the whole run, including those before a checkpoint
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=MOST_STEPS))]
    pub steps: u32,
    /// Samples of a step, over all processes
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub batch: u32,
    /// The checkpoint file, from which the run resumes if it exists
    #[arg(long, value_name = "FILE.safetensors")]
    pub checkpoint: Option<PathBuf>,
    /// The step after which this run ends with a checkpoint, to be resumed later
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub until: Option<u32>,
    /// Steps from one checkpoint to the next
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub every: u32,
    /// A folder for the numbers that each process draws and computes in every step
    #[arg(long, value_name = "FOLDER")]
    pub record: Option<PathBuf>,
    /// Seconds that a process waits for the others before it ends the run
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..))]
    pub patience: u16,
    /// A deliberate fault of the last process, which comparisons must notice
    #[arg(long, hide = true)]
    pub fault: Option<Fault>,
}

/// A deliberate fault of the last of several processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// It draws samples whose indices are one too high.
    Sample,
    /// Its gradient is left out of the sum.
    Sum,
    /// One of its weights differs from that of the others.
    Weight,
}

/// The largest number of steps for which a plan keeps noise keys.
const MOST_STEPS: i64 = 65_536;

impl Options {
    /// The number of steps that are done at the end of this run.
    pub fn end(&self) -> u32 {
        self.until.unwrap_or(self.steps).min(self.steps)
    }

    /// The numbers that a checkpoint must agree with: the batch, and the steps, by which the learning rate falls.
    pub fn setting(&self) -> [u32; 2] {
        [self.batch, self.steps]
    }
}
