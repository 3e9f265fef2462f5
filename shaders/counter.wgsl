// Adds 1 to every word, so that the next recording finds the next row.
@group(0) @binding(0) var<storage, read_write> counters: array<u32>;
@group(0) @binding(1) var<uniform> count: vec4<u32>;

@compute @workgroup_size(64, 1, 1)
fn advance(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < count.x) {
        counters[count.y + id.x] += 1u;
    }
}
