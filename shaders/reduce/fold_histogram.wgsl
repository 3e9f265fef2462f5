// A pass of the radix selection: finds the bins of both ranks, extends their prefixes, and clears the counts. The last pass
// interpolates between the two order statistics for the threshold of the sample.
// Expects: fold, radix.
// Defines: scales, fold_workgroup.
@group(0) @binding(1) var<storage, read_write> scratch: array<atomic<u32>>;
@group(0) @binding(2) var<storage, read_write> scales: array<vec2<f32>>;

const BINS_EACH = BINS / WORKGROUP; // of an invocation

var<workgroup> ends: array<u32, WORKGROUP>; // counts up to and with an invocation's last bin
var<workgroup> nans: u32;
var<workgroup> prefixes: array<u32, 2>;

struct Place {
    prefix: u32,
    rank: u32,
}

// The state that the pass before left for the lower (0) or the upper (1) order statistic.
fn place_of(sample: u32, which: u32) -> Place {
    if (fold.digit_shift == FIRST_DIGIT_SHIFT) {
        return Place(0u, min(fold.rank + which, fold.last_rank));
    }
    let at = sample * TALLY + which;
    return Place(atomicLoad(&scratch[at]), atomicLoad(&scratch[at + 2u]));
}

// The sum of the counts in all bins before an invocation's own: a parallel prefix sum.
fn scan(invocation: u32, own: u32) -> u32 {
    ends[invocation] = own;
    for (var step = 1u; step < WORKGROUP; step *= 2u) {
        // All invocations read the sums of the round before any of them writes: two barriers a round.
        workgroupBarrier();
        var before = 0u;
        if (invocation >= step) {
            before = ends[invocation - step];
        }
        workgroupBarrier();
        ends[invocation] += before;
    }
    workgroupBarrier();
    return ends[invocation] - own;
}

// Finds the bin, among an invocation's own, that holds this rank among their counts, and stores the longer prefix and the rest of
// the rank.
fn find(sample: u32, which: u32, place: Place, first_bin: u32, list: bool, counts: ptr<function, array<u32, BINS_EACH>>) {
    var left = place.rank;
    var i = 0u;
    for (; i < BINS_EACH - 1u && left >= (*counts)[i]; i++) {
        left -= (*counts)[i];
    }
    let bin = first_bin + i;
    let digit = select(bin % (BINS / 2u), bin, list);
    let prefix = (place.prefix << width_of(fold.digit_shift)) | digit;
    prefixes[which] = prefix;
    atomicStore(&scratch[sample * TALLY + which], prefix);
    atomicStore(&scratch[sample * TALLY + which + 2u], left);
}

// Interpolates between the two neighbours like torch.quantile, and clamps the result to the bounds. It never subtracts infinity
// from infinity.
fn threshold(below: f32, above: f32) -> f32 {
    let fraction = fold.fraction;
    if (bitcast<u32>(below) > 0x7f800000u) {
        return bitcast<f32>(fold.nan_bits);
    }
    var quantile = below;
    if (fraction > 0.0 && above > below) {
        quantile += (above - below) * fraction;
    }
    return min(max(quantile, fold.least), fold.most);
}

fn fold_workgroup(sample: u32, invocation: u32) {
    let there = sample < fold.samples;
    var counts: array<u32, BINS_EACH>;
    var places: array<Place, 2>;
    var own = 0u;
    if (there) {
        places[0] = place_of(sample, 0u);
        places[1] = place_of(sample, 1u);
        for (var i = 0u; i < BINS_EACH; i++) {
            let bin = sample * TALLY + STATE + invocation * BINS_EACH + i;
            counts[i] = atomicLoad(&scratch[bin]);
            atomicStore(&scratch[bin], 0u);
            own += counts[i];
        }
    }
    if (invocation == WORKGROUP - 1u) {
        nans = select(0u, counts[BINS_EACH - 1u], fold.digit_shift == FIRST_DIGIT_SHIFT); // the first digit's last bin: NaN
    }
    let start = scan(invocation, own);
    let one_list = places[0].prefix == places[1].prefix;
    for (var which = 0u; which < 2u; which++) {
        var place = places[which];
        if (nans > 0u) {
            place.rank = ends[WORKGROUP - 1u] - 1u; // the last in order is NaN, and so is the quantile
        } else if (which == 1u && !one_list) {
            place.rank += ends[WORKGROUP / 2u - 1u]; // the counts of the lower list come first
        }
        if (there && place.rank >= start && place.rank - start < own) {
            find(sample, which, Place(place.prefix, place.rank - start), invocation * BINS_EACH, one_list, &counts);
        }
    }
    workgroupBarrier();
    if (there && invocation == 0u && fold.digit_shift == 0u) {
        scales[fold.first_sample + sample].y = threshold(bitcast<f32>(prefixes[0]), bitcast<f32>(prefixes[1]));
    }
}
