//! What happened on each connection, along the time since it was made.

use std::time::Duration;

use super::words::name;
use crate::cli::probe::Outcome;
use crate::domain::prediction::Prediction;
use crate::render::chart::{Axis, Chart, Content, Kind, Mark, Row};
use crate::render::text::Measured;
use crate::report::probe::{Report, TargetReport};
use crate::run::probe::RoundKind;

/// The charts of all targets that a connection was made to.
pub(super) fn of(report: &Report) -> Vec<Chart> {
    report.targets.iter().filter_map(of_target).collect()
}

/// The chart of a target.
pub(super) fn of_target(target: &TargetReport) -> Option<Chart> {
    let (ended, outcome) = (target.ended_s?, target.outcome?);
    let mut rows: Vec<Row> = [
        (RoundKind::Keepalive, "keepalive"),
        (RoundKind::Heartbeat, "heartbeat"),
        (RoundKind::Data, "data"),
    ]
    .into_iter()
    .map(|(kind, name)| Row::marks(name, marks(target, kind)))
    .filter(|row| !matches!(&row.content, Content::Marks(marks) if marks.is_empty()))
    .collect();
    let window = window(target, ended);
    rows.extend(window.map(|(from, to, prediction)| Row {
        name: String::from("predicted"),
        content: Content::Span {
            from,
            to: Some(to),
            caption: format!(
                "{} to {}",
                Measured::AtLeast(prediction.earliest),
                Measured::AtMost(prediction.latest)
            ),
        },
    }));
    rows.push(Row {
        name: String::from("end"),
        content: Content::Moment {
            at: ended,
            caption: end(target, outcome),
        },
    });
    let last = window.map_or(ended, |(_, to, _)| to.max(ended));
    Some(Chart {
        title: format!("{}, from when the connection was made", name(target)),
        axis: Axis::even(Duration::ZERO, last),
        rows,
    })
}

fn marks(target: &TargetReport, kind: RoundKind) -> Vec<Mark> {
    let rounds = target.rounds.iter().filter(|round| round.kind == kind);
    rounds
        .map(|round| Mark {
            at: round.at_s,
            kind: if round.answered {
                Kind::Answered
            } else {
                Kind::Lost
            },
        })
        .collect()
}

/// When the end was to come, where a rule predicts that: counted from when the connection was made.
fn window(target: &TargetReport, ended: Duration) -> Option<(Duration, Duration, Prediction)> {
    let waited = target.rounds.last().is_some_and(|round| !round.answered);
    let applies = match target.outcome? {
        Outcome::Interrupted => waited,
        Outcome::Alive
        | Outcome::TimedOut
        | Outcome::Reset
        | Outcome::Unreachable
        | Outcome::Refused
        | Outcome::Closed
        | Outcome::Unresponsive => target.within_prediction.is_some(),
    };
    let predicted = target.predicted.filter(|_| applies)?;
    let since = ended.saturating_sub(target.after_s?);
    let latest = since.saturating_add(predicted.latest);
    Some((since.saturating_add(predicted.earliest), latest, predicted))
}

fn end(target: &TargetReport, outcome: Outcome) -> String {
    let errno = target.errno.as_ref();
    let errno = errno.map_or_else(String::new, |errno| format!(" ({errno})"));
    let after = target.after_s.filter(|_| outcome != Outcome::Alive);
    let after = after.map_or_else(String::new, |after| {
        format!(" after {}", Measured::About(after))
    });
    format!("{}{errno}{after}", outcome.name())
}
