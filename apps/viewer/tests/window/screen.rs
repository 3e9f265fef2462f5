//! An X server without a monitor, what its screen shows, and files that are dragged over it.

use image::RgbImage;
use std::error::Error;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use x11rb::connection::Connection as _;
use x11rb::cookie::VoidCookie;
use x11rb::errors::ConnectionError;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    AtomEnum, ClientMessageEvent, ConnectionExt as _, CreateWindowAux, EventMask, ImageFormat, MapState, PropMode,
    SELECTION_NOTIFY_EVENT, SelectionNotifyEvent, SelectionRequestEvent, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

/// A test on a screen; it fails by panicking, like any other.
pub type Test = (&'static str, fn(&Screen));

const SIZE: [u16; 2] = [1440, 1000];

/// Longer than anything takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The version of the drag-and-drop protocol, the same since 2002.
const XDND_VERSION: u32 = 5;

/// The screen.
pub struct Screen {
    server: Child,
    display: String,
    connection: RustConnection,
    root: Window,
}

impl Screen {
    /// Starts the server on a display that is free.
    pub fn open() -> Result<Self, Box<dyn Error>> {
        let found = Command::new("xdotool").arg("version").stdout(Stdio::null()).status();
        found.map_err(|error| format!("xdotool: {error}"))?;
        let size = format!("{}x{}x24", SIZE[0], SIZE[1]);
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", &size, "-nolisten", "tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("Xvfb: {error}"))?;
        // It writes its number and a line end once it listens.
        let mut number = String::new();
        let mut output = server.stdout.take().ok_or("Xvfb has no output")?;
        let mut byte = [0];
        while output.read(&mut byte)? == 1 && byte[0] != b'\n' {
            number.push(char::from(byte[0]));
        }
        let display = format!(":{}", number.trim());
        let (connection, screen) = x11rb::connect(Some(&display))?;
        let root = connection.setup().roots[screen].root;
        Ok(Self { server, display, connection, root })
    }

    /// Stops the server.
    pub fn close(mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }

    /// Value of `DISPLAY`.
    pub fn display(&self) -> &str {
        &self.display
    }

    /// Sends events of the mouse, the keyboard or a window manager through xdotool.
    pub fn input(&self, arguments: &[&str]) {
        let status = Command::new("xdotool").args(arguments).env("DISPLAY", &self.display).status().expect("xdotool");
        assert!(status.success(), "xdotool {arguments:?}");
        std::thread::sleep(Duration::from_millis(80));
    }

    /// Waits for the window of this name, until it is there and can be seen.
    pub fn window(&self, name: &str) -> Window {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let tree = self.connection.query_tree(self.root).expect("X").reply().expect("a tree");
            let named = |&window: &Window| {
                let property = self.connection.get_property(false, window, AtomEnum::WM_NAME, AtomEnum::ANY, 0, 64);
                let attributes = self.connection.get_window_attributes(window);
                let named = property.ok().and_then(|cookie| cookie.reply().ok());
                let seen = attributes.ok().and_then(|cookie| cookie.reply().ok());
                named.is_some_and(|reply| reply.value == name.as_bytes())
                    && seen.is_some_and(|reply| reply.map_state == MapState::VIEWABLE)
            };
            if let Some(window) = tree.children.into_iter().find(named) {
                return window;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("no window `{name}` has appeared");
    }

    /// Asks a window to close, as a window manager does.
    pub fn ask_to_close(&self, window: Window) {
        self.send(window, "WM_PROTOCOLS", [self.atom("WM_DELETE_WINDOW"), x11rb::CURRENT_TIME, 0, 0, 0]);
    }

    /// Sends a message to a window.
    fn send(&self, window: Window, kind: &str, data: [u32; 5]) {
        let message = ClientMessageEvent::new(32, window, self.atom(kind), data);
        done(self.connection.send_event(false, window, EventMask::NO_EVENT, message));
    }

    /// Takes a picture of the screen.
    pub fn look(&self) -> RgbImage {
        let [width, height] = SIZE;
        let image = self.connection.get_image(ImageFormat::Z_PIXMAP, self.root, 0, 0, width, height, !0);
        let data = image.expect("X").reply().expect("an image").data;
        let pixels = data.chunks_exact(4).flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect();
        RgbImage::from_raw(u32::from(width), u32::from(height), pixels).expect("as many pixels as that")
    }

    /// Drags a file over a window and lets it go: the source's side of the protocol.
    pub fn drop_file(&self, target: Window, file: &Path) {
        let connection = &self.connection;
        let atom = |name: &str| self.atom(name);
        let source = connection.generate_id().expect("an id");
        let aux = CreateWindowAux::new().event_mask(EventMask::PROPERTY_CHANGE);
        done(connection.create_window(0, source, self.root, 0, 0, 1, 1, 0, WindowClass::INPUT_ONLY, 0, &aux));
        let (selection, list, copy) = (atom("XdndSelection"), atom("text/uri-list"), atom("XdndActionCopy"));
        done(connection.set_selection_owner(source, selection, x11rb::CURRENT_TIME));
        let send = |kind: &str, data: [u32; 5]| self.send(target, kind, data);
        send("XdndEnter", [source, XDND_VERSION << 24, list, 0, 0]);
        send("XdndPosition", [source, 0, (300 << 16) | 300, x11rb::CURRENT_TIME, copy]);
        let uri = format!("file://{}\r\n", file.display());
        self.answer(|request| {
            let (window, property) = (request.requestor, request.property);
            done(connection.change_property8(PropMode::REPLACE, window, property, list, uri.as_bytes()));
            let notify = SelectionNotifyEvent {
                response_type: SELECTION_NOTIFY_EVENT,
                sequence: 0,
                time: request.time,
                requestor: window,
                selection,
                target: list,
                property,
            };
            done(connection.send_event(false, window, EventMask::NO_EVENT, notify));
        });
        send("XdndDrop", [source, 0, x11rb::CURRENT_TIME, 0, 0]);
        connection.flush().expect("X");
    }

    fn atom(&self, name: &str) -> u32 {
        self.connection.intern_atom(false, name.as_bytes()).expect("X").reply().expect("an atom").atom
    }

    /// Waits until the target asks what is being dragged.
    fn answer(&self, give: impl Fn(&SelectionRequestEvent)) {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            match self.connection.poll_for_event().expect("X") {
                Some(Event::SelectionRequest(request)) => return give(&request),
                Some(_) => {}
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        panic!("nobody has asked for what was dragged");
    }
}

/// Waits until the server has done what it was asked.
#[track_caller]
fn done(asked: Result<VoidCookie<'_, RustConnection>, ConnectionError>) {
    asked.expect("X").check().expect("what was asked");
}
