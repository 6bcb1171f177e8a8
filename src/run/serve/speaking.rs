//! What is being said on a session on request: single bytes until one is answered, as `TCP_INFO` tells.

use std::time::Duration;

use crate::domain::moment::Moment;
use crate::domain::serve::Outcome;
use crate::sys::tcp_info::TcpInfo;

use super::slot::Slot;

/// How soon, and then how often, to look for an answer.
const FIRST_LOOK: Duration = Duration::from_millis(2);
const LONGEST_LOOK: Duration = Duration::from_millis(10);

/// A request to speak that is being carried out.
#[derive(Debug)]
pub(super) struct Speaking {
    /// Who asked.
    pub(super) control: Slot,
    /// How long the session had been silent before the first byte.
    pub(super) silence: Duration,
    pub(super) sent: u32,
    bytes: u32,
    spacing: Duration,
    next: Moment,
    look: Duration,
    segments_in: Option<u32>,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Send one more byte and look again at this moment.
    Send(Moment),
    /// Look again at this moment.
    Wait(Moment),
    Over(Outcome),
}

impl Speaking {
    /// Begins with the first byte at `now`; `info` is from before it.
    pub(super) fn begin(
        control: Slot,
        (bytes, spacing): (u32, Duration),
        info: &TcpInfo,
        now: Moment,
    ) -> Self {
        let activity = info.activity;
        Self {
            control,
            silence: activity
                .last_data_sent
                .min(activity.last_data_received)
                .min(activity.last_ack_received),
            sent: 0,
            bytes,
            spacing,
            next: now,
            look: FIRST_LOOK,
            segments_in: info.segs_in,
        }
    }

    pub(super) fn step(&mut self, info: &TcpInfo, now: Moment) -> Step {
        let answered = match (self.segments_in, info.segs_in) {
            (Some(before), Some(after)) => after != before,
            // An old kernel: what was sent has been acknowledged.
            (None, _) | (_, None) => info.unacked == 0,
        };
        if self.sent > 0 && answered {
            return Step::Over(Outcome::Acknowledged);
        }
        if self.next > now {
            self.look = (self.look * 2).min(LONGEST_LOOK);
            return Step::Wait((now + self.look).min(self.next));
        }
        if self.sent >= self.bytes {
            return Step::Over(Outcome::Silence);
        }
        self.sent += 1;
        // The last byte is given twice the time.
        let patience = if self.sent == self.bytes { 2 } else { 1 };
        self.next = now + self.spacing * patience;
        Step::Send((now + self.look).min(self.next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(segments_in: u32) -> TcpInfo {
        let mut bytes = [0_u8; 248];
        bytes[140..144].copy_from_slice(&segments_in.to_ne_bytes());
        crate::sys::tcp_info::parse(&bytes).unwrap()
    }

    fn at(milliseconds: u64) -> Moment {
        Moment::after_start(Duration::from_millis(milliseconds))
    }

    fn speaking() -> Speaking {
        let asked = (2, Duration::from_millis(50));
        Speaking::begin(Slot::from_key(1), asked, &info(3), at(1_000))
    }

    #[test]
    fn bytes_go_out_until_one_is_answered() {
        let mut speaking = speaking();
        assert_eq!(speaking.step(&info(3), at(1_000)), Step::Send(at(1_002)));
        assert_eq!(speaking.step(&info(3), at(1_002)), Step::Wait(at(1_006)));
        assert_eq!(speaking.step(&info(3), at(1_050)), Step::Send(at(1_054)));
        assert_eq!(
            speaking.step(&info(4), at(1_054)),
            Step::Over(Outcome::Acknowledged)
        );
        assert_eq!(speaking.sent, 2);
    }

    #[test]
    fn silence_is_told_after_twice_the_spacing() {
        let mut speaking = speaking();
        for (now, step) in [
            (1_000, Step::Send(at(1_002))),
            (1_050, Step::Send(at(1_052))),
            (1_052, Step::Wait(at(1_056))),
            (1_149, Step::Wait(at(1_150))),
            (1_150, Step::Over(Outcome::Silence)),
        ] {
            assert_eq!(speaking.step(&info(3), at(now)), step, "{now}");
        }
    }

    #[test]
    fn what_came_before_the_first_byte_is_no_answer() {
        let mut speaking = speaking();
        assert_eq!(speaking.step(&info(4), at(1_000)), Step::Send(at(1_002)));
    }
}
