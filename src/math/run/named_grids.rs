//! The schedulers that a sampler node takes by name.

use super::placed::placed;
use super::request::{GridRule, entry};
use super::schedulers as names;
use crate::math::catalog::entry::Entry;
use crate::math::catalog::grids::{BETA, OFFSET, SHIFT, VP, rho};

/// The schedulers of ComfyUI in the order of its list, then others.
pub(super) const SCHEDULERS: &[Entry<GridRule>] = &[
    entry("simple", &[], "the model's sigmas at equal strides (ComfyUI)", &[], GridRule::new(names::simple)),
    entry(
        "sgm_uniform",
        &[],
        "equal steps of the timestep, without the last (ComfyUI)",
        &[],
        GridRule::new(names::sgm_uniform),
    ),
    entry(
        "karras",
        &[],
        "equal steps of sigma^(1/rho) (Karras et al. 2022)",
        &[rho(7.0)],
        GridRule::new(names::karras),
    ),
    entry("exponential", &["lu", "lu_lambdas"], "equal steps of ln(sigma)", &[], GridRule::new(names::exponential)),
    entry(
        "ddim_uniform",
        &[],
        "the model's sigmas at a whole stride, from the second cleanest up (ComfyUI)",
        &[],
        GridRule::new(names::ddim_uniform),
    ),
    entry(
        "beta",
        &[],
        "the model's sigmas at quantiles of a beta distribution (Lee et al. 2024)",
        BETA,
        GridRule::new(names::beta).unlike(placed),
    ),
    entry("normal", &[], "equal steps of the timestep (ComfyUI)", &[], GridRule::new(names::normal)),
    entry(
        "linear_quadratic",
        &[],
        "a line near noise, then a parabola (Polyak et al. 2024)",
        &[],
        GridRule::new(names::linear_quadratic),
    ),
    entry("kl_optimal", &[], "equal steps of atan(sigma) (Sabour et al. 2024)", &[], GridRule::new(names::kl_optimal)),
    entry("beta57", &[], "beta with the shapes 0.5 and 0.7 (RES4LYF)", &[], GridRule::new(names::beta57)),
    entry(
        "bong_tangent",
        &[],
        "two arctangents, from 1 to 1/2 and from 1/2 to 0, for flows (RES4LYF)",
        &[],
        GridRule::new(names::bong_tangent).free(),
    ),
    entry(
        "smoothstep",
        &[],
        "the model's sigmas along 3u^2 - 2u^3 (stable-diffusion.cpp)",
        &[],
        GridRule::new(names::smoothstep),
    ),
    entry("leading", &[], "multiples of N/n plus an offset (Ho et al. 2020)", &[OFFSET], GridRule::new(placed)),
    entry(
        "trailing",
        &[],
        "N, N - N/n, ..: from the noisiest timestep on (Lin et al. 2023)",
        &[],
        GridRule::new(placed),
    ),
    entry("linspace", &[], "equal steps from the noisiest timestep to 0", &[], GridRule::new(placed)),
    entry("polyexponential", &[], "powers of equal steps of ln(sigma)", &[rho(1.0)], GridRule::new(placed)),
    entry("vp", &[], "a continuous variance-preserving process (Song et al. 2021)", VP, GridRule::new(placed)),
    entry("flow-times", &["flow"], "times 1 - i/n of a rectified flow, shifted", &[SHIFT], GridRule::new(placed)),
    entry("flow-ends", &[], "times from 1 to 1/N, their ends shifted too", &[SHIFT], GridRule::new(placed)),
];
