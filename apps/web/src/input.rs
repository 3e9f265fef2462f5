//! The user's input: controls, buttons, keys, files that are dropped. Each kind of event has a listener on the whole document,
//! so that figures may come and go.

use crate::app::{App, Errand, Shared, ask};
use crate::dom::{Outcome, by_id, document, listen, set};
use crate::{brush, controls, dom, files, notice, open, verify};
use scenes::state::View;
use std::rc::Rc;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::convert::FromWasmAbi;
use wasm_bindgen_futures::spawn_local;
use web_sys::{
    DragEvent, Element, Event, EventTarget, FileList, HtmlButtonElement, HtmlElement, HtmlInputElement,
    HtmlSelectElement, KeyboardEvent, PointerEvent, ResizeObserver,
};

/// Steps of an arrow key with Shift.
const FAR: i64 = 25;

/// Begins to listen.
pub fn begin(app: &Shared) -> Outcome {
    on(app, &document()?, "input", |app, event: Event| {
        if let Some(element) = target(&event) {
            controls::changed(&mut app.borrow_mut().state, &element);
            ask(app);
        }
        Ok(())
    })?;
    on(app, &document()?, "click", |app, event: Event| {
        target(&event).map_or(Ok(()), |element| clicked(app, &element))
    })?;
    on(app, &document()?, "pointerdown", |app, event: PointerEvent| brush::pressed(app, &event))?;
    on(app, &document()?, "pointermove", |app, event: PointerEvent| brush::moved(app, &event))?;
    for end in ["pointerup", "pointercancel"] {
        on(app, &document()?, end, |app, _: PointerEvent| {
            app.borrow_mut().brush = None;
            Ok(())
        })?;
    }
    on(app, &document()?, "keydown", |app, event: KeyboardEvent| pressed(app, &event))?;
    on(app, &by_id::<HtmlInputElement>("file")?, "change", |app, _: Event| {
        let input: HtmlInputElement = by_id("file")?;
        open_file(app, input.files());
        input.set_value(""); // so that the same file can be opened again
        Ok(())
    })?;
    drops(app)?;
    // Whatever moves the figures changes the size of what holds them.
    let shared = Rc::clone(app);
    let resized = Closure::<dyn FnMut()>::new(move || ask(&shared));
    let observer = ResizeObserver::new(resized.as_ref().unchecked_ref())?;
    observer.observe(&by_id("stage")?);
    observer.observe(&by_id("hall")?);
    resized.forget();
    Ok(())
}

/// Listens to a target, with access to the page.
fn on<E: FromWasmAbi + 'static>(
    app: &Shared,
    target: &impl AsRef<EventTarget>,
    name: &str,
    heard: fn(&Shared, E) -> Outcome,
) -> Outcome {
    let app = Rc::clone(app);
    listen(target, name, move |event| heard(&app, event))
}

/// Opens the first of some files, and returns whether there is one.
fn open_file(app: &Shared, files: Option<FileList>) -> bool {
    let Some(file) = files.and_then(|files| files.get(0)) else { return false };
    let app = Rc::clone(app);
    spawn_local(async move { files::open(&app, file).await });
    true
}

fn target(event: &Event) -> Option<Element> {
    event.target()?.dyn_into().ok()
}

fn drops(app: &Shared) -> Outcome {
    for (name, over) in [("dragover", true), ("dragleave", false)] {
        listen(&document()?, name, move |event: DragEvent| {
            event.prevent_default();
            set(&by_id("stage")?, "class", if over { "over" } else { "" })
        })?;
    }
    on(app, &document()?, "drop", |app, event: DragEvent| {
        event.prevent_default();
        set(&by_id("stage")?, "class", "")?;
        if !open_file(app, event.data_transfer().and_then(|transfer| transfer.files())) {
            app.borrow_mut().state.alarm("expected a PNG or JPEG file, found something that is not a file");
            ask(app);
        }
        Ok(())
    })
}

fn clicked(app: &Shared, element: &Element) -> Outcome {
    if let Some(button) = element.closest("[data-do]")? {
        return act(app, &button.get_attribute("data-do").unwrap_or_default());
    }
    let mut borrowed = app.borrow_mut();
    if let Some(what) = borrowed.gallery.clicked(element) {
        borrowed.state.selected = Some(what);
        drop(borrowed);
        ask(app);
    }
    Ok(())
}

/// Carries out the action of a button or a key.
fn act(app: &Shared, what: &str) -> Outcome {
    match what {
        "open" => return by_id::<HtmlElement>("file").map(|input| input.click()),
        "again" => {
            notice::clear()?;
            spawn_local(open(Rc::clone(app)));
        }
        "lose" => {
            if let Some(screen) = &app.borrow().screen {
                screen.gpu.device.destroy();
            }
        }
        "run" => {
            let shared = Rc::clone(app);
            spawn_local(async move { dom::log(verify::run(&shared).await) });
        }
        _ => change(&mut app.borrow_mut(), what),
    }
    ask(app);
    Ok(())
}

fn change(app: &mut App, what: &str) {
    match what {
        "plane" => (app.state.view, app.verifying) = (View::Plane, false),
        "sampling" => (app.state.view, app.verifying) = (View::Sampling, false),
        "digits" => (app.state.view, app.verifying) = (View::Digits, false),
        "verify" => app.verifying = true,
        "save" => {
            let save = |what| (what, Errand::Save(app.state.file_name(what)));
            app.errands.extend(app.state.selected.map(save));
        }
        "take" => app.errands.extend(app.state.selected.map(|what| (what, Errand::Take))),
        "forget" => app.state.digits.forget(),
        "reset" => app.state.reset(),
        "another" => app.state.another_seed(),
        "play" => app.playback.toggle(&mut app.state),
        "end" => app.playback.go(&mut app.state, i64::MAX / 2),
        "home" => app.playback.go(&mut app.state, i64::MIN / 2),
        "dismiss" => app.state.message = None,
        _ => {}
    }
}

fn pressed(app: &Shared, event: &KeyboardEvent) -> Outcome {
    if event.ctrl_key() || event.meta_key() || event.alt_key() {
        return Ok(()); // the browser's own
    }
    let element = target(event);
    let key = event.key();
    // Letters are the same with Shift and Caps Lock; other keys have names.
    let key = if key.chars().count() == 1 { key.to_lowercase() } else { key };
    let figure = element.as_ref().is_some_and(|element| element.matches("figure[data-index]").unwrap_or(false));
    let views = matches!(key.as_str(), "1" | "2" | "3" | "4");
    if element.as_ref().is_some_and(|element| is_its_own(element, &key)) || (app.borrow().verifying && !views) {
        return Ok(());
    }
    let by = |by: i64| if event.shift_key() { FAR * by } else { by };
    let step = match key.as_str() {
        "ArrowRight" => by(1),
        "ArrowLeft" => by(-1),
        _ => 0,
    };
    if step != 0 {
        let mut app = app.borrow_mut();
        let App { state, playback, .. } = &mut *app;
        playback.go(state, step);
    } else {
        let what = match key.as_str() {
            "Enter" if figure => return element.map_or(Ok(()), |element| clicked(app, &element)),
            " " => "play",
            "Home" => "home",
            "End" => "end",
            "1" => "plane",
            "2" => "sampling",
            "3" => "digits",
            "4" => "verify",
            "n" => "another",
            "r" => "reset",
            "o" => "open",
            "s" => "save",
            _ => return Ok(()),
        };
        act(app, what)?;
    }
    event.prevent_default();
    ask(app);
    Ok(())
}

/// Returns whether a control that has the focus does something with this key by itself.
fn is_its_own(element: &Element, key: &str) -> bool {
    let moves = matches!(key, "ArrowRight" | "ArrowLeft" | "Home" | "End");
    let kind = element.dyn_ref::<HtmlInputElement>().map(HtmlInputElement::type_);
    match kind.as_deref() {
        Some("range") => moves,
        Some("checkbox") => key == " ",
        Some(_) => true,
        None if element.dyn_ref::<HtmlButtonElement>().is_some() => key == " ",
        None => element.dyn_ref::<HtmlSelectElement>().is_some(),
    }
}
