//! The formats of `kalive hold`: events as they happen, a line of progress, and the result.

use std::io::{self, Write};
use std::time::Duration;

use super::Layout;
use super::json;
use super::summary::{self, Meaning};
use super::text::Brief;
use crate::cli::Output;
use crate::domain::hold::ends::CountedFrom;
use crate::domain::hold::{Answer, Expiry, Sample};
use crate::plan::hold::Plan;
use crate::report::hold::{Found, Report};
use crate::run::hold::event::{Event, Progress};

const SCHEMA: &str = "kalive.hold/1";
/// What stands beside the marks of a line of ages.
const BESIDE: usize = 30;

/// An event as it happens; only NDJSON shows them on stdout.
pub(crate) fn event(out: &mut dyn Write, output: Output, event: &Event) -> io::Result<()> {
    match (output, event) {
        (Output::Table | Output::Json, _) | (Output::Ndjson, Event::Progress(_)) => Ok(()),
        (Output::Ndjson, event) => record(out, event),
    }
}

/// An event of a record: written at once.
pub(crate) fn record(out: &mut dyn Write, event: &Event) -> io::Result<()> {
    json::event(out, SCHEMA, event.name(), event)?;
    out.flush()
}

/// The report at the end of a record.
pub(crate) fn record_report(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    json::event(out, SCHEMA, "report", report)?;
    out.flush()
}

/// What is about to be done.
pub(crate) fn announcement(plan: &Plan, sessions: usize, passes: u32) -> String {
    let again = match passes {
        0 | 1 => String::new(),
        _ => format!(
            ", about {passes} passes for so fine a resolution: more --sessions would do with fewer"
        ),
    };
    format!(
        "up to {} with {sessions} connections{again}",
        Brief(plan.at_most() * passes.max(1))
    )
}

/// A line that takes the place of the one before.
pub(crate) fn progress(progress: &Progress) -> String {
    let time = |time: Option<Duration>| {
        time.map_or_else(|| "-".to_owned(), |time| Brief(time).to_string())
    };
    format!(
        "\r{} passed, {} answered, next {}, {} alive, at most {} left\x1b[K",
        Brief(whole(progress.elapsed)),
        time(progress.answered),
        time(progress.next),
        progress.alive,
        Brief(whole(progress.left)),
    )
}

fn whole(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs())
}

/// The result.
pub(crate) fn finish(
    out: &mut dyn Write,
    output: Output,
    report: &Report,
    layout: Layout,
) -> io::Result<()> {
    match output {
        Output::Table => table(out, report, layout),
        Output::Json => json::document(out, SCHEMA, report),
        Output::Ndjson => json::event(out, SCHEMA, "report", report),
    }
}

fn table(out: &mut dyn Write, report: &Report, layout: Layout) -> io::Result<()> {
    if !report.directions.is_empty() {
        let mut table = summary::table(
            layout,
            &["WHO SPEAKS", "SILENT CONNECTIONS LAST", "AND THEN"],
        );
        for found in &report.directions {
            let meaning = match found.expiry {
                Some(Expiry::None) => Meaning::Good,
                Some(_) => Meaning::Plain,
                None => Meaning::Warning,
            };
            table.add_row([
                summary::cell(found.direction, Meaning::Plain),
                summary::cell(remembers(found), meaning),
                summary::cell(then(found), Meaning::Plain),
            ]);
        }
        writeln!(out, "{}", table.trim_fmt())?;
    }
    for found in &report.directions {
        if let Some(line) = marks(found, layout.width) {
            writeln!(
                out,
                "\n{}: + answered, x lost, by silence\n{line}",
                found.direction
            )?;
        }
    }
    keepers(out, report, layout)?;
    recommendation(out, report, layout)?;
    for paragraph in paragraphs(report) {
        writeln!(
            out,
            "\n{}",
            summary::paragraph(layout, &paragraph).trim_fmt()
        )?;
    }
    writeln!(
        out,
        "\n{} sessions, {}",
        report.cost.sessions,
        Brief(report.cost.elapsed)
    )
}

fn remembers(found: &Found) -> String {
    match (found.timeout, found.answered) {
        (Some(timeout), _) => format!(
            "{} to {}",
            exact(timeout.lower, false),
            exact(timeout.upper, true)
        ),
        (None, Some(answered)) => format!("longer than {}", exact(answered, false)),
        (None, None) => "unknown".to_owned(),
    }
}

fn then(found: &Found) -> String {
    let from = match found.counted_from {
        Some(CountedFrom::Start) => ", counted from the start",
        Some(CountedFrom::LastPacket | CountedFrom::Unknown) | None => "",
    };
    match (found.expiry, &found.inconclusive) {
        (Some(Expiry::None), _) => "it was not tried any longer".to_owned(),
        (Some(expiry), _) => format!("{expiry}{from}"),
        (None, _) => "unknown".to_owned(),
    }
}

/// To the hundredth of a second, never promising more than was measured.
fn exact(time: Duration, up: bool) -> String {
    let hundredths = if up {
        time.as_millis().div_ceil(10)
    } else {
        time.as_millis() / 10
    };
    let (seconds, below) = (hundredths / 100, hundredths % 100);
    match (seconds, below) {
        (0..60, 0) => format!("{seconds}s"),
        (0..60, _) => format!("{seconds}.{below:02}s"),
        (60..3600, _) => format!("{}m {}.{below:02}s", seconds / 60, seconds % 60),
        _ => format!(
            "{}h {}m {}.{below:02}s",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        ),
    }
}

/// The ages around the edge, as many as fit.
fn marks(found: &Found, width: usize) -> Option<String> {
    let room = width.saturating_sub(BESIDE).max(10);
    let edge = found
        .samples
        .iter()
        .rposition(|sample| sample.answer == Answer::Answered)
        .map_or(0, |last| last + 1);
    let after = found.samples.len() - edge;
    let shown_after = after.min(room / 2);
    let before = edge.min(room - shown_after);
    let shown = found.samples.get(edge - before..edge + shown_after)?;
    let (first, last) = (shown.first()?, shown.last()?);
    let mark = |sample: &Sample| match sample.answer {
        Answer::Answered => '+',
        Answer::Lost | Answer::Reset => 'x',
    };
    let line: String = shown.iter().map(mark).collect();
    let (living, dead) = line.split_at_checked(before)?;
    Some(format!(
        "{} {living}|{dead} {}",
        exact(first.earliest, false),
        exact(last.latest, true)
    ))
}

fn keepers(out: &mut dyn Write, report: &Report, layout: Layout) -> io::Result<()> {
    if report.verify.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let mut table = summary::table(layout, &[">TCP_KEEPIDLE", "KEPT THE CONNECTION OPEN"]);
    for verified in &report.verify {
        let (text, meaning) = match (verified.survived, verified.data_ok) {
            (true, Some(true)) => ("yes, and data passes", Meaning::Good),
            (true, None) => ("yes", Meaning::Good),
            (true, Some(false)) => ("no: data does not pass", Meaning::Warning),
            (false, _) => ("no", Meaning::Warning),
        };
        table.add_row([
            summary::cell(Brief(verified.idle), Meaning::Plain),
            summary::cell(text, meaning),
        ]);
    }
    writeln!(out, "{}", table.trim_fmt())
}

fn recommendation(out: &mut dyn Write, report: &Report, layout: Layout) -> io::Result<()> {
    let (Some(recommended), Some(settings)) = (&report.recommendation, &report.settings) else {
        return Ok(());
    };
    let text = format!(
        "These settings hold this path, even if {} probes in a row get lost and every timer is late:",
        recommended.survives_lost_probes
    );
    writeln!(out, "\n{}", summary::paragraph(layout, &text).trim_fmt())?;
    for line in &settings.sysctl {
        writeln!(out, "  {line}")?;
    }
    let socket = settings.setsockopt.join(", ");
    writeln!(out, "{}\n", summary::paragraph(layout, &socket).trim_fmt())?;
    let mut table = summary::table(layout, &["SOFTWARE", "SETTING"]);
    for setting in &settings.software {
        let text = match setting.trap {
            Some(trap) => format!("{} ({trap})", setting.text),
            None => setting.text.clone(),
        };
        table.add_row([
            summary::cell(setting.software, Meaning::Plain),
            summary::cell(text, Meaning::Plain),
        ]);
    }
    writeln!(out, "{}", table.trim_fmt())
}

fn paragraphs(report: &Report) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(why) = &report.inconclusive {
        said.push(format!("Inconclusive: {why}."));
    }
    for found in &report.directions {
        if let Some(why) = &found.inconclusive {
            said.push(format!("Inconclusive, {}: {why}.", found.direction));
        }
    }
    said.extend(report.explanation.iter().cloned());
    if !report.complete {
        said.push("Interrupted: this is what was known by then.".to_owned());
    }
    said
}

#[cfg(test)]
mod tests {
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
                tried: vec![idle + Duration::from_millis(4)],
                decisive: 1,
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
        let said = |events: Vec<Event>| rendered(Output::Json, &asked("", events));
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
}
