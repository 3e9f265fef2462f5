// Box-Muller with polynomials of our own: WGSL's built-in sin, cos and log may be off by 2^-11 absolute and drivers use
// that freedom. A word w becomes the uniform number (w + 1/2) / 2^32, as in cuRAND, which is never 0 and never 1.
// The polynomials are minimax fits (relative error below 1e-8) on the reduced ranges named beside them.
// Host twin: `tweedie::gpu::noise::normal_pair`.
// Expects: philox4x32_10 (philox), small_log1p (log1p).
// Defines: normal_pair, normal_block.

// sqrt(-2 ln u)
fn box_muller_radius(w: u32) -> f32 {
    // Above sqrt(1/2), ln u = log1p(-(1 - u)), and 1 - u is known without cancellation from the complement of w.
    let upper = w >= 0xB504F334u;
    let f = f32(select(w, ~w, upper)) + 0.5;
    let bits = bitcast<u32>(f);
    let octave = (i32(bits) - 0x3F3504F3) >> 23u;
    let mantissa = bitcast<f32>(bits - (bitcast<u32>(octave) << 23u)); // in [sqrt(1/2), sqrt(2))
    let z = select(mantissa - 1.0, -f * 2.3283064365386963e-10, upper);
    let e = select(f32(octave - 32), 0.0, upper);
    // ln 2 in two parts, so that e * ln 2 is exact to the last bit of the sum
    let ln_u = e * 0.693359375 + (small_log1p(z) - e * 2.12194440e-4);
    return sqrt(max(-2.0 * ln_u, 0.0));
}

// (sin, cos) of 2 pi (w + 1/2) / 2^32: the quarter turn is taken off in integers, which is exact.
fn sin_cos_turn(w: u32) -> vec2<f32> {
    let quarter = (w + 0x20000000u) >> 30u;
    let rest = bitcast<i32>(w - (quarter << 30u));
    let x = (f32(rest) + 0.5) * 1.4629180792671596e-9; // in [-pi/4, pi/4]
    let xx = x * x;
    let s = x + x * xx * (-0.16666651 + xx * (0.008331979 - xx * 0.00019495636));
    let c = 1.0 - 0.5 * xx + xx * xx * (0.041666646 + xx * (-0.0013887368 + xx * 2.443845e-5));
    let swapped = select(vec2<f32>(s, c), vec2<f32>(c, s), (quarter & 1u) == 1u);
    return vec2<f32>(
        select(swapped.x, -swapped.x, quarter >= 2u),
        select(swapped.y, -swapped.y, quarter == 1u || quarter == 2u),
    );
}

fn normal_pair(radius_word: u32, turn_word: u32) -> vec2<f32> {
    return box_muller_radius(radius_word) * sin_cos_turn(turn_word);
}

// Four standard normals: the elements 4 * block .. 4 * block + 3 of a sample.
fn normal_block(counter: vec4<u32>, key: vec2<u32>) -> vec4<f32> {
    let w = philox4x32_10(counter, key);
    return vec4<f32>(normal_pair(w.x, w.y), normal_pair(w.z, w.w));
}
