//! Data-parallel training over MPI: each process draws and computes its own part of the batch, and their gradients are summed.
//!
//! ```text
//! cargo build --manifest-path integrations/mpi/Cargo.toml --target-dir target/mpi
//! mpirun -n 4 target/mpi/debug/train --steps 200 --checkpoint run.safetensors
//! ```
//!
//! A perceptron learns the two moons of the example `train_2d` by predicting v. The network and the data are that example's own
//! files. tweedie's part (timesteps, noise, x_t, losses and their gradient) runs in each process on its adapter. A sample is
//! identified by its index in the whole batch, so its numbers are the same whichever process draws them.
//!
//! ```text
//! run          from the checkpoint to the last step
//! options      the command line
//! ranks        the processes: sums, broadcasts, time limits
//! share        the part of a batch of one process
//! trainer      a training step on the adapter, in two halves: gradient and update
//! checkpoint   the state of a run in a file, written atomically
//! record       the numbers of a step in a file, for comparisons
//! ```
//!
//! Exit code 0: done, 1: something failed, 2: a usage error, 3: no adapter. `mpirun` gives the code of the process that failed first.

mod checkpoint;
mod options;
mod ranks;
mod record;
mod run;
mod share;
mod trainer;

#[path = "../../../examples/train_2d/adam.rs"]
#[expect(dead_code, reason = "the example uses more of it")]
mod adam;
#[path = "../../../examples/train_2d/data.rs"]
#[expect(dead_code, reason = "the example uses more of it")]
mod data;
#[path = "../../../examples/train_2d/kernel.rs"]
mod kernel;
#[path = "../../../examples/train_2d/network.rs"]
#[expect(dead_code, reason = "the example uses more of it")]
mod network;
#[path = "../../../examples/train_2d/streams.rs"]
#[expect(dead_code, reason = "the example uses more of it")]
mod streams;

use clap::Parser as _;
use options::Options;
use ranks::Ranks;
use run::Run;
use std::process::ExitCode;
use std::time::Duration;
use tweedie::headless::HeadlessError;

fn main() -> ExitCode {
    let options = Options::parse();
    let Some(universe) = mpi::initialize() else {
        eprintln!("train: expected to initialise MPI, found it initialised already");
        return ExitCode::FAILURE;
    };
    let ranks = Ranks::new(universe.world(), Duration::from_secs(options.patience.into()));
    let Err(error) = Run::new(&options, &ranks).and_then(|run| run.all()) else { return ExitCode::SUCCESS };
    eprintln!("train: process {} of {}: {error:#}", ranks.rank(), ranks.size());
    let no_adapter = matches!(error.downcast_ref(), Some(HeadlessError::NoAdapter));
    // Otherwise the others would wait for this process for ever.
    ranks.abort(if no_adapter { 3 } else { 1 })
}
