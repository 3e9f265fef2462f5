// Four lanes of an invocation, unrolled: their loads overlap, and no loop is guarded against running for ever.
// Expects: Row, Bases, walk_lane.
// Defines: walk_four.
fn walk_four(row: Row, needed: u32, bases: Bases, sample: u32, first: u32, apart: u32) {
    walk_lane(row, needed, bases, sample, first);
    walk_lane(row, needed, bases, sample, first + apart);
    walk_lane(row, needed, bases, sample, first + 2u * apart);
    walk_lane(row, needed, bases, sample, first + 3u * apart);
}
