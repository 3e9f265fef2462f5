// The sum of the values that the invocations of a team hold, always in the same order; the first invocation of each team gets it.
// A team is a power of two, at most the 256 invocations of a workgroup, all of which must call this together.
// Expects: Sum, plus; from the host BRANCHES, a power of two.
// Defines: tree, tree_of_all, tree_of_columns.

var<workgroup> sums: array<Sum, WORKGROUP>;

fn tree(invocation: u32, team: u32, partial: Sum) -> Sum {
    if (team == 1u) {
        return partial;
    }
    sums[invocation] = partial;
    var width = team;
    // Each level adds BRANCHES values, since it takes a barrier: on a CPU, eight levels of two took as long as the chunk itself.
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

// The same for a team of all invocations, BRANCHES squared of them, without loops.
fn tree_of_all(invocation: u32, partial: Sum) -> Sum {
    sums[invocation] = partial;
    workgroupBarrier();
    if (invocation < BRANCHES) {
        sums[invocation] = sum_of_branches(invocation, BRANCHES);
    }
    workgroupBarrier();
    if (invocation == 0u) {
        return sum_of_branches(0u, 1u);
    }
    return partial;
}

// The same, where BRANCHES invocations have computed the first level on their own.
fn tree_of_columns(invocation: u32, column: Sum) -> Sum {
    sums[invocation] = column;
    workgroupBarrier();
    if (invocation == 0u) {
        return sum_of_branches(0u, 1u);
    }
    return column;
}

// All values are read before the first two are added, so that the reads are in flight together.
fn sum_of_branches(first: u32, apart: u32) -> Sum {
    let s0 = sums[first];
    let s1 = sums[first + apart];
    let s2 = sums[first + 2u * apart];
    let s3 = sums[first + 3u * apart];
    let s4 = sums[first + 4u * apart];
    let s5 = sums[first + 5u * apart];
    let s6 = sums[first + 6u * apart];
    let s7 = sums[first + 7u * apart];
    let s8 = sums[first + 8u * apart];
    let s9 = sums[first + 9u * apart];
    let sa = sums[first + 10u * apart];
    let sb = sums[first + 11u * apart];
    let sc = sums[first + 12u * apart];
    let sd = sums[first + 13u * apart];
    let se = sums[first + 14u * apart];
    let sf = sums[first + 15u * apart];
    var sum = plus(s0, s1);
    sum = plus(sum, s2);
    sum = plus(sum, s3);
    sum = plus(sum, s4);
    sum = plus(sum, s5);
    sum = plus(sum, s6);
    sum = plus(sum, s7);
    sum = plus(sum, s8);
    sum = plus(sum, s9);
    sum = plus(sum, sa);
    sum = plus(sum, sb);
    sum = plus(sum, sc);
    sum = plus(sum, sd);
    sum = plus(sum, se);
    sum = plus(sum, sf);
    return sum;
}
