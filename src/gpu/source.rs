//! Composing the WGSL of a map: whole files from `shaders/`, and the bindings of one plan's tensors.
//!
//! The files name no storage type and no access mode. What differs from plan to plan is written here: a binding and its
//! `load_*` or `store_*` function for each tensor. `TWEEDIE_DUMP_WGSL=DIR` makes every composed shader a file in `DIR`.

use super::Storage;
use std::fmt::Write as _;

/// The ways to walk over tensors; see the shader of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Walk {
    Lanes,
    Flat,
    Words,
}

impl Walk {
    pub fn entry_point(self) -> &'static str {
        match self {
            Walk::Lanes => "map_lanes",
            Walk::Flat => "map_flat",
            Walk::Words => "map_words",
        }
    }
}

/// Where a sample's row comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rows {
    /// One row for the batch, chosen by a dynamic offset.
    Batch,
    /// A uniform table of this many rows, indexed by each sample's timestep.
    Uniform(u32),
    /// A table in a storage buffer, for what no uniform binding holds.
    Storage,
}

/// A tensor's part in a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    In0,
    In1,
    Out0,
    Out1,
    Noise,
}

impl Role {
    pub const ALL: [Role; 5] = [Role::In0, Role::In1, Role::Out0, Role::Out1, Role::Noise];

    pub fn name(self) -> &'static str {
        ["in0", "in1", "out0", "out1", "noise"][self as usize]
    }

    pub fn binding(self) -> u32 {
        5 + self as u32
    }

    pub fn is_output(self) -> bool {
        matches!(self, Role::Out0 | Role::Out1 | Role::Noise)
    }
}

/// How a role is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operand {
    /// No such tensor: it reads as zero, and what is written to it is dropped.
    Absent,
    /// A binding of its own; an input in a buffer that is also written must be bound for writing too.
    Bound { storage: Storage, writable: bool },
    /// An input that is updated in place: it is read through the output's binding.
    InPlace { storage: Storage, output: Role },
}

impl Operand {
    fn storage(self) -> Option<Storage> {
        match self {
            Operand::Absent => None,
            Operand::Bound { storage, .. } | Operand::InPlace { storage, .. } => Some(storage),
        }
    }
}

/// All that decides the text of a map's shader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MapSource {
    pub walk: Walk,
    pub rows: Rows,
    pub timesteps_writable: bool,
    pub drawn: bool,
    pub operands: [Operand; 5],
}

pub(crate) const TIMESTEPS_BINDING: u32 = 3;
pub(crate) const STATUS_BINDING: u32 = 4;

impl MapSource {
    pub fn operand(&self, role: Role) -> Operand {
        self.operands[role as usize]
    }

    /// The complete WGSL.
    pub fn compose(&self) -> String {
        let mut text = String::new();
        // Not every driver converts f16 at all, so what does not need it does not name it.
        for (storage, helpers) in [
            (Storage::F16, include_str!("../../shaders/storage_f16.wgsl")),
            (Storage::Bf16, include_str!("../../shaders/storage_bf16.wgsl")),
        ] {
            if self.operands.iter().any(|operand| operand.storage() == Some(storage)) {
                text.push_str(helpers);
            }
        }
        text.push_str(include_str!("../../shaders/philox.wgsl"));
        text.push_str(include_str!("../../shaders/normal.wgsl"));
        text.push_str(include_str!("../../shaders/map.wgsl"));
        text.push_str(&format!("// The tensors of this plan.\nconst DRAWN = {};\n", self.drawn));
        for role in Role::ALL {
            self.write_role(&mut text, role);
        }
        self.write_rows(&mut text);
        text.push_str(match self.walk {
            Walk::Lanes => include_str!("../../shaders/map_lanes.wgsl"),
            Walk::Flat => include_str!("../../shaders/map_flat.wgsl"),
            Walk::Words => include_str!("../../shaders/map_words.wgsl"),
        });
        text
    }

    fn write_rows(&self, text: &mut String) {
        let table = match self.rows {
            Rows::Batch => {
                text.push_str(include_str!("../../shaders/row_batch.wgsl"));
                return;
            }
            Rows::Uniform(rows) => format!("var<uniform> table: array<vec4<f32>, {rows}>"),
            Rows::Storage => "var<storage, read> table: array<vec4<f32>>".to_owned(),
        };
        let access = access(self.timesteps_writable);
        text.push_str(&format!(
            "@group(0) @binding(2) {table};\n\
             @group(0) @binding({TIMESTEPS_BINDING}) var<storage, {access}> timesteps: array<u32>;\n\
             fn load_row(i: u32) -> vec4<f32> {{ return table[i]; }}\n\
             fn load_timestep(i: u32) -> u32 {{ return timesteps[i]; }}\n"
        ));
        text.push_str(include_str!("../../shaders/row_per_sample.wgsl"));
    }

    fn write_role(&self, text: &mut String, role: Role) {
        let name = role.name();
        if let Operand::Bound { storage, writable } = self.operand(role) {
            let (binding, access, element) = (role.binding(), access(writable), self.element(storage));
            text.push_str(&format!("@group(0) @binding({binding}) var<storage, {access}> {name}: array<{element}>;\n"));
        }
        let written = if role.is_output() { self.store(role) } else { self.load(role) };
        text.push_str(&written);
    }

    fn element(&self, storage: Storage) -> &'static str {
        match (self.walk, storage) {
            (Walk::Words, _) => "u32",
            (_, Storage::F32) => "vec4<f32>",
            _ => "vec2<u32>",
        }
    }

    fn value(&self) -> &'static str {
        match self.walk {
            Walk::Lanes | Walk::Flat => "vec4<f32>",
            Walk::Words => "f32",
        }
    }

    fn load(&self, role: Role) -> String {
        let value = self.value();
        let (from, storage) = match self.operand(role) {
            Operand::Absent => (None, Storage::F32),
            Operand::Bound { storage, .. } => (Some(role.name()), storage),
            Operand::InPlace { storage, output } => (Some(output.name()), storage),
        };
        let body = match (from, self.walk, storage) {
            (None, ..) => format!("return {value}(0.0);"),
            (Some(from), Walk::Lanes | Walk::Flat, Storage::F32) => format!("return {from}[i];"),
            (Some(from), Walk::Words, Storage::F32) => format!("return bitcast<f32>({from}[i]);"),
            (Some(from), Walk::Lanes | Walk::Flat, _) => {
                format!("let w = {from}[i]; return vec4<f32>(unpack_{storage}(w.x), unpack_{storage}(w.y));")
            }
            (Some(from), Walk::Words, _) => {
                format!("let v = unpack_{storage}({from}[i >> 1u]); return select(v.x, v.y, (i & 1u) == 1u);")
            }
        };
        format!("fn load_{}(i: u32) -> {value} {{ {body} }}\n", role.name())
    }

    fn store(&self, role: Role) -> String {
        let name = role.name();
        let storage = match self.operand(role) {
            Operand::Bound { storage, .. } => Some(storage),
            _ => None,
        };
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = match (self.walk, storage) {
            (Walk::Lanes | Walk::Flat, None) => writeln!(text, "fn store_{name}(i: u32, v: vec4<f32>) {{ }}"),
            (Walk::Lanes | Walk::Flat, Some(Storage::F32)) => {
                writeln!(text, "fn store_{name}(i: u32, v: vec4<f32>) {{ {name}[i] = v; }}")
            }
            (Walk::Lanes | Walk::Flat, Some(storage)) => writeln!(
                text,
                "fn store_{name}(i: u32, v: vec4<f32>) {{ {name}[i] = vec2<u32>(pack_{storage}(v.xy), pack_{storage}(v.zw)); }}"
            ),
            (Walk::Words, storage) => {
                let body = match storage {
                    None => String::new(),
                    Some(Storage::F32) => format!(
                        "    if (a_inside) {{ {name}[a] = bitcast<u32>(a_value); }}\n    \
                             if (b_inside) {{ {name}[b] = bitcast<u32>(b_value); }}\n"
                    ),
                    Some(storage) => {
                        let _ = writeln!(
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
                                 if (b_inside) {{ put_{name}(b, b_value); }}\n"
                        )
                    }
                };
                writeln!(
                    text,
                    "fn store_{name}(a: u32, a_value: f32, a_inside: bool, b: u32, b_value: f32, b_inside: bool) {{\n{body}}}"
                )
            }
        };
        text
    }
}

fn access(writable: bool) -> &'static str {
    if writable { "read_write" } else { "read" }
}

/// Every kind of source that a plan can ask for, in each storage; and mixed storages in one of each kind of row.
pub(crate) fn every_source() -> Vec<MapSource> {
    let mut sources = Vec::new();
    for walk in [Walk::Lanes, Walk::Flat, Walk::Words] {
        for rows in [Rows::Batch, Rows::Uniform(1024), Rows::Uniform(4096), Rows::Storage] {
            let [f32, f16, bf16] = Storage::ALL.map(|storage| Operand::Bound { storage, writable: true });
            let mixed = [[f32, bf16, f16, f32, Operand::Absent], [bf16, Operand::Absent, f32, f16, f32]];
            let mut all = mixed.to_vec();
            // The longer tables differ in one line of the text alone.
            if matches!(rows, Rows::Batch | Rows::Uniform(1024)) {
                Storage::ALL.into_iter().for_each(|storage| all.extend(every_operands(storage)));
            }
            sources.extend(all.into_iter().enumerate().map(|(i, operands)| MapSource {
                walk,
                rows,
                timesteps_writable: rows != Rows::Batch && i % 2 == 1,
                drawn: operands[Role::In1 as usize] == Operand::Absent,
                operands,
            }));
        }
    }
    sources
}

/// Each input absent, read, read from a buffer that is written too, or in place; with each set of outputs.
fn every_operands(storage: Storage) -> Vec<[Operand; 5]> {
    let bound = |writable| Operand::Bound { storage, writable };
    let in_place = |output| Operand::InPlace { storage, output };
    let (write, absent) = (bound(true), Operand::Absent);
    let inputs = [absent, bound(false), write, in_place(Role::Out0), in_place(Role::Out1)];
    let mut all = Vec::new();
    for in0 in inputs {
        for in1 in inputs {
            for [out1, noise] in [[absent, absent], [write, absent], [absent, write], [write, write]] {
                let replaced = |input: Operand| matches!(input, Operand::InPlace { .. });
                let twice = replaced(in0) && in0 == in1;
                let missing = out1 == absent && [in0, in1].contains(&in_place(Role::Out1));
                let kept_but_given = noise == write && in1 != absent;
                if !twice && !missing && !kept_but_given {
                    all.push([in0, in1, write, out1, noise]);
                }
            }
        }
    }
    all
}
