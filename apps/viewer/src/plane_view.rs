//! The plane's view: one picture, its noised form, the targets, and what comes back from predictions that err.

use crate::curves::curves;
use crate::gallery::{Gallery, Table};
use crate::hangings::{Exhibition, plane};
use crate::scenes::{Seen, What};
use crate::state::State;
use eframe::egui::Ui;
use tweedie::Schedule;

/// Columns that the first row needs: the picture, its noised form, the curves.
const LEAST_COLUMNS: usize = 3;

/// Shows it, and says which picture was clicked.
pub fn show(ui: &mut Ui, state: &State, schedule: &Schedule, seen: &Seen) -> Option<What> {
    let area = ui.available_rect_before_wrap();
    let Exhibition { rows, demand } = plane(state, schedule, seen);
    let columns = rows.iter().map(Vec::len).fold(LEAST_COLUMNS, usize::max);
    let table = Table::new(area, columns, rows.len(), state.plane().size(), ui.pixels_per_point());
    let mut gallery = Gallery::new(ui, area, state.selected);
    for (row, hangings) in rows.iter().enumerate() {
        for (column, hanging) in hangings.iter().enumerate() {
            gallery.picture(hanging, table.place(column, row));
        }
    }
    let clicked = gallery.clicked;
    gallery.hang(demand);
    curves(ui, table.rest(2, 0), schedule, f64::from(state.timestep), &[]);
    clicked
}
