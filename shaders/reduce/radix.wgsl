// A radix selection of two neighbouring order statistics of a sample, from the highest of three digits to the lowest: of 11, 10
// and 10 bits. As long as both have the same prefix, they share a list of counts; then each has its own half of the list. The
// words of a sample in `scratch` are STATE words (two prefixes, and two ranks among the elements with these prefixes) and BINS
// counts.
// Expects: from the host FIRST_DIGIT_SHIFT, FIRST_DIGIT_BITS, DIGIT_BITS, BINS, STATE and TALLY.
// Defines: width_of.
fn width_of(shift: u32) -> u32 {
    return select(DIGIT_BITS, FIRST_DIGIT_BITS, shift == FIRST_DIGIT_SHIFT);
}
