// The three storage types. All arithmetic is f32; f16 and bf16 live two to a u32, the lower element in the lower half, so
// neither needs a feature of the device. Host twin: `tweedie::Storage::encode` and `decode`.

// Both halves of an f16 word. `pack2x16float` is undefined beyond the range and for NaN, so those halves are made by hand.
fn pack_f16(v: vec2<f32>) -> u32 {
    let bits = bitcast<vec2<u32>>(v);
    let magnitude = bits & vec2<u32>(0x7fffffffu);
    let packed = pack2x16float(clamp(v, vec2<f32>(-65504.0), vec2<f32>(65504.0)));
    let special = select(vec2<u32>(0x7c00u), vec2<u32>(0x7e00u), magnitude > vec2<u32>(0x7f800000u))
        | ((bits >> vec2<u32>(16u)) & vec2<u32>(0x8000u));
    // 65520 and above round to infinity
    let half = select(vec2<u32>(packed & 0xffffu, packed >> 16u), special, magnitude >= vec2<u32>(0x477ff000u));
    return half.x | (half.y << 16u);
}

fn unpack_f16(word: u32) -> vec2<f32> {
    return unpack2x16float(word);
}

// Round to nearest even in integers; a NaN stays a NaN.
fn pack_bf16(v: vec2<f32>) -> u32 {
    let bits = bitcast<vec2<u32>>(v);
    let rounded = (bits + vec2<u32>(0x7fffu) + ((bits >> vec2<u32>(16u)) & vec2<u32>(1u))) >> vec2<u32>(16u);
    let quiet = (bits >> vec2<u32>(16u)) | vec2<u32>(0x40u);
    let half = select(rounded, quiet, (bits & vec2<u32>(0x7fffffffu)) > vec2<u32>(0x7f800000u));
    return half.x | (half.y << 16u);
}

fn unpack_bf16(word: u32) -> vec2<f32> {
    return vec2<f32>(bitcast<f32>(word << 16u), bitcast<f32>(word & 0xffff0000u));
}
