//! A progress bar that appears only on a terminal, and only if the work takes a while.
//!
//! Scripts and logs stay free of control characters (no bar unless stderr is a terminal), and short runs do not flicker
//! (no bar in the first second).

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Time after which a bar appears.
const PATIENCE: Duration = Duration::from_secs(1);

/// Counts steps; removes its bar, if one ever appeared, when it is dropped.
pub struct Progress {
    bar: ProgressBar,
    begun: Instant,
    patience: Duration,
    terminal: bool,
    shown: bool,
}

impl Progress {
    /// Starts a bar of `total` steps of `what`, such as `"verifying"`.
    pub fn new(what: impl Into<String>, total: u64) -> Self {
        Self::with(what.into(), total, PATIENCE, stderr().is_terminal())
    }

    fn with(what: String, total: u64, patience: Duration, terminal: bool) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        // If the template did not parse, the default style would do.
        let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what);
        Self { bar, begun: Instant::now(), patience, terminal, shown: false }
    }

    /// Counts `steps` more as done.
    pub fn advance(&mut self, steps: u64) {
        if self.is_due() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.shown = true;
        }
        self.bar.inc(steps);
    }

    fn is_due(&self) -> bool {
        self.terminal && !self.shown && self.begun.elapsed() >= self.patience
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_without_a_terminal() {
        let mut progress = Progress::with("work".into(), 3, Duration::ZERO, false);
        progress.advance(1);
        assert!(!progress.shown);
        assert_eq!(progress.bar.position(), 1);
    }

    #[test]
    fn silent_while_the_work_is_short() {
        let mut progress = Progress::with("work".into(), 3, Duration::from_secs(3600), true);
        progress.advance(1);
        assert!(!progress.shown);
    }

    #[test]
    fn appears_on_a_terminal_when_it_takes_long() {
        let mut progress = Progress::with("work".into(), 3, Duration::ZERO, true);
        progress.advance(2);
        assert!(progress.shown);
        progress.advance(5); // more than announced: no panic
    }
}
