//! A running viewer on a screen: its own record, and its mouse and keys.

use crate::screen::{PATIENCE, Screen};
use image::RgbImage;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A rectangle of the screen: left, top, right, bottom.
pub type Placement = [u32; 4];

/// A place where the mouse touches nothing.
const AWAY: [u32; 2] = [2, 2];

/// The command that starts the viewer on a screen.
pub fn program(screen: &Screen) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tweedie-viewer"));
    command.env("DISPLAY", screen.display()).env("WINIT_X11_SCALE_FACTOR", "1").env_remove("WAYLAND_DISPLAY");
    command
}

/// A viewer, its window and its folder.
pub struct WindowDriver<'a> {
    pub screen: &'a Screen,
    pub folder: TempDir,
    viewer: Option<Child>,
    trace: PathBuf,
    nudges: u32,
}

impl<'a> WindowDriver<'a> {
    /// Starts a viewer and waits until everything is there.
    pub fn open(screen: &'a Screen, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let trace = folder.path().join("trace.json");
        let log = std::fs::File::create(folder.path().join("log")).expect("a log");
        let viewer = program(screen)
            .args(arguments)
            .arg("--trace")
            .arg(&trace)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the viewer");
        let mut driver = Self { screen, folder, viewer: Some(viewer), trace, nudges: 0 };
        driver.focus();
        driver.wait("the first pictures", |now| {
            now["state"]["dispatches"].as_u64() > Some(0) && now["state"]["pending"] == false
        });
        driver
    }

    /// Gives the window the keyboard focus, as a window manager would.
    pub fn focus(&self) {
        let window = self.screen.window("tweedie").to_string();
        self.screen.input(&["windowfocus", &window]);
    }

    /// Reads the record of the window.
    pub fn now(&mut self) -> Value {
        if let Some(status) = self.viewer.as_mut().and_then(|viewer| viewer.try_wait().expect("the viewer")) {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            panic!("the viewer has ended with {status}: {log}");
        }
        let text = std::fs::read_to_string(&self.trace).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Waits until its record fulfils a condition, and returns the record.
    pub fn wait(&mut self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let now = self.now();
            if is_so(&now) {
                return now;
            }
            assert!(begun.elapsed() < PATIENCE, "still waiting for {what}: {}", now["state"]);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until a part of its state has this value.
    pub fn wait_for(&mut self, key: &str, value: impl Into<Value>) {
        let value = value.into();
        self.wait(&format!("{key} = {value}"), |now| now["state"][key] == value);
    }

    /// Waits for a message with these words.
    pub fn wait_for_message(&mut self, words: &str) {
        self.wait(words, |now| now["state"]["message"].as_str().is_some_and(|text| text.contains(words)));
    }

    /// Waits until nothing happens any more: until two frames in a row have the same record.
    pub fn settle(&mut self) -> Value {
        let mut before = self.nudge();
        loop {
            let after = self.nudge();
            let same = ["dispatches", "done", "message"].iter().all(|key| after["state"][key] == before["state"][key]);
            if same && after["state"]["pending"] == false {
                return after;
            }
            before = after;
        }
    }

    /// Moves the mouse a little where it touches nothing, and waits for the frame that this causes. Its record has the effects
    /// of all frames before it.
    fn nudge(&mut self) -> Value {
        let frame = self.now()["frame"].as_u64();
        self.nudges += 1;
        self.point([AWAY[0] + self.nudges % 2, AWAY[1]]);
        self.wait("a frame", |now| now["frame"].as_u64() != frame)
    }

    /// Waits for an element whose text begins so, and returns its place.
    pub fn place(&mut self, text: &str) -> Placement {
        let find = |now: &Value| {
            let node = now["nodes"].as_array()?.iter().find(|node| is_called(node, text))?;
            let side = |i: usize| node["rect"][i].as_f64().map(|at| at.round() as u32);
            Some([side(0)?, side(1)?, side(2)?, side(3)?])
        };
        let now = self.wait(&format!("`{text}`"), |now| find(now).is_some());
        find(&now).expect("it was there")
    }

    /// Returns whether an element has a text that begins so.
    pub fn shows(&mut self, text: &str) -> bool {
        self.now()["nodes"].as_array().is_some_and(|nodes| nodes.iter().any(|node| is_called(node, text)))
    }

    /// Sends an event of the mouse, and waits for the frame that it causes: a slow window would see several events as one.
    fn mouse(&mut self, arguments: &[&str]) {
        const ENOUGH: Duration = Duration::from_secs(2); // a mouse that was there already causes no frame
        let frame = self.now()["frame"].as_u64();
        self.screen.input(arguments);
        let begun = Instant::now();
        while self.now()["frame"].as_u64() == frame && begun.elapsed() < ENOUGH {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn point(&mut self, [x, y]: [u32; 2]) {
        self.mouse(&["mousemove", &x.to_string(), &y.to_string()]);
    }

    /// Clicks the middle of the element whose text begins so.
    pub fn click(&mut self, text: &str) {
        let [left, top, right, bottom] = self.place(text);
        self.point([(left + right) / 2, (top + bottom) / 2]);
        self.mouse(&["mousedown", "1"]);
        self.mouse(&["mouseup", "1"]);
    }

    /// Drags a slider's handle from one part of it to another, through some places between.
    pub fn drag(&mut self, text: &str, [from, to]: [f32; 2]) {
        const PLACES: u32 = 5;
        let [left, top, right, bottom] = self.place(text);
        let at = |part: f32| [left + ((right - left) as f32 * part) as u32, (top + bottom) / 2];
        self.point(at(from));
        self.mouse(&["mousedown", "1"]);
        (1..=PLACES).for_each(|i| self.point(at(from + (to - from) * i as f32 / PLACES as f32)));
        self.mouse(&["mouseup", "1"]);
    }

    /// Presses a key.
    pub fn key(&self, key: &str) {
        self.screen.input(&["key", key]);
    }

    /// Types a text.
    pub fn write(&self, text: &str) {
        self.screen.input(&["type", "--delay", "20", text]);
    }

    /// Takes a picture of a place, without its frame.
    pub fn look(&self, [left, top, right, bottom]: Placement) -> RgbImage {
        let whole = image::imageops::crop_imm(&self.screen.look(), left, top, right - left, bottom - top).to_image();
        Self::inside(&whole)
    }

    /// Cuts off what a frame around a picture covers.
    pub fn inside(picture: &RgbImage) -> RgbImage {
        const FRAME: u32 = 3;
        let [width, height] = [picture.width(), picture.height()].map(|side| side - 2 * FRAME);
        image::imageops::crop_imm(picture, FRAME, FRAME, width, height).to_image()
    }

    /// Takes a picture of the image with this caption, once nothing happens any more and no tooltip covers it.
    pub fn picture(&mut self, caption: &str) -> RgbImage {
        self.settle();
        let place = self.place(caption);
        self.look(place)
    }

    /// Saves a screenshot of the window for people to look at.
    pub fn keep(&mut self, name: &str) {
        self.settle();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("viewer");
        std::fs::create_dir_all(&folder).expect("a folder");
        let window = image::imageops::crop_imm(&self.screen.look(), 0, 0, 1280, 860).to_image();
        window.save(folder.join(name)).expect("a screenshot");
    }

    /// A file in this driver's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Closes the window as a window manager would, and returns how the viewer ended.
    pub fn close(mut self) -> Output {
        self.screen.ask_to_close(self.screen.window("tweedie"));
        self.viewer.take().expect("a viewer").wait_with_output().expect("the viewer")
    }
}

impl Drop for WindowDriver<'_> {
    fn drop(&mut self) {
        if let Some(mut viewer) = self.viewer.take() {
            let _ = viewer.kill();
            let _ = viewer.wait();
        }
    }
}

fn is_called(node: &Value, text: &str) -> bool {
    node["role"] != "TextRun" && node["text"].as_str().is_some_and(|found| found.starts_with(text))
}

/// Measures the difference of two pictures: the mean over all channels, of 255.
pub fn difference(a: &RgbImage, b: &RgbImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions());
    let sum: f64 = a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
    sum / a.as_raw().len() as f64
}
