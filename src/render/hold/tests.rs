//! The formats of `kalive hold`, from events to bytes.

use clap::Parser as _;

use super::*;
use crate::cli::{Cli, Command};
use crate::domain::hold::Direction;
use crate::domain::hold::ends::CountedFrom;
use crate::domain::hold::{Answer, Expiry, Sample};
use crate::domain::wheel::{Hz, TickRate};
use crate::plan;
use crate::render::junit::read_back;
use crate::report::hold::Verdict;

const TABLE: TestOutput = TestOutput::Report(Output::Table);
const JSON: TestOutput = TestOutput::Report(Output::Json);

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
            tried: vec![idle + Duration::from_millis(4)],
            decisive: 1,
        },
    }
}

/// Five seconds outbound, nothing inbound; `end` comes last.
fn report(end: Option<Event>) -> Report {
    asked("", end)
}

fn planned(options: &str) -> Plan {
    let line = format!("kalive hold 192.0.2.1:80 {options}");
    let words = line.split_whitespace();
    let Command::Hold(args) = Cli::try_parse_from(words).unwrap().command else {
        panic!("{line}")
    };
    plan::hold::plan(&args).unwrap()
}

/// The same, with more options.
fn asked(options: &str, end: impl IntoIterator<Item = Event>) -> Report {
    let mut report = Report::new(&planned(&format!("--max 20s {options}")));
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
        closed: false,
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

fn rendered(output: TestOutput, report: &Report) -> String {
    let mut out = Vec::new();
    finish(&mut out, output, report, Layout::LOG).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_table_draws_the_ages_around_the_edge() {
    let table = rendered(TABLE, &report(Some(done())));
    let expected = "\
WHO SPEAKS  SILENT CONNECTIONS LAST  AND THEN
outbound    4.90s to 5.11s           late packets vanish

outbound: which silences were answered  (+ answered, x no answer)
silences             +           +          +           +         +  x         x
timeout                                            4.90s to 5.11s [==]
          |----------|-----------|----------|-----------|----------|-----------|
          0s         1s          2s         3s          4s         5s         6s

TCP_KEEPIDLE  KEPT THE CONNECTION OPEN
          3s  yes, and data passes

These settings stay within the measured time, even if 2 probes in a row get lost
and every timer is late:
  net.ipv4.tcp_keepalive_time = 2
  net.ipv4.tcp_keepalive_intvl = 1
  net.ipv4.tcp_keepalive_probes = 5
";
    assert!(table.starts_with(expected), "{table}");
    assert!(table.ends_with("30 connections in all, 6.5s\n"), "{table}");
    assert!(
        table.lines().all(|line| line.chars().count() <= 80),
        "{table}"
    );
}

#[test]
fn an_interrupted_run_says_longer_than() {
    let report = report(None);
    let table = rendered(TABLE, &report);
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
    let ended = |closed| Event::Keeper {
        idle: Duration::from_secs(1),
        asked: false,
        survived: false,
        closed,
        data_ok: None,
    };
    let died = || ended(false);
    let limit = |counted_from| Event::Limit {
        expiry: Expiry::ClosedByPeer,
        lower: Duration::from_millis(4_980),
        upper: Duration::from_millis(5_020),
        counted_from,
    };
    let uncounted = "without counting them";
    let said = |events: Vec<Event>| rendered(JSON, &asked("", events));
    assert!(said(vec![died(), done()]).contains(uncounted));
    let text = said(vec![ended(true), done()]);
    assert!(!text.contains(uncounted), "the server closed it: {text}");
    let failed = Event::Inconclusive {
        direction: Some(Direction::Inbound),
        why: "the control connection to kalive serve was lost".to_owned(),
    };
    let text = said(vec![died(), failed, done()]);
    assert!(!text.contains(uncounted), "the peer rebooted: {text}");
    for from in [CountedFrom::Start, CountedFrom::Unknown] {
        let text = said(vec![died(), limit(from), done()]);
        assert!(!text.contains(uncounted), "{text}");
    }
    let report = asked("", [died(), limit(CountedFrom::Start), done()]);
    let table = rendered(TABLE, &report);
    assert!(
        table.contains("FIN at expiry, counted from the start"),
        "{table}"
    );
    assert!(!table.contains("Only data keeps"), "{table}");
}

#[test]
fn at_least_within_the_bracket_is_answered_with_why() {
    let why = "Whether a silent connection lasts for 5 s cannot be told, outbound: it ends";
    let report = asked("--at-least 5s", [done()]);
    assert_eq!(report.verdict(report.at_least), Verdict::Unknown);
    let table = rendered(TABLE, &report);
    assert!(table.contains(why), "{table}");
    let joined = table.replace('\n', " ");
    assert!(
        joined.contains("it ends somewhere between 4.90 s and 5.11 s."),
        "{table}"
    );
    assert!(rendered(JSON, &report).contains(why));
    for (options, verdict) in [
        ("--at-least 4s", Verdict::Holds),
        ("--at-least 6s", Verdict::Negative),
        ("", Verdict::Holds),
    ] {
        let report = asked(options, [done()]);
        assert_eq!(report.verdict(report.at_least), verdict, "{options}");
        assert!(!rendered(JSON, &report).contains("cannot be told"));
    }
}

#[test]
fn json_has_the_promised_names() {
    let text = rendered(JSON, &report(Some(done())));
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

/// Samples of several passes around a long timeout: a logarithmic axis, and another from close by.
#[test]
fn a_fine_bracket_is_drawn_from_close_by() {
    let pass = |pass, direction, age: u64, answer| match sample(direction, age, answer) {
        Event::Sample {
            direction,
            session,
            at,
            planned,
            keepalive_only,
            sample,
        } => Event::Sample {
            direction,
            session,
            at,
            planned,
            keepalive_only,
            sample: Sample { pass, ..sample },
        },
        other => other,
    };
    let mut report = Report::new(&planned("--max 2h --at-least 4m"));
    for age in [1, 2, 4, 8, 15, 30, 60, 120, 180, 240, 300, 420, 600, 900] {
        let answer = if age < 350 {
            Answer::Answered
        } else {
            Answer::Reset
        };
        report.add(&pass(1, Direction::Outbound, age * 1_000, answer));
    }
    // One of them got lost by chance.
    report.add(&pass(1, Direction::Outbound, 100_000, Answer::Lost));
    for age in [100_100, 100_200] {
        report.add(&pass(2, Direction::Outbound, age, Answer::Answered));
    }
    for age in 345..355 {
        let answer = if age < 350 {
            Answer::Answered
        } else {
            Answer::Reset
        };
        report.add(&pass(3, Direction::Outbound, age * 1_000, answer));
    }
    report.add(&done());
    report.conclude(TickRate::Unknown);
    let mut drawn = Vec::new();
    for chart in charts::of(&report) {
        crate::render::chart::draw(&mut drawn, &chart, Layout::LOG).unwrap();
    }
    let expected = "\
outbound: which silences were answered
(+ answered, x no answer, R RST, * several that differ, the axis is logarithmic)
pass 1      +      +      +     +      +     +      +    x +   +  + +  R   R   R
pass 2                                                   +
pass 3                                                                *
timeout                                        5m 49.00s to 5m 50.01s |
--at-least                                                        | 4m
            |------|--------|------|------|---------|------|--------|------|----
            1s     2s       5s     10s    20s       1m     2m       5m     10m
outbound: the same, close to the timeout  (+ answered, R RST)
pass 3                 +    +   +    +    +   R    R    R   R    R
timeout                                   [===] 5m 49.00s to 5m 50.01s
         |--------|---------|--------|--------|---------|--------|--------|-----
         5m 42s   5m 44s    5m 46s   5m 48s   5m 50s    5m 52s   5m 54s   5m 56s
";
    assert_eq!(String::from_utf8(drawn).unwrap(), expected);
}

/// The document's worst is what the exit code says.
#[test]
fn junit_agrees_with_the_exit_code() {
    let keeper = |survived| Event::Keeper {
        idle: Duration::from_secs(2),
        asked: true,
        survived,
        closed: false,
        data_ok: None,
    };
    let inconclusive = |direction| Event::Inconclusive {
        direction,
        why: String::from("the controls died"),
    };
    for (options, events, tests) in [
        ("", vec![done()], 2),
        ("--at-least 4s", vec![done()], 2),
        ("--at-least 5s", vec![done()], 2),
        ("--at-least 6s", vec![done()], 2),
        ("", vec![keeper(false), done()], 3),
        ("--at-least 5s", vec![keeper(false), done()], 3),
        ("", vec![inconclusive(None), done()], 3),
        ("--at-least 4s", vec![inconclusive(None), done()], 2),
        ("--at-least 6s", vec![inconclusive(None), done()], 2),
        ("", vec![inconclusive(Some(Direction::Outbound)), done()], 2),
        ("", vec![inconclusive(Some(Direction::Inbound)), done()], 3),
    ] {
        let report = asked(options, events);
        let counts = read_back::checked(&rendered(TestOutput::Junit, &report));
        let verdict = match (counts.failures, counts.errors) {
            (0, 0) => Verdict::Holds,
            (0, _) => Verdict::Unknown,
            _ => Verdict::Negative,
        };
        assert_eq!(verdict, report.verdict(report.at_least), "{options}");
        assert_eq!((counts.tests, counts.skipped), (tests, 0), "{options}");
    }
}

#[test]
fn an_interrupted_run_is_no_passed_test() {
    let document = rendered(TestOutput::Junit, &report(None));
    let counts = read_back::checked(&document);
    assert!(counts.errors > 0, "{document}");
    assert!(document.contains("the run comes to its end"), "{document}");
}

#[test]
fn junit_says_why_and_shows_the_chart() {
    let document = rendered(TestOutput::Junit, &asked("--at-least 6s", [done()]));
    insta::assert_snapshot!(document);
}

/// Whatever a name is made of, the picture is XML that holds nothing but itself.
#[test]
fn a_picture_holds_the_answer_and_nothing_active() {
    let mut report = asked("--at-least 4s", [done()]);
    report.target = String::from("<script>\x1b[2J&:1");
    let mut out = Vec::new();
    picture(&mut out, &report, "2026-11-22T18:00:00Z").unwrap();
    let svg = String::from_utf8(out).unwrap();
    insta::assert_snapshot!(svg.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    assert!(!svg.contains("<script") && !svg.contains('\x1b'), "{svg}");
    assert!(!svg.contains("href"), "{svg}");
}
