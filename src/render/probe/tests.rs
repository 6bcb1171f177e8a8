//! The formats of `kalive probe`, from events to bytes.

use std::time::Duration;

use clap::Parser as _;

use super::*;
use crate::cli::probe::Outcome;
use crate::cli::{Cli, Command};
use crate::domain::prediction::{self, Keepalive, Prediction, Retransmission};
use crate::domain::wheel::{Hz, TickRate};
use crate::plan;
use crate::render::junit::read_back;
use crate::run::probe::{Attempt, CountedFrom, End, Opened, Phase, Round, RoundKind};

const TABLE: TestOutput = TestOutput::Report(Output::Table);

fn planned(options: &str) -> Plan {
    let line = format!("kalive probe db:5432 web:80 --idle 5s --count 2 {options}");
    let words = line.split_whitespace();
    match Cli::try_parse_from(words).unwrap().command {
        Command::Probe(args) => plan::probe::plan(&args).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn milliseconds(value: u64) -> Duration {
    Duration::from_millis(value)
}

fn end(phase: Phase, outcome: Outcome, at: Option<u64>, after: u64) -> End {
    End {
        phase,
        outcome,
        at: at.map(milliseconds),
        errno: None,
        after: milliseconds(after),
        counted_from: match phase {
            Phase::Connect => CountedFrom::Connect,
            Phase::Idle | Phase::InFlight => CountedFrom::LastSegmentReceived,
        },
        predicted: None,
        within_prediction: None,
        still_established: false,
        answered_otherwise: false,
        netstat: None,
        suspended: Duration::ZERO,
    }
}

fn in_flight(user_timeout: Option<Duration>) -> Prediction {
    let options = Retransmission {
        rto: milliseconds(204),
        rto_max: Duration::from_secs(120),
        retries: 15,
        user_timeout,
    };
    prediction::in_flight(&options, TickRate::Known(Hz::new(250).unwrap()))
}

/// The first target answers twice and goes silent, with a heartbeat whose fate is known late; the second
/// refuses. `last` is how the first ends.
fn events(last: End) -> Vec<Event> {
    let rate = TickRate::Known(Hz::new(250).unwrap());
    let options = Keepalive {
        idle: Duration::from_secs(5),
        interval: Duration::from_secs(1),
        count: 2,
        user_timeout: None,
    };
    let round = |kind, at, answered| Event::Round {
        target: 0,
        round: Round {
            kind,
            at: milliseconds(at),
            rtt: Some(milliseconds(1)).filter(|_| answered),
            answered,
            unacknowledged: None,
        },
    };
    let address = "192.0.2.1:5432".parse().unwrap();
    let attempt = Attempt {
        address: "192.0.2.2:80".parse().unwrap(),
        outcome: Outcome::Refused,
        errno: Some(libc::ECONNREFUSED),
        after: milliseconds(12),
        router: None,
    };
    let refused = End {
        errno: Some(libc::ECONNREFUSED),
        ..end(Phase::Connect, Outcome::Refused, None, 12)
    };
    vec![
        Event::Connected {
            target: 0,
            opened: Box::new(Opened {
                address,
                local: None,
                after: milliseconds(3),
                options,
                predicted: prediction::idle(&options, rate),
                predicted_in_flight: Some(in_flight(None)),
                rate,
            }),
        },
        Event::Failed { target: 1, attempt },
        Event::Ended {
            target: 1,
            end: Box::new(refused),
        },
        round(RoundKind::Keepalive, 5_013, true),
        round(RoundKind::Keepalive, 10_026, true),
        round(RoundKind::Heartbeat, 9_000, false),
        round(RoundKind::Keepalive, 15_040, false),
        round(RoundKind::Keepalive, 16_052, false),
        Event::Ended {
            target: 0,
            end: Box::new(last),
        },
    ]
}

/// It ends as the kernel promises.
fn timed_out() -> End {
    let options = Keepalive {
        idle: Duration::from_secs(5),
        interval: Duration::from_secs(1),
        count: 2,
        user_timeout: None,
    };
    End {
        errno: Some(libc::ETIMEDOUT),
        predicted: Some(prediction::idle(
            &options,
            TickRate::Known(Hz::new(250).unwrap()),
        )),
        within_prediction: Some(true),
        ..end(Phase::Idle, Outcome::TimedOut, Some(17_066), 7_039)
    }
}

fn interrupted() -> End {
    end(Phase::Idle, Outcome::Interrupted, Some(16_500), 6_473)
}

fn rendered(output: TestOutput, plan: &Plan, last: End) -> (String, Report) {
    rendered_events(output, plan, &events(last))
}

fn rendered_events(output: TestOutput, plan: &Plan, events: &[Event]) -> (String, Report) {
    let mut report = Report::new(plan);
    let mut renderer = Renderer::new(output, Layout::LOG);
    let mut out = Vec::new();
    for event in events {
        report.add(plan, event);
        renderer.event(&mut out, &report, event).unwrap();
    }
    renderer.finish(&mut out, plan, &report).unwrap();
    (String::from_utf8(out).unwrap(), report)
}

#[test]
fn lines_are_in_order_and_a_chart_sums_up() {
    let (table, _) = rendered(TABLE, &planned("--rounds 0"), timed_out());
    insta::assert_snapshot!(table);
    let lines = table.lines();
    let long = lines.skip_while(|line| !line.starts_with("Outcome"));
    assert!(long.into_iter().all(|line| line.len() <= 80), "{table}");
}

#[test]
fn an_interrupted_chart_shows_what_would_have_come() {
    let (table, _) = rendered(TABLE, &planned("--rounds 0"), interrupted());
    assert!(table.contains("interrupted after 6.47s"), "{table}");
    assert!(table.contains("predicted  "), "{table}");
}

/// The path is cut: nothing is acknowledged, and keepalive is suspended.
fn unacknowledged(user_timeout: Option<Duration>, last: End) -> Vec<Event> {
    let predicted = in_flight(user_timeout);
    let mut events = events(End {
        predicted: Some(predicted),
        counted_from: CountedFrom::DataSent,
        ..last
    });
    events.retain(
        |event| !matches!(event, Event::Round { round, .. } if round.at > milliseconds(10_000)),
    );
    for event in &mut events {
        if let Event::Round { round, .. } = event
            && round.kind == RoundKind::Heartbeat
        {
            round.unacknowledged = Some(predicted);
        }
    }
    events
}

#[test]
fn a_heartbeat_that_is_not_even_acknowledged_is_told_from_a_stuck_service() {
    let last = end(Phase::InFlight, Outcome::Interrupted, Some(16_500), 7_500);
    let (table, report) = rendered_events(TABLE, &planned(""), &unacknowledged(None, last));
    insta::assert_snapshot!(table);
    let round = serde_json::to_value(report.targets[0].rounds.last().unwrap()).unwrap();
    assert_eq!(round["acknowledged"], false);
    assert_eq!(round["predicted"]["rule"], "retries2");
}

#[test]
fn a_connection_that_a_heartbeat_ends_says_so() {
    let last = || end(Phase::InFlight, Outcome::TimedOut, Some(12_300), 3_300);
    for (user_timeout, rule) in [
        (
            Some(milliseconds(3_000)),
            "TCP_USER_TIMEOUT ended the connection.",
        ),
        (None, "(tcp_retries2). TCP_USER_TIMEOUT limits that."),
    ] {
        let events = unacknowledged(user_timeout, last());
        let (_, report) = rendered_events(TABLE, &planned(""), &events);
        let said = &report.targets[0].explanation;
        assert!(said.starts_with("A heartbeat was unacknowledged"), "{said}");
        assert!(said.contains(rule), "{said}");
        assert!(
            said.ends_with("the peer's machine is dead, not only the service."),
            "{said}"
        );
    }
}

#[test]
fn junit_agrees_with_the_exit_code() {
    for (options, last, passed, failures, errors) in [
        ("", timed_out(), 0, 2, 0),
        ("--require timed-out", timed_out(), 1, 1, 0),
        ("--require refused", timed_out(), 1, 1, 0),
        ("--require refused", interrupted(), 1, 0, 1),
    ] {
        let plan = planned(options);
        let (document, report) = rendered(TestOutput::Junit, &plan, last);
        let counts = read_back::checked(&document);
        let found = (counts.failures, counts.errors);
        assert_eq!(found, (failures, errors), "{options}: {document}");
        assert_eq!(counts.tests, passed + failures + errors, "{document}");
        let holds = report.holds(&plan) == Some(true);
        assert_eq!(holds, failures + errors == 0, "{options}");
    }
}

#[test]
fn junit_says_why_and_shows_the_chart() {
    let (document, _) = rendered(TestOutput::Junit, &planned(""), timed_out());
    insta::assert_snapshot!(document);
}

#[test]
fn a_picture_says_what_was_required() {
    let plan = planned("");
    let (_, report) = rendered(TestOutput::Junit, &plan, timed_out());
    let mut out = Vec::new();
    picture(&mut out, &plan, &report, "2026-11-22T18:00:00Z").unwrap();
    let svg = String::from_utf8(out).unwrap();
    for text in [
        "db:5432: timed-out (alive was required)",
        "web:80: refused (alive was required)",
        "timed-out (ETIMEDOUT) after 7.04s",
        "<!-- kalive ",
    ] {
        assert!(svg.contains(text), "{text}: {svg}");
    }
}

#[test]
fn a_picture_of_hours_stays_small() {
    let plan = planned("");
    let (_, mut report) = rendered(TestOutput::Junit, &plan, timed_out());
    let target = report.targets.first_mut().unwrap();
    target.ended_s = Some(Duration::from_secs(43_200));
    let many = (0..43_200).map(|second| RoundReport {
        kind: RoundKind::Heartbeat,
        at_s: Duration::from_secs(second),
        rtt_s: None,
        answered: second % 2 == 0,
        acknowledged: None,
        predicted: None,
    });
    target.rounds = many.collect();
    let mut out = Vec::new();
    picture(&mut out, &plan, &report, "2026-11-22T18:00:00Z").unwrap();
    assert!(out.len() < 200_000, "{}", out.len());
}
