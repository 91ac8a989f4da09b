//! Chance that replays: each decision is a function of the seed and of what it is about, not of the order of the
//! decisions, so that two calls that change places do not change everything after them.

/// The source of all decisions of a schedule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice(pub u64);

impl Dice {
    /// The dice for one decision.
    pub(crate) fn about(self, what: &str, nth: u64) -> Self {
        let hashed = what.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(mix(self.0 ^ mix(hashed ^ mix(nth))))
    }

    /// A number below `end`.
    pub(crate) fn below(self, what: &str, end: u64) -> u64 {
        self.about(what, 0).0 % end.max(1)
    }

    /// True in `percent` of all cases.
    pub(crate) fn chance(self, what: &str, percent: u64) -> bool {
        self.below(what, 100) < percent
    }

    /// One of some.
    pub(crate) fn one_of<T: Clone>(self, what: &str, choices: &[T]) -> T {
        choices[usize::try_from(self.below(what, choices.len() as u64)).unwrap()].clone()
    }
}

/// The last step of splitmix64.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
