// The sum of what the invocations of a team hold, always in the same order; the first one of each gets it. A team is a power of
// two, the 256 invocations of a workgroup at most, and all of those get here together. `Sum` and `plus` are named before.
// Sixteen branches a level: each level is a barrier, and eight of them took as long as the chunk itself on a CPU.
const BRANCHES = 16u;

var<workgroup> sums: array<Sum, 256>;

fn tree(invocation: u32, team: u32, mine: Sum) -> Sum {
    if (team == 1u) {
        return mine;
    }
    sums[invocation] = mine;
    var width = team;
    while (width > 1u) {
        let fold = min(width, BRANCHES);
        width /= fold;
        workgroupBarrier();
        if (invocation % team < width) {
            var sum = sums[invocation];
            for (var k = 1u; k < fold; k++) {
                sum = plus(sum, sums[invocation + k * width]);
            }
            sums[invocation] = sum;
        }
    }
    return sums[invocation];
}
