// Threefry2x32 with 20 rounds (Salmon et al. 2011), the counter-based generator of JAX.
// Host twin: `tweedie::noise::threefry2x32_20`.
// Expects: nothing.
// Defines: threefry2x32_20.

fn threefry_rounds(start: vec2<u32>, rotations: vec4<u32>) -> vec2<u32> {
    var x = start;
    for (var i = 0u; i < 4u; i++) {
        let turn = rotations[i];
        let sum = x.x + x.y;
        x = vec2<u32>(sum, ((x.y << turn) | (x.y >> (32u - turn))) ^ sum);
    }
    return x;
}

fn threefry2x32_20(counter: vec2<u32>, key: vec2<u32>) -> vec2<u32> {
    let even = vec4<u32>(13u, 15u, 26u, 6u);
    let odd = vec4<u32>(17u, 29u, 16u, 24u);
    let third = key.x ^ key.y ^ 0x1BD11BDAu;
    var x = threefry_rounds(counter + key, even) + vec2<u32>(key.y, third + 1u);
    x = threefry_rounds(x, odd) + vec2<u32>(third, key.x + 2u);
    x = threefry_rounds(x, even) + vec2<u32>(key.x, key.y + 3u);
    x = threefry_rounds(x, odd) + vec2<u32>(key.y, third + 4u);
    return threefry_rounds(x, even) + vec2<u32>(third, key.x + 5u);
}
