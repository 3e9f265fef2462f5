//! The instructions of the benchmark's shaders on AMD cards, without having any, against their budgets: `xtask/scripts/isa.sh`.
//!
//! Composes the shaders of every op, storage and walk on wgpu's noop backend, hands them to `isa.c` for each card, counts by the
//! rules of `counts`, predicts ratios of arithmetic to memory by the model of `cards`, and writes all of it as JSON.

mod budgets;
mod cards;
mod counts;
mod rows;
mod shaders;

use anyhow::{Context as _, Result, anyhow, ensure};
use counts::Shader;
use rows::Row;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs, thread};

/// The cards that are compiled for: RDNA 2, RDNA 3 and GCN 5.
const FAMILIES: [&str; 3] = ["navi21", "gfx1100", "vega10"];

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (folder, write) = match &arguments[..] {
        [folder] => (PathBuf::from(folder), false),
        [folder, flag] if flag == "--write" => (PathBuf::from(folder), true),
        _ => {
            eprintln!("usage: isa FOLDER [--write]");
            return Ok(ExitCode::from(2));
        }
    };
    let mesa = tool(&folder, FAMILIES[0], &["--driver".to_owned()])?.trim().trim_start_matches("Mesa ").to_owned();
    println!("tools: RADV, Mesa {mesa}, for {}", FAMILIES.join(", "));
    let mut rows = Vec::new();
    for (name, native) in [("native", true), ("words", false)] {
        let spirv = folder.join("spirv").join(name);
        let _ = fs::remove_dir_all(&spirv);
        shaders::write_all(&spirv, native)?;
        let (folder, spirv) = (&folder, &spirv);
        let of = |family| {
            let [all, hot] = [spirv.clone(), spirv.join(shaders::HOT)].map(|spirv| compiled(folder, family, &spirv));
            rows::of(family, native, &all?, &hot?)
        };
        let found = thread::scope(|scope| {
            let running = FAMILIES.map(|family| scope.spawn(move || of(family)));
            running.map(|family| family.join().unwrap_or_else(|_| Err(anyhow!("a thread failed"))))
        });
        for family in found {
            rows.extend(family?);
        }
    }
    let text = serde_json::to_string(&rows)?.replace("},{\"op\"", "},\n{\"op\"");
    fs::write(folder.join("counts.json"), text + "\n")?;
    if write {
        budgets::write(&mesa, &rows)?;
    }
    verdict(&mesa, &rows)
}

/// Prints which ops need more than their budgets. Budgets are for one version of the driver; with another, none fails.
fn verdict(mesa: &str, rows: &[Row]) -> Result<ExitCode> {
    let budgets = budgets::read()?;
    let over = budgets.exceeded(rows)?;
    over.iter().for_each(|line| println!("{line}"));
    let known = budgets.mesa == mesa;
    let note =
        if known { String::new() } else { format!(" (budgets are those of Mesa {}: nothing fails)", budgets.mesa) };
    println!("{} counts on {} cards, {} over budget{note}", rows.len(), FAMILIES.len(), over.len());
    Ok(if known && !over.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Compiles every shader of a folder for a card; returns the results by name.
fn compiled(folder: &Path, family: &str, spirv: &Path) -> Result<BTreeMap<String, Shader>> {
    let mut files: Vec<String> = Vec::new();
    for file in fs::read_dir(spirv)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "spv") {
            files.push(path.to_string_lossy().into_owned());
        }
    }
    files.sort();
    let assembly = folder.join("assembly").to_string_lossy().into_owned();
    let text = tool(folder, family, &[vec!["--asm".to_owned(), assembly], files].concat())?;
    let lines = text.lines().map(|line| Ok(serde_json::from_str::<Shader>(line)?));
    lines.map(|shader| shader.map(|shader| (shader.shader.clone(), shader))).collect()
}

/// Runs the program of `isa.c`, and returns its output.
fn tool(folder: &Path, family: &str, arguments: &[String]) -> Result<String> {
    let path = folder.join("isa");
    let mut command = Command::new(&path);
    let output = command.args(arguments).env("RADV_FORCE_FAMILY", family).output();
    let output = output.with_context(|| path.display().to_string())?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
