//! Random choices for measurements and fault suites: fast, not cryptographic.

use std::{fs, io::Read as _};

use anyhow::Result;

/// Crockford's base 32, the alphabet of ids.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A random number generator (`SplitMix64`).
#[derive(Clone, Debug)]
pub struct Random(u64);

/// Returns a seed that differs from run to run.
pub fn random_seed() -> Result<u64> {
    let mut seed = [0; 8];
    fs::File::open("/dev/urandom")?.read_exact(&mut seed)?;
    Ok(u64::from_ne_bytes(seed))
}

impl Random {
    /// Creates a generator with a random seed.
    pub fn new() -> Result<Self> {
        random_seed().map(Self)
    }

    /// Creates a generator with this seed. Streams of one seed are independent, so that each thread
    /// has a generator.
    pub fn seeded(seed: u64, stream: u64) -> Self {
        let mut mixed = Self(seed ^ stream.wrapping_mul(0xd1b5_4a32_d192_ed03));
        Self(mixed.next())
    }

    /// Returns a number below `end`, which is at least 1.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns true or false with equal probability.
    pub fn flip(&mut self) -> bool {
        self.next() >> 63 == 1
    }

    /// Returns one of the values with equal probability.
    pub fn choose<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        // The bias is below one in many millions.
        let number = self.next() % of.len() as u64;
        &of[usize::try_from(number).unwrap_or_default()]
    }

    /// Returns an unused id for each id.
    pub fn unused_ids(&mut self, ids: &[String]) -> Vec<String> {
        ids.iter().map(|id| self.unused_id(id)).collect()
    }

    /// Returns an id with the same creation time that does not exist: the characters after the ten
    /// characters of the time are random.
    fn unused_id(&mut self, id: &str) -> String {
        let time = id.find('_').map_or(0, |at| at + 1) + 10;
        let drawn = id[time..].chars().map(|_| char::from(*self.choose(LETTERS)));
        id[..time].chars().chain(drawn).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_equally_frequent() {
        let mut random = Random::new().unwrap();
        let mut counts = [0_u32; 4];
        for _ in 0..40_000 {
            counts[*random.choose(&[0, 1, 2, 3])] += 1;
        }
        assert!(counts.iter().all(|count| (9_000..11_000).contains(count)), "{counts:?}");
        let heads = (0..40_000).filter(|_| random.flip()).count();
        assert!((19_000..21_000).contains(&heads), "{heads}");
    }

    #[test]
    fn same_seed_repeats_and_streams_differ() {
        let drawn = |seed, stream| {
            let mut random = Random::seeded(seed, stream);
            [0; 8].map(|_: u64| random.below(1_000_000))
        };
        assert_eq!(drawn(7, 1), drawn(7, 1));
        assert_ne!(drawn(7, 1), drawn(7, 2));
        assert_ne!(drawn(7, 1), drawn(8, 1));
    }

    #[test]
    fn unused_id_has_the_same_time_and_length() {
        let id = "sess_01JGXS1DN0ABCDEFGHJKMNPQRS";
        let unused_id = Random::new().unwrap().unused_id(id);
        assert_eq!((&unused_id[..15], unused_id.len()), (&id[..15], id.len()));
        assert_ne!(unused_id, id);
    }
}
