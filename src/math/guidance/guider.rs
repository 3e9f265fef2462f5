//! Guiders: a method of guidance with its parameters.

use crate::math::error::guidance::GuidanceError;
use crate::math::guidance::call::{GuiderCall, Over};
use crate::math::guidance::levels::FrequencyLevel;
use crate::math::guidance::method::{Method, Projection};
use crate::math::guidance::window::Window;
use crate::table::finish::Finish;
use crate::table::guide::{GuideRow, Weights};
use crate::table::pyramid::{Pyramid, PyramidLevel};

/// A method of guidance with its parameters: a whole run's mixtures of predictions as plain data.
///
/// Every guider mixes the conditional prediction `c` and the unconditional one `u`, some also a third and a fourth.
///
/// ```
/// use tweedie::math::Guider;
///
/// let guider = Guider::CATALOGUE.find("AdaptiveProjectedGuidance")?.build(&[("guidance_scale", 7.5), ("stop", 0.5)])?;
/// let asked: Vec<usize> = guider.calls(4)?.map(|call| call.predictions()).collect();
/// assert_eq!(asked, [2, 2, 1, 1]);
/// # Ok::<(), tweedie::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Guider {
    /// The method.
    pub method: Method,
    /// The scale of guidance: `w`.
    pub scale: f64,
    /// A scale for each step of a run; `None` if all have [`scale`](Self::scale).
    pub scales: Option<Vec<f64>>,
    /// True for `c + w*(c - u)` (Ho & Salimans 2022, arXiv 2207.12598, eq. 6), false for `u + w*(c - u)`.
    pub original: bool,
    /// The degree to which results are rescaled to the conditional prediction's standard deviation, in `0..=1`.
    pub rescale: f64,
    /// The part of a run that is guided.
    pub window: Window,
    /// False to return the conditional predictions unchanged.
    pub enabled: bool,
}

/// The relative difference below which two scales are the same, as in Python's `math.isclose`.
const CLOSE: f64 = 1e-9;

fn is_close(a: f64, b: f64) -> bool {
    (a - b).abs() <= CLOSE * a.abs().max(b.abs())
}

/// The place of a call: its step, and the number of steps of its run, as far as they are known.
#[derive(Clone, Copy)]
struct Place {
    step: Option<usize>,
    steps: Option<usize>,
}

impl Guider {
    /// Creates linear guidance: `u + scale*(c - u)` in every call.
    #[must_use]
    pub const fn linear(scale: f64) -> Self {
        Self {
            method: Method::Linear,
            scale,
            scales: None,
            original: false,
            rescale: 0.0,
            window: Window::WHOLE,
            enabled: true,
        }
    }

    /// Returns the calls of a run of this many steps, in order.
    ///
    /// # Errors
    /// [`GuidanceError::Scales`] for a list of [`scales`](Self::scales) of another length, [`GuidanceError::Levels`] for no levels
    /// or too many.
    pub fn calls(&self, steps: usize) -> Result<impl Iterator<Item = GuiderCall> + use<'_>, GuidanceError> {
        self.check(steps)?;
        let mut active = false;
        Ok((0..steps).map(move |step| {
            let call = self.at(Place { step: Some(step), steps: Some(steps) }, active);
            active |= call.row.keeps();
            call
        }))
    }

    /// Returns one call of a run by itself, without the momentum of the calls before it.
    ///
    /// # Errors
    /// As [`calls`](Self::calls); [`GuidanceError::Step`] for a step that the run does not have.
    pub fn call(&self, step: usize, steps: usize) -> Result<GuiderCall, GuidanceError> {
        self.check(steps)?;
        if step >= steps {
            return Err(GuidanceError::Step { steps, step });
        }
        Ok(self.at(Place { step: Some(step), steps: Some(steps) }, false))
    }

    /// Returns a call outside a run, or one of which only the step is known. The windows, which depend on the length of the run,
    /// count as open. Without a step, the zeros of [`ZeroStar`](Method::ZeroStar) and the projection of
    /// [`Mixed`](Method::Mixed) are off.
    ///
    /// # Errors
    /// [`GuidanceError::Scales`] for a list of another length than 1, [`GuidanceError::Levels`] for no levels or too many.
    pub fn alone(&self, step: Option<usize>) -> Result<GuiderCall, GuidanceError> {
        self.check(1)?;
        Ok(self.at(Place { step, steps: None }, false))
    }

    fn check(&self, expected: usize) -> Result<(), GuidanceError> {
        if let Method::Frequencies { levels } = &self.method
            && !(1..=Pyramid::MOST).contains(&levels.len())
        {
            return Err(GuidanceError::Levels { most: Pyramid::MOST, found: levels.len() });
        }
        match &self.scales {
            Some(scales) if scales.len() != expected => Err(GuidanceError::Scales { expected, found: scales.len() }),
            _ => Ok(()),
        }
    }

    /// The scale of a step, in the caller's convention. A call outside a run has the only scale of a list.
    fn scale_at(&self, at: Place) -> f64 {
        let step = at.steps.and(at.step).unwrap_or(0);
        let listed = self.scales.as_ref().and_then(|scales| scales.get(step));
        listed.copied().unwrap_or(self.scale)
    }

    /// The scale in the convention of `u + w*(c - u)`.
    fn counted_from_unconditional(&self, scale: f64) -> f64 {
        if self.original { 1.0 + scale } else { scale }
    }

    /// True for a scale that changes nothing.
    fn is_neutral(&self, scale: f64) -> bool {
        is_close(scale, if self.original { 0.0 } else { 1.0 })
    }

    fn at(&self, at: Place, active: bool) -> GuiderCall {
        if !self.enabled {
            return GuiderCall::CONDITIONAL;
        }
        let inside = self.window.holds(at.step, at.steps);
        let scale = self.scale_at(at);
        let guided = inside && !self.is_neutral(scale);
        let call = match self.method {
            Method::ZeroStar { zero_init_steps, .. } if at.step.is_some_and(|step| step < zero_init_steps) => {
                let zero = GuideRow { weights: Weights::Fixed([0.0; 3]), ..GuideRow::CONDITIONAL };
                GuiderCall { asks: [guided, false, false], ..GuiderCall::of(zero) }
            }
            Method::Perturbed { scale: third, window } => self.perturbed(at, guided.then_some(scale), third, window),
            Method::Modalities { perturbed, isolated } if inside => modalities(scale, perturbed, isolated),
            Method::Norm { axis, strength, clamped } if inside => GuiderCall {
                finish: Some(Finish::Norm { axis, strength, clamped }),
                ..GuiderCall::of(linear(self.counted_from_unconditional(scale)))
            },
            Method::PerpNeg { neg_scale, over_batch } if inside => perpendicular(scale, neg_scale, over_batch),
            Method::Frequencies { ref levels } if inside => self.frequencies(at, levels),
            Method::Image { image_scale, nested } if inside => image(scale, image_scale, nested),
            Method::Mixed { projection, scale: projected, start_step } if guided => {
                let on = at.step.is_some_and(|step| step > start_step) && !self.is_neutral(projected);
                if on {
                    self.projected(projected, projection, active)
                } else {
                    self.gathering(scale, projection, active)
                }
            }
            _ if guided => self.mixed(scale, active),
            _ => GuiderCall::CONDITIONAL,
        };
        let rescale = if call.row == GuideRow::CONDITIONAL { 0.0 } else { self.rescale };
        GuiderCall { row: GuideRow { rescale, ..call.row }, ..call }
    }

    /// The call of a method that is off at a neutral scale.
    fn mixed(&self, w: f64, active: bool) -> GuiderCall {
        let scale = self.counted_from_unconditional(w);
        let of = |weights| GuiderCall::of(GuideRow { first: [1.0, 0.0, 0.0], weights, ..GuideRow::CONDITIONAL });
        // The fourth prediction is the noisy sample, so this is the conditional prediction's noise.
        let of_noise = |weights| {
            let call = of(weights);
            GuiderCall { row: GuideRow { second: [0.0, 0.0, -1.0], ..call.row }, asks: [true, false, true], ..call }
        };
        match self.method {
            Method::ZeroStar { of_noise: false, .. } => of(Weights::ZeroStar { scale }),
            Method::ZeroStar { of_noise: true, .. } => of_noise(Weights::ZeroStarOfNoise { scale }),
            Method::Tangential { of_noise: false } => of(Weights::Tangential { scale }),
            Method::Tangential { of_noise: true } => of_noise(Weights::TangentialOfNoise { scale }),
            Method::Magnitude { alpha } => of(Weights::Magnitude { scale, alpha }),
            Method::Projected { projection, last_three_axes: false } => self.projected(w, projection, active),
            Method::Projected { projection, last_three_axes: true } => {
                let call = self.projected(w, projection, active);
                GuiderCall { row: GuideRow { second: [0.0; 3], ..call.row }, over: Over::LastThreeAxes, ..call }
            }
            Method::Mahiro { over_batch } => {
                GuiderCall { finish: Some(Finish::Mahiro { scale, over_batch }), ..GuiderCall::of(linear(scale)) }
            }
            _ => GuiderCall::of(linear(scale)),
        }
    }

    fn projected(&self, scale: f64, projection: Projection, active: bool) -> GuiderCall {
        let Projection { threshold, eta, momentum } = projection;
        GuiderCall::of(GuideRow {
            first: [1.0, 0.0, 0.0],
            second: if self.original { [0.0; 3] } else { [1.0, 0.0, 0.0] },
            momentum: if active { momentum } else { 0.0 },
            weights: Weights::Projected { scale, threshold, eta },
            rescale: 0.0,
        })
    }

    /// Linear guidance that accumulates the momentum of a later projection.
    fn gathering(&self, scale: f64, projection: Projection, active: bool) -> GuiderCall {
        let along = self.counted_from_unconditional(scale) - 1.0;
        let row = self.projected(scale, projection, active).row;
        let weights = Weights::Fixed([1.0, 0.0, along]);
        GuiderCall::of(GuideRow { second: [1.0, 0.0, 0.0], weights, ..row })
    }

    /// A level that is off is the conditional prediction's. If all are off, so is the guidance.
    fn frequencies(&self, at: Place, levels: &[FrequencyLevel]) -> GuiderCall {
        let conditional = PyramidLevel::conditional(self.original);
        let is_on = |level: &FrequencyLevel| level.window.holds(at.step, at.steps) && !self.is_neutral(level.scale);
        let each = levels.iter().map(|level| {
            let FrequencyLevel { scale, parallel, rescale, .. } = *level;
            let parallel = if is_close(parallel, 1.0) { 1.0 } else { parallel };
            if is_on(level) { PyramidLevel { scale, parallel, rescale } } else { conditional }
        });
        match Pyramid::new(&each.collect::<Vec<_>>(), self.original, self.rescale) {
            Some(pyramid) if levels.iter().any(is_on) => GuiderCall {
                asks: [true, false, false],
                finish: Some(Finish::Pyramid(pyramid)),
                ..GuiderCall::CONDITIONAL
            },
            _ => GuiderCall::CONDITIONAL,
        }
    }

    /// Returns true if some result, or a level of one, is rescaled.
    pub(crate) fn rescales(&self) -> bool {
        let of_levels = match &self.method {
            Method::Frequencies { levels } => levels.iter().any(|level| level.rescale != 0.0),
            _ => false,
        };
        self.rescale != 0.0 || of_levels
    }

    /// The scale `linear` is `None` where linear guidance is off.
    fn perturbed(&self, at: Place, linear: Option<f64>, third: f64, window: Window) -> GuiderCall {
        let on = window.holds_after_start(at.step, at.steps) && third != 0.0;
        let along = linear.map_or(0.0, |scale| self.counted_from_unconditional(scale) - 1.0);
        let away = match (on, linear) {
            (false, _) => 0.0,
            (true, Some(_)) => third,
            // Without the unconditional prediction the third takes its place.
            (true, None) => self.counted_from_unconditional(third) - 1.0,
        };
        let call = GuiderCall::of(along_differences([along, away, 0.0]));
        GuiderCall { asks: [linear.is_some(), on, false], ..call }
    }
}

/// A row along differences of predictions, with no sums.
fn along_differences(first: [f64; 3]) -> GuideRow {
    if first == [0.0; 3] {
        return GuideRow::CONDITIONAL;
    }
    GuideRow { first, weights: Weights::Fixed([1.0, 1.0, 0.0]), ..GuideRow::CONDITIONAL }
}

fn linear(scale: f64) -> GuideRow {
    along_differences([scale - 1.0, 0.0, 0.0])
}

fn modalities(scale: f64, perturbed: f64, isolated: f64) -> GuiderCall {
    let difference = |scale: f64, none: f64| if is_close(scale, none) { 0.0 } else { scale - none };
    GuiderCall::of(along_differences([difference(scale, 1.0), difference(perturbed, 0.0), difference(isolated, 1.0)]))
}

fn image(scale: f64, image_scale: f64, nested: bool) -> GuiderCall {
    let of_text = if nested { image_scale * (scale - 1.0) } else { scale - image_scale };
    let call = GuiderCall::of(along_differences([image_scale - 1.0, of_text, 0.0]));
    GuiderCall { asks: [true, true, false], ..call }
}

fn perpendicular(scale: f64, negative: f64, over_batch: bool) -> GuiderCall {
    GuiderCall {
        over: if over_batch { Over::Batch } else { Over::Sample },
        ..GuiderCall::of(GuideRow {
            first: [1.0, 0.0, 0.0],
            // The negative prediction minus the unconditional one.
            second: [1.0, -1.0, 0.0],
            weights: Weights::Perpendicular { scale, negative },
            ..GuideRow::CONDITIONAL
        })
    }
}
