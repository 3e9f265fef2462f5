// map: out_j = m[j][0] * in0 + m[j][1] * in1, with the 2x2 row m of each sample's timestep; in1 may be drawn here.
// Host twin: `tweedie::gpu::map`.
// Expects: find_row, coefficients, Inputs, Outputs.
// Defines: Row, row_at, needs, stream_of, op.

// The matrix of a sample, NaN where the timestep has none.
struct Row {
    m: vec4<f32>,
    defined: bool,
}

fn row_at(sample: u32) -> Row {
    let found = find_row(sample);
    return Row(coefficients(found, 0u), found.defined);
}

// Every input is needed, whatever the row.
fn needs(row: Row) -> u32 {
    return NEEDS_NOISE;
}

// The rows name no stream: the host sets that of the key.
fn stream_of(row: Row) -> u32 {
    return 0u;
}

fn op(row: Row, v: Inputs) -> Outputs {
    return Outputs(row.m.x * v.in0 + row.m.y * v.in1, row.m.z * v.in0 + row.m.w * v.in1, v.in1);
}
