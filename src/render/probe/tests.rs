//! The formats of `kalive probe`, from events to bytes.

use std::time::Duration;

use clap::Parser as _;

use super::*;
use crate::cli::probe::Outcome;
use crate::cli::{Cli, Command};
use crate::domain::prediction::{self, Keepalive};
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
    let mut report = Report::new(plan);
    let mut renderer = Renderer::new(output, Layout::LOG);
    let mut out = Vec::new();
    for event in events(last) {
        report.add(plan, &event);
        renderer.event(&mut out, &report, &event).unwrap();
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
