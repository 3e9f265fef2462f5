// The sum of what the 256 invocations of a workgroup hold, always in the same order; all of them get there together. The
// first one gets it. `Sum` and `plus` are named before.
var<workgroup> sums: array<Sum, 256>;

fn tree(invocation: u32, mine: Sum) -> Sum {
    sums[invocation] = mine;
    for (var half = 128u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (invocation < half) {
            sums[invocation] = plus(sums[invocation], sums[invocation + half]);
        }
    }
    return sums[invocation];
}
