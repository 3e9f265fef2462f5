//! The sampling view: samples on their way from noise, what the network makes of them, and what it knows.

use crate::curves::curves;
use crate::gallery::{Caption, Gallery, Table};
use crate::state::State;
use crate::studio::{Demand, Seen, What};
use crate::trajectory::SAMPLES;
use eframe::egui::{Rect, Ui, pos2, vec2};
use tweedie::Schedule;
use tweedie::math::Sampler;

/// The part of the height that the set takes at the foot, beside the curves.
const FOOT: f32 = 0.27;

/// Shows it, and says which picture was clicked.
pub fn show(ui: &mut Ui, state: &State, schedule: &Schedule, sampler: &Sampler, seen: &Seen) -> Option<What> {
    let area = ui.available_rect_before_wrap();
    let calls = sampler.calls();
    let call = state.sampling.call.min(calls.len());
    let looked = call.min(calls.len().saturating_sub(1));
    let samples = if seen.samples == 0 { SAMPLES } else { seen.samples };
    let main = Rect::from_min_max(area.min, pos2(area.right(), area.bottom() - FOOT * area.height()));
    let table = Table::new(main, samples as usize, 2, 1.0);
    let mut gallery = Gallery::new(ui, area, state.selected);

    let gain = 1.0 / scale(sampler, call);
    for sample in 0..samples {
        let (column, number) = (sample as usize, sample + 1);
        let text = "The sample before this call of the network, at the variance that pictures have.";
        let name = format!("x_t {number}");
        let caption = Caption::new(&name).remark(if sample == 0 { noise(sampler, call) } else { String::new() });
        gallery.picture(What::Sample(sample, call), table.place(column, 0), gain, &caption).on_hover_text(text);
        let text = "The clean sample that the network's prediction implies in this call.";
        let name = format!("x0 {number}");
        gallery
            .picture(What::Preview(sample, looked), table.place(column, 1), 1.0, &Caption::new(&name))
            .on_hover_text(text);
    }

    let scene = state.run();
    let members = &scene.set.members;
    let foot = Rect::from_min_max(pos2(area.left(), table.below(2).max(main.bottom()) + 6.0), area.max);
    let set = Rect::from_min_size(foot.min, vec2(foot.width() * 0.55, foot.height()));
    let across = members.len().div_ceil(2).max(1);
    let thumbnails = Table::new(set, across, 2, 1.0);
    for (member, known) in members.iter().enumerate() {
        let place = thumbnails.place(member % across, member / across);
        let text = "What the denoiser knows: its samples end on one of these.";
        gallery.picture(What::Member(member), place, 1.0, &Caption::new(&known.name)).on_hover_text(text);
    }
    let clicked = gallery.clicked;
    // The call that is looked at is seen from both sides: the sample before it, and what the network makes of it.
    gallery.hang(Demand::Run(scene, (call + 1).min(calls.len())));
    let rest = Rect::from_min_max(pos2(thumbnails.rest(across, 0).left() + 4.0, foot.top()), foot.max);
    let visited: Vec<[f64; 2]> = calls.iter().map(|call| [call.timestep, call.level.log_snr()]).collect();
    let marker = calls.get(call).map_or(0.0, |call| call.timestep);
    curves(ui, rest, schedule, marker, &visited);
    clicked
}

/// What the sample is larger than data of unit variance would be.
fn scale(sampler: &Sampler, call: usize) -> f64 {
    let calls = sampler.calls();
    let [alpha, sigma] = match (calls.get(call), calls.last()) {
        (Some(call), _) => [call.level.alpha(), call.level.sigma()],
        (None, Some(last)) => last.row.known,
        (None, None) => [1.0, 0.0],
    };
    alpha.hypot(sigma)
}

fn noise(sampler: &Sampler, call: usize) -> String {
    sampler
        .calls()
        .get(call)
        .map_or_else(|| "clean".to_owned(), |call| format!("{:.1}% noise", 100.0 * call.level.one_minus_alpha_bar()))
}
