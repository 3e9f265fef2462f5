//! The plane's view: one picture, its noised form, the targets, and what comes back from predictions that err.

use crate::curves::curves;
use crate::gallery::{Caption, Gallery, Table};
use crate::plane::{expected_rms, mean_square};
use crate::state::State;
use crate::studio::{Demand, Seen, What};
use eframe::egui::Ui;
use tweedie::{Diffusion, Quantity, Schedule};

/// Deviations that a target shows from black to white, each side: of a normal, 95% are inside.
const DEVIATIONS: f64 = 2.0;

/// Columns that the first row needs: the picture, its noised form, the curves.
const LEAST_COLUMNS: usize = 3;

/// Shows it, and says which picture was clicked.
pub fn show(ui: &mut Ui, state: &State, schedule: &Schedule, seen: &Seen) -> Option<What> {
    let area = ui.available_rect_before_wrap();
    let scene = state.plane();
    let [width, height] = scene.size();
    let columns = scene.quantities.len().max(LEAST_COLUMNS);
    let table = Table::new(area, columns, 3, width as f32 / height as f32);
    let level = schedule.levels()[scene.timestep as usize];
    let (alpha, sigma) = (level.alpha(), level.sigma());
    let mut gallery = Gallery::new(ui, area, state.selected);

    let size = format!("{width} x {height}");
    let text = format!("The clean sample, {}: [3, {height}, {width}], from -1 (black) to 1.", state.name);
    gallery.picture(What::X0, table.place(0, 0), 1.0, &Caption::new("x0").remark(size)).on_hover_text(text);
    let noisy = seen.errors.first().copied();
    let scale = 1.0 / alpha.hypot(sigma).max(1.0);
    let caption = Caption::new("x_t").remark(noisy.map_or_else(String::new, |rms| format!("off by {rms:.3}")));
    let text = format!(
        "The noisy sample alpha*x0 + sigma*epsilon: alpha = {alpha:.4}, sigma = {sigma:.4}. The remark is its root mean square difference from the picture."
    );
    gallery.picture(What::Xt, table.place(1, 0), scale, &caption).on_hover_text(text);

    for (column, &quantity) in scene.quantities.iter().enumerate() {
        let name = format!("{quantity} target");
        let caption = Caption::new(&name).remark(formula(quantity));
        let text = format!(
            "What a network that predicts {quantity} is trained to answer. Drawn from -{DEVIATIONS} to {DEVIATIONS} of its own deviations."
        );
        gallery
            .picture(What::Target(column), table.place(column, 1), gain(schedule, state, quantity), &caption)
            .on_hover_text(text);

        let name = format!("x0 from {quantity}");
        let place = table.place(column, 2);
        if seen.determined.get(column) == Some(&false) {
            let why =
                format!("No signal is left at this timestep, and {quantity} says nothing about the picture. v does.");
            gallery.nothing(place, &Caption::new(&name), &why);
            continue;
        }
        let found = seen.errors.get(column + 1).copied();
        // A prediction that gives a worse picture than the noisy one it was made from has failed there.
        let alarming = matches!((found, noisy), (Some(found), Some(noisy)) if found > noisy);
        let caption = Caption {
            alarming,
            ..Caption::new(&name).remark(found.map_or_else(String::new, |rms| format!("off by {rms:.3}")))
        };
        let text = format!(
            "The clean sample that follows from x_t and a prediction of {quantity} that is {:.0}% off. The remark is its root mean square difference from the picture, measured on the GPU; red where the noisy sample itself was nearer.",
            state.error * 100.0
        );
        gallery.picture(What::Recovered(column), place, 1.0, &caption).on_hover_text(text);
    }
    let clicked = gallery.clicked;
    gallery.hang(Demand::Plane(scene));
    curves(ui, table.rest(2, 0), schedule, f64::from(state.timestep), &[]);
    clicked
}

/// What the target is made of.
fn formula(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Xt => "alpha x0 + sigma eps",
        Quantity::X0 => "x0",
        Quantity::Epsilon => "eps",
        Quantity::V => "alpha eps - sigma x0",
        Quantity::Score => "-eps / sigma",
        Quantity::Flow => "eps - x0",
        Quantity::Edm(_) => "(x0 - c_skip x_t) / c_out",
    }
}

/// A target's deviations fill the range; x0 is a picture as it is.
fn gain(schedule: &Schedule, state: &State, quantity: Quantity) -> f64 {
    if quantity == Quantity::X0 {
        return 1.0;
    }
    let rms = expected_rms(&Diffusion::new(schedule.clone()), quantity, mean_square(&state.picture.data));
    let rms = rms.ok().and_then(|all| all.get(state.timestep as usize).copied()).unwrap_or(1.0);
    1.0 / (DEVIATIONS * rms)
}
