//! Files that cannot be used: one line that names the mistake, code 2, and nothing is touched.

use crate::support::{Folder, OUT};
use crate::tensors::Tensors;
use crate::{Needs, Test};
use safetensors::Dtype;
use std::fs;
use tweedie::gpu::NoiseKey;

pub const TESTS: &[Test] = &[
    ("no_safetensors_file", Needs::Nothing, no_safetensors_file),
    ("truncated_files", Needs::Nothing, truncated),
    ("headers_that_lie", Needs::Nothing, lying_headers),
    ("missing_tensors", Needs::Nothing, missing_tensors),
    ("shapes_that_do_not_match", Needs::Nothing, shapes),
    ("values_that_are_not_finite", Needs::Nothing, not_finite),
    ("timesteps", Needs::Nothing, timesteps),
    ("types", Needs::Nothing, types),
    ("files_of_betas", Needs::Nothing, betas),
    ("names_that_nobody_knows", Needs::Nothing, unknown_names),
    ("verify_refuses_bad_schedules", Needs::Nothing, verify_refuses),
    ("an_unknown_adapter", Needs::Adapter, unknown_adapter),
    ("outputs_that_cannot_be_written", Needs::Nothing, unwritable),
    ("a_plot_that_cannot_be_written_spares_the_tables", Needs::Nothing, two_outputs),
    ("coefficients_beyond_f32", Needs::Adapter, beyond_f32),
    ("values_beyond_the_storage", Needs::Adapter, beyond_storage),
    ("refused_before_an_adapter_is_opened", Needs::Adapter, refused_on_the_gpu_too),
    ("damaged_bytes_never_panic", Needs::Nothing, fuzz),
];

const NOISE: &str = "noise in.safetensors --on cpu --out out.safetensors";
const CONVERT: &str = "convert in.safetensors --from v --to x0 --on cpu --out out.safetensors";
const POSTERIOR: &str = "posterior in.safetensors --from v --on cpu --out out.safetensors";
const ALL: [&str; 3] = [NOISE, CONVERT, POSTERIOR];

const VALUES: [f64; 6] = [0.5, -1.0, 0.25, 0.0, 1.0, -0.75];

/// Tensors of floats that the commands read.
const READ: [(&str, &str); 6] = [
    (NOISE, "x0"),
    (NOISE, "eps"),
    (CONVERT, "x_t"),
    (CONVERT, "prediction"),
    (POSTERIOR, "x_t"),
    (POSTERIOR, "prediction"),
];

fn good() -> Tensors {
    let t = Tensors::default().with("t", Dtype::I64, &[2], &[0.0, 999.0]);
    READ.iter().fold(t, |tensors, (_, name)| tensors.with(name, Dtype::F32, &[2, 3], &VALUES))
}

/// A file with this header, followed by these bytes.
fn raw(header: impl AsRef<[u8]>, data: &[u8]) -> Vec<u8> {
    let header = header.as_ref();
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header, data].concat()
}

fn no_safetensors_file() {
    let folder = Folder::new();
    for line in ALL {
        folder.refuses(line, &["in.safetensors", "no such file"]);
    }
    fs::create_dir(folder.path("in.safetensors")).expect("a folder");
    for line in ALL {
        folder.refuses(line, &["in.safetensors", "directory"]);
    }
    fs::remove_dir(folder.path("in.safetensors")).expect("an empty folder");
    for (bytes, word) in [
        (&b""[..], "empty"),
        (b"\x00", "1 bytes"),
        (b"garbage", "7 bytes"),
        (b"\x89PNG\r\n\x1a\n and so on, for a while", "another format"),
        (&[0xff; 4096], "another format"),
        (&[0; 4096], "safetensors"),
        (b"{\"x0\": [1, 2, 3]}", "another format"),
    ] {
        folder.write("in.safetensors", bytes);
        for line in ALL {
            folder.refuses(line, &["in.safetensors", "expected", "found", word]);
        }
    }
}

fn truncated() {
    let folder = Folder::with(&good());
    let whole = good().bytes();
    folder.output(NOISE);
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().expect("8 bytes")) as usize;
    for length in [1, 7, 8, 9, header / 2, header - 1, header, header + 1, whole.len() - 1] {
        folder.write("in.safetensors", &whole[..length]);
        folder.refuses(NOISE, &["in.safetensors", "expected", "found"]);
    }
    folder.write("in.safetensors", &whole[..whole.len() - 4]);
    folder.refuses(CONVERT, &["truncated", &format!("{} bytes", whole.len()), &format!("{}", whole.len() - 4)]);
    folder.write("in.safetensors", &[&whole[..], b"more"].concat());
    folder.refuses(CONVERT, &["follows the last tensor"]);
}

fn lying_headers() {
    let folder = Folder::new();
    for length in [1 << 60, u64::MAX, u64::MAX - 7, 1 << 40, 100_000_001] {
        folder.write("in.safetensors", &[&u64::to_le_bytes(length)[..], b"{}      "].concat());
        folder.refuses(NOISE, &["in.safetensors", &length.to_string()]);
    }
    let x0 = |shape: &str, from: u64, to: u64| {
        format!(r#"{{"x0":{{"dtype":"F32","shape":{shape},"data_offsets":[{from},{to}]}}}}"#)
    };
    let two = |first: &str, second: &str| {
        let x0 = format!(r#""x0":{{"dtype":"F32","shape":[2],"data_offsets":{first}}}"#);
        format!(r#"{{{x0},"t":{{"dtype":"I64","shape":[1],"data_offsets":{second}}}}}"#)
    };
    for header in [
        x0("[2,3]", 0, 8),                             // fewer bytes than the shape says
        x0("[1]", 0, 16),                              // more
        x0("[4294967296,4294967296]", 0, 16),          // a product beyond 64 bits
        x0("[18446744073709551615,2]", 0, 16),         //
        x0("[1000000000000]", 0, 4_000_000_000_000),   // 4 TB
        x0("[4]", 8, 24),                              // beyond the end
        x0("[4]", 16, 0),                              // backwards
        x0("[-4]", 0, 16),                             //
        x0("[4]", 0, 16).replace("F32", "F31"),        // no such type
        x0("[4]", 0, 16).replace("[0,16]", "[0,1e1]"), //
        x0("[4]", 0, 16).replace("shape", "shaped"),   //
        two("[0,8]", "[0,8]"),                         // overlapping, and a rest
        two("[0,8]", "[4,12]"),                        // overlapping
        two("[0,8]", "[8,17]"),                        // out of range
        two("[0,8]", "[9,16]"),                        // a gap
        two("[8,16]", "[8,16]"),                       //
        "[]".to_owned(),
        "null".to_owned(),
        "{".to_owned(),
        r#"{"x0":null}"#.to_owned(),
        r#"{"x0":{}}"#.to_owned(),
        r#"{"x0":7,"t":[]}"#.to_owned(),
        "\u{0}".to_owned(),
        "[".repeat(100_000), // a stack of brackets
        format!(r#"{{"x0":{}"#, r#"{"a":"#.repeat(100_000)),
    ] {
        folder.write("in.safetensors", &raw(&header, &[0; 16]));
        folder.refuses(NOISE, &["in.safetensors", "expected"]);
    }
    // Not UTF-8, and a name that would break the line.
    let bytes = raw(b"{\"x0\xff", &[0; 16]);
    folder.write("in.safetensors", &bytes);
    folder.refuses(NOISE, &["in.safetensors"]);
    let odd = r#"{"a\nb\u001b[31m":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#;
    folder.write("in.safetensors", &raw(odd, &[0; 16]));
    folder.refuses(NOISE, &["`x0`", "found `a\\nb"]);
}

fn missing_tensors() {
    let folder = Folder::new();
    for (line, names) in
        [(NOISE, &["x0", "t"][..]), (CONVERT, &["x_t", "prediction", "t"]), (POSTERIOR, &["x_t", "prediction", "t"])]
    {
        for name in names {
            let words = ["in.safetensors", &format!("expected a tensor `{name}`"), "found", "`eps`"];
            folder.refuses_input(&good().without(name), line, &words);
        }
        folder.refuses_input(&Tensors::default(), line, &["in.safetensors", "found no tensor at all"]);
    }
}

fn shapes() {
    let folder = Folder::new();
    for (line, name, like) in [(NOISE, "eps", "x0"), (CONVERT, "prediction", "x_t"), (POSTERIOR, "prediction", "x_t")] {
        for (shape, count) in [(&[3, 2][..], 6), (&[2, 2], 4), (&[6], 6), (&[2, 3, 1], 6), (&[1, 3], 3)] {
            let input = good().with(name, Dtype::F32, shape, &VALUES[..count]);
            let [name, like, found] = [format!("`{name}`"), format!("`{like}`"), format!("found {shape:?}")];
            folder.refuses_input(&input, line, &[&name, &like, "expected shape [2, 3]", &found]);
        }
    }
    for (line, name) in READ {
        let (with, quoted) = (|shape, values| good().with(name, Dtype::F32, shape, values), format!("`{name}`"));
        for shape in [&[0, 3][..], &[2, 0], &[0], &[2, 3, 0]] {
            folder.refuses_input(&with(shape, &[]), line, &[&quoted, &format!("found shape {shape:?}")]);
        }
        folder.refuses_input(&with(&[], &[1.0]), line, &[&quoted, "expected at least one dimension", "rank 0"]);
    }
}

fn not_finite() {
    let folder = Folder::new();
    for (line, name) in READ {
        for dtype in [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::BF16] {
            for (value, word) in [(f64::NAN, "NaN"), (f64::INFINITY, "infinity"), (f64::NEG_INFINITY, "infinity")] {
                let mut values = VALUES;
                values[4] = value;
                let words = ["in.safetensors", &format!("`{name}`"), word, "sample 1", "element 1"];
                folder.refuses_input(&good().with(name, dtype, &[2, 3], &values), line, &words);
            }
        }
    }
}

fn timesteps() {
    let folder = Folder::new();
    let with = |dtype, shape: &[usize], t: &[f64]| good().with("t", dtype, shape, t);
    for line in ALL {
        for (dtype, t, words) in [
            (Dtype::I64, [0.0, 1000.0], &["`t`", "0..1000", "found 1000", "sample 1"][..]),
            (Dtype::I32, [-1.0, 0.0], &["`t`", "0..1000", "found -1", "sample 0"]),
            (Dtype::I64, [0.0, 4_294_967_296.0], &["found 4294967296"]),
            (Dtype::I64, [i64::MIN as f64, 0.0], &["found -9223372036854775808"]),
            (Dtype::U32, [0.0, f64::from(u32::MAX)], &["found 4294967295"]),
        ] {
            folder.refuses_input(&with(dtype, &[2], &t), line, words);
        }
        for (shape, found) in [(&[3][..], "3"), (&[1], "1"), (&[0], "0"), (&[], "shape []"), (&[2, 1], "shape [2, 1]")]
        {
            let t = with(Dtype::I64, shape, &vec![0.0; shape.iter().product()]);
            folder.refuses_input(&t, line, &["`t`", "expected 2 timesteps", &format!("found {found}")]);
        }
        for dtype in [Dtype::F32, Dtype::F64, Dtype::F16] {
            for (t, found) in
                [([0.0, 999.5], "sample 1"), ([-0.5, 0.0], "found -0.5 at sample 0"), ([0.5, 1000.0], "found 1000")]
            {
                let words = ["in.safetensors", "`t`", "a timestep", found];
                folder.refuses_input(&with(dtype, &[2], &t), line, &words);
            }
            folder.refuses_input(&with(dtype, &[2], &[0.0, f64::NAN]), line, &["`t` holds NaN"]);
            let short = with(dtype, &[3], &[0.0; 3]);
            folder.refuses_input(&short, line, &["`t`", "expected 2 timesteps", "found shape [3]"]);
        }
        // The schedule determines the largest timestep.
        let t = with(Dtype::I64, &[2], &[0.0, 50.0]);
        folder.refuses_input(&t, &format!("{line} --train-timesteps 50"), &["0..50", "found 50"]);
        folder.output(&format!("{line} --train-timesteps 51"));
    }
}

fn types() {
    let folder = Folder::new();
    for (line, name) in READ {
        for dtype in [Dtype::I64, Dtype::I32, Dtype::U32] {
            let words = [&format!("`{name}`"), "expected F64, F32, F16 or BF16", &format!("found {dtype}")];
            folder.refuses_input(&good().with(name, dtype, &[2, 3], &[1.0; 6]), line, &words);
        }
    }
    let header = r#"{"x0":{"dtype":"U8","shape":[2,8],"data_offsets":[0,16]}}"#;
    folder.write("in.safetensors", &raw(header, &[0; 16]));
    folder.refuses(NOISE, &["`x0`", "expected F64, F32, F16 or BF16", "found U8"]);
}

fn betas() {
    let folder = Folder::with(&good());
    let lines = [
        "schedule --betas betas.safetensors --out out.safetensors".to_owned(),
        format!("{NOISE} --betas betas.safetensors"),
        format!("{POSTERIOR} --betas betas.safetensors"),
        format!("{CONVERT} --schedule custom --betas betas.safetensors"),
    ];
    let refuse = |words: &[&str]| {
        for line in &lines {
            folder.refuses(line, words);
        }
    };
    refuse(&["betas.safetensors", "no such file"]);
    folder.write("betas.safetensors", b"0.1 0.2 0.3 and so on");
    refuse(&["betas.safetensors", "another format"]);
    let with = |name: &str, dtype, shape: &[usize], values: &[f64]| {
        Tensors::default().with(name, dtype, shape, values).save(&folder.path("betas.safetensors"));
    };
    with("gammas", Dtype::F64, &[2], &[0.1, 0.2]);
    refuse(&["expected a tensor `betas`", "found `gammas`"]);
    for (dtype, shape, values, words) in [
        (Dtype::F64, &[3][..], &[0.1, -0.1, 0.2][..], &["beta", "1", "-0.1"][..]),
        (Dtype::F64, &[3], &[0.1, 1.5, 0.2], &["beta", "1", "1.5"]),
        (Dtype::F64, &[3], &[0.1, -1e-9, 0.2], &["beta", "1", "-1e-9"]),
        (Dtype::F64, &[3], &[0.1, f64::NAN, 0.2], &["`betas`", "NaN", "sample 1"]),
        (Dtype::F32, &[2], &[0.1, f64::INFINITY], &["`betas`", "infinity"]),
        (Dtype::F64, &[2, 2], &[0.1; 4], &["`betas`", "one dimension", "[2, 2]"]),
        (Dtype::F64, &[0], &[], &["`betas`", "[0]"]),
        (Dtype::F64, &[], &[0.1], &["`betas`", "rank 0"]),
        (Dtype::I64, &[2], &[0.0, 1.0], &["`betas`", "I64"]),
    ] {
        with("betas", dtype, shape, values);
        refuse(words);
    }
    with("betas", Dtype::F64, &[3], &[0.1, 0.2, 0.3]);
    folder.refuses(&format!("{} --train-timesteps 4", lines[0]), &["--train-timesteps 4", "3"]);
    folder.refuses(&format!("{} --schedule cosine", lines[0]), &["--schedule cosine", "--betas"]);
    folder.refuses("schedule --schedule custom --out out.safetensors", &["--betas"]);
    folder.refuses(&lines[1], &["`t`", "0..3", "found 999"]);
    for (wrong, word) in [(-0.5, "-0.5"), (1.5, "1.5")] {
        with("alphas_cumprod", Dtype::F64, &[2], &[0.9, wrong]);
        refuse(&["alphas_cumprod", word]);
    }
}

const BAD_SCHEDULES: [&str; 12] = [
    "--train-timesteps 0",
    "--train-timesteps 99999999",
    "--beta-start -0.1",
    "--beta-end 1.5",
    "--beta-end nan",
    "--beta-start many",
    "--sigmoid-tau 2",
    "--schedule cosine --beta-end 0.1",
    "--schedule sigmoid-abar --sigmoid-tau 0",
    "--schedule sigmoid-abar --sigmoid-start 4",
    "--train-timesteps 1 --zero-terminal-snr",
    "--schedule linear-scaled --train-timesteps 3",
];

/// Bad schedule options are refused even if no schedule is named: an option that is silently ignored would seem to have an effect.
fn verify_refuses() {
    let folder = Folder::new();
    for options in BAD_SCHEDULES {
        folder.refuses(&format!("verify --storage bf16 {options}"), &[]);
    }
    folder.refuses("verify --storage bf16,f8", &["f8"]);
}

fn unknown_names() {
    let folder = Folder::with(&good());
    folder.refuses(&format!("{NOISE} --schedule plms"), &["plms", "squaredcos_cap_v2"]);
    folder.refuses(&format!("{NOISE} --target pixels"), &["pixels", "epsilon"]);
    folder.refuses(&format!("{NOISE} --storage f8"), &["f8", "bf16"]);
    folder.refuses(&format!("noise in.safetensors --on tpu --out {OUT}"), &["tpu", "cpu"]);
    folder.refuses(&format!("{NOISE} --on cpu"), &["--on", "multiple times"]);
    folder.refuses(&format!("{NOISE} --seed -1"), &["-1"]);
    folder.refuses(&format!("{NOISE} --seeds 1"), &["--seeds"]);
    let convert = "convert in.safetensors --on cpu --out out.safetensors";
    folder.refuses(&format!("{convert} --from pixels --to x0"), &["pixels", "epsilon"]);
    folder.refuses(&format!("{convert} --from v --to x0,pixels"), &["pixels", "epsilon"]);
    for (list, first, second) in
        [("x0,x0", "x0", "x0"), ("eps,x0,epsilon", "eps", "epsilon"), ("v,v-prediction", "v", "v-prediction")]
    {
        folder.refuses(&format!("{convert} --from v --to {list}"), &[&format!("`{first}`"), &format!("`{second}`")]);
    }
    folder.refuses(&format!("{convert} --from v --to x0,"), &["--to"]);
    folder.refuses(&format!("{convert} --from v"), &["--to"]);
    folder.refuses(&format!("{convert} --to v"), &["--from"]);
    folder.refuses("convert in.safetensors --from v --to x0 --on cpu", &["--out"]);
    folder.refuses("noises in.safetensors", &["noises"]);
    for options in BAD_SCHEDULES {
        folder.refuses(&format!("{NOISE} {options}"), &[]);
        folder.refuses(&format!("schedule {options} --out out.safetensors"), &[]);
    }
}

fn unknown_adapter() {
    let folder = Folder::with(&good());
    let noise = "noise in.safetensors --out out.safetensors";
    for adapter in ["no-such-adapter", "99", "-1", "0x0"] {
        folder.refuses(&format!("{noise} --adapter={adapter}"), &["--adapter", adapter]);
    }
    folder.refuses("verify --adapter no-such-adapter", &["--adapter", "no-such-adapter"]);
    folder.refuses("demo --adapter no-such-adapter --out demo", &["--adapter", "no-such-adapter"]);
}

fn unwritable() {
    let folder = Folder::with(&good());
    fs::create_dir(folder.path("folder")).expect("a folder");
    for command in [
        "noise in.safetensors --on cpu",
        "convert in.safetensors --from v --to x0 --on cpu",
        "posterior in.safetensors --from v --on cpu",
        "schedule",
    ] {
        folder.refuses(&format!("{command} --out missing/out.safetensors"), &["missing", "does not exist"]);
        folder.refuses(&format!("{command} --out folder"), &["folder", "directory"]);
        folder.refuses(&format!("{command} --out ."), &["directory"]);
        folder.refuses(&format!("{command} --out in.safetensors/out.safetensors"), &["not a directory"]);
        folder.refuses(&format!("{command} --out="), &["--out"]);
    }
    folder.refuses("schedule --plot missing/plot.svg", &["missing", "does not exist"]);
    folder.refuses("schedule --plot folder", &["folder", "directory"]);
    assert!(fs::read_dir(folder.path("folder")).expect("the folder").next().is_none());
    assert_eq!(Tensors::load(&folder.path("in.safetensors")), good());
    read_only(&folder);
}

/// A folder into which nothing may be written. The check is skipped for the superuser, who may write anyway.
#[cfg(unix)]
fn read_only(folder: &Folder) {
    use std::os::unix::fs::PermissionsExt;
    let set = |mode| fs::set_permissions(folder.path("folder"), fs::Permissions::from_mode(mode)).expect("a mode");
    set(0o555);
    if fs::write(folder.path("folder/probe"), b"").is_err() {
        folder.refuses("schedule --out folder/out.safetensors", &["folder/out.safetensors"]);
    }
    set(0o755);
}

#[cfg(not(unix))]
fn read_only(_: &Folder) {}

/// Two outputs belong together: they must be different files, and if one cannot be written, the other is left as it was.
fn two_outputs() {
    let folder = Folder::new();
    folder.refuses(&format!("schedule --out {OUT} --plot {OUT}"), &["--plot"]);
    folder.refuses(&format!("schedule --out {OUT} --plot missing/plot.svg"), &["missing"]);
}

/// A score needs `1/sigma`, and this sigma is beyond f32: the options are wrong, not the adapter.
fn beyond_f32() {
    let folder = Folder::with(&good());
    let line = format!("noise in.safetensors --target score --beta-start 1e-90 --out {OUT}");
    folder.refuses(&line, &["does not fit f32"]);
}

/// A finite number that the storage cannot hold is refused: it would become infinity or NaN without a reason given.
fn beyond_storage() {
    let folder = Folder::new();
    for (value, storage) in [(1e300, "f32"), (1e300, "bf16"), (1e5, "f16"), (-1e39, "f32")] {
        let values = [0.5, value, 0.25, 0.0, 1.0, -0.75];
        for (command, name) in
            [("noise in.safetensors --target v", "x0"), ("convert in.safetensors --from v --to x0", "prediction")]
        {
            let words = [&format!("`{name}`")[..], storage, "sample 0", "element 1"];
            let line = format!("{command} --storage {storage} --out {OUT}");
            folder.refuses_input(&good().with(name, Dtype::F64, &[2, 3], &values), &line, &words);
            folder.output(&format!("{command} --on cpu --out {OUT}"));
        }
    }
}

fn refused_on_the_gpu_too() {
    let folder = Folder::new();
    let noise = format!("noise in.safetensors --out {OUT}");
    folder.refuses(&noise, &["no such file"]);
    folder.refuses_input(&good().with("x0", Dtype::F32, &[2, 3], &[f64::NAN; 6]), &noise, &["`x0`", "NaN"]);
    good().save(&folder.path("in.safetensors"));
    folder.refuses("noise in.safetensors --out missing/out.safetensors", &["missing"]);
    folder.refuses("noise in.safetensors --out .", &["directory"]);
}

/// Random numbers for the damage, which are the same in every run of the test.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 += 1;
        NoiseKey::seed(0x5eed).words_of(0, self.0)[0] as usize % n
    }
}

fn damage(dice: &mut Dice, mut bytes: Vec<u8>) -> Vec<u8> {
    // In half of the cases the damage is in the first bytes, where the header is.
    let reach = if dice.below(2) == 0 { bytes.len() } else { bytes.len().min(400) };
    match dice.below(4) {
        0 => bytes.truncate(dice.below(reach)),
        1 => {
            let at = dice.below(reach);
            bytes.insert(at, dice.below(256) as u8);
        }
        _ => {
            for _ in 0..=dice.below(3) {
                let at = dice.below(reach);
                bytes[at] ^= 1 << dice.below(8);
            }
        }
    }
    bytes
}

fn fuzz() {
    let folder = Folder::new();
    let whole = good().bytes();
    let mut dice = Dice(0);
    let mut refused = 0;
    for round in 0..300 {
        let bytes = damage(&mut dice, whole.clone());
        folder.write("in.safetensors", &bytes);
        folder.write(OUT, b"old");
        let line = ALL[round % 3];
        let run = folder.run(line);
        let written = fs::read(folder.path(OUT)).expect("the output");
        match run.code {
            Some(0) => {
                Tensors::load(&folder.path(OUT));
            }
            Some(2) => {
                refused += 1;
                run.assert_one_line_error(&format!("round {round}: {line}"), 2);
                assert_eq!(written, b"old", "round {round}");
            }
            code => panic!("round {round}: {line} ended with {code:?}: {}", run.stderr),
        }
        assert!(!run.stderr.contains("panicked"), "round {round}: {}", run.stderr);
        assert_eq!(folder.names(), ["in.safetensors", OUT], "round {round}");
    }
    assert!((50..290).contains(&refused), "{refused} of 300 were refused: the damage is too weak or too strong");
}
