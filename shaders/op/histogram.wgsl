// histogram: counts each digit among the magnitudes of a sample's clean sample, for dynamic thresholding. The bits of nonnegative
// floats are in the order of the numbers. Counts do not depend on the order in which they are added up.
// Host twin: `tweedie::gpu::Step::quantile`.
// Expects: row/step, radix, params, Inputs, scratch.
// Defines: needs, clear_shared, load_sample_state, accumulate, write_partial.

var<workgroup> counts: array<atomic<u32>, BINS>;
var<private> prefixes: vec2<u32>;

fn needs(row: Row) -> u32 {
    return select(0u, NEEDS_NOISE, row.x0.z != 0.0) | select(0u, NEEDS_UNCONDITIONAL, row.guidance.y != 0.0);
}

// The lowest bit of this pass's digit.
fn shift() -> u32 {
    return params.walk.digit_shift;
}

fn clear_shared(invocation: u32) {
    for (var bin = invocation; bin < BINS; bin += WORKGROUP) {
        atomicStore(&counts[bin], 0u);
    }
    workgroupBarrier();
}

fn load_sample_state(sample: u32, row: Row) {
    // The first pass has an empty prefix: it counts the highest digit of every element.
    if (shift() < FIRST_DIGIT_SHIFT) {
        prefixes = vec2<u32>(atomicLoad(&scratch[sample * TALLY]), atomicLoad(&scratch[sample * TALLY + 1u]));
    }
}

fn count(x: f32) {
    let magnitude = bitcast<u32>(x) & 0x7fffffffu;
    let bits = select(magnitude, 0x7fffffffu, magnitude > 0x7f800000u); // every NaN is above all numbers
    let digit = (bits >> shift()) & ((1u << width_of(shift())) - 1u);
    let prefix = bits >> (shift() + width_of(shift()));
    // While both order statistics have the same prefix, they share the lower list. The second list is used once they differ.
    if (prefix == prefixes.x) {
        atomicAdd(&counts[digit], 1u);
    } else if (prefix == prefixes.y) {
        atomicAdd(&counts[digit + BINS / 2u], 1u);
    }
}

fn accumulate(row: Row, v: Inputs, inside: vec4<bool>) {
    let x0 = clean_sample(row, v, mixture(row, v) * row.factor);
    // The first element of a lane is always inside the sample.
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

fn write_partial(sample: u32, chunk: u32, invocation: u32) {
    workgroupBarrier();
    if (sample >= params.window.batch) {
        return;
    }
    for (var bin = invocation; bin < BINS; bin += WORKGROUP) {
        let n = atomicLoad(&counts[bin]);
        if (n > 0u) {
            atomicAdd(&scratch[sample * TALLY + STATE + bin], n);
        }
    }
}
