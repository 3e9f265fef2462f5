//! The mouse, a pen or a finger as a brush on the digit to erase from.

use crate::app::{App, Errand, Shared, ask};
use crate::dom::{Outcome, all};
use digits::architecture::SIDE;
use scenes::region::Stroke;
use wasm_bindgen::JsCast;
use web_sys::{Element, PointerEvent};

/// The frame of the digit to erase from.
const CANVAS: &str = "#hall figure.canvas .frame";

/// Puts the brush down, if the pointer is on the digit.
pub fn pressed(app: &Shared, event: &PointerEvent) -> Outcome {
    let element: Option<Element> = event.target().and_then(|target| target.dyn_into().ok());
    let is_here = element.is_some_and(|element| element.matches(CANVAS).unwrap_or(false));
    if event.button() == 0 && is_here {
        event.prevent_default();
        app.borrow_mut().brush = pixel(event)?;
        moved(app, event)?;
    }
    Ok(())
}

/// Draws on, if the brush is down.
pub fn moved(app: &Shared, event: &PointerEvent) -> Outcome {
    let mut page = app.borrow_mut();
    if event.buttons() & 1 == 0 {
        page.brush = None;
    }
    let (Some(from), Some(to)) = (page.brush, pixel(event)?) else { return Ok(()) };
    page.brush = Some(to);
    let App { state, gallery, errands, .. } = &mut *page;
    let stroke = Stroke { ends: [from, to], radius: state.digits.brush };
    if state.digits.erase(stroke) {
        errands.extend(gallery.canvas().map(|what| (what, Errand::Take)));
    }
    drop(page);
    ask(app);
    Ok(())
}

/// Returns the pointer's place on the digit, in its pixels.
fn pixel(event: &PointerEvent) -> Outcome<Option<[f32; 2]>> {
    let Some(frame) = all(CANVAS)?.into_iter().next() else { return Ok(None) };
    let place = frame.get_bounding_client_rect();
    let part = |at: i32, from: f64, size: f64| ((f64::from(at) - from) / size * f64::from(SIDE)) as f32;
    let across = part(event.client_x(), place.left(), place.width());
    let down = part(event.client_y(), place.top(), place.height());
    Ok(Some([across, down]))
}
