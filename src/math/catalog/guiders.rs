//! The guiders: one entry for each method, with the names that programs give it.

use super::entry::{Catalogue, Entry, Make, Values};
use super::error::CatalogError;
use super::parameter::{FINITE, Parameter};
use crate::math::guidance::guider::Guider;
use crate::math::guidance::levels::FrequencyLevel;
use crate::math::guidance::method::{Method, Projection};
use crate::math::guidance::window::Window;

impl Guider {
    /// Every guider: the classes of diffusers, the nodes of ComfyUI, and methods that pipelines implement themselves.
    ///
    /// Parameters have the names of diffusers' arguments; a switch is 0 or 1.
    pub const CATALOGUE: Catalogue<Make<Self>> = Catalogue { entries: ENTRIES };
}

/// Parameters that every guider has.
macro_rules! parameters {
    ($($own:expr),* $(,)?) => {
        &[$($own,)* START, STOP, ENABLED]
    };
}

const START: Parameter = fraction("start", 0.0, "fraction of the steps after which guidance starts");
const STOP: Parameter = fraction("stop", 1.0, "fraction of the steps after which guidance stops");
const ENABLED: Parameter = switch("enabled", 1.0, "0 gives the conditional prediction");
const ORIGINAL: Parameter = switch("use_original_formulation", 0.0, "1 is c + w*(c - u), 0 is u + w*(c - u)");
const RESCALE: Parameter =
    fraction("guidance_rescale", 0.0, "degree of rescaling to the conditional prediction's standard deviation");
const STRENGTH: Parameter = number("strength", 1.0, "factor of the result");

const fn number(name: &'static str, default: f64, about: &'static str) -> Parameter {
    Parameter::new(name, default, [-FINITE, FINITE], about)
}

const fn fraction(name: &'static str, default: f64, about: &'static str) -> Parameter {
    Parameter::new(name, default, [0.0, 1.0], about)
}

const fn switch(name: &'static str, default: f64, about: &'static str) -> Parameter {
    fraction(name, default, about).whole()
}

const fn count(name: &'static str, default: f64, about: &'static str) -> Parameter {
    Parameter::new(name, default, [0.0, u32::MAX as f64], about).whole()
}

const fn scale(default: f64) -> Parameter {
    number("guidance_scale", default, "scale of guidance, w")
}

const fn axis(default: f64) -> Parameter {
    Parameter::new("norm_axis", default, [-16.0, 15.0], "axis of the norms: 0 is the batch, -1 the last one").whole()
}

const fn projection([threshold, eta, momentum]: [f64; 3]) -> [Parameter; 3] {
    [
        Parameter::new(
            "adaptive_projected_guidance_rescale",
            threshold,
            [0.0, FINITE],
            "largest norm of what is added; 0 for no limit",
        ),
        number("eta", eta, "factor of the part along the conditional prediction"),
        number("adaptive_projected_guidance_momentum", momentum, "coefficient of the differences of earlier calls"),
    ]
}

/// The scale of a third prediction, and the window of a run in which it is used.
const fn third([scale, start, stop]: [&'static str; 3], window: [f64; 2]) -> [Parameter; 3] {
    [
        number(scale, 2.8, "scale of the third prediction"),
        fraction(start, window[0], "fraction of the steps after which it starts"),
        fraction(stop, window[1], "fraction of the steps after which it stops"),
    ]
}

const APG: [Parameter; 3] = projection([15.0, 1.0, 0.0]);
const APG_MIX: [Parameter; 3] = projection([10.0, 0.0, -0.5]);
const APG_COMFYUI: [Parameter; 3] = projection([5.0, 1.0, 0.0]);

const SLG: [Parameter; 3] =
    third(["skip_layer_guidance_scale", "skip_layer_guidance_start", "skip_layer_guidance_stop"], [0.01, 0.2]);
const PAG: [Parameter; 3] =
    third(["perturbed_guidance_scale", "perturbed_guidance_start", "perturbed_guidance_stop"], [0.01, 0.2]);
const SEG: [Parameter; 3] = third(["seg_guidance_scale", "seg_guidance_start", "seg_guidance_stop"], [0.0, 1.0]);

const SCALE: &[Parameter] = parameters![scale(7.5)];
const RESCALABLE: &[Parameter] = parameters![scale(7.5), RESCALE, ORIGINAL];
const PERP_NEG: &[Parameter] = parameters![scale(7.5), number("neg_scale", 1.0, "scale of the negative prediction")];

const ENTRIES: &[Entry<Make<Guider>>] = &[
    entry(
        "cfg",
        &["ClassifierFreeGuidance", "classifier-free", "CFGGuider"],
        "u + w*(c - u) (Ho & Salimans 2022)",
        RESCALABLE,
        linear,
    ),
    entry(
        "autoguidance",
        &[],
        "cfg whose u is a weaker network's under the same condition (Karras et al. 2024)",
        RESCALABLE,
        linear,
    ),
    entry(
        "rescale-cfg",
        &[],
        "cfg with rescaling, for networks that predict v (Lin et al. 2023, as in ComfyUI)",
        parameters![scale(7.5), fraction("multiplier", 0.7, "degree of rescaling")],
        |v| Ok(Guider { rescale: v.number("multiplier"), ..linear(v)? }),
    ),
    entry(
        "cfg-zero-star",
        &["ClassifierFreeZeroStarGuidance", "zero_star"],
        "u times its optimal scale, and zeros in the first steps (Fan et al. 2025)",
        parameters![scale(7.5), count("zero_init_steps", 1.0, "steps whose result is 0"), RESCALE, ORIGINAL],
        |v| with(v, Method::ZeroStar { zero_init_steps: v.count("zero_init_steps"), of_noise: false }),
    ),
    entry(
        "cfg-zero-star-comfyui",
        &["zero_star_comfy"],
        "cfg-zero-star of clean samples, its scale from noises; the fourth prediction is the noisy sample",
        SCALE,
        |v| with(v, Method::ZeroStar { zero_init_steps: 0, of_noise: true }),
    ),
    entry(
        "apg",
        &["AdaptiveProjectedGuidance"],
        "less of c - u along c, no longer than a threshold, with momentum (Sadat et al. 2024)",
        parameters![scale(7.5), APG[0], APG[1], APG[2], RESCALE, ORIGINAL],
        |v| with(v, Method::Projected { projection: projected(v), last_three_axes: false }),
    ),
    entry(
        "apg-mix",
        &["AdaptiveProjectedMixGuidance"],
        "cfg up to a step, apg with its own scale after it (HunyuanImage 2.1)",
        parameters![
            scale(3.5),
            number("adaptive_projected_guidance_scale", 10.0, "scale of guidance in the steps of apg"),
            count("adaptive_projected_guidance_start_step", 5.0, "last step of cfg"),
            APG_MIX[0],
            APG_MIX[1],
            APG_MIX[2],
            RESCALE,
            ORIGINAL,
        ],
        |v| {
            let scale = v.number("adaptive_projected_guidance_scale");
            let start_step = v.count("adaptive_projected_guidance_start_step");
            with(v, Method::Mixed { projection: projected(v), scale, start_step })
        },
    ),
    entry(
        "apg-comfyui",
        &["apg_comfy"],
        "c + w*d with apg's d of clean samples, norms over the last three axes",
        parameters![scale(7.5), APG_COMFYUI[0], APG_COMFYUI[1], APG_COMFYUI[2]],
        |v| with(v, Method::Projected { projection: projected(v), last_three_axes: true }),
    ),
    entry(
        "tcfg",
        &["TangentialClassifierFreeGuidance", "tangential"],
        "u projected onto the direction that it shares with c (Kwon et al. 2025)",
        RESCALABLE,
        |v| with(v, Method::Tangential { of_noise: false }),
    ),
    entry(
        "tcfg-comfyui",
        &[],
        "tcfg of clean samples, projected as noises; the fourth prediction is the noisy sample",
        SCALE,
        |v| with(v, Method::Tangential { of_noise: true }),
    ),
    entry(
        "mambo-g",
        &["MagnitudeAwareGuidance", "mambo"],
        "a scale that decays with the norm of c - u over that of u (arXiv 2508.03442)",
        parameters![scale(10.0), Parameter::new("alpha", 8.0, [0.0, FINITE], "decay of the scale"), RESCALE, ORIGINAL],
        |v| with(v, Method::Magnitude { alpha: v.number("alpha") }),
    ),
    entry(
        "slg",
        &["SkipLayerGuidance", "skip-layer", "stg"],
        "away from the prediction of skipped layers, the third (Stable Diffusion 3.5; Hyung et al. 2024)",
        parameters![scale(7.5), SLG[0], SLG[1], SLG[2], RESCALE, ORIGINAL],
        |v| perturbed(v, SLG),
    ),
    entry(
        "pag",
        &["PerturbedAttentionGuidance", "perturbed-attention"],
        "away from the prediction of perturbed attention, the third (Ahn et al. 2024)",
        parameters![scale(7.5), PAG[0], PAG[1], PAG[2], RESCALE, ORIGINAL],
        |v| perturbed(v, PAG),
    ),
    entry(
        "seg",
        &["SmoothedEnergyGuidance", "smoothed-energy"],
        "away from the prediction of blurred attention, the third (Hong 2024)",
        parameters![scale(7.5), SEG[0], SEG[1], SEG[2], RESCALE, ORIGINAL],
        |v| perturbed(v, SEG),
    ),
    entry(
        "ltx2",
        &["LTX2Guidance"],
        "away from u, from skipped blocks (third) and from modalities apart (fourth), as in LTX-2",
        parameters![
            scale(1.0),
            number("stg_scale", 0.0, "scale of the third prediction; 0 for none"),
            number("modality_scale", 1.0, "scale of the fourth prediction; 1 for none"),
            RESCALE,
        ],
        |v| {
            let (perturbed, isolated) = (v.number("stg_scale"), v.number("modality_scale"));
            with(v, Method::Modalities { perturbed, isolated })
        },
    ),
    entry(
        "image-cfg",
        &["InstructPix2Pix", "DualCFGGuider", "img_cfg"],
        "u + w*(c - i) + w_i*(i - u), i the prediction of the image alone, the third (Brooks et al. 2023)",
        parameters![
            scale(7.5),
            number("image_guidance_scale", 1.5, "scale of the image, w_i"),
            switch("nested", 0.0, "1 applies w_i to the text's result too, u + w_i*(i + w*(c - i) - u)"),
        ],
        |v| {
            let (image_scale, nested) = (v.number("image_guidance_scale"), v.number("nested") == 1.0);
            with(v, Method::Image { image_scale, nested })
        },
    ),
    entry(
        "fdg",
        &["FrequencyDecoupledGuidance"],
        "cfg of each level of a Laplacian pyramid with its own scale (Sadat et al. 2025)",
        FDG,
        frequencies,
    ),
    entry(
        "cfg-norm",
        &["true_cfg", "QwenImage", "Lumina2"],
        "cfg with the norm of c at each position, as in Qwen-Image",
        parameters![scale(4.0), axis(-1.0), STRENGTH],
        |v| norm(v, false),
    ),
    entry(
        "cfg-norm-clamped",
        &[],
        "cfg with at most the norm of c at each position, as in ComfyUI",
        parameters![scale(4.0), axis(1.0), STRENGTH],
        |v| norm(v, true),
    ),
    entry(
        "perp-neg",
        &[],
        "away from the part of a negative prediction, the third, across c - u (Armandpour et al. 2023)",
        PERP_NEG,
        |v| perp_neg(v, false),
    ),
    entry(
        "perp-neg-batch",
        &["PerpNegGuider"],
        "perp-neg with sums over the whole batch, as in ComfyUI",
        PERP_NEG,
        |v| perp_neg(v, true),
    ),
    entry(
        "mahiro",
        &["mahiro_per_sample"],
        "between cfg and w*c, by the cosine of both sides' signed roots over channels",
        SCALE,
        |v| with(v, Method::Mahiro { over_batch: false }),
    ),
    entry(
        "mahiro-batch",
        &["MahiroCFG"],
        "mahiro with the mean cosine of the whole batch, as in ComfyUI",
        SCALE,
        |v| with(v, Method::Mahiro { over_batch: true }),
    ),
];

const FDG: &[Parameter] = parameters![
    number("w_high", 10.0, "scale of the finer of two levels; a list guidance_scales has any number of them"),
    number("w_low", 5.0, "scale of the coarser one"),
    number("parallel_weights", 1.0, "factor of the part of c - u along c, in each level"),
    RESCALE,
    switch("guidance_rescale_space", 0.0, "1 (freq) rescales each level, 0 (data) their sum"),
    ORIGINAL,
];

const fn entry(
    name: &'static str,
    synonyms: &'static [&'static str],
    summary: &'static str,
    parameters: &'static [Parameter],
    make: Make<Guider>,
) -> Entry<Make<Guider>> {
    Entry::new("guidance", name, synonyms, summary, parameters, make)
}

/// The number of a parameter, or 0 if the entry does not have it.
fn optional(values: &Values, name: &str) -> f64 {
    let number = values.number(name);
    if number.is_nan() { 0.0 } else { number }
}

fn window(values: &Values, [start, stop]: [&'static str; 2]) -> Result<Window, CatalogError> {
    Ok(Window { start: values.number(start), stop: values.number(stop) }.checked([start, stop])?)
}

fn with(values: &Values, method: Method) -> Result<Guider, CatalogError> {
    Ok(Guider {
        method,
        scale: values.number("guidance_scale"),
        scales: None,
        original: optional(values, "use_original_formulation") == 1.0,
        rescale: optional(values, "guidance_rescale"),
        window: window(values, ["start", "stop"])?,
        enabled: values.number("enabled") == 1.0,
    })
}

fn linear(values: &Values) -> Result<Guider, CatalogError> {
    with(values, Method::Linear)
}

fn projected(values: &Values) -> Projection {
    Projection {
        threshold: values.number("adaptive_projected_guidance_rescale"),
        eta: values.number("eta"),
        momentum: values.number("adaptive_projected_guidance_momentum"),
    }
}

fn perturbed(values: &Values, third: [Parameter; 3]) -> Result<Guider, CatalogError> {
    let [scale, start, stop] = third.map(|parameter| parameter.name);
    with(values, Method::Perturbed { scale: values.number(scale), window: window(values, [start, stop])? })
}

/// Guidance of two levels. Another number of levels is given as a list of scales, which no catalogue holds.
fn frequencies(values: &Values) -> Result<Guider, CatalogError> {
    let rescale = values.number("guidance_rescale");
    let (of_levels, of_sum) =
        if values.number("guidance_rescale_space") == 1.0 { (rescale, 0.0) } else { (0.0, rescale) };
    let level = |scale| FrequencyLevel {
        parallel: values.number("parallel_weights"),
        rescale: of_levels,
        ..FrequencyLevel::new(values.number(scale))
    };
    let levels = vec![level("w_high"), level("w_low")];
    let guider = with(values, Method::Frequencies { levels })?;
    Ok(Guider { scale: values.number("w_high"), rescale: of_sum, ..guider })
}

fn norm(values: &Values, clamped: bool) -> Result<Guider, CatalogError> {
    let (axis, strength) = (values.number("norm_axis") as i64, values.number("strength"));
    with(values, Method::Norm { axis, strength, clamped })
}

fn perp_neg(values: &Values, over_batch: bool) -> Result<Guider, CatalogError> {
    with(values, Method::PerpNeg { neg_scale: values.number("neg_scale"), over_batch })
}
