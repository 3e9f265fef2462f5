//! The `scheduler_config.json` of diffusers, and the run that goes with it.

use crate::numbers::{Count, Number, list};
use crate::samplers::assert_sound;
use arbitrary::{Arbitrary, Result, Unstructured};
use tweedie::math::Sampler;
use tweedie::math::catalog::SamplerOptions;
use tweedie::math::sampler::{Churn, Compat};

/// The bytes are the text.
pub fn run(data: &[u8]) {
    let _ = read(&mut Unstructured::new(data));
}

/// The whole text under four plain runs, and under a run that is made of its bytes.
fn read(u: &mut Unstructured<'_>) -> Result<()> {
    let text = u.peek_bytes(u.len()).unwrap_or_default();
    let Ok(text) = std::str::from_utf8(text) else { return Ok(()) };
    for steps in [1, 2, 7, 50] {
        check(text, &SamplerOptions::steps(steps));
        check(text, &SamplerOptions::steps(steps).as_diffusers());
    }
    check(text, &arbitrary_run(u)?);
    Ok(())
}

fn check(text: &str, run: &SamplerOptions) {
    match Sampler::from_diffusers_config(text, run) {
        Ok(sampler) => assert_sound(&sampler),
        Err(error) => assert!(error.to_string().len() < 4000 + text.len(), "an endless message"),
    }
}

fn arbitrary_run(u: &mut Unstructured<'_>) -> Result<SamplerOptions> {
    let number = |u: &mut Unstructured<'_>| Ok(Number::arbitrary(u)?.0);
    let listed = u.arbitrary()?;
    Ok(SamplerOptions {
        steps: if listed { None } else { Some(Count::arbitrary(u)?.0) },
        timesteps: if listed { Some(list(u, 12)?) } else { None },
        eta: if u.arbitrary()? { Some(number(u)?) } else { None },
        rederive_epsilon: u.arbitrary()?,
        mu: if u.arbitrary()? { Some(number(u)?) } else { None },
        churn: if u.arbitrary()? {
            Some(Churn { amount: number(u)?, least: number(u)?, most: number(u)?, scale: number(u)? })
        } else {
            None
        },
        compat: if u.arbitrary()? { Compat::Diffusers } else { Compat::Published },
        ..SamplerOptions::default()
    })
}
