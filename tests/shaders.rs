//! Every WGSL that a plan can be made of, without a GPU: it is plain WebGPU, every backend of wgpu can write it, and
//! its uniform blocks lie as the host writes them.

#[expect(dead_code, reason = "the tests look at what is written, and keep no files")]
#[path = "../examples/shaders/written.rs"]
mod written;

use naga::{Module, TypeInner};
use std::collections::BTreeSet;
use tweedie::gpu::{ComposedShader, every_shader};

/// Invocations of a workgroup that every WebGPU device offers.
const MAX_INVOCATIONS: u32 = 256;

/// A tile of `walk/lanes.wgsl`: lanes, samples, lanes each.
type Tile = [f64; 3];

/// The tile for long samples, which is also the shader's default.
const LONG: Tile = [256.0, 1.0, 4.0];

/// The other end of what the host chooses: samples of one lane, of a few, and of one workgroup.
const SHORT: [Tile; 3] = [[1.0, 256.0, 1.0], [16.0, 16.0, 1.0], [256.0, 1.0, 1.0]];

/// `struct WindowParams` of `walk/window.wgsl` as a plan fills it: words, in this order.
const WINDOW: [&str; 16] = [
    "batch",
    "elements",
    "first_sample",
    "first_element",
    "rows",
    "timestep_offset",
    "timestep_stride",
    "nan_bits",
    "reports",
    "pitch",
    "limit",
    "delta",
    "runs",
    "groups",
    "run",
    "unused",
];

const WINDOW_BYTES: u32 = 4 * WINDOW.len() as u32;

/// The struct of each walk, which follows the window: words, in this order, and then a member `unused`. OpenGL's layout has no
/// `@size`, so each struct comes to [`WALK_BYTES`] by its members alone.
const WALKS: [(&str, &[&str]); 5] = [
    ("LanesParams", &["groups_y"]),
    ("FlatParams", &["groups_x", "total"]),
    ("PairsParams", &["groups_x", "first_sum", "factor"]),
    ("WordsParams", &["groups_x", "slots", "run", "contiguous", "lead", "lead_step", "word_mask"]),
    ("ChunksParams", &["groups_y", "chunks", "team", "digit_shift", "first_sum", "factor"]),
];

/// The bytes of the struct of each walk.
const WALK_BYTES: u32 = 32;

/// The tensors of each op, whose offset and stride follow in `struct Params`.
const TENSORS: [&[&str]; 7] = [
    &["conditional", "unconditional", "third", "fourth", "momentum"],
    &["conditional", "unconditional", "third", "fourth", "momentum", "guided", "next_momentum"],
    &["prediction", "learned", "x0", "in1", "gradient", "learned_gradient", "noise_out"],
    &["prediction", "in0", "in1", "gradient", "noise_out"],
    &["in0", "in1", "out0", "out1", "noise_out"],
    &["x", "conditional", "unconditional", "noise"],
    &[
        "x",
        "conditional",
        "unconditional",
        "noise",
        "learned",
        "mask",
        "known",
        "next",
        "x0",
        "input",
        "noise_out",
        "history",
    ],
];

/// `struct Key` of `walk/window.wgsl` as `NoiseKey` fills it, 32 bytes.
const KEY: [(&str, u32); 5] = [("seed", 0), ("stream", 8), ("channel", 12), ("sample", 16), ("perturbation", 24)];
const KEY_BYTES: u32 = 32;

/// The blocks of kernels that are not composed of an op and a walk: words in this order, and bytes.
const BLOCKS: [(&str, &[&str], u32); 12] = [
    (
        "FoldParams",
        &[
            "samples",
            "first_sample",
            "groups_x",
            "nan_bits",
            "team",
            "parts",
            "first_part",
            "first_result",
            "pitch",
            "factor",
            "rescale",
            "digit_shift",
            "rank",
            "last_rank",
            "fraction",
            "least",
            "most",
        ],
        80,
    ),
    (
        "RowParams",
        &["rows", "first_timestep", "table_rows", "width", "groups_x", "counts", "nan_bits", "runs", "groups"],
        48,
    ),
    ("TimestepParams", &["batch", "ends", "first", "whole", "groups_x", "block", "groups"], 32),
    ("CounterParams", &["count", "first"], 16),
    ("SourceParams", &["count", "first", "groups_x", "kind", "key", "", "call", "", "threads"], 48),
    (
        "PixelParams",
        &[
            "pixels",
            "total",
            "float_channels",
            "float_planar",
            "pixel_channels",
            "pixel_planar",
            "first_float",
            "first_word",
            "groups_x",
            "bits",
            "rounding",
            "least",
            "most",
            "step",
            "steps",
            "width",
        ],
        64,
    ),
    (
        "PreviewParams",
        &["width", "height", "channels", "edge", "cells", "row", "first", "first_word", "pitch", "groups_x"],
        64,
    ),
    ("PyramidParams", &["count", "height", "width", "source_height", "source_width", "groups_x", "sign"], 32),
    ("FinishParams", &["count", "length", "inner", "group", "groups_x", "clamped", "factor"], 32),
    ("MaskParams", &["elements", "total", "stride", "first", "groups_x", "threshold", "strength"], 32),
    ("ErrorParams", &["elements", "chunks", "samples", "groups_x", "rtol", "atol"], 32),
    (
        "ChooseParams",
        &[
            "samples",
            "order",
            "error_stride",
            "begins",
            "powers",
            "",
            "",
            "safety",
            "first_step",
            "words",
            "pitch",
            "told",
            "state",
        ],
        64,
    ),
];

/// A part of a row of the table: a `vec4<f32>`.
const ROW_BYTES: u32 = 16;

/// Distinct shaders.
fn shaders() -> BTreeSet<ComposedShader> {
    every_shader().into_iter().collect()
}

/// Checks everything that a shader must pass; the error says what is wrong.
fn check(shader: &ComposedShader, [x, y, each]: Tile) -> Result<(), String> {
    let (module, info) = written::validate(shader)?;
    if let Some(line) = directive(&shader.text).filter(|line| !shader.f16 || *line != "enable f16;") {
        return Err(format!("a directive: {line}"));
    }
    if let Some(ty) = wide_type(&module).filter(|_| !shader.int64 && !shader.f16) {
        return Err(format!("a type that not every device has: {ty}"));
    }
    check_layout(&module)?;
    let shared = f64::from(u8::from(y != 1.0));
    let overrides = [
        ("tile_x", x),
        ("tile_y", y),
        ("lanes_each", each),
        ("one_sample", 1.0 - shared),
        ("whole_tiles", 1.0 - shared),
        ("of_two", shared),
    ];
    let size = written::write(&module, &info, &overrides, shader)?.workgroup;
    if size.iter().product::<u32>() > MAX_INVOCATIONS {
        return Err(format!("a workgroup of {size:?}"));
    }
    Ok(())
}

/// The first `enable` or `requires`: what it names is not on every device.
fn directive(text: &str) -> Option<&str> {
    let is_directive = |line: &&str| matches!(line.split_whitespace().next(), Some("enable" | "requires"));
    text.lines().find(is_directive)
}

/// The first type with scalars that are neither 32 bits wide nor bools.
fn wide_type(module: &Module) -> Option<String> {
    let scalar = |inner: &TypeInner| match *inner {
        TypeInner::Scalar(scalar) | TypeInner::Atomic(scalar) => Some(scalar),
        TypeInner::Vector { scalar, .. } | TypeInner::Matrix { scalar, .. } => Some(scalar),
        _ => None,
    };
    let plain = |scalar: naga::Scalar| scalar == naga::Scalar::BOOL || scalar.width == 4;
    let mut types = module.types.iter().map(|(_, ty)| &ty.inner);
    types.find(|inner| scalar(inner).is_some_and(|scalar| !plain(scalar))).map(|inner| format!("{inner:?}"))
}

/// The fields of a struct of words, with their offsets. A word without a name is the second one of a pair.
fn words<'a>(names: &[&'a str]) -> Vec<(&'a str, u32)> {
    names.iter().copied().zip((0..).step_by(4)).filter(|(name, _)| !name.is_empty()).collect()
}

/// Checks that the blocks that the host fills lie as it writes them.
fn check_layout(module: &Module) -> Result<(), String> {
    let has = |name| module.types.iter().any(|(_, ty)| ty.name.as_deref() == Some(name));
    if let Some((name, fields, bytes)) = BLOCKS.into_iter().find(|(name, ..)| has(name)) {
        return check_struct(module, name, &words(fields), bytes);
    }
    check_struct(module, "WindowParams", &words(&WINDOW), WINDOW_BYTES)?;
    let walk = WALKS.into_iter().find(|(name, _)| has(name));
    let (name, fields) = walk.ok_or("no walk has parameters")?;
    let mut walk_fields = words(fields);
    // The rest is one vector of four words, of two, or a word.
    let used = 4 * fields.len() as u32;
    let alignment = if used <= 16 { 16 } else { 8 };
    walk_fields.push(("unused", if used <= 16 { 16 } else { used }));
    check_struct(module, name, &walk_fields, WALK_BYTES)?;
    let params = |tensors: &[&'static str]| {
        let first = WINDOW_BYTES + WALK_BYTES;
        let tensors = tensors.iter().copied().zip((first..).step_by(8));
        let members: Vec<_> = [("window", 0), ("walk", WINDOW_BYTES)].into_iter().chain(tensors).collect();
        let bytes = first + 8 * (members.len() as u32 - 2);
        check_struct(module, "Params", &members, bytes.next_multiple_of(alignment))
    };
    let tried: Vec<_> = TENSORS.into_iter().map(params).collect();
    if tried.iter().all(Result::is_err) {
        return Err(tried.into_iter().filter_map(Result::err).collect::<Vec<_>>().join("; "));
    }
    check_struct(module, "Key", &KEY, KEY_BYTES)?;
    let tables = module.global_variables.iter().filter(|(_, variable)| variable.name.as_deref() == Some("table"));
    for (_, table) in tables {
        let inner = &module.types[table.ty].inner;
        if !matches!(inner, TypeInner::Array { stride: ROW_BYTES, .. }) {
            return Err(format!("table: expected rows of {ROW_BYTES} bytes, found {inner:?}"));
        }
    }
    Ok(())
}

fn check_struct(module: &Module, name: &str, expected: &[(&str, u32)], bytes: u32) -> Result<(), String> {
    let ty = module.types.iter().map(|(_, ty)| ty).find(|ty| ty.name.as_deref() == Some(name));
    let Some(TypeInner::Struct { members, span }) = ty.map(|ty| &ty.inner) else {
        return Err(format!("no struct {name}"));
    };
    let found: Vec<_> = members.iter().map(|member| (member.name.as_deref().unwrap_or(""), member.offset)).collect();
    match found == expected && *span == bytes {
        true => Ok(()),
        false => Err(format!("{name}: expected {bytes} bytes of {expected:?}, found {span} of {found:?}")),
    }
}

#[test]
fn every_shader_is_plain_webgpu_and_every_backend_writes_it() {
    let shaders = shaders();
    assert!(shaders.len() > 100, "{} shaders", shaders.len());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let shaders: Vec<_> = shaders.iter().collect();
    std::thread::scope(|scope| {
        for part in shaders.chunks(shaders.len().div_ceil(threads)) {
            scope.spawn(move || {
                for shader in part {
                    let both = ["chunks", "flat_lanes"].contains(&shader.entry_point);
                    for tile in if both { &[LONG, SHORT[0]][..] } else { &[LONG] } {
                        check(shader, *tile).unwrap_or_else(|error| panic!("{}, {tile:?}: {error}", shader.name()));
                    }
                }
            });
        }
    });
}

#[test]
fn every_tile_is_within_the_limits() {
    let lanes = every_shader().swap_remove(0);
    assert_eq!(lanes.entry_point, "lanes");
    for tile in SHORT {
        assert_eq!(check(&lanes, tile), Ok(()), "{tile:?}");
    }
    assert!(check(&lanes, [256.0, 2.0, 1.0]).is_err(), "512 invocations");
}

#[test]
fn what_is_broken_is_rejected() {
    let good = every_shader().swap_remove(0);
    assert_eq!(check(&good, LONG), Ok(()));
    let swap = |from: &str, to: &str| good.text.replacen(from, to, 1);
    // A text, and a part of the error that it must give.
    let broken = [
        (swap("fn ", "function "), "expected global item"),
        (swap("return Row(coefficients(found, 0u), found.defined);", "return found;"), "declared return type"),
        (swap("read_write> out0", "read> out0"), "valid destination for a store"),
        (swap("@binding(2)", "@binding(0)"), "conflict with other resource"),
        (format!("enable f16;\n{}", good.text), "a directive"),
        (format!("{}\nfn wide(x: u64) -> u64 {{ return x; }}\n", good.text), "SHADER_INT64"),
        (swap("limit: f32,", "limit: f32, more: vec4<f32>,"), "WindowParams: expected 64 bytes"),
        (swap("pitch: u32,", "pitches: u32,"), "WindowParams: expected 64 bytes"),
        (swap("walk: LanesParams", "@size(48) walk: LanesParams"), "Params: expected 144 bytes"),
        (swap("groups_y: u32,", "groups_y: u32, more: u32,"), "LanesParams: expected 32 bytes"),
        (swap("    in1: vec2<u32>", "    more: vec2<u32>,\n    in1: vec2<u32>"), "Params: expected 144 bytes"),
        (swap("perturbation: vec2<f32>", "perturbation: vec4<f32>"), "Key: expected 32 bytes"),
        (swap("@workgroup_size(tile_x,", "@workgroup_size(tile_x * 2,"), "a workgroup of [512, 1, 1]"),
        (swap("override tile_y: u32", "override tile_z: u32"), "no definition in scope"),
    ];
    for (text, reason) in broken {
        assert_ne!(text, good.text, "{reason}: nothing was broken");
        let error = check(&ComposedShader { text, ..good.clone() }, LONG).expect_err(reason);
        assert!(error.contains(reason), "expected {reason}, found {error}");
    }
}

/// The most files in a folder of `shaders/`, so that a reader can take them in at a glance.
const MOST_FILES: usize = 10;

#[test]
fn every_file_says_what_it_expects_and_defines() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let paths = |folder: &std::path::Path| -> Vec<_> {
        let entries = std::fs::read_dir(folder).expect("a folder");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    };
    for folder in paths(&folder) {
        let files = paths(&folder);
        assert!(files.len() <= MOST_FILES, "{}: {} files", folder.display(), files.len());
        for file in files {
            let text = std::fs::read_to_string(&file).expect("a shader");
            let head: Vec<&str> = text.lines().take_while(|line| line.starts_with("//")).collect();
            let says = |what: &str| head.iter().any(|line| line.starts_with(&format!("// {what}")));
            assert!(says("Expects: ") && says("Defines"), "{}: expected a head that says so", file.display());
        }
    }
}
