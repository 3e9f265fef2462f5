//! What goes wrong, and that the window lives on, or says why not.

use crate::desk::{Desk, difference, program};
use crate::screen::{Screen, Test};
use serde_json::Value;
use std::process::Output;

pub const TESTS: &[Test] = &[
    ("errors::a_lost_device_is_replaced", a_lost_device_is_replaced),
    ("errors::a_device_lost_within_a_frame_is_replaced", a_device_lost_within_a_frame_is_replaced),
    ("errors::a_broken_file_is_told_in_the_window", a_broken_file_is_told_in_the_window),
    ("errors::a_file_that_is_not_there_is_told_in_the_dialog_s_window", a_missing_file_is_told),
    ("errors::no_display_and_no_adapter_have_a_code", no_display_and_no_adapter_have_a_code),
];

/// Loses the device in the middle of some work, and finds everything again in another window.
fn lose(screen: &Screen, arguments: &[&str]) {
    let mut desk = Desk::open(screen, arguments);
    desk.key("shift+Right");
    desk.wait_for("timestep", 425);
    desk.settle();
    let noisy = desk.picture("x_t ");
    for round in 0..2 {
        let adapter = desk.now()["state"]["adapter"].as_str().expect("an adapter").to_owned();
        let frame = desk.now()["frame"].as_u64();
        desk.click(&adapter);
        desk.click("Lose this device");
        desk.wait("a new window", |now| {
            now["frame"].as_u64() < frame.max(Some(6)) && now["state"]["errors"][1].is_f64()
        });
        desk.wait("the message", |now| {
            now["state"]["message"].as_str().is_some_and(|text| text.starts_with("The GPU device was lost"))
        });
        desk.focus();
        if round == 0 {
            desk.keep("device_lost.png");
        }
        desk.click("Dismiss");
        desk.wait_for("message", Value::Null);
        desk.wait_for("timestep", 425);
        assert!(difference(&desk.picture("x_t "), &noisy) < 0.01, "the same pictures, to the pixel");
        desk.key("Right");
        desk.wait_for("timestep", 426);
        desk.key("Left");
        desk.wait_for("timestep", 425);
        // One that is lost at once again and again is given up; this is not that.
        std::thread::sleep(std::time::Duration::from_secs(3));
    }
    assert_eq!(desk.close().status.code(), Some(0));
}

fn a_lost_device_is_replaced(screen: &Screen) {
    lose(screen, &[]);
}

fn a_device_lost_within_a_frame_is_replaced(screen: &Screen) {
    lose(screen, &["--lose-midway"]);
}

fn a_broken_file_is_told_in_the_window(screen: &Screen) {
    let folder = tempfile::tempdir().expect("a folder");
    let broken = folder.path().join("broken.jpg");
    std::fs::write(&broken, [0xff, 0xd8, 0xff, 0xe0, 0, 16]).expect("a file");
    let mut desk = Desk::open(screen, &[&broken.display().to_string()]);
    let now = desk.settle();
    assert!(now["state"]["message"].as_str().is_some_and(|text| text.contains("damaged")), "{}", now["state"]);
    assert_eq!(now["state"]["picture"], "the test card");
    assert!(desk.shows("x_t "), "and there is a picture to see");
}

fn a_missing_file_is_told(screen: &Screen) {
    let mut desk = Desk::open(screen, &[]);
    desk.settle();
    desk.key("o");
    desk.place("Open a picture");
    desk.write("nowhere.png");
    desk.keep("open.png");
    desk.key("Return");
    desk.wait("the message", |now| now["state"]["message"].as_str().is_some_and(|text| text.contains("no such file")));
    desk.key("o");
    desk.place("Open a picture");
    desk.key("Escape");
    desk.settle();
    assert!(!desk.shows("Open a picture"));
}

fn no_display_and_no_adapter_have_a_code(screen: &Screen) {
    let told = |output: Output| (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned());
    let (code, text) = told(program(screen).env("DISPLAY", ":4711").output().expect("the viewer"));
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("tweedie-viewer:"), "{text}");
    let (code, text) = told(program(screen).args(["--adapter", "bogus"]).output().expect("the viewer"));
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("expected a part of an adapter's name") && text.contains("found `bogus`"), "{text}");
    let (code, _) = told(program(screen).arg("--no-such-option").output().expect("the viewer"));
    assert_eq!(code, Some(2));
}
