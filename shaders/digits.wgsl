// digits: counts how often each digit occurs among the magnitudes of a sample's clean samples, for dynamic thresholding.
// Nonnegative floats are in the order of their bits. Counts do not depend on the order in which they are added up.
// Host twin: `tweedie::gpu::step::quantile`.

var<workgroup> counts: array<atomic<u32>, BINS>;
var<private> prefixes: vec2<u32>;

fn needs(row: Row) -> u32 {
    return select(0u, NEEDS_NOISE, row.clean.z != 0.0) | select(0u, NEEDS_UNCONDITIONAL, row.mix.y != 0.0);
}

// The lowest bit of this pass's digit.
fn shift() -> u32 {
    return params.window.digit;
}

fn begin(invocation: u32) {
    for (var bin = invocation; bin < BINS; bin += 256u) {
        atomicStore(&counts[bin], 0u);
    }
    workgroupBarrier();
}

fn prepare(sample: u32) {
    if (shift() < 20u) {
        prefixes = vec2<u32>(atomicLoad(&scratch[sample * TALLY]), atomicLoad(&scratch[sample * TALLY + 1u]));
    }
}

fn count(x: f32) {
    let magnitude = bitcast<u32>(x) & 0x7fffffffu;
    let bits = select(magnitude, 0x7fffffffu, magnitude > 0x7f800000u); // every NaN is above all numbers
    let digit = (bits >> shift()) & ((1u << width_of(shift())) - 1u);
    let prefix = bits >> (shift() + width_of(shift()));
    if (prefix == prefixes.x) {
        atomicAdd(&counts[digit], 1u);
    } else if (prefix == prefixes.y) {
        atomicAdd(&counts[digit + BINS / 2u], 1u);
    }
}

fn gather(row: Row, v: Inputs, inside: vec4<bool>) {
    let x0 = clean_sample(row, v, mixture(row, v) * row.factor);
    count(x0.x);
    if (inside.y) {
        count(x0.y);
    }
    if (inside.z) {
        count(x0.z);
    }
    if (inside.w) {
        count(x0.w);
    }
}

fn conclude(sample: u32, chunk: u32, invocation: u32) {
    workgroupBarrier();
    if (sample >= params.window.batch) {
        return;
    }
    for (var bin = invocation; bin < BINS; bin += 256u) {
        let n = atomicLoad(&counts[bin]);
        if (n > 0u) {
            atomicAdd(&scratch[sample * TALLY + STATE + bin], n);
        }
    }
}
