//! The text between an op and the tensors of a plan: bindings, loads and stores, and the op's inputs and outputs.
//!
//! All of it comes from templates in `shaders/access/`. This file decides which template a tensor takes, and its classes.

use crate::gpu::shader::bindings::{SCALES_BINDING, SCRATCH_BINDING, SLOT_BINDING, access, declaration};
use crate::gpu::shader::op::Op;
use crate::gpu::shader::params::{VECTORS, WALK_BYTES};
use crate::gpu::shader::slots::{Part, Slot, step};
use crate::gpu::shader::template::{Item, fill, section};
use crate::gpu::shader::variant::{Draw, Operand, Variant, Walk};
use crate::gpu::storage::Storage;
use crate::table::step::HISTORY;

const GRADIENT_SCALE: &str = include_str!("../../../shaders/access/gradient_scale.wgsl");
const TENSORS: &str = include_str!("../../../shaders/access/tensors.wgsl");
const LANES_IO: &str = include_str!("../../../shaders/access/lanes_io.wgsl");
const WORDS_IO: &str = include_str!("../../../shaders/access/words_io.wgsl");
const TWO_SAMPLES: &str = include_str!("../../../shaders/access/two_samples.wgsl");

const LANE: &str = include_str!("../../../shaders/access/lane.wgsl");
const LANE_TWO_WORDS: &str = include_str!("../../../shaders/access/lane_two_words.wgsl");
const LANE_FOUR_WORDS: &str = include_str!("../../../shaders/access/lane_four_words.wgsl");
const WORD: &str = include_str!("../../../shaders/access/word.wgsl");
const UNALIGNED: &str = include_str!("../../../shaders/access/unaligned.wgsl");

/// Names of the clean samples of earlier steps among the inputs of a step.
const PAST: [&str; HISTORY] = [
    "history0",
    "history1",
    "history2",
    "history3",
    "history4",
    "history5",
    "history6",
    "history7",
    "history8",
    "history9",
    "history10",
    "history11",
];

/// A kernel whose text is to be written.
pub(crate) struct Access<'a> {
    pub variant: &'a Variant,
    /// True if lanes are loaded and stored 8 bytes at once.
    pub wide: bool,
    /// True if lanes of f16 are vectors of 16-bit numbers.
    pub halves: bool,
}

impl Access<'_> {
    fn slots(&self) -> impl Iterator<Item = (usize, &'static Slot)> + '_ {
        self.variant.op.slots().iter().enumerate()
    }

    /// Writes what must come before the op's text.
    pub fn declarations(&self) -> String {
        let items = self.items();
        let walk_bytes = WALK_BYTES.to_string();
        let holes = [("walk_bytes", walk_bytes.as_str()), ("walk_params", self.variant.walk.params())];
        let mut text = self.constants();
        text.push_str(&fill(section(TENSORS, "params"), &items, &holes));
        // WGSL has no empty structs.
        if items.iter().any(|item| item.classes.contains(&"output")) {
            text.push_str(&fill(section(TENSORS, "outputs"), &items, &holes));
        }
        text + &self.sample_state()
    }

    /// Writes the bits of `needs` as constants with the names of the inputs.
    fn constants(&self) -> String {
        let bits = self.slots().filter_map(|(index, slot)| match slot.part {
            // The noise has its own constant, which every op shares.
            Part::OptionalInput(bit) if index != self.variant.op.noise() => Some((slot.name.to_uppercase(), bit)),
            Part::Memory => Some((slot.name.to_uppercase(), step::FIRST_HISTORY_BIT)),
            _ => None,
        });
        bits.map(|(name, bit)| format!("const NEEDS_{name} = {bit}u;\n")).collect()
    }

    /// Declares the results of an earlier reduction for each sample, and those of this one.
    fn sample_state(&self) -> String {
        let (op, uniform) = (self.variant.op, self.variant.scales_uniform);
        let mut text = String::new();
        if op.scaled() && uniform {
            let ty = format!("array<vec4<f32>, {VECTORS}>");
            text.push_str(&declaration(SCALES_BINDING, "uniform", "scales", &ty));
            text.push_str(include_str!("../../../shaders/row/scales_uniform.wgsl"));
        } else if op.scaled() {
            let (name, ty) =
                if op.scales_are_pairs() { ("scales", "array<vec2<f32>>") } else { ("moments", "array<Sum>") };
            text.push_str(&declaration(SCALES_BINDING, "storage, read", name, ty));
        }
        if op.has_step_row() && !uniform {
            let scales = if op.scaled() { "scales[params.window.first_sample + sample]" } else { "vec2<f32>(1.0)" };
            text.push_str(&format!("fn scales_of(sample: u32) -> vec2<f32> {{ return {scales}; }}\n"));
        }
        if self.variant.walk.reduces() {
            // Several workgroups count into the same bins; a sum has one word each.
            let ty = if matches!(op, Op::Histogram { .. }) { "array<atomic<u32>>" } else { "array<Sum>" };
            text.push_str(&declaration(SCRATCH_BINDING, "storage, read_write", "scratch", ty));
        }
        text
    }

    /// Writes what must come after the op's text.
    pub fn functions(&self) -> String {
        let walk = self.variant.walk;
        let items = self.items();
        let holes = match walk {
            Walk::UnalignedChunks => [
                ("lane", "bases.{{name}}, elements_of(lane)"),
                ("stored_lane", "bases.{{name}} + lane * 4u, out.{{name}}, inside"),
            ],
            _ => [("lane", "bases.{{name}} + lane"), ("stored_lane", "bases.{{name}} + lane, out.{{name}}")],
        };
        let past = "bases.history + lane + place_of_past(row, {{back}}u) * params.window.pitch";
        let holes = [holes[0], holes[1], ("lane_of_past", past)];
        let mut text: String = self.slots().map(|(index, slot)| self.tensor(index, slot)).collect();
        let mut add = |template: &str| text.push_str(&fill(template, &items, &holes));
        match walk {
            Walk::Words => add(WORDS_IO),
            _ => add(section(LANES_IO, "read")),
        }
        match walk {
            Walk::Lanes | Walk::Flat | Walk::Pairs => add(section(LANES_IO, "write")),
            Walk::Chunks | Walk::UnalignedChunks => add(section(LANES_IO, "write_chunk")),
            Walk::Words => {}
        }
        if walk.crosses_samples() {
            add(TWO_SAMPLES);
        }
        text
    }

    /// Writes how gradients are scaled, and how elements that their storages cannot hold are counted.
    pub fn gradient_scale(&self) -> String {
        fill(GRADIENT_SCALE, &self.items(), &[])
    }

    /// The items for which lines of a template are repeated: the tensors, the remembered clean samples, and other outputs.
    fn items(&self) -> Vec<Item> {
        let mut items: Vec<Item> = self.slots().map(|(index, slot)| self.item(index, slot)).collect();
        if let Op::Step(variant) = self.variant.op {
            // The text of a plain row names three past clean samples.
            let fields = if variant.parts.extended { HISTORY } else { 3 };
            let past = PAST.into_iter().take(fields).zip(0..);
            items.extend(past.map(|(name, back)| past_item(name, back, variant.depth)));
            let computed = |name: &str| Item { classes: vec!["output"], holes: vec![("name", name.to_owned())] };
            items.extend(["raw", "kept"].map(computed));
            let remembered = (variant.depth > 0).then_some("remembered");
            let observed = variant.clean_stats.then_some("observed");
            items.extend([remembered, observed].into_iter().flatten().map(only));
        }
        if self.variant.op.scales_gradients() {
            items.push(only("observed"));
        }
        // The outputs of a lane are computed before the first of them is stored.
        if items.iter().any(|item| item.classes.contains(&"stored")) {
            items.insert(0, only("writes"));
        }
        items
    }

    fn item(&self, index: usize, slot: &Slot) -> Item {
        let present = self.variant.operand(index) != Operand::Absent;
        let drawn = index == self.variant.op.noise() && self.variant.draw != Draw::No;
        let bit = if let Part::OptionalInput(bit) = slot.part { bit } else { 0 };
        let sliced = self.variant.op.slices(index);
        let classes = [
            (true, "slot"),
            (present, "present"),
            (slot.is_input(), "input"),
            (drawn, "drawn"),
            (present && sliced, "sliced"),
            (present && !drawn && !sliced && slot.part == Part::Input, "required"),
            (present && !drawn && !sliced && bit != 0, "optional"),
            (slot.is_output(), "output"),
            (present && slot.is_output(), "stored"),
            (present && slot.is_output() && self.variant.op.noise_out() != Some(index), "gradient"),
        ];
        let classes = classes.into_iter().filter(|(is, _)| *is).map(|(_, class)| class).collect();
        let mut holes = vec![("name", slot.name.to_owned()), ("bit", bit.to_string())];
        if let Some(storage) = self.variant.operand(index).storage() {
            holes.push(("infinite_from", storage.infinite_from().to_string()));
            holes.push(("zero_up_to", storage.zero_up_to().to_string()));
        }
        Item { classes, holes }
    }

    /// Writes the binding of a tensor, and its functions for loading and storing.
    fn tensor(&self, index: usize, slot: &Slot) -> String {
        let slots = self.variant.op.slots();
        let (buffer, storage, writable) = match self.variant.operand(index) {
            Operand::Absent => return String::new(),
            Operand::Binding { storage, writable } => (slot.name, storage, Some(writable)),
            Operand::InPlace { storage, output } => (slots[output].name, storage, None),
        };
        let loads = slot.part != Part::Output;
        // The walk over words writes remembered clean samples with a function of its own: see `keep_element`.
        let stores = slot.part == Part::Output || slot.part == Part::Memory && self.variant.walk != Walk::Words;
        let parts = [(writable.is_some(), "buffer"), (loads, "load"), (stores, "store")];
        // An input that is updated in place has no binding: it is loaded through the binding of its output.
        let binding = (SLOT_BINDING + index as u32).to_string();
        let holes = [
            ("name", slot.name),
            ("buffer", buffer),
            ("storage", storage.name()),
            ("binding", &binding),
            ("access", access(writable.unwrap_or_default())),
        ];
        let template = self.template(storage);
        let parts = parts.into_iter().filter(|(present, _)| *present);
        parts.map(|(_, part)| fill(section(template, part), &[], &holes)).collect()
    }

    fn template(&self, storage: Storage) -> &'static str {
        match (self.variant.walk, self.wide, storage.elements_per_word()) {
            (Walk::Words, ..) => WORD,
            (Walk::UnalignedChunks, ..) => UNALIGNED,
            _ if self.halves && storage == Storage::F16 => LANE,
            (_, true, 1) => LANE_FOUR_WORDS,
            (_, true, 2) => LANE_TWO_WORDS,
            _ => LANE,
        }
    }
}

/// The clean sample of `back + 1` steps ago, which is read only if so many are remembered.
fn past_item(name: &str, back: u32, depth: u32) -> Item {
    let mut classes = vec!["past_field"];
    if back < depth {
        classes.push("past");
    }
    let bit = step::FIRST_HISTORY_BIT << back;
    Item { classes, holes: vec![("name", name.to_owned()), ("bit", bit.to_string()), ("back", (back + 1).to_string())] }
}

/// An item for lines that appear once, without holes.
fn only(class: &'static str) -> Item {
    Item { classes: vec![class], holes: Vec::new() }
}
