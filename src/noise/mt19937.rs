//! The Mersenne Twister, from which torch's CPU generator and numpy's legacy one draw their words.
//!
//! **Theory.** Matsumoto & Nishimura 1998: 624 words of state, of which each new one is a linear function of three old
//! ones; the output is tempered. The seeding is `init_genrand` of 2002.
//!
//! **Practice.** [`Mt19937::next`](Iterator::next) yields the words in order, without end. [`Mt19937::used`] counts them.

/// The number of words of state.
const STATE: usize = 624;

/// The distance to the third word from which a new one is made.
const MIDDLE: usize = 397;

/// A Mersenne Twister: an iterator over its 32-bit words that never ends.
///
/// ```
/// let mut words = tweedie::noise::Mt19937::new(5489);
/// assert_eq!(words.nth(9999), Some(4123659995)); // as the C++ standard requires of std::mt19937
/// ```
#[derive(Clone, Debug)]
pub struct Mt19937 {
    state: Box<[u32; STATE]>,
    /// The index of the next word of the state to return.
    next: usize,
    used: u64,
}

impl Mt19937 {
    /// Creates the generator of a seed.
    #[must_use]
    pub fn new(seed: u32) -> Self {
        let mut state = Box::new([0; STATE]);
        let mut word = seed;
        for (i, slot) in (1..).zip(state.iter_mut()) {
            *slot = word;
            word = (word ^ (word >> 30)).wrapping_mul(1_812_433_253).wrapping_add(i);
        }
        Self { state, next: STATE, used: 0 }
    }

    /// The number of words drawn so far.
    #[must_use]
    pub const fn used(&self) -> u64 {
        self.used
    }

    /// Draws the next word.
    pub fn word(&mut self) -> u32 {
        if self.next >= STATE {
            self.renew();
        }
        let mut word = self.state.get(self.next).copied().unwrap_or(0);
        self.next += 1;
        self.used = self.used.wrapping_add(1);
        word ^= word >> 11;
        word ^= (word << 7) & 0x9D2C_5680;
        word ^= (word << 15) & 0xEFC6_0000;
        word ^ (word >> 18)
    }

    /// Draws a uniform double in `[0, 1)` with 53 random bits as numpy does: 27 bits of a word, 26 of the next.
    pub(super) fn double(&mut self) -> f64 {
        let (high, low) = (self.word() >> 5, self.word() >> 6);
        (f64::from(high) * 67_108_864.0 + f64::from(low)) / 9_007_199_254_740_992.0
    }

    /// Makes the next 624 words of state.
    fn renew(&mut self) {
        let state = &mut *self.state;
        for i in 0..STATE {
            let joined = (state[i] & 0x8000_0000) | (state[(i + 1) % STATE] & 0x7FFF_FFFF);
            let twist = if joined & 1 == 1 { 0x9908_B0DF } else { 0 };
            state[i] = state[(i + MIDDLE) % STATE] ^ (joined >> 1) ^ twist;
        }
        self.next = 0;
    }
}

impl Iterator for Mt19937 {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        Some(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first words of the authors' own program at its default seed.
    #[test]
    fn known_words() {
        let words: Vec<u32> = Mt19937::new(5489).take(3).collect();
        assert_eq!(words, [3_499_211_612, 581_869_302, 3_890_346_734]);
        assert_ne!(Mt19937::new(5490).word(), words[0]);
    }

    #[test]
    fn words_are_counted() {
        let mut words = Mt19937::new(1);
        words.double();
        words.word();
        assert_eq!(words.used(), 3);
    }
}
