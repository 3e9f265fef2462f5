//! The weights of the digits' networks: files in the page's folder, each fetched when it is first asked for.

use crate::dom::window;
use digits::{DigitsError, PREDICTIONS, Weights};
use std::cell::RefCell;
use std::collections::HashMap;
use tweedie::Quantity;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::Response;

/// A file that was asked for: `None` while it is on its way, then its bytes or the reason why there are none.
type File = Option<Result<Vec<u8>, String>>;

thread_local! {
    static FILES: RefCell<HashMap<&'static str, File>> = RefCell::new(HashMap::new());
}

/// Returns the weights for a prediction, once they have arrived.
pub fn source(prediction: Quantity) -> Option<Result<Weights, DigitsError>> {
    let known = PREDICTIONS.into_iter().find(|known| *known == prediction);
    let Some(name) = known.map(Quantity::name) else {
        return Some(Err(DigitsError::Untrained { found: prediction }));
    };
    let is_new = FILES.with_borrow_mut(|files| {
        let is_new = !files.contains_key(name);
        files.entry(name).or_default();
        is_new
    });
    if is_new {
        spawn_local(async move {
            let file = fetch(&format!("{name}.safetensors")).await;
            FILES.with_borrow_mut(|files| files.insert(name, Some(file)));
        });
    }
    FILES.with_borrow(|files| match files.get(name)? {
        None => None,
        Some(Ok(bytes)) => Some(Weights::read(bytes)),
        Some(Err(reason)) => Some(Err(DigitsError::File { reason: reason.clone() })),
    })
}

async fn fetch(name: &str) -> Result<Vec<u8>, String> {
    let failed = |error: JsValue| format!("{name}: {}", String::from(js_sys::Error::from(error).message()));
    let request = window().map_err(failed)?.fetch_with_str(name);
    let response: Response = JsFuture::from(request).await.map_err(failed)?.unchecked_into();
    if !response.ok() {
        return Err(format!("{name}: the server answers {}", response.status()));
    }
    let bytes = JsFuture::from(response.array_buffer().map_err(failed)?).await.map_err(failed)?;
    Ok(js_sys::Uint8Array::new(&bytes).to_vec())
}
