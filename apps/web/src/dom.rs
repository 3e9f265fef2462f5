//! Access to the document. An element that the HTML lacks is an error that names it.

use std::fmt::Display;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::convert::FromWasmAbi;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Document, Element, EventTarget, Window};

/// An error in a page, for its console.
pub type Outcome<T = ()> = Result<T, JsValue>;

/// An error of this page's own.
pub fn failure(text: impl Display) -> JsValue {
    js_sys::Error::new(&text.to_string()).into()
}

pub fn window() -> Outcome<Window> {
    web_sys::window().ok_or_else(|| failure("expected a window, found a worker"))
}

pub fn document() -> Outcome<Document> {
    window()?.document().ok_or_else(|| failure("expected a document"))
}

/// The element with this id.
pub fn by_id<T: JsCast>(id: &str) -> Outcome<T> {
    let found = document()?.get_element_by_id(id);
    found.and_then(|element| element.dyn_into().ok()).ok_or_else(|| failure(format!("no element #{id} of this kind")))
}

/// All elements that a selector finds.
pub fn all(selector: &str) -> Outcome<Vec<Element>> {
    let nodes = document()?.query_selector_all(selector)?;
    Ok((0..nodes.length()).filter_map(|index| nodes.get(index)?.dyn_into().ok()).collect())
}

/// Shows or hides an element.
pub fn show(id: &str, shown: bool) -> Outcome {
    let element: Element = by_id(id)?;
    if shown { element.remove_attribute("hidden") } else { element.set_attribute("hidden", "") }
}

/// Sets the text of an element, if it is another one: to set the same again would cost a layout.
pub fn write(element: &Element, text: &str) {
    if element.text_content().as_deref() != Some(text) {
        element.set_text_content(Some(text));
    }
}

/// Sets an attribute of an element, if it is another one.
pub fn set(element: &Element, name: &str, value: &str) -> Outcome {
    if element.get_attribute(name).as_deref() == Some(value) { Ok(()) } else { element.set_attribute(name, value) }
}

/// Calls `heard` with every event of this name for as long as the page lives. Errors go to the console. An event may cause
/// another of its kind while it is handled, so `heard` is no `FnMut`.
pub fn listen<E: FromWasmAbi + 'static>(
    target: &impl AsRef<EventTarget>,
    name: &str,
    heard: impl Fn(E) -> Outcome + 'static,
) -> Outcome {
    let closure = Closure::<dyn Fn(E)>::new(move |event| log(heard(event)));
    target.as_ref().add_event_listener_with_callback(name, closure.as_ref().unchecked_ref())?;
    closure.forget();
    Ok(())
}

/// Writes an error to the console.
pub fn log(outcome: Outcome) {
    if let Err(error) = outcome {
        web_sys::console::error_1(&error);
    }
}

/// Milliseconds since the page began to load.
pub fn now() -> f64 {
    window().ok().and_then(|window| window.performance()).map_or(0.0, |performance| performance.now())
}
