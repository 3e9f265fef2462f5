//! Choosing a file: a path to type, and the pictures and folders around it to click.

use eframe::egui::{Id, Key, Modal, ScrollArea, TextEdit, Ui};
use std::path::{Path, PathBuf};

/// What the user chose in a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Nothing yet.
    None,
    /// The dialog was closed without a choice.
    Cancelled,
    /// Open this.
    Open(PathBuf),
    /// Save here.
    Save(PathBuf),
}

/// The dialog while it is open.
#[derive(Debug)]
pub struct Dialog {
    saves: bool,
    path: String,
    folder: PathBuf,
    entries: Vec<Entry>,
    fresh: bool,
}

#[derive(Debug)]
struct Entry {
    name: String,
    path: PathBuf,
    is_folder: bool,
}

/// The most entries of a folder that are listed; the path of any other has to be typed.
const MOST_ENTRIES: usize = 2000;

impl Dialog {
    /// A dialog that opens a picture, beginning in the folder of this one.
    #[must_use]
    pub fn open(near: Option<&Path>) -> Self {
        let folder = folder_of(near);
        Self { saves: false, path: String::new(), entries: list(&folder), folder, fresh: true }
    }

    /// A dialog that saves a picture under this name, beginning in the folder of this one.
    #[must_use]
    pub fn save(near: Option<&Path>, name: &str) -> Self {
        let folder = folder_of(near);
        let path = folder.join(name).display().to_string();
        Self { saves: true, path, entries: list(&folder), folder, fresh: true }
    }

    /// Shows the dialog for a frame.
    pub fn show(&mut self, ui: &Ui) -> Choice {
        let mut choice = Choice::None;
        let modal = Modal::new(Id::unique("files")).show(ui.ctx(), |ui| {
            ui.set_width(460.0);
            ui.heading(if self.saves { "Save the picture as" } else { "Open a picture" });
            let field = ui.add(TextEdit::singleline(&mut self.path).hint_text("a path").desired_width(f32::INFINITY));
            if std::mem::take(&mut self.fresh) {
                field.request_focus();
            }
            let entered = field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
            ui.label(self.folder.display().to_string());
            ScrollArea::vertical().max_height(260.0).auto_shrink([false, true]).show(ui, |ui| {
                if let Some(clicked) = self.entries(ui) {
                    choice = self.follow(clicked);
                }
            });
            ui.separator();
            ui.horizontal(|ui| {
                let able = !self.path.trim().is_empty();
                let word = if self.saves { "Save" } else { "Open" };
                let button = ui.add_enabled(able, eframe::egui::Button::new(word));
                if able && (button.clicked() || entered) {
                    choice = self.follow(self.folder.join(self.path.trim()));
                }
                if ui.button("Cancel").clicked() {
                    choice = Choice::Cancelled;
                }
            });
        });
        if modal.should_close() && choice == Choice::None { Choice::Cancelled } else { choice }
    }

    fn entries(&self, ui: &mut Ui) -> Option<PathBuf> {
        let up = self.folder.parent().filter(|_| ui.selectable_label(false, "..").clicked()).map(Path::to_owned);
        let mut clicked = up;
        for entry in &self.entries {
            let name = if entry.is_folder { format!("{}/", entry.name) } else { entry.name.clone() };
            if ui.selectable_label(false, name).clicked() {
                clicked = Some(entry.path.clone());
            }
        }
        clicked
    }

    /// Enters a folder, or chooses a file.
    fn follow(&mut self, path: PathBuf) -> Choice {
        if !path.is_dir() {
            return if self.saves { Choice::Save(path) } else { Choice::Open(path) };
        }
        self.entries = list(&path);
        if self.saves {
            let name = Path::new(&self.path).file_name().map(|name| path.join(name));
            self.path = name.unwrap_or_else(|| path.clone()).display().to_string();
        } else {
            self.path.clear();
        }
        self.folder = path;
        Choice::None
    }
}

fn folder_of(near: Option<&Path>) -> PathBuf {
    let folder = near.and_then(Path::parent).filter(|folder| folder.is_dir()).map(Path::to_owned);
    folder.or_else(|| std::env::current_dir().ok()).unwrap_or_else(|| PathBuf::from("."))
}

/// Lists folders, then pictures, each sorted by name. A folder that cannot be read gives an empty list.
fn list(folder: &Path) -> Vec<Entry> {
    let entry = |entry: std::fs::DirEntry| {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let is_folder = path.is_dir();
        let shown = !name.starts_with('.') && (is_folder || is_picture(&path));
        shown.then_some(Entry { name, path, is_folder })
    };
    let found = std::fs::read_dir(folder).into_iter().flatten().flatten().take(MOST_ENTRIES);
    let mut entries: Vec<Entry> = found.filter_map(entry).collect();
    entries.sort_by_key(|entry| (!entry.is_folder, entry.name.to_lowercase()));
    entries
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    matches!(extension.as_deref(), Some("png" | "jpg" | "jpeg"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_first_and_other_files_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.png", "A.JPG", "c.txt", ".hidden.png"] {
            std::fs::write(folder.path().join(name), b"").unwrap();
        }
        std::fs::create_dir(folder.path().join("z")).unwrap();
        let names: Vec<String> = list(folder.path()).into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["z", "A.JPG", "b.png"]);
        assert!(list(Path::new("no/such/folder")).is_empty());
    }

    #[test]
    fn a_folder_is_entered_and_the_name_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut dialog = Dialog::save(None, "x_t.png");
        assert_eq!(dialog.follow(folder.path().to_owned()), Choice::None);
        assert_eq!(Path::new(&dialog.path), folder.path().join("x_t.png"));
        let file = folder.path().join("y.png");
        assert_eq!(dialog.follow(file.clone()), Choice::Save(file));
    }
}
