// A timestep for each sample of a batch, or for each group of its elements: the first word of a Philox block, looked up in a
// division of all words into ranges. All arithmetic is on integers, so the bits are the same everywhere. Host twin:
// `tweedie::math::TimestepDensity`.
// Expects: philox, multiply_wide (product_words), seed_of; from the host SMALL_WORKGROUP.
// Defines: Key, TimestepParams, first_sample, the entry point, whose name the host fills in.
struct Key {
    seed: vec2<u32>,     // low, high
    stream: u32,
    unused: u32,
    sample: vec2<u32>,   // global index of the batch's first sample: low, high
    unused2: vec2<u32>,
}

struct TimestepParams {
    batch: u32,   // the number of timesteps, for all groups of all samples
    ends: u32,    // the number of ends that a word can reach
    first: u32,   // word of the first timestep
    whole: u32,   // samples that a stratified draw is spread over; 0 for independent draws
    groups_x: u32, // workgroups along x; further ones go along y
    block: u32,   // the block of a sample from which its first timestep is drawn
    @size(8) groups: u32, // timesteps of a sample: each takes two blocks
}

@group(0) @binding(0) var<uniform> params: TimestepParams;
@group(0) @binding(1) var<uniform> key: Key;
@group(0) @binding(2) var<storage, read> ends: array<u32>;
@group(0) @binding(3) var<storage, read_write> timesteps: array<u32>;

// A draw always covers the whole batch.
fn first_sample() -> u32 {
    return 0u;
}

struct Division {
    quotient: u32,
    remainder: u32,
}

// (high * 2^32 + low) / divisor for high < divisor, bit by bit.
fn divide(high: u32, low: u32, divisor: u32) -> Division {
    var quotient = 0u;
    var rest = high;
    for (var i = 0u; i < 32u; i++) {
        let carry = rest >> 31u;
        rest = (rest << 1u) | ((low >> (31u - i)) & 1u);
        quotient = quotient << 1u;
        if (carry == 1u || rest >= divisor) {
            rest -= divisor;
            quotient |= 1u;
        }
    }
    return Division(quotient, rest);
}

// Moves a word into the stratum of its sample. The strata begin at a random shift that the whole batch shares, one for each
// group.
fn stratified(block: u32, word: u32, sample: vec2<u32>) -> u32 {
    let whole = params.whole;
    let first = philox4x32_10(vec4<u32>(block + 1u, key.stream, 0u, 0u), key.seed).x;
    let shift = multiply_wide(first, whole).x;
    let index = divide(sample.y % whole, sample.x, whole).remainder;
    let stratum = select(index + shift, index - (whole - shift), index >= whole - shift);
    return divide(stratum, word, whole).quotient;
}

@compute @workgroup_size(SMALL_WORKGROUP, 1, 1)
fn {{entry_point}}(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let i = (group.y * params.groups_x + group.x) * SMALL_WORKGROUP + local.x;
    if (i >= params.batch) {
        return;
    }
    let id = seed_of(i / params.groups);
    let block = params.block + 2u * (i % params.groups);
    var word = philox4x32_10(vec4<u32>(block, key.stream, id.zw), id.xy).x;
    if (params.whole > 0u) {
        word = stratified(block, word, id.zw);
    }
    // The first timestep whose range ends after the word, by binary search: 32 halvings are enough for any table, and the loop
    // has an end that every compiler sees.
    var first = 0u;
    var beyond = params.ends;
    for (var halving = 0u; halving < 32u && first < beyond; halving++) {
        let middle = first + (beyond - first) / 2u;
        if (ends[middle] <= word) {
            first = middle + 1u;
        } else {
            beyond = middle;
        }
    }
    timesteps[params.first + i] = first;
}
