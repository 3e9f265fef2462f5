// A radix selection of two neighbouring order statistics of a sample, from the highest of three digits to the lowest: of
// 11, 10 and 10 bits. As long as both have the same prefix, they share a list of counts; then each has its own.
const BINS = 2048u;
const STATE = 4u;   // words before the counts of a sample: two prefixes, two ranks among what has these prefixes
const TALLY = 2052u; // STATE + BINS

fn width_of(shift: u32) -> u32 {
    return select(10u, 11u, shift == 20u);
}
