// What the kernels of a step have in common: a sample's row, and the clean sample that its prediction implies. Spread and
// digits see the same numbers as the step itself.

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

fn step_of(row: Row) -> u32 {
    return u32(row.past.w);
}

// The guided prediction, before it is rescaled.
fn mixture(row: Row, v: Inputs) -> vec4<f32> {
    return row.mix.x * v.conditional + row.mix.y * v.unconditional;
}

// The clean sample before it is clipped; p is the rescaled prediction.
fn clean_sample(row: Row, v: Inputs, p: vec4<f32>) -> vec4<f32> {
    return row.clean.x * v.x + row.clean.y * p + row.clean.z * v.noise;
}
