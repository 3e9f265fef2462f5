// step: one step of a sampler, from guidance to the next sample; see `tweedie::table::StepRow` for the coefficients.
// Host twin: `tweedie::gpu::Step::reference`.
// Expects: row/step, row/step_plain or row/step_extended, clamped, params, Inputs, Outputs; from the host CLIP, DEVIATION, DEPTH,
// MASKED, and EXTENDED: whether rows have more than five vectors.
// Defines: needs, place_of_past, op.

// The inputs that this row needs.
fn needs(row: Row) -> u32 {
    let bits = vec3<u32>(NEEDS_HISTORY, NEEDS_HISTORY << 1u, NEEDS_HISTORY << 2u);
    let past = select(vec3<u32>(0u), bits, row.history != vec3<f32>(0.0));
    let noise = row.x0.z != 0.0 || row.z != 0.0 || (MASKED && row.known.y != 0.0);
    // The network's second output is not read without a coefficient, as in rows of a fixed deviation.
    let learned = row.z != 0.0 && (DEVIATION == DEVIATION_VARIANCE || row.learned.y != 0.0);
    return select(0u, NEEDS_NOISE, noise)
        | select(0u, NEEDS_UNCONDITIONAL, row.guidance.y != 0.0)
        | select(0u, NEEDS_LEARNED, learned)
        | past.x | past.y | past.z | needs_extended(row);
}

// The place of the clean sample of `back` steps ago among the DEPTH remembered ones. This step's own replaces the oldest.
fn place_of_past(row: Row, back: u32) -> u32 {
    return (u32(row.index) + DEPTH - back) % max(DEPTH, 1u);
}

fn op(row: Row, v: Inputs) -> Outputs {
    let p = mixture(row, v) * row.factor;
    let raw = clean_sample(row, v, p);
    var x0 = raw;
    if (CLIP == CLIP_RANGE) {
        // The largest number of f32 means no limit: infinity is not clamped to it.
        let unlimited = bitcast<u32>(row.limit) == 0x7f7fffffu;
        x0 = select(clamped(raw, row.limit), raw, unlimited);
    } else if (CLIP == CLIP_QUANTILE) {
        x0 = clamped(raw, row.threshold) / row.threshold;
    }
    var z = row.z * v.noise;
    if (DEVIATION == DEVIATION_LOG) {
        z *= exp(row.learned.x + row.learned.y * v.learned);
    } else if (DEVIATION == DEVIATION_VARIANCE) {
        z *= sqrt(max(v.learned, vec4<f32>(0.0)));
    }
    var next = row.x * v.x + row.p * p + row.clean * x0 + z;
    if (DEPTH > 0u) {
        next += row.history.x * v.history0 + row.history.y * v.history1 + row.history.z * v.history2;
    }
    if (EXTENDED) {
        next += extended_terms(row, v);
    }
    if (MASKED) {
        next += v.mask * (row.known.x * v.known + row.known.y * v.noise - next);
    }
    return Outputs(next, x0, row.input * next, v.noise, raw, kept(row, v, x0));
}
