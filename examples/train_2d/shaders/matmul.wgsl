// out = a b, for row-major `out` and any strides of `a` and `b`: the same text multiplies with a transpose.
//
// An invocation keeps a tile of 8 x 8 elements in registers and reads 16 numbers for every 64 multiplications. Every sum is
// made by one invocation in the order of k, so the result is the same to the last bit in every run.
// A finished sum is passed to `finish`, which is in a file that is appended to this one.

struct Product {
    rows: u32,
    columns: u32,
    inner: u32,
    // Elements from row to row of `a`, and along the sum.
    a_row: u32,
    a_inner: u32,
    // Elements along the sum of `b`, and from column to column.
    b_inner: u32,
    b_column: u32,
    unused: u32,
}

@group(0) @binding(0) var<uniform> product: Product;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

const TILE = 8u;

fn four_rows(row: u32, k: u32) -> vec4<f32> {
    let i = row * product.a_row + k * product.a_inner;
    let step = product.a_row;
    return vec4<f32>(a[i], a[i + step], a[i + 2u * step], a[i + 3u * step]);
}

fn four_columns(k: u32, column: u32) -> vec4<f32> {
    let i = k * product.b_inner + column * product.b_column;
    let step = product.b_column;
    return vec4<f32>(b[i], b[i + step], b[i + 2u * step], b[i + 3u * step]);
}

// Row r of the tile is column r of the matrix.
fn outer(rows: vec4<f32>, columns: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(rows.x * columns, rows.y * columns, rows.z * columns, rows.w * columns);
}

fn store_row(row: u32, column: u32, sums: vec4<f32>) {
    let i = row * product.columns + column;
    finish(i, sums.x);
    finish(i + 1u, sums.y);
    finish(i + 2u, sums.z);
    finish(i + 3u, sums.w);
}

fn store(row: u32, column: u32, sums: mat4x4<f32>) {
    store_row(row, column, sums[0]);
    store_row(row + 1u, column, sums[1]);
    store_row(row + 2u, column, sums[2]);
    store_row(row + 3u, column, sums[3]);
}

@compute @workgroup_size(32)
fn matmul(@builtin(global_invocation_id) id: vec3<u32>) {
    let tiles_across = product.columns / TILE;
    let row = id.x / tiles_across * TILE;
    let column = id.x % tiles_across * TILE;
    if (row >= product.rows) {
        return;
    }
    var top_left = mat4x4<f32>();
    var top_right = mat4x4<f32>();
    var bottom_left = mat4x4<f32>();
    var bottom_right = mat4x4<f32>();
    for (var k = 0u; k < product.inner; k++) {
        let top = four_rows(row, k);
        let bottom = four_rows(row + 4u, k);
        let left = four_columns(k, column);
        let right = four_columns(k, column + 4u);
        top_left += outer(top, left);
        top_right += outer(top, right);
        bottom_left += outer(bottom, left);
        bottom_right += outer(bottom, right);
    }
    store(row, column, top_left);
    store(row, column + 4u, top_right);
    store(row + 4u, column, bottom_left);
    store(row + 4u, column + 4u, bottom_right);
}
