//! The methods of guidance, each with its own parameters.

use crate::math::guidance::levels::FrequencyLevel;
use crate::math::guidance::window::Window;

/// The rule by which a [`Guider`](super::Guider) mixes predictions: `c` with the condition, `u` without it. The table of
/// [methods](super) has the sources.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// Linear guidance along `c - u`.
    Linear,
    /// CFG-Zero*: `u` is multiplied by the factor that brings it nearest to `c`, and the first steps return zeros.
    ZeroStar {
        /// The number of first steps whose result is 0.
        zero_init_steps: usize,
        /// True to compute that factor from the predicted noises (ComfyUI); the fourth prediction is then the noisy sample.
        of_noise: bool,
    },
    /// Adaptive projected guidance.
    Projected {
        /// The parameters of the projection.
        projection: Projection,
        /// True for norms over the last three axes and the result `c + w*d` (ComfyUI).
        last_three_axes: bool,
    },
    /// Linear guidance up to a step, adaptive projected guidance after it.
    Mixed {
        /// The parameters of the projection.
        projection: Projection,
        /// The scale of guidance in the steps of the projection.
        scale: f64,
        /// The last step without projection.
        start_step: usize,
    },
    /// Tangential damping: `u` is projected on the first right singular vector of `c` and `u`.
    Tangential {
        /// True to project the predicted noises instead (ComfyUI); the fourth prediction is then the noisy sample.
        of_noise: bool,
    },
    /// The scale decays with the length of `c - u`: `1 + (w - 1)*exp(-alpha*|c - u|/|u|)`.
    Magnitude {
        /// The rate of the decay.
        alpha: f64,
    },
    /// Linear guidance that also moves away from a third prediction, that of a perturbed network.
    Perturbed {
        /// The scale of the third prediction.
        scale: f64,
        /// The part of a run in which the third prediction is used, except for the first step of that part.
        window: Window,
    },
    /// Linear guidance that also moves away from a perturbed network, the third prediction, and from one whose modalities do not
    /// see each other, the fourth.
    Modalities {
        /// The scale of the third prediction; 0 for none.
        perturbed: f64,
        /// The scale of the fourth prediction; 1 for none.
        isolated: f64,
    },
    /// Guidance by two conditions, a text and an image; the third prediction has the image alone.
    Image {
        /// The scale of the image.
        image_scale: f64,
        /// True to apply the image's guidance to the result of the text's; false for `u + w*(c - i) + image_scale*(i - u)` with the
        /// third prediction `i`.
        nested: bool,
    },
    /// Linear guidance whose result is given the norm of the conditional prediction at each position.
    Norm {
        /// The axis of the norms; -1 is the last one. Axis 0 is the batch, which it must not be.
        axis: i64,
        /// The factor by which the result is multiplied.
        strength: f64,
        /// True to shorten the result where it is longer, but never to lengthen it (ComfyUI).
        clamped: bool,
    },
    /// Guidance away from the part of a negative prediction, the third, that is perpendicular to the positive one.
    PerpNeg {
        /// The scale of the negative prediction.
        neg_scale: f64,
        /// True for sums over the whole batch.
        over_batch: bool,
    },
    /// A result between the linear mixture `g` and `w*c`, by the mean cosine between `w*u` and `(w*c + g)/2` (of their signed square
    /// roots, over channels). See [`Finish::Mahiro`](super::Finish::Mahiro).
    Mahiro {
        /// True to average the cosine over the whole batch.
        over_batch: bool,
    },
    /// Frequency-decoupled guidance: each level of a Laplacian pyramid has its own scale. [`Guider::scale`](super::Guider::scale)
    /// is ignored, and [`Guider::rescale`](super::Guider::rescale) applies to the sum of the levels.
    ///
    /// Results are those of diffusers, except in two cases in which its pipelines fail: a sum of levels that were
    /// [filled up](super::Pyramid) is cut to the size of the predictions before it is rescaled, and where only some levels are
    /// off, these are the conditional prediction's.
    Frequencies {
        /// The levels, the finest one first: 1 to [`Pyramid::MOST`](super::Pyramid::MOST).
        levels: Vec<FrequencyLevel>,
    },
}

/// The parameters of adaptive projected guidance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Projection {
    /// The norm to which `c - u` with its momentum is shortened if it is longer; 0 for no limit.
    pub threshold: f64,
    /// The factor of the part of that vector along `c`.
    pub eta: f64,
    /// The coefficient of the previous call's difference, momentum included, in this one.
    pub momentum: f64,
}
