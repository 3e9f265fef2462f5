// Statistics of a step's clean samples before they are clipped; see `tweedie::gpu::CleanStats`. An invocation first adds up its
// own elements. Counts and extremes do not depend on any order, so the record is the same from run to run.
// Expects: row/step, params, find_row, coefficients, Outputs, clean_stats; from the host CLIP, and CLEAN_STATS_IN_GROUP: whether
// the batch shares a step.
// Defines: observe, flush.

struct Stats {
    step: u32,
    not_finite: u32, // NaN or infinite
    clipped: u32,
    least: u32,      // the complement of ordered bits, so that everything begins at 0 and only grows
    most: u32,       // ordered bits
}

var<private> stats: Stats;
var<workgroup> shared_stats: array<atomic<u32>, 4>;

// Bits in the order of the numbers. They are 0 for no finite number.
fn ordered(x: vec4<f32>) -> vec4<u32> {
    let bits = bitcast<vec4<u32>>(x);
    return select(bits | vec4<u32>(0x80000000u), ~bits, bits >= vec4<u32>(0x80000000u));
}

fn count(these: vec4<bool>) -> u32 {
    let ones = select(vec4<u32>(0u), vec4<u32>(1u), these);
    return ones.x + ones.y + ones.z + ones.w;
}

fn greatest(of_four: vec4<u32>) -> u32 {
    return max(max(of_four.x, of_four.y), max(of_four.z, of_four.w));
}

// Adds these elements to the invocation's statistics.
fn observe(row: Row, out: Outputs, these: vec4<bool>) {
    if (!row.defined) {
        return;
    }
    // Where each sample is at a step of its own, an invocation may have elements of several steps.
    if (step_of(row) != stats.step) {
        record();
        stats.step = step_of(row);
    }
    let exponents = bitcast<vec4<u32>>(out.raw) & vec4<u32>(0x7f800000u);
    let fit = exponents != vec4<u32>(0x7f800000u);
    stats.not_finite += count(these & !fit);
    let counted = these & fit;
    let limit = select(row.limit, row.threshold, CLIP == CLIP_QUANTILE);
    if (CLIP != CLIP_NONE) {
        stats.clipped += count(counted & (abs(out.raw) > vec4<f32>(limit)));
    }
    let order = ordered(out.raw);
    stats.least = max(stats.least, greatest(select(vec4<u32>(0u), ~order, counted)));
    stats.most = max(stats.most, greatest(select(vec4<u32>(0u), order, counted)));
}

fn add_to_record(step: u32, not_finite: u32, clipped: u32, least: u32, most: u32) {
    if (not_finite > 0u) {
        atomicAdd(&clean_stats[step * 4u], not_finite);
    }
    if (clipped > 0u) {
        atomicAdd(&clean_stats[step * 4u + 1u], clipped);
    }
    if (most > 0u) {
        atomicMax(&clean_stats[step * 4u + 2u], least);
        atomicMax(&clean_stats[step * 4u + 3u], most);
    }
}

fn record() {
    add_to_record(stats.step, stats.not_finite, stats.clipped, stats.least, stats.most);
    stats = Stats(stats.step, 0u, 0u, 0u, 0u);
}

fn flush(invocation: u32) {
    // Where the batch shares a step, a workgroup adds up its invocations before it updates the record in memory.
    if (!CLEAN_STATS_IN_GROUP) {
        record();
        return;
    }
    atomicAdd(&shared_stats[0], stats.not_finite);
    atomicAdd(&shared_stats[1], stats.clipped);
    atomicMax(&shared_stats[2], stats.least);
    atomicMax(&shared_stats[3], stats.most);
    workgroupBarrier();
    if (invocation == 0u) {
        let step = u32(coefficients(find_row(0u), 3u).w);
        add_to_record(
            step, atomicLoad(&shared_stats[0]), atomicLoad(&shared_stats[1]), atomicLoad(&shared_stats[2]), atomicLoad(&shared_stats[3])
        );
    }
}
