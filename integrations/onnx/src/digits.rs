//! Handwritten digits by the trained U-Net of `apps/digits`, which `network/digits.py` writes as ONNX.

use crate::network::Network;
use anyhow::{Result, bail};
use digits::architecture::{PIXELS, SIDE};
use digits::{NO_CLASS, SamplerRequest};
use tweedie::{HostSampling, Shape};

/// The file of the network, which predicts v.
pub const DIGITS: &[u8] = include_bytes!("../network/digits.onnx");

/// Generates the digits of a request, `[labels, 1, 32, 32]`, from -1 for black to 1 for white. For the same request
/// `digits::Generation` generates the same digits on a GPU, up to rounding. A batch of the network holds all conditional predictions
/// of a call, then all unconditional ones.
///
/// # Errors
/// A label that is neither a digit nor [`NO_CLASS`], and those of the network.
pub fn write_digits(network: &Network, request: &SamplerRequest<'_>) -> Result<Vec<f64>> {
    let SamplerRequest { labels, sampler, guidance, key } = *request;
    if let Some(wrong) = labels.iter().find(|label| **label > NO_CLASS) {
        bail!("expected labels of 0 to {NO_CLASS}, found {wrong}");
    }
    let mut host = HostSampling::new(sampler, Shape::new(labels.len() as u32, PIXELS), key).guided(guidance);
    let unconditional = if host.is_guided() { labels.len() } else { 0 };
    let asked = labels.iter().copied().chain(std::iter::repeat_n(NO_CLASS, unconditional));
    let asked: Vec<i32> = asked.map(i32::try_from).collect::<Result<_, _>>()?;
    let side = SIDE as usize;
    while let Some(mut call) = host.call() {
        let count = call.input.len();
        if host.is_guided() {
            call.input.extend_from_within(..);
        }
        let outputs = network.answer(&call.input, [1, side, side], call.timestep, &asked)?;
        let (conditional, unconditional) = outputs.split_at(count);
        host.give(conditional, unconditional)?;
    }
    Ok(host.samples().to_vec())
}
