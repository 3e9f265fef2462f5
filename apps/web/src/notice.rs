//! The notice that is shown instead of pictures when there can be none.

use crate::dom::{Outcome, by_id, show, write};
use web_sys::Element;

fn put(title: &str, text: &str, again: bool) -> Outcome {
    write(&by_id::<Element>("notice-title")?, title);
    write(&by_id::<Element>("notice-text")?, text);
    show("again", again)?;
    show("notice", true)
}

/// Says that the browser has no WebGPU.
pub fn no_webgpu() -> Outcome {
    let text = "This page computes on the GPU through WebGPU, which this browser does not offer here. Current versions of \
                Chrome, Edge, Firefox and Safari do, on pages that come from https or from this machine; on some systems \
                it has to be switched on. The command line tool shows the same without a browser: cargo demo";
    put("No WebGPU", text, false)
}

/// Says that the browser has WebGPU, but gives no device.
pub fn no_device(why: &str) -> Outcome {
    put("No GPU device", &format!("The browser offers WebGPU, but gave no device: {why}"), true)
}

/// Says that the device is lost.
pub fn lost(why: &str) -> Outcome {
    put("The GPU device was lost", &format!("{why} Your choices are kept."), true)
}

/// Says that the program has panicked.
pub fn failed(why: &str) -> Outcome {
    put("The page has failed", &format!("{why} Please reload it."), false)
}

/// Takes the notice away.
pub fn clear() -> Outcome {
    show("notice", false)
}
