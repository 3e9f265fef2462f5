//! Threefry2x32 with 20 rounds, the counter-based generator of JAX.

/// The rotations of the rounds, in turn.
const ROTATIONS: [[u32; 4]; 2] = [[13, 15, 26, 6], [17, 29, 16, 24]];

/// Returns the two random words of a counter under a key, as in Random123 (Salmon et al. 2011), whose published answers it
/// reproduces.
///
/// ```
/// assert_eq!(tweedie::noise::threefry2x32_20([0; 2], [0; 2]), [0x6b200159, 0x99ba4efe]);
/// ```
#[must_use]
pub const fn threefry2x32_20(counter: [u32; 2], key: [u32; 2]) -> [u32; 2] {
    let keys = [key[0], key[1], key[0] ^ key[1] ^ 0x1BD1_1BDA];
    let (mut x, mut y) = (counter[0].wrapping_add(keys[0]), counter[1].wrapping_add(keys[1]));
    let mut group = 0;
    while group < 5 {
        let mut round = 0;
        while round < 4 {
            x = x.wrapping_add(y);
            y = y.rotate_left(ROTATIONS[group % 2][round]) ^ x;
            round += 1;
        }
        group += 1;
        x = x.wrapping_add(keys[group % 3]);
        y = y.wrapping_add(keys[(group + 1) % 3]).wrapping_add(group as u32);
    }
    [x, y]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers of Random123.
    #[test]
    fn known_answers() {
        assert_eq!(threefry2x32_20([u32::MAX; 2], [u32::MAX; 2]), [0x1cb9_96fc, 0xbb00_2be7]);
        let answer = threefry2x32_20([0x243f_6a88, 0x85a3_08d3], [0x1319_8a2e, 0x0370_7344]);
        assert_eq!(answer, [0xc492_3a9c, 0x483d_f7a0]);
    }
}
