// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): a counter-based generator, so the
// words of a block depend on its counter and key alone.
// Host twin: `tweedie::gpu::noise::philox4x32_10`.
// Expects: multiply_wide, of product_words or product_int64.
// Defines: philox4x32_10.

fn philox_round(c: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    let p = multiply_wide(0xD2511F53u, c.x);
    let q = multiply_wide(0xCD9E8D57u, c.z);
    return vec4<u32>(q.x ^ c.y ^ key.x, q.y, p.x ^ c.w ^ key.y, p.y);
}

fn philox4x32_10(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    let step = vec2<u32>(0x9E3779B9u, 0xBB67AE85u);
    var c = philox_round(counter, key);
    c = philox_round(c, key + step);
    c = philox_round(c, key + 2u * step);
    c = philox_round(c, key + 3u * step);
    c = philox_round(c, key + 4u * step);
    c = philox_round(c, key + 5u * step);
    c = philox_round(c, key + 6u * step);
    c = philox_round(c, key + 7u * step);
    c = philox_round(c, key + 8u * step);
    return philox_round(c, key + 9u * step);
}
