//! The mouse as a brush on a picture.

use eframe::egui::{Event, PointerButton, Pos2, Rect, Ui};

/// A brush that may be down.
#[derive(Clone, Copy, Debug, Default)]
pub struct Brush {
    at: Option<Pos2>,
}

impl Brush {
    /// Returns the lines drawn since the last frame by strokes that began in this place of the window. The mouse's whole path
    /// counts, even in a slow frame.
    pub fn lines(&mut self, ui: &Ui, place: Rect) -> Vec<[Pos2; 2]> {
        let is_here = |at: Pos2| place.contains(at) && ui.ctx().layer_id_at(at) == Some(ui.layer_id());
        let mut lines = Vec::new();
        for event in ui.input(|input| input.events.clone()) {
            match event {
                Event::PointerButton { pos, button: PointerButton::Primary, pressed: true, .. } if is_here(pos) => {
                    lines.push([pos, pos]);
                    self.at = Some(pos);
                }
                Event::PointerButton { button: PointerButton::Primary, .. } | Event::PointerGone => self.at = None,
                Event::PointerMoved(to) => {
                    if let Some(from) = self.at.replace(to) {
                        lines.push([from, to]);
                    } else {
                        self.at = None;
                    }
                }
                _ => {}
            }
        }
        lines
    }
}
