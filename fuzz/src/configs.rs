//! The `scheduler_config.json` of diffusers, with options of a run.

use crate::options::options;
use crate::samplers::assert_sound;
use arbitrary::{Result, Unstructured};
use tweedie::math::Sampler;
use tweedie::math::catalog::SamplerOptions;

/// Reads the bytes as the text of a config.
pub fn run(data: &[u8]) {
    let _ = read(&mut Unstructured::new(data));
}

/// Reads the whole text with four numbers of steps, each as published and as in diffusers, and with options made of its bytes.
fn read(u: &mut Unstructured<'_>) -> Result<()> {
    let text = u.peek_bytes(u.len()).unwrap_or_default();
    let Ok(text) = std::str::from_utf8(text) else { return Ok(()) };
    for steps in [1, 2, 7, 50] {
        check(text, &SamplerOptions::steps(steps));
        check(text, &SamplerOptions::steps(steps).as_diffusers());
    }
    check(text, &options(u)?);
    Ok(())
}

fn check(text: &str, run: &SamplerOptions) {
    match Sampler::from_diffusers_config(text, run) {
        Ok(sampler) => assert_sound(&sampler),
        Err(error) => assert!(error.to_string().len() < 4000 + text.len(), "an endless message"),
    }
}
