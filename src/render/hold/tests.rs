use clap::Parser as _;

use super::*;
use crate::cli::{Cli, Command};
use crate::domain::hold::Direction;
use crate::domain::wheel::{Hz, TickRate};
use crate::plan;
use crate::report::hold::Verdict;

const LAYOUT: Layout = Layout {
    width: 80,
    cut: false,
    colored: false,
};

fn sample(direction: Direction, milliseconds: u64, answer: Answer) -> Event {
    let idle = Duration::from_millis(milliseconds);
    Event::Sample {
        direction,
        session: 1,
        at: idle,
        planned: Some(idle),
        keepalive_only: false,
        sample: Sample {
            earliest: idle,
            latest: idle + Duration::from_millis(4),
            answer,
            tries: 1,
            pass: 1,
        },
    }
}

/// Five seconds outbound, nothing inbound; `end` comes last.
fn report(end: Option<Event>) -> Report {
    asked("", end)
}

/// The same, with more options.
fn asked(options: &str, end: impl IntoIterator<Item = Event>) -> Report {
    let line = format!("kalive hold 192.0.2.1:80 --max 20s {options}");
    let words = line.split_whitespace();
    let Command::Hold(args) = Cli::try_parse_from(words).unwrap().command else {
        panic!("{line}")
    };
    let mut report = Report::new(&plan::hold::plan(&args).unwrap());
    let ages = [1_000, 2_000, 3_000, 4_000, 4_900, 5_100, 6_000];
    let mut events: Vec<Event> = ages
        .into_iter()
        .map(|age| {
            let answer = if age < 5_000 {
                Answer::Answered
            } else {
                Answer::Lost
            };
            sample(Direction::Outbound, age, answer)
        })
        .collect();
    events.push(Event::Keeper {
        idle: Duration::from_secs(3),
        asked: true,
        survived: true,
        data_ok: Some(true),
    });
    events.extend(end);
    for event in &events {
        report.add(event);
    }
    report.conclude(TickRate::Known(Hz::new(250).unwrap()));
    report
}

fn done() -> Event {
    Event::Done {
        sessions: 30,
        round_trip: Duration::from_millis(1),
        elapsed: Duration::from_millis(6_500),
    }
}

fn rendered(output: Output, report: &Report) -> String {
    let mut out = Vec::new();
    finish(&mut out, output, report, LAYOUT).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_table_draws_the_ages_around_the_edge() {
    let table = rendered(Output::Table, &report(Some(done())));
    let expected = "\
WHO SPEAKS  SILENT CONNECTIONS LAST  AND THEN
outbound    4.90s to 5.11s           late packets vanish

outbound: + answered, x lost, by silence
1s +++++|xx 6.01s

TCP_KEEPIDLE  KEPT THE CONNECTION OPEN
          3s  yes, and data passes

These settings hold this path, even if 2 probes in a row get lost and every
timer is late:
  net.ipv4.tcp_keepalive_time = 2
  net.ipv4.tcp_keepalive_intvl = 1
  net.ipv4.tcp_keepalive_probes = 5
";
    assert!(table.starts_with(expected), "{table}");
    assert!(table.ends_with("30 sessions, 6.5s\n"), "{table}");
    assert!(
        table.lines().all(|line| line.chars().count() <= 80),
        "{table}"
    );
}

#[test]
fn an_interrupted_run_says_longer_than() {
    let report = report(None);
    let table = rendered(Output::Table, &report);
    assert!(
        table.contains("outbound    longer than 4.90s        unknown"),
        "{table}"
    );
    assert!(table.contains("Interrupted"), "{table}");
    assert!(!table.contains("tcp_keepalive_time"), "{table}");
}

/// An age limit ends connections that the kernel keeps alive, and data would not save them.
#[test]
fn a_limit_that_counts_from_the_start_is_not_blamed_on_the_path() {
    let died = || Event::Keeper {
        idle: Duration::from_secs(1),
        asked: false,
        survived: false,
        data_ok: None,
    };
    let limit = |counted_from| Event::Limit {
        expiry: Expiry::ClosedByPeer,
        lower: Duration::from_millis(4_980),
        upper: Duration::from_millis(5_020),
        counted_from,
    };
    let uncounted = "without counting them";
    let said = |events: Vec<Event>| rendered(Output::Json, &asked("", events));
    assert!(said(vec![died(), done()]).contains(uncounted));
    for from in [CountedFrom::Start, CountedFrom::Unknown] {
        let text = said(vec![died(), limit(from), done()]);
        assert!(!text.contains(uncounted), "{text}");
    }
    let report = asked("", [died(), limit(CountedFrom::Start), done()]);
    let table = rendered(Output::Table, &report);
    assert!(
        table.contains("FIN at expiry, counted from the start"),
        "{table}"
    );
    assert!(!table.contains("Only data keeps"), "{table}");
    assert!(!table.contains("REMEMBERS"), "{table}");
}

#[test]
fn at_least_within_the_bracket_is_answered_with_why() {
    let why = "Whether a silent connection lasts for 5 s cannot be told, outbound: it ends";
    let report = asked("--at-least 5s", [done()]);
    assert_eq!(report.verdict(report.at_least), Verdict::Unknown);
    let table = rendered(Output::Table, &report);
    assert!(table.contains(why), "{table}");
    let joined = table.replace('\n', " ");
    assert!(
        joined.contains("it ends somewhere between 4.90 s and 5.11 s."),
        "{table}"
    );
    assert!(rendered(Output::Json, &report).contains(why));
    for (options, verdict) in [
        ("--at-least 4s", Verdict::Holds),
        ("--at-least 6s", Verdict::Negative),
        ("", Verdict::Holds),
    ] {
        let report = asked(options, [done()]);
        assert_eq!(report.verdict(report.at_least), verdict, "{options}");
        assert!(!rendered(Output::Json, &report).contains("cannot be told"));
    }
}

#[test]
fn json_has_the_promised_names() {
    let text = rendered(Output::Json, &report(Some(done())));
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let found = &document["directions"][0];
    assert_eq!(document["schema"], "kalive.hold/1");
    assert_eq!(found["direction"], "outbound");
    assert_eq!(found["timeout"]["lower_s"], 4.9);
    assert_eq!(found["timeout"]["upper_s"], 5.104);
    assert_eq!(found["expiry"], "silent");
    assert_eq!(found["samples"][0]["idle_s"], 1.0);
    assert_eq!(found["samples"][0]["result"], "answered");
    assert_eq!(found["consistent"], true);
    assert_eq!(document["control"]["alive"], true);
    assert_eq!(document["control"]["lost_at_s"], serde_json::Value::Null);
    assert_eq!(document["verify"][0]["data_ok"], true);
    assert_eq!(document["recommendation"]["survives_lost_probes"], 2);
    assert_eq!(document["cost"]["elapsed_s"], 6.5);
    assert_eq!(document["inconclusive"], serde_json::Value::Null);
}

#[test]
fn times_never_promise_more_than_was_measured() {
    let time = |milliseconds, up| exact(Duration::from_millis(milliseconds), up);
    assert_eq!(time(4_909, false), "4.90s");
    assert_eq!(time(4_901, true), "4.91s");
    assert_eq!(time(5_000, true), "5s");
    assert_eq!(time(349_999, false), "5m 49.99s");
    assert_eq!(time(7_200_000, false), "2h 0m 0.00s");
}
