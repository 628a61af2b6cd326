//! Random choices for measurements and fault suites: quick, and without any need of secrecy.

use std::{fs, io::Read as _};

use anyhow::Result;

/// The letters of Crockford's base 32, of which ids are made.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A source of chance (`SplitMix64`).
#[derive(Clone, Debug)]
pub struct Random(u64);

/// Returns a seed that differs from run to run.
pub fn random_seed() -> Result<u64> {
    let mut seed = [0; 8];
    fs::File::open("/dev/urandom")?.read_exact(&mut seed)?;
    Ok(u64::from_ne_bytes(seed))
}

impl Random {
    /// One that falls otherwise each time.
    pub fn new() -> Result<Self> {
        random_seed().map(Self)
    }

    /// Falls the same way for the same seed and stream. Streams of one seed are independent of each
    /// other, so that threads need not share a generator.
    pub fn seeded(seed: u64, stream: u64) -> Self {
        let mut mixed = Self(seed ^ stream.wrapping_mul(0xd1b5_4a32_d192_ed03));
        Self(mixed.next())
    }

    /// Returns a number below this one, which is not 0.
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

    /// Heads or tails.
    pub fn flip(&mut self) -> bool {
        self.next() >> 63 == 1
    }

    /// One of these.
    pub fn choose<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        // The last few are picked less often by one in many millions.
        let number = self.next() % of.len() as u64;
        &of[usize::try_from(number).unwrap_or_default()]
    }

    /// As many as these, [`never`](Self::never) there.
    pub fn unused_ids(&mut self, ids: &[String]) -> Vec<String> {
        ids.iter().map(|id| self.never(id)).collect()
    }

    /// An id as this one, made at the same moment, that never was: what follows the ten letters of its
    /// time is thrown anew.
    fn never(&mut self, id: &str) -> String {
        let time = id.find('_').map_or(0, |at| at + 1) + 10;
        let thrown = id[time..].chars().map(|_| char::from(*self.choose(LETTERS)));
        id[..time].chars().chain(thrown).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_picked_about_as_often() {
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
    fn seeded_dice_fall_the_same_way_again_and_streams_differ() {
        let thrown = |seed, stream| {
            let mut random = Random::seeded(seed, stream);
            [0; 8].map(|_: u64| random.below(1_000_000))
        };
        assert_eq!(thrown(7, 1), thrown(7, 1));
        assert_ne!(thrown(7, 1), thrown(7, 2));
        assert_ne!(thrown(7, 1), thrown(8, 1));
    }

    #[test]
    fn an_id_that_never_was_has_the_same_time_and_shape() {
        let id = "sess_01JGXS1DN0ABCDEFGHJKMNPQRS";
        let never = Random::new().unwrap().never(id);
        assert_eq!((&never[..15], never.len()), (&id[..15], id.len()));
        assert_ne!(never, id);
    }
}
