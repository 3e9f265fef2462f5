// f32 storage: an element is a word. Host twin: `tweedie::Storage::encode` and `decode`.
// Expects: nothing.
// Defines, as each storage does under its own name: ELEMENTS_PER_WORD_*; Lane_*, how four elements lie in memory, and
// pack_lane_*, unpack_lane_*; word_of_*, the word of an element, element_*, which reads it there, and with_element_* and
// with_pair_*, the word with one or with two of its elements replaced.
const ELEMENTS_PER_WORD_f32 = 1u;

alias Lane_f32 = vec4<f32>;

fn pack_lane_f32(v: vec4<f32>) -> Lane_f32 {
    return v;
}

fn unpack_lane_f32(lane: Lane_f32) -> vec4<f32> {
    return lane;
}

fn word_of_f32(i: u32) -> u32 {
    return i;
}

fn element_f32(word: u32, i: u32) -> f32 {
    return bitcast<f32>(word);
}

fn with_element_f32(word: u32, i: u32, v: f32) -> u32 {
    return bitcast<u32>(v);
}

// No two elements share a word.
fn with_pair_f32(word: u32, i: u32, v: vec2<f32>) -> u32 {
    return word;
}
