//! The methods of guidance, each with its own numbers.

use crate::math::guidance::levels::FrequencyLevel;
use crate::math::guidance::window::Window;

/// The rule by which a [`Guider`](super::Guider) mixes predictions: `c` with the condition, `u` without it.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// Along `c - u`.
    Linear,
    /// The optimal scale of `u`, and zeros in the first steps.
    ZeroStar {
        /// The steps whose result is 0.
        zero_init_steps: usize,
        /// The scale follows from the noises, for which the fourth prediction is the noisy sample.
        of_noise: bool,
    },
    /// Adaptive projection.
    Projected {
        /// The numbers of the projection.
        projection: Projection,
        /// Norms are those of the last three axes, and the result is `c + w*d` (ComfyUI).
        last_three_axes: bool,
    },
    /// Along `c - u` up to a step, with adaptive projection after it.
    Mixed {
        /// The numbers of the projection.
        projection: Projection,
        /// The scale of guidance in the steps of the projection.
        scale: f64,
        /// The last step without projection.
        start_step: usize,
    },
    /// `u` is projected on the direction that both predictions share.
    Tangential {
        /// Noises are projected in place of predictions; the fourth prediction is the noisy sample.
        of_noise: bool,
    },
    /// The scale decays with the length of `c - u`.
    Magnitude {
        /// The decay.
        alpha: f64,
    },
    /// Away from a third prediction too, of a network that was perturbed.
    Perturbed {
        /// The scale of that guidance.
        scale: f64,
        /// The part of a run in which there is a third prediction, without its first step.
        window: Window,
    },
    /// Away from a perturbed network and from one whose modalities do not see each other.
    Modalities {
        /// The scale of the third prediction; 0 is none.
        perturbed: f64,
        /// The scale of the fourth prediction; 1 is none.
        isolated: f64,
    },
    /// Along two conditions one after the other; the third prediction has the image alone.
    Image {
        /// The scale of the image.
        image_scale: f64,
        /// The image's guidance acts on the result of the text's.
        nested: bool,
    },
    /// The result is as long as the conditional prediction at each position.
    Norm {
        /// The axis of the norms; 0 is the batch, -1 the last one.
        axis: i64,
        /// A factor of the result.
        strength: f64,
        /// The result may be shorter.
        clamped: bool,
    },
    /// Away from the part of a negative prediction, the third, that does not go along with the positive one.
    PerpNeg {
        /// The scale of the negative prediction.
        neg_scale: f64,
        /// Sums are those of the whole batch.
        over_batch: bool,
    },
    /// Between the mixture and the scaled conditional prediction, by their likeness.
    Mahiro {
        /// The likeness is that of the whole batch.
        over_batch: bool,
    },
    /// Each level of a Laplacian pyramid has a scale of its own. [`Guider::scale`](super::Guider::scale) is not looked at, and
    /// [`Guider::rescale`](super::Guider::rescale) is that of their sum.
    ///
    /// These are the numbers of diffusers, but in two cases that its pipelines stop at: a sum of levels that were
    /// [filled up](super::Pyramid) has the size of the predictions before it is rescaled, and a level that is off beside one that is
    /// on is its own.
    Frequencies {
        /// The levels, the finest one first: 1 to [`Pyramid::MOST`](super::Pyramid::MOST).
        levels: Vec<FrequencyLevel>,
    },
}

/// The numbers of adaptive projected guidance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Projection {
    /// The longest norm of what is added; 0 is any.
    pub threshold: f64,
    /// The factor of its part along `c`.
    pub eta: f64,
    /// The coefficient of the differences of the calls before.
    pub momentum: f64,
}
