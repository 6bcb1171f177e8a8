//! What became of each target, for people: a table, charts and sentences.

use std::io::{self, Write};

use super::charts;
use super::words::{name, sentence};
use crate::cli::probe::Outcome;
use crate::plan::probe::Plan;
use crate::render::summary::{self, Meaning};
use crate::render::text::Measured;
use crate::render::{Layout, chart};
use crate::report::probe::{Report, TargetReport};

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
