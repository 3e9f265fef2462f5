//! The guide: the library inside an application that has its own device, buffers and network.
//!
//! | chapter | |
//! |---|---|
//! | [`concepts`] | noise levels, quantities, schedules, samplers, plans: the five ideas that the rest builds on |
//! | [`embedding`] | your device, the order of work, tensors that move, first use, egui, browsers, lost devices, tests |
//! | [`sampling`] | a loop with a sampler, guidance, its options, and a model by name |
//! | [`recorded_loop`] | a whole run of ComfyUI around your network |
//! | [`image_to_image`] | strength and inpainting |
//! | [`levels_within_a_sample`] | tokens, frames and channels with noise levels of their own |
//! | [`many_requests`] | requests that join and leave one batch |
//! | [`training`] | noise, targets, losses, gradients and weights |
//! | [`precision`] | f32, f16 and bf16; training in 16 bits |
//! | [`small_devices`] | devices with four storage buffers |
//! | [`porting`] | the names in diffusers and ComfyUI, and those here |
//! | [`troubleshooting`] | black images, NaN, wrong seeds, banding; errors |
//! | [`glossary`] | terms as they are used here |

#[doc = include_str!("guide/concepts.md")]
pub mod concepts {}

#[doc = include_str!("guide/embedding.md")]
pub mod embedding {}

#[doc = include_str!("guide/sampling.md")]
pub mod sampling {}

#[doc = include_str!("guide/recorded_loop.md")]
pub mod recorded_loop {}

#[doc = include_str!("guide/image_to_image.md")]
pub mod image_to_image {}

#[doc = include_str!("guide/levels_within_a_sample.md")]
pub mod levels_within_a_sample {}

#[doc = include_str!("guide/many_requests.md")]
pub mod many_requests {}

#[doc = include_str!("guide/training.md")]
pub mod training {}

#[doc = include_str!("guide/precision.md")]
#[doc = include_str!("guide/mixed_precision.md")]
pub mod precision {}

#[doc = include_str!("guide/small_devices.md")]
pub mod small_devices {}

#[doc = include_str!("guide/porting.md")]
pub mod porting {}

#[doc = include_str!("guide/troubleshooting.md")]
#[doc = include_str!("guide/errors.md")]
pub mod troubleshooting {}

#[doc = include_str!("guide/glossary.md")]
pub mod glossary {}
