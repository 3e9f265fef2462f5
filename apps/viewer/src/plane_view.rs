//! The plane view: one picture, its noised form, the targets, and what is recovered from predictions with an error.

use crate::curves::curves;
use crate::figures::{Figures, plane};
use crate::gallery::{Gallery, Table};
use crate::renderer::{ImageId, Status};
use crate::state::State;
use eframe::egui::Ui;
use tweedie::Schedule;

/// Columns that the first row needs: the picture, its noised form, the curves.
const LEAST_COLUMNS: usize = 3;

/// Shows the view, and returns the picture that was clicked.
pub fn show(ui: &mut Ui, state: &State, schedule: &Schedule, status: &Status) -> Option<ImageId> {
    let area = ui.available_rect_before_wrap();
    let Figures { rows, request, marker, visited } = plane(state, schedule, status);
    let columns = rows.iter().map(Vec::len).fold(LEAST_COLUMNS, usize::max);
    let table = Table::new(area, columns, rows.len(), state.plane().size(), ui.pixels_per_point());
    let mut gallery = Gallery::new(ui, area, state.selected);
    gallery.rows(&rows, &table);
    let clicked = gallery.clicked;
    gallery.hang(request);
    curves(ui, table.rest(2, 0), schedule, marker, &visited);
    clicked
}
