// The sum of what the invocations of a team hold, always in the same order; the first one of each gets it. A team is a power of
// two, the 256 invocations of a workgroup at most, and all of those get here together. `Sum` and `plus` are named before.
var<workgroup> sums: array<Sum, 256>;

fn tree(invocation: u32, team: u32, mine: Sum) -> Sum {
    sums[invocation] = mine;
    for (var half = team / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (invocation % team < half) {
            sums[invocation] = plus(sums[invocation], sums[invocation + half]);
        }
    }
    return sums[invocation];
}
