//! Ctrl-C, where something is to be done before the process ends: a benchmark finishes the row being measured and prints what it
//! has, a command that writes removes its unfinished file. The exit code says why.

use std::sync::atomic::{AtomicBool, Ordering};

/// The exit code that a shell expects of a process that Ctrl-C ended: 128 plus the number of the signal.
pub const EXIT_CODE: u8 = 130;

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// From now on, a first Ctrl-C only sets the request; a second one ends the process at once.
pub fn listen() {
    // Without a handler, Ctrl-C ends the process as always, and the lines written so far remain.
    let _ = ctrlc::set_handler(|| {
        if REQUESTED.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(EXIT_CODE));
        }
    });
}

/// Returns whether Ctrl-C was pressed.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}
