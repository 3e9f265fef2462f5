// The row of a call of guidance and the two vectors that it combines from the predictions: shared by mixture and sums. The
// fields are those of `tweedie::table::GuideRow`.
// Expects: find_row, coefficients, weights_of, Inputs; from the host KEEPS: whether the first vector is remembered.
// Defines: Row, row_at, stream_of, keeps, needs, first_vector, second_vector.

struct Row {
    first: vec4<f32>,   // of c - u, c - p3, c - p4 and the last call's first vector
    second: vec3<f32>,  // of the same differences
    weights: vec3<f32>, // of c and the two vectors
    defined: bool,
}

fn row_at(sample: u32) -> Row {
    let found = find_row(sample);
    let second = coefficients(found, 1u);
    let weights = weights_of(sample, second.w, coefficients(found, 2u));
    return Row(coefficients(found, 0u), second.xyz, weights, found.defined);
}

fn stream_of(row: Row) -> u32 {
    return 0u;
}

// Whether the call remembers its first vector.
fn keeps(row: Row) -> bool {
    return any(row.first.xyz != vec3<f32>(0.0));
}

fn needs(row: Row) -> u32 {
    let read = (row.first.xyz != vec3<f32>(0.0)) | (row.second != vec3<f32>(0.0));
    let remembered = row.first.w != 0.0 || KEEPS && !keeps(row);
    return select(0u, NEEDS_UNCONDITIONAL, read.x)
        | select(0u, NEEDS_THIRD, read.y)
        | select(0u, NEEDS_FOURTH, read.z)
        | select(0u, NEEDS_MOMENTUM, remembered);
}

// A difference without a coefficient is not added: it may be NaN.
fn along(weights: vec3<f32>, v: Inputs) -> vec4<f32> {
    var sum = vec4<f32>(0.0);
    if (weights.x != 0.0) {
        sum += weights.x * (v.conditional - v.unconditional);
    }
    if (weights.y != 0.0) {
        sum += weights.y * (v.conditional - v.third);
    }
    if (weights.z != 0.0) {
        sum += weights.z * (v.conditional - v.fourth);
    }
    return sum;
}

fn first_vector(row: Row, v: Inputs) -> vec4<f32> {
    var sum = along(row.first.xyz, v);
    if (row.first.w != 0.0) {
        sum += row.first.w * v.momentum;
    }
    return sum;
}

fn second_vector(row: Row, v: Inputs) -> vec4<f32> {
    return along(row.second, v);
}
