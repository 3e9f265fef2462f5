//! Builds the page: the program for WebAssembly, the bindings between it and the browser, and the other files.

use anyhow::{Context as _, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use wasm_bindgen_cli_support::Bindgen;

const TARGET: &str = "wasm32-unknown-unknown";

/// The files of the page that are copied as they are.
const FILES: [&str; 3] = ["index.html", "start.js", "style.css"];

/// The weights of the digits, which the page fetches when it shows that view.
const WEIGHTS: [&str; 3] = ["v.safetensors", "x0.safetensors", "epsilon.safetensors"];

/// The root of the project.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// Folder of the built page.
#[must_use]
pub fn folder() -> PathBuf {
    root().join("target/web")
}

/// Builds the page into [`folder`], and returns the size of the program in bytes.
///
/// # Errors
/// If the target for WebAssembly is missing and cannot be installed, the program does not compile, or a file cannot be written.
pub fn build() -> Result<u64> {
    let (root, folder) = (root(), folder());
    let objects = root.join("target");
    ensure_target()?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(&root).args(["build", "--profile", "page", "--package", "tweedie-web"]);
    cargo.args(["--target", TARGET, "--target-dir"]).arg(&objects);
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(status.success(), "the page does not compile");

    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let program = objects.join(TARGET).join("page/tweedie_web.wasm");
    let mut bindings = Bindgen::new();
    bindings.input_path(&program).web(true)?.omit_default_module_path(false).typescript(false);
    bindings.generate(&folder)?;
    let files = FILES.map(|file| ("apps/web/page", file)).into_iter();
    for (beside, file) in files.chain(WEIGHTS.map(|file| ("apps/digits/weights", file))) {
        let from = root.join(beside).join(file);
        fs::copy(&from, folder.join(file)).with_context(|| from.display().to_string())?;
    }
    let program = folder.join("tweedie_web_bg.wasm");
    Ok(fs::metadata(&program).with_context(|| program.display().to_string())?.len())
}

/// Makes sure that there is a standard library for the target; installs it through rustup if there is none.
fn ensure_target() -> Result<()> {
    let added = || Command::new("rustup").args(["target", "add", TARGET]).status().is_ok_and(|status| status.success());
    if has_target() || (added() && has_target()) {
        return Ok(());
    }
    bail!("this Rust has no standard library for {TARGET}; with rustup, `rustup target add {TARGET}` installs it");
}

fn has_target() -> bool {
    let printed = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
    let library = printed.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    library.is_some_and(|library| Path::new(library.trim()).is_dir())
}
