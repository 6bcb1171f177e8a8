//! The formats of `kalive probe`. For people each event is a line as it happens, and a table sums up.

use std::io::{self, Write};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::summary::{self, Meaning};
use super::text::{self, full};
use super::{Layout, json};
use crate::cli::Output;
use crate::cli::probe::Outcome;
use crate::domain::options::Origin;
use crate::domain::seconds::{self, Seconds};
use crate::plan::probe::Plan;
use crate::report::probe::{AttemptReport, Report, RoundReport, TargetReport};
use crate::run::probe::{CountedFrom, Event, RoundKind};

pub(crate) const SCHEMA: &str = "kalive.probe/1";

/// One of the formats.
pub(crate) struct Renderer {
    output: Output,
    layout: Layout,
}

/// An event of NDJSON.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum EventLine<'a> {
    /// A target could not be probed.
    Unresolved {
        /// As it was given.
        target: &'a str,
        /// Why it has no address that could be tried.
        why: &'a str,
    },
    /// An address did not let us connect; another may.
    Failed {
        /// As it was given.
        target: &'a str,
        #[serde(flatten)]
        attempt: AttemptReport,
    },
    /// A connection was made.
    Connected(&'a TargetReport),
    /// A probe, heartbeat or datum was sent, and it is known what became of it.
    Round {
        /// As it was given.
        target: &'a str,
        #[serde(flatten)]
        round: RoundReport,
    },
    /// The peer sent a segment that brought nothing: its own keepalive probe, or a repeated SYN+ACK.
    PeerSpoke {
        /// As it was given.
        target: &'a str,
        /// When it came, after the connection was made.
        #[serde(with = "seconds")]
        #[schemars(with = "Seconds")]
        at_s: Duration,
    },
    /// A target came to its end.
    Ended(&'a TargetReport),
}

impl Renderer {
    pub(crate) fn new(output: Output, layout: Layout) -> Self {
        Self { output, layout }
    }

    /// Something has happened, and is in the report already.
    pub(crate) fn event(
        &self,
        out: &mut dyn Write,
        report: &Report,
        event: &Event,
    ) -> io::Result<()> {
        let (Event::Unresolved { target, .. }
        | Event::Failed { target, .. }
        | Event::Connected { target, .. }
        | Event::Round { target, .. }
        | Event::PeerSpoke { target, .. }
        | Event::Ended { target, .. }) = event;
        let Some(target) = report.targets.get(*target) else {
            return Ok(());
        };
        match self.output {
            Output::Json => return Ok(()),
            Output::Ndjson => json::document(out, SCHEMA, &ndjson(target, event))?,
            Output::Table => line(out, report, target, event)?,
        }
        out.flush()
    }

    /// The end.
    pub(crate) fn finish(
        &self,
        out: &mut dyn Write,
        plan: &Plan,
        report: &Report,
    ) -> io::Result<()> {
        match self.output {
            Output::Json => json::document(out, SCHEMA, report),
            Output::Ndjson => json::event(out, SCHEMA, "report", report),
            Output::Table => self.table(out, plan, report),
        }
    }

    fn table(&self, out: &mut dyn Write, plan: &Plan, report: &Report) -> io::Result<()> {
        writeln!(out)?;
        let headings = ["TARGET", "OUTCOME", "ERRNO", ">AFTER", "PREDICTED"];
        let mut table = summary::table(self.layout, &headings);
        for target in &report.targets {
            let good = target.outcome == Some(plan.require);
            let meaning = if good {
                Meaning::Good
            } else {
                Meaning::Warning
            };
            let mut name = String::new();
            text::push_escaped(&mut name, &target.target);
            let ended = target.outcome != Some(Outcome::Alive);
            let after = target
                .after_s
                .filter(|_| ended)
                .map(|after| full(after).to_string());
            table.add_row([
                summary::cell(name, Meaning::Plain),
                summary::cell(outcome(target.outcome), meaning),
                summary::cell(target.errno.as_deref().unwrap_or("-"), Meaning::Plain),
                summary::cell(after.unwrap_or_else(|| String::from("-")), Meaning::Plain),
                summary::cell(predicted(target), Meaning::Plain),
            ]);
        }
        summary::section(out, self.layout, "Outcome", &table)?;
        for target in &report.targets {
            let text = format!(
                "{}: {}{}",
                target.target,
                target.explanation,
                counted(target)
            );
            writeln!(out, "{}", summary::paragraph(self.layout, &text).trim_fmt())?;
        }
        Ok(())
    }
}

fn line(
    out: &mut dyn Write,
    report: &Report,
    target: &TargetReport,
    event: &Event,
) -> io::Result<()> {
    let several = report.targets.len() > 1;
    let text = match event {
        Event::Unresolved { why, .. } => format!("not probed: {why}"),
        Event::Failed { attempt, .. } => failed(&attempt.into()),
        Event::Connected { .. } => connected(report, target),
        Event::Round { round, .. } => round_line(&RoundReport::from(*round)),
        Event::PeerSpoke { at, .. } => {
            format!(
                "{:>10}  the peer sent a segment that brought nothing: its own keepalive, or a repetition",
                full(*at).to_string()
            )
        }
        Event::Ended { .. } => return Ok(()),
    };
    for line in text.lines() {
        if several {
            write!(out, "{}: ", target.target)?;
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn ndjson<'a>(report: &'a TargetReport, event: &'a Event) -> EventLine<'a> {
    let target = &report.target;
    match event {
        Event::Unresolved { why, .. } => EventLine::Unresolved { target, why },
        Event::Failed { attempt, .. } => EventLine::Failed {
            target,
            attempt: attempt.into(),
        },
        Event::Connected { .. } => EventLine::Connected(report),
        Event::Round { round, .. } => EventLine::Round {
            target,
            round: (*round).into(),
        },
        Event::PeerSpoke { at, .. } => EventLine::PeerSpoke { target, at_s: *at },
        Event::Ended { .. } => EventLine::Ended(report),
    }
}

fn failed(attempt: &AttemptReport) -> String {
    let router = attempt
        .router
        .map_or_else(String::new, |router| format!(", says {router}"));
    format!(
        "not connected to {}: {} after {}{router}",
        attempt.address,
        attempt.errno.as_deref().unwrap_or("no answer"),
        milliseconds(attempt.after_s),
    )
}

fn connected(report: &Report, target: &TargetReport) -> String {
    let (Some(address), Some(after), Some(options), Some(predicted)) = (
        target.address,
        target.connect_s,
        &target.options,
        &target.predicted,
    ) else {
        return String::new();
    };
    let local = target
        .local
        .map_or_else(|| String::from("?"), |local| local.to_string());
    let hz = match report.hz {
        Some(hz) => format!("HZ={hz}, from {}", report.hz_source),
        None => format!("HZ {}", report.hz_source),
    };
    let whose = match options.origin.idle {
        Origin::Socket => "",
        Origin::Sysctl | Origin::SocketOrSysctl | Origin::Default | Origin::Unknown(_) => {
            " (the sysctls)"
        }
    };
    format!(
        "connected to {address} from {local} in {}\n\
         keepalive: idle {}, interval {}, count {}{whose}, TCP_USER_TIMEOUT {}\n\
         a peer that falls silent now is noticed after {}, at the latest {}\n\
         (rule {}, {hz})",
        milliseconds(after),
        full(options.idle_s),
        full(options.interval_s),
        options.count,
        match options.user_timeout_s {
            Duration::ZERO => String::from("off"),
            timeout => full(timeout).to_string(),
        },
        full(predicted.nominal),
        full(predicted.latest),
        predicted.rule.name(),
    )
}

fn round_line(round: &RoundReport) -> String {
    let name = match round.kind {
        RoundKind::Keepalive => "keepalive probe",
        RoundKind::Heartbeat => "heartbeat",
        RoundKind::Data => "data",
    };
    let answer = match (round.answered, round.rtt_s, round.kind) {
        (false, _, _) => String::from("unanswered"),
        (true, None, _) => String::from("answered"),
        (true, Some(rtt), RoundKind::Data) => format!("acknowledged in {}", milliseconds(rtt)),
        (true, Some(rtt), _) => format!("answered in {}", milliseconds(rtt)),
    };
    format!("{:>10}  {name} {answer}", full(round.at_s).to_string())
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1}ms", time.as_secs_f64() * 1_000.0)
}

/// The outcome's name, as JSON has it.
fn outcome(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        None => "?",
        Some(Outcome::Alive) => "alive",
        Some(Outcome::TimedOut) => "timed-out",
        Some(Outcome::Reset) => "reset",
        Some(Outcome::Unreachable) => "unreachable",
        Some(Outcome::Refused) => "refused",
        Some(Outcome::Closed) => "closed",
        Some(Outcome::Unresponsive) => "unresponsive",
        Some(Outcome::Interrupted) => "interrupted",
    }
}

fn predicted(target: &TargetReport) -> String {
    let (Some(within), Some(predicted)) = (target.within_prediction, target.predicted) else {
        return String::from("-");
    };
    let window = format!("{} to {}", full(predicted.earliest), full(predicted.latest));
    if within {
        window
    } else {
        format!("{window}: NOT as predicted")
    }
}

/// From when the time to the end counts.
fn counted(target: &TargetReport) -> &'static str {
    match (target.outcome, target.counted_from) {
        (Some(Outcome::Alive), _) | (_, None) => "",
        (_, Some(CountedFrom::Connect)) => " The time counts from the first SYN to that address.",
        (_, Some(CountedFrom::LastSegmentReceived)) => {
            " The time counts from the last segment received."
        }
        (_, Some(CountedFrom::DataSent)) => " The time counts from the sending of the data.",
        (_, Some(CountedFrom::HeartbeatSent)) => {
            " The time counts from the sending of the heartbeat."
        }
    }
}
