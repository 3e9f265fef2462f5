//! Every shader that tweedie composes, in every language that drivers take, for other compilers and for reading.
//!
//! `cargo run --example shaders -- DIR [DUMP]...` writes `DIR/wgsl/NAME.wgsl` and the same in SPIR-V, Metal's language and
//! HLSL, as wgpu's backends would, and `DIR/shaders.txt` with a line for each: its name, its entry point in HLSL, and its
//! workgroup size. A DUMP is a folder written by a run with `TWEEDIE_DUMP_WGSL`, whose shaders are added. No GPU is needed.
//! `xtask/scripts/shaders.sh` and `xtask/scripts/hlsl.sh` compile the files with other compilers.

mod written;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};
use tweedie::gpu::{ComposedShader, every_shader};

/// Values of the override constants: for long samples, and for samples that share a workgroup.
const CHOICES: [(&str, [(&str, f64); 6]); 2] = [
    (
        "",
        [
            ("tile_x", 256.0),
            ("tile_y", 1.0),
            ("lanes_each", 4.0),
            ("one_sample", 1.0),
            ("whole_tiles", 1.0),
            ("of_two", 0.0),
        ],
    ),
    (
        "_shared",
        [
            ("tile_x", 16.0),
            ("tile_y", 16.0),
            ("lanes_each", 1.0),
            ("one_sample", 0.0),
            ("whole_tiles", 0.0),
            ("of_two", 1.0),
        ],
    ),
];

/// The entry points that these values change much.
const CHOOSE: [&str; 2] = ["chunks", "flat_lanes"];

fn main() -> std::process::ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [folder, dumps @ ..] = &arguments[..] else {
        eprintln!("usage: cargo run --example shaders -- DIR [DUMP]...");
        return std::process::ExitCode::from(2);
    };
    match write_all(folder, dumps) {
        Ok(count) => println!("{count} shaders written to {}", folder.display()),
        Err(error) => {
            eprintln!("error: {error}");
            return std::process::ExitCode::FAILURE;
        }
    }
    std::process::ExitCode::SUCCESS
}

/// Writes each distinct shader, and returns their number.
fn write_all(folder: &Path, dumps: &[PathBuf]) -> Result<usize, String> {
    let mut shaders: BTreeSet<ComposedShader> = every_shader().into_iter().collect();
    for dump in dumps {
        let found = dumped(dump, &shaders).map_err(|error| format!("{}: {error}", dump.display()))?;
        shaders.extend(found);
    }
    let shaders: Vec<_> = shaders.iter().collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let parts: Vec<Result<String, String>> = std::thread::scope(|scope| {
        let parts = shaders.chunks(shaders.len().div_ceil(threads));
        let running: Vec<_> =
            parts.map(|part| scope.spawn(|| part.iter().map(|shader| write(folder, shader)).collect())).collect();
        running.into_iter().map(|part| part.join().unwrap_or_else(|_| Err("a thread failed".to_owned()))).collect()
    });
    let list: String = parts.into_iter().collect::<Result<_, _>>()?;
    save(folder.join("shaders.txt"), list.as_bytes())?;
    Ok(shaders.len())
}

/// Writes a shader in every language, and returns its lines of the list.
fn write(folder: &Path, shader: &ComposedShader) -> Result<String, String> {
    let name = shader.name();
    let failed = |error| format!("{name}: {error}");
    let (module, info) = written::validate(shader).map_err(failed)?;
    save(folder.join("wgsl").join(format!("{name}.wgsl")), shader.text.as_bytes())?;
    let choices = if CHOOSE.contains(&shader.entry_point) { &CHOICES[..] } else { &CHOICES[..1] };
    let mut lines = String::new();
    for (suffix, overrides) in choices {
        let written = written::write(&module, &info, overrides, shader).map_err(failed)?;
        for (language, bytes) in written.languages {
            save(folder.join(language.folder).join(format!("{name}{suffix}.{}", language.extension)), &bytes)?;
        }
        let [x, y, z] = written.workgroup;
        lines.push_str(&format!("{name}{suffix} {} {x}x{y}x{z}\n", written.hlsl_entry_point));
    }
    Ok(lines)
}

/// The shaders of a dump, `ENTRY_HASH.wgsl`; each must have the entry point of one of these kinds.
fn dumped(dump: &Path, kinds: &BTreeSet<ComposedShader>) -> io::Result<Vec<ComposedShader>> {
    let mut found = Vec::new();
    for file in fs::read_dir(dump)? {
        let path = file?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let entry_point = name.rsplit_once('_').map_or("", |(entry_point, _)| entry_point);
        let kind = kinds.iter().find(|kind| kind.entry_point == entry_point);
        let kind = kind.ok_or_else(|| io::Error::other(format!("{name} is not a shader of tweedie")))?;
        let text = fs::read_to_string(&path)?;
        found.push(ComposedShader {
            int64: text.contains("u64("),
            f16: text.starts_with("enable f16"),
            text,
            ..kind.clone()
        });
    }
    Ok(found)
}

fn save(path: PathBuf, bytes: &[u8]) -> Result<(), String> {
    let write = || -> io::Result<()> {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(&path, bytes)
    };
    write().map_err(|error| format!("{}: {error}", path.display()))
}
