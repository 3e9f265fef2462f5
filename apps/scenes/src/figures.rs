//! The pictures of all views: which there are, how brightly to draw them, and what to say of them.

use crate::course::Course;
use crate::digits::DigitsScene;
use crate::plane::expected_rms;
use crate::renderer::{ImageId, Request, Status};
use crate::state::State;
use crate::trajectory::SAMPLES;
use ::digits::architecture::SIDE;
use tweedie::math::NoiseLevel;
use tweedie::{Quantity, Schedule};

/// Deviations that a target shows from black to white, each side: of a normal, 95% are inside.
const DEVIATIONS: f64 = 2.0;

/// A picture, and what is to be said of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Which.
    pub what: ImageId,
    /// Description.
    pub name: String,
    /// Remark beside the name.
    pub remark: String,
    /// True if the remark is bad news.
    pub alarming: bool,
    /// The whole story, for whoever asks.
    pub story: String,
    /// Factor of its values, before -1 becomes black and 1 full intensity.
    pub gain: f64,
    /// The reason for which there is none, if there is none.
    pub missing: Option<String>,
    /// True if a part of it can be erased.
    pub is_canvas: bool,
}

/// The pictures of a view.
#[derive(Clone, Debug)]
pub struct Figures {
    /// The pictures, row by row.
    pub rows: Vec<Vec<Figure>>,
    /// Request that computes them.
    pub request: Request,
    /// The timestep that is looked at, on the curves of the schedule.
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

/// A picture and its noised form; the targets; what comes back of each prediction.
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
            "What a network that predicts {quantity} is trained to answer. Drawn from -{DEVIATIONS} to {DEVIATIONS} of its own deviations."
        );
        let figure = Figure::new(ImageId::Target(column), format!("{quantity} target"), story);
        figure.remark(formula(quantity)).gain(gain(level, state, quantity))
    };
    let recovered = |(column, &quantity): (usize, &Quantity)| {
        let found = status.errors.get(column + 1).copied();
        let story = format!(
            "The clean sample that follows from x_t and a prediction of {quantity} that is {:.0}% off. The remark is its root mean square difference from the picture, measured on the GPU; red where the noisy sample itself was nearer.",
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

/// Samples before the call that is looked at; what the network makes of them; and what it knows.
#[must_use]
pub fn sampling(state: &State, course: &Course, status: &Status) -> Figures {
    let calls = course.calls().len();
    let call = state.sampling.call.min(calls);
    let looked = call.min(calls.saturating_sub(1));
    let samples = if status.samples == 0 { SAMPLES } else { status.samples };
    let gain = 1.0 / deviation(course, call);

    let before = |sample: u32| {
        let story = "The sample before this call of the network, at the variance that pictures have.";
        let figure = Figure::new(ImageId::Sample(sample, call), format!("x_t {}", sample + 1), story);
        figure.remark(noise(course, call)).gain(gain)
    };
    let preview = |sample: u32| {
        let story = "The clean sample that the network's prediction implies in this call.";
        Figure::new(ImageId::Preview(sample, looked), format!("x0 {}", sample + 1), story)
    };
    let scene = state.run();
    let members = scene.set.members.iter().enumerate().map(|(member, known)| {
        let story = "What the denoiser knows: its samples end on one of these.";
        Figure::new(ImageId::Member(member), known.name.clone(), story)
    });
    let rows = vec![(0..samples).map(before).collect(), (0..samples).map(preview).collect(), members.collect()];
    let visited = course.calls().iter().map(|call| [call.timestep, call.level.log_snr()]).collect();
    let marker = course.calls().get(call).map_or(0.0, |call| call.timestep);
    // The call that is looked at is seen from both sides: the sample before it, and what the network makes of it.
    Figures { rows, request: Request::Run(scene, (call + 1).min(calls)), marker, visited }
}

/// Digits before the call that is looked at, and what the network makes of them; and the one of which a part is erased. A
/// frame may record so many calls.
#[must_use]
pub fn digits(state: &State, course: &Course, status: &Status, most: usize) -> Figures {
    let calls = course.calls().len();
    let [call, looked] = state.digits.seen(calls, status.written);
    let scene = state.digits();
    let count = if status.digits == 0 { scene.count } else { status.digits };
    let gain = 1.0 / deviation(course, call);
    let before = |digit: u32| {
        let story = "The digit before this call of the network, at the variance that pictures have.";
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
    // The call that is looked at is seen from both sides: the digit before it, and what the network makes of it.
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

/// Formula of a target.
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

/// Part of the noise in a sample before a call, in words.
fn noise(course: &Course, call: usize) -> String {
    let [alpha, sigma] = course.level(call);
    if sigma == 0.0 {
        "clean".to_owned()
    } else {
        format!("{:.1}% noise", 100.0 * (sigma / alpha.hypot(sigma)).powi(2))
    }
}
