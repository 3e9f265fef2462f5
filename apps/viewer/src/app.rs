//! The window's content: panels, keys, time. It depends on no window and no device, so it is tested without either.

use crate::brush::Brush;
use crate::controls::{self, Action};
use crate::course::Course;
use crate::dialog::{Choice, Dialog};
use crate::digits::Pace;
use crate::gallery::{ALARM, DIM};
use crate::playback::Playback;
use crate::renderer::{ImageId, Status};
use crate::state::{State, View};
use crate::{digits_view, plane_view, sampling_view};
use eframe::egui::{self, CentralPanel, Frame, Key, Margin, Modifiers, Panel, RichText, Ui};
use std::path::PathBuf;
use std::sync::Arc;
use tweedie::Schedule;

/// A command for the device's side of the viewer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Save this picture to this path.
    Save(ImageId, PathBuf),
    /// Read back this digit, to erase from it.
    Take(ImageId),
    /// Destroy the device, to see that the window survives it.
    LoseDevice,
}

/// The content of the window.
#[derive(Debug)]
pub struct Viewer {
    /// Choices of the user.
    pub state: State,
    /// Status of the device's side.
    pub status: Status,
    /// Description of the adapter.
    pub adapter: String,
    /// Position in time.
    pub playback: Playback,
    /// The number of calls of the digits' network that a frame may record.
    pub pace: Pace,
    brush: Brush,
    dialog: Option<Dialog>,
    commands: Vec<Command>,
}

/// The action of a key.
type Act = fn(&mut Viewer);

/// Actions of single keys, except the arrow keys, which move by steps.
const KEYS: [(Key, Act); 10] = [
    (Key::Home, |viewer| viewer.playback.go(&mut viewer.state, i64::MIN / 2)),
    (Key::End, |viewer| viewer.playback.go(&mut viewer.state, i64::MAX / 2)),
    (Key::Space, |viewer| viewer.playback.toggle(&mut viewer.state)),
    (Key::Num1, |viewer| viewer.state.view = View::Plane),
    (Key::Num2, |viewer| viewer.state.view = View::Sampling),
    (Key::Num3, |viewer| viewer.state.view = View::Digits),
    (Key::N, |viewer| viewer.state.another_seed()),
    (Key::R, |viewer| viewer.state.reset()),
    (Key::O, Viewer::open_dialog),
    (Key::S, Viewer::save_dialog),
];

impl Viewer {
    /// Creates the content with these choices.
    #[must_use]
    pub fn new(state: State) -> Self {
        Self {
            state,
            status: Status::default(),
            adapter: "no device".to_owned(),
            playback: Playback::default(),
            pace: Pace::default(),
            brush: Brush::default(),
            dialog: None,
            commands: Vec::new(),
        }
    }

    /// Lays out a frame, and acts on its input.
    pub fn ui(&mut self, ui: &mut Ui) {
        self.dropped(ui);
        self.keys(ui);
        self.play(ui);
        let mut action = None;
        // No panel is filled: the window is cleared to their colour, which costs a software driver nothing.
        let bare = |margin: Margin| Frame::NONE.inner_margin(margin);
        Panel::bottom("status").frame(bare(Margin::symmetric(8, 2))).show(ui, |ui| self.status(ui));
        Panel::left("controls").frame(bare(Margin::symmetric(8, 2))).resizable(false).exact_size(270.0).show(
            ui,
            |ui| {
                egui::ScrollArea::vertical().show(ui, |ui| {
                    ui.add_space(6.0);
                    self.views(ui);
                    action = controls::show(ui, self);
                });
            },
        );
        CentralPanel::default().frame(bare(Margin::same(12))).show(ui, |ui| self.content(ui));
        match action {
            Some(Action::Open) => self.open_dialog(),
            Some(Action::Save) => self.save_dialog(),
            Some(Action::Take) => self.commands.extend(self.state.selected.map(Command::Take)),
            None => {}
        }
        self.dialog(ui);
    }

    /// Takes the commands for the device's side.
    pub fn commands(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.commands)
    }

    /// Puts a command back that cannot be carried out yet.
    pub fn postpone(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// Returns whether commands are waiting.
    #[must_use]
    pub fn has_commands(&self) -> bool {
        !self.commands.is_empty()
    }

    fn views(&mut self, ui: &mut Ui) {
        ui.horizontal(|ui| {
            let view = &mut self.state.view;
            ui.selectable_value(view, View::Plane, "Plane")
                .on_hover_text("A picture, its training targets, and what is recovered from predictions (1).");
            ui.selectable_value(view, View::Sampling, "Sampling")
                .on_hover_text("From noise to pictures, step by step (2).");
            ui.selectable_value(view, View::Digits, "Digits")
                .on_hover_text("Digits by a trained network, whole or only where a part was erased (3).");
        });
        ui.separator();
    }

    fn content(&mut self, ui: &mut Ui) {
        if let Some(message) = self.state.message.clone() {
            let colour = if message.alarming { ALARM } else { DIM };
            ui.horizontal(|ui| {
                if ui.button("Dismiss").clicked() {
                    self.state.message = None;
                }
                ui.label(RichText::new(message.text).color(colour));
            });
            ui.add_space(4.0);
        }
        let Some(schedule) = self.schedule() else { return };
        let course = match self.state.view {
            View::Plane => None,
            View::Sampling | View::Digits => match self.course() {
                Ok(course) => Some(course),
                Err(why) => {
                    ui.label(RichText::new(format!("This sampler cannot be used here: {why}")).color(ALARM));
                    return;
                }
            },
        };
        if let Some(course) = &course {
            self.state.follow_selection(course.calls().len(), self.status.written);
        }
        let clicked = match (self.state.view, &course) {
            (View::Sampling, Some(course)) => sampling_view::show(ui, &self.state, &schedule, course, &self.status),
            (View::Digits, Some(course)) => self.digits(ui, &schedule, course),
            _ => plane_view::show(ui, &self.state, &schedule, &self.status),
        };
        if self.state.view != View::Digits {
            self.brush = Brush::default();
        }
        self.state.selected = clicked.or(self.state.selected);
        if let Some(trouble) = &self.status.trouble {
            ui.label(RichText::new(trouble).color(ALARM));
        }
    }

    fn digits(&mut self, ui: &mut Ui, schedule: &Schedule, course: &Course) -> Option<ImageId> {
        let most = self.pace.calls();
        let shown = digits_view::show(ui, &self.state, schedule, course, &self.status, most, &mut self.brush);
        for stroke in shown.strokes {
            if self.state.digits.erase(stroke) {
                self.commands.push(Command::Take(shown.from));
            }
        }
        shown.clicked
    }

    /// Returns the schedule of the view.
    pub fn schedule(&mut self) -> Option<Arc<Schedule>> {
        self.playback.schedule(&mut self.state)
    }

    /// Returns the loop of the view.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub fn course(&mut self) -> Result<Arc<Course>, String> {
        self.playback.course(&self.state)
    }

    fn status(&mut self, ui: &mut Ui) {
        ui.horizontal(|ui| {
            ui.menu_button(RichText::new(&self.adapter).color(DIM), |ui| {
                let lose = ui.button("Lose this device");
                if lose.on_hover_text("Destroy the device, to see that the window survives it.").clicked() {
                    self.commands.push(Command::LoseDevice);
                }
            });
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                ui.label(RichText::new(self.playback.status_line(self.status.dispatches)).color(DIM)).on_hover_text(
                    "Compute dispatches since the window opened: none in a frame in which nothing has changed.",
                );
                ui.label(RichText::new(&self.state.name).color(DIM));
            });
        });
    }

    fn keys(&mut self, ui: &Ui) {
        if self.dialog.is_some() || ui.ctx().egui_wants_keyboard_input() {
            return;
        }
        let count = |modifiers, key| ui.input_mut(|input| input.count_and_consume_key(modifiers, key)) as i64;
        let pressed = |key| count(Modifiers::NONE, key) > 0;
        for (key, by) in [(Key::ArrowRight, 1), (Key::ArrowLeft, -1)] {
            // Shift first: a plain key is consumed whatever else is held.
            let far = 25 * count(Modifiers::SHIFT, key);
            let by = by * (far + count(Modifiers::NONE, key));
            if by != 0 {
                self.playback.go(&mut self.state, by);
            }
        }
        for (key, act) in KEYS {
            if pressed(key) {
                act(self);
            }
        }
    }

    /// Moves time on while it plays: the timestep back and forth, the calls to their end.
    fn play(&mut self, ui: &Ui) {
        let playing = self.state.playing;
        let seconds = f64::from(ui.input(|input| input.unstable_dt));
        self.pace.frame(seconds, self.status.written);
        self.playback.frame(playing, &mut self.state, seconds);
        if playing {
            ui.ctx().request_repaint();
        }
    }

    fn dropped(&mut self, ui: &Ui) {
        let path = ui.input(|input| input.raw.dropped_files.first().map(|file| file.path().to_owned()));
        if let Some(path) = path {
            self.dialog = None;
            self.state.open(&path);
        }
    }

    fn open_dialog(&mut self) {
        self.dialog = Some(Dialog::open(self.state.path.as_deref()));
    }

    fn save_dialog(&mut self) {
        let Some(what) = self.state.selected else { return };
        self.dialog = Some(Dialog::save(self.state.path.as_deref(), &self.state.file_name(what)));
    }

    fn dialog(&mut self, ui: &Ui) {
        let Some(dialog) = &mut self.dialog else { return };
        match dialog.show(ui) {
            Choice::None => return,
            Choice::Cancelled => {}
            Choice::Open(path) => self.state.open(&path),
            Choice::Save(path) => self.commands.extend(self.state.selected.map(|what| Command::Save(what, path))),
        }
        self.dialog = None;
    }
}
