// step: one step of a sampler, from guidance to the next sample; see `tweedie::table::StepRow` for the coefficients.
// Host twin: `tweedie::gpu::step`. The row is in step_row. The host writes CLIP, DEVIATION, DEPTH and MASKED for the plan.

const NEEDS_LEARNED = 4u;
const NEEDS_PAST = vec3<u32>(8u, 16u, 32u);

// Which inputs this row looks at.
fn needs(row: Row) -> u32 {
    let past = select(vec3<u32>(0u), NEEDS_PAST, row.past.xyz != vec3<f32>(0.0));
    let noise = row.clean.z != 0.0 || row.clean.w != 0.0 || (MASKED && row.known.y != 0.0);
    return select(0u, NEEDS_NOISE, noise)
        | select(0u, NEEDS_UNCONDITIONAL, row.mix.y != 0.0)
        | select(0u, NEEDS_LEARNED, row.clean.w != 0.0)
        | past.x | past.y | past.z;
}

// Where the clean sample of `back` steps ago lies among the DEPTH remembered ones. This step's own replaces the oldest.
fn place_of_past(row: Row, back: u32) -> u32 {
    return (u32(row.past.w) + DEPTH - back) % max(DEPTH, 1u);
}

fn op(row: Row, v: Inputs) -> Outputs {
    let p = mixture(row, v) * row.factor;
    let raw = clean_sample(row, v, p);
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
