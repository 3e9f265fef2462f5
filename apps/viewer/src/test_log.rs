//! Writes a file for tests with all that a screen reader would see, and the state behind it.

use eframe::egui::{self, FullOutput, Plugin};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// State that the window adds to each record.
pub type Account = Arc<Mutex<Value>>;

/// Writes a record after each frame, which replaces the one before.
#[derive(Debug)]
pub struct TestLog {
    path: PathBuf,
    account: Account,
    frames: u64,
}

impl TestLog {
    /// Writes into this file.
    #[must_use]
    pub fn new(path: PathBuf, account: Account) -> Self {
        Self { path, account, frames: 0 }
    }
}

impl Plugin for TestLog {
    fn debug_name(&self) -> &'static str {
        "trace"
    }

    fn setup(&mut self, ctx: &egui::Context) {
        ctx.enable_accesskit();
    }

    fn output_hook(&mut self, _: &egui::Context, output: &mut FullOutput) {
        let Some(tree) = output.platform_output.accesskit_update.take() else { return };
        let nodes = tree.nodes.iter().filter_map(|(_, node)| {
            let bounds = node.bounds()?;
            let text = node.label().or_else(|| node.value())?;
            Some(json!({
                "role": format!("{:?}", node.role()),
                "text": text,
                "value": node.value(),
                "number": node.numeric_value(),
                "rect": [bounds.x0, bounds.y0, bounds.x1, bounds.y1],
            }))
        });
        self.frames += 1;
        let account = self.account.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let whole = json!({ "frame": self.frames, "state": account, "nodes": nodes.collect::<Vec<_>>() });
        // Written to another file and renamed, so that a reader never sees half of it. If that fails, the test finds no record.
        let beside = self.path.with_extension("part");
        let _ = std::fs::write(&beside, whole.to_string()).and_then(|()| std::fs::rename(&beside, &self.path));
    }
}
