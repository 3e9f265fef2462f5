//! Help, `devices`, `demo`, `verify`.

use crate::support::{Folder, Run, objects, run};
use crate::{Needs, Test};
use image::{GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use serde_json::Value;
use tweedie::math::Model;

pub const TESTS: &[Test] = &[
    ("help_of_every_command", Needs::Nothing, help),
    ("no_command_is_told_what_there_is", Needs::Nothing, no_command),
    ("devices", Needs::Adapter, devices),
    ("an_unknown_backend", Needs::Nothing, unknown_backend),
    ("the_demo_on_its_own_picture", Needs::Adapter, demo_on_its_own_picture),
    ("the_demo_on_other_pictures", Needs::Adapter, demo_on_other_pictures),
    ("the_demo_with_digits", Needs::Adapter, demo_with_digits),
    ("the_demo_of_every_process", Needs::Adapter, demo_of_processes),
    ("the_demo_refuses_damaged_pictures", Needs::Nothing, demo_on_damaged_pictures),
    ("verify_passes", Needs::Adapter, verify_passes),
    ("verify_notices_a_wrong_coefficient", Needs::Adapter, verify_notices),
    ("verify_heeds_every_schedule_option", Needs::Adapter, verify_heeds_options),
    #[cfg(unix)]
    ("a_reader_that_left_is_no_error", Needs::Nothing, reader_that_left),
];

const SCHEDULE: [&str; 9] = [
    "--schedule",
    "--train-timesteps",
    "--beta-start",
    "--beta-end",
    "--sigmoid-start",
    "--sigmoid-end",
    "--sigmoid-tau",
    "--zero-terminal-snr",
    "--betas",
];

fn help() {
    let compute = ["--adapter", "--on", "--storage"];
    let commands: [(&str, &[&str], bool, bool); 18] = [
        ("devices", &["--backend"], false, false),
        ("schedule", &["--out", "--plot"], true, false),
        ("noise", &["--out", "--target", "--seed"], true, true),
        ("convert", &["--out", "--from", "--to", "--allow-undefined"], true, true),
        ("posterior", &["--out", "--from", "--allow-undefined"], true, true),
        ("loss", &["--out", "--kind", "--delta", "--weight", "--predicts", "--target", "--grad-of"], true, true),
        ("verify", &["--storage", "--wrong-coefficient", "--adapter"], true, false),
        ("study", &["--tensor", "--steps", "--out", "--seed", "--wrong-coefficient", "--adapter"], true, false),
        ("demo", &["--out", "--error", "--seed", "--no-digits"], true, true),
        ("sample", &["--sampler", "--steps", "--out", "--adapter"], true, false),
        ("samplers", &["--sampler", "--calls", "--wall", "--out", "--adapter"], false, false),
        ("replay", &["--sampler", "--run", "--config", "--out", "--force"], true, true),
        ("guide", &["--run", "--out", "--force"], false, true),
        ("grid", &["--run", "--model", "--scheduler", "--steps", "--out"], false, false),
        ("randn", &["--source", "--seed", "--shape", "--out"], false, false),
        ("preview", &["--model", "--format", "--tensor", "--out"], false, false),
        ("bench", &["--op", "--workload", "--adapter", "--compare", "--report"], false, false),
        ("list", &[], false, false),
    ];
    let all = run("--help");
    assert_eq!((all.code, all.stderr.as_str()), (Some(0), ""));
    assert!(all.stdout.contains("Exit codes"), "{}", all.stdout);
    for (command, own, schedule, computes) in commands {
        assert!(all.stdout.contains(command), "{command}");
        let Run { code, stdout, stderr } = run(&format!("{command} --help"));
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{command}");
        let of_schedule = if schedule { &SCHEDULE[..] } else { &[] };
        let of_compute = if computes { &compute[..] } else { &[] };
        for option in [own, of_schedule, of_compute, &["--json", "--help"]].concat() {
            assert!(stdout.contains(option), "{command} --help does not mention {option}");
        }
        assert_eq!(run(&format!("{command} -h")).code, Some(0), "{command}");
    }
    let version = run("--version");
    assert_eq!((version.code, version.stdout.trim()), (Some(0), concat!("tweedie ", env!("CARGO_PKG_VERSION"))));
}

fn no_command() {
    let Run { code, stdout, stderr } = run("");
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(stderr.contains("demo") && stderr.contains("Usage"), "{stderr}");
}

fn devices() {
    let Run { code, stdout, stderr } = run("devices");
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let json = run("devices --json");
    assert_eq!((json.code, json.stderr.as_str()), (Some(0), ""));
    let found = objects(&json.stdout);
    assert_eq!(found.len(), stdout.lines().count());
    for (index, (object, line)) in found.iter().zip(stdout.lines()).enumerate() {
        assert_eq!(object["index"], index);
        let name = object["name"].as_str().expect("a name");
        assert!(line.starts_with(&format!("{index}: {name}")), "{line}");
        assert!(object["max_storage_buffer_binding_size"].as_u64().is_some_and(|size| size >= 1 << 27), "{object}");
        let backend = object["backend"].as_str().expect("a backend");
        let of_backend = run(&format!("devices --json --backend {backend}"));
        assert!(objects(&of_backend.stdout).iter().all(|other| other["backend"] == *backend));
    }
}

fn unknown_backend() {
    run("devices --backend cuda").assert_one_line_error("devices", 2);
}

/// The filmstrip as pixels, after checks of its size and its colours.
#[track_caller]
fn filmstrip(folder: &Folder, out: &str) -> RgbImage {
    let bytes = std::fs::read(folder.path(out).join("filmstrip.png")).expect("a filmstrip");
    assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.len() > 10_000, "{} bytes", bytes.len());
    let image = image::load_from_memory(&bytes).expect("a picture").to_rgb8();
    // Eight columns and four rows, each picture large enough to be recognised.
    let (width, height) = image.dimensions();
    assert!((8 * 64..8 * 400).contains(&width) && (4 * 48..4 * 400).contains(&height), "{width} x {height}");
    let mut colours: Vec<[u8; 3]> = image.pixels().map(|pixel| pixel.0).collect();
    colours.sort_unstable();
    colours.dedup();
    assert!(colours.len() > 100, "only {} colours", colours.len());
    image
}

fn demo_on_its_own_picture() {
    let folder = Folder::new();
    let text = folder.succeeds("demo --out new/folder --no-digits");
    for word in ["x_t, noise drawn", "of bound", "epsilon", "x0", "v to x0", "256 x 192", "filmstrip.png"] {
        assert!(text.contains(word), "no {word} in: {text}");
    }
    assert!(!text.contains("FAILED"), "{text}");
    let (width, height) = filmstrip(&folder, "new/folder").dimensions();
    // Eight pictures fit side by side.
    assert!(width > 1000 && height > 400 && width > height, "{width} x {height}");
    let names: Vec<_> = std::fs::read_dir(folder.path("new/folder")).expect("the folder").collect();
    assert_eq!(names.len(), 1, "no temporary file is left");
}

fn demo_on_other_pictures() {
    let folder = Folder::new();
    let grey = GrayImage::from_fn(40, 30, |x, y| Luma([(x * 6 + y) as u8]));
    let clear = RgbaImage::from_fn(20, 50, |x, y| Rgba([(x * 12) as u8, (y * 5) as u8, 90, (y * 5) as u8]));
    clear.save(folder.path("clear.png")).expect("a picture");
    let tiny = RgbImage::from_fn(3, 2, |x, y| Rgb([(x * 100) as u8, (y * 200) as u8, 128]));
    tiny.save(folder.path("tiny.png")).expect("a picture");
    grey.save(folder.path("grey.jpg")).expect("a picture");
    for (name, options) in [
        ("clear.png", "--schedule cosine --seed 7"),
        ("tiny.png", "--schedule scaled-linear --zero-terminal-snr"),
        ("grey.jpg", "--storage f16 --error 0 --train-timesteps 10"),
    ] {
        let found = folder.objects(&format!("demo {name} --out {name}.out --json --no-digits {options}"));
        let (summary, checks) = found.split_last().expect("a summary");
        let path = summary["filmstrip"].as_str().expect("a path");
        assert!(path.ends_with("filmstrip.png") && summary["seconds"].as_f64().is_some_and(|s| s > 0.0));
        assert_eq!(checks.len(), 7);
        for check in checks {
            assert_eq!(check["passed"], true, "{name}: {check}");
            assert!(check["of_bound"].as_f64().is_some_and(|part| part <= 1.0), "{name}: {check}");
            assert!(check["op"].as_str().is_some_and(|op| !op.is_empty()), "{name}: {check}");
        }
        filmstrip(&folder, &format!("{name}.out"));
    }
}

/// A sheet large enough for a row for each class, with some white digits on much black.
fn demo_with_digits() {
    let folder = Folder::new();
    RgbImage::from_fn(3, 2, |x, y| Rgb([(x * 100) as u8, (y * 200) as u8, 128]))
        .save(folder.path("tiny.png"))
        .expect("a picture");
    let found = folder.objects("demo tiny.png --out demo --json");
    let (summary, checks) = found.split_last().expect("a summary");
    assert_eq!(checks.len(), 7);
    assert!(summary["digits"].as_str().is_some_and(|path| path.ends_with("digits.png")), "{summary}");
    assert!(summary["filmstrip"].is_string() && summary["seconds"].is_number(), "{summary}");
    let sheet = image::open(folder.path("demo").join("digits.png")).expect("a picture").to_rgb8();
    let (width, height) = sheet.dimensions();
    // Ten rows of three pictures of 96 pixels or more.
    assert!(height > 10 * 96 && width > 3 * 96, "{width} x {height}");
    let part = |wanted: fn(u8) -> bool| {
        let grey = sheet.pixels().filter(|pixel| pixel.0.iter().all(|&channel| wanted(channel))).count();
        grey as f64 / f64::from(width * height)
    };
    assert!(part(|channel| channel > 200) > 0.01 && part(|channel| channel < 40) > 0.3);
}

/// The checks pass for every process, whatever the scale of its noise.
fn demo_of_processes() {
    let folder = Folder::new();
    RgbImage::from_fn(3, 2, |x, y| Rgb([(x * 100) as u8, (y * 200) as u8, 128]))
        .save(folder.path("tiny.png"))
        .expect("a picture");
    for process in Model::PROCESSES.entries {
        let found = folder.objects(&format!("demo tiny.png --process {} --out demo --json --no-digits", process.name));
        assert_eq!(found.len(), 8, "{}", process.name);
        assert!(found[..7].iter().all(|check| check["passed"] == true), "{}: {found:?}", process.name);
    }
}

fn demo_on_damaged_pictures() {
    let folder = Folder::new();
    RgbImage::from_fn(30, 20, |x, y| Rgb([x as u8, y as u8, (x * y) as u8]))
        .save(folder.path("a.png"))
        .expect("a picture");
    let whole = std::fs::read(folder.path("a.png")).expect("the picture");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0xff;
    let mut huge = whole.clone();
    huge[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    for (name, bytes) in [
        ("half.png", &whole[..whole.len() / 2]),
        ("signature.png", &whole[..8]),
        ("flipped.png", &flipped),
        ("huge.png", &huge),
        ("empty.png", b""),
        ("text.png", b"this is no picture"),
    ] {
        folder.write(name, bytes);
        folder.refuses(&format!("demo {name} --out demo"), &[name]);
        assert!(!folder.path("demo").exists(), "{name}");
    }
    folder.refuses("demo missing.png --out demo", &["missing.png", "no such file"]);
    folder.refuses("demo . --out demo", &["directory"]);
    folder.refuses("demo a.png --out a.png", &["a.png"]);
    folder.refuses("demo --error=-1 --out demo", &["--error"]);
    folder.refuses("demo --error nan --out demo", &["--error"]);
    folder.refuses("demo --on cpu --out demo", &["--on cpu"]);
}

fn verify_passes() {
    let Run { code, stdout, stderr } = run("verify --storage bf16 --schedule linear");
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    let last = stdout.lines().last().expect("a verdict");
    assert!(last.starts_with("all ") && last.contains("checks passed"), "{last}");
    let json = run("verify --storage bf16 --train-timesteps 3 --json");
    assert_eq!((json.code, json.stderr.as_str()), (Some(0), ""));
    for check in objects(&json.stdout) {
        assert_eq!((&check["passed"], &check["storage"]), (&Value::from(true), &Value::from("bf16")), "{check}");
        assert!(check["elements"].as_u64().is_some_and(|count| count > 1000), "{check}");
    }
}

fn verify_notices() {
    let Run { code, stdout, stderr } = run("verify --wrong-coefficient --storage f32 --schedule linear");
    assert_eq!(code, Some(1), "{stderr}");
    let checks = stdout.lines().filter(|line| line.ends_with("FAILED")).count();
    assert!(checks > 20 && !stdout.contains("passed"), "{stdout}");
    assert_eq!(stderr, format!("error: {checks} of {checks} checks exceed their bounds\n"));
}

/// An option that is silently ignored would let users believe that they have checked what was never run.
fn verify_heeds_options() {
    let Run { code, stdout, stderr } = run("verify --storage bf16 --beta-end 0.05");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(!stdout.contains("cosine"), "--beta-end is ignored, and three other schedules are checked");
}

#[cfg(unix)]
fn reader_that_left() {
    use std::process::{Command, Stdio};
    for (line, code) in [("--help", 0), ("schedule", 0), ("schedule --json", 0), ("schedule --json --betas nowhere", 2)]
    {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tweedie"))
            .args(line.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the tool starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("the tool ends");
        assert!(output.stderr.is_empty(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{line}");
    }
}
