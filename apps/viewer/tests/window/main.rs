//! The viewer as a user meets it: a window on an X server of its own, with real mouse and key events.
//!
//! `xtask/scripts/viewer.sh` installs what this needs (Xvfb, xdotool, a Vulkan driver) and runs it, with `TWEEDIE_REQUIRE_WINDOW`
//! set; without that the tests are listed as ignored. Where to click is read from the window's own record (`--trace`);
//! whether it looks right is checked on the screen. Screenshots stay in `target/tmp/viewer`.

#[cfg(target_os = "linux")]
mod errors;
#[cfg(target_os = "linux")]
mod screen;
#[cfg(target_os = "linux")]
mod usage;
#[cfg(target_os = "linux")]
mod window_driver;

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("these tests start an X server of their own, which needs Linux");
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use libtest_mimic::{Arguments, Trial};
    use std::process::ExitCode;
    use std::sync::Arc;
    use std::time::Instant;

    // One at a time: they share the screen, the mouse and the keys.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let wanted = std::env::var_os("TWEEDIE_REQUIRE_WINDOW").is_some();
    let screen = match wanted.then(screen::Screen::open).transpose() {
        Ok(screen) => screen.map(Arc::new),
        Err(error) => {
            eprintln!("TWEEDIE_REQUIRE_WINDOW is set and there is no screen: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ignored = screen.is_none();
    let trials = [usage::TESTS, errors::TESTS].concat().into_iter().map(|(name, test)| {
        let screen = screen.clone();
        let run = move || {
            if let Some(screen) = screen {
                let begun = Instant::now();
                test(&screen);
                println!("{name}: {:.1} s", begun.elapsed().as_secs_f32());
            }
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(ignored)
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    if let Some(screen) = screen.and_then(Arc::into_inner) {
        screen.close();
    }
    conclusion.exit_code()
}
