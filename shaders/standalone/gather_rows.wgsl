// Gathers the row of each sample ahead of kernels that have no storage binding to spare (the four-buffer form): the rows lie one
// after the other, and the kernels read them through a uniform binding. A sample without a row gets NaN, and is counted.
// Host twin: `tweedie::gpu::plan::four_buffers`.
// Expects: from the host SMALL_WORKGROUP.
// Defines: RowParams, the entry point `gather_rows`.
struct RowParams {
    rows: u32,           // rows to lay out: one for each sample, or one for all of them
    first_timestep: u32, // word of the first timestep
    table_rows: u32,     // rows of the table
    width: u32,          // vec4s of a row
    groups_x: u32,       // workgroups along x; further ones go along y
    counts: u32,         // samples that a row stands for
    nan_bits: u32,       // bits of a NaN
    runs: u32,           // with timesteps per group: runs of a sample, each of which has a row; else 1
    @size(16) groups: u32, // likewise: groups of a sample
}

@group(0) @binding(0) var<uniform> params: RowParams;
@group(0) @binding(1) var<storage, read> timesteps: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> gathered: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> status: array<atomic<u32>>;

@compute @workgroup_size(SMALL_WORKGROUP, 1, 1)
fn gather_rows(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let i = (group.y * params.groups_x + group.x) * SMALL_WORKGROUP + local.x;
    if (i >= params.rows) {
        return;
    }
    // A run has the timestep of its sample's group.
    let t = timesteps[params.first_timestep + i / params.runs * params.groups + i % params.groups];
    let place = min(t, params.table_rows - 1u) * params.width;
    let undefined = (table[place].x & 0x7fffffffu) > 0x7f800000u;
    let defined = t < params.table_rows && !undefined;
    // Rows are copied as bits: a device may flush or change numbers that are not normal.
    for (var part = 0u; part < params.width; part++) {
        gathered[i * params.width + part] = select(vec4<u32>(params.nan_bits), table[place + part], defined);
    }
    if (!defined) {
        atomicAdd(&status[0], params.counts);
    }
}
