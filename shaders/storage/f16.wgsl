// f16 storage: two to a u32, the lower element in the lower half, so no feature of the device is needed. All arithmetic
// is f32. Host twin: `tweedie::Storage::encode` and `decode`.
// Expects: nothing.
// Defines: what f32 does, under its own name.
const ELEMENTS_PER_WORD_f16 = 2u;

alias Lane_f16 = vec2<u32>;

// Two f16 numbers, rounded in integers, for the rare cases. To nearest even; from 65520 on infinity, and NaN stays NaN.
fn rounded_f16(bits: vec2<u32>) -> vec2<u32> {
    let magnitude = bits & vec2<u32>(0x7fffffffu);
    let normal = (magnitude + vec2<u32>(0xfffu) + ((magnitude >> vec2<u32>(13u)) & vec2<u32>(1u)) - vec2<u32>(0x38000000u))
        >> vec2<u32>(13u);
    // Below 2^-14, f16 numbers are multiples of 2^-24.
    let shift = min(vec2<u32>(126u) - (magnitude >> vec2<u32>(23u)), vec2<u32>(25u));
    let significand = (magnitude & vec2<u32>(0x7fffffu)) | vec2<u32>(0x800000u);
    let odd = (significand >> shift) & vec2<u32>(1u);
    let subnormal = (significand + ((vec2<u32>(1u) << (shift - vec2<u32>(1u))) - vec2<u32>(1u)) + odd) >> shift;
    let special = select(vec2<u32>(0x7c00u), vec2<u32>(0x7e00u), magnitude > vec2<u32>(0x7f800000u));
    let finite = select(normal, subnormal, magnitude < vec2<u32>(0x38800000u));
    return select(finite, special, magnitude >= vec2<u32>(0x477ff000u)) | ((bits >> vec2<u32>(16u)) & vec2<u32>(0x8000u));
}

// Twice the distance, in f32 bit patterns, of a magnitude from the least normal f16 number. It wraps below that number, so that
// one comparison with RANGE_f16 finds what f16 stores as 0, subnormal, infinity or NaN.
fn range_f16(bits: vec2<u32>) -> vec2<u32> {
    return (bits << vec2<u32>(1u)) - vec2<u32>(0x71000000u);
}
const RANGE_f16 = 0x1dfee000u;

// Rounds to the nearest f16 number, ties to even, in the bits of f32: how `pack2x16float` rounds is the driver's choice.
fn nearest_f16(bits: vec2<u32>) -> vec2<f32> {
    let up = vec2<u32>(0xfffu) + ((bits >> vec2<u32>(13u)) & vec2<u32>(1u));
    return bitcast<vec2<f32>>((bits + up) & vec2<u32>(0xffffe000u));
}

fn pack_f16(v: vec2<f32>) -> u32 {
    let bits = bitcast<vec2<u32>>(v);
    let range = range_f16(bits);
    if (max(range.x, range.y) >= RANGE_f16) {
        let half = rounded_f16(bits);
        return half.x | (half.y << 16u);
    }
    return pack2x16float(nearest_f16(bits));
}

fn unpack_f16(word: u32) -> vec2<f32> {
    return unpack2x16float(word);
}

fn pack_lane_f16(v: vec4<f32>) -> Lane_f16 {
    let bits = bitcast<vec4<u32>>(v);
    let range = max(range_f16(bits.xy), range_f16(bits.zw));
    // One branch for four elements.
    if (max(range.x, range.y) >= RANGE_f16) {
        let lower = rounded_f16(bits.xy);
        let upper = rounded_f16(bits.zw);
        return vec2<u32>(lower.x | (lower.y << 16u), upper.x | (upper.y << 16u));
    }
    return vec2<u32>(pack2x16float(nearest_f16(bits.xy)), pack2x16float(nearest_f16(bits.zw)));
}

fn unpack_lane_f16(lane: Lane_f16) -> vec4<f32> {
    return vec4<f32>(unpack_f16(lane.x), unpack_f16(lane.y));
}

fn word_of_f16(i: u32) -> u32 {
    return i >> 1u;
}

fn element_f16(word: u32, i: u32) -> f32 {
    let v = unpack_f16(word);
    return select(v.x, v.y, (i & 1u) == 1u);
}

// An odd element lies in the upper half; the other half stays as it is.
fn with_element_f16(word: u32, i: u32, v: f32) -> u32 {
    let shift = (i & 1u) * 16u;
    let half = pack_f16(vec2<f32>(v, 0.0)) & 0xffffu;
    return (word & ~(0xffffu << shift)) | (half << shift);
}

// Two elements are the whole word.
fn with_pair_f16(word: u32, i: u32, v: vec2<f32>) -> u32 {
    return pack_f16(v);
}
