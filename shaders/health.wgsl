// What a step saw of its clean samples, before they were clipped; see `tweedie::gpu::Health`. An invocation gathers what
// it meets. Where the batch shares a step, its workgroup adds that up before the record is touched. Counts and extremes
// do not depend on the order of anything, so the record is the same from run to run.
struct Seen {
    step: u32,
    unfit: u32,   // NaN or infinite
    clipped: u32,
    least: u32,   // the complement of ordered bits, so that everything begins at 0 and only grows
    most: u32,    // ordered bits
}

var<private> seen: Seen;
var<workgroup> gathered: array<atomic<u32>, 4>;

// Bits in the order of the numbers that they stand for. No finite number has 0.
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

// Takes note of these elements.
fn observe(row: Row, out: Outputs, these: vec4<bool>) {
    if (!row.defined) {
        return;
    }
    if (step_of(row) != seen.step) {
        record();
        seen.step = step_of(row);
    }
    let exponents = bitcast<vec4<u32>>(out.raw) & vec4<u32>(0x7f800000u);
    let fit = exponents != vec4<u32>(0x7f800000u);
    seen.unfit += count(these & !fit);
    let counted = these & fit;
    let limit = select(params.window.range, row.limit, CLIP == 2u);
    if (CLIP != 0u) {
        seen.clipped += count(counted & (abs(out.raw) > vec4<f32>(limit)));
    }
    let order = ordered(out.raw);
    seen.least = max(seen.least, greatest(select(vec4<u32>(0u), ~order, counted)));
    seen.most = max(seen.most, greatest(select(vec4<u32>(0u), order, counted)));
}

fn add_to_record(step: u32, unfit: u32, clipped: u32, least: u32, most: u32) {
    if (unfit > 0u) {
        atomicAdd(&health[step * 4u], unfit);
    }
    if (clipped > 0u) {
        atomicAdd(&health[step * 4u + 1u], clipped);
    }
    if (most > 0u) {
        atomicMax(&health[step * 4u + 2u], least);
        atomicMax(&health[step * 4u + 3u], most);
    }
}

fn record() {
    add_to_record(seen.step, seen.unfit, seen.clipped, seen.least, seen.most);
    seen = Seen(seen.step, 0u, 0u, 0u, 0u);
}

fn finish(invocation: u32) {
    if (!HEALTH_IN_GROUP) {
        record();
        return;
    }
    atomicAdd(&gathered[0], seen.unfit);
    atomicAdd(&gathered[1], seen.clipped);
    atomicMax(&gathered[2], seen.least);
    atomicMax(&gathered[3], seen.most);
    workgroupBarrier();
    if (invocation == 0u) {
        let step = u32(coefficients(find_row(0u), 3u).w);
        add_to_record(
            step, atomicLoad(&gathered[0]), atomicLoad(&gathered[1]), atomicLoad(&gathered[2]), atomicLoad(&gathered[3])
        );
    }
}
