//! What a user does, and what must be seen of it.

use crate::desk::{Desk, difference};
use crate::screen::{Screen, Test};
use image::RgbImage;
use serde_json::Value;
use std::time::Duration;

pub const TESTS: &[Test] = &[
    ("use::opens_shows_and_rests", opens_shows_and_rests),
    ("use::the_timestep_is_dragged_and_stepped", the_timestep_is_dragged_and_stepped),
    ("use::menus_change_what_is_seen", menus_change_what_is_seen),
    ("use::a_file_is_dropped_and_a_picture_saved", a_file_is_dropped_and_a_picture_saved),
    ("use::a_sampler_runs_and_is_scrubbed", a_sampler_runs_and_is_scrubbed),
    ("use::time_plays", time_plays),
    ("use::the_window_takes_any_size", the_window_takes_any_size),
];

/// Pictures that differ by more than this, in steps of 255, look different; those of a still window do not differ at all.
const DIFFERENT: f64 = 2.0;

/// What the picture that is brought along is called.
const CLEAN: &str = "x0 320 x 240";

/// How far neighbours of a picture differ: noise is rough.
fn roughness(picture: &RgbImage) -> f64 {
    let shifted = image::imageops::crop_imm(picture, 1, 0, picture.width() - 1, picture.height()).to_image();
    let rest = image::imageops::crop_imm(picture, 0, 0, picture.width() - 1, picture.height()).to_image();
    difference(&shifted, &rest)
}

fn opens_shows_and_rests(screen: &Screen) {
    let mut desk = Desk::open(screen, &[]);
    let before = desk.settle();
    assert_eq!(before["state"]["trouble"], Value::Null);
    desk.keep("plane.png");
    let (clean, noisy) = (desk.picture(CLEAN), desk.picture("x_t "));
    let card = pictures::test_card::test_card(320, 240).to_rgb();
    let place = desk.place(CLEAN);
    let expected = Desk::inside(&image::imageops::resize(
        &card,
        place[2] - place[0],
        place[3] - place[1],
        image::imageops::FilterType::Triangle,
    ));
    assert!(difference(&clean, &expected) < DIFFERENT, "the picture: {}", difference(&clean, &expected));
    assert!(roughness(&noisy) > 3.0 * roughness(&clean), "its noisy form is noisy");
    assert!(difference(&desk.picture("x0 from x0"), &clean) > DIFFERENT);
    // Nobody does anything: no frame, no dispatch.
    desk.settle();
    std::thread::sleep(Duration::from_secs(1));
    let rest = desk.now();
    std::thread::sleep(Duration::from_secs(2));
    let later = desk.now();
    assert_eq!((&later["frame"], &later["state"]["dispatches"]), (&rest["frame"], &rest["state"]["dispatches"]));
    assert_eq!(desk.close().status.code(), Some(0));
}

fn the_timestep_is_dragged_and_stepped(screen: &Screen) {
    let mut desk = Desk::open(screen, &[]);
    desk.settle();
    let (clean, noisy) = (desk.picture(CLEAN), desk.picture("x_t "));
    desk.drag("timestep: 400", [0.4, 0.85]);
    desk.wait("a later timestep", |now| now["state"]["timestep"].as_u64() > Some(700));
    let there = desk.settle()["state"]["timestep"].as_u64().expect("a timestep");
    assert!(difference(&desk.picture("x_t "), &noisy) > DIFFERENT);
    assert!(difference(&desk.picture(CLEAN), &clean) < 0.01, "the picture stays");
    desk.key("Right");
    desk.wait_for("timestep", there + 1);
    desk.key("shift+Left");
    desk.wait_for("timestep", there - 24);
    desk.key("Home");
    desk.wait_for("timestep", 0);
    desk.settle();
    assert!(difference(&desk.picture("x_t "), &clean) < 2.0 * DIFFERENT, "there is hardly any noise");
    // A prediction of x0 that is 25% off is worse than x_t itself there, and one of epsilon far better.
    let errors: Vec<f64> = serde_json::from_value(desk.now()["state"]["errors"].clone()).expect("errors");
    assert!(errors[1] < errors[0] && errors[2] > errors[0], "{errors:?}");
}

fn menus_change_what_is_seen(screen: &Screen) {
    let mut desk = Desk::open(screen, &[]);
    desk.settle();
    let noisy = desk.picture("x_t ");
    desk.click("schedule: linear");
    desk.click("cosine");
    desk.wait_for("schedule", "cosine");
    let cosine = desk.picture("x_t ");
    assert!(difference(&cosine, &noisy) > DIFFERENT);
    desk.click("another");
    desk.wait_for("seed", 2);
    desk.settle();
    assert!(difference(&desk.picture("x_t "), &cosine) > DIFFERENT);
    desk.click("zero terminal SNR");
    desk.wait_for("zero_terminal_snr", true);
    desk.key("End");
    desk.wait_for("timestep", 999);
    let now = desk.settle();
    assert_eq!(now["state"]["determined"], serde_json::json!([false, true, true]));
    desk.keep("zero_terminal_snr.png");
    desk.click("flow");
    desk.place("x0 from flow");
    desk.drag("error: 25", [0.25, 0.8]);
    desk.wait("a larger error", |now| now["state"]["error"].as_f64() > Some(0.5));
    desk.key("r");
    desk.wait_for("schedule", "linear");
    desk.settle();
    assert!(difference(&desk.picture("x_t "), &noisy) < 0.01, "as at the beginning, to the pixel");
}

fn a_file_is_dropped_and_a_picture_saved(screen: &Screen) {
    let mut desk = Desk::open(screen, &[]);
    let [striped, broken, saved] = ["striped.png", "broken.png", "saved.png"].map(|name| desk.file(name));
    RgbImage::from_fn(200, 120, |x, _| image::Rgb(if x / 10 % 2 == 0 { [250, 20, 20] } else { [20, 20, 250] }))
        .save(&striped)
        .expect("a file");
    let bytes = std::fs::read(&striped).expect("bytes");
    std::fs::write(&broken, &bytes[..bytes.len() / 2]).expect("a file");
    desk.settle();
    screen.drop_file(screen.window("tweedie"), &striped);
    desk.wait_for("picture", "striped.png");
    desk.settle();
    let seen = desk.picture("x0 200 x 120");
    let colours = |pixel: &image::Rgb<u8>| pixel.0[0].abs_diff(pixel.0[2]) > 150 && pixel.0[1] < 40;
    let striped_part = seen.pixels().filter(|pixel| colours(pixel)).count() as f64 / seen.pixels().len() as f64;
    assert!(striped_part > 0.7, "red and blue stripes: {striped_part}");

    desk.click("x0 200 x 120");
    desk.wait_for("selected", "Some(X0)");
    desk.key("s");
    desk.place("Save the picture as");
    desk.key("ctrl+a");
    desk.write(&saved.display().to_string());
    desk.key("Return");
    desk.wait("the message", |now| now["state"]["message"].as_str().is_some_and(|text| text.starts_with("Saved")));
    let (original, again) = (image::open(&striped).expect("a picture"), image::open(&saved).expect("a picture"));
    assert_eq!(original.to_rgb8(), again.to_rgb8(), "what was saved is what was opened");

    screen.drop_file(screen.window("tweedie"), &broken);
    desk.wait("the message", |now| now["state"]["message"].as_str().is_some_and(|text| text.contains("damaged")));
    assert_eq!(desk.now()["state"]["picture"], "striped.png");
    desk.keep("damaged_file.png");
    desk.click("Dismiss");
    desk.wait_for("message", Value::Null);
}

fn a_sampler_runs_and_is_scrubbed(screen: &Screen) {
    let mut desk = Desk::open(screen, &[]);
    desk.settle();
    desk.click("Sampling");
    desk.wait_for("view", "Sampling");
    desk.click("sampler: DDIM");
    desk.click("DPM-Solver++ 2M SDE");
    desk.wait_for("solver", "DPM-Solver++ 2M SDE");
    desk.settle();
    let noise = desk.picture("x_t 1");
    desk.click("Play");
    desk.wait_for("done", 20);
    desk.wait_for("playing", false);
    let end = desk.picture("x_t 1");
    assert!(roughness(&noise) > 5.0 * roughness(&end), "from noise to a picture");
    let done = desk.now()["state"]["dispatches"].clone();
    desk.drag("call: 20", [0.99, 0.45]);
    desk.wait("an earlier call", |now| now["state"]["call"].as_u64() < Some(12));
    for _ in 0..3 {
        desk.key("Right");
    }
    desk.settle();
    let middle = desk.picture("x_t 1");
    assert!(difference(&middle, &end) > DIFFERENT && difference(&middle, &noise) > DIFFERENT);
    assert_eq!(desk.now()["state"]["dispatches"], done, "looking back computes nothing");
    desk.keep("sampling.png");
    desk.key("End");
    desk.wait_for("call", 20);
    assert!(difference(&desk.picture("x_t 1"), &end) < 0.01, "the same picture, to the pixel");
    desk.click("cuttings");
    desk.place("upside down");
    desk.settle();
    desk.wait_for("done", 20);
    assert!(difference(&desk.picture("x_t 1"), &end) > DIFFERENT, "it knows other pictures now");
}

fn time_plays(screen: &Screen) {
    let mut desk = Desk::open(screen, &[]);
    desk.settle();
    desk.key("space");
    desk.wait("frames", |now| now["state"]["frame_ms"].as_f64() > Some(0.0) && now["state"]["timestep"] != 400);
    std::thread::sleep(Duration::from_secs(5));
    let frame = desk.now()["state"]["frame_ms"].as_f64().expect("a number");
    println!("{frame:.1} ms a frame while the timestep plays, on {}", desk.now()["state"]["adapter"]);
    desk.key("space");
    desk.wait_for("playing", false);
    let still = desk.settle();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(desk.now()["state"]["timestep"], still["state"]["timestep"]);
}

fn the_window_takes_any_size(screen: &Screen) {
    let mut desk = Desk::open(screen, &["--sampling"]);
    let window = screen.window("tweedie").to_string();
    for (width, height) in [(760, 520), (1400, 940), (1000, 980)] {
        screen.input(&["windowsize", &window, &width.to_string(), &height.to_string()]);
        for view in ["1", "2"] {
            desk.key(view);
            desk.wait("the layout", |now| {
                let images = now["nodes"].as_array().into_iter().flatten().filter(|node| node["role"] == "Image");
                let ends: Vec<_> = images.map(|node| [&node["rect"][2], &node["rect"][3]].map(Value::as_f64)).collect();
                let [right, bottom] = [0, 1].map(|i| ends.iter().filter_map(|end| end[i]).fold(0.0, f64::max));
                right <= f64::from(width) && bottom <= f64::from(height) && right > 0.55 * f64::from(width)
            });
        }
        desk.settle();
        assert!(roughness(&desk.picture("x_t 1")) > 10.0, "noise at {width} x {height}");
    }
}
