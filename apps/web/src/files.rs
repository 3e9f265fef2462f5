//! Pictures that the user opens, and those that the user saves.

use crate::app::{Shared, ask};
use crate::dom::{Outcome, document};
use files::{Picture, picture};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, BlobPropertyBag, File, HtmlAnchorElement, Url};

/// The largest file that is read, in bytes. Photographs have a tenth of that.
const MOST_BYTES: f64 = 256.0 * 1024.0 * 1024.0;

/// Opens a file, which takes a while. If that fails the old picture stays, and the message says why.
pub async fn open(app: &Shared, file: File) {
    let name = file.name();
    let read = async {
        if file.size() > MOST_BYTES {
            return Err(format!("expected a file of at most {MOST_BYTES} bytes, found {}", file.size()));
        }
        let buffer = JsFuture::from(file.array_buffer()).await;
        buffer.map(|buffer| js_sys::Uint8Array::new(&buffer).to_vec()).map_err(|_| "cannot be read".to_owned())
    };
    match read.await {
        Ok(bytes) => app.borrow_mut().state.open_bytes(&name, &bytes),
        Err(why) => app.borrow_mut().state.alarm(format!("{name}: {why}")),
    }
    ask(app);
}

/// Hands a picture to the browser as a PNG to be saved.
pub fn save(picture: &Picture, name: &str) -> Result<(), String> {
    let bytes = picture::png(&picture.to_rgb()).map_err(|error| format!("{error:#}"))?;
    hand_over(&bytes, name).map_err(|error| format!("The browser could not save the picture: {error:?}"))
}

fn hand_over(bytes: &[u8], name: &str) -> Outcome {
    let options = BlobPropertyBag::new();
    options.set_type("image/png");
    let parts = js_sys::Array::of1(&js_sys::Uint8Array::from(bytes));
    let url = Url::create_object_url_with_blob(&Blob::new_with_u8_array_sequence_and_options(&parts, &options)?)?;
    let link: HtmlAnchorElement = document()?.create_element("a")?.unchecked_into();
    link.set_href(&url);
    link.set_download(name);
    link.click();
    Url::revoke_object_url(&url)
}
