//! The text between an op and a plan's tensors: bindings, loads and stores, and the op's inputs and outputs.

use crate::gpu::shader::bindings::{SCALES_BINDING, SCRATCH_BINDING, SLOT_BINDING, access};
use crate::gpu::shader::op::{Op, Part, Slot, step};
use crate::gpu::shader::params::VECTORS;
use crate::gpu::shader::variant::{Draw, Operand, Variant, Walk};
use crate::gpu::storage::Storage;
use std::fmt::Write as _;

/// A kernel whose text is written.
pub(crate) struct Access<'a> {
    pub variant: &'a Variant,
    /// Whether lanes are loaded and stored 8 bytes at once.
    pub wide: bool,
}

/// Writing to a String cannot fail.
macro_rules! line {
    ($text:expr, $($format:tt)*) => { let _ = writeln!($text, $($format)*); };
}

impl Access<'_> {
    fn slots(&self) -> impl Iterator<Item = (usize, &'static Slot)> + '_ {
        self.variant.op.slots().iter().enumerate()
    }

    fn inputs(&self) -> impl Iterator<Item = (usize, &'static Slot)> + '_ {
        self.slots().filter(|(_, slot)| slot.is_input())
    }

    fn outputs(&self) -> impl Iterator<Item = (usize, &'static Slot)> + '_ {
        self.slots().filter(|(_, slot)| slot.is_output())
    }

    fn present(&self, slot: usize) -> bool {
        self.variant.operand(slot) != Operand::Absent
    }

    /// How many clean samples are remembered.
    fn depth(&self) -> u32 {
        self.variant.step().depth
    }

    /// What the op's text needs before it.
    pub fn declarations(&self, text: &mut String) {
        line!(text, "struct Params {{\n    window: Window,");
        for (_, slot) in self.slots() {
            line!(text, "    {}: vec2<u32>, // offset and stride: in lanes of 4, or in elements", slot.name);
        }
        line!(text, "}}\n@group(0) @binding(0) var<uniform> params: Params;");
        line!(text, "struct Inputs {{");
        for (_, slot) in self.inputs() {
            line!(text, "    {}: vec4<f32>,", slot.name);
        }
        if matches!(self.variant.op, Op::Step(_)) {
            line!(text, "    past0: vec4<f32>, // the clean samples of the last three steps, latest first");
            line!(text, "    past1: vec4<f32>,\n    past2: vec4<f32>,");
        }
        line!(text, "}}");
        let outputs = self.output_fields();
        if !outputs.is_empty() {
            line!(text, "struct Outputs {{");
            outputs.iter().for_each(|name| {
                line!(text, "    {name}: vec4<f32>,");
            });
            line!(text, "}}");
        }
        self.numbers_of_samples(text);
    }

    /// What was found for each sample before, and what is found now.
    fn numbers_of_samples(&self, text: &mut String) {
        let op = self.variant.op;
        if op.scaled() && self.variant.scales_uniform {
            line!(text, "@group(0) @binding({SCALES_BINDING}) var<uniform> scales: array<vec4<f32>, {VECTORS}>;");
            text.push_str(include_str!("../../../shaders/scales_uniform.wgsl"));
        } else if op.scaled() {
            line!(text, "@group(0) @binding({SCALES_BINDING}) var<storage, read> scales: array<vec2<f32>>;");
        }
        if matches!(op, Op::Step(_) | Op::Spread | Op::Histogram { .. }) && !self.variant.scales_uniform {
            let scales = if op.scaled() { "scales[params.window.first_sample + sample]" } else { "vec2<f32>(1.0)" };
            line!(text, "fn scales_of(sample: u32) -> vec2<f32> {{ return {scales}; }}");
        }
        if self.variant.walk.reduces() {
            let part = if matches!(op, Op::Histogram { .. }) { "atomic<u32>" } else { "Sum" };
            line!(text, "@group(0) @binding({SCRATCH_BINDING}) var<storage, read_write> scratch: array<{part}>;");
        }
    }

    /// What follows the op's text.
    pub fn functions(&self, text: &mut String) {
        for (index, slot) in self.slots() {
            if let Operand::Binding { storage, writable } = self.variant.operand(index) {
                let (binding, access, element) = (SLOT_BINDING + index as u32, access(writable), self.element(storage));
                line!(text, "@group(0) @binding({binding}) var<storage, {access}> {}: array<{element}>;", slot.name);
            }
            match slot.part {
                Part::Input | Part::OptionalInput(_) => self.load(text, index),
                Part::Output => self.store(text, index),
                Part::Memory => {
                    self.load(text, index);
                    if self.variant.walk != Walk::Words {
                        self.store(text, index);
                    }
                }
            }
        }
        match self.variant.walk {
            Walk::Words => self.element_functions(text),
            _ => self.lane_functions(text),
        }
        if self.variant.walk.crosses_samples() {
            self.lane_of_two(text);
        }
    }

    /// What each of the two samples of a lane may see of its inputs, and what is written of both.
    fn lane_of_two(&self, text: &mut String) {
        line!(text, "fn seen(needed: u32, all: Inputs) -> Inputs {{\n    var v = all;");
        for (_, slot) in self.inputs().filter(|(index, _)| self.present(*index)) {
            if let (Part::OptionalInput(bit), name) = (slot.part, slot.name) {
                line!(text, "    if ((needed & {bit}u) == 0u) {{\n        v.{name} = vec4<f32>(0.0);\n    }}");
            }
        }
        for back in 0..self.depth() {
            let bit = step::PAST << back;
            line!(text, "    if ((needed & {bit}u) == 0u) {{\n        v.past{back} = vec4<f32>(0.0);\n    }}");
        }
        line!(text, "    return v;\n}}");
        let merged: Vec<_> =
            self.output_fields().iter().map(|name| format!("select(a.{name}, b.{name}, take)")).collect();
        line!(
            text,
            "fn merged(a: Outputs, b: Outputs, take: vec4<bool>) -> Outputs {{\n    return Outputs({});\n}}",
            merged.join(", ")
        );
    }

    fn output_fields(&self) -> Vec<&'static str> {
        let raw = matches!(self.variant.op, Op::Step(_)).then_some("raw");
        self.outputs().map(|(_, slot)| slot.name).chain(raw).collect()
    }

    /// Where a sample begins in each tensor; reading and writing a lane.
    fn lane_functions(&self, text: &mut String) {
        let present: Vec<_> =
            self.slots().filter(|(index, _)| self.present(*index)).map(|(_, slot)| slot.name).collect();
        line!(text, "struct Bases {{");
        present.iter().for_each(|name| {
            line!(text, "    {name}: u32,");
        });
        let bases: Vec<_> = present.iter().map(|name| format!("params.{name}.x + sample * params.{name}.y")).collect();
        line!(text, "}}\nfn bases_of(sample: u32) -> Bases {{\n    return Bases({});\n}}", bases.join(", "));
        line!(text, "fn read_lane(row: Row, needed: u32, bases: Bases, lane: u32, z: vec4<f32>) -> Inputs {{");
        self.read_body(text, "z", |name, past| match self.variant.walk {
            Walk::UnalignedChunks => format!("gather_{name}(bases.{name}, elements_of(lane))"),
            _ => format!("load_{name}(bases.{name} + lane{past})"),
        });
        line!(text, "}}");
        if self.variant.walk.reduces() && self.variant.walk != Walk::Pairs {
            self.write_chunk_lane(text);
            return;
        }
        line!(text, "fn write_lane(row: Row, bases: Bases, lane: u32, out: Outputs) {{");
        for (_, slot) in self.outputs().filter(|(index, _)| self.present(*index)) {
            line!(text, "    store_{0}(bases.{0} + lane, out.{0});", slot.name);
        }
        if self.depth() > 0 {
            line!(
                text,
                "    store_history(bases.history + place_of_past(row, 0u) * params.window.pitch + lane, out.x0);"
            );
        }
        if self.variant.step().health {
            line!(text, "    observe(row, out, vec4<bool>(true));");
        }
        line!(text, "}}");
    }

    /// What a reduction writes of the elements themselves.
    fn write_chunk_lane(&self, text: &mut String) {
        line!(text, "fn write_chunk_lane(row: Row, bases: Bases, lane: u32, v: Inputs, inside: vec4<bool>) {{");
        let mut outputs = self.outputs().filter(|(index, _)| self.present(*index)).peekable();
        if outputs.peek().is_some() {
            line!(text, "    let out = op(row, v);");
        }
        for (_, slot) in outputs {
            let (place, end) =
                if self.variant.walk == Walk::UnalignedChunks { ("lane * 4u", ", inside") } else { ("lane", "") };
            line!(text, "    store_{0}(bases.{0} + {place}, out.{0}{end});", slot.name);
        }
        line!(text, "}}");
    }

    /// Reading an element, and writing two that may share words.
    fn element_functions(&self, text: &mut String) {
        line!(text, "fn read_element(row: Row, needed: u32, sample: u32, element: u32, z: f32) -> Inputs {{");
        self.read_body(text, "vec4<f32>(z)", |name, past| {
            format!("vec4<f32>(load_{name}(params.{name}.x + sample * params.{name}.y + element{past}))")
        });
        line!(text, "}}\nfn keep_element(row: Row, sample: u32, element: u32, out: Outputs) {{");
        if self.depth() > 0 {
            line!(
                text,
                "    let i = params.history.x + sample * params.history.y + element;\n    \
                 history[i + place_of_past(row, 0u) * params.window.pitch] = bitcast<u32>(out.x0.x);"
            );
        }
        if self.variant.step().health {
            line!(text, "    observe(row, out, vec4<bool>(true, false, false, false));");
        }
        line!(text, "}}\nfn write_pair(a: Place, first: Outputs, b: Place, second: Outputs) {{");
        for (_, slot) in self.outputs().filter(|(index, _)| self.present(*index)) {
            let name = slot.name;
            let value = |place: &str, out: &str| {
                format!(
                    "params.{name}.x + {place}.sample * params.{name}.y + {place}.element, {out}.{name}.x, {place}.inside"
                )
            };
            line!(text, "    store_{name}({}, {});", value("a", "first"), value("b", "second"));
        }
        line!(text, "}}");
    }

    fn read_body(&self, text: &mut String, drawn: &str, load: impl Fn(&str, &str) -> String) {
        line!(text, "    var v: Inputs;");
        let noise = self.variant.op.noise();
        for (index, slot) in self.inputs() {
            let name = slot.name;
            if index == noise && self.variant.draw != Draw::No {
                line!(text, "    v.{name} = {drawn};");
                continue;
            }
            if !self.present(index) {
                continue;
            }
            let value = load(name, "");
            match slot.part {
                Part::OptionalInput(bit) => {
                    line!(text, "    if ((needed & {bit}u) != 0u) {{\n        v.{name} = {value};\n    }}");
                }
                _ => {
                    line!(text, "    v.{name} = {value};");
                }
            }
        }
        for back in 0..self.depth() {
            let value = load("history", &format!(" + place_of_past(row, {}u) * params.window.pitch", back + 1));
            let bit = step::PAST << back;
            line!(text, "    if ((needed & {bit}u) != 0u) {{\n        v.past{back} = {value};\n    }}");
        }
        line!(text, "    return v;");
    }

    fn element(&self, storage: Storage) -> &'static str {
        match (self.variant.walk, storage) {
            (Walk::Words | Walk::UnalignedChunks, _) => "u32",
            (_, Storage::F32) if self.wide => "vec2<u64>",
            (_, Storage::F32) => "vec4<f32>",
            _ if self.wide => "u64",
            _ => "vec2<u32>",
        }
    }

    fn load(&self, text: &mut String, index: usize) {
        let slots = self.variant.op.slots();
        let (from, storage) = match self.variant.operand(index) {
            Operand::Absent => return,
            Operand::Binding { storage, .. } => (slots[index].name, storage),
            Operand::InPlace { storage, output } => (slots[output].name, storage),
        };
        let lanes = self.variant.walk.unit() == 4;
        let (value, body) = match (lanes, storage) {
            (true, Storage::F32) if self.wide => {
                let halves = ["x", "y"].map(|part| format!("u32(w.{part}), u32(w.{part} >> 32u)")).join(", ");
                ("vec4<f32>", format!("let w = {from}[i]; return bitcast<vec4<f32>>(vec4<u32>({halves}));"))
            }
            (true, Storage::F32) => ("vec4<f32>", format!("return {from}[i];")),
            (false, Storage::F32) => ("f32", format!("return bitcast<f32>({from}[i]);")),
            (true, _) => {
                let [x, y] = if self.wide { ["u32(w)", "u32(w >> 32u)"] } else { ["w.x", "w.y"] };
                let unpacked = format!("vec4<f32>(unpack_{storage}({x}), unpack_{storage}({y}))");
                ("vec4<f32>", format!("let w = {from}[i]; return {unpacked};"))
            }
            (false, _) => {
                ("f32", format!("let v = unpack_{storage}({from}[i >> 1u]); return select(v.x, v.y, (i & 1u) == 1u);"))
            }
        };
        let name = slots[index].name;
        line!(text, "fn load_{name}(i: u32) -> {value} {{ {body} }}");
        if self.variant.walk == Walk::UnalignedChunks {
            let four = ["x", "y", "z", "w"].map(|part| format!("load_{name}(base + i.{part})")).join(", ");
            line!(text, "fn gather_{name}(base: u32, i: vec4<u32>) -> vec4<f32> {{ return vec4<f32>({four}); }}");
        }
    }

    fn store(&self, text: &mut String, index: usize) {
        let name = self.variant.op.slots()[index].name;
        let Operand::Binding { storage, .. } = self.variant.operand(index) else { return };
        match (self.variant.walk, storage) {
            (Walk::Words, storage) => store_pair(text, name, storage),
            // In 16 bits two samples may share a word, so those are written by another walk.
            (Walk::UnalignedChunks, _) => {
                line!(text, "fn store_{name}(i: u32, v: vec4<f32>, inside: vec4<bool>) {{");
                for (place, part) in ["x", "y", "z", "w"].into_iter().enumerate() {
                    line!(text, "    if (inside.{part}) {{ {name}[i + {place}u] = bitcast<u32>(v.{part}); }}");
                }
                line!(text, "}}");
            }
            (_, storage) => {
                let joined = |low: &str, high: &str| format!("(u64({low}) | (u64({high}) << 32u))");
                let bits = |part: &str| format!("bitcast<u32>(v.{part})");
                let packed = |parts: &str| format!("pack_{storage}(v.{parts})");
                let value = match (storage, self.wide) {
                    (Storage::F32, false) => "v".to_owned(),
                    (Storage::F32, true) => {
                        format!("vec2<u64>({}, {})", joined(&bits("x"), &bits("y")), joined(&bits("z"), &bits("w")))
                    }
                    (_, false) => format!("vec2<u32>({}, {})", packed("xy"), packed("zw")),
                    (_, true) => joined(&packed("xy"), &packed("zw")),
                };
                line!(text, "fn store_{name}(i: u32, v: vec4<f32>) {{ {name}[i] = {value}; }}");
            }
        }
    }
}

/// Two elements that may share a word.
fn store_pair(text: &mut String, name: &str, storage: Storage) {
    let body = if storage == Storage::F32 {
        format!(
            "    if (a_inside) {{ {name}[a] = bitcast<u32>(a_value); }}\n    \
                 if (b_inside) {{ {name}[b] = bitcast<u32>(b_value); }}"
        )
    } else {
        line!(
            text,
            "fn put_{name}(i: u32, v: f32) {{\n    \
                 let shift = (i & 1u) * 16u;\n    \
                 let half = pack_{storage}(vec2<f32>(v, 0.0)) & 0xffffu;\n    \
                 {name}[i >> 1u] = ({name}[i >> 1u] & ~(0xffffu << shift)) | (half << shift);\n}}"
        );
        format!(
            "    if (a_inside && b_inside && (a >> 1u) == (b >> 1u)) {{\n        \
                     {name}[a >> 1u] = pack_{storage}(vec2<f32>(a_value, b_value));\n        \
                     return;\n    }}\n    \
                 if (a_inside) {{ put_{name}(a, a_value); }}\n    \
                 if (b_inside) {{ put_{name}(b, b_value); }}"
        )
    };
    line!(
        text,
        "fn store_{name}(a: u32, a_value: f32, a_inside: bool, b: u32, b_value: f32, b_inside: bool) {{\n{body}\n}}"
    );
}
