//! Serves a folder to the browsers of this machine. WebGPU exists on pages from https and from 127.0.0.1, not from files.

use anyhow::{Result, anyhow};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tiny_http::{Header, Request, Response, Server};

/// A folder that is being served.
pub struct Site {
    server: Arc<Server>,
    folder: PathBuf,
}

impl Site {
    /// Listens on 127.0.0.1 alone; port 0 takes any free port.
    ///
    /// # Errors
    /// If the port is taken.
    pub fn open(folder: &Path, port: u16) -> Result<Self> {
        let server =
            Server::http(("127.0.0.1", port)).map_err(|error| anyhow!("cannot listen on port {port}: {error}"))?;
        Ok(Self { server: Arc::new(server), folder: folder.to_owned() })
    }

    /// Address of the page.
    pub fn address(&self) -> String {
        format!("http://{}/", self.server.server_addr())
    }

    /// Answers until the process ends.
    pub fn serve(&self) {
        for request in self.server.incoming_requests() {
            // A browser that has gone away no longer needs its answer.
            let _ = self.answer(request);
        }
    }

    fn answer(&self, request: Request) -> std::io::Result<()> {
        let path = request.url().split('?').next().unwrap_or_default().trim_start_matches('/');
        let path = if path.is_empty() { "index.html" } else { path };
        // The page's files lie side by side: a path that leads elsewhere is not one of them.
        let known = !path.contains(['/', '\\']) && !path.starts_with('.');
        let file = if known { File::open(self.folder.join(path)).ok() } else { None };
        match file {
            Some(file) => {
                let mut response = Response::from_file(file);
                for (name, value) in [("Content-Type", kind(path)), ("Cache-Control", "no-store")] {
                    if let Ok(header) = Header::from_bytes(name, value) {
                        response.add_header(header);
                    }
                }
                request.respond(response)
            }
            None => request.respond(Response::from_string("no such file").with_status_code(404)),
        }
    }
}

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        Some("wasm") => "application/wasm", // only under this type do browsers compile it while it loads
        _ => "application/octet-stream",
    }
}
