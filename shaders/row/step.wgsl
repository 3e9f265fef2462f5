// The row of a step, and the clean sample that its prediction implies: shared by step, spread and histogram, so that all
// three see the same numbers. The fields are those of `tweedie::table::StepRow`.
// Expects: find_row, coefficients, scales_of, Inputs.
// Defines: Row, row_at, step_of, stream_of, slice_weight, mixture, clean_sample.

struct Row {
    guidance: vec2<f32>, // of the conditional and the unconditional prediction
    learned: vec2<f32>,  // a learned deviation is exp(learned.x + learned.y * v)
    x0: vec3<f32>,       // of x, p and z in the clean sample
    z: f32,              // of z in the next sample
    x: f32,              // of x in the next sample
    p: f32,              // of p in the next sample
    clean: f32,          // of the clipped clean sample in the next sample
    input: f32,          // of the next sample in the network's input
    history: vec3<f32>,  // of the last three clean samples, latest first
    index: f32,          // of the step
    known: vec2<f32>,    // of the known clean sample and z in a known region
    stream: f32,         // of the noise, counted from the key's stream
    limit: f32,          // clean samples are clamped to -limit..limit
    factor: f32,         // of the guided prediction: guidance rescale
    threshold: f32,      // of the clean sample: dynamic thresholding
    defined: bool,
    found: Found,
}

fn row_at(sample: u32) -> Row {
    let found = find_row(sample);
    let scales = scales_of(sample);
    let mixed = coefficients(found, 0u);
    let clean = coefficients(found, 1u);
    let next = coefficients(found, 2u);
    let past = coefficients(found, 3u);
    let rest = coefficients(found, 4u);
    return Row(
        mixed.xy,
        mixed.zw,
        clean.xyz,
        clean.w,
        next.x,
        next.y,
        next.z,
        next.w,
        past.xyz,
        past.w,
        rest.xy,
        rest.z,
        rest.w,
        scales.x,
        scales.y,
        found.defined,
        found,
    );
}

fn step_of(row: Row) -> u32 {
    return u32(row.index);
}

fn stream_of(row: Row) -> u32 {
    return u32(row.stream);
}

// The weights of a prediction's slices follow the nine vectors of an extended row.
fn slice_weight(row: Row, slice: u32) -> f32 {
    return coefficients(row.found, 9u + slice / 4u)[slice & 3u];
}

// The guided prediction, before it is rescaled.
fn mixture(row: Row, v: Inputs) -> vec4<f32> {
    return row.guidance.x * v.conditional + row.guidance.y * v.unconditional;
}

// The clean sample before it is clipped; p is the rescaled prediction.
fn clean_sample(row: Row, v: Inputs, p: vec4<f32>) -> vec4<f32> {
    return row.x0.x * v.x + row.x0.y * p + row.x0.z * v.noise;
}
