//! The pictures of all views: which there are, how brightly they are drawn, and their texts.

use crate::course::Course;
use crate::digits::DigitsScene;
use crate::plane::expected_rms;
use crate::renderer::{ImageId, Request, Status};
use crate::state::State;
use crate::trajectory::SAMPLES;
use ::digits::architecture::SIDE;
use tweedie::math::NoiseLevel;
use tweedie::{Quantity, Schedule};

/// Standard deviations of a target from grey to black or white: 95% of normal numbers are within them.
const DEVIATIONS: f64 = 2.0;

/// A picture and its texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The picture.
    pub what: ImageId,
    /// The name above it.
    pub name: String,
    /// A remark next to the name.
    pub remark: String,
    /// True if the remark is bad news.
    pub alarming: bool,
    /// The description, for a tooltip.
    pub story: String,
    /// Factor of its values, before -1 becomes black and 1 full intensity.
    pub gain: f64,
    /// Why there is no picture, if there is none.
    pub missing: Option<String>,
    /// True if parts of it can be erased.
    pub is_canvas: bool,
}

/// The pictures of a view.
#[derive(Clone, Debug)]
pub struct Figures {
    /// The pictures, row by row.
    pub rows: Vec<Vec<Figure>>,
    /// The request that computes them.
    pub request: Request,
    /// The timestep that is shown, for the mark on the curves of the schedule.
    pub marker: f64,
    /// Timesteps that a sampler visits, with their log SNRs.
    pub visited: Vec<[f64; 2]>,
}

impl Figure {
    fn new(what: ImageId, name: impl Into<String>, story: impl Into<String>) -> Self {
        let (name, story, remark) = (name.into(), story.into(), String::new());
        Self { what, name, remark, alarming: false, story, gain: 1.0, missing: None, is_canvas: false }
    }

    fn remark(self, remark: impl Into<String>) -> Self {
        Self { remark: remark.into(), ..self }
    }

    fn gain(self, gain: f64) -> Self {
        Self { gain, ..self }
    }
}

/// Returns the figures of the plane view: a picture and its noised form; the targets; what is recovered from each prediction.
#[must_use]
pub fn plane(state: &State, schedule: &Schedule, status: &Status) -> Figures {
    let scene = state.plane();
    let [width, height] = scene.size();
    let level = schedule.levels()[scene.timestep as usize];
    let (alpha, sigma) = (level.alpha(), level.sigma());
    let off = |rms: Option<f64>| rms.map_or_else(String::new, |rms| format!("off by {rms:.3}"));
    let noisy = status.errors.first().copied();

    let story = format!("The clean sample, {}: [3, {height}, {width}], from -1 (black) to 1.", state.name);
    let x0 = Figure::new(ImageId::X0, "x0", story).remark(format!("{width} x {height}"));
    let story = format!(
        "The noisy sample alpha*x0 + sigma*epsilon: alpha = {alpha:.4}, sigma = {sigma:.4}. The remark is its root mean square difference from the picture."
    );
    let x_t = Figure::new(ImageId::Xt, "x_t", story).remark(off(noisy)).gain(1.0 / alpha.hypot(sigma).max(1.0));

    let target = |(column, &quantity): (usize, &Quantity)| {
        let story = format!(
            "What a network that predicts {quantity} is trained to answer. Black is -{DEVIATIONS} standard deviations and full intensity {DEVIATIONS}; x0 is drawn as it is."
        );
        let figure = Figure::new(ImageId::Target(column), format!("{quantity} target"), story);
        figure.remark(formula(quantity)).gain(gain(level, state, quantity))
    };
    let recovered = |(column, &quantity): (usize, &Quantity)| {
        let found = status.errors.get(column + 1).copied();
        let story = format!(
            "The clean sample that follows from x_t and a prediction of {quantity} that is {:.0}% off. The remark is its root mean square difference from the picture, measured on the GPU; it is red where the noisy sample itself is closer.",
            state.error * 100.0
        );
        let figure = Figure::new(ImageId::Recovered(column), format!("x0 from {quantity}"), story);
        if status.determined.get(column) == Some(&false) {
            let why =
                format!("No signal is left at this timestep, and {quantity} says nothing about the picture. v does.");
            return Figure { missing: Some(why), ..figure };
        }
        // A prediction that gives a worse picture than the noisy one it was made from has failed there.
        let alarming = matches!((found, noisy), (Some(found), Some(noisy)) if found > noisy);
        Figure { alarming, ..figure.remark(off(found)) }
    };
    let targets = scene.quantities.iter().enumerate().map(target).collect();
    let recovered = scene.quantities.iter().enumerate().map(recovered).collect();
    let (rows, marker) = (vec![vec![x0, x_t], targets, recovered], f64::from(state.timestep));
    Figures { rows, request: Request::Plane(scene), marker, visited: Vec::new() }
}

/// Returns the figures of the sampling view: samples before the call that is shown; the clean samples that the network predicts;
/// and the pictures that it knows.
#[must_use]
pub fn sampling(state: &State, course: &Course, status: &Status) -> Figures {
    let calls = course.calls().len();
    let call = state.sampling.call.min(calls);
    let looked = call.min(calls.saturating_sub(1));
    let samples = if status.samples == 0 { SAMPLES } else { status.samples };
    let gain = 1.0 / deviation(course, call);

    let before = |sample: u32| {
        let story = "The sample before this call of the network, scaled to the variance of a picture.";
        let figure = Figure::new(ImageId::Sample(sample, call), format!("x_t {}", sample + 1), story);
        figure.remark(noise(course, call)).gain(gain)
    };
    let preview = |sample: u32| {
        let story = "The clean sample that the network's prediction implies in this call.";
        Figure::new(ImageId::Preview(sample, looked), format!("x0 {}", sample + 1), story)
    };
    let scene = state.run();
    let members = scene.set.members.iter().enumerate().map(|(member, known)| {
        let story = "A picture that the denoiser knows: samples end on one of these.";
        Figure::new(ImageId::Member(member), known.name.clone(), story)
    });
    let rows = vec![(0..samples).map(before).collect(), (0..samples).map(preview).collect(), members.collect()];
    let visited = course.calls().iter().map(|call| [call.timestep, call.level.log_snr()]).collect();
    let marker = course.calls().get(call).map_or(0.0, |call| call.timestep);
    // Both sides of the call are shown: the sample before it, and the clean sample that the network predicts.
    Figures { rows, request: Request::Run(scene, (call + 1).min(calls)), marker, visited }
}

/// Returns the figures of the digits view: digits before the call that is shown; the clean digits that the network predicts; and
/// the one to erase from. A frame may record `most` calls.
#[must_use]
pub fn digits(state: &State, course: &Course, status: &Status, most: usize) -> Figures {
    let calls = course.calls().len();
    let [call, looked] = state.digits.seen(calls, status.written);
    let scene = state.digits();
    let count = if status.digits == 0 { scene.count } else { status.digits };
    let gain = 1.0 / deviation(course, call);
    let before = |digit: u32| {
        let story = "The digit before this call of the network, scaled to the variance of a picture.";
        let figure = Figure::new(ImageId::Digit(digit, call), format!("x_t {}", digit + 1), story);
        figure.remark(noise(course, call)).gain(gain)
    };
    let clean = |digit: u32| {
        let story = "The clean digit that the network's prediction implies in this call.";
        let figure = Figure::new(ImageId::CleanDigit(digit, looked), format!("x0 {}", digit + 1), story);
        figure.remark(format!("call {}", looked + 1))
    };
    let chosen = match state.selected {
        Some(ImageId::Digit(digit, _) | ImageId::CleanDigit(digit, _)) if digit < count => digit,
        _ => 0,
    };
    let erased = erased(&scene, ImageId::CleanDigit(chosen, looked), chosen);
    let rows = match count {
        1 => vec![vec![before(0), clean(0)], vec![erased]],
        _ => vec![(0..count).map(before).collect(), (0..count).map(clean).collect(), vec![erased]],
    };
    let visited = course.calls().iter().map(|call| [call.timestep, call.level.log_snr()]).collect();
    let marker = course.calls().get(call).map_or(0.0, |call| call.timestep);
    // Both sides of the call are shown: the digit before it, and the clean digit that the network predicts.
    let request = Request::Digits { scene, wanted: state.digits.call.saturating_add(1).min(calls), most };
    Figures { rows, request, marker, visited }
}

/// The digit to erase from: one that is being written, until a part of it is erased.
fn erased(scene: &DigitsScene, written: ImageId, index: u32) -> Figure {
    let story = "Drag over it to erase a part. What is left of it stays, and the network writes the rest again.";
    let canvas = |what, name| Figure { is_canvas: true, ..Figure::new(what, name, story) };
    let Some(region) = &scene.region else {
        return canvas(written, format!("Erase from x0 {}", index + 1)).remark("drag here");
    };
    let remark = match region.erased().count() {
        0 => "drag here".to_owned(),
        erased => format!("{:.0}% erased", 100.0 * erased as f64 / f64::from(SIDE * SIDE)),
    };
    canvas(ImageId::Erased, "Erase more".to_owned()).remark(remark)
}

/// Returns the formula of a target.
const fn formula(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Xt => "alpha x0 + sigma eps",
        Quantity::X0 => "x0",
        Quantity::Epsilon => "eps",
        Quantity::V => "alpha eps - sigma x0",
        Quantity::Score => "-eps / sigma",
        Quantity::Flow => "eps - x0",
        Quantity::Edm(_) => "(x0 - c_skip x_t) / c_out",
        Quantity::RisingFlow => "x0 - eps",
        Quantity::TrigFlow(_) => "(c_skip x_t - x0) / c_out",
    }
}

/// Factor of a target's values: a target's deviations fill the range; x0 is a picture as it is.
fn gain(level: NoiseLevel, state: &State, quantity: Quantity) -> f64 {
    match (quantity, expected_rms(level, quantity, state.mean_square)) {
        (Quantity::X0, _) | (_, Err(_)) => 1.0,
        (_, Ok(rms)) => 1.0 / (DEVIATIONS * rms),
    }
}

/// Deviation of the sample before a call, for data of unit variance.
fn deviation(course: &Course, call: usize) -> f64 {
    let [alpha, sigma] = course.level(call);
    alpha.hypot(sigma)
}

/// Returns the noise's part of the variance of a sample before a call, in words.
fn noise(course: &Course, call: usize) -> String {
    let [alpha, sigma] = course.level(call);
    if sigma == 0.0 {
        "clean".to_owned()
    } else {
        format!("{:.1}% noise", 100.0 * (sigma / alpha.hypot(sigma)).powi(2))
    }
}
