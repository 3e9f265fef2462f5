// The last part of a call of guidance, which works position by position: norms or cosines along an axis.
// Host twin: `tweedie::math::guidance::GuidanceLoop`.
// Expects: from the host SMALL_WORKGROUP.
// Defines: FinishParams, the entry points of the sections.
//# common
struct FinishParams {
    count: u32,     // positions of the batch; for the mixture, elements
    length: u32,    // elements along the axis
    inner: u32,     // distance between neighbours along the axis, in elements
    group: u32,     // elements that share a likeness
    groups_x: u32,  // workgroups along x; further ones go along y
    clamped: u32,   // whether a result may be shorter
    @size(8) factor: f32, // the strength of a norm, or the scale of the guidance
}

@group(0) @binding(0) var<uniform> params: FinishParams;
@group(0) @binding(1) var<storage, read> conditional: array<f32>;

fn invocation(local: vec3<u32>, group: vec3<u32>) -> u32 {
    return (group.y * params.groups_x + group.x) * SMALL_WORKGROUP + local.x;
}

// The first element of a position.
fn first_of(position: u32) -> u32 {
    let block = position / params.inner;
    return block * params.length * params.inner + position % params.inner;
}
//# norm
@group(0) @binding(2) var<storage, read_write> guided: array<f32>;

// The norm of a vector, from the squares of its elements divided by the largest, so that no square leaves the range of f32.
fn norm(largest: f32, squares: f32) -> f32 {
    return select(largest * sqrt(squares), 0.0, largest == 0.0);
}

@compute @workgroup_size(SMALL_WORKGROUP, 1, 1)
fn guide_norm(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let position = invocation(local, group);
    if (position >= params.count) {
        return;
    }
    let first = first_of(position);
    var largest = vec2<f32>(0.0);
    for (var k = 0u; k < params.length; k++) {
        let i = first + k * params.inner;
        largest = max(largest, abs(vec2<f32>(conditional[i], guided[i])));
    }
    let scale = max(largest, vec2<f32>(1e-38));
    var squares = vec2<f32>(0.0);
    for (var k = 0u; k < params.length; k++) {
        let i = first + k * params.inner;
        let v = vec2<f32>(conditional[i], guided[i]) / scale;
        squares += v * v;
    }
    let of_c = norm(largest.x, squares.x);
    let of_guided = norm(largest.y, squares.y);
    var factor = 1.0;
    if (params.clamped != 0u) {
        factor = min(of_c / (of_guided + 1e-8), 1.0);
    } else if (of_guided > 0.0) {
        factor = of_c / of_guided;
    }
    for (var k = 0u; k < params.length; k++) {
        let i = first + k * params.inner;
        guided[i] *= params.factor * factor;
    }
}
//# likeness
@group(0) @binding(2) var<storage, read> guided: array<f32>;
@group(0) @binding(3) var<storage, read> unconditional: array<f32>;
@group(0) @binding(4) var<storage, read_write> likenesses: array<f32>;

fn root(x: f32) -> f32 {
    return sign(x) * sqrt(abs(x));
}

@compute @workgroup_size(SMALL_WORKGROUP, 1, 1)
fn guide_likeness(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let position = invocation(local, group);
    if (position >= params.count) {
        return;
    }
    let first = first_of(position);
    var squares = vec2<f32>(0.0);
    var product = 0.0;
    for (var k = 0u; k < params.length; k++) {
        let i = first + k * params.inner;
        let v = vec2<f32>(
            root(params.factor * unconditional[i]),
            root((params.factor * conditional[i] + guided[i]) * 0.5),
        );
        squares += v * v;
        product += v.x * v.y;
    }
    let norms = max(sqrt(squares), vec2<f32>(1e-8));
    likenesses[position] = product / (norms.x * norms.y);
}
//# mixture
@group(0) @binding(2) var<storage, read_write> guided: array<f32>;
@group(0) @binding(3) var<storage, read_write> likenesses: array<f32>; // of each group

@compute @workgroup_size(SMALL_WORKGROUP, 1, 1)
fn guide_mahiro(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let i = invocation(local, group);
    if (i >= params.count) {
        return;
    }
    let likeness = likenesses[i / params.group];
    guided[i] = 0.5 * ((likeness + 1.0) * guided[i] + (1.0 - likeness) * params.factor * conditional[i]);
}
