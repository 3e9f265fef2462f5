// A sample's sum, from the sums of its parts, which the invocations of a team take in turn. The last sample may have fewer parts.
// Expects: fold, Sum, plus, tree, write_result.
// Defines: fold_workgroup.
@group(0) @binding(1) var<storage, read_write> scratch: array<Sum>;

// An invocation also adds up its own parts as a tree: a sum of 2^k parts waits at level k for another of the same size.
var<private> waiting: array<Sum, 32>;

fn sum_of_parts(start: u32, first: u32) -> Sum {
    let parts = min(fold.parts, arrayLength(&scratch) - start);
    var count = 0u;
    for (var part = first; part < parts; part += fold.team) {
        var sum = scratch[start + part];
        var level = 0u;
        // As in a binary counter, each carry adds two sums of the same number of parts.
        for (var full = count; (full & 1u) == 1u; full >>= 1u) {
            sum = plus(waiting[level], sum);
            level++;
        }
        waiting[level] = sum;
        count++;
    }
    // The sums that are still waiting, beginning with the one of the fewest parts.
    var sum: Sum;
    for (var level = 0u; level < 32u && (count >> level) > 0u; level++) {
        if (((count >> level) & 1u) == 1u) {
            sum = plus(waiting[level], sum);
        }
    }
    return sum;
}

fn fold_workgroup(workgroup: u32, invocation: u32) {
    let sample = workgroup * (WORKGROUP / fold.team) + invocation / fold.team;
    let first = invocation % fold.team;
    var partial: Sum;
    if (sample < fold.samples) {
        partial = sum_of_parts(fold.first_part + sample * fold.parts, first);
    }
    let sum = tree(invocation, fold.team, partial);
    if (first == 0u && sample < fold.samples) {
        write_result(sample, sum);
    }
}
