//! Pictures in rows on a part of the window, each with a caption above it.

use crate::embed;
use crate::figures::Figure;
use crate::renderer::{ImageId, Piece, Request};
use eframe::egui::emath::GuiRounding as _;
use eframe::egui::layers::ShapeIdx;
use eframe::egui::{
    Align2, Color32, CursorIcon, FontId, Pos2, Rect, Response, Role, Sense, Shape, Stroke, StrokeKind, Ui, Vec2,
    WidgetInfo, pos2, vec2,
};

/// Room above a picture for its caption, and between pictures, in points.
pub const CAPTION: f32 = 20.0;
const GAP: f32 = 10.0;

/// The least part of its room that a picture may be reduced to so that each of its pixels covers whole ones of the window.
const LITTLE: f32 = 0.9;

/// The colours of names, of remarks, and of what has gone wrong.
pub const BRIGHT: Color32 = Color32::from_rgb(236, 238, 245);
pub const DIM: Color32 = Color32::from_rgb(150, 156, 176);
pub const ALARM: Color32 = Color32::from_rgb(255, 128, 116);
const SELECTED: Color32 = Color32::from_rgb(122, 200, 255);
const FRAME: Color32 = Color32::from_rgb(58, 62, 80);

/// A table of equal cells for pictures of one shape, as large as the area allows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Table {
    area: Rect,
    picture: Vec2,
}

impl Table {
    /// Lays out a table in this area, for pictures of this many pixels; `scale` is the window's pixels per point.
    pub fn new(area: Rect, columns: usize, rows: usize, size: [u32; 2], scale: f32) -> Self {
        let aspect = size[0] as f32 / size[1] as f32;
        let (columns, rows) = (columns.max(1) as f32, rows.max(1) as f32);
        let cell = vec2((area.width() - GAP * (columns - 1.0)) / columns, (area.height() - GAP * (rows - 1.0)) / rows);
        let width = cell.x.min((cell.y - CAPTION) * aspect).max(1.0);
        // Each pixel covers whole ones of the window where that costs little room, so that the tensor is seen as it is.
        let whole = (width * scale / size[0] as f32).floor() * size[0] as f32 / scale;
        let width = if whole >= LITTLE * width { whole } else { width };
        Self { area, picture: vec2(width, width / aspect) }
    }

    /// The place of a picture, below its caption.
    pub fn place(&self, column: usize, row: usize) -> Rect {
        let step = self.picture + vec2(GAP, CAPTION + GAP);
        let corner = self.area.min + vec2(column as f32 * step.x, row as f32 * step.y + CAPTION);
        Rect::from_min_size(corner, self.picture)
    }

    /// The space from this cell on to the right edge of the area, captions included.
    pub fn rest(&self, column: usize, row: usize) -> Rect {
        let place = self.place(column, row);
        Rect::from_min_max(pos2(place.left() + 8.0, place.top() - CAPTION), pos2(self.area.right(), place.bottom()))
    }

    /// The top of the row with this index, below this many rows.
    pub fn below(&self, rows: usize) -> f32 {
        self.place(0, rows).top() - CAPTION
    }
}

/// The pictures of a frame.
pub struct Gallery<'a> {
    ui: &'a Ui,
    area: Rect,
    behind: ShapeIdx,
    pieces: Vec<Piece>,
    selected: Option<ImageId>,
    /// The picture that was clicked.
    pub clicked: Option<ImageId>,
}

impl<'a> Gallery<'a> {
    /// Begins the pictures of a frame on this area of the window.
    pub fn new(ui: &'a Ui, area: Rect, selected: Option<ImageId>) -> Self {
        let area = area.round_to_pixels(ui.pixels_per_point());
        let behind = ui.painter().add(Shape::Noop);
        Self { ui, area, behind, pieces: Vec::new(), selected, clicked: None }
    }

    /// Adds rows of pictures at their places in a table.
    pub fn rows(&mut self, rows: &[Vec<Figure>], table: &Table) {
        for (row, figures) in rows.iter().enumerate() {
            for (column, figure) in figures.iter().enumerate() {
                self.picture(figure, table.place(column, row));
            }
        }
    }

    /// Adds a picture, or an empty frame that says why there is none.
    pub fn picture(&mut self, figure: &Figure, place: Rect) {
        if let Some(why) = &figure.missing {
            self.nothing(place, why);
            self.frame(place, false, figure);
            return;
        }
        let place = self.piece(figure, place);
        let is_chosen = Some(figure.what) == self.selected;
        if self.frame(place, is_chosen, figure).on_hover_text(&figure.story).clicked() {
            self.clicked = Some(figure.what);
        }
    }

    /// Adds a picture to draw on with a brush of this radius, in points.
    pub fn canvas(&mut self, figure: &Figure, place: Rect, radius: f32) {
        let place = self.piece(figure, place);
        let response = self.frame(place, false, figure).on_hover_cursor(CursorIcon::Crosshair);
        if let Some(at) = response.hover_pos() {
            self.ui.painter().with_clip_rect(place).circle_stroke(at, radius, Stroke::new(1.5, SELECTED));
        }
    }

    /// Adds a picture at whole pixels of the window, and returns its place.
    fn piece(&mut self, figure: &Figure, place: Rect) -> Rect {
        let place = place.round_to_pixels(self.ui.pixels_per_point());
        let corner = |at: Pos2| {
            let part = (at - self.area.min) / self.area.size();
            [part.x * 2.0 - 1.0, 1.0 - part.y * 2.0]
        };
        let ([left, top], [right, bottom]) = (corner(place.min), corner(place.max));
        let pixels = (place.size() * self.ui.pixels_per_point()).round();
        let pixels = [pixels.x as u32, pixels.y as u32];
        let (what, gain) = (figure.what, figure.gain as f32);
        self.pieces.push(Piece { what, corners: [left, top, right, bottom], pixels, gain });
        place
    }

    fn nothing(&self, place: Rect, why: &str) {
        let painter = self.ui.painter().with_clip_rect(place);
        painter.rect_filled(place, 4.0, Color32::from_rgb(40, 22, 28));
        let text = painter.layout(why.to_owned(), FontId::proportional(13.0), ALARM, place.width() - 24.0);
        painter.galley(place.center() - text.size() / 2.0, text, ALARM);
    }

    fn frame(&self, place: Rect, is_chosen: bool, figure: &Figure) -> Response {
        let painter = self.ui.painter();
        let stroke = if is_chosen { Stroke::new(2.0, SELECTED) } else { Stroke::new(1.0, FRAME) };
        painter.rect_stroke(place, 2.0, stroke, StrokeKind::Outside);
        let line = place.top() - 4.0;
        let above = painter.with_clip_rect(Rect::from_x_y_ranges(place.x_range(), line - CAPTION..=line + 4.0));
        above.text(pos2(place.left(), line), Align2::LEFT_BOTTOM, &figure.name, FontId::proportional(14.0), BRIGHT);
        let colour = if figure.alarming { ALARM } else { DIM };
        above.text(pos2(place.right(), line), Align2::RIGHT_BOTTOM, &figure.remark, FontId::proportional(12.5), colour);
        let response = self.ui.interact(place, self.ui.scope_id().with(("picture", &figure.name)), Sense::click());
        response.widget_info(|| WidgetInfo::labeled(Role::Image, true, format!("{} {}", figure.name, figure.remark)));
        response
    }

    /// Draws all pictures, and requests what they show.
    pub fn hang(self, request: Request) {
        let callback = embed::callback(self.ui.ctx(), self.area, request, self.pieces);
        self.ui.painter().set(self.behind, Shape::Callback(callback));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_fits_into_the_area() {
        for (width, height) in [(900.0, 700.0), (300.0, 900.0), (1500.0, 200.0), (420.0, 420.0)] {
            for size in [[20, 100], [96, 96], [320, 240], [600, 100]] {
                let area = Rect::from_min_size(pos2(10.0, 20.0), vec2(width, height));
                let table = Table::new(area, 3, 3, size, 1.0);
                let last = table.place(2, 2);
                assert!(last.right() <= area.right() + 0.5 && last.bottom() <= area.bottom() + 0.5);
                let aspect = size[0] as f32 / size[1] as f32;
                assert!((last.width() / last.height() - aspect).abs() < 1e-3 * aspect);
                assert!(table.place(0, 0).right() <= table.place(1, 0).left());
            }
        }
    }

    #[test]
    fn pixels_are_whole_where_there_is_room() {
        let area = Rect::from_min_size(pos2(0.0, 0.0), vec2(1000.0, 800.0));
        assert_eq!(Table::new(area, 3, 3, [320, 240], 1.0).place(0, 0).width(), 320.0);
        assert_eq!(Table::new(area, 3, 3, [160, 120], 1.0).place(0, 0).width(), 320.0);
        assert_eq!(Table::new(area, 3, 3, [640, 480], 2.0).place(0, 0).width(), 320.0);
        assert_eq!(Table::new(area, 3, 3, [200, 150], 1.0).place(0, 0).width(), 320.0, "200 would waste a third");
        assert_eq!(Table::new(area, 3, 3, [300, 225], 1.0).place(0, 0).width(), 300.0);
    }
}
