// Ahead of kernels that have no storage binding to spare: the row of each sample, one after the other, where they read it
// through a uniform binding. What has no row becomes NaN, and is counted. Bits are moved, not numbers.
// Host twin: `tweedie::gpu::gather`.
struct Gather {
    rows: u32,     // rows to lay out: one for each sample, or one for all of them
    first: u32,    // word of the first timestep
    table: u32,    // rows of the table
    width: u32,    // vec4s of a row
    groups: u32,   // workgroups along x; y goes on from there
    counts: u32,   // samples that a row stands for
    nan: u32,      // bits of a NaN
    unused: u32,
}

@group(0) @binding(0) var<uniform> gather: Gather;
@group(0) @binding(1) var<storage, read> timesteps: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> gathered: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> status: array<atomic<u32>>;

@compute @workgroup_size(64, 1, 1)
fn gather_rows(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let i = (group.y * gather.groups + group.x) * 64u + local.x;
    if (i >= gather.rows) {
        return;
    }
    let t = timesteps[gather.first + i];
    let place = min(t, gather.table - 1u) * gather.width;
    let hole = (table[place].x & 0x7fffffffu) > 0x7f800000u;
    let defined = t < gather.table && !hole;
    for (var part = 0u; part < gather.width; part++) {
        gathered[i * gather.width + part] = select(vec4<u32>(gather.nan), table[place + part], defined);
    }
    if (!defined) {
        atomicAdd(&status[0], gather.counts);
    }
}
