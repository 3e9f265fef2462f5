//! Tests of failures: the window survives them, or says why not.

use crate::screen::{Screen, Test};
use crate::window_driver::{WindowDriver, difference, program};
use serde_json::Value;
use std::process::Output;

pub const TESTS: &[Test] = &[
    ("errors::a_lost_device_is_replaced", a_lost_device_is_replaced),
    ("errors::a_device_lost_within_a_frame_is_replaced", a_device_lost_within_a_frame_is_replaced),
    ("errors::a_device_lost_between_two_calls_is_replaced", a_device_lost_between_two_calls_is_replaced),
    ("errors::a_window_without_room_and_a_closed_one", a_window_without_room_and_a_closed_one),
    ("errors::a_broken_file_is_told_in_the_window", a_broken_file_is_told_in_the_window),
    ("errors::a_file_that_is_not_there_is_told_in_the_dialog_s_window", a_missing_file_is_told),
    ("errors::no_display_and_no_adapter_have_a_code", no_display_and_no_adapter_have_a_code),
];

/// Loses the device in the middle of some work, and finds everything again in another window.
fn lose(screen: &Screen, arguments: &[&str]) {
    let mut driver = WindowDriver::open(screen, arguments);
    driver.key("shift+Right");
    driver.wait_for("timestep", 425);
    driver.settle();
    let noisy = driver.picture("x_t ");
    for round in 0..2 {
        let adapter = driver.now()["state"]["adapter"].as_str().expect("an adapter").to_owned();
        let frame = driver.now()["frame"].as_u64();
        driver.click(&adapter);
        driver.click("Lose this device");
        driver.wait("a new window", |now| {
            now["frame"].as_u64() < frame.max(Some(6)) && now["state"]["errors"][1].is_f64()
        });
        driver.wait_for_message("The GPU device was lost");
        driver.focus();
        if round == 0 {
            driver.keep("device_lost.png");
        }
        driver.click("Dismiss");
        driver.wait_for("message", Value::Null);
        driver.wait_for("timestep", 425);
        assert!(difference(&driver.picture("x_t "), &noisy) < 0.01, "the same pictures, to the pixel");
        driver.key("Right");
        driver.wait_for("timestep", 426);
        driver.key("Left");
        driver.wait_for("timestep", 425);
        // Devices in a row that are lost soon after the start end the program; this one must not count as such.
        std::thread::sleep(std::time::Duration::from_secs(3));
    }
    assert_eq!(driver.close().status.code(), Some(0));
}

fn a_lost_device_is_replaced(screen: &Screen) {
    lose(screen, &[]);
}

fn a_device_lost_within_a_frame_is_replaced(screen: &Screen) {
    lose(screen, &["--lose-midway"]);
}

/// A device is lost while digits are written around a part that is known; the next window continues with the same state.
fn a_device_lost_between_two_calls_is_replaced(screen: &Screen) {
    for arguments in [&["--digits"][..], &["--digits", "--lose-midway"]] {
        let mut driver = WindowDriver::open(screen, arguments);
        driver.wait("digits", |now| now["state"]["digits"]["done"] == 10);
        driver.drag("Erase from x0 1", [0.2, 0.8]);
        driver.settle();
        let erased = driver.now()["state"]["digits"]["erased"].clone();
        driver.drag("steps: 10", [0.5, 0.95]);
        driver.wait("a long loop", |now| now["state"]["digits"]["steps"].as_u64() > Some(50));
        let long = driver.now()["state"]["digits"]["steps"].clone();
        let adapter = driver.now()["state"]["adapter"].as_str().expect("an adapter").to_owned();
        // While a loop runs, a click may be over before a frame has seen where the mouse is.
        while !driver.shows("Lose this device") {
            driver.click(&adapter);
            std::thread::sleep(std::time::Duration::from_secs(2));
        }
        let frame = driver.now()["frame"].as_u64();
        driver.click("Lose this device");
        driver.wait("a new window", |now| now["frame"].as_u64() < frame && now["state"]["digits"]["done"].is_u64());
        driver.wait_for_message("The GPU device was lost");
        let now = driver.now();
        let digits = &now["state"]["digits"];
        assert_eq!((&digits["erased"], &digits["steps"]), (&erased, &long), "{arguments:?}");
        driver.focus();
        driver.wait("calls", |now| now["state"]["digits"]["done"].as_u64() > Some(2));
        assert_eq!(driver.now()["state"]["trouble"], Value::Null);
        // In the middle of the loop.
        assert_eq!(driver.close().status.code(), Some(0), "{arguments:?}");
    }
}

fn a_window_without_room_and_a_closed_one(screen: &Screen) {
    let mut driver = WindowDriver::open(screen, &["--digits"]);
    let window = screen.window("tweedie").to_string();
    driver.drag("steps: 10", [0.5, 0.95]);
    driver.wait("a long loop", |now| now["state"]["digits"]["steps"].as_u64() > Some(50));
    for (width, height) in [(1, 1), (300, 2), (2, 300), (1, 1)] {
        screen.input(&["windowsize", &window, &width.to_string(), &height.to_string()]);
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    screen.input(&["windowsize", &window, "1280", "860"]);
    let before = driver.wait("a layout", |now| now["state"]["digits"]["done"].is_u64());
    driver
        .wait("more calls", |now| now["state"]["digits"]["done"].as_u64() > before["state"]["digits"]["done"].as_u64());
    driver.place("x0 1");
    assert_eq!(driver.now()["state"]["message"], Value::Null);
    assert_eq!(driver.close().status.code(), Some(0));
}

fn a_broken_file_is_told_in_the_window(screen: &Screen) {
    let folder = tempfile::tempdir().expect("a folder");
    let broken = folder.path().join("broken.jpg");
    std::fs::write(&broken, [0xff, 0xd8, 0xff, 0xe0, 0, 16]).expect("a file");
    let mut driver = WindowDriver::open(screen, &[&broken.display().to_string()]);
    let now = driver.settle();
    assert!(now["state"]["message"].as_str().is_some_and(|text| text.contains("damaged")), "{}", now["state"]);
    assert_eq!(now["state"]["picture"], "the test card");
    assert!(driver.shows("x_t "), "and there is a picture to see");
}

fn a_missing_file_is_told(screen: &Screen) {
    let mut driver = WindowDriver::open(screen, &[]);
    driver.settle();
    driver.key("o");
    driver.place("Open a picture");
    driver.write("nowhere.png");
    driver.keep("open.png");
    driver.key("Return");
    driver.wait_for_message("no such file");
    driver.key("o");
    driver.place("Open a picture");
    driver.key("Escape");
    driver.settle();
    assert!(!driver.shows("Open a picture"));
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
