//! tweedie in a web page: the demo with sliders, samplers at work, digits that a network writes, and the checks of
//! `tweedie verify`, on WebGPU.
//!
//! **Theory.** The page shows what the native viewer shows, and shares everything with it but what surrounds the pictures (the
//! crate `scenes`). The library runs in a browser as it does elsewhere: it records into the page's encoders on the page's device.
//!
//! **Practice.** `cargo web` builds and serves it.
//!
//! ```text
//! screen                        the canvas that tweedie draws on
//! app  gallery  curves          frames, and the figures that they draw into
//! input  controls  brush  files what the user does
//! weights                       the digits' networks, fetched when they are needed
//! verify                        every check, in the page
//! notice  probe                 when there is no device; what programs may ask
//! dom                           the document
//! ```

mod app;
mod brush;
mod controls;
mod curves;
mod dom;
mod files;
mod gallery;
mod input;
mod notice;
mod probe;
mod screen;
mod verify;
mod weights;

use app::{Shared, ask};
use dom::{Outcome, by_id, failure, window};
use screen::Screen;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::spawn_local;

thread_local! {
    static APP: RefCell<Option<Shared>> = const { RefCell::new(None) };
}

/// The page, for functions that JavaScript calls.
fn shared() -> Outcome<Shared> {
    APP.with(|app| app.borrow().clone()).ok_or_else(|| failure("expected a page that has started"))
}

/// Starts the page.
///
/// # Errors
/// If the document is not that of `page/index.html`.
#[wasm_bindgen(start)]
pub fn start() -> Outcome {
    std::panic::set_hook(Box::new(|panic| {
        web_sys::console::error_1(&panic.to_string().into());
        dom::log(notice::failed(&format!("{panic}.")));
    }));
    controls::furnish()?;
    let app = Shared::default();
    APP.with(|place| *place.borrow_mut() = Some(Rc::clone(&app)));
    input::begin(&app)?;
    ask(&app);
    spawn_local(open(app));
    Ok(())
}

/// Gets a device, and draws on it until it is lost.
async fn open(app: Shared) {
    dom::log(live(&app).await);
}

async fn live(app: &Shared) -> Outcome {
    let gpu = js_sys::Reflect::get(&window()?.navigator(), &JsValue::from("gpu"))?;
    if gpu.is_undefined() {
        return notice::no_webgpu();
    }
    let (screen, lost) = match Screen::open(by_id("canvas")?).await {
        Ok(opened) => opened,
        Err(error) => return notice::no_device(&String::from(js_sys::Error::from(error).message())),
    };
    app.borrow_mut().screen = Some(screen);
    ask(app);
    if let Some(why) = lost.receive().await {
        app.borrow_mut().lose(&why)?;
        ask(app);
    }
    Ok(())
}
