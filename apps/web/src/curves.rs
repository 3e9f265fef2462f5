//! The curves of a schedule, with a mark at the timestep that is shown: a drawing in SVG.

use crate::dom::{Outcome, by_id, document, set};
use std::fmt::Write as _;
use tweedie::Schedule;
use web_sys::Element;

/// Points of a curve: more than one a pixel would be wasted.
const POINTS: usize = 200;

/// The size of each of the two panels, in the drawing's own units.
const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 100.0;

/// The largest log SNR that the lower panel shows, of either sign; beyond it, a sample is all picture or all noise.
const LOG_SNR: f64 = 12.0;

/// An empty drawing for the document.
pub fn element() -> Outcome<Element> {
    let figure = document()?.create_element("figure")?;
    figure.set_class_name("curves");
    figure.set_inner_html(&format!(
        "<figcaption><b class=alpha>alpha</b> <b class=sigma>sigma</b> <b class=snr>log SNR</b></figcaption>\
         <svg id=curves viewBox='0 0 {WIDTH} {}' preserveAspectRatio=none role=img aria-label='alpha, sigma and log SNR over the timesteps'></svg>",
        2.0 * HEIGHT + 8.0
    ));
    Ok(figure)
}

/// Draws alpha and sigma, and the log SNR, over the timesteps; `visited` are timesteps and log SNRs of a sampler.
pub fn draw(schedule: &Schedule, visited: &[[f64; 2]]) -> Outcome {
    let (levels, log_snr) = (schedule.levels(), schedule.log_snr());
    let last = (levels.len() - 1) as f64;
    let most = levels.iter().map(|level| level.alpha().max(level.sigma())).fold(1.0, f64::max);
    let lower = |snr: f64| HEIGHT + 8.0 + HEIGHT * (0.5 - snr.clamp(-LOG_SNR, LOG_SNR) / (2.0 * LOG_SNR));
    let upper = |value: f64| HEIGHT * (1.0 - value / most);
    let path = |of: &dyn Fn(usize) -> f64| {
        let mut path = String::new();
        for i in 0..POINTS {
            let t = i * (levels.len() - 1) / (POINTS - 1);
            // Writing into a String cannot fail.
            let _ = write!(path, "{}{:.2} {:.2}", if i == 0 { "M" } else { "L" }, t as f64 / last * WIDTH, of(t));
        }
        path
    };
    let mut text = format!(
        "<rect width={WIDTH} height={HEIGHT} /><rect y={} width={WIDTH} height={HEIGHT} />\
         <path class=alpha d='{}' /><path class=sigma d='{}' /><path class=snr d='{}' />",
        HEIGHT + 8.0,
        path(&|t| upper(levels[t].alpha())),
        path(&|t| upper(levels[t].sigma())),
        path(&|t| lower(log_snr[t])),
    );
    for [t, snr] in visited {
        let _ = write!(text, "<path class=visit d='M{:.2} {:.2}h0' />", t / last * WIDTH, lower(*snr));
    }
    text.push_str("<path id=marker />");
    by_id::<Element>("curves")?.set_inner_html(&text);
    Ok(())
}

/// Moves the line at the timestep that is shown.
pub fn mark(timestep: f64, last: f64) -> Outcome {
    set(&by_id("marker")?, "d", &format!("M{:.2} 0V{}", timestep / last * WIDTH, 2.0 * HEIGHT + 8.0))
}
