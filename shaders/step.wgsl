// step: one step of a sampler, from guidance to the next sample; see `tweedie::table::StepRow` for the coefficients.
// Host twin: `tweedie::gpu::step`. The host writes CLIP, DEVIATION, DEPTH and MASKED for the plan.

struct Row {
    mix: vec4<f32>,   // of the conditional and the unconditional prediction; the learned deviation's two
    clean: vec4<f32>, // of x, p and z in the clean sample; of z in the next one
    next: vec4<f32>,  // of x, p and the clean sample in the next one; of that in the network's input
    past: vec4<f32>,  // of the last three clean samples; the index of the step
    known: vec4<f32>, // of the known clean sample and z in a known region
    factor: f32,      // of the mixed prediction
    limit: f32,       // the threshold of the clean sample
    defined: bool,
}

const NEEDS_UNCONDITIONAL = 2u;
const NEEDS_LEARNED = 4u;
const NEEDS_PAST = vec3<u32>(8u, 16u, 32u);

fn row_at(sample: u32) -> Row {
    let found = find_row(sample);
    let scales = scales_of(sample);
    return Row(
        coefficients(found, 0u),
        coefficients(found, 1u),
        coefficients(found, 2u),
        coefficients(found, 3u),
        coefficients(found, 4u),
        scales.x,
        scales.y,
        found.defined,
    );
}

// Which inputs this row looks at.
fn needs(row: Row) -> u32 {
    let past = select(vec3<u32>(0u), NEEDS_PAST, row.past.xyz != vec3<f32>(0.0));
    let noise = row.clean.z != 0.0 || row.clean.w != 0.0 || (MASKED && row.known.y != 0.0);
    return select(0u, NEEDS_NOISE, noise)
        | select(0u, NEEDS_UNCONDITIONAL, row.mix.y != 0.0)
        | select(0u, NEEDS_LEARNED, row.clean.w != 0.0)
        | past.x | past.y | past.z;
}

fn step_of(row: Row) -> u32 {
    return u32(row.past.w);
}

// Where the clean sample of `back` steps ago lies among the DEPTH remembered ones. This step's own replaces the oldest.
fn place_of_past(row: Row, back: u32) -> u32 {
    return (u32(row.past.w) + DEPTH - back) % max(DEPTH, 1u);
}

// NaN stays NaN: it fails both comparisons.
fn clamped(v: vec4<f32>, range: f32) -> vec4<f32> {
    let above = select(v, vec4<f32>(range), v > vec4<f32>(range));
    return select(above, vec4<f32>(-range), v < vec4<f32>(-range));
}

fn op(row: Row, v: Inputs) -> Outputs {
    let p = (row.mix.x * v.conditional + row.mix.y * v.unconditional) * row.factor;
    let raw = row.clean.x * v.x + row.clean.y * p + row.clean.z * v.noise;
    var x0 = raw;
    if (CLIP == 1u) {
        x0 = clamped(raw, params.window.range);
    } else if (CLIP == 2u) {
        x0 = clamped(raw, row.limit) / row.limit;
    }
    var z = row.clean.w * v.noise;
    if (DEVIATION == 1u) {
        z *= exp(row.mix.z + row.mix.w * v.learned);
    } else if (DEVIATION == 2u) {
        z *= sqrt(max(v.learned, vec4<f32>(0.0)));
    }
    var next = row.next.x * v.x + row.next.y * p + row.next.z * x0 + z;
    if (DEPTH > 0u) {
        next += row.past.x * v.past0 + row.past.y * v.past1 + row.past.z * v.past2;
    }
    if (MASKED) {
        next += v.mask * (row.known.x * v.known + row.known.y * v.noise - next);
    }
    return Outputs(next, x0, row.next.w * next, v.noise, raw);
}
