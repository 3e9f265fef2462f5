// The sum of what the invocations of a team hold, always in the same order; the first one of each gets it. A team is a power of
// two, the 256 invocations of a workgroup at most, and all of those get here together.
// Expects: Sum, plus; from the host BRANCHES, a power of two.
// Defines: tree.

var<workgroup> sums: array<Sum, WORKGROUP>;

fn tree(invocation: u32, team: u32, partial: Sum) -> Sum {
    if (team == 1u) {
        return partial;
    }
    sums[invocation] = partial;
    var width = team;
    // BRANCHES a level: each level is a barrier, and eight levels of two took as long as the chunk itself on a CPU.
    while (width > 1u) {
        let branches = min(width, BRANCHES);
        width /= branches;
        // The first `width` invocations of each team add up what lies `width` apart, from left to right.
        workgroupBarrier();
        if (invocation % team < width) {
            var sum = sums[invocation];
            for (var k = 1u; k < branches; k++) {
                sum = plus(sum, sums[invocation + k * width]);
            }
            sums[invocation] = sum;
        }
    }
    return sums[invocation];
}
