//! The time until plans of every kind are ready for the first time: compiled as they are made, ahead by a warm-up, and
//! with the pipeline cache of an earlier run.

use crate::host::HostTime;
use crate::kinds::{KINDS, Kind, Made};
use crate::set::Set;
use crate::statistics::Summary;
use anyhow::{Context as _, Result};
use std::time::Instant;
use tweedie::Schedule;
use tweedie::gpu::Context;
use tweedie::headless::Gpu;

const RUNS: usize = 7;

/// Measures all of these ways, each on a context of its own.
pub fn measure(gpu: &Gpu, schedule: &Schedule, runs: Option<usize>) -> Result<Vec<HostTime>> {
    let runs = runs.unwrap_or(RUNS);
    let set = Kind::set(gpu, &Context::new(&gpu.device), 1)?;
    let first_use = FirstUses { gpu, schedule, set };
    let data = first_use.cache_data()?;
    let mut names: Vec<&str> = Vec::new();
    let mut times: Vec<Vec<f64>> = Vec::new();
    for _ in 0..runs {
        for (name, time) in first_use.run(data.as_deref())? {
            let index = names.iter().position(|known| *known == name).unwrap_or(names.len());
            if index == names.len() {
                names.push(name);
                times.push(Vec::new());
            }
            times[index].push(time);
        }
    }
    let summaries = names.into_iter().zip(times).map(|(name, times)| {
        let summary = Summary::of(times).context("no runs")?;
        Ok(HostTime { what: format!("first_use_{name}"), summary, by_hand: None, runs })
    });
    summaries.collect()
}

struct FirstUses<'a> {
    gpu: &'a Gpu,
    schedule: &'a Schedule,
    set: Set,
}

fn milliseconds(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e3
}

impl FirstUses<'_> {
    fn plans(&self, context: &Context) -> Result<Vec<Made>> {
        KINDS.iter().map(|kind| kind.plan(self.schedule, context, &self.set)).collect()
    }

    /// A pipeline cache, on devices that have them.
    fn cache(&self, data: Option<&[u8]>) -> Option<wgpu::PipelineCache> {
        let device = &self.gpu.device;
        device.features().contains(wgpu::Features::PIPELINE_CACHE).then(|| {
            let descriptor = wgpu::PipelineCacheDescriptor { label: None, data, fallback: true };
            #[expect(unsafe_code, reason = "wgpu trusts the data, which came from a cache of this device")]
            // SAFETY: the data is that of `get_data`.
            unsafe {
                device.create_pipeline_cache(&descriptor)
            }
        })
    }

    /// The data of a cache that all pipelines went through.
    fn cache_data(&self) -> Result<Option<Vec<u8>>> {
        let cache = self.cache(None);
        self.plans(&Context::with_cache(&self.gpu.device, cache.as_ref()))?;
        Ok(cache.and_then(|cache| cache.get_data()))
    }

    /// Measures each way once, in milliseconds.
    fn run(&self, data: Option<&[u8]>) -> Result<Vec<(&'static str, f64)>> {
        let mut times = Vec::new();
        let context = Context::new(&self.gpu.device);
        let begun = Instant::now();
        let plans = self.plans(&context)?;
        times.push(("plans", milliseconds(begun)));
        // Some drivers compile here.
        times.push(("submit", self.submit(&plans)?));
        times.push(("submit_again", self.submit(&plans)?));

        let context = Context::new(&self.gpu.device);
        let begun = Instant::now();
        let (made, warm_up) = context.warm_up(|context| self.plans(context));
        times.push(("plans_in_warm_up", milliseconds(begun)));
        warm_up.wait()?;
        times.push(("warm_up_done", milliseconds(begun)));
        made?;

        if let Some(cache) = self.cache(data) {
            let context = Context::with_cache(&self.gpu.device, Some(&cache));
            let begun = Instant::now();
            self.plans(&context)?;
            times.push(("plans_with_cache", milliseconds(begun)));
        }
        Ok(times)
    }

    fn submit(&self, plans: &[Made]) -> Result<f64> {
        let begun = Instant::now();
        self.gpu.submit(|encoder| {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            plans.iter().try_for_each(|plan| plan.record(&mut pass))
        })??;
        Ok(milliseconds(begun))
    }
}
