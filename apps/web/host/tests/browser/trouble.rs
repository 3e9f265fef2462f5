//! Tests of failures: broken files, a device that is lost, a browser without WebGPU.

use crate::chromium::{Chromium, Outcome};
use crate::page::{PATIENCE, Page, Test, ensure};

pub const TESTS: &[(&str, Test)] = &[
    ("trouble::a_broken_file_is_told_and_changes_nothing", a_broken_file_is_told_and_changes_nothing),
    ("trouble::a_lost_device_is_told_and_replaced", a_lost_device_is_told_and_replaced),
    ("trouble::without_webgpu_the_page_says_so", without_webgpu_the_page_says_so),
];

fn a_broken_file_is_told_and_changes_nothing(address: &str) -> Outcome {
    let mut page = Page::open(address)?;
    let before = page.numbers("x0")?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    for (name, bytes) in
        [("broken.png", &b"\x89PNG\r\n\x1a\nand nothing more"[..]), ("letter.txt", b"Dear reader"), ("empty.jpg", b"")]
    {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).map_err(|error| error.to_string())?;
        page.tab.drop_file("#stage", &path)?;
        page.tab.until(
            &format!("tweedie.account().message?.startsWith('{name}: expected a PNG or JPEG') === true"),
            PATIENCE,
        )?;
        page.tab.until("!document.getElementById('message').hidden", PATIENCE)?;
        page.tab.click("#message button", 0.5)?;
        page.tab.until("document.getElementById('message').hidden", PATIENCE)?;
    }
    ensure(page.numbers("x0")? == before, || "another picture than before".into())
}

fn a_lost_device_is_told_and_replaced(address: &str) -> Outcome {
    let mut page = Page::open(address)?;
    page.tab.click("#timestep", 0.7)?;
    let account = page.account()?;
    let before = page.numbers("x_t")?;
    page.tab.click("[data-do=lose]", 0.5)?;
    page.tab.until("!document.getElementById('notice').hidden", PATIENCE)?;
    let title = page.tab.evaluate("document.getElementById('notice-title').textContent")?;
    ensure(title == "The GPU device was lost", || format!("the notice says {title}"))?;
    page.keep("web-lost.png")?;
    page.tab.click("#again", 0.5)?;
    page.tab.until("document.getElementById('notice').hidden && tweedie.account().adapter !== null", PATIENCE)?;
    let after = page.account()?;
    ensure(after["timestep"] == account["timestep"], || "the choices are gone".into())?;
    ensure(page.numbers("x_t")? == before, || "another x_t than before".into())
}

fn without_webgpu_the_page_says_so(address: &str) -> Outcome {
    let mut page = Page::open_in(Chromium::start(&["--disable-features=WebGPU,WebGPUService"])?, "about:blank")?;
    // As in a browser without it, whatever the flags mean in this version.
    let hide =
        serde_json::json!({ "source": "Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined })" });
    page.tab.call("Page.addScriptToEvaluateOnNewDocument", hide)?;
    page.tab.call("Page.navigate", serde_json::json!({ "url": address }))?;
    page.tab.until("document.getElementById('notice-title')?.textContent === 'No WebGPU'", PATIENCE)?;
    page.tab.until("!document.getElementById('notice').hidden && document.getElementById('again').hidden", PATIENCE)
}
