//! Events that are rare on a real network, and the words of every enum, against the schemas.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser as _;

use super::*;
use crate::cli::probe::Outcome as ProbeOutcome;
use crate::cli::{Cli, Output, TestOutput};
use crate::domain::hold::ends::{CountedFrom, End};
use crate::domain::hold::{Answer, Direction, Expiry, Sample};
use crate::domain::lab::Outcome as LabOutcome;
use crate::domain::serve::Outcome as Spoke;
use crate::lab::{Change, Loss, NatTimeout, OnExpiry, Path};
use crate::plan::lab::{Step, Trial};
use crate::render::Layout;
use crate::run::hold::event::Event as HoldEvent;
use crate::run::probe::{Attempt, Event as ProbeEvent};
use crate::run::serve::{Ended, Event as ServeEvent, Refusal};
use schemas::Checker;

#[path = "../../../tests/common/schema.rs"]
mod schemas;

const SECOND: Duration = Duration::from_secs(1);

fn address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 7117))
}

/// Checks what `write` writes, a line.
fn check(checker: &Checker, write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) {
    let mut text = Vec::new();
    write(&mut text).unwrap();
    checker.check(&serde_json::from_slice(&text).unwrap());
}

/// Every event but the document and the report, which only a run makes.
fn assert_all_events_seen(checker: &Checker) {
    let mut events = checker.names();
    events.retain(|name| !matches!(*name, "document" | "report"));
    checker.assert_seen(&events);
}

#[test]
fn events_of_hold() {
    let sample = |answer| Sample {
        earliest: SECOND,
        latest: SECOND,
        answer,
        tries: 1,
        pass: 1,
        tried: vec![SECOND],
        decisive: 1,
    };
    let sampled = |direction, planned, answer| HoldEvent::Sample {
        direction,
        session: 1,
        at: SECOND,
        planned,
        keepalive_only: false,
        sample: sample(answer),
    };
    let ended = |expiry| HoldEvent::Ended {
        session: 1,
        end: End {
            expiry,
            at: SECOND,
            age: SECOND,
            silence: SECOND,
        },
    };
    let limit = |counted_from| HoldEvent::Limit {
        expiry: Expiry::Silent,
        lower: SECOND,
        upper: SECOND,
        counted_from,
    };
    let keeper = |data_ok| HoldEvent::Keeper {
        idle: SECOND,
        asked: true,
        survived: true,
        closed: false,
        data_ok,
    };
    let inconclusive = |direction| HoldEvent::Inconclusive {
        direction,
        why: String::from("why"),
    };
    let connected = |serve| HoldEvent::Connected {
        address: address(),
        serve,
    };
    let checker = Checker::new("hold");
    for event in [
        connected(None),
        connected(Some(true)),
        HoldEvent::Pass {
            direction: Direction::Inbound,
            pass: 1,
            sessions: 2,
            longest: SECOND,
            at: SECOND,
        },
        sampled(Direction::Outbound, None, Answer::Answered),
        sampled(Direction::Inbound, Some(SECOND), Answer::Lost),
        sampled(Direction::Inbound, Some(SECOND), Answer::Reset),
        ended(Expiry::None),
        ended(Expiry::ResetOnProbe),
        ended(Expiry::ResetAtExpiry),
        ended(Expiry::ClosedByPeer),
        limit(CountedFrom::LastPacket),
        limit(CountedFrom::Start),
        limit(CountedFrom::Unknown),
        HoldEvent::FarEndSpoke {
            session: 1,
            after: SECOND,
            at: SECOND,
        },
        HoldEvent::Limited {
            why: String::from("why"),
            sessions: 3,
        },
        HoldEvent::ControlLost { at: SECOND },
        keeper(None),
        keeper(Some(false)),
        inconclusive(None),
        inconclusive(Some(Direction::Outbound)),
        HoldEvent::Done {
            sessions: 1,
            round_trip: SECOND,
            elapsed: SECOND,
        },
    ] {
        check(&checker, |out| render::hold::record(out, &event));
    }
    assert_all_events_seen(&checker);
}

#[test]
fn events_of_serve() {
    let checker = Checker::new("serve");
    let peer = address();
    let refused = [Refusal::NotAllowed, Refusal::Full, Refusal::ClientFull]
        .map(|why| ServeEvent::Refused { peer, why });
    let spoke =
        [Spoke::Acknowledged, Spoke::Reset, Spoke::Silence].map(|outcome| ServeEvent::Spoke {
            peer,
            outcome,
            silence: SECOND,
        });
    let ended = [
        Ended::Closed,
        Ended::Reset,
        Ended::TimedOut,
        Ended::TooOld,
        Ended::Malformed,
        Ended::Failed(libc::EHOSTUNREACH),
    ];
    let ended = ended.map(|how| ServeEvent::Ended {
        peer,
        how,
        age: SECOND,
    });
    let others = [
        ServeEvent::Listening {
            address: peer,
            sessions: 1,
        },
        ServeEvent::Accepted { peer },
    ];
    for event in others.iter().chain(&refused).chain(&spoke).chain(&ended) {
        check(&checker, |out| {
            render::serve::event(out, Output::Ndjson, event)
        });
    }
    assert_all_events_seen(&checker);
}

#[test]
fn events_of_lab() {
    let checker = Checker::new("lab");
    for change in [
        Change::NatTimeout(NatTimeout::default()),
        Change::OnExpiry(OnExpiry::Reset),
        Change::LossOutbound(Loss::default()),
        Change::LossInbound(Loss::default()),
        Change::Path(Path::Open),
        Change::Path(Path::Cut),
        Change::Path(Path::Unreachable),
        Change::RebootPeer,
    ] {
        let step = Step {
            after: SECOND,
            change,
        };
        let event = crate::run::lab::Event::Changed(step);
        check(&checker, |out| {
            render::lab::event(out, Output::Ndjson, &event)
        });
    }
    for truth in [
        LabOutcome::Alive,
        LabOutcome::Silent,
        LabOutcome::Reset,
        LabOutcome::Closed,
        LabOutcome::NotConnected,
        LabOutcome::Failed(libc::EPERM),
    ] {
        for keepalive in [None, Some(SECOND)] {
            let trial = Trial {
                server: address(),
                keepalive,
                silence: SECOND,
                truth,
            };
            let event = crate::run::lab::Event::Tried(trial, truth);
            check(&checker, |out| {
                render::lab::event(out, Output::Ndjson, &event)
            });
        }
    }
}

#[test]
fn events_of_probe() {
    let line = ["kalive", "probe", "192.0.2.1:7117"];
    let crate::cli::Command::Probe(args) = Cli::try_parse_from(line).unwrap().command else {
        panic!("{line:?}")
    };
    let plan = crate::plan::probe::plan(&args).unwrap();
    let layout = Layout {
        width: 80,
        cut: false,
        colored: false,
    };
    let mut renderer = render::probe::Renderer::new(TestOutput::Report(Output::Ndjson), layout);
    let checker = Checker::new("probe");
    let mut events = vec![
        ProbeEvent::Unmeasured {
            target: 0,
            why: String::from("why"),
        },
        ProbeEvent::PeerSpoke {
            target: 0,
            at: SECOND,
        },
    ];
    for outcome in [
        ProbeOutcome::TimedOut,
        ProbeOutcome::Reset,
        ProbeOutcome::Unreachable,
        ProbeOutcome::Refused,
    ] {
        for router in [None, Some(address().ip())] {
            events.push(ProbeEvent::Failed {
                target: 0,
                attempt: Attempt {
                    address: address(),
                    outcome,
                    errno: router.map(|_| libc::EHOSTUNREACH),
                    after: SECOND,
                    router,
                },
            });
        }
    }
    for event in events {
        let mut report = report::probe::Report::new(&plan);
        report.add(&plan, &event);
        check(&checker, |out| renderer.event(out, &report, &event));
        check(&checker, |out| renderer.finish(out, &plan, &report));
    }
    checker.assert_seen(&["unmeasured", "failed", "peer-spoke", "report"]);
}
