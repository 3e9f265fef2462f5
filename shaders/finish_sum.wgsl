// A sample's sum, of the sums of its parts, which the invocations of a team take in turns. The last sample may have fewer.
@group(0) @binding(1) var<storage, read_write> scratch: array<Sum>;

// An invocation adds up its parts as a tree, too: the sum of 2^k of them waits at level k for its like.
var<private> waiting: array<Sum, 32>;

fn sum_of_parts(start: u32, first: u32) -> Sum {
    let parts = min(finish.parts, arrayLength(&scratch) - start);
    var count = 0u;
    for (var part = first; part < parts; part += finish.team) {
        var sum = scratch[start + part];
        var level = 0u;
        for (var full = count; (full & 1u) == 1u; full >>= 1u) {
            sum = plus(waiting[level], sum);
            level++;
        }
        waiting[level] = sum;
        count++;
    }
    var sum: Sum;
    for (var level = 0u; level < 32u && (count >> level) > 0u; level++) {
        if (((count >> level) & 1u) == 1u) {
            sum = plus(waiting[level], sum);
        }
    }
    return sum;
}

fn conclude(workgroup: u32, invocation: u32) {
    let sample = workgroup * (256u / finish.team) + invocation / finish.team;
    let first = invocation % finish.team;
    var mine: Sum;
    if (sample < finish.samples) {
        mine = sum_of_parts(finish.start + sample * finish.parts, first);
    }
    let sum = tree(invocation, finish.team, mine);
    if (first == 0u && sample < finish.samples) {
        finish_sum(sample, sum);
    }
}
