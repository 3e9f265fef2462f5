//! The classes that are not supported, each with the nearest that is.
//!
//! The model of such a file can be used all the same: betas, prediction and spacing are written alike in all classes.

/// A class of diffusers, and the supported one whose samples are most like its own on the same model.
const NEAREST: &[(&str, &str)] = &[];

/// Samplers of the catalogue that are nearer to a class than that of the supported class.
const SAMPLERS: &[(&str, &str)] = &[];

/// The supported class that is nearest to this one.
pub(super) fn nearest(class: &str) -> Option<&'static str> {
    NEAREST.iter().find(|(known, _)| *known == class).map(|(_, nearest)| *nearest)
}

/// The sampler that is nearest to this class, if it is not that of the nearest class.
pub(super) fn sampler_of(class: &str) -> Option<&'static str> {
    SAMPLERS.iter().find(|(known, _)| *known == class).map(|(_, sampler)| *sampler)
}
