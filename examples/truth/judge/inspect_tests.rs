//! Values and verdicts that are right, and each with one thing that is not.

use serde_json::{Value, json};

use super::*;
use crate::judge::Verdict::{self, Right, Wrong};

const TICK: Tick = Tick(0.004);

fn set(idle: u64, interval: u64, count: u32) -> Options {
    Options {
        keepalive: true,
        idle: Some(Duration::from_secs(idle)),
        interval: Some(Duration::from_secs(interval)),
        count: Some(count),
        user_timeout: None,
    }
}

fn socket(local: &str, verdict: &str, reason: &str) -> Value {
    json!({
        "state": "ESTABLISHED",
        "local": local,
        "keepalive": {
            "enabled": true, "idle_s": 3.0, "interval_s": 1.0, "count": 5, "user_timeout_s": 0.0,
            "origin": {"idle": "socket", "interval": "socket", "count": "socket"},
        },
        "survives": {"verdict": verdict, "reason": reason},
    })
}

fn document(sockets: &[Value]) -> Value {
    json!({
        "schema": "kalive.inspect/1",
        "tunables": {
            "tcp_keepalive_time_s": 7200.0, "tcp_keepalive_intvl_s": 75.0, "tcp_keepalive_probes": 9,
        },
        "sockets": sockets,
    })
}

fn judged(options: Options, document: &Value, lived: bool, code: i32) -> Verdict {
    let inspect = Inspect {
        survives: Duration::from_secs(10),
        sockets: vec![options],
    };
    let seen = Seen {
        code: Some(code),
        stdout: document.to_string(),
        sockets: vec![("a".to_owned(), lived)],
        ..Seen::default()
    };
    let mut judgement = Judgement::default();
    judge(&inspect, &seen, TICK, &mut judgement);
    judgement.verdict()
}

#[test]
fn every_value_and_where_it_comes_from_counts() {
    let good = document(&[socket("a", "protected", "enough-tries")]);
    assert_eq!(judged(set(3, 1, 5), &good, true, 0), Right);
    for (pointer, value) in [
        ("/sockets/0/state", json!("CLOSE-WAIT")),
        ("/sockets/0/local", json!("b")),
        ("/sockets/0/keepalive/enabled", json!(false)),
        ("/sockets/0/keepalive/idle_s", json!(4.0)),
        ("/sockets/0/keepalive/idle_s", Value::Null),
        ("/sockets/0/keepalive/interval_s", json!(75.0)),
        ("/sockets/0/keepalive/count", json!(9)),
        ("/sockets/0/keepalive/user_timeout_s", json!(1.0)),
        ("/sockets/0/keepalive/origin/idle", json!("sysctl")),
        ("/sockets/0/survives/verdict", json!("unknown")),
        ("/sockets/0/survives/verdict", json!("at-risk")),
        ("/sockets/0/survives/reason", json!("one-try")),
        ("/sockets", json!([])),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value.clone();
        let verdict = judged(set(3, 1, 5), &bad, true, 0);
        assert_eq!(verdict, Wrong, "{pointer}: {value}");
    }
    assert_eq!(judged(set(3, 1, 5), &good, true, 1), Wrong, "exit 1");
    assert_eq!(judged(set(3, 1, 5), &good, false, 0), Wrong, "it died");
}

#[test]
fn a_verdict_has_its_reason_and_the_network_agrees() {
    let user_timeout = Options {
        user_timeout: Some(Duration::from_secs(3)),
        ..set(3, 1, 5)
    };
    for (options, reason, lives) in [
        (Options::default(), "no-keepalive", false),
        (set(10, 1, 5), "idle-too-long", false),
        (set(3, 12, 5), "interval-too-long", false),
        (set(3, 7, 5), "one-try", true),
        (set(3, 1, 1), "one-probe-ends-it", true),
        (user_timeout, "one-probe-ends-it", true),
        (set(3, 1, 5), "enough-tries", true),
    ] {
        let sysctls = Tunables {
            idle: 7_200.0,
            interval: 75.0,
            count: 9.0,
        };
        let limit = Duration::from_secs(10);
        let truth = truth(&options, sysctls, limit, TICK);
        assert_eq!(truth, (reason, lives), "{options:?}");
    }
}
