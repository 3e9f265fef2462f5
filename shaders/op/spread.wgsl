// spread: the moments of a sample's conditional prediction and of its guided mixture, for guidance rescale.
// Host twin: `tweedie::gpu::Step::reference`.
// Expects: row/step, moments, partial, Inputs.
// Defines: needs, accumulate, chunk_result.

fn needs(row: Row) -> u32 {
    return select(0u, NEEDS_UNCONDITIONAL, row.guidance.y != 0.0);
}

// The moments (count, mean, summed squares) of one quantity over the elements of a lane.
fn moments_of(v: vec4<f32>, inside: vec4<bool>) -> vec3<f32> {
    let zero = vec4<f32>(0.0);
    let count = dot(select(zero, vec4<f32>(1.0), inside), vec4<f32>(1.0));
    let mean = dot(select(zero, v, inside), vec4<f32>(1.0)) / count;
    let gaps = select(zero, v - mean, inside);
    return vec3<f32>(count, mean, dot(gaps, gaps));
}

fn accumulate(row: Row, v: Inputs, inside: vec4<bool>) {
    let a = moments_of(v.conditional, inside);
    let b = moments_of(mixture(row, v), inside);
    partial = plus(partial, Sum(vec2<f32>(a.y, b.y), vec2<f32>(a.z, b.z), a.x));
}

fn chunk_result(row: Row, sum: Sum) -> Sum {
    return sum;
}
