// Four lanes of an invocation, in a loop, for kernels with so much code for each lane that it should be compiled once: FXC
// copies every function into its callers, and took ten seconds over four copies.
// Expects: Row, Bases, walk_lane.
// Defines: walk_four.
fn walk_four(row: Row, needed: u32, bases: Bases, sample: u32, first: u32, apart: u32) {
    for (var i = 0u; i < 4u; i += 1u) {
        walk_lane(row, needed, bases, sample, first + i * apart);
    }
}
