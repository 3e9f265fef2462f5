//! Ctrl-C, where something is to be done before the process ends: a benchmark finishes the row being measured and prints what it
//! has, a command that writes removes its unfinished file. The exit code says why.

use std::sync::atomic::{AtomicBool, Ordering};

/// The exit code that a shell expects of a process that Ctrl-C ended: 128 and the number of the signal.
pub const EXIT_CODE: u8 = 130;

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Has the first Ctrl-C only ask from now on. A second one ends the process at once.
pub fn listen() {
    // Without a handler, Ctrl-C ends the process as always, and the lines written so far remain.
    let _ = ctrlc::set_handler(|| {
        if REQUESTED.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(EXIT_CODE));
        }
    });
}

/// Tells whether the user wants to stop.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}
