//! Chance that can be repeated: the same seed makes the same shop.
//!
//! Nothing secret comes from here; tokens and keys come from the system.

/// SplitMix64, by Steele, Lea and Flood: small, quick, and the same on every machine.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`, which must not be 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        // The high half of the product is as even as the generator for bounds this small.
        let bound = bound as u128;
        usize::try_from((u128::from(self.next()) * bound) >> 64).unwrap_or(0)
    }

    /// One of `choices`, which must not be empty.
    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// Whether something happens that happens with `probability`: never at 0, always at 1.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        unit(self.next()) < probability
    }
}

/// Whether `what` happens to the thing numbered `number`, whatever happens to others.
///
/// Unlike [`Random::chance`] the answer does not depend on who asked before, so the same webhooks
/// are lost however requests interleave.
pub(crate) fn happens(seed: u64, what: &str, number: u64, probability: f64) -> bool {
    let salt = what.bytes().fold(seed, |salt, byte| mix(salt ^ u64::from(byte)));
    unit(mix(mix(salt) ^ number)) < probability
}

/// Spreads a number over all 64 bits; two numbers never meet.
pub(crate) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// In 0..1, from the 53 bits that a double holds.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
fn unit(number: u64) -> f64 {
    (number >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_and_always_are_kept() {
        let mut random = Random::new(7);

        assert!((0..10_000).all(|_| !random.chance(0.0)));
        assert!((0..10_000).all(|_| random.chance(1.0)));
        assert!((0..10_000).all(|number| !happens(7, "drop", number, 0.0)));
        assert!((0..10_000).all(|number| happens(7, "drop", number, 1.0)));
    }

    #[test]
    fn a_fifth_is_about_a_fifth() {
        let dropped = (0..10_000).filter(|&number| happens(7, "drop", number, 0.2)).count();

        assert!((1_800..2_200).contains(&dropped), "{dropped}");
    }
}
