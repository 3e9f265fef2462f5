// Four lanes of an invocation, unrolled. Where all of them are inside their sample, they are read before the first is written, so
// that their loads are in flight together: no driver moves a load past a store that may write to the same memory.
// Expects: Row, Bases, Inputs, whole_tiles, walk_lane, take_lane, give_lane.
// Defines: walk_four.
fn walk_four(row: Row, needed: u32, bases: Bases, sample: u32, first: u32, apart: u32) {
    if (whole_tiles) {
        let a = take_lane(row, needed, bases, sample, first);
        let b = take_lane(row, needed, bases, sample, first + apart);
        let c = take_lane(row, needed, bases, sample, first + 2u * apart);
        let d = take_lane(row, needed, bases, sample, first + 3u * apart);
        give_lane(row, bases, first, a);
        give_lane(row, bases, first + apart, b);
        give_lane(row, bases, first + 2u * apart, c);
        give_lane(row, bases, first + 3u * apart, d);
    } else {
        walk_lane(row, needed, bases, sample, first);
        walk_lane(row, needed, bases, sample, first + apart);
        walk_lane(row, needed, bases, sample, first + 2u * apart);
        walk_lane(row, needed, bases, sample, first + 3u * apart);
    }
}
