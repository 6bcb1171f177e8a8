//! A probe as it goes, for people: each event a line.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

use crate::domain::options::Origin;
use crate::domain::prediction::Prediction;
use crate::render::text::{self, Measured, full};
use crate::report::probe::{AttemptReport, Report, RoundReport, TargetReport};
use crate::run::probe::{Event, RoundKind};

/// As wide as the times before the words.
const INDENT: &str = "            ";

/// Lines, and of each target the time of its last.
#[derive(Debug, Default)]
pub(super) struct Lines {
    last: HashMap<usize, Duration>,
}

impl Lines {
    pub(super) fn write(
        &mut self,
        out: &mut dyn Write,
        report: &Report,
        target: &TargetReport,
        event: &Event,
    ) -> io::Result<()> {
        let text = match event {
            Event::Unmeasured { why, .. } => format!("not probed: {why}"),
            Event::Failed { attempt, .. } => failed(&attempt.into()),
            Event::Connected { .. } => connected(report, target),
            Event::Round { round, .. } => {
                let round = RoundReport::from(*round);
                let line = if self.is_late(event.target(), round.at_s) {
                    late(&round)
                } else {
                    at(round.at_s, &said(&round))
                };
                line + &why(&round)
            }
            Event::PeerSpoke { at: when, .. } => {
                self.is_late(event.target(), *when);
                at(
                    *when,
                    "the peer sent a segment that brought nothing: its own keepalive, or a repetition",
                )
            }
            Event::Ended { .. } => return Ok(()),
        };
        let several = report.targets.len() > 1;
        for line in text.lines() {
            if several {
                let mut name = String::new();
                text::push_escaped(&mut name, &target.target);
                write!(out, "{name}: ")?;
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Whether a line of that time comes after one of a later time, as when the answer to a heartbeat is
    /// waited for while probes are answered.
    fn is_late(&mut self, target: usize, at: Duration) -> bool {
        let last = self.last.entry(target).or_default();
        let late = at < *last;
        *last = at.max(*last);
        late
    }
}

/// A line and its time.
fn at(time: Duration, text: &str) -> String {
    format!("{:>10}  {text}", Measured::About(time))
}

/// The same without breaking the order of times.
fn late(round: &RoundReport) -> String {
    format!(
        "{INDENT}{} (sent at {})",
        said(round),
        Measured::About(round.at_s),
    )
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
        Some(hz) => format!("HZ={hz}"),
        None => format!("HZ {}", report.hz_source),
    };
    let whose = match options.origin.idle {
        Origin::Socket => "",
        Origin::Sysctl | Origin::SocketOrSysctl | Origin::Default | Origin::Unknown(_) => {
            " (the sysctls)"
        }
    };
    let in_flight = target
        .predicted_in_flight
        .map_or_else(String::new, |predicted| {
            format!(
                "\nwhile a heartbeat is unacknowledged: {}\n(rule {})",
                window(&predicted),
                predicted.rule.name(),
            )
        });
    format!(
        "connected to {address} from {local} in {}\n\
         keepalive: idle {}, interval {}, count {}{whose}, TCP_USER_TIMEOUT {}\n\
         a silent peer is noticed {}\n\
         (rule {}, {hz}){in_flight}",
        milliseconds(after),
        full(options.idle_s),
        full(options.interval_s),
        options.count,
        match options.user_timeout_s {
            Duration::ZERO => String::from("off"),
            timeout => full(timeout).to_string(),
        },
        window(predicted),
        predicted.rule.name(),
    )
}

/// From when to when a silent peer is noticed.
fn window(predicted: &Prediction) -> String {
    format!(
        "after {}, at the latest {}",
        Measured::AtLeast(predicted.nominal),
        Measured::AtMost(predicted.latest),
    )
}

/// Why nobody answered: lines below the heartbeat's.
fn why(round: &RoundReport) -> String {
    let Some(predicted) = &round.predicted else {
        return String::new();
    };
    format!(
        "\n{INDENT}not acknowledged: the path or the peer's machine, not the service\
         \n{INDENT}the kernel gives up by the rule {}\
         \n{INDENT}{} to {} after the sending",
        predicted.rule.name(),
        Measured::AtLeast(predicted.earliest),
        Measured::AtMost(predicted.latest),
    )
}

fn said(round: &RoundReport) -> String {
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
    format!("{name} {answer}")
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1}ms", time.as_secs_f64() * 1_000.0)
}
