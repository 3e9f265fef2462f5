//! A run of one process among others: from the checkpoint to the last step.

use crate::checkpoint;
use crate::options::{Fault, Options};
use crate::ranks::Ranks;
use crate::record;
use crate::share::Share;
use crate::trainer::Trainer;
use anyhow::{Context as _, Result};
use std::time::Instant;
use tweedie::headless::Gpu;

/// A process that is ready to train.
pub struct Run<'a> {
    options: &'a Options,
    ranks: &'a Ranks,
    share: Share,
    trainer: Trainer,
    fault: Option<Fault>,
}

impl<'a> Run<'a> {
    /// Opens the adapter and makes all plans for this process's share.
    pub fn new(options: &'a Options, ranks: &'a Ranks) -> Result<Self> {
        let share = Share::of(options.batch, ranks.rank(), ranks.size())?;
        let gpu = pollster::block_on(Gpu::open(std::env::var("TWEEDIE_ADAPTER").ok().as_deref()))?;
        println!("process {} of {}: {}", ranks.rank(), ranks.size(), Gpu::describe(&gpu.info));
        // Only the last of several processes has a fault.
        let fault = options.fault.filter(|_| ranks.rank() > 0 && ranks.rank() + 1 == ranks.size());
        let drawn = if fault == Some(Fault::Sample) { share.shifted() } else { share };
        Ok(Self { options, ranks, share, trainer: Trainer::new(gpu, drawn, options.steps)?, fault })
    }

    /// Makes all remaining steps. The first process prints the progress.
    pub fn all(&self) -> Result<()> {
        let (first, end) = (self.resume()?, self.options.end());
        self.spoil_weights()?;
        let begun = Instant::now();
        for step in first..end {
            let (loss, done) = (self.step(step)?, step + 1);
            if done == end || done % self.options.every == 0 {
                self.save(done)?;
                self.say(&format!("step {done}: loss {loss:.4}"));
            }
        }
        if first < end {
            let each = begun.elapsed().as_secs_f64() * 1e3 / f64::from(end - first);
            self.say(&format!("{} processes: {each:.3} ms a step", self.ranks.size()));
        }
        Ok(())
    }

    /// Makes a step and returns the loss of the whole batch.
    fn step(&self, step: u32) -> Result<f32> {
        let (mut sums, loss) = self.trainer.gradient(step)?;
        if self.fault == Some(Fault::Sum) {
            sums.fill(0.0);
        }
        sums.push(loss); // one message for both
        self.ranks.sum(&mut sums, &format!("the gradients of step {step}"));
        let loss = sums.pop().context("expected a loss, found none")?;
        if let Some(folder) = &self.options.record {
            record::write(folder, &self.trainer, self.share, step, &sums)?;
        }
        self.trainer.update(step, &sums)?;
        Ok(loss)
    }

    /// Sets all processes to the state of the checkpoint, which the first one reads, and returns the next step.
    fn resume(&self) -> Result<u32> {
        let Self { options, ranks, trainer, .. } = self;
        let (mut state, mut step) = (trainer.state()?, [0]);
        if let Some(path) = options.checkpoint.as_ref().filter(|path| ranks.rank() == 0 && path.exists()) {
            (step[0], state) = checkpoint::read(path, &options.setting(), &state)?;
            self.say(&format!("resumes from step {}", step[0]));
        }
        ranks.share_first(&mut step, "the step to begin with");
        if step[0] > 0 {
            ranks.share_first(&mut state.weights, "the weights to begin with");
            ranks.share_first(&mut state.moments, "the moments to begin with");
            trainer.restore(&state);
        }
        Ok(step[0])
    }

    /// Compares the weights of all processes; the first one writes the checkpoint.
    fn save(&self, step: u32) -> Result<()> {
        let state = self.trainer.state()?;
        self.ranks.check_same(bytemuck::cast_slice(&state.weights), &format!("the weights after step {step}"))?;
        match self.options.checkpoint.as_ref().filter(|_| self.ranks.rank() == 0) {
            Some(path) => checkpoint::write(path, &self.options.setting(), step, &state),
            None => Ok(()),
        }
    }

    /// Changes a weight, if that is the fault.
    fn spoil_weights(&self) -> Result<()> {
        if self.fault != Some(Fault::Weight) {
            return Ok(());
        }
        let mut state = self.trainer.state()?;
        state.weights.iter_mut().take(1).for_each(|weight| *weight += 1.0);
        self.trainer.restore(&state);
        Ok(())
    }

    fn say(&self, text: &str) {
        if self.ranks.rank() == 0 {
            println!("{text}");
        }
    }
}
