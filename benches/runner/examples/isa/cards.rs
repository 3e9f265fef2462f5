//! A model of cards: the ratio of the time of arithmetic to the time of memory. Above 1 an op is bound by arithmetic.
//!
//! - AMD: a wave of 64 is two passes of 32 lanes (RDNA) or four of 16 (GCN); reciprocals and roots run in a unit of their own.
//! - NVIDIA: f32 add, mul and fma 128 lanes a clock and SM, everything else 64, roots 16, and 128 in all. The two halves of a
//!   product count as two of 64; moves and 64-bit shifts are the AMD driver's own and do not count. An f16 input counts as a
//!   conversion.
//! - Apple: cycles that philipturner/metal-benchmarks measured on an M1.
//! - Intel Xe-LP: 8 lanes a clock and EU, low product 3, high product 6, root 4.
//! - Memory: every tensor once, at the nominal rate. Real kernels reach some 90 % of the memory rate and 80 % of the issue rate, so
//!   that arithmetic may be the bound from a ratio of about 0.7 on. For cards of other makers the instructions of gfx1100 are used.

use crate::counts::{ARITHMETIC, Kinds, VECTOR, passes, sum};

/// A card of the model.
pub struct Card {
    pub name: &'static str,
    kind: Kind,
    /// Compute units, SMs, cores or EUs.
    units: f64,
    /// SIMDs or lanes of a unit.
    width: f64,
    gigahertz: f64,
    /// Gigabytes a second.
    pub memory: f64,
    /// The family whose instructions are used for it.
    pub family: &'static str,
}

enum Kind {
    Rdna,
    Gcn,
    Nvidia,
    Apple,
    Intel,
}

pub const CARDS: [Card; 8] = [
    card("RX 6800", Kind::Rdna, [60.0, 2.0, 2.1, 512.0], "navi21"),
    card("RX 7900 XTX", Kind::Rdna, [96.0, 2.0, 2.4, 960.0], "gfx1100"),
    card("RX Vega 64", Kind::Gcn, [64.0, 4.0, 1.5, 484.0], "vega10"),
    card("H100", Kind::Nvidia, [132.0, 128.0, 1.7, 3350.0], "gfx1100"),
    card("H200", Kind::Nvidia, [132.0, 128.0, 1.7, 4800.0], "gfx1100"),
    card("RTX 4090", Kind::Nvidia, [128.0, 128.0, 2.5, 1008.0], "gfx1100"),
    card("Apple M2", Kind::Apple, [10.0, 128.0, 1.4, 100.0], "gfx1100"),
    card("Intel Xe 96", Kind::Intel, [96.0, 8.0, 1.35, 68.0], "gfx1100"),
];

const fn card(
    name: &'static str,
    kind: Kind,
    [units, width, gigahertz, memory]: [f64; 4],
    family: &'static str,
) -> Card {
    Card { name, kind, units, width, gigahertz, memory, family }
}

impl Card {
    /// Elements in a nanosecond by arithmetic alone; `conversions` is the number of those from f16 for an element, on cards where
    /// they are instructions.
    pub fn elements(&self, kinds: &Kinds, conversions: f64) -> f64 {
        let (rate, get) = (self.units * self.gigahertz, |names: &[&str]| sum(kinds, names));
        let plain = ["fp_other", "int_add"];
        match self.kind {
            Kind::Rdna | Kind::Gcn => {
                let lanes = if matches!(self.kind, Kind::Rdna) { 32.0 } else { 16.0 };
                rate * self.width * lanes / passes(kinds).max(4.0 * get(&["transcendental"]))
            }
            Kind::Nvidia => {
                let (arithmetic, root) = (get(&ARITHMETIC), get(&["transcendental"]));
                let other = get(&VECTOR) - arithmetic - root - get(&["move", "int_64", "lane"]) + conversions;
                let moves = |kind: &&String| ["load", "store", "lds"].iter().any(|start| kind.starts_with(start));
                let memory: f64 = kinds.iter().filter(|(kind, _)| moves(kind)).map(|(_, count)| count).sum();
                let issued = (arithmetic + other + root + memory) / 128.0;
                rate / issued.max(other / 64.0).max(root / 16.0)
            }
            Kind::Apple => {
                let cost = get(&ARITHMETIC)
                    + get(&plain)
                    + 1.3 * get(&["int_logic"])
                    + 4.0 * get(&["int_shift", "convert"])
                    + 6.0 * get(&["int_mul"])
                    + 8.0 * get(&["int_wide", "transcendental"])
                    + 0.5 * get(&["select_compare"])
                    + get(&["packed", "valu_other"]);
                rate * self.width / cost
            }
            Kind::Intel => {
                let cost = get(&ARITHMETIC)
                    + get(&plain)
                    + get(&["int_shift", "convert", "select_compare", "packed", "valu_other"])
                    + 1.3 * get(&["int_logic"])
                    + 4.5 * get(&["int_mul"])
                    + 6.0 * get(&["int_wide"])
                    + 4.0 * get(&["transcendental"]);
                rate * self.width / cost
            }
        }
    }
}
