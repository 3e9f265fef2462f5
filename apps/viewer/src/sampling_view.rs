//! The sampling view: samples on their way from noise, the clean samples that the network predicts, and the pictures that it
//! knows.

use crate::course::Course;
use crate::curves::curves;
use crate::figures::{Figures, sampling};
use crate::gallery::{Gallery, Table};
use crate::renderer::{ImageId, Status};
use crate::state::State;
use eframe::egui::{Rect, Ui, pos2, vec2};
use tweedie::Schedule;

/// The least part of the height that is left for the set at the bottom and the curves; and the set's part of the width.
const FOOT: f32 = 0.27;
const SET: f32 = 0.5;

/// Shows the view, and returns the picture that was clicked.
pub fn show(ui: &mut Ui, state: &State, schedule: &Schedule, course: &Course, status: &Status) -> Option<ImageId> {
    let area = ui.available_rect_before_wrap();
    let Figures { rows, request, marker, visited } = sampling(state, course, status);
    let [way @ .., members] = rows.as_slice() else { return None };
    let (size, scale) = ([state.run().set.side; 2], ui.pixels_per_point());
    let main = Rect::from_min_max(area.min, pos2(area.right(), area.bottom() - FOOT * area.height()));
    let table = Table::new(main, way.first().map_or(1, Vec::len), way.len(), size, scale);
    let mut gallery = Gallery::new(ui, area, state.selected);
    gallery.rows(way, &table);

    let foot = Rect::from_min_max(pos2(area.left(), table.below(2) + 6.0), area.max);
    let set = Rect::from_min_size(foot.min, vec2(foot.width() * SET, foot.height()));
    let across = members.len().div_ceil(2).max(1);
    let thumbnails = Table::new(set, across, 2, size, scale);
    for (member, figure) in members.iter().enumerate() {
        gallery.picture(figure, thumbnails.place(member % across, member / across));
    }
    let clicked = gallery.clicked;
    gallery.hang(request);

    let rest = Rect::from_min_max(pos2(thumbnails.rest(across, 0).left() + 4.0, foot.top()), foot.max);
    curves(ui, rest, schedule, marker, &visited);
    clicked
}
