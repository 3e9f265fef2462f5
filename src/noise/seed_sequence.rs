//! numpy's `SeedSequence`, which derives many well-mixed seeds from one.
//!
//! **Theory.** O'Neill 2015 ("Developing a seed_seq alternative"): the words of the entropy, and of the path of a spawned
//! child, are hashed into a pool, each word of the pool is mixed with every other, and seeds are hashed out of it in turn.
//!
//! **Practice.** [`PCG64`](super::pcg64) uses a pool of 4 words, the [Brownian tree](super::brownian_tree) one of 24.

/// A pool of `SIZE` mixed words, from which seeds are hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SeedSequence<const SIZE: usize> {
    pool: [u32; SIZE],
}

/// The hash whose multiplier changes with every word.
struct Hash {
    constant: u32,
    multiplier: u32,
}

impl Hash {
    const fn into_pool() -> Self {
        Self { constant: 0x43B0_D7E5, multiplier: 0x931E_8875 }
    }

    const fn out_of_pool() -> Self {
        Self { constant: 0x8B51_F9DD, multiplier: 0x58F3_8DED }
    }

    fn word(&mut self, word: u32) -> u32 {
        let word = word ^ self.constant;
        self.constant = self.constant.wrapping_mul(self.multiplier);
        let word = word.wrapping_mul(self.constant);
        word ^ word >> 16
    }
}

fn mixed(a: u32, b: u32) -> u32 {
    let word = 0xCA01_F9DD_u32.wrapping_mul(a).wrapping_sub(0x4973_F715_u32.wrapping_mul(b));
    word ^ word >> 16
}

/// The words of a number, the low one first; one 0 for 0.
fn words_of(number: u64) -> impl Iterator<Item = u32> {
    let high = (number >> 32) as u32;
    std::iter::once(number as u32).chain((high > 0).then_some(high))
}

impl<const SIZE: usize> SeedSequence<SIZE> {
    /// `SeedSequence(entropy, spawn_key=spawn_key, pool_size=SIZE)`.
    pub(super) fn new(entropy: u64, spawn_key: &[u64]) -> Self {
        let mut words: Vec<u32> = words_of(entropy).collect();
        if !spawn_key.is_empty() && words.len() < SIZE {
            words.resize(SIZE, 0);
        }
        words.extend(spawn_key.iter().copied().flat_map(words_of));
        let mut hash = Hash::into_pool();
        let mut pool = [0; SIZE];
        let mut words = words.into_iter();
        pool.iter_mut().for_each(|slot| *slot = hash.word(words.next().unwrap_or(0)));
        for from in 0..SIZE {
            for to in (0..SIZE).filter(|&to| to != from) {
                pool[to] = mixed(pool[to], hash.word(pool[from]));
            }
        }
        for word in words {
            pool.iter_mut().for_each(|slot| *slot = mixed(*slot, hash.word(word)));
        }
        Self { pool }
    }

    /// The words of `generate_state`, without end.
    pub(super) fn state(&self) -> impl Iterator<Item = u32> {
        let mut hash = Hash::out_of_pool();
        self.pool.iter().cycle().map(move |&word| hash.word(word))
    }

    /// The first word of `generate_state`.
    pub(super) fn first(&self) -> u32 {
        self.state().next().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `SeedSequence(42).generate_state(4)`, from numpy's documentation and tests.
    #[test]
    fn known_words() {
        let words: Vec<u32> = SeedSequence::<4>::new(42, &[]).state().take(4).collect();
        assert_eq!(words, [3_444_837_047, 2_669_555_309, 2_046_530_742, 3_581_440_988]);
    }

    #[test]
    fn children_differ_from_their_parent_and_from_each_other() {
        let first = |entropy, key: &[u64]| SeedSequence::<24>::new(entropy, key).first();
        let words = [first(1, &[]), first(1, &[0, 0]), first(1, &[0, 1]), first(1, &[1, 1]), first(2, &[0, 0])];
        let distinct: std::collections::BTreeSet<u32> = words.into_iter().collect();
        assert_eq!(distinct.len(), words.len());
    }
}
