//! Reports that are right, and each with one thing in it that is not: the judge must notice every one.

use std::time::Duration;

use kalive::lab::{Behaviour, Loss, NatTimeout, OnExpiry};
use serde_json::{Value, json};

use super::*;
use crate::case::{Kind, Step, Tool};
use crate::judge::Verdict::{self, Right, Wrong};

const TICK: Tick = Tick(0.004);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Idle 2 s, interval 1 s, 2 probes: given up after 4 s.
fn probe(ending: Ending) -> Probe {
    Probe {
        idle: seconds(2),
        interval: seconds(1),
        count: 2,
        user_timeout: None,
        ending,
        traffic: Traffic::None,
        connect_timeout: seconds(10),
        require: "alive",
        closed_port: false,
    }
}

fn case(server: Server, change: Option<Change>, probe: Probe) -> Case {
    Case {
        number: 0,
        kind: Kind::ProbeAlive,
        server,
        behaviour: Behaviour::default(),
        v6: false,
        step: change.map(|change| Step {
            after: seconds(3),
            change,
        }),
        tool: Tool::Probe(probe),
    }
}

fn round(at: f64, answered: bool) -> Value {
    json!({"kind": "keepalive", "at_s": at, "answered": answered})
}

fn window(nominal: f64, latest: f64) -> Value {
    json!({"earliest_s": nominal, "nominal_s": nominal, "latest_s": latest})
}

/// Cut at 3 s: a probe was answered at 2 s, and those of 4 and 5 s were not.
fn timed_out() -> (Value, Seen) {
    let report = json!({
        "schema": "kalive.probe/1",
        "complete": true,
        "targets": [{
            "phase": "idle",
            "predicted": window(4.0, 4.09),
            "attempts": [],
            "rounds": [round(2.05, true), round(4.1, false), round(5.11, false)],
            "peer_spoke": 0,
            "outcome": "timed-out",
            "errno": "ETIMEDOUT",
            "after_s": 4.08,
            "within_prediction": true,
            "still_established": false,
            "netstat": {"OutOfWindowIcmps": 0},
        }],
    });
    let seen = Seen {
        code: Some(1),
        elapsed: 6.2,
        stepped: Some((3.0, 3.01)),
        ..Seen::default()
    };
    (report, seen)
}

fn alive() -> (Value, Seen) {
    let (mut report, mut seen) = timed_out();
    for (name, value) in [
        ("rounds", json!([round(2.05, true), round(4.1, true)])),
        ("outcome", json!("alive")),
        ("errno", Value::Null),
        ("within_prediction", Value::Null),
        ("still_established", json!(true)),
        ("after_s", json!(0.0)),
    ] {
        report["targets"][0][name] = value;
    }
    (seen.code, seen.stepped, seen.elapsed) = (Some(0), None, 4.12);
    (report, seen)
}

/// Judges `report` with `changes` made to its target.
fn judged(case: &Case, report: &Value, changes: &[(&str, Value)], seen: &Seen) -> Verdict {
    let mut report = report.clone();
    for (name, value) in changes {
        report["targets"][0][*name] = value.clone();
    }
    let seen = Seen {
        stdout: report.to_string(),
        ..seen.clone()
    };
    super::super::judge(case, &seen, TICK).verdict()
}

#[test]
fn an_end_has_its_errno_its_probes_and_its_window() {
    let cut = Some(Change::Path(Path::Cut));
    let case = case(Server::Echo, cut, probe(Ending::Never));
    let (report, seen) = timed_out();
    for (change, verdict) in [
        (None, Right),
        (Some(("after_s", json!(3.95))), Wrong),
        (Some(("after_s", json!(4.4))), Wrong),
        (Some(("predicted", window(5.0, 5.3))), Wrong),
        (Some(("predicted", window(4.0, 9.0))), Wrong),
        (Some(("predicted", Value::Null)), Wrong),
        (Some(("within_prediction", json!(false))), Wrong),
        (Some(("within_prediction", Value::Null)), Wrong),
        (Some(("outcome", json!("reset"))), Wrong),
        (Some(("outcome", json!("unreachable"))), Wrong),
        (Some(("errno", json!("EHOSTUNREACH"))), Wrong),
        (Some(("phase", json!("in-flight"))), Wrong),
        (Some(("phase", json!("connect"))), Wrong),
        // One unanswered probe is not two, and three are too many.
        (
            Some(("rounds", json!([round(2.05, true), round(4.1, false)]))),
            Wrong,
        ),
        (
            Some((
                "rounds",
                json!([round(2.05, false), round(3.1, false), round(4.11, false)]),
            )),
            Wrong,
        ),
        // A probe before its time, and one long after it.
        (
            Some((
                "rounds",
                json!([round(1.95, true), round(4.1, false), round(5.11, false)]),
            )),
            Wrong,
        ),
        (
            Some((
                "rounds",
                json!([round(2.6, true), round(4.7, false), round(5.71, false)]),
            )),
            Wrong,
        ),
    ] {
        let changes: Vec<_> = change.into_iter().collect();
        assert_eq!(
            judged(&case, &report, &changes, &seen),
            verdict,
            "{changes:?}"
        );
    }
    for (code, elapsed, verdict) in [
        (Some(0), 6.2, Wrong),
        (Some(2), 6.2, Wrong),
        (None, 6.2, Wrong),
        // The silence would have begun long before the cut, or after it.
        (Some(1), 4.2, Wrong),
        (Some(1), 9.2, Wrong),
    ] {
        let seen = Seen {
            code,
            elapsed,
            ..seen.clone()
        };
        assert_eq!(
            judged(&case, &report, &[], &seen),
            verdict,
            "{code:?} {elapsed}"
        );
    }
}

#[test]
fn ignored_icmp_errors_are_counted() {
    let change = Some(Change::Path(Path::Unreachable));
    let case = case(Server::Echo, change, probe(Ending::Never));
    let (report, seen) = timed_out();
    assert_eq!(judged(&case, &report, &[], &seen), Wrong, "none seen");
    let counted = [("netstat", json!({"OutOfWindowIcmps": 2}))];
    assert_eq!(judged(&case, &report, &counted, &seen), Right);
}

#[test]
fn who_lives_has_answered_as_often_as_was_asked() {
    let case = case(Server::Echo, None, probe(Ending::Rounds(2)));
    let (report, seen) = alive();
    for (change, verdict) in [
        (None, Right),
        (Some(("rounds", json!([round(2.05, true)]))), Wrong),
        (
            Some(("rounds", json!([round(2.05, true), round(3.0, true)]))),
            Wrong,
        ),
        // Nothing gets lost here.
        (
            Some((
                "rounds",
                json!([round(2.05, true), round(4.1, false), round(5.15, true)]),
            )),
            Wrong,
        ),
        (Some(("still_established", json!(false))), Wrong),
        (Some(("outcome", json!("closed"))), Wrong),
        (Some(("outcome", json!("unresponsive"))), Wrong),
    ] {
        let changes: Vec<_> = change.into_iter().collect();
        assert_eq!(
            judged(&case, &report, &changes, &seen),
            verdict,
            "{changes:?}"
        );
    }
}

/// With loss a probe may time out, if it says that its probes went unanswered and as many packets were lost.
#[test]
fn chance_must_be_in_the_rounds_and_in_the_counters() {
    let mut case = case(Server::Echo, None, probe(Ending::Rounds(2)));
    let (report, seen) = timed_out();
    let run = |lost| Seen {
        stepped: None,
        lost,
        ..seen.clone()
    };
    assert_eq!(judged(&case, &report, &[], &run(9)), Wrong, "no loss");
    case.behaviour.loss_inbound = Loss::parts_per_million(200_000).unwrap();
    assert_eq!(judged(&case, &report, &[], &run(2)), Right);
    assert_eq!(judged(&case, &report, &[], &run(1)), Wrong, "one lost");
    let answered = [("rounds", json!([round(2.05, true), round(4.1, true)]))];
    assert_eq!(judged(&case, &report, &answered, &run(9)), Wrong);
    let (mut report, mut seen) = alive();
    report["targets"][0]["rounds"] =
        json!([round(2.05, true), round(4.1, false), round(5.15, true)]);
    assert_eq!(
        judged(&case, &report, &[], &seen),
        Wrong,
        "nothing was lost"
    );
    seen.lost = 1;
    assert_eq!(judged(&case, &report, &[], &seen), Right);
}

#[test]
fn a_rst_comes_with_the_first_probe() {
    let mut case = case(Server::Echo, Some(Change::RebootPeer), probe(Ending::Never));
    let (report, seen) = timed_out();
    let reset = |after: f64, rounds: Value| {
        vec![
            ("outcome", json!("reset")),
            ("errno", json!("ECONNRESET")),
            ("within_prediction", Value::Null),
            ("after_s", json!(after)),
            ("rounds", rounds),
        ]
    };
    let run = Seen {
        elapsed: 4.2,
        ..seen
    };
    let one = json!([round(2.05, true), round(4.1, false)]);
    for (changes, verdict) in [
        (reset(2.05, one.clone()), Right),
        (reset(1.9, one.clone()), Wrong),
        (reset(3.05, one.clone()), Wrong),
        (
            reset(
                3.1,
                json!([
                    round(2.05, true),
                    round(4.1, false),
                    round(5.1, false),
                    round(6.1, false),
                    round(7.1, false)
                ]),
            ),
            Wrong,
        ),
    ] {
        assert_eq!(
            judged(&case, &report, &changes, &run),
            verdict,
            "{changes:?}"
        );
    }
    // A NAT of 1 s that resets has no moment in which a probe may get lost.
    case.step = None;
    case.behaviour.on_expiry = OnExpiry::Reset;
    case.behaviour.nat_timeout = NatTimeout::new(seconds(1)).unwrap();
    let run = Seen {
        stepped: None,
        elapsed: 2.06,
        ..run
    };
    let first = json!([round(2.05, false)]);
    assert_eq!(
        judged(&case, &report, &reset(2.05, first.clone()), &run),
        Right
    );
    case.behaviour.on_expiry = OnExpiry::Forget;
    assert_eq!(judged(&case, &report, &reset(2.05, first), &run), Wrong);
}

#[test]
fn data_in_flight_goes_by_its_own_rules() {
    let in_flight = Probe {
        user_timeout: Some(seconds(2)),
        traffic: Traffic::InFlight { icmp_errors: false },
        ..probe(Ending::Never)
    };
    let unreachable = Some(Change::Path(Path::Unreachable));
    let case = case(Server::Echo, unreachable, in_flight);
    let (report, seen) = timed_out();
    let data = json!([{"kind": "data", "at_s": 0.0, "answered": true}]);
    let good = vec![
        ("phase", json!("in-flight")),
        ("outcome", json!("unreachable")),
        ("errno", json!("EHOSTUNREACH")),
        ("predicted", window(2.204, 2.7)),
        ("after_s", json!(2.4)),
        ("rounds", data),
    ];
    let run = Seen {
        elapsed: 6.0,
        ..seen
    };
    for (change, verdict) in [
        (None, Right),
        (Some(("outcome", json!("timed-out"))), Wrong),
        (Some(("errno", json!("ETIMEDOUT"))), Wrong),
        (Some(("phase", json!("idle"))), Wrong),
        (Some(("after_s", json!(1.9))), Wrong),
        (Some(("after_s", json!(3.9))), Wrong),
        (Some(("predicted", window(4.0, 4.3))), Wrong),
        (Some(("within_prediction", json!(false))), Wrong),
    ] {
        let mut changes = good.clone();
        changes.extend(change.clone());
        assert_eq!(
            judged(&case, &report, &changes, &run),
            verdict,
            "{change:?}"
        );
    }
}

#[test]
fn a_service_is_stuck_only_if_it_is() {
    let beating = Probe {
        traffic: Traffic::Heartbeat(seconds(3)),
        ..probe(Ending::Never)
    };
    let stuck = case(Server::Stuck { answers: 1 }, None, beating.clone());
    let (report, seen) = timed_out();
    let beat = |answered| json!({"kind": "heartbeat", "at_s": 0.0, "answered": answered});
    let good = vec![
        ("outcome", json!("unresponsive")),
        ("errno", Value::Null),
        ("after_s", json!(3.01)),
        ("rounds", json!([beat(true), beat(false)])),
    ];
    let run = Seen {
        elapsed: 6.05,
        stepped: None,
        ..seen
    };
    assert_eq!(judged(&stuck, &report, &good, &run), Right);
    for change in [
        ("outcome", json!("alive")),
        ("outcome", json!("timed-out")),
        ("after_s", json!(2.9)),
        ("after_s", json!(4.0)),
        ("rounds", json!([beat(false)])),
        ("rounds", json!([beat(true), beat(true), beat(false)])),
    ] {
        let mut changes = good.clone();
        changes.push(change.clone());
        assert_eq!(judged(&stuck, &report, &changes, &run), Wrong, "{change:?}");
    }
    let healthy = case(Server::Echo, None, beating);
    assert_eq!(judged(&healthy, &report, &good, &run), Wrong);
}

#[test]
fn connecting_names_the_router_and_keeps_its_limit() {
    let (report, seen) = timed_out();
    let refused = |outcome: &str, errno: Value, after: f64, router: Value| {
        vec![
            ("phase", json!("connect")),
            ("outcome", json!(outcome)),
            ("errno", errno),
            ("after_s", json!(after)),
            ("attempts", json!([{"router": router}])),
            ("rounds", json!([])),
            ("predicted", Value::Null),
        ]
    };
    let run = Seen {
        stepped: None,
        ..seen
    };
    let blocked = |path| {
        let mut case = case(Server::Echo, None, probe(Ending::Rounds(1)));
        case.behaviour.path = path;
        case
    };
    let mut closed = case(Server::Echo, None, probe(Ending::Rounds(1)));
    if let Tool::Probe(probe) = &mut closed.tool {
        probe.closed_port = true;
    }
    let router = json!(ROUTER_INSIDE.to_string());
    let host = json!("EHOSTUNREACH");
    for (case, changes, verdict) in [
        (
            blocked(Path::Unreachable),
            refused("unreachable", host.clone(), 0.01, router.clone()),
            Right,
        ),
        (
            blocked(Path::Unreachable),
            refused("unreachable", host, 0.01, Value::Null),
            Wrong,
        ),
        (
            blocked(Path::Unreachable),
            refused("timed-out", Value::Null, 10.0, router),
            Wrong,
        ),
        (
            blocked(Path::Cut),
            refused("timed-out", Value::Null, 10.01, Value::Null),
            Right,
        ),
        (
            blocked(Path::Cut),
            refused("timed-out", Value::Null, 9.9, Value::Null),
            Wrong,
        ),
        (
            closed.clone(),
            refused("refused", json!("ECONNREFUSED"), 0.01, Value::Null),
            Right,
        ),
        (
            closed,
            refused("reset", json!("ECONNRESET"), 0.01, Value::Null),
            Wrong,
        ),
    ] {
        assert_eq!(
            judged(&case, &report, &changes, &run),
            verdict,
            "{changes:?}"
        );
    }
}
