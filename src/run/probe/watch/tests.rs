use super::*;
use crate::domain::socket::Activity;
use crate::domain::state::State;

const JIFFY: Duration = Duration::from_millis(4);

fn at(milliseconds: u64) -> Moment {
    Moment::after_start(Duration::from_millis(1_000_000 + milliseconds))
}

/// A connection as the kernel would show it.
#[derive(Clone, Copy)]
struct Fake {
    heard: u64,
    data: u64,
    probes: u8,
    segs: (u32, u32),
}

impl Fake {
    fn snapshot(self, now: u64, tick: u64) -> Snapshot {
        let since = |earlier: u64| Duration::from_millis(now - earlier);
        Snapshot {
            now: at(now) + AFTER_TICK,
            tick: at(tick),
            info: TcpInfo {
                state: State::Established,
                retransmits: 0,
                probes: self.probes,
                rto: Duration::from_millis(200),
                unacked: 0,
                sacked: 0,
                activity: Activity {
                    last_data_sent: since(self.data),
                    last_data_received: since(self.data),
                    last_ack_received: since(self.heard),
                },
                rtt: Duration::from_millis(1),
                segs_in: Some(self.segs.0),
                segs_out: Some(self.segs.1),
            },
        }
    }
}

const OPENED: Fake = Fake {
    heard: 0,
    data: 0,
    probes: 0,
    segs: (1, 2),
};

fn watch() -> Watch {
    let options = Keepalive {
        idle: Duration::from_secs(2),
        interval: Duration::from_secs(1),
        count: 3,
        user_timeout: None,
    };
    let opened = OPENED.snapshot(0, 0);
    Watch::new(options, JIFFY, Duration::ZERO, &opened, opened.now)
}

#[test]
fn nothing_is_looked_at_before_it_is_due() {
    let watch = watch();
    let due = at(2_000) + AFTER_TICK;
    assert_eq!(watch.next_look(at(1), at(0)), due);
    assert_eq!(watch.next_look(due, at(2_000)), at(2_004) + AFTER_TICK);
    assert_eq!(
        watch.next_look(at(2_003), at(2_000)),
        at(2_004) + AFTER_TICK
    );
}

#[test]
fn an_answer_at_once_is_timed_from_the_tick() {
    let mut watch = watch();
    assert_eq!(watch.look(&OPENED.snapshot(2_000, 2_000)), []);
    let answered = Fake {
        heard: 2_012,
        segs: (2, 3),
        ..OPENED
    };
    let sent = at(2_012);
    assert_eq!(
        watch.look(&answered.snapshot(2_012, 2_012)),
        [Seen::Answered {
            sent,
            rtt: Some(AFTER_TICK)
        }]
    );
    assert_eq!(watch.heard(), sent + AFTER_TICK);
    assert!(watch.next_look(at(2_012), at(2_012)) >= at(4_012));
}

#[test]
fn a_late_answer_is_waited_for_ever_less_closely() {
    let mut watch = watch();
    watch.look(&OPENED.snapshot(2_008, 2_008));
    let sent = Fake {
        probes: 1,
        segs: (1, 3),
        ..OPENED
    };
    assert_eq!(watch.look(&sent.snapshot(2_012, 2_012)), []);
    assert!(watch.awaits_answer());
    assert_eq!(watch.next_look(at(2_012), at(2_012)), at(2_012) + CLOSEST);
    assert_eq!(watch.next_look(at(2_172), at(2_172)), at(2_182));
    watch.look(&sent.snapshot(2_112, 2_112));
    let answered = Fake {
        heard: 2_116,
        probes: 0,
        segs: (2, 3),
        ..sent
    };
    let rtt = Some(Duration::from_millis(104) + AFTER_TICK);
    let seen = watch.look(&answered.snapshot(2_116, 2_116));
    assert_eq!(
        seen,
        [Seen::Answered {
            sent: at(2_012),
            rtt
        }]
    );
}

#[test]
fn unanswered_probes_are_told_when_the_next_one_or_the_end_overtakes_them() {
    let mut watch = watch();
    for (probes, now) in [(1, 2_012), (2, 3_024), (3, 4_032)] {
        let sent = Fake {
            probes,
            segs: (1, 2 + u32::from(probes)),
            ..OPENED
        };
        let seen = watch.look(&sent.snapshot(now, now));
        let before = match probes {
            1 => vec![],
            2 => vec![Seen::Unanswered { sent: at(2_012) }],
            _ => vec![Seen::Unanswered { sent: at(3_024) }],
        };
        assert_eq!(seen, before);
    }
    assert_eq!(watch.end(), Some(Seen::Unanswered { sent: at(4_032) }));
    assert_eq!(watch.end(), None);
    assert_eq!(watch.heard(), at(0) + AFTER_TICK, "nothing was heard");
}

/// Within one tick the second probe is sent and answered: `tcpi_probes` is 0 again.
#[test]
fn an_answer_to_the_second_probe_is_not_one_to_the_first() {
    let mut watch = watch();
    let first = Fake {
        probes: 1,
        segs: (1, 3),
        ..OPENED
    };
    watch.look(&first.snapshot(2_012, 2_012));
    let second = Fake {
        heard: 3_024,
        segs: (2, 4),
        ..OPENED
    };
    assert_eq!(
        watch.look(&second.snapshot(3_024, 3_024)),
        [
            Seen::Unanswered { sent: at(2_012) },
            Seen::Answered {
                sent: at(3_024),
                rtt: Some(AFTER_TICK)
            },
        ]
    );
    assert!(!watch.awaits_answer());
}

#[test]
fn the_peers_own_probes_are_not_answers() {
    let mut watch = watch();
    let probed = Fake {
        segs: (2, 3),
        ..OPENED
    };
    assert_eq!(
        watch.look(&probed.snapshot(1_500, 1_500)),
        [Seen::PeerSpoke]
    );
    assert_eq!(watch.heard(), at(0) + AFTER_TICK);
}

#[test]
fn data_is_no_keepalive_round() {
    let mut watch = watch();
    let exchanged = Fake {
        heard: 1_500,
        data: 1_500,
        segs: (2, 3),
        ..OPENED
    };
    assert_eq!(watch.look(&exchanged.snapshot(1_500, 1_500)), []);
    let acked = Fake {
        heard: 1_540,
        segs: (3, 3),
        ..exchanged
    };
    assert_eq!(
        watch.look(&acked.snapshot(1_600, 1_600)),
        [],
        "the ACK of that data"
    );
    assert!(
        watch.next_look(at(1_600), at(1_600)) >= at(3_540),
        "and the silence counts from it"
    );
}

/// The ACK of a banner got lost, and the banner came again: seen only when the first probe was due.
#[test]
fn what_the_peer_repeats_before_a_probe_was_due_is_no_answer() {
    let mut watch = watch();
    let repeated = Fake {
        heard: 208,
        segs: (2, 3),
        ..OPENED
    };
    assert_eq!(watch.look(&repeated.snapshot(2_000, 2_000)), []);
    assert_eq!(
        watch.heard(),
        repeated.snapshot(2_000, 2_000).now - Duration::from_millis(1_792)
    );
    assert!(watch.next_look(at(2_000), at(2_000)) >= at(2_208));
}

#[test]
fn after_an_answer_a_long_interval_delays_the_next_probe() {
    let mut watch = watch();
    watch.options.interval = Duration::from_secs(5);
    let answered = Fake {
        heard: 2_012,
        segs: (2, 3),
        ..OPENED
    };
    watch.look(&OPENED.snapshot(2_008, 2_008));
    watch.look(&answered.snapshot(2_012, 2_012));
    assert_eq!(watch.next_look(at(2_013), at(2_012)), at(7_012));
    assert_eq!(watch.options().idle, Duration::from_secs(5));
    let unanswered = Fake {
        probes: 1,
        segs: (2, 4),
        ..answered
    };
    watch.look(&unanswered.snapshot(7_012, 7_012));
    let silence = watch.options().idle;
    assert_eq!(
        silence,
        Duration::from_secs(5),
        "the silence is still the one that began with an answer"
    );
    let exchanged = Fake {
        heard: 8_000,
        data: 8_000,
        segs: (3, 5),
        ..OPENED
    };
    watch.look(&exchanged.snapshot(8_000, 8_000));
    assert_eq!(watch.options().idle, Duration::from_secs(2));
}

#[test]
fn many_connections_are_looked_at_less_closely() {
    let mut watch = watch();
    watch.spacing = Duration::from_millis(40);
    let due = at(2_000) + AFTER_TICK;
    assert_eq!(watch.next_look(due, at(2_000)), at(2_040) + AFTER_TICK);
}
