//! The classes of diffusers: each is a sampler of the catalogue with the options of the file.

mod adams_bashforth;
mod consistency;
mod ddpm;
mod edm;
mod flow;
mod flow_families;
mod multistep;
mod read;
mod score;
mod sigmas;
mod stochastic;
mod timesteps;

use read::Read;

/// The classes that are supported, and their readers.
pub(super) fn classes() -> impl Iterator<Item = &'static (&'static str, Read)> {
    let families = [
        timesteps::CLASSES,
        sigmas::CLASSES,
        adams_bashforth::CLASSES,
        multistep::CLASSES,
        stochastic::CLASSES,
        consistency::CLASSES,
        ddpm::CLASSES,
        flow::CLASSES,
        flow_families::CLASSES,
        edm::CLASSES,
        score::CLASSES,
    ];
    families.into_iter().flatten()
}
