//! A headless Chromium of our own, driven through its DevTools protocol.
//!
//! It renders with SwiftShader, Chromium's own software GPU, so that the tests mean the same on every machine.

use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket};

/// Anything that goes wrong is a failed test.
pub type Outcome<T = ()> = Result<T, String>;

/// Time limit for an answer of the browser: software rendering on few cores is slow, and a hung page never answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// Names under which Chromium and its relatives are installed; `CHROMIUM` goes before all.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// WebGPU on any machine, and nothing that prompts, phones home or updates.
const FLAGS: [&str; 12] = [
    "--headless=new",
    "--no-sandbox",
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    // The page must be composed on the same Vulkan as WebGPU's, or a canvas stays blank.
    "--enable-features=Vulkan",
    "--use-vulkan=swiftshader",
    "--use-angle=swiftshader",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--hide-scrollbars",
];

/// The browser that would be used, if there is one.
pub fn find() -> Option<PathBuf> {
    let wanted = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    let installed = || {
        let places = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
        places.into_iter().find(|path| path.is_file())
    };
    wanted.or_else(installed)
}

/// A running browser.
pub struct Chromium {
    child: Child,
    profile: TempDir,
}

impl Chromium {
    /// Starts it with a profile of its own, and with these flags in addition.
    pub fn start(flags: &[&str]) -> Outcome<Self> {
        let program = find().ok_or("expected a Chromium, found none")?;
        let profile = tempfile::tempdir().map_err(told)?;
        let mut command = Command::new(&program);
        command.args(FLAGS).args(flags).arg(format!("--user-data-dir={}", profile.path().display())).arg("about:blank");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
        Ok(Self { child, profile })
    }

    /// Opens a tab at this address.
    pub fn open(&self, address: &str) -> Outcome<Tab> {
        let file = self.profile.path().join("DevToolsActivePort");
        let begun = Instant::now();
        let (port, path) = loop {
            let text = fs::read_to_string(&file).unwrap_or_default();
            match text.split_once('\n') {
                Some((port, path)) if !path.is_empty() => break (port.to_owned(), path.trim().to_owned()),
                _ if begun.elapsed() > PATIENCE => return Err("Chromium does not listen".to_owned()),
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        let stream = TcpStream::connect(format!("127.0.0.1:{port}")).map_err(told)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(told)?;
        let socket = tungstenite::client(format!("ws://127.0.0.1:{port}{path}"), stream).map_err(told)?.0;
        let mut tab = Tab { socket, session: None, last: 0, events: VecDeque::new() };
        let target = tab.call("Target.createTarget", json!({ "url": "about:blank" }))?["targetId"].clone();
        let attached = tab.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }))?;
        tab.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            tab.call(&format!("{domain}.enable"), json!({}))?;
        }
        tab.resize(1280, 800, 1.0)?;
        tab.call("Page.navigate", json!({ "url": address }))?;
        Ok(tab)
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended by itself
        let _ = self.child.wait();
    }
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// A page in the browser.
pub struct Tab {
    socket: WebSocket<TcpStream>,
    session: Option<String>,
    last: u64,
    events: VecDeque<Value>,
}

impl Tab {
    /// Calls a method of the protocol and waits for its result.
    pub fn call(&mut self, method: &str, parameters: Value) -> Outcome<Value> {
        self.last += 1;
        let id = self.last;
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(message.to_string())).map_err(told)?;
        loop {
            let message = self.socket.read().map_err(|error| format!("{method}: {error}"))?;
            let Message::Text(text) = message else { continue };
            let mut message: Value = serde_json::from_str(&text).map_err(told)?;
            if message["id"] != json!(id) {
                self.events.push_back(message);
                continue;
            }
            if !message["error"].is_null() {
                return Err(format!("{method}: {}", message["error"]));
            }
            return Ok(message["result"].take());
        }
    }

    /// Evaluates an expression; a promise is awaited.
    pub fn evaluate(&mut self, expression: &str) -> Outcome<Value> {
        let parameters = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut result = self.call("Runtime.evaluate", parameters)?;
        if !result["exceptionDetails"].is_null() {
            let details = &result["exceptionDetails"];
            return Err(format!("{expression}: {} {}", details["text"], details["exception"]["description"]));
        }
        Ok(result["result"]["value"].take())
    }

    /// Evaluates an expression again and again until it is true.
    pub fn until(&mut self, expression: &str, patience: Duration) -> Outcome {
        let begun = Instant::now();
        loop {
            // Before the page has started there is nothing to ask.
            if self.evaluate(expression).is_ok_and(|value| value == json!(true)) {
                return Ok(());
            }
            if begun.elapsed() > patience {
                let account = self.evaluate("JSON.stringify(tweedie.account())").unwrap_or_default();
                let notice = self.evaluate("document.getElementById('notice').innerText").unwrap_or_default();
                let complaints = self.complaints();
                return Err(format!("never came true: {expression}; the page says {account} {notice} {complaints:?}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Errors that the page has written to the console.
    pub fn complaints(&mut self) -> Vec<String> {
        let complaint = |event: &Value| {
            let parameters = &event["params"];
            match event["method"].as_str()? {
                "Runtime.exceptionThrown" => Some(parameters["exceptionDetails"].to_string()),
                "Runtime.consoleAPICalled" if parameters["type"] == "error" => Some(parameters["args"].to_string()),
                "Log.entryAdded" if parameters["entry"]["level"] == "error" => {
                    Some(parameters["entry"]["text"].to_string())
                }
                _ => None,
            }
        };
        self.events.drain(..).filter_map(|event| complaint(&event)).collect()
    }

    /// Sets the size of the window in CSS pixels, and the screen pixels for each of them.
    pub fn resize(&mut self, width: u32, height: u32, ratio: f64) -> Outcome {
        let parameters = json!({ "width": width, "height": height, "deviceScaleFactor": ratio, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", parameters).map(|_| ())
    }

    /// The place of an element in the window: left, top, width, height.
    pub fn place(&mut self, selector: &str) -> Outcome<[f64; 4]> {
        let script = format!(
            "(() => {{ const r = document.querySelector({selector:?}).getBoundingClientRect(); \
             return [r.left, r.top, r.width, r.height]; }})()"
        );
        let found = self.evaluate(&script)?;
        let number = |index: usize| found[index].as_f64().ok_or(format!("no place of {selector}"));
        Ok([number(0)?, number(1)?, number(2)?, number(3)?])
    }

    fn mouse(&mut self, kind: &str, [x, y]: [f64; 2]) -> Outcome {
        let parameters = json!({ "type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1 });
        self.call("Input.dispatchMouseEvent", parameters).map(|_| ())
    }

    /// Presses the mouse at this part of an element's width, and lets it go.
    pub fn click(&mut self, selector: &str, part: f64) -> Outcome {
        self.evaluate(&format!("document.querySelector({selector:?}).scrollIntoView({{ block: 'nearest' }})"))?;
        let [left, top, width, height] = self.place(selector)?;
        let at = [left + part * width, top + height / 2.0];
        self.mouse("mousePressed", at)?;
        self.mouse("mouseReleased", at)
    }

    /// Drags the mouse along an element, from one part of its width to another.
    pub fn drag(&mut self, selector: &str, from: f64, to: f64) -> Outcome {
        let [left, top, width, height] = self.place(selector)?;
        let at = |part: f64| [left + part * width, top + height / 2.0];
        self.mouse("mousePressed", at(from))?;
        for step in 1..=8 {
            self.mouse("mouseMoved", at(from + (to - from) * f64::from(step) / 8.0))?;
        }
        self.mouse("mouseReleased", at(to))
    }

    /// Presses a key, by the name that the browser gives it.
    pub fn key(&mut self, key: &str) -> Outcome {
        let code = match key {
            "End" => 35,
            "Home" => 36,
            "ArrowLeft" => 37,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            _ => key.to_uppercase().bytes().next().unwrap_or_default(),
        };
        let mut parameters = json!({ "type": "keyDown", "key": key, "windowsVirtualKeyCode": code });
        if key.len() == 1 {
            parameters["text"] = json!(key);
        }
        self.call("Input.dispatchKeyEvent", parameters)?;
        self.call("Input.dispatchKeyEvent", json!({ "type": "keyUp", "key": key, "windowsVirtualKeyCode": code }))?;
        Ok(())
    }

    /// Drops a file onto an element.
    pub fn drop_file(&mut self, selector: &str, path: &std::path::Path) -> Outcome {
        let [left, top, width, height] = self.place(selector)?;
        let data = json!({ "items": [], "files": [path], "dragOperationsMask": 1 });
        for kind in ["dragEnter", "dragOver", "drop"] {
            let parameters = json!({ "type": kind, "x": left + width / 2.0, "y": top + height / 2.0, "data": data });
            self.call("Input.dispatchDragEvent", parameters)?;
        }
        Ok(())
    }

    /// Takes a picture of the window, as the bytes of a PNG.
    pub fn screenshot(&mut self) -> Outcome<Vec<u8>> {
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png" }))?;
        unpack(shot["data"].as_str().ok_or("no screenshot")?)
    }
}

/// Base64, as the protocol writes bytes.
pub fn unpack(text: &str) -> Outcome<Vec<u8>> {
    use data_encoding::BASE64;
    BASE64.decode(text.as_bytes()).map_err(told)
}
