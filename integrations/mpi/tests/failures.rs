//! Runs that fail, and how they resume.

use crate::Test;
use crate::launch::{Ended, begin, run};
use crate::stage::{Stage, shown};
use anyhow::{Result, ensure};
use std::time::Instant;

pub const TESTS: &[Test] = &[
    ("failures::a_killed_process_ends_the_run_and_it_resumes_to_the_bit", killed),
    ("failures::a_process_that_stands_still_ends_the_run", stands_still),
    ("failures::weights_that_differ_end_the_run", different_weights),
    ("failures::what_cannot_run_is_named", refused),
];

/// Steps of the runs that are killed: enough that none ends before it is killed.
const STEPS: &str = "400";
/// Steps from one checkpoint to the next.
const EVERY: &str = "20";
/// The largest number of seconds from the end of a process to that of the run.
const SECONDS: f64 = 10.0;
/// The seconds that a process waits for one that does not respond.
const PATIENCE: &str = "3";

fn killed(stage: &Stage) -> Result<()> {
    for processes in [2, 4] {
        let [whole, broken] = ["whole", "broken"].map(|name| stage.path(&format!("{name}_{processes}.safetensors")));
        let arguments =
            |path| Ok::<_, anyhow::Error>(["--steps", STEPS, "--every", EVERY, "--checkpoint", shown(path)?]);
        run(processes, &arguments(&whole)?)?;

        let mut running = begin(processes, &arguments(&broken)?)?;
        running.wait_for("a checkpoint", || broken.exists())?;
        running.signal(1, "-KILL")?;
        let begun = Instant::now();
        let Ended { code, stderr, .. } = running.wait()?;
        let seconds = begun.elapsed().as_secs_f64();
        stage.measured(&format!("seconds_from_a_kill_to_the_end_of_{processes}"), seconds);
        ensure!(code != Some(0), "a killed run ended with success");
        ensure!(stderr.contains("process rank 1") && stderr.contains("signal 9"), "{processes} processes: {stderr}");
        ensure!(seconds < SECONDS, "{processes} processes: expected an end within {SECONDS} s, found {seconds} s");
        ensure!(std::fs::read(&broken)? != std::fs::read(&whole)?, "the run was over when its process was killed");

        let resumed = run(processes, &arguments(&broken)?)?;
        ensure!(resumed.stdout.contains("resumes from step "), "{resumed:?}");
        ensure!(
            std::fs::read(&broken)? == std::fs::read(&whole)?,
            "{processes} processes: the weights differ from those of an uninterrupted run"
        );
    }
    Ok(())
}

fn stands_still(stage: &Stage) -> Result<()> {
    let path = stage.path("still.safetensors");
    let arguments = ["--steps", STEPS, "--every", EVERY, "--checkpoint", shown(&path)?, "--patience", PATIENCE];
    let mut running = begin(2, &arguments)?;
    running.wait_for("a checkpoint", || path.exists())?;
    running.signal(1, "-STOP")?;
    let begun = Instant::now();
    let Ended { code, stderr, .. } = running.wait()?;
    let seconds = begun.elapsed().as_secs_f64();
    stage.measured("seconds_from_a_stop_to_the_end_with_a_patience_of_3", seconds);
    ensure!(code != Some(0), "a run that stood still ended with success");
    let named = ["process 0 of 2: expected the ", "from all processes within 3 s, found one that does not respond"];
    ensure!(named.iter().all(|part| stderr.contains(part)), "{stderr}");
    ensure!(seconds < SECONDS, "expected an end within {SECONDS} s, found {seconds} s");
    Ok(())
}

/// The errors of a run that must fail.
fn complaint(processes: u32, arguments: &[&str]) -> Result<String> {
    let ended = begin(processes, arguments)?.wait()?;
    ensure!(ended.code != Some(0), "{arguments:?}: ended with success");
    Ok(ended.stderr)
}

fn different_weights(_: &Stage) -> Result<()> {
    let found = complaint(2, &["--until", "2", "--fault", "weight"])?;
    let expected = "expected the weights after step 2 to be the same in all processes, found different ones";
    ensure!(found.contains(expected), "{found}");
    Ok(())
}

fn refused(stage: &Stage) -> Result<()> {
    let path = stage.path("refused.safetensors");
    let named = |processes, further: &[&str], expected: &str| {
        let found = complaint(processes, &[&["--checkpoint", shown(&path)?, "--until", "2"], further].concat())?;
        ensure!(found.contains(expected), "expected `{expected}`, found {found}");
        Ok(())
    };
    named(3, &[], "expected a batch of 3 equal parts, one for each process, of a multiple of 8 samples, found 256")?;
    run(1, &["--checkpoint", shown(&path)?, "--until", "1"])?;
    named(2, &["--batch", "128"], "`setting`: expected batch and steps [128, 200], found [256.0, 200.0]")?;
    std::fs::write(&path, b"no checkpoint")?;
    named(2, &[], "refused.safetensors: ")
}
