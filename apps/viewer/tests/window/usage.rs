//! Tests of a user's actions and their visible effects.

use crate::screen::{Screen, Test};
use crate::window_driver::{WindowDriver, difference};
use image::RgbImage;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

pub const TESTS: &[Test] = &[
    ("use::opens_shows_and_rests", opens_shows_and_rests),
    ("use::the_timestep_is_dragged_and_stepped", the_timestep_is_dragged_and_stepped),
    ("use::menus_change_what_is_seen", menus_change_what_is_seen),
    ("use::a_file_is_dropped_and_a_picture_saved", a_file_is_dropped_and_a_picture_saved),
    ("use::a_sampler_runs_and_is_scrubbed", a_sampler_runs_and_is_scrubbed),
    ("use::digits_are_written_and_stepped", digits_are_written_and_stepped),
    ("use::a_part_is_erased_and_written_again", a_part_is_erased_and_written_again),
    ("use::time_plays", time_plays),
    ("use::the_window_takes_any_size", the_window_takes_any_size),
];

/// Pictures that differ by more than this, in steps of 255, look different; those of a still window do not differ at all.
const DIFFERENT: f64 = 2.0;

/// Name of the built-in picture.
const CLEAN: &str = "x0 320 x 240";

/// Measures the difference between neighbouring pixels: noise is rough.
fn roughness(picture: &RgbImage) -> f64 {
    let shifted = image::imageops::crop_imm(picture, 1, 0, picture.width() - 1, picture.height()).to_image();
    let rest = image::imageops::crop_imm(picture, 0, 0, picture.width() - 1, picture.height()).to_image();
    difference(&shifted, &rest)
}

/// Saves the picture that is selected, by the keyboard.
fn save_as(driver: &mut WindowDriver<'_>, path: &Path) {
    driver.key("s");
    driver.place("Save the picture as");
    driver.key("ctrl+a");
    driver.write(&path.display().to_string());
    driver.key("Return");
    driver.wait_for_message("Saved");
}

fn opens_shows_and_rests(screen: &Screen) {
    let mut driver = WindowDriver::open(screen, &[]);
    let before = driver.settle();
    assert_eq!(before["state"]["trouble"], Value::Null);
    driver.keep("plane.png");
    let (clean, noisy) = (driver.picture(CLEAN), driver.picture("x_t "));
    let card = pictures::test_card::test_card(320, 240).to_rgb();
    let place = driver.place(CLEAN);
    let expected = WindowDriver::inside(&image::imageops::resize(
        &card,
        place[2] - place[0],
        place[3] - place[1],
        image::imageops::FilterType::Triangle,
    ));
    assert!(difference(&clean, &expected) < DIFFERENT, "the picture: {}", difference(&clean, &expected));
    assert!(roughness(&noisy) > 3.0 * roughness(&clean), "its noisy form is noisy");
    assert!(difference(&driver.picture("x0 from x0"), &clean) > DIFFERENT);
    // Without input there is no frame and no dispatch.
    driver.settle();
    std::thread::sleep(Duration::from_secs(1));
    let rest = driver.now();
    std::thread::sleep(Duration::from_secs(2));
    let later = driver.now();
    assert_eq!((&later["frame"], &later["state"]["dispatches"]), (&rest["frame"], &rest["state"]["dispatches"]));
    assert_eq!(driver.close().status.code(), Some(0));
}

fn the_timestep_is_dragged_and_stepped(screen: &Screen) {
    let mut driver = WindowDriver::open(screen, &[]);
    driver.settle();
    let (clean, noisy) = (driver.picture(CLEAN), driver.picture("x_t "));
    driver.drag("timestep: 400", [0.4, 0.85]);
    driver.wait("a later timestep", |now| now["state"]["timestep"].as_u64() > Some(700));
    let there = driver.settle()["state"]["timestep"].as_u64().expect("a timestep");
    assert!(difference(&driver.picture("x_t "), &noisy) > DIFFERENT);
    assert!(difference(&driver.picture(CLEAN), &clean) < 0.01, "the picture stays");
    driver.key("Right");
    driver.wait_for("timestep", there + 1);
    driver.key("shift+Left");
    driver.wait_for("timestep", there - 24);
    driver.key("Home");
    driver.wait_for("timestep", 0);
    driver.settle();
    assert!(difference(&driver.picture("x_t "), &clean) < 2.0 * DIFFERENT, "there is hardly any noise");
    // A prediction of x0 that is 25% off is worse than x_t itself there, and one of epsilon far better.
    let errors: Vec<f64> = serde_json::from_value(driver.now()["state"]["errors"].clone()).expect("errors");
    assert!(errors[1] < errors[0] && errors[2] > errors[0], "{errors:?}");
}

fn menus_change_what_is_seen(screen: &Screen) {
    let mut driver = WindowDriver::open(screen, &[]);
    driver.settle();
    let noisy = driver.picture("x_t ");
    driver.click("schedule: linear");
    driver.click("cosine");
    driver.wait_for("schedule", "cosine");
    let cosine = driver.picture("x_t ");
    assert!(difference(&cosine, &noisy) > DIFFERENT);
    driver.click("another");
    driver.wait_for("seed", 2);
    driver.settle();
    assert!(difference(&driver.picture("x_t "), &cosine) > DIFFERENT);
    driver.click("zero terminal SNR");
    driver.wait_for("zero_terminal_snr", true);
    driver.key("End");
    driver.wait_for("timestep", 999);
    let now = driver.settle();
    assert_eq!(now["state"]["determined"], serde_json::json!([false, true, true]));
    driver.keep("zero_terminal_snr.png");
    driver.click("flow");
    driver.place("x0 from flow");
    driver.drag("error: 25", [0.25, 0.8]);
    driver.wait("a larger error", |now| now["state"]["error"].as_f64() > Some(0.5));
    driver.key("r");
    driver.wait_for("schedule", "linear");
    driver.settle();
    assert!(difference(&driver.picture("x_t "), &noisy) < 0.01, "as at the beginning, to the pixel");
}

fn a_file_is_dropped_and_a_picture_saved(screen: &Screen) {
    let mut driver = WindowDriver::open(screen, &[]);
    let [striped, broken, saved] = ["striped.png", "broken.png", "saved.png"].map(|name| driver.file(name));
    RgbImage::from_fn(200, 120, |x, _| image::Rgb(if x / 10 % 2 == 0 { [250, 20, 20] } else { [20, 20, 250] }))
        .save(&striped)
        .expect("a file");
    let bytes = std::fs::read(&striped).expect("bytes");
    std::fs::write(&broken, &bytes[..bytes.len() / 2]).expect("a file");
    driver.settle();
    screen.drop_file(screen.window("tweedie"), &striped);
    driver.wait_for("picture", "striped.png");
    driver.settle();
    let seen = driver.picture("x0 200 x 120");
    let colours = |pixel: &image::Rgb<u8>| pixel.0[0].abs_diff(pixel.0[2]) > 150 && pixel.0[1] < 40;
    let striped_part = seen.pixels().filter(|pixel| colours(pixel)).count() as f64 / seen.pixels().len() as f64;
    assert!(striped_part > 0.7, "red and blue stripes: {striped_part}");

    driver.click("x0 200 x 120");
    driver.wait_for("selected", "Some(X0)");
    save_as(&mut driver, &saved);
    let (original, again) = (image::open(&striped).expect("a picture"), image::open(&saved).expect("a picture"));
    assert_eq!(original.to_rgb8(), again.to_rgb8(), "what was saved is what was opened");

    screen.drop_file(screen.window("tweedie"), &broken);
    driver.wait_for_message("damaged");
    assert_eq!(driver.now()["state"]["picture"], "striped.png");
    driver.keep("damaged_file.png");
    driver.click("Dismiss");
    driver.wait_for("message", Value::Null);
}

fn a_sampler_runs_and_is_scrubbed(screen: &Screen) {
    let mut driver = WindowDriver::open(screen, &[]);
    driver.settle();
    driver.click("Sampling");
    driver.wait_for("view", "Sampling");
    driver.click("sampler: ddim");
    driver.click("dpm++-2m-sde");
    driver.wait_for("solver", "dpm++-2m-sde");
    driver.settle();
    let noise = driver.picture("x_t 1");
    driver.click("Play");
    driver.wait_for("done", 20);
    driver.wait_for("playing", false);
    let end = driver.picture("x_t 1");
    assert!(roughness(&noise) > 5.0 * roughness(&end), "from noise to a picture");
    let done = driver.now()["state"]["dispatches"].clone();
    driver.drag("call: 20", [0.99, 0.45]);
    driver.wait("an earlier call", |now| now["state"]["call"].as_u64() < Some(12));
    for _ in 0..3 {
        driver.key("Right");
    }
    driver.settle();
    let middle = driver.picture("x_t 1");
    assert!(difference(&middle, &end) > DIFFERENT && difference(&middle, &noise) > DIFFERENT);
    assert_eq!(driver.now()["state"]["dispatches"], done, "looking back computes nothing");
    driver.keep("sampling.png");
    driver.key("End");
    driver.wait_for("call", 20);
    assert!(difference(&driver.picture("x_t 1"), &end) < 0.01, "the same picture, to the pixel");
    driver.click("crops");
    driver.place("upside down");
    driver.settle();
    driver.wait_for("done", 20);
    assert!(difference(&driver.picture("x_t 1"), &end) > DIFFERENT, "it knows other pictures now");
}

/// The part of a picture's pixels for which this is true.
fn part(picture: &RgbImage, is: fn(u8) -> bool) -> f64 {
    picture.pixels().filter(|pixel| is(pixel.0[0])).count() as f64 / picture.pixels().len() as f64
}

fn digits_are_written_and_stepped(screen: &Screen) {
    let mut driver = WindowDriver::open(screen, &[]);
    driver.settle();
    driver.click("Digits");
    driver.wait_for("view", "Digits");
    driver.wait("digits", |now| now["state"]["digits"]["done"] == 10);
    let three = driver.picture("x0 1");
    assert_eq!(driver.now()["state"]["trouble"], Value::Null);
    let (ink, paper) = (part(&three, |value| value > 200), part(&three, |value| value < 50));
    assert!(ink > 0.03 && ink < 0.4 && ink + paper > 0.7, "white on black: {ink}, {paper}");
    driver.keep("digits.png");

    // Another class gives another digit; the other samples differ from it, too.
    driver.click("class: 8");
    driver.wait("an eight", |now| now["state"]["digits"]["class"] == 8 && now["state"]["digits"]["done"] == 10);
    let eight = driver.picture("x0 1");
    assert!(difference(&eight, &three) > DIFFERENT && difference(&driver.picture("x0 2"), &eight) > DIFFERENT);
    driver.click("predicts: v");
    driver.click("epsilon");
    driver.wait("a network for epsilon", |now| {
        now["state"]["digits"]["predicts"] == "epsilon" && now["state"]["digits"]["done"] == 10
    });
    assert!(difference(&driver.picture("x0 1"), &eight) > 0.5, "another network writes another hand");

    // Back, forward, and by itself. What was computed is not computed again.
    let done = driver.now()["state"]["dispatches"].clone();
    let end = driver.picture("x_t 1");
    driver.key("Home");
    driver.wait("the beginning", |now| now["state"]["digits"]["call"] == 0);
    let noise = driver.picture("x_t 1");
    assert!(roughness(&noise) > 3.0 * roughness(&end), "{} {}", roughness(&noise), roughness(&end));
    driver.key("Right");
    driver.wait("a call", |now| now["state"]["digits"]["call"] == 1);
    driver.click("Play");
    driver
        .wait("the end", |now| now["state"]["digits"]["call"].as_u64() > Some(10) && now["state"]["playing"] == false);
    assert!(difference(&driver.picture("x_t 1"), &end) < 0.01, "the same digit, to the pixel");
    assert_eq!(driver.now()["state"]["dispatches"], done);

    // A click on a digit selects it at its call; it is saved as it is.
    let saved = driver.file("digit.png");
    driver.click("x_t 2");
    driver.wait_for("selected", "Some(Digit(1, 10))");
    save_as(&mut driver, &saved);
    let digit = image::open(&saved).expect("a picture").to_rgb8();
    assert_eq!(digit.dimensions(), (32, 32));
    assert!(digit.pixels().all(|pixel| pixel.0[0] == pixel.0[1] && pixel.0[1] == pixel.0[2]), "it is grey");
    driver.click("Dismiss");
    driver.click("class: any");
    driver.wait("any class", |now| {
        now["state"]["digits"]["class"] == Value::Null && now["state"]["digits"]["done"] == 10
    });
    assert_eq!(driver.close().status.code(), Some(0));
}

fn a_part_is_erased_and_written_again(screen: &Screen) {
    let mut driver = WindowDriver::open(screen, &["--digits"]);
    driver.wait("digits", |now| now["state"]["digits"]["done"] == 10);
    let before = driver.picture("x_t 1");
    driver.drag("brush: 2.5", [0.3, 0.5]);
    driver.drag("Erase from x0 1", [0.1, 0.9]);
    let erased = driver.wait("a region", |now| now["state"]["digits"]["erased"].as_u64() > Some(100));
    let erased = erased["state"]["digits"]["erased"].as_u64().expect("a number");
    driver.settle();
    driver.wait("digits", |now| now["state"]["digits"]["done"] == 10);
    let left = driver.picture("Erase more");
    let red = left.pixels().filter(|pixel| pixel.0[0] > pixel.0[1].saturating_add(20)).count();
    assert!(red * 10 > left.pixels().len(), "stripes where it is erased: {red}");
    // Above the brush's path each digit is as it was; on the path they differ.
    let band = |picture: &RgbImage, [top, bottom]: [f32; 2]| {
        let row = |part: f32| (picture.height() as f32 * part) as u32;
        image::imageops::crop_imm(picture, 0, row(top), picture.width(), row(bottom) - row(top)).to_image()
    };
    let [first, second] = ["x_t 1", "x_t 2"].map(|caption| driver.picture(caption));
    for digit in [&first, &second] {
        assert!(difference(&band(digit, [0.0, 0.2]), &band(&before, [0.0, 0.2])) < 0.01, "what is known stays");
    }
    let middle = [0.3, 0.7];
    assert!(difference(&band(&first, middle), &band(&second, middle)) > DIFFERENT, "each writes the rest by itself");
    // More is erased, and other noise writes it again.
    driver.drag("Erase more", [0.2, 0.25]);
    driver.key("n");
    driver.wait_for("seed", 2);
    driver.settle();
    driver.wait("digits", |now| now["state"]["digits"]["done"] == 10);
    assert!(driver.now()["state"]["digits"]["erased"].as_u64() >= Some(erased));
    assert!(difference(&band(&driver.picture("x_t 1"), middle), &band(&first, middle)) > DIFFERENT);
    driver.keep("erased.png");
    driver.click("Forget");
    driver.wait("no region", |now| now["state"]["digits"]["erased"].is_null());
    driver.key("r");
    driver.wait_for("seed", 1);
    driver.settle();
    driver.wait("digits", |now| now["state"]["digits"]["done"] == 10);
    assert!(difference(&driver.picture("x_t 1"), &before) < 0.01, "as at the beginning, to the pixel");
}

fn time_plays(screen: &Screen) {
    let mut driver = WindowDriver::open(screen, &[]);
    driver.settle();
    driver.key("space");
    driver.wait("frames", |now| now["state"]["frame_ms"].as_f64() > Some(0.0) && now["state"]["timestep"] != 400);
    std::thread::sleep(Duration::from_secs(5));
    let frame = driver.now()["state"]["frame_ms"].as_f64().expect("a number");
    println!("{frame:.1} ms a frame while the timestep plays, on {}", driver.now()["state"]["adapter"]);
    driver.key("space");
    driver.wait_for("playing", false);
    let still = driver.settle();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(driver.now()["state"]["timestep"], still["state"]["timestep"]);
}

fn the_window_takes_any_size(screen: &Screen) {
    let mut driver = WindowDriver::open(screen, &["--sampling"]);
    let window = screen.window("tweedie").to_string();
    for (width, height) in [(760, 520), (1400, 940), (1000, 980)] {
        screen.input(&["windowsize", &window, &width.to_string(), &height.to_string()]);
        for (key, view) in [("1", "Plane"), ("3", "Digits"), ("2", "Sampling")] {
            driver.key(key);
            driver.wait_for("view", view);
            driver.wait("the layout", |now| {
                let images = now["nodes"].as_array().into_iter().flatten().filter(|node| node["role"] == "Image");
                let ends: Vec<_> = images.map(|node| [&node["rect"][2], &node["rect"][3]].map(Value::as_f64)).collect();
                let [right, bottom] = [0, 1].map(|i| ends.iter().filter_map(|end| end[i]).fold(0.0, f64::max));
                right <= f64::from(width) && bottom <= f64::from(height) && right > 0.55 * f64::from(width)
            });
        }
        driver.settle();
        assert!(roughness(&driver.picture("x_t 1")) > 10.0, "noise at {width} x {height}");
    }
}
