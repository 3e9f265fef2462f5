//! Times of several pieces of work, measured alternately, so that what disturbs one disturbs all.

use crate::clock::{Clock, MOST_AT_ONCE, Timer, Work};
use crate::statistics::Summary;
use anyhow::{Context as _, Result};
use std::time::{Duration, Instant};
use tweedie::gpu::{Plan, Recording};

/// Runs of each work, unless the user says how many: as many as fit into `BUDGET` milliseconds, from `FEW` to `MANY`.
const FEW: usize = 15;
const MANY: usize = 200;
const BUDGET: f64 = 400.0;
/// Milliseconds that even `FEW` runs may not exceed; then they are fewer, but never fewer than `FEWEST`.
const PATIENCE: f64 = 10_000.0;
const FEWEST: usize = 5;
/// Warming up takes at least this long, so that a device runs at its usual clock rate.
const WARM_UP: Duration = Duration::from_millis(30);
/// Milliseconds of work in the queue at once: few enough for the watchdog of any driver.
const QUEUED: f64 = 50.0;
/// Runs by timestamps where the table has wall times.
const CHECKS: usize = 5;

/// The same work on each of several sets of buffers.
pub type Works = Vec<Work>;

/// The times of one work in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The times of the table; see [`Clock::timer`].
    pub main: Summary,
    /// The median by timestamps, where there are any.
    pub timestamp: Option<f64>,
    pub runs: usize,
}

/// Measures each of the works, cycling through its sets of buffers.
pub fn measure(clock: &Clock, works: &[Works], runs: Option<usize>) -> Result<Vec<Times>> {
    let round = warm_up(clock, works)?;
    let runs = runs.unwrap_or_else(|| affordable(round));
    let main = match clock.timer() {
        Timer::Wall => by_wall(clock, works, runs)?,
        Timer::Timestamp => by_timestamps(clock, works, runs, round)?,
    };
    let checked = match clock.timer() {
        Timer::Wall if clock.has_timestamps() => by_timestamps(clock, works, runs.min(CHECKS), round)?,
        Timer::Wall => vec![Vec::new(); works.len()],
        Timer::Timestamp => main.clone(),
    };
    let summaries = main.into_iter().zip(checked).map(|(main, checked)| {
        let main = Summary::of(main).filter(|summary| summary.median > 0.0);
        let main = main.context("the device's timestamps do not advance")?;
        Ok(Times { main, timestamp: Summary::of(checked).map(|it| it.median).filter(|ms| *ms > 0.0), runs })
    });
    summaries.collect()
}

/// Runs every work on every set, and continues until the device is warm. Returns the milliseconds of the last round.
fn warm_up(clock: &Clock, works: &[Works]) -> Result<f64> {
    let sets = works.iter().map(Vec::len).max().unwrap_or(0);
    let (begun, mut round, mut last) = (Instant::now(), 0, 0.0);
    while round < sets.max(2) || begun.elapsed() < WARM_UP {
        last = turn(works, round).try_fold(0.0, |sum, work| anyhow::Ok(sum + clock.wall(work)?))?;
        round += 1;
    }
    Ok(last)
}

fn affordable(round: f64) -> usize {
    let fit = |milliseconds: f64| (milliseconds / round.max(1e-3)) as usize;
    fit(BUDGET).clamp(FEW, MANY).min(fit(PATIENCE).max(FEWEST))
}

/// One round: each work once. Every other work is half of the sets ahead, since two works may share buffers.
fn turn(works: &[Works], round: usize) -> impl Iterator<Item = &Work> {
    let place = move |index: usize, sets: usize| (round + (index % 2) * (sets / 2)) % sets;
    works.iter().enumerate().filter(|(_, sets)| !sets.is_empty()).map(move |(i, sets)| &sets[place(i, sets.len())])
}

fn by_wall(clock: &Clock, works: &[Works], runs: usize) -> Result<Vec<Vec<f64>>> {
    let mut times = vec![Vec::with_capacity(runs); works.len()];
    for round in 0..runs {
        for (times, work) in times.iter_mut().zip(turn(works, round)) {
            times.push(clock.wall(work)?);
        }
    }
    Ok(times)
}

fn by_timestamps(clock: &Clock, works: &[Works], runs: usize, round: f64) -> Result<Vec<Vec<f64>>> {
    let most = MOST_AT_ONCE / works.len().max(1);
    let at_once = ((QUEUED / round.max(1e-3)) as usize).clamp(1, most.max(1));
    let mut times = vec![Vec::with_capacity(runs); works.len()];
    for first in (0..runs).step_by(at_once) {
        let rounds = first..runs.min(first + at_once);
        let queued: Vec<&Work> = rounds.flat_map(|round| turn(works, round)).collect();
        for (index, time) in clock.timestamps(&queued)?.into_iter().enumerate() {
            times[index % works.len()].push(time);
        }
    }
    Ok(times)
}

/// Measures the nanoseconds that recording a dispatch of a plan takes the host: the best of several passes, none of them
/// submitted.
pub fn record_ns(clock: &Clock, plan: &Plan) -> Result<f64> {
    const PASSES: usize = 5;
    const RECORDINGS: usize = 1000;
    let mut best = f64::INFINITY;
    for _ in 0..PASSES {
        let mut encoder = clock.gpu.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        let begun = Instant::now();
        for _ in 0..RECORDINGS {
            plan.record(&mut pass, Recording::per_sample())?;
        }
        best = best.min(begun.elapsed().as_secs_f64() * 1e9);
        drop(pass);
    }
    Ok(best / (RECORDINGS * plan.dispatches().max(1)) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_fit_the_time_there_is() {
        assert_eq!(affordable(0.1), MANY);
        assert_eq!(affordable(10.0), 40);
        assert_eq!(affordable(100.0), FEW);
        assert_eq!(affordable(1000.0), 10);
        assert_eq!(affordable(10_000.0), FEWEST);
    }
}
