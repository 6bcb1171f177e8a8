//! Reports that are right, and each with one thing in it that is not: the judge must notice every one.

use std::time::Duration;

use kalive::lab::{Behaviour, Change, Loss, NatTimeout, OnExpiry, Path};
use serde_json::{Value, json};

use super::*;
use crate::case::{Direction, Kind, Step, Tool};
use crate::judge::Verdict::{self, Inconclusive, Right, Wrong};

const TICK: Tick = Tick(0.004);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn forgets(after: u64, on_expiry: OnExpiry) -> Behaviour {
    Behaviour {
        nat_timeout: NatTimeout::new(seconds(after)).unwrap(),
        on_expiry,
        ..Behaviour::default()
    }
}

fn hold() -> Hold {
    Hold {
        max: seconds(60),
        resolution: seconds(1),
        direction: Direction::Outbound,
        sessions: 256,
        at_least: None,
        verify: None,
    }
}

fn case(server: Server, behaviour: Behaviour, hold: Hold) -> Case {
    Case {
        number: 0,
        kind: Kind::HoldDrop,
        server,
        behaviour,
        v6: false,
        step: None,
        tool: Tool::Hold(hold),
    }
}

/// A NAT of 10 s, found.
fn found() -> Value {
    json!({
        "schema": "kalive.hold/1",
        "complete": true,
        "directions": [{
            "direction": "outbound",
            "timeout": {"lower_s": 9.5, "upper_s": 10.3},
            "expiry": "silent",
            "counted_from": null,
            "answered_s": 9.5,
            "inconclusive": null,
        }],
        "control": {"alive": true, "lost_at_s": null},
        "verify": [],
        "recommendation": {"idle_s": 6.0, "interval_s": 1.0, "survives_lost_probes": 2},
        "far_end_speaks_every_s": null,
        "inconclusive": null,
        "explanation": [],
    })
}

fn seen(report: &Value, code: i32) -> Seen {
    Seen {
        code: Some(code),
        stdout: report.to_string(),
        ..Seen::default()
    }
}

/// Judges `report` with `changes` made to it: pointers and values.
fn judged(case: &Case, report: &Value, changes: &[(&str, Value)], seen: &Seen) -> Verdict {
    let mut report = report.clone();
    for (pointer, value) in changes {
        *report.pointer_mut(pointer).unwrap() = value.clone();
    }
    let seen = Seen {
        stdout: report.to_string(),
        ..seen.clone()
    };
    super::super::judge(case, &seen, TICK).verdict()
}

const TIMEOUT: &str = "/directions/0/timeout";
const EXPIRY: &str = "/directions/0/expiry";
const WHY: &str = "/directions/0/inconclusive";

fn between(lower: f64, upper: f64) -> Value {
    json!({"lower_s": lower, "upper_s": upper})
}

#[test]
fn a_bracket_holds_the_truth_to_a_tick_and_everything_else_fits() {
    let case = case(Server::Echo, forgets(10, OnExpiry::Drop), hold());
    let silent = json!("silent");
    for (changes, code, verdict) in [
        (vec![], 0, Right),
        (vec![(TIMEOUT, between(10.003, 10.9))], 0, Right),
        (vec![(TIMEOUT, between(10.005, 10.9))], 0, Wrong),
        (vec![(TIMEOUT, between(9.2, 9.997))], 0, Right),
        (vec![(TIMEOUT, between(9.2, 9.995))], 0, Wrong),
        (vec![(TIMEOUT, between(10.3, 9.5))], 0, Wrong),
        // Honest, and not what was asked.
        (vec![(TIMEOUT, between(8.0, 10.5))], 0, Inconclusive),
        (vec![(EXPIRY, json!("reset-on-probe"))], 0, Wrong),
        (vec![(EXPIRY, json!("none"))], 0, Wrong),
        (
            vec![(EXPIRY, json!("none")), (TIMEOUT, Value::Null)],
            0,
            Wrong,
        ),
        (vec![(EXPIRY, Value::Null)], 2, Wrong),
        (vec![(EXPIRY, silent), (TIMEOUT, Value::Null)], 0, Wrong),
        (
            vec![("/directions/0/direction", json!("inbound"))],
            0,
            Wrong,
        ),
        (vec![("/directions", json!([]))], 0, Wrong),
        (vec![("/complete", json!(false))], 0, Wrong),
        (vec![("/schema", json!("kalive.probe/1"))], 0, Wrong),
        (vec![("/control/alive", json!(false))], 0, Wrong),
        (vec![("/recommendation/idle_s", json!(9.0))], 0, Wrong),
        (vec![("/far_end_speaks_every_s", json!(1.0))], 0, Wrong),
        (vec![("/explanation", json!([UNCOUNTED]))], 0, Wrong),
        (vec![], 1, Wrong),
        (vec![], 2, Wrong),
        (vec![], 130, Wrong),
    ] {
        let found = judged(&case, &found(), &changes, &seen(&Value::Null, code));
        assert_eq!(found, verdict, "{changes:?}, exit {code}");
    }
}

#[test]
fn an_honest_no_is_inconclusive_and_its_exit_code_is_2() {
    let case = case(Server::Echo, forgets(10, OnExpiry::Drop), hold());
    let changes = [
        (TIMEOUT, Value::Null),
        (EXPIRY, Value::Null),
        (WHY, json!("a single connection was lost")),
    ];
    for (code, verdict) in [(2, Inconclusive), (0, Wrong), (1, Wrong)] {
        let found = judged(&case, &found(), &changes, &seen(&Value::Null, code));
        assert_eq!(found, verdict, "exit {code}");
    }
    assert_eq!(
        judged(&case, &found(), &changes[..2], &seen(&Value::Null, 2)),
        Wrong,
        "without a reason"
    );
}

/// With loss it may be wider, never wrong; and a first connection that is not made has no report.
#[test]
fn loss_excuses_width_and_silence_only() {
    let mut case = case(Server::Echo, forgets(10, OnExpiry::Drop), hold());
    case.behaviour.loss_outbound = Loss::parts_per_million(200_000).unwrap();
    for (timeout, verdict) in [
        (between(8.0, 12.0), Right),
        (between(2.0, 12.0), Inconclusive),
        (between(10.1, 12.0), Wrong),
    ] {
        let changes = [(TIMEOUT, timeout.clone())];
        let found = judged(&case, &found(), &changes, &seen(&Value::Null, 0));
        assert_eq!(found, verdict, "{timeout}");
    }
    let mut refused = Seen {
        code: Some(2),
        stderr: "kalive: connect to 192.0.2.1:1: timed out".to_owned(),
        lost: 3,
        ..Seen::default()
    };
    let verdict = |seen: &Seen| super::super::judge(&case, seen, TICK).verdict();
    assert_eq!(verdict(&refused), Inconclusive);
    refused.lost = 0;
    assert_eq!(verdict(&refused), Wrong, "nothing was lost");
}

#[test]
fn what_is_asked_besides_is_answered_by_the_exit_code() {
    let asked = |at_least: Option<u64>, verify: Option<u64>| {
        let hold = Hold {
            at_least: at_least.map(seconds),
            verify: verify.map(seconds),
            ..hold()
        };
        case(Server::Echo, forgets(10, OnExpiry::Drop), hold)
    };
    let keeps = |idle: u64, survived: bool| {
        let told = json!([{"idle_s": idle, "asked": true, "survived": survived, "data_ok": null}]);
        vec![("/verify", told)]
    };
    for (case, changes, code, verdict) in [
        (asked(Some(6), None), vec![], 0, Right),
        (asked(Some(6), None), vec![], 1, Wrong),
        (asked(Some(20), None), vec![], 1, Right),
        (asked(Some(20), None), vec![], 0, Wrong),
        // Not told, and no reason.
        (asked(Some(20), None), vec![], 2, Wrong),
        (asked(None, Some(6)), keeps(6, true), 0, Right),
        (asked(None, Some(6)), keeps(6, false), 1, Wrong),
        (asked(None, Some(6)), keeps(6, true), 1, Wrong),
        (asked(None, Some(6)), vec![], 0, Wrong),
        (asked(None, Some(12)), keeps(12, false), 1, Right),
        (asked(None, Some(12)), keeps(12, true), 0, Wrong),
    ] {
        let found = judged(&case, &found(), &changes, &seen(&Value::Null, code));
        assert_eq!(found, verdict, "{:?} {changes:?}, exit {code}", case.tool);
    }
    let untold = [(
        "/explanation",
        json!(["Whether ... cannot be told, outbound"]),
    )];
    assert_eq!(
        judged(
            &asked(Some(11), None),
            &found(),
            &untold,
            &seen(&Value::Null, 2)
        ),
        Inconclusive
    );
}

#[test]
fn what_lasts_or_looks_so_from_here_has_no_end() {
    let lasting = [
        (TIMEOUT, Value::Null),
        (EXPIRY, json!("none")),
        ("/directions/0/answered_s", json!(59.9)),
        ("/recommendation", Value::Null),
    ];
    let remembers = case(Server::Echo, Behaviour::default(), hold());
    let lets_in = case(Server::Echo, forgets(10, OnExpiry::Forget), hold());
    for case in [&remembers, &lets_in] {
        let verdict =
            |changes: &[(&str, Value)]| judged(case, &found(), changes, &seen(&Value::Null, 0));
        assert_eq!(verdict(&lasting), Right);
        assert_eq!(verdict(&[]), Wrong, "a limit of 10 s");
        let mut short = lasting.to_vec();
        short.push(("/directions/0/answered_s", json!(40.0)));
        assert_eq!(verdict(&short), Wrong, "not tried for so long");
    }
    let mut uncounted = lets_in;
    uncounted.behaviour = Behaviour {
        untracked_keepalives: true,
        ..forgets(10, OnExpiry::Drop)
    };
    let run = seen(&Value::Null, 0);
    assert_eq!(judged(&uncounted, &found(), &lasting, &run), Wrong);
    let mut explained = lasting.to_vec();
    let text = "Measured with keepalive probes from this side only: ...";
    explained.push(("/explanation", json!([text])));
    assert_eq!(judged(&uncounted, &found(), &explained, &run), Right);
}

#[test]
fn a_servers_limit_is_the_servers() {
    let age = seconds(10);
    let server = Server::Closing { age, reset: false };
    let case = case(server, Behaviour::default(), hold());
    let closed = [
        (EXPIRY, json!("closed-by-peer")),
        ("/directions/0/counted_from", json!("start")),
        (TIMEOUT, between(9.97, 10.02)),
        ("/recommendation", Value::Null),
    ];
    for (change, late, verdict) in [
        (None, 0.0, Right),
        (Some((EXPIRY, json!("silent"))), 0.0, Wrong),
        (Some((EXPIRY, json!("reset-at-expiry"))), 0.0, Wrong),
        (
            Some(("/directions/0/counted_from", json!("last-packet"))),
            0.0,
            Wrong,
        ),
        (Some((TIMEOUT, between(10.02, 10.07))), 0.0, Wrong),
        (Some((TIMEOUT, between(10.02, 10.07))), 0.03, Right),
        (
            Some((
                "/recommendation",
                json!({"idle_s": 1.0, "interval_s": 1.0, "survives_lost_probes": 2}),
            )),
            0.0,
            Wrong,
        ),
    ] {
        let mut changes = closed.to_vec();
        changes.extend(change.clone());
        let run = Seen {
            closed_late: late,
            ..seen(&Value::Null, 0)
        };
        assert_eq!(
            judged(&case, &found(), &changes, &run),
            verdict,
            "{change:?} {late}"
        );
    }
}

#[test]
fn a_far_end_that_speaks_leaves_nothing_to_measure() {
    let case = case(Server::Keepalive(seconds(3)), Behaviour::default(), hold());
    let spoken = [
        (TIMEOUT, Value::Null),
        (EXPIRY, Value::Null),
        (WHY, json!("the far end itself speaks so often")),
        ("/directions/0/answered_s", json!(2.9)),
        ("/far_end_speaks_every_s", json!(3.1)),
        ("/recommendation", Value::Null),
    ];
    for (change, code, verdict) in [
        (None, 2, Right),
        (None, 0, Wrong),
        (Some((TIMEOUT, between(2.9, 3.3))), 2, Wrong),
        (Some((WHY, Value::Null)), 2, Wrong),
        (Some(("/directions/0/answered_s", json!(9.0))), 2, Wrong),
        (Some(("/far_end_speaks_every_s", Value::Null)), 2, Wrong),
        (Some(("/far_end_speaks_every_s", json!(6.2))), 2, Wrong),
    ] {
        let mut changes = spoken.to_vec();
        changes.extend(change.clone());
        let found = judged(&case, &found(), &changes, &seen(&Value::Null, code));
        assert_eq!(found, verdict, "{change:?}, exit {code}");
    }
}

#[test]
fn a_path_that_failed_is_no_timeout() {
    let mut case = case(Server::Echo, Behaviour::default(), hold());
    let after = seconds(5);
    let change = Change::Path(Path::Cut);
    case.step = Some(Step { after, change });
    let failed = [
        (TIMEOUT, Value::Null),
        (EXPIRY, Value::Null),
        ("/inconclusive", json!("silent since 4.3 s")),
        ("/control", json!({"alive": false, "lost_at_s": 4.3})),
        ("/recommendation", Value::Null),
    ];
    for (change, code, verdict) in [
        (None, 2, Right),
        (None, 0, Wrong),
        (None, 1, Wrong),
        (Some((TIMEOUT, between(4.3, 5.0))), 2, Wrong),
        (Some(("/inconclusive", Value::Null)), 2, Wrong),
        (Some(("/control/alive", json!(true))), 2, Wrong),
        (Some(("/control/lost_at_s", Value::Null)), 2, Wrong),
        (Some(("/control/lost_at_s", json!(5.3))), 2, Wrong),
        (Some(("/control/lost_at_s", json!(1.0))), 2, Wrong),
        (Some(("/explanation", json!([UNCOUNTED]))), 2, Wrong),
    ] {
        let mut changes = failed.to_vec();
        changes.extend(change.clone());
        let run = Seen {
            stepped: Some((5.0, 5.01)),
            ..seen(&Value::Null, code)
        };
        assert_eq!(
            judged(&case, &found(), &changes, &run),
            verdict,
            "{change:?}, exit {code}"
        );
    }
}
