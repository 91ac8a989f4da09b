//! Five-minute slots of flow logs of which nothing was delivered.
//!
//! AWS publishes every five minutes, and an object's name tells the time. A slot counts as missing when an object was
//! delivered of one before it and of one two hours after it, and none of its own. It is a fact about what was delivered,
//! not a proof of a loss: a flow log without traffic, or one that aggregates over ten minutes, has no object in some.

use std::collections::HashMap;

use jiff::Timestamp;

const SLOT_SECONDS: i64 = 300;
/// How many slots before the newest one is given up: two hours. AWS is seldom later, and it is more than the objects
/// that are read side by side, which are delivered in any order.
const LATE: i64 = 24;
/// Flow logs that are watched, in some 100 kB; those that come later are not.
const FLOW_LOGS: usize = 1_000;

/// What was delivered lately of each flow log.
#[derive(Debug, Default)]
pub struct Slots(HashMap<String, Recent>);

/// The last slots of a flow log.
#[derive(Debug)]
struct Recent {
    /// The first slot that counts.
    first: i64,
    newest: i64,
    /// The slots before the newest, as bits: bit n is the slot `newest - n`.
    delivered: u64,
}

impl Slots {
    /// Something was delivered that was published at `time`. Gives how many slots are known by that to be missing.
    pub fn delivered(&mut self, flow_log: &str, time: Timestamp) -> u64 {
        let slot = time.as_second().div_euclid(SLOT_SECONDS);
        if let Some(recent) = self.0.get_mut(flow_log) {
            return recent.delivered(slot);
        }
        if self.0.len() < FLOW_LOGS {
            self.0.insert(flow_log.to_owned(), Recent { first: slot, newest: slot, delivered: 1 });
        }
        0
    }
}

impl Recent {
    fn delivered(&mut self, slot: i64) -> u64 {
        let ahead = slot.saturating_sub(self.newest);
        if ahead <= 0 {
            self.delivered |= bit(-ahead);
            return 0;
        }
        // Those that are given up by it, of which the ones after the newest so far are empty.
        let from = self.first.max(self.newest - LATE + 1);
        let to = slot - LATE;
        let empty = |slot: &i64| self.delivered & bit(self.newest - slot) == 0;
        let among = (from..=to.min(self.newest)).filter(empty).count();
        let behind = (to - self.newest).max(0);
        self.delivered =
            u32::try_from(ahead).ok().and_then(|ahead| self.delivered.checked_shl(ahead)).unwrap_or(0);
        self.delivered |= 1;
        self.newest = slot;
        among as u64 + behind.unsigned_abs()
    }
}

/// The bit of the slot that lies `back` slots before the newest; none if that is too long ago.
fn bit(back: i64) -> u64 {
    u32::try_from(back).ok().and_then(|back| 1_u64.checked_shl(back)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sum of what is missing after these slots were delivered.
    fn missing(slots: impl IntoIterator<Item = i64>) -> u64 {
        let mut known = Slots::default();
        let time = |slot: i64| Timestamp::from_second(slot * SLOT_SECONDS + 60).unwrap();
        slots.into_iter().map(|slot| known.delivered("flow log", time(slot))).sum()
    }

    #[test]
    fn a_slot_is_missing_two_hours_after_it() {
        assert_eq!(missing(0..100), 0);
        let but_five = |to: i64| (0..to).filter(|slot| *slot != 5);
        assert_eq!(missing(but_five(5 + LATE)), 0, "it may still come");
        assert_eq!(missing(but_five(5 + LATE + 1)), 1);
        assert_eq!(missing(but_five(100)), 1, "and is counted once");
        assert_eq!(missing(but_five(5 + LATE).chain(5..100)), 0, "it came in time");
        let every_other = (0..100).filter(|slot| slot % 2 == 0);
        assert_eq!(missing(every_other), (98 - LATE).unsigned_abs() / 2);
    }

    #[test]
    fn what_lies_before_the_first_and_beyond_the_newest_is_not_missing() {
        assert_eq!(missing([50]), 0);
        assert_eq!(missing([50, 40, 51]), 0);
        let late = LATE.unsigned_abs();
        assert_eq!(missing([0, 288]), 288 - late, "a day without an object, but for the last two hours");
        assert_eq!(missing([0, 288, 289, 288 + LATE]), 288 - 1, "and then those");
        assert_eq!(missing([0, 100_000]), 100_000 - late, "nearly a year");
    }

    #[test]
    fn flow_logs_are_told_apart_and_bounded() {
        let mut slots = Slots::default();
        for number in 0..2 * FLOW_LOGS {
            slots.delivered(&number.to_string(), Timestamp::UNIX_EPOCH);
        }
        assert_eq!(slots.0.len(), FLOW_LOGS);
        let later = Timestamp::from_second((LATE + 1) * SLOT_SECONDS).unwrap();
        assert_eq!(slots.delivered("7", later), 1);
        assert_eq!(slots.delivered("1999", later), 0);
    }
}
