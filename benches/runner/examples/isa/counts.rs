//! The rules by which instructions are counted.
//!
//! - A block of straight code runs once for each wave, a loop over lanes or words 4 times, the tree of a reduction twice with 15
//!   steps inside for one wave of four. Blocks behind a divergent `if` count in full, so the counts of flat and words are upper bounds.
//! - Branches that the bench never takes are left out (`shaders::COLD`); registers are those of the whole kernel.
//! - A vector instruction takes one pass of the SIMD, a 32-bit multiplication (low or high) 4, a 64-bit one 4, a 64-bit shift 2.

use serde::Deserialize;
use std::collections::BTreeMap;

/// Numbers of instructions by their kind.
pub type Kinds = BTreeMap<String, f64>;

/// Vector instructions.
pub const VECTOR: [&str; 17] = [
    "fp_fma",
    "fp_add_mul",
    "fp_other",
    "transcendental",
    "convert",
    "int_add",
    "int_logic",
    "int_shift",
    "int_mul",
    "int_wide",
    "int_64",
    "select_compare",
    "move",
    "lane",
    "packed",
    "double",
    "valu_other",
];

/// Vector instructions that are f32 arithmetic.
pub const ARITHMETIC: [&str; 2] = ["fp_fma", "fp_add_mul"];

/// The rounds of a loop over lanes or words.
const LANES: f64 = 4.0;
/// The rounds of a reduction's outer loop for one wave of four, and of both its loops.
const TREE: [f64; 2] = [2.0, 7.5];

/// A shader and what it was compiled to for a card: a line of the output of `isa.c`.
#[derive(Deserialize)]
pub struct Shader {
    pub shader: String,
    pub entry: String,
    pub statistics: BTreeMap<String, f64>,
    pub kinds: Kinds,
    blocks: Vec<Block>,
}

#[derive(Deserialize)]
struct Block {
    r#loop: Option<String>,
    depth: u32,
    kinds: Kinds,
}

impl Shader {
    /// Returns the instructions that a wave runs for an element, by kind.
    pub fn per_element(&self) -> Kinds {
        let of_tree = |block: &Block| {
            let same = |other: &&Block| other.r#loop == block.r#loop;
            block.depth > 1 || self.blocks.iter().filter(same).any(|other| other.kinds.contains_key("lds"))
        };
        let mut total = Kinds::new();
        for block in &self.blocks {
            let rounds = match (&block.r#loop, block.depth) {
                (None, _) => 1.0,
                (Some(_), 1) if of_tree(block) => TREE[0],
                (Some(_), _) if of_tree(block) => TREE[1],
                _ => LANES,
            };
            for (kind, count) in &block.kinds {
                *total.entry(kind.clone()).or_default() += rounds * count / self.elements();
            }
        }
        total
    }

    /// The elements of an invocation.
    fn elements(&self) -> f64 {
        let long = self.entry == "chunks" || self.entry == "lanes" && self.shader.contains(".lanes");
        if long { 16.0 } else { 4.0 }
    }

    /// One of the driver's own statistics.
    pub fn statistic(&self, name: &str) -> f64 {
        self.statistics.get(name).copied().unwrap_or(f64::NAN)
    }
}

/// The sum of some kinds.
pub fn sum(kinds: &Kinds, wanted: &[&str]) -> f64 {
    wanted.iter().filter_map(|kind| kinds.get(*kind)).sum()
}

/// Returns the passes of the SIMD that these instructions take.
pub fn passes(kinds: &Kinds) -> f64 {
    let of = |kind: &&str| match *kind {
        "int_mul" | "int_wide" => 4.0,
        "int_64" => 2.0,
        "double" => 16.0,
        _ => 1.0,
    };
    VECTOR.iter().map(|kind| of(kind) * sum(kinds, &[kind])).sum()
}

/// Returns the waves of 64 that a SIMD holds, from the registers of a lane. RADV's own number for a null device is wrong on RDNA.
pub fn waves(family: &str, registers: f64) -> u32 {
    let (all, most) = match family {
        "navi21" => (512, 16),
        "gfx1100" => (768, 16),
        _ => (256, 10),
    };
    (all / (registers as u32).max(1)).min(most)
}
