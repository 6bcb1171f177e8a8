//! Sees keepalive probes and their answers in snapshots of TCP_INFO, and says when to look next. Pure: time
//! and snapshots come in, so that it is tested without a clock.
//!
//! A probe is sent when the kernel's timer fires, which is at a tick. So looks are made just after the ticks
//! from the nominal moment on, and closer together while an answer is awaited.

use std::time::Duration;

use crate::domain::moment::Moment;
use crate::domain::prediction::Keepalive;
use crate::sys::tcp_info::TcpInfo;

/// How long after a tick its timers have certainly been run.
const AFTER_TICK: Duration = Duration::from_micros(100);
/// Looks for an answer are at least this far apart, and else this part of the time waited.
const CLOSEST: Duration = Duration::from_micros(100);
const PART: u32 = 16;

/// TCP_INFO at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot {
    pub(crate) now: Moment,
    /// When the last tick was.
    pub(crate) tick: Moment,
    pub(crate) info: TcpInfo,
}

/// What a look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A probe and its answer; the time between them where it could be measured.
    Answered { sent: Moment, rtt: Option<Duration> },
    /// A probe that the next one, or the end, has overtaken.
    Unanswered { sent: Moment },
    /// The peer sent a segment that brings nothing and that our kernel answered: as its own keepalive
    /// probes are.
    PeerSpoke,
}

/// Watches one idle connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    options: Keepalive,
    /// One tick, by which the kernel measures.
    jiffy: Duration,
    /// Looks are no closer than this while a timer is overdue.
    spacing: Duration,
    /// When the last segment came that counts as received: an ACK or data.
    heard: Moment,
    last_data: Moment,
    /// When the last probe was sent.
    probed: Option<Moment>,
    /// How many of the last probes are unanswered.
    unanswered: u8,
    /// Whether the silence began with the answer to a probe.
    after_an_answer: bool,
    segs_in: Option<u32>,
    segs_out: Option<u32>,
    looked: Moment,
}

impl Watch {
    /// Starts to watch a connection that was made at `opened`; `spacing` keeps many connections from taking the
    /// whole processor.
    pub(crate) fn new(
        options: Keepalive,
        jiffy: Duration,
        spacing: Duration,
        snapshot: &Snapshot,
        opened: Moment,
    ) -> Self {
        let Snapshot { now, info, .. } = snapshot;
        let told = heard(snapshot);
        Self {
            options,
            jiffy,
            spacing: spacing.max(jiffy),
            // What the kernel tells is cut off to ticks.
            heard: if told + jiffy * 2 >= opened {
                opened
            } else {
                told
            },
            last_data: last_data(snapshot),
            probed: None,
            unanswered: 0,
            after_an_answer: false,
            segs_in: info.segs_in,
            segs_out: info.segs_out,
            looked: *now,
        }
    }

    /// When the last segment was received, as far as the last look saw.
    pub(crate) fn heard(&self) -> Moment {
        self.heard
    }

    /// Whether a probe waits for its answer.
    pub(crate) fn awaits_answer(&self) -> bool {
        self.unanswered > 0
    }

    /// The options as they apply to the silence that has begun with [`Self::heard`].
    pub(crate) fn options(&self) -> Keepalive {
        if self.after_an_answer {
            self.options.after_an_answer()
        } else {
            self.options
        }
    }

    /// Takes in a snapshot.
    pub(crate) fn look(&mut self, snapshot: &Snapshot) -> Vec<Seen> {
        let Snapshot { now, info, .. } = *snapshot;
        let mut seen = Vec::new();
        let news = heard(snapshot) > self.heard + self.tolerance();
        let data = last_data(snapshot) > self.last_data + self.tolerance();
        let sent_segment = grew(self.segs_out, info.segs_out);
        if data {
            // Whatever moved, moved for the data's sake.
            self.unanswered = 0;
            self.after_an_answer = false;
            self.last_data = last_data(snapshot);
        } else if news && self.unanswered > 0 && sent_segment != Some(true) {
            if let Some(sent) = self.probed {
                let rtt = Some(self.rtt(sent, snapshot));
                seen.push(Seen::Answered { sent, rtt });
            }
            self.unanswered = 0;
        } else if news && sent_segment != Some(false) && self.is_due(heard(snapshot)) {
            // The one before it, if there is one, has been overtaken.
            seen.extend(self.end());
            let (sent, rtt) = self.sent_and_answered(snapshot);
            self.probed = Some(sent);
            seen.push(Seen::Answered { sent, rtt });
        } else if sent_segment == Some(true)
            && grew(self.segs_in, info.segs_in) == Some(true)
            && !news
            && self.heard_nothing_lately(now)
        {
            seen.push(Seen::PeerSpoke);
        }
        if news || data {
            self.heard = heard(snapshot).max(self.heard);
        }
        self.after_an_answer |= matches!(seen.last(), Some(Seen::Answered { .. }));
        // Our own time of an answer is closer than the kernel's, which is cut off to ticks.
        if let Some(&Seen::Answered {
            sent,
            rtt: Some(rtt),
        }) = seen.last()
        {
            self.heard = sent + rtt;
        }
        self.count_unanswered(snapshot, &mut seen);
        self.segs_in = info.segs_in;
        self.segs_out = info.segs_out;
        self.looked = now;
        seen
    }

    /// Segments that cross with data are its acknowledgements.
    fn heard_nothing_lately(&self, now: Moment) -> bool {
        now.since(self.heard.max(self.last_data)) > self.tolerance() * 2
    }

    /// The connection is over: the last probe stays unanswered.
    pub(crate) fn end(&mut self) -> Option<Seen> {
        let sent = self.probed.filter(|_| self.unanswered > 0)?;
        self.unanswered = 0;
        Some(Seen::Unanswered { sent })
    }

    fn count_unanswered(&mut self, snapshot: &Snapshot, seen: &mut Vec<Seen>) {
        while self.unanswered < snapshot.info.probes {
            let count = self.unanswered + 1;
            seen.extend(self.end());
            self.unanswered = count;
            self.probed = Some(self.sent_at(snapshot));
        }
    }

    /// A timer fires at a tick: the last one, if no look was made since.
    fn sent_at(&self, snapshot: &Snapshot) -> Moment {
        if snapshot.tick > self.looked {
            snapshot.tick
        } else {
            snapshot.now
        }
    }

    /// A probe that was sent and answered since the last look.
    fn sent_and_answered(&self, snapshot: &Snapshot) -> (Moment, Option<Duration>) {
        let answered = heard(snapshot);
        if snapshot.tick > self.looked && answered + self.jiffy >= snapshot.tick {
            (snapshot.tick, Some(snapshot.now.since(snapshot.tick)))
        } else {
            (answered, None)
        }
    }

    /// The time to the answer: ours where we looked closely, else the kernel's, good to a tick.
    fn rtt(&self, sent: Moment, snapshot: &Snapshot) -> Duration {
        let ours = snapshot.now.since(sent);
        let uncertain = snapshot.now.since(self.looked);
        if uncertain <= CLOSEST * 5 || uncertain <= ours / (PART / 2) {
            ours
        } else {
            heard(snapshot).since(sent)
        }
    }

    /// `last_*` are counted in ticks, and both readings may be cut off.
    fn tolerance(&self) -> Duration {
        self.jiffy * 2
    }

    /// Whether a segment that was received then may be the answer to a probe. Before that it is one that the peer
    /// repeats, its first answer having got lost.
    fn is_due(&self, received: Moment) -> bool {
        received + self.tolerance() >= self.due()
    }

    /// When the kernel's timer nominally fires next.
    fn due(&self) -> Moment {
        let after_silence = self.heard + self.options.idle;
        match self.probed {
            Some(probed) if self.unanswered > 0 => probed + self.options.interval,
            Some(probed) => after_silence.max(probed + self.options.interval),
            None => after_silence,
        }
    }

    /// When to look again after a look at `now`, the last tick being `tick`.
    pub(crate) fn next_look(&self, now: Moment, tick: Moment) -> Moment {
        let due = self.due();
        if now >= due {
            return self.after_next_tick(now, tick);
        }
        match self.probed {
            Some(probed) if self.unanswered > 0 => {
                let step = (now.since(probed) / PART).max(CLOSEST).max(self.slack());
                (now + step).min(due)
            }
            _ => due,
        }
    }

    /// With many connections looks for an answer are thinned out as those for a probe are.
    fn slack(&self) -> Duration {
        if self.spacing > self.jiffy {
            self.spacing
        } else {
            Duration::ZERO
        }
    }

    fn after_next_tick(&self, now: Moment, tick: Moment) -> Moment {
        let from = now + self.spacing.saturating_sub(self.jiffy);
        let passed = from.since(tick).as_nanos() / self.jiffy.as_nanos().max(1);
        let ticks = u32::try_from(passed + 1).unwrap_or(u32::MAX);
        tick + self.jiffy.saturating_mul(ticks) + AFTER_TICK
    }
}

/// When the last ACK or data came. The kernel's keepalive counts from there (`keepalive_time_elapsed`).
fn heard(snapshot: &Snapshot) -> Moment {
    let activity = snapshot.info.activity;
    snapshot.now - activity.last_ack_received.min(activity.last_data_received)
}

fn last_data(snapshot: &Snapshot) -> Moment {
    let activity = snapshot.info.activity;
    snapshot.now - activity.last_data_sent.min(activity.last_data_received)
}

/// Whether a counter has grown; `None` where the kernel does not tell it.
fn grew(before: Option<u32>, after: Option<u32>) -> Option<bool> {
    Some(before? != after?)
}

#[cfg(test)]
mod tests;
