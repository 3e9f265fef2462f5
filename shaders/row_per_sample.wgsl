// A timestep for each sample, from a buffer that the host cannot see. Out of range, or at a hole of the table, the
// sample becomes NaN and is counted; it never gets another timestep's numbers. A hole is a row of NaN bits.
@group(0) @binding(4) var<storage, read_write> status: array<atomic<u32>>;

fn row_at(sample: u32) -> Row {
    let t = load_timestep(params.timesteps + sample);
    let m = load_row(min(t, params.rows - 1u));
    let hole = (bitcast<u32>(m.x) & 0x7fffffffu) > 0x7f800000u;
    let defined = t < params.rows && !hole;
    // NaN coefficients make NaN of whatever they meet, at no cost for each element. Their bits come from the host, so no
    // compiler can reason about them.
    return Row(select(vec4<f32>(bitcast<f32>(params.nan)), m, defined), defined);
}

fn report_undefined(sample: u32) {
    if (params.reports == 1u && params.first_element == 0u) {
        atomicAdd(&status[0], 1u);
    }
}
