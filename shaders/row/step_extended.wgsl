// The parts of a step's row beyond its first five vectors: clean samples of four to twelve calls ago, the clean sample of the
// unconditional prediction, and a second noise.
// Expects: row/step, Inputs, coefficients; from the host DEPTH.
// Defines: second_noise, needs_extended, furthest, needs_furthest, unconditional_clean, extended_terms, kept, needs_second,
// second_stream_of.

var<private> second_noise: vec4<f32>;

fn needs_extended(row: Row) -> u32 {
    let further = coefficients(row.found, 5u);
    let more = coefficients(row.found, 6u);
    let bits = vec4<u32>(NEEDS_HISTORY << 3u, NEEDS_HISTORY << 4u, NEEDS_HISTORY << 5u, NEEDS_HISTORY << 6u);
    let past = select(vec4<u32>(0u), bits, further != vec4<f32>(0.0));
    return past.x | past.y | past.z | past.w
        | select(0u, NEEDS_HISTORY << 7u, more.x != 0.0)
        | needs_furthest(row)
        | select(0u, NEEDS_NOISE, more.w != 0.0)
        | select(0u, NEEDS_UNCONDITIONAL, more.y != 0.0 || more.z != 0.0);
}

// The coefficients of clean samples of nine to twelve calls ago.
fn furthest(row: Row) -> vec4<f32> {
    return vec4<f32>(coefficients(row.found, 7u).yzw, coefficients(row.found, 8u).x);
}

fn needs_furthest(row: Row) -> u32 {
    if (DEPTH <= 8u) {
        return 0u;
    }
    let bits = vec4<u32>(NEEDS_HISTORY << 8u, NEEDS_HISTORY << 9u, NEEDS_HISTORY << 10u, NEEDS_HISTORY << 11u);
    let past = select(vec4<u32>(0u), bits, furthest(row) != vec4<f32>(0.0));
    return past.x | past.y | past.z | past.w;
}

// The clean sample that the unconditional prediction alone implies, not clipped.
fn unconditional_clean(row: Row, v: Inputs) -> vec4<f32> {
    return row.x0.x * v.x + row.x0.y * v.unconditional + row.x0.z * v.noise;
}

fn extended_terms(row: Row, v: Inputs) -> vec4<f32> {
    let further = coefficients(row.found, 5u);
    let more = coefficients(row.found, 6u);
    var terms = more.y * unconditional_clean(row, v);
    if (more.w != 0.0) {
        terms += more.w * second_noise;
    }
    if (DEPTH > 3u) {
        terms += further.x * v.history3 + further.y * v.history4 + further.z * v.history5 + further.w * v.history6;
        terms += more.x * v.history7;
    }
    if (DEPTH > 8u) {
        let furthest = furthest(row);
        terms += furthest.x * v.history8 + furthest.y * v.history9 + furthest.z * v.history10 + furthest.w * v.history11;
    }
    return terms;
}

// What the call remembers for later calls.
fn kept(row: Row, v: Inputs, x0: vec4<f32>) -> vec4<f32> {
    let shares = vec3<f32>(coefficients(row.found, 8u).yz, coefficients(row.found, 6u).z);
    // Terms without a coefficient are left out: 0 times an infinite sample would be NaN.
    let none = vec4<f32>(0.0);
    let given = select(shares.x * v.x, none, shares.x == 0.0) + select(shares.y * x0, none, shares.y == 0.0);
    return given + select(shares.z * unconditional_clean(row, v), none, shares.z == 0.0);
}

fn needs_second(row: Row) -> bool {
    return coefficients(row.found, 6u).w != 0.0;
}

fn second_stream_of(row: Row) -> u32 {
    return u32(coefficients(row.found, 7u).x);
}
