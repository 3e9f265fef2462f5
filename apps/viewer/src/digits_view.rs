//! The digits view: digits that a trained network writes, call by call, and one of which a part can be erased.

use crate::brush::Brush;
use crate::course::Course;
use crate::curves::curves;
use crate::digits::MOST_DIGITS;
use crate::figures::{Figures, digits};
use crate::gallery::{Gallery, Table};
use crate::region::Stroke;
use crate::renderer::{ImageId, Status};
use crate::state::State;
use ::digits::architecture::SIDE;
use eframe::egui::{Rect, Ui, pos2};
use tweedie::Schedule;

/// The part of the height that is left for the digit to erase from and the curves next to it.
const FOOT: f32 = 0.38;

/// The user's actions in a frame of the view.
pub struct Shown {
    /// The picture that was clicked.
    pub clicked: Option<ImageId>,
    /// The digit that can be erased from.
    pub from: ImageId,
    /// The strokes on it.
    pub strokes: Vec<Stroke>,
}

/// Shows the view. A frame may record `most` calls.
pub fn show(
    ui: &mut Ui,
    state: &State,
    schedule: &Schedule,
    course: &Course,
    status: &Status,
    most: usize,
    brush: &mut Brush,
) -> Shown {
    let area = ui.available_rect_before_wrap();
    let Figures { rows, request, marker, visited } = digits(state, course, status, most);
    let (size, scale) = ([SIDE; 2], ui.pixels_per_point());
    let (way, last) = rows.split_at(rows.len() - 1);
    let canvas = &last[0][0];
    let foot = area.bottom() - FOOT * area.height();
    let main = Rect::from_min_max(area.min, pos2(area.right(), foot));
    let columns = way.iter().map(Vec::len).fold(1, usize::max).min(MOST_DIGITS as usize);
    let table = Table::new(main, columns, way.len(), size, scale);
    let mut gallery = Gallery::new(ui, area, state.selected);
    gallery.rows(way, &table);

    let foot = Rect::from_min_max(pos2(area.left(), foot.max(table.below(way.len()))), area.max);
    let one = Table::new(foot, 1, 1, size, scale);
    let place = one.place(0, 0);
    let radius = state.digits.brush * place.width() / SIDE as f32;
    gallery.canvas(canvas, place, radius);
    let (clicked, from) = (gallery.clicked, canvas.what);
    gallery.hang(request);
    let rest = one.rest(1, 0);
    curves(ui, rest, schedule, marker, &visited);

    let pixel = |at: eframe::egui::Pos2| {
        let part = (at - place.min) / place.size() * SIDE as f32;
        [part.x, part.y]
    };
    let stroke = |line: [eframe::egui::Pos2; 2]| Stroke { ends: line.map(pixel), radius: state.digits.brush };
    let strokes = brush.lines(ui, place).into_iter().map(stroke).collect();
    Shown { clicked, from, strokes }
}
