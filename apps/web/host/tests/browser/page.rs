//! The page as the tests use it.

use crate::chromium::{Chromium, Outcome, Tab, unpack};
use image::RgbImage;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// A test is given the address of the page.
pub type Test = fn(&str) -> Outcome;

/// Time limit for the first picture: a device, its pipelines and a frame, all in software.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The page once it is quiet: no frame is to come, and nothing is on its way to the host.
pub const QUIET: &str =
    "(() => { const a = tweedie.account(); return a.frames > 0 && !a.busy && a.errors.length > 0; })()";

/// A browser with the page open in it.
pub struct Page {
    /// The page.
    pub tab: Tab,
    /// The browser, which ends with the page.
    _chromium: Chromium,
}

impl Page {
    /// Gives a control the focus, once it is there: a view shows its controls with its first frame.
    pub fn focus(&mut self, id: &str) -> Outcome {
        let focused = format!(
            "(() => {{ const it = document.getElementById({id:?}); it.focus(); return document.activeElement === it; }})()"
        );
        self.tab.until(&focused, PATIENCE)
    }

    /// Chooses the next entry of a menu with the keyboard: its list is a window of the browser's own.
    pub fn choose_next(&mut self, id: &str) -> Outcome {
        self.focus(id)?;
        let chosen = format!("document.getElementById({id:?}).selectedIndex");
        let before = self.tab.evaluate(&chosen)?;
        self.tab.key("ArrowDown")?;
        self.tab.until(&format!("{chosen} !== {before}"), PATIENCE)
    }

    /// Opens the page and waits for its first frame.
    pub fn open(address: &str) -> Outcome<Self> {
        let mut page = Self::open_in(Chromium::start(&[])?, address)?;
        page.tab.until(QUIET, PATIENCE)?;
        Ok(page)
    }

    /// Opens the page in a browser that may not be able to show it.
    pub fn open_in(chromium: Chromium, address: &str) -> Outcome<Self> {
        Ok(Self { tab: chromium.open(address)?, _chromium: chromium })
    }

    /// Reads the state of the page, once it is quiet.
    pub fn account(&mut self) -> Outcome<Value> {
        self.tab.until(QUIET, PATIENCE)?;
        self.tab.evaluate("tweedie.account()")
    }

    /// The numbers of a picture as they are on the device.
    pub fn numbers(&mut self, name: &str) -> Outcome<Vec<f32>> {
        // As base64: numbers one by one would take seconds, and JSON has no NaN.
        let script = format!(
            "tweedie.numbers({name:?}).then(n => {{ let text = ''; const bytes = new Uint8Array(n.buffer, n.byteOffset, \
             n.byteLength); for (let i = 0; i < bytes.length; i += 4096) \
             text += String.fromCharCode(...bytes.subarray(i, i + 4096)); return btoa(text); }})"
        );
        let text = self.tab.evaluate(&script)?;
        let bytes = unpack(text.as_str().ok_or("expected numbers")?)?;
        Ok(bytes.chunks_exact(4).map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect())
    }

    /// Takes a picture of a figure on the screen.
    pub fn shown(&mut self, figure: usize) -> Outcome<RgbImage> {
        let [left, top, width, height] = self.tab.place(&format!("figure[data-index='{figure}'] .frame"))?;
        let bytes = self.tab.screenshot()?;
        let image = image::load_from_memory(&bytes).map_err(|error| error.to_string())?;
        let [[x, right], [y, bottom]] = [[left, left + width], [top, top + height]].map(|ends| ends.map(f64::round));
        Ok(image.crop_imm(x as u32, y as u32, (right - x) as u32, (bottom - y) as u32).into_rgb8())
    }

    /// Saves a screenshot in the folder that `TWEEDIE_SHOTS` names, if it is set.
    pub fn keep(&mut self, name: &str) -> Outcome {
        let Some(folder) = std::env::var_os("TWEEDIE_SHOTS").map(PathBuf::from) else { return Ok(()) };
        let bytes = self.tab.screenshot()?;
        std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(folder.join(name), bytes))
            .map_err(|e| e.to_string())
    }
}

/// Fails with this text unless it holds.
pub fn ensure(holds: bool, text: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(text()) }
}
