//! The state of the page for programs: for tests, and for a console. `start.js` offers it as `window.tweedie`.

use crate::dom::{Outcome, failure};
use crate::screen::Screen;
use crate::{Shared, shared, verify};
use js_sys::{Array, Object, Reflect};
use scenes::renderer::ImageId;
use std::rc::Rc;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// Returns the choices and the results as an object of plain values.
///
/// # Errors
/// Before the page has started.
#[wasm_bindgen]
pub fn account() -> Outcome<Object> {
    let app: Shared = shared()?;
    let app = app.borrow();
    let (state, status) = (&app.state, &app.status);
    let object = Object::new();
    let put = |name: &str, value: JsValue| Reflect::set(&object, &name.into(), &value).map(|_| ());
    let numbers = |values: &[f64]| values.iter().map(|&value| JsValue::from(value)).collect::<Array>();
    let text = |text: Option<&str>| text.map_or(JsValue::NULL, JsValue::from);
    put("view", state.view.name().into())?;
    put("picture", state.name.as_str().into())?;
    put("size", numbers(&state.plane().size().map(f64::from)).into())?;
    put("schedule", state.schedule.recipe().name.into())?;
    put("zeroTerminalSnr", state.schedule.zero_terminal_snr.into())?;
    put("timestep", state.timestep.into())?;
    put("error", state.error.into())?;
    put("seed", (state.seed as f64).into())?;
    put("playing", state.playing.into())?;
    put("call", (state.sampling.call as f64).into())?;
    put("done", (status.done as f64).into())?;
    put("class", state.digits.class.map_or(JsValue::NULL, JsValue::from))?;
    put("written", (status.written as f64).into())?;
    let erased = state.digits.region.as_ref().map(|region| region.erased().count() as f64);
    put("erased", erased.map_or(JsValue::NULL, JsValue::from))?;
    put("errors", numbers(&status.errors).into())?;
    put("determined", status.determined.iter().map(|&it| JsValue::from(it)).collect::<Array>().into())?;
    put("dispatches", (status.dispatches as f64).into())?;
    put("busy", (app.asked || status.pending).into())?;
    put("trouble", text(status.trouble.as_deref()))?;
    put("message", text(state.message.as_ref().map(|message| message.text.as_str())))?;
    put("adapter", text(app.screen.as_ref().map(Screen::name)))?;
    put("firstFrame", app.first_frame.map_or(JsValue::NULL, JsValue::from))?;
    put("checks", verify::account(&app.checks)?.into())?;
    put("frames", (app.frames as f64).into())?;
    Ok(object)
}

/// Returns the numbers of a picture as they are on the device: of `x0`, `x_t`, `target N`, `prediction N` and `recovered N`, where
/// `N` is the column, or of `sample N CALL`, `preview N CALL`, `digit N CALL` and `clean N CALL`.
///
/// # Errors
/// If there is no such picture now, or no device.
#[wasm_bindgen]
pub async fn numbers(name: String) -> Outcome<Vec<f32>> {
    let what = parse(&name).ok_or_else(|| failure(format!("expected the name of a picture, found `{name}`")))?;
    let app = shared()?;
    let found = app.borrow().screen.as_ref().and_then(|screen| {
        let hung = screen.renderer.find(what)?;
        Some((Rc::clone(&screen.gpu), hung))
    });
    let (gpu, hung) = found.ok_or_else(|| failure(format!("expected a picture, found none at `{name}`")))?;
    let range = 4 * hung.offset..4 * (hung.offset + hung.count());
    let bytes = gpu.download(&hung.buffer, range).await.map_err(failure)?;
    Ok(bytes.chunks_exact(4).map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect())
}

fn parse(name: &str) -> Option<ImageId> {
    let mut words = name.split(' ');
    let kind = words.next()?;
    let mut number = || words.next()?.parse::<usize>().ok();
    Some(match kind {
        "x0" => ImageId::X0,
        "x_t" => ImageId::Xt,
        "target" => ImageId::Target(number()?),
        "prediction" => ImageId::Prediction(number()?),
        "recovered" => ImageId::Recovered(number()?),
        "sample" => ImageId::Sample(u32::try_from(number()?).ok()?, number()?),
        "digit" => ImageId::Digit(u32::try_from(number()?).ok()?, number()?),
        "clean" => ImageId::CleanDigit(u32::try_from(number()?).ok()?, number()?),
        "preview" => ImageId::Preview(u32::try_from(number()?).ok()?, number()?),
        _ => return None,
    })
}
