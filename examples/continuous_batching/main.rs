//! Continuous batching: requests with any sampler, number of steps, guidance and seed join and leave one batch.
//!
//! Two plans are made before the first request and none after it. A request joins by writes through the queue, in the
//! middle of the loops of others, and its sample is the same to the bit as that of a run alone.
//! Exit code 0: all equal, 1: one was not, 3: no adapter.

mod alone;
mod server;

use server::{Request, Server};
use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;
use tweedie::headless::{Gpu, HeadlessError};
use tweedie::math::catalog::SamplerOptions;
use tweedie::{Context, Model, Sampler};

/// Samplers of the requests, in turn, with their steps and guidance.
const MENU: [(&str, usize, f64); 9] = [
    ("dpm++", 20, 7.5),
    ("ddim", 12, 1.0),
    ("euler-ancestral", 17, 5.25),
    ("dpm++-3m", 15, 3.0),
    ("ddpm", 25, 2.0),
    ("heun", 8, 4.5),
    ("dpm++-2m-sde", 11, 6.0),
    ("unipc", 9, 7.5),
    ("lcm", 4, 1.0),
];
const REQUESTS: usize = 27;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("continuous_batching: {error}");
            let no_adapter = matches!(error.downcast_ref(), Some(HeadlessError::NoAdapter));
            ExitCode::from(if no_adapter { 3 } else { 1 })
        }
    }
}

fn run() -> Result<bool, Box<dyn Error>> {
    let gpu = pollster::block_on(Gpu::open(None))?;
    let context = Context::new(&gpu.device);
    println!("adapter: {}", gpu.info.name);
    let requests = requests()?;
    let mut server = Server::new(&gpu, &context)?;
    let pipelines = context.compiled_pipelines();

    let mut waiting = requests.iter().enumerate();
    let (mut joins, mut samples, mut ticks) = (Vec::new(), Vec::new(), 0);
    while samples.len() < requests.len() {
        // One arrives at most every second tick, so that all are at different calls.
        if let Some(slot) = server.free_slot().filter(|_| ticks % 2 == 0)
            && let Some((id, request)) = waiting.next()
        {
            let began = Instant::now();
            server.join(slot, id, request)?;
            joins.push(began.elapsed());
        }
        samples.extend(server.tick()?);
        ticks += 1;
    }
    joins.sort_unstable();
    println!("{REQUESTS} requests in {ticks} ticks of {} slots", server::SLOTS);
    println!("a join: median {:.1?}, least {:.1?}", joins[joins.len() / 2], joins[0]);

    let mut good = server.out_of_range()? == 0 && context.compiled_pipelines() == pipelines;
    println!("{} no row out of range, and no new pipeline", if good { "ok    " } else { "FAILED" });
    let differ = samples.windows(2).all(|pair| pair[0].sample != pair[1].sample);
    println!("{} requests have samples of their own", if differ { "ok    " } else { "FAILED" });
    good &= differ;
    for server::Left { id, sample } in samples {
        let request = &requests[id];
        let equal = server::is_finite(&sample) && alone::alone(&gpu, &context, request)? == sample;
        good &= equal;
        let (name, steps, guidance) = MENU[id % MENU.len()];
        println!(
            "{} {name}, {steps} steps, w = {guidance}, seed {}",
            if equal { "ok    " } else { "FAILED" },
            request.seed
        );
    }
    Ok(good)
}

fn requests() -> Result<Vec<Request>, tweedie::Error> {
    let model = Model::named("sdxl")?;
    let request = |id: usize| {
        let (name, steps, guidance) = MENU[id % MENU.len()];
        let sampler = Sampler::CATALOGUE.find(name)?.build(&model, &SamplerOptions::steps(steps))?;
        Ok(Request::new(sampler, guidance, 5000 + id as u64))
    };
    (0..REQUESTS).map(request).collect()
}
