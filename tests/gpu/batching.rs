//! The example `continuous_batching`: requests of every sampler share a batch, and each has the result that it has alone.

#[path = "../../examples/continuous_batching/alone.rs"]
mod alone;
#[path = "../../examples/continuous_batching/server.rs"]
pub mod server;

use crate::harness::Harness;
use server::{Request, SLOTS, Server};
use tweedie::gpu::PlanError;
use tweedie::math::Process;
use tweedie::math::catalog::SamplerOptions;
use tweedie::{Model, Sampler, Schedule};

pub const TESTS: &[crate::Test] = &[
    ("batching::a_request_of_any_sampler_is_as_alone", a_request_of_any_sampler_is_as_alone),
    ("batching::a_request_that_does_not_fit_is_refused", a_request_that_does_not_fit_is_refused),
];

fn sampler(name: &str, steps: usize) -> Sampler {
    let recipe = Sampler::CATALOGUE.find(name).expect("a sampler");
    let usual = recipe.usual_model(Schedule::cosine(1000).expect("a schedule"), None, None);
    let model = Model::named(if usual.process() == Process::Flow { "sd3" } else { "sdxl" }).expect("a model");
    recipe.build(&model, &SamplerOptions::steps(steps)).expect("rows")
}

/// Every sampler of the catalogue, each joining where another has just left, with its own steps, guidance and seed.
fn a_request_of_any_sampler_is_as_alone(harness: &Harness) {
    let entries = Sampler::CATALOGUE.entries.iter().filter(|entry| !entry.make.inverts() && !entry.make.is_sliced());
    let names: Vec<&str> = entries.map(|entry| entry.name).collect();
    let request = |(id, name): (usize, &&str)| Request::new(sampler(name, 4 + id % 5), 1.0 + id as f64, 1 << (2 * id));
    let requests: Vec<Request> = names.iter().enumerate().map(request).collect();
    assert!(requests.len() > 2 * SLOTS, "{}", requests.len());

    let mut server = Server::new(&harness.gpu, &harness.context).expect("plans");
    let (mut waiting, mut left) = (requests.iter().enumerate(), Vec::new());
    while left.len() < requests.len() {
        if let Some(slot) = server.free_slot()
            && let Some((id, request)) = waiting.next()
        {
            server.join(slot, id, request).expect("a request that fits");
        }
        left.extend(server.tick().expect("a tick"));
    }
    assert_eq!(server.out_of_range().expect("readback"), 0);
    for pair in left.windows(2) {
        assert!(pair[0].sample != pair[1].sample, "{} {}", names[pair[0].id], names[pair[1].id]);
    }
    for server::Left { id, sample } in left {
        assert!(server::is_finite(&sample), "{}", names[id]);
        let alone = alone::alone(&harness.gpu, &harness.context, &requests[id]).expect("a loop");
        assert!(sample == alone, "{}", names[id]);
    }
}

/// A refusal leaves the slot free.
fn a_request_that_does_not_fit_is_refused(harness: &Harness) {
    let mut server = Server::new(&harness.gpu, &harness.context).expect("plans");
    let long = Request::new(sampler("ddim", server::MOST + 1), 1.0, 7);
    let refused = PlanError::Rows { expected: server::MOST as u64, found: server::MOST as u64 + 1 };
    assert_eq!(server.join(0, 0, &long), Err(refused.into()));
    assert_eq!(server.free_slot(), Some(0));
}
