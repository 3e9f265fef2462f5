//! A row for each op, storage, walk and card: its counts and predictions.

use crate::cards::CARDS;
use crate::counts::{ARITHMETIC, Kinds, Shader, VECTOR, passes, sum, waves};
use anyhow::{Context as _, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use tweedie_bench::ops::Op;

/// The counts of an op.
#[derive(Debug, Serialize)]
pub struct Row {
    pub op: String,
    pub storage: String,
    pub walk: String,
    pub family: String,
    /// Compiled for a device with 64-bit integers and 16-bit numbers.
    pub native: bool,
    pub kernels: Vec<String>,
    /// Vector instructions an element.
    pub valu: f64,
    /// f32 arithmetic among them, 32-bit products, and passes of the SIMD.
    pub arithmetic: f64,
    pub products: f64,
    pub passes: f64,
    pub vgprs: f64,
    pub waves: u32,
    pub spilled: f64,
    pub instructions: f64,
    pub code_bytes: f64,
    /// Loads and stores of all kernels, by width.
    pub memory: Kinds,
    /// Predicted time of arithmetic as a part of the time of memory, by card.
    pub ratios: BTreeMap<&'static str, f64>,
}

/// Kernels in addition to an op's own, whose work does not grow with the elements.
const BESIDE: [&str; 2] = ["fold_total", "gather_rows"];

/// Makes the rows of a card. `hot` are the shaders whose instructions are counted instead of those of the whole shaders.
pub fn of(
    family: &str,
    native: bool,
    all: &BTreeMap<String, Shader>,
    hot: &BTreeMap<String, Shader>,
) -> Result<Vec<Row>> {
    let mut groups: BTreeMap<[String; 3], Vec<&Shader>> = BTreeMap::new();
    for (name, shader) in all.iter().filter(|(name, _)| !BESIDE.iter().any(|beside| name.contains(beside))) {
        let mut parts = name.split('.');
        let mut part = || parts.next().map(str::to_owned).with_context(|| format!("the shader's name {name}"));
        groups.entry([part()?, part()?, part()?]).or_default().push(shader);
    }
    groups.into_iter().map(|(names, parts)| row(family, native, names, &parts, hot)).collect()
}

fn row(
    family: &str,
    native: bool,
    [op, storage, walk]: [String; 3],
    parts: &[&Shader],
    hot: &BTreeMap<String, Shader>,
) -> Result<Row> {
    let [reads, writes] = tensors(&op)?;
    let mut kinds = Kinds::new();
    for part in parts {
        for (kind, count) in hot.get(&part.shader).unwrap_or(part).per_element() {
            *kinds.entry(kind).or_default() += count;
        }
    }
    // The pass that writes 16 bits after a reduction reads its inputs once more.
    let moved = |part: &&&Shader| reads + if part.entry != "chunks" || parts.len() == 1 { writes } else { 0.0 };
    let moved = parts.iter().map(|part| moved(&part)).sum::<f64>() * if storage == "f32" { 4.0 } else { 2.0 };
    let conversions = if storage == "f16" { reads } else { 0.0 };
    let ratios = CARDS.iter().filter(|card| card.family == family);
    let ratios = ratios.map(|card| (card.name, rounded(card.memory / moved / card.elements(&kinds, conversions), 3)));
    let most = |name| parts.iter().map(|part| part.statistic(name)).fold(0.0, f64::max);
    let all = |name| parts.iter().map(|part| part.statistic(name)).sum();
    let memory = |kind: &&String| kind.starts_with("load") || kind.starts_with("store");
    let memory = |part: &&Shader| part.kinds.clone().into_iter().filter(|(kind, _)| memory(&kind)).collect::<Vec<_>>();
    let mut widths = Kinds::new();
    for (kind, count) in parts.iter().flat_map(memory) {
        *widths.entry(kind).or_default() += count;
    }
    Ok(Row {
        kernels: parts.iter().map(|part| part.entry.clone()).collect(),
        valu: rounded(sum(&kinds, &VECTOR), 2),
        arithmetic: rounded(sum(&kinds, &ARITHMETIC), 2),
        products: rounded(sum(&kinds, &["int_mul"]), 2),
        passes: rounded(passes(&kinds), 2),
        vgprs: most("VGPRs"),
        waves: waves(family, most("VGPRs")),
        spilled: all("Spilled VGPRs") + all("Spilled SGPRs"),
        instructions: all("Instructions"),
        code_bytes: all("Code size"),
        memory: widths,
        ratios: ratios.collect(),
        family: family.to_owned(),
        op,
        storage,
        walk,
        native,
    })
}

/// The tensors that an op reads and writes.
fn tensors(op: &str) -> Result<[f64; 2]> {
    if op == "fill" {
        return Ok([0.0, 1.0]);
    }
    let op = Op::named(op).map_err(anyhow::Error::msg)?;
    Ok([op.reads as f64, op.writes as f64])
}

fn rounded(x: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (x * scale).round() / scale + 0.0 // no -0
}
