// The levels of a Laplacian pyramid, as kornia builds them: planes that are copied, halved or doubled, one element an invocation.
// Host twin: `tweedie::math::guidance::GuidanceLoop`.
// Expects: from the host SMALL_WORKGROUP.
// Defines: PyramidParams, the entry points of the sections.
//# common
struct PyramidParams {
    count: u32,         // elements that are written
    height: u32,        // of a plane that is written
    width: u32,
    source_height: u32, // of a plane that is read
    source_width: u32,
    groups_x: u32,      // workgroups along x; further ones go along y
    @size(8) sign: f32, // factor of what is added
}

@group(0) @binding(0) var<uniform> params: PyramidParams;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read_write> result: array<f32>;

fn invocation(local: vec3<u32>, group: vec3<u32>) -> u32 {
    return (group.y * params.groups_x + group.x) * SMALL_WORKGROUP + local.x;
}

// The row and the column of an element in its plane.
fn place_of(i: u32) -> vec2<i32> {
    return vec2<i32>(i32(i / params.width % params.height), i32(i % params.width));
}

// The first element of the plane that is read for an element.
fn source_of(i: u32) -> u32 {
    return i / (params.width * params.height) * (params.source_width * params.source_height);
}

fn source_at(first: u32, row: i32, column: i32) -> f32 {
    return source[first + u32(row) * params.source_width + u32(column)];
}

// An index before the first of n elements, or after the last, is reflected.
fn reflected(index: i32, n: u32) -> i32 {
    let distance = abs(index);
    let last = i32(n) - 1;
    return select(distance, 2 * last - distance, distance > last);
}
//# copy
// A larger plane is continued by reflection, a smaller one is cut off.
@compute @workgroup_size(SMALL_WORKGROUP, 1, 1)
fn pyramid_copy(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let i = invocation(local, group);
    if (i >= params.count) {
        return;
    }
    let place = place_of(i);
    let row = reflected(place.x, params.source_height);
    let column = reflected(place.y, params.source_width);
    result[i] = source_at(source_of(i), row, column);
}
//# halve
// Six weights: the blur (1 4 6 4 1)/16, and then the mean of two neighbours.
fn halving(k: i32) -> f32 {
    let distance = max(k, 5 - k);
    return select(select(10.0, 5.0, distance == 4), 1.0, distance == 5) * 0.03125;
}

@compute @workgroup_size(SMALL_WORKGROUP, 1, 1)
fn pyramid_halve(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let i = invocation(local, group);
    if (i >= params.count) {
        return;
    }
    let place = 2 * place_of(i) - 2;
    let first = source_of(i);
    var sum = 0.0;
    for (var y = 0; y < 6; y++) {
        let row = reflected(place.x + y, params.source_height);
        var of_row = 0.0;
        for (var x = 0; x < 6; x++) {
            of_row += halving(x) * source_at(first, row, reflected(place.y + x, params.source_width));
        }
        sum += halving(y) * of_row;
    }
    result[i] = sum;
}
//# double
fn blur(k: i32) -> f32 {
    let distance = abs(k);
    return select(select(0.375, 0.25, distance == 1), 0.0625, distance == 2);
}

// The weights of the elements around half an index, from two before to two after: n elements are doubled by linear interpolation,
// and the result is blurred.
fn doubling(index: i32, n: u32) -> array<f32, 5> {
    var weights = array<f32, 5>();
    let first = index / 2 - 2;
    for (var k = -2; k <= 2; k++) {
        let doubled = reflected(index + k, 2u * n);
        let near = doubled / 2;
        let far = clamp(near + 2 * (doubled % 2) - 1, 0, i32(n) - 1);
        weights[near - first] += 0.75 * blur(k);
        weights[far - first] += 0.25 * blur(k);
    }
    return weights;
}

// Adds what is read, at twice the size and times `sign`, to the result.
@compute @workgroup_size(SMALL_WORKGROUP, 1, 1)
fn pyramid_double(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let i = invocation(local, group);
    if (i >= params.count) {
        return;
    }
    let place = place_of(i);
    let first = source_of(i);
    var of_rows = doubling(place.x, params.source_height);
    var of_columns = doubling(place.y, params.source_width);
    var sum = 0.0;
    for (var y = 0; y < 5; y++) {
        // Beyond an edge all weights are 0.
        let row = clamp(place.x / 2 - 2 + y, 0, i32(params.source_height) - 1);
        var of_row = 0.0;
        for (var x = 0; x < 5; x++) {
            let column = clamp(place.y / 2 - 2 + x, 0, i32(params.source_width) - 1);
            of_row += of_columns[x] * source_at(first, row, column);
        }
        sum += of_rows[y] * of_row;
    }
    result[i] += params.sign * sum;
}
