// sums: the sums over a sample from which the weights of its mixture follow.
// Host twin: `tweedie::table::guide::Products`.
// Expects: guide/row, co_moments, partial, Inputs.
// Defines: accumulate, chunk_result.

// The mean of a lane's elements inside the sample.
fn mean_of(v: vec4<f32>, inside: vec4<bool>, count: f32) -> f32 {
    return dot(select(vec4<f32>(0.0), v, inside), vec4<f32>(1.0)) / count;
}

fn accumulate(row: Row, v: Inputs, inside: vec4<bool>) {
    let zero = vec4<f32>(0.0);
    let count = dot(select(zero, vec4<f32>(1.0), inside), vec4<f32>(1.0));
    let first = first_vector(row, v);
    let second = second_vector(row, v);
    let mean = vec3<f32>(
        mean_of(v.conditional, inside, count),
        mean_of(first, inside, count),
        mean_of(second, inside, count),
    );
    let a = select(zero, v.conditional - mean.x, inside);
    let b = select(zero, first - mean.y, inside);
    let c = select(zero, second - mean.z, inside);
    let squares = vec3<f32>(dot(a, a), dot(b, b), dot(c, c));
    partial = plus(partial, Sum(mean, count, squares, 0.0, vec3<f32>(dot(a, b), dot(a, c), dot(b, c)), 0.0));
}

fn chunk_result(row: Row, sum: Sum) -> Sum {
    return sum;
}
