//! What became of each target, for people: a table, charts and sentences.

use std::io::{self, Write};

use super::charts;
use crate::cli::probe::Outcome;
use crate::plan::probe::Plan;
use crate::render::summary::{self, Meaning};
use crate::render::text::{self, Measured};
use crate::render::{Layout, chart};
use crate::report::probe::{Report, TargetReport};
use crate::run::probe::CountedFrom;

/// So many charts are drawn unasked.
const CHARTS: usize = 4;

pub(super) fn write(
    out: &mut dyn Write,
    plan: &Plan,
    report: &Report,
    layout: Layout,
) -> io::Result<()> {
    writeln!(out)?;
    let headings = ["TARGET", "OUTCOME", "ERRNO", ">AFTER", "PREDICTED"];
    let mut table = summary::table(layout, &headings);
    for target in &report.targets {
        let good = target.outcome == Some(plan.require);
        let meaning = if good {
            Meaning::Good
        } else {
            Meaning::Warning
        };
        table.add_row([
            summary::cell(name(target), Meaning::Plain),
            summary::cell(target.outcome.map_or("?", Outcome::name), meaning),
            summary::cell(target.errno.as_deref().unwrap_or("-"), Meaning::Plain),
            summary::cell(after(target), Meaning::Plain),
            summary::cell(predicted(target), Meaning::Plain),
        ]);
    }
    summary::section(out, layout, "Outcome", &table)?;
    let connected = report
        .targets
        .iter()
        .filter(|target| target.ended_s.is_some());
    if connected.count() <= CHARTS {
        for chart in charts::of(report) {
            chart::draw(out, &chart, layout)?;
            writeln!(out)?;
        }
    }
    for target in &report.targets {
        let text = summary::paragraph(layout, &sentence(target));
        writeln!(out, "{}", text.trim_fmt())?;
    }
    Ok(())
}

/// The target as it was given.
pub(super) fn name(target: &TargetReport) -> String {
    let mut name = String::new();
    text::push_escaped(&mut name, &target.target);
    name
}

/// What happened, and from when the time to it counts.
pub(super) fn explained(target: &TargetReport) -> String {
    format!("{}{}", target.explanation, counted(target))
}

/// The same, and of which target.
pub(super) fn sentence(target: &TargetReport) -> String {
    format!("{}: {}", name(target), explained(target))
}

/// How long it took to end; `-` where it did not.
fn after(target: &TargetReport) -> String {
    let ended = target.outcome != Some(Outcome::Alive);
    let after = target.after_s.filter(|_| ended);
    after.map_or_else(
        || String::from("-"),
        |after| Measured::About(after).to_string(),
    )
}

fn predicted(target: &TargetReport) -> String {
    let (Some(within), Some(predicted)) = (target.within_prediction, target.predicted) else {
        return String::from("-");
    };
    let window = format!(
        "{} to {}",
        Measured::AtLeast(predicted.earliest),
        Measured::AtMost(predicted.latest)
    );
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
