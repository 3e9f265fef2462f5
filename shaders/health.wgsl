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
fn ordered(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}

fn observe_one(row: Row, raw: f32) {
    if (!row.defined) {
        return;
    }
    if (step_of(row) != seen.step) {
        record();
        seen.step = step_of(row);
    }
    if ((bitcast<u32>(raw) & 0x7f800000u) == 0x7f800000u) {
        seen.unfit += 1u;
        return;
    }
    let limit = select(params.window.range, row.limit, CLIP == 2u);
    seen.clipped += select(0u, 1u, CLIP != 0u && abs(raw) > limit);
    seen.least = max(seen.least, ~ordered(raw));
    seen.most = max(seen.most, ordered(raw));
}

fn observe(row: Row, out: Outputs) {
    observe_one(row, out.raw.x);
    observe_one(row, out.raw.y);
    observe_one(row, out.raw.z);
    observe_one(row, out.raw.w);
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
