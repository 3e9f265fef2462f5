// f16 storage: two to a u32, the lower element in the lower half, so no feature of the device is needed. All arithmetic
// is f32. Host twin: `tweedie::Storage::encode` and `decode`.

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
