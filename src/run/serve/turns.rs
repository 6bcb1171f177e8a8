//! Whose turn it is: whoever has said much lately waits until all others have been attended to, and shares what
//! time is left with those who are as loud. So a flood costs others next to nothing.

use std::time::Duration;

use crate::domain::moment::Moment;

/// How long the loud are attended to before the others are looked for again.
const TIME: Duration = Duration::from_millis(5);
/// A session may say so many bytes at once, as many as a search asks with, and so many each second.
const AT_ONCE: u64 = 16 * 1024;
const EACH_SECOND: u64 = 1024;

/// How much a session has said lately.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said {
    bytes: u32,
    at: Moment,
}

impl Said {
    pub(super) fn add(&mut self, bytes: usize, now: Moment) {
        let bytes = self.lately(now) + bytes as u64;
        self.bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.at = now;
    }

    pub(super) fn is_loud(&self, now: Moment) -> bool {
        self.lately(now) > AT_ONCE
    }

    fn lately(&self, now: Moment) -> u64 {
        let passed = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        let forgotten = passed.saturating_mul(EACH_SECOND) / 1_000;
        u64::from(self.bytes).saturating_sub(forgotten)
    }
}

/// The turns of the loud: each goes on where the last one ended.
#[derive(Debug, Default)]
pub(super) struct Turns {
    next: usize,
    until: Moment,
}

impl Turns {
    /// Begins a turn: the order in which so many are to be attended to, while [`Self::goes_on`].
    pub(super) fn begin(
        &mut self,
        count: usize,
        now: Moment,
    ) -> impl Iterator<Item = usize> + use<> {
        self.until = now + TIME;
        let first = self.next.checked_rem(count).unwrap_or_default();
        (first..count).chain(0..first)
    }

    /// Whether there is time for one more, who is attended to then.
    pub(super) fn goes_on(&mut self, now: Moment) -> bool {
        let goes_on = now < self.until;
        self.next = self.next.wrapping_add(usize::from(goes_on));
        goes_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Moment {
        Moment::after_start(Duration::from_millis(milliseconds))
    }

    #[test]
    fn loud_is_who_says_more_than_that_and_for_as_long_as_it_takes() {
        let mut said = Said::default();
        said.add(16 * 1024, at(0));
        assert!(!said.is_loud(at(0)));
        said.add(2 * 1024, at(0));
        assert!(said.is_loud(at(1_999)));
        assert!(!said.is_loud(at(2_000)));
        // A line a second says little, however long that goes on.
        for second in 10..10_000 {
            said.add(64, at(second * 1_000));
        }
        assert!(!said.is_loud(at(9_999_000)));
    }

    #[test]
    fn each_of_the_loud_has_his_turn() {
        let mut turns = Turns::default();
        let mut attended = [0_u64; 7];
        for turn in 0..7 {
            for place in turns.begin(attended.len(), at(turn * 100)) {
                // Three fit into each turn.
                let number: u64 = attended.iter().sum::<u64>() - turn * 3;
                if !turns.goes_on(at(turn * 100 + number * 2)) {
                    break;
                }
                attended[place] += 1;
            }
        }
        assert_eq!(attended, [3; 7]);
        assert_eq!(turns.begin(0, at(0)).count(), 0);
    }
}
