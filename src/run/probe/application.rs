//! The application's side of a session: requests that are sent, acknowledged by a kernel and answered by a
//! service. Pure but for the bytes, which the session sends.

use std::time::Duration;

use super::{Round, RoundKind};
use crate::domain::moment::Moment;
use crate::plan::probe::{Heartbeat, Traffic};

/// Of an answer only so much is kept for comparing.
const KEPT: usize = 64 * 1024;
/// A first look for an acknowledgement, and how much longer each next one waits.
const CLOSEST: Duration = Duration::from_micros(100);
const PART: u32 = 16;
const FARTHEST: Duration = Duration::from_secs(1);

/// What is to be sent and what is awaited.
#[derive(Clone, Debug)]
pub(crate) struct Application<'a> {
    traffic: &'a Traffic,
    /// When to send next.
    due: Option<Moment>,
    /// What was sent and is not acknowledged, and the retransmission timeout then.
    unacknowledged: Option<(Moment, Duration)>,
    /// When the heartbeat was sent that is not answered.
    unanswered: Option<Moment>,
    /// Whether it has been told that its time has passed.
    told_overdue: bool,
    received: Vec<u8>,
}

impl<'a> Application<'a> {
    pub(crate) fn new(traffic: &'a Traffic, opened: Moment) -> Self {
        Self {
            traffic,
            due: (*traffic != Traffic::None).then_some(opened),
            unacknowledged: None,
            unanswered: None,
            told_overdue: false,
            received: Vec::new(),
        }
    }

    /// Whether something must be sent now; the session then calls [`Self::sent`].
    pub(crate) fn is_due(&self, now: Moment) -> bool {
        let nothing_awaited = self.unacknowledged.is_none() && self.unanswered.is_none();
        nothing_awaited && self.due.is_some_and(|due| due <= now)
    }

    pub(crate) fn sent(&mut self, now: Moment, rto: Duration) {
        self.unacknowledged = Some((now, rto));
        self.due = None;
        self.received.clear();
        self.told_overdue = false;
        if matches!(self.traffic, Traffic::Heartbeat(_)) {
            self.unanswered = Some(now);
        }
    }

    /// Since when data is unacknowledged, and the retransmission timeout then.
    pub(crate) fn unacknowledged(&self) -> Option<(Moment, Duration)> {
        self.unacknowledged
    }

    pub(crate) fn awaits_answer(&self) -> bool {
        self.unanswered.is_some()
    }

    /// The kernel at the far end has acknowledged everything.
    pub(crate) fn acknowledged(&mut self, now: Moment, opened: Moment) -> Option<Round> {
        let (sent, _) = self.unacknowledged.take()?;
        match self.traffic {
            Traffic::InFlight { every, .. } => {
                self.due = Some(now + *every);
                Some(round(RoundKind::Data, sent, now, opened))
            }
            Traffic::None | Traffic::Heartbeat(_) => None,
        }
    }

    /// The service has sent something: perhaps the answer.
    pub(crate) fn received(&mut self, bytes: &[u8], now: Moment, opened: Moment) -> Option<Round> {
        let Traffic::Heartbeat(heartbeat) = self.traffic else {
            return None;
        };
        let sent = self.unanswered?;
        let room = KEPT.saturating_sub(self.received.len());
        self.received.extend(bytes.iter().take(room));
        if !answers(heartbeat, &self.received) {
            return None;
        }
        self.unanswered = None;
        self.unacknowledged = None;
        self.due = heartbeat.repeat.then(|| (sent + heartbeat.every).max(now));
        Some(round(RoundKind::Heartbeat, sent, now, opened))
    }

    /// The heartbeat whose time has just passed without an answer, once.
    pub(crate) fn overdue(&mut self, now: Moment) -> Option<Moment> {
        let overdue = self.had_its_time(now).filter(|_| !self.told_overdue)?;
        self.told_overdue = true;
        Some(overdue)
    }

    /// The heartbeat that the service has not answered in its time, though the kernel there has acknowledged it.
    pub(crate) fn unresponsive(&self, now: Moment) -> Option<Moment> {
        self.had_its_time(now)
            .filter(|_| self.unacknowledged.is_none())
    }

    /// Whether the service has answered, but not with what is expected.
    pub(crate) fn answered_otherwise(&self) -> bool {
        self.unanswered.is_some() && !self.received.is_empty()
    }

    fn had_its_time(&self, now: Moment) -> Option<Moment> {
        let Traffic::Heartbeat(heartbeat) = self.traffic else {
            return None;
        };
        self.unanswered
            .filter(|&sent| now >= sent + heartbeat.every)
    }

    /// When to look again.
    pub(crate) fn next_look(&self, now: Moment) -> Option<Moment> {
        let acknowledgement = self
            .unacknowledged
            .map(|(sent, _)| now + (now.since(sent) / PART).clamp(CLOSEST, FARTHEST));
        let answer = match self.traffic {
            Traffic::Heartbeat(heartbeat) => self.unanswered.map(|sent| sent + heartbeat.every),
            Traffic::None | Traffic::InFlight { .. } => None,
        };
        let answer = answer.filter(|&deadline| deadline > now);
        [acknowledgement, answer, self.due]
            .into_iter()
            .flatten()
            .min()
    }
}

fn round(kind: RoundKind, sent: Moment, now: Moment, opened: Moment) -> Round {
    Round {
        kind,
        at: sent.since(opened),
        rtt: Some(now.since(sent)),
        answered: true,
        unacknowledged: None,
    }
}

fn answers(heartbeat: &Heartbeat, received: &[u8]) -> bool {
    match heartbeat.expect.as_deref() {
        None | Some([]) => !received.is_empty(),
        Some(expected) => received
            .windows(expected.len())
            .any(|window| window == expected),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::probe::Payload;

    const RTO: Duration = Duration::from_millis(200);

    fn at(milliseconds: u64) -> Moment {
        Moment::after_start(Duration::from_millis(milliseconds))
    }

    fn heartbeat(expect: Option<&[u8]>, repeat: bool) -> Traffic {
        Traffic::Heartbeat(Heartbeat {
            request: Payload::Bytes(b"PING".to_vec()),
            expect: expect.map(<[u8]>::to_vec),
            every: Duration::from_secs(2),
            repeat,
        })
    }

    #[test]
    fn a_service_that_answers() {
        let traffic = heartbeat(Some(b"PONG"), true);
        let mut application = Application::new(&traffic, at(0));
        assert!(application.is_due(at(0)));
        application.sent(at(1), RTO);
        assert!(!application.is_due(at(9_999)), "one at a time");
        assert_eq!(application.acknowledged(at(2), at(0)), None);
        assert_eq!(application.received(b"PO", at(3), at(0)), None);
        let round = application.received(b"NG", at(4), at(0)).unwrap();
        assert_eq!(
            (round.at, round.rtt),
            (at(1).since(at(0)), Some(Duration::from_millis(3)))
        );
        assert_eq!(
            application.next_look(at(4)),
            Some(at(2_001)),
            "the next one"
        );
        assert_eq!(application.unresponsive(at(9_999)), None);
    }

    #[test]
    fn a_service_that_is_stuck_while_its_kernel_answers() {
        let traffic = heartbeat(None, true);
        let mut application = Application::new(&traffic, at(0));
        application.sent(at(0), RTO);
        assert_eq!(
            application.unresponsive(at(5_000)),
            None,
            "not acknowledged: the path may be dead"
        );
        application.acknowledged(at(1), at(0));
        assert_eq!(application.unresponsive(at(1_999)), None);
        assert_eq!(application.next_look(at(1)), Some(at(2_000)));
        assert_eq!(application.unresponsive(at(2_000)), Some(at(0)));
        assert!(!application.answered_otherwise());
        assert_eq!(application.overdue(at(2_000)), Some(at(0)));
        assert_eq!(application.overdue(at(2_001)), None, "told once");
    }

    #[test]
    fn a_banner_is_no_answer() {
        let traffic = heartbeat(Some(b"250"), true);
        let mut application = Application::new(&traffic, at(0));
        application.sent(at(0), RTO);
        assert_eq!(application.received(b"220 mail\r\n", at(1), at(0)), None);
        assert!(application.answered_otherwise());
        assert!(application.received(b"250 OK\r\n", at(2), at(0)).is_some());
    }

    #[test]
    fn a_request_that_is_made_once() {
        let traffic = heartbeat(None, false);
        let mut application = Application::new(&traffic, at(0));
        application.sent(at(0), RTO);
        assert!(application.received(b"N", at(1), at(0)).is_some());
        assert_eq!(application.next_look(at(1)), None);
    }

    #[test]
    fn data_goes_on_as_it_is_acknowledged() {
        let data = Payload::Bytes(b"\n".to_vec());
        let traffic = Traffic::InFlight {
            data,
            every: Duration::from_secs(1),
        };
        let mut application = Application::new(&traffic, at(0));
        application.sent(at(0), RTO);
        assert_eq!(application.unacknowledged(), Some((at(0), RTO)));
        assert_eq!(application.next_look(at(160)), Some(at(170)));
        let round = application.acknowledged(at(50), at(0)).unwrap();
        assert_eq!(round.kind, RoundKind::Data);
        assert_eq!(application.next_look(at(50)), Some(at(1_050)));
    }

    #[test]
    fn endless_answers_take_no_endless_memory() {
        let traffic = heartbeat(Some(b"never"), true);
        let mut application = Application::new(&traffic, at(0));
        application.sent(at(0), RTO);
        for _ in 0..100 {
            application.received(&[b'x'; 8_192], at(1), at(0));
        }
        assert_eq!(application.received.len(), KEPT);
    }
}
