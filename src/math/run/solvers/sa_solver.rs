//! SA-Solver (Xue et al. 2023, arXiv 2309.05019): a stochastic Adams predictor and corrector, with one evaluation a step, or two in
//! PECE mode.

use super::course::Course;
use super::polynomial::{exponential_integrals, weights};
use crate::math::error::sampler::SamplerError;
use crate::math::sampler::linear::Linear;

/// A step with the noise of its predictor, which its corrector uses again.
struct Move {
    /// The corrected sample at its start.
    x: Linear,
    /// The factor of that sample.
    kept: f64,
    /// The noise, times its factor.
    noise: Linear,
    tau: f64,
    from: f64,
    to: f64,
}

/// The weights of clean samples in a step, given half the log SNR of each (`nodes`), newest first.
fn adams(course: &Course<'_>, step: (f64, f64), tau: f64, nodes: &[f64], is_corrector: bool) -> Vec<f64> {
    let [start, end] = [step.0, step.1].map(|sigma| course.half_log_snr(sigma));
    let (h, alpha, k) = (end - start, course.alpha(step.1), 1.0 + tau * tau);
    if let ([newest, oldest], true) = (nodes, course.is_on("simple_order_2")) {
        let all = alpha * -(-h * k).exp_m1();
        return match is_corrector {
            true => {
                let first = alpha * k * h * 0.5;
                vec![first, all - first]
            }
            false => {
                let second = alpha * k * h * h / (2.0 * (oldest - newest));
                vec![all - second, second]
            }
        };
    }
    let places: Vec<f64> = nodes.iter().map(|node| (node - start) / h).collect();
    let found = weights(&places, &exponential_integrals(k * h, nodes.len()));
    found.into_iter().map(|weight| alpha * weight).collect()
}

/// `sa_solver`, `sa_solver_pece`.
pub fn sa_solver(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    course.leave_pure_noise();
    let [eta, s_noise] = ["eta", "s_noise"].map(|name| course.number(name));
    let [begin, end] = ["sde_start_percent", "sde_end_percent"].map(|name| course.number(name));
    let [begin, end] = [begin, end].map(|percent| course.model.percent_to_sigma(percent));
    let [most_predicted, most_corrected] = ["predictor_order", "corrector_order"].map(|name| course.count(name));
    let (is_pece, n) = (course.is_on("use_pece"), course.steps());
    let lowers = course.ends(n).0 == 0.0;
    // The clean samples and half the log SNR of each, newest first.
    let (mut clean, mut places): (Vec<Linear>, Vec<f64>) = (Vec::new(), Vec::new());
    let (mut predicted, mut before): (_, Option<Move>) = (course.start(), None);
    for i in 0..n {
        let (from, to) = course.step(i);
        let mut now = course.ask(&predicted, from)?;
        clean.insert(0, now.d.clone());
        places.insert(0, course.half_log_snr(from));
        let mut predictor = most_predicted.min(clean.len());
        let mut corrector = if i == 0 || (to == 0.0 && !is_pece) { 0 } else { most_corrected.min(clean.len()) };
        if lowers {
            predictor = predictor.min(n - 1 - i);
            corrector = corrector.min(n - i);
        }
        let mut x = now.x.clone();
        if let Some(last) = before.filter(|_| corrector > 0) {
            let last = Move { x: course.current(&last.x)?, noise: course.current(&last.noise)?, ..last };
            let found = adams(course, (last.from, last.to), last.tau, &places[..corrector], true);
            x = last.x * last.kept + last.noise;
            for (d, weight) in clean.iter().zip(found) {
                x = x + d * weight;
            }
            if is_pece {
                now = course.ask(&x, from)?;
                x = now.x.clone();
                clean[0] = now.d.clone();
            }
        }
        if to == 0.0 {
            return Ok(now.d);
        }
        let tau = if (end..=begin).contains(&to) { eta } else { 0.0 };
        let h = course.half_log_snr(to) - course.half_log_snr(from);
        let kept = to / from * (-tau * tau * h).exp();
        let found = adams(course, (from, to), tau, &places[..predictor], false);
        predicted = &x * kept;
        for (d, weight) in clean.iter().zip(found) {
            predicted = predicted + d * weight;
        }
        let noise = match tau > 0.0 && s_noise > 0.0 {
            true => course.step_noise(to * (-(-2.0 * tau * tau * h).exp_m1()).sqrt()),
            false => Linear::ZERO,
        };
        predicted = predicted + noise.clone();
        before = Some(Move { x, kept, noise, tau, from, to });
        let most = most_predicted.max(most_corrected);
        clean.truncate(most);
        places.truncate(most);
    }
    Ok(predicted)
}
