//! The formats of `kalive hold`: events as they happen, a line of progress, and the result.

mod charts;
mod junit;
mod picture;
mod table;

use std::io::{self, Write};
use std::time::Duration;

use super::Layout;
use super::json;
use super::text::Brief;
use crate::cli::{Output, TestOutput};
use crate::domain::words::counted;
use crate::plan::hold::Plan;
use crate::report::hold::Report;
use crate::run::hold::event::{Event, Progress};
pub(crate) use picture::picture;

pub(crate) const SCHEMA: &str = "kalive.hold/1";

/// An event as it happens; only NDJSON shows them on stdout.
pub(crate) fn event(out: &mut dyn Write, output: TestOutput, event: &Event) -> io::Result<()> {
    match (output, event) {
        (TestOutput::Report(Output::Table | Output::Json) | TestOutput::Junit, _)
        | (TestOutput::Report(Output::Ndjson), Event::Progress(_)) => Ok(()),
        (TestOutput::Report(Output::Ndjson), event) => record(out, event),
    }
}

/// An event of a record: written at once.
pub(crate) fn record(out: &mut dyn Write, event: &Event) -> io::Result<()> {
    json::document(out, SCHEMA, event)?;
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
        "up to {} with {} in each direction{again}",
        Brief(plan.at_most() * passes.max(1)),
        counted(sessions, "connection")
    )
}

/// How the run goes, in a line.
pub(crate) fn progress(progress: &Progress) -> String {
    let time = |time: Option<Duration>| {
        time.map_or_else(|| "-".to_owned(), |time| Brief(time).to_string())
    };
    format!(
        "{} passed, {} answered, next {}, {} alive, at most {} left",
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
    output: TestOutput,
    report: &Report,
    layout: Layout,
) -> io::Result<()> {
    match output {
        TestOutput::Report(output) => super::report(out, output, SCHEMA, report, |out| {
            table::write(out, report, layout)
        }),
        TestOutput::Junit => junit::write(out, report),
    }
}

#[cfg(test)]
mod tests;
