// Adds 1 to every word of a counter, so that the next recording finds the next row.
// Host twin: `tweedie::gpu::Counter`.
// Expects: from the host SMALL_WORKGROUP.
// Defines: CounterParams, the entry point `advance`.
struct CounterParams {
    count: u32,              // words
    @size(12) first: u32,    // index of the first word in the binding
}

@group(0) @binding(0) var<storage, read_write> counters: array<u32>;
@group(0) @binding(1) var<uniform> params: CounterParams;

@compute @workgroup_size(SMALL_WORKGROUP, 1, 1)
fn advance(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < params.count) {
        counters[params.first + id.x] += 1u;
    }
}
