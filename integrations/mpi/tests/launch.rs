//! A run under `mpirun`.

use anyhow::{Context as _, Result, bail, ensure};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The time after which a run is given up: many times what the longest one takes under load.
const LONGEST: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(5);

/// A run that has begun.
pub struct Running {
    child: Child,
    output: [Option<JoinHandle<String>>; 2],
}

/// A run that has ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

fn collected(stream: Option<impl Read + Send + 'static>) -> Option<JoinHandle<String>> {
    let mut stream = stream?;
    Some(std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes); // on an error, what was read before it is kept
        String::from_utf8_lossy(&bytes).into_owned()
    }))
}

/// Begins a run with this number of processes and these arguments.
pub fn begin(processes: u32, arguments: &[&str]) -> Result<Running> {
    let mut command = Command::new("mpirun");
    command.args(["--oversubscribe", "--bind-to", "none", "-n", &processes.to_string()]);
    command.arg(env!("CARGO_BIN_EXE_train")).args(arguments);
    // Tests and containers often run as root, and may forbid a process to read another's memory.
    command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    command.env("OMPI_MCA_btl_vader_single_copy_mechanism", "none");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("mpirun")?;
    let output = [collected(child.stdout.take()), collected(child.stderr.take())];
    Ok(Running { child, output })
}

/// Runs to the end, which must be a success.
pub fn run(processes: u32, arguments: &[&str]) -> Result<Ended> {
    let ended = begin(processes, arguments)?.wait()?;
    ensure!(ended.code == Some(0), "{processes} processes, {arguments:?}: expected success, found {ended:?}");
    Ok(ended)
}

impl Running {
    /// Waits for the end.
    pub fn wait(mut self) -> Result<Ended> {
        let begun = Instant::now();
        let status = loop {
            match self.child.try_wait()? {
                Some(status) => break status,
                None if begun.elapsed() > LONGEST => {
                    self.child.kill()?;
                    bail!("expected an end within {LONGEST:?}, found none");
                }
                None => std::thread::sleep(PAUSE),
            }
        };
        let mut text = |i: usize| self.output[i].take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        let [stdout, stderr] = [0, 1].map(&mut text);
        Ok(Ended { code: status.code(), stdout, stderr })
    }

    /// Waits until a condition holds, while the run continues.
    pub fn wait_for(&mut self, what: &str, holds: impl Fn() -> bool) -> Result<()> {
        let begun = Instant::now();
        while !holds() {
            ensure!(self.child.try_wait()?.is_none(), "the run has ended before {what}");
            ensure!(begun.elapsed() < LONGEST, "expected {what} within {LONGEST:?}");
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Sends a signal to the process of this rank.
    pub fn signal(&self, rank: u32, signal: &str) -> Result<()> {
        let id = process_of(self.child.id(), rank)?;
        let sent = Command::new("kill").args([signal, &id.to_string()]).status()?;
        ensure!(sent.success(), "kill {signal} {id}: {sent}");
        Ok(())
    }
}

/// The child of `mpirun` with this rank, found by the environment variable that it sets for each.
fn process_of(launcher: u32, rank: u32) -> Result<u32> {
    let wanted = format!("OMPI_COMM_WORLD_RANK={rank}");
    let of_thread =
        |thread: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(thread?.path().join("children"));
    let threads = std::fs::read_dir(format!("/proc/{launcher}/task"))?;
    let children = threads.map(of_thread).collect::<std::io::Result<Vec<_>>>()?.concat();
    let mut ids = children.split_whitespace().filter_map(|id| id.parse::<u32>().ok());
    let is_wanted = |id: &u32| {
        let environment = std::fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    ids.find(is_wanted).with_context(|| format!("expected a process of rank {rank}, found none"))
}
