//! A session is being spoken on: probes, and data to confirm them, until one is answered or enough have
//! been lost. Pure: from looks to the next step.

use std::time::Duration;

use crate::domain::hold::{Answer, Sample};
use crate::domain::moment::Moment;

use super::world::Look;

/// How it is being spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// By keepalive probes.
    Keepalive,
    /// By data, after a keepalive was answered.
    Data,
    /// By the far end, which has been asked to.
    Asked,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Send a keepalive probe.
    Probe,
    /// Send a byte.
    Send,
    Wait,
    Over(Answer),
}

/// How to go about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manner {
    /// Between two tries.
    pub(super) spacing: Duration,
    /// So many unanswered ones make a loss.
    pub(super) needed: u32,
    /// Whether an answered keepalive is to be confirmed with data.
    pub(super) confirm: bool,
    /// Whether packets get lost by chance on this path.
    pub(super) lossy: bool,
}

/// A kernel answers keepalive probes of one connection at most this often (`tcp_invalid_ratelimit`): where the
/// answer to the first is lost, others that come sooner tell nothing.
const INVALID_RATE_LIMIT: Duration = Duration::from_millis(500);
/// The same and some of the way.
pub(super) const RATE_LIMIT: Duration = Duration::from_millis(520);
/// `TCP_RTO_MIN`: from then on the kernel sends again what it has sent, and what is new has to wait.
pub(super) const RTO_MIN: Duration = Duration::from_millis(200);
/// Where packets get lost, data that is sent again and again comes through within this time.
const SENT_AGAIN: Duration = Duration::from_secs(3);
/// So many tries are independent of the first ones also where nothing has been lost so far.
const INDEPENDENT: u32 = 2;

impl Manner {
    /// How long after a try of this number, counted from 1, the next one is made, or the loss is stated.
    fn gap(&self, how: How, number: u32) -> Duration {
        if number >= self.needed {
            let sent_again = self.lossy && how == How::Data;
            return if sent_again {
                SENT_AGAIN
            } else {
                self.spacing * 2
            };
        }
        let independent = self.lossy || number + INDEPENDENT >= self.needed;
        match how {
            How::Keepalive if independent => self.spacing.max(RATE_LIMIT),
            How::Keepalive | How::Data | How::Asked => self.spacing,
        }
    }
}

/// A session that is being spoken on.
#[derive(Clone, Debug)]
pub(super) struct Probing {
    pub(super) how: How,
    /// The first try was not sent before.
    pub(super) began: Moment,
    /// When the silence began: between these.
    quiet: (Moment, Moment),
    pub(super) tries: u32,
    /// When each try had been sent, at the latest.
    sent_by: Vec<Moment>,
    next: Moment,
    segments: (u32, u32),
    manner: Manner,
}

impl Probing {
    /// Begins at `now`, `look` being from right before. The first step is to be taken at once.
    pub(super) fn begin(
        how: How,
        quiet: (Moment, Moment),
        look: &Look,
        manner: Manner,
        now: Moment,
    ) -> Self {
        Self {
            how,
            began: now,
            quiet,
            tries: 0,
            sent_by: Vec::new(),
            next: now,
            segments: (look.segments_in, look.segments_out),
            manner,
        }
    }

    pub(super) fn step(&mut self, look: &Look, now: Moment) -> Step {
        match self.how {
            How::Asked => return Step::Wait,
            How::Keepalive => {
                let out = look.segments_out.wrapping_sub(self.segments.1);
                let known = u32::try_from(self.sent_by.len()).unwrap_or(u32::MAX);
                if out > known && known < self.tries {
                    self.sent_by.push(now);
                }
                if self.tries > 0 && look.segments_in != self.segments.0 {
                    if !self.manner.confirm {
                        return Step::Over(Answer::Answered);
                    }
                    self.how = How::Data;
                    self.tries = 0;
                    self.sent_by.clear();
                    self.next = now;
                }
            }
            How::Data if self.tries > 0 && look.acknowledged => {
                return Step::Over(Answer::Answered);
            }
            How::Data => {}
        }
        if now < self.next {
            return Step::Wait;
        }
        if self.tries >= self.manner.needed {
            return Step::Over(Answer::Lost);
        }
        self.tries += 1;
        self.next = now + self.manner.gap(self.how, self.tries);
        if self.how == How::Data {
            self.sent_by.push(now);
            Step::Send
        } else {
            Step::Probe
        }
    }

    /// When each try was made, at the latest, that tells something of its own: no keepalive that came too soon
    /// after another to be answered, and no data that the kernel held back.
    fn independent(&self) -> Vec<Moment> {
        let mut tries: Vec<Moment> = Vec::new();
        for &sent in &self.sent_by {
            let tells = match (self.how, tries.first(), tries.last()) {
                (How::Keepalive, _, Some(last)) => sent.since(*last) >= INVALID_RATE_LIMIT,
                (How::Data | How::Asked, Some(first), _) => sent.since(*first) < RTO_MIN,
                (_, None, _) | (_, _, None) => true,
            };
            if tells {
                tries.push(sent);
            }
        }
        tries
    }

    /// The sample, with the tries that chance may have taken counted in.
    pub(super) fn sample(&self, answer: Answer, decisive: u32, now: Moment, pass: u32) -> Sample {
        let tries = self.independent();
        let at = |number: u32| {
            usize::try_from(number)
                .unwrap_or(usize::MAX)
                .saturating_sub(1)
        };
        let sent = match answer {
            Answer::Lost => tries.get(at(decisive)).or(tries.last()),
            // A RST is the answer to the last one that was sent, at the latest; that may not have been seen to go.
            Answer::Reset | Answer::Answered => self.sent_by.get(at(self.tries)),
        };
        let silence = |until: Moment| until.since(self.quiet.0);
        Sample {
            earliest: self.began.since(self.quiet.1),
            latest: silence(sent.copied().unwrap_or(now)),
            answer,
            tries: self.tries.max(1),
            pass,
            tried: tries.into_iter().map(silence).collect(),
            decisive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Moment {
        Moment::after_start(Duration::from_millis(milliseconds))
    }

    fn look(segments_in: u32, segments_out: u32, acknowledged: bool) -> Look {
        Look {
            segments_in,
            segments_out,
            acknowledged,
            probes: 0,
            last: Duration::ZERO,
            round_trip: Duration::ZERO,
        }
    }

    fn probing(confirm: bool) -> Probing {
        let manner = Manner {
            spacing: Duration::from_millis(50),
            needed: 3,
            confirm,
            lossy: false,
        };
        let quiet = (at(0), at(10));
        Probing::begin(How::Keepalive, quiet, &look(2, 3, true), manner, at(5_000))
    }

    #[test]
    fn an_answer_is_absolute() {
        let mut probing = probing(false);
        assert_eq!(probing.step(&look(2, 3, true), at(5_000)), Step::Probe);
        assert_eq!(probing.step(&look(2, 4, true), at(5_005)), Step::Wait);
        let answered = Step::Over(Answer::Answered);
        assert_eq!(probing.step(&look(3, 4, true), at(5_010)), answered);
        let sample = probing.sample(Answer::Answered, 1, at(5_010), 1);
        assert_eq!(sample.earliest, Duration::from_millis(4_990));
        assert_eq!(sample.latest, Duration::from_millis(5_005));
    }

    #[test]
    fn a_loss_takes_all_tries() {
        let mut probing = probing(false);
        for (now, out, step) in [
            (5_000, 3, Step::Probe),
            (5_005, 4, Step::Wait),
            (5_519, 4, Step::Wait),
            (5_520, 4, Step::Probe),
            (5_525, 5, Step::Wait),
            (6_040, 5, Step::Probe),
            (6_045, 6, Step::Wait),
            (6_139, 6, Step::Wait),
            (6_140, 6, Step::Over(Answer::Lost)),
        ] {
            assert_eq!(probing.step(&look(2, out, true), at(now)), step, "{now}");
        }
        let latest = |decisive| {
            let sample = probing.sample(Answer::Lost, decisive, at(6_140), 1);
            sample.latest.as_millis()
        };
        assert_eq!((latest(1), latest(2), latest(9)), (5_005, 5_525, 6_045));
        let tried = probing.sample(Answer::Lost, 1, at(6_140), 1).tried;
        assert_eq!(tried, [5_005, 5_525, 6_045].map(Duration::from_millis));
    }

    /// The first try gets lost, and the RST comes before the second one is seen to go.
    #[test]
    fn a_reset_is_the_answer_to_the_last_try() {
        let mut probing = probing(false);
        for (now, out, step) in [
            (5_000, 3, Step::Probe),
            (5_005, 4, Step::Wait),
            (5_520, 4, Step::Probe),
        ] {
            assert_eq!(probing.step(&look(2, out, true), at(now)), step, "{now}");
        }
        let sample = probing.sample(Answer::Reset, 1, at(5_523), 1);
        assert_eq!(sample.latest, Duration::from_millis(5_523));
    }

    /// Of tries that follow one another closely only the first counts.
    #[test]
    fn tries_within_the_rate_limit_are_one() {
        let mut probing = probing(false);
        probing.manner.needed = 5;
        for (now, out) in [
            (5_000, 3),
            (5_005, 4),
            (5_050, 4),
            (5_055, 5),
            (5_100, 5),
            (5_105, 6),
            (5_620, 6),
            (5_625, 7),
        ] {
            probing.step(&look(2, out, true), at(now));
        }
        let sample = probing.sample(Answer::Lost, 1, at(5_700), 1);
        assert_eq!(sample.tried, [5_005, 5_625].map(Duration::from_millis));
    }

    /// At first tries follow one another closely; the last two, and all where packets get lost, are out of
    /// reach of the far end's rate limit.
    #[test]
    fn tries_are_independent_of_one_another() {
        let manner = |lossy| Manner {
            spacing: Duration::from_millis(50),
            needed: 5,
            confirm: false,
            lossy,
        };
        let gaps = |lossy, how| [1, 2, 3, 4, 5].map(|n| manner(lossy).gap(how, n).as_millis());
        assert_eq!(gaps(false, How::Keepalive), [50, 50, 520, 520, 100]);
        assert_eq!(gaps(true, How::Keepalive), [520, 520, 520, 520, 100]);
        assert_eq!(
            gaps(true, How::Data),
            [50, 50, 50, 50, 3_000],
            "data is always answered, and repeated by the kernel"
        );
    }

    #[test]
    fn a_keepalive_that_passes_is_not_enough_where_data_can_tell() {
        let mut probing = probing(true);
        assert_eq!(probing.step(&look(2, 3, true), at(5_000)), Step::Probe);
        assert_eq!(probing.step(&look(3, 4, true), at(5_001)), Step::Send);
        assert_eq!(probing.step(&look(3, 5, false), at(5_002)), Step::Wait);
        assert_eq!(probing.step(&look(3, 5, false), at(5_051)), Step::Send);
        assert_eq!(probing.step(&look(3, 5, false), at(5_101)), Step::Send);
        // The answer to a second keepalive is no answer to data.
        assert_eq!(probing.step(&look(4, 6, false), at(5_110)), Step::Wait);
        assert_eq!(
            probing.step(&look(4, 6, false), at(5_201)),
            Step::Over(Answer::Lost)
        );
        assert_eq!(
            probing.sample(Answer::Lost, 1, at(5_201), 1).latest,
            Duration::from_millis(5_001)
        );
    }
}
