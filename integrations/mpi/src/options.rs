//! The command line.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// Trains a small network in several processes, each of which computes its own part of the batch.
#[derive(Parser, Clone, Debug)]
#[command(name = "train")]
pub struct Options {
    /// Training steps of the whole run, those before a checkpoint included
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=MOST_STEPS))]
    pub steps: u32,
    /// Samples of a step, those of all processes together
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub batch: u32,
    /// The file of the checkpoint; a run goes on from it if it is there
    #[arg(long, value_name = "FILE.safetensors")]
    pub checkpoint: Option<PathBuf>,
    /// The step after which this run ends with a checkpoint, to go on another time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub until: Option<u32>,
    /// Steps from one checkpoint to the next
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub every: u32,
    /// A folder for what every step of each process drew and computed
    #[arg(long, value_name = "FOLDER")]
    pub record: Option<PathBuf>,
    /// Seconds that a process waits for the others before it ends the run
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..))]
    pub patience: u16,
    /// A fault of the last process, to show that comparisons notice it
    #[arg(long, hide = true)]
    pub fault: Option<Fault>,
}

/// A deliberate fault of the last of several processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// It draws the samples that begin one after its first.
    Sample,
    /// Its gradient is left out of the sum.
    Sum,
    /// One of its weights is another than those of the rest.
    Weight,
}

/// A key of noise for each step is what a plan keeps at most.
const MOST_STEPS: i64 = 65_536;

impl Options {
    /// The steps at the end of this run.
    pub fn end(&self) -> u32 {
        self.until.unwrap_or(self.steps).min(self.steps)
    }

    /// The numbers that a checkpoint must agree with: the batch, and the steps, by which the learning rate falls.
    pub fn setting(&self) -> [u32; 2] {
        [self.batch, self.steps]
    }
}
