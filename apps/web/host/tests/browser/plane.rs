//! The plane view and the sampling view: numbers against f64, pixels against numbers, and what each control does.

use crate::chromium::Outcome;
use crate::page::{PATIENCE, Page, QUIET, Test, ensure};
use image::imageops::{self, FilterType};
use pictures::Picture;
use pictures::test_card::test_card;
use serde_json::Value;
use tweedie::gpu::Map;
use tweedie::gpu::NoiseKey;
use tweedie::gpu::compare::Comparison;
use tweedie::{Quantity, Storage};

pub const TESTS: &[(&str, Test)] = &[
    ("plane::numbers_are_those_of_the_reference", numbers_are_those_of_the_reference),
    ("plane::pixels_are_the_numbers", pixels_are_the_numbers),
    ("plane::every_control_does_its_work", every_control_does_its_work),
    ("plane::keys_do_what_the_hints_say", keys_do_what_the_hints_say),
    ("plane::a_picture_can_be_dropped", a_picture_can_be_dropped),
    ("plane::nothing_is_computed_where_nothing_changes", nothing_is_computed_where_nothing_changes),
    ("plane::the_page_fits_small_and_dense_screens", the_page_fits_small_and_dense_screens),
    ("sampling::samples_end_on_what_the_denoiser_knows", samples_end_on_what_the_denoiser_knows),
];

/// The largest mean difference of a picture on the screen from its numbers, in steps of 255: both are resampled, each in
/// its own way. Another timestep, gain or figure is off by several times as much.
const SCREEN: f64 = 3.0;

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn numbers_are_those_of_the_reference(address: &str) -> Outcome {
    let mut page = Page::open(address)?;
    page.keep("web.png")?;
    for part in [0.02, 0.4, 0.97] {
        page.tab.click("#timestep", part)?;
        let account = page.account()?;
        hold_against_the_reference(&mut page, &account)?;
    }
    let first = page.tab.evaluate("tweedie.account().firstFrame")?;
    println!(
        "first frame after {:.0} ms; {}",
        first.as_f64().unwrap_or(f64::NAN),
        page.tab.evaluate("tweedie.account().adapter")?
    );
    let complaints = page.tab.complaints();
    ensure(complaints.is_empty(), || format!("the console says {complaints:?}"))
}

/// Compares `x_t`, the targets of epsilon and v, and x0 recovered from v with f64, from the page's own account of its choices.
fn hold_against_the_reference(page: &mut Page, account: &Value) -> Outcome {
    let name = account["schedule"].as_str().ok_or("no schedule")?;
    let recipe = scenes::schedules::recipe(name).ok_or("no recipe")?;
    let zero_terminal_snr = account["zeroTerminalSnr"] == true;
    let schedule = scenes::schedules::ScheduleChoice { recipe, zero_terminal_snr }.schedule().map_err(text)?;
    let t = account["timestep"].as_u64().ok_or("no timestep")? as u32;
    let seed = account["seed"].as_u64().ok_or("no seed")?;

    let x0: Vec<f64> = page.numbers("x0")?.into_iter().map(f64::from).collect();
    let noise = NoiseKey::seed(seed).reference(1, x0.len());
    for (column, quantity) in [(None, Quantity::Xt), (Some(0), Quantity::Epsilon), (Some(2), Quantity::V)] {
        let table = schedule.noising(Some(quantity)).map_err(text)?;
        let [_, exact] = Map::reference(&table, &[t], x0.len(), &x0, &noise);
        let found = page.numbers(&column.map_or_else(|| "x_t".to_owned(), |column| format!("target {column}")))?;
        let drawn = table.row(t as usize).map_or(0.0, |row| row[1][1].abs());
        let mut comparison = Comparison::new(Storage::F32).with_noise(drawn);
        comparison.add_all(&found, &exact);
        ensure(comparison.count == x0.len() as u64 && comparison.passes(), || {
            format!("{quantity} at timestep {t} is off by {} of its bound", comparison.worst_bound)
        })?;
    }
    // The conversion back to x0, from the page's own numbers.
    let table = schedule.conversion(Quantity::V, Quantity::X0, None).map_err(text)?;
    let [x_t, v] = [page.numbers("x_t")?, page.numbers("prediction 2")?];
    let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
    let [exact, _] = Map::reference(&table, &[t], x0.len(), &wide(&x_t), &wide(&v));
    let mut comparison = Comparison::new(Storage::F32);
    comparison.add_all(&page.numbers("recovered 2")?, &exact);
    ensure(comparison.passes(), || {
        format!("x0 from v at timestep {t} is off by {} of its bound", comparison.worst_bound)
    })
}

fn pixels_are_the_numbers(address: &str) -> Outcome {
    let mut page = Page::open(address)?;
    page.tab.click("#timestep", 0.3)?;
    let account = page.account()?;
    let [width, height] = [0, 1].map(|side| account["size"][side].as_u64().unwrap_or(0) as usize);
    // The figures in the order of the page: x0, x_t, three targets, three pictures that came back.
    for (figure, name) in [(0, "x0"), (1, "x_t"), (5, "recovered 0"), (7, "recovered 2")] {
        let picture = Picture::from_planar(width, height, page.numbers(name)?).map_err(text)?.to_rgb();
        let shown = page.shown(figure)?;
        let wanted = imageops::resize(&picture, shown.width(), shown.height(), FilterType::Triangle);
        let other = imageops::flip_horizontal(&wanted);
        let (off, control) = (difference(&shown, &wanted), difference(&shown, &other));
        ensure(off < SCREEN && control > 3.0 * SCREEN, || {
            format!("{name} on the screen differs by {off} of 255, and mirrored by {control}")
        })?;
    }
    Ok(())
}

/// The mean difference, smoothed: noise is resampled differently by everyone.
fn difference(a: &image::RgbImage, b: &image::RgbImage) -> f64 {
    let small = |image| imageops::resize(image, 32, 24, FilterType::Triangle);
    let (a, b) = (small(a), small(b));
    let sum: f64 = a.iter().zip(b.iter()).map(|(&a, &b)| (f64::from(a) - f64::from(b)).abs()).sum();
    sum / a.len() as f64
}

fn every_control_does_its_work(address: &str) -> Outcome {
    let mut page = Page::open(address)?;
    let mut x_t = page.numbers("x_t")?;
    let mut changed = |page: &mut Page, what: &str| -> Outcome {
        page.account()?;
        let now = page.numbers("x_t")?;
        ensure(now != x_t, || format!("{what}: x_t is the same"))?;
        x_t = now;
        Ok(())
    };
    page.tab.drag("#timestep", 0.4, 0.8)?;
    changed(&mut page, "timestep")?;
    let t = page.account()?["timestep"].as_f64().unwrap_or(0.0);
    ensure((700.0..900.0).contains(&t), || format!("the slider was dragged to timestep {t}"))?;
    page.tab.click("[data-do=another]", 0.5)?;
    changed(&mut page, "seed")?;
    // The next one of the menu is the same for a thousand timesteps.
    for other in ["linear-scaled", "scaled-linear"] {
        page.choose_next("schedule")?;
        page.tab.until(&format!("tweedie.account().schedule === {other:?}"), PATIENCE)?;
    }
    changed(&mut page, "schedule")?;
    page.tab.click("#zero", 0.5)?;
    changed(&mut page, "zero terminal SNR")?;

    // The error moves what comes back, not what is noised.
    let before = (page.numbers("recovered 0")?, page.account()?["errors"].clone());
    page.tab.click("#error", 0.9)?;
    let after = (page.account()?["errors"].clone(), page.numbers("recovered 0")?);
    ensure(before.0 != after.1 && before.1[0] == after.0[0] && before.1[1] != after.0[1], || "error".into())?;
    page.tab.click("#error", 0.0)?;
    let errors = page.account()?["errors"].clone();
    ensure(errors[3].as_f64().is_some_and(|rms| rms < 1e-4), || format!("without an error v gives {errors}"))?;

    // At zero terminal SNR epsilon says nothing about the picture, and the page says so.
    page.tab.click("#timestep", 0.97)?;
    page.tab.key("End")?; // the slider has the focus
    let account = page.account()?;
    ensure(
        account["timestep"] == 999 && account["determined"][0] == false && account["determined"][2] == true,
        || format!("at the end: {account}"),
    )?;
    let missing = page.tab.evaluate("document.querySelectorAll('figure.missing').length")?;
    ensure(missing == 1, || format!("{missing} figures are missing"))?;

    for (quantity, figures) in [(3, 10), (3, 8)] {
        page.tab.click(&format!("#shown-{quantity}"), 0.5)?;
        page.account()?;
        let found = page.tab.evaluate("document.querySelectorAll('figure[data-index]').length")?;
        ensure(found == figures, || format!("expected {figures} figures, found {found}"))?;
    }
    page.tab.click("[data-do=reset]", 0.5)?;
    let account = page.account()?;
    ensure(account["timestep"] == 400 && account["seed"] == 1, || format!("after a reset: {account}"))?;
    hold_against_the_reference(&mut page, &account)
}

fn keys_do_what_the_hints_say(address: &str) -> Outcome {
    let mut page = Page::open(address)?;
    for (key, what, value) in [
        ("ArrowRight", "timestep", 401),
        ("ArrowLeft", "timestep", 400),
        ("Home", "timestep", 0),
        ("End", "timestep", 999),
        ("n", "seed", 2),
        ("r", "seed", 1),
    ] {
        page.tab.key(key)?;
        page.tab.until(&format!("tweedie.account().{what} === {value}"), PATIENCE)?;
    }
    page.tab.key("2")?;
    page.tab.until("tweedie.account().view === 'sampling'", PATIENCE)?;
    page.tab.key("3")?;
    page.tab.until("tweedie.account().view === 'digits'", PATIENCE)?;
    page.tab.key("1")?;
    page.tab.until("tweedie.account().view === 'plane'", PATIENCE)?;
    page.tab.key(" ")?;
    page.tab.until("tweedie.account().playing && tweedie.account().timestep !== 400", PATIENCE)?;
    page.tab.key(" ")?;
    page.tab.until("!tweedie.account().playing", PATIENCE)
}

fn a_picture_can_be_dropped(address: &str) -> Outcome {
    let mut page = Page::open(address)?;
    let folder = tempfile::tempdir().map_err(text)?;
    let path = folder.path().join("small card.png");
    let card = test_card(200, 100);
    std::fs::write(&path, files::picture::png(&card.to_rgb()).map_err(text)?).map_err(text)?;
    page.tab.drop_file("#stage", &path)?;
    page.tab.until("tweedie.account().picture === 'small card.png'", PATIENCE)?;
    let account = page.account()?;
    ensure(account["size"][0] == 200 && account["size"][1] == 100, || format!("the size is {}", account["size"]))?;
    let expected = Picture::open(&path, 384, 288).map_err(text)?;
    ensure(page.numbers("x0")? == expected.data, || "other numbers than the tool reads".into())?;
    hold_against_the_reference(&mut page, &account)
}

fn nothing_is_computed_where_nothing_changes(address: &str) -> Outcome {
    let mut page = Page::open(address)?;
    let before = page.account()?;
    page.tab.click("figure[data-index='1'] .frame", 0.5)?; // selects, which is seen
    page.tab.until(&format!("tweedie.account().frames > {}", before["frames"]), PATIENCE)?;
    let after = page.account()?;
    let save = page.tab.evaluate("document.getElementById('save').disabled")?;
    ensure(after["dispatches"] == before["dispatches"] && save == false, || format!("{before} became {after}"))?;
    page.tab.click("#timestep", 0.9)?;
    let changed = page.account()?;
    ensure(changed["dispatches"].as_f64() > after["dispatches"].as_f64(), || "a change computes nothing".into())
}

fn the_page_fits_small_and_dense_screens(address: &str) -> Outcome {
    let mut page = Page::open(address)?;
    for (width, height, ratio) in [(1000, 700, 2.0), (420, 800, 1.0), (1920, 1080, 1.0)] {
        page.tab.resize(width, height, ratio)?;
        let sized = format!(
            "(() => {{ const c = document.getElementById('canvas'), r = c.getBoundingClientRect(); \
             return Math.abs(c.width - r.width * {ratio}) <= 1 && Math.abs(c.height - r.height * {ratio}) <= 1; }})()"
        );
        page.tab.until(&sized, PATIENCE)?;
        let wide = page.tab.evaluate("document.documentElement.scrollWidth <= innerWidth")?;
        ensure(wide == true, || format!("{width} x {height}: the page is wider than the window"))?;
        page.keep(&format!("web-{width}.png"))?;
    }
    Ok(())
}

fn samples_end_on_what_the_denoiser_knows(address: &str) -> Outcome {
    let mut page = Page::open(address)?;
    page.tab.key("2")?;
    page.tab.until("tweedie.account().view === 'sampling' && tweedie.account().done > 0", PATIENCE)?;
    page.tab.key("End")?;
    page.tab.until("tweedie.account().call > 0 && tweedie.account().done === tweedie.account().call", PATIENCE)?;
    let call = page.tab.evaluate("tweedie.account().call")?;
    let set = pictures::Set::open(&[], scenes::state::SIDE).map_err(text)?;
    for sample in 0..4 {
        let near = set.nearest(&page.numbers(&format!("sample {sample} {call}"))?);
        ensure(near.psnr > 30.0, || {
            format!("sample {sample} is {:.1} dB from {}", near.psnr, set.members[near.member].name)
        })?;
    }
    let noise = set.nearest(&page.numbers("sample 0 0")?);
    ensure(noise.psnr < 15.0, || format!("the first sample is {:.1} dB from a picture", noise.psnr))?;
    page.keep("web-sampling.png")?;
    page.tab.until(&QUIET.replace("a.errors.length > 0", "true"), PATIENCE)
}
