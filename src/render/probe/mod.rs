//! The formats of `kalive probe`. For people each event is a line as it happens, and a table sums up.

mod charts;
mod junit;
mod lines;
mod picture;
mod table;
mod words;

use std::io::{self, Write};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Layout, json};
use crate::cli::{Output, TestOutput};
use crate::domain::seconds::{self, Seconds};
use crate::plan::probe::Plan;
use crate::report::probe::{AttemptReport, Report, RoundReport, TargetReport};
use crate::run::probe::Event;
use lines::Lines;
pub(crate) use picture::picture;

pub(crate) const SCHEMA: &str = "kalive.probe/1";

/// One of the formats.
pub(crate) struct Renderer {
    output: TestOutput,
    layout: Layout,
    lines: Lines,
}

/// An event of NDJSON.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum EventLine<'a> {
    /// A target could not be probed.
    Unmeasured {
        /// As it was given.
        target: &'a str,
        /// It has no address that could be tried, or this machine refused something.
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
    pub(crate) fn new(output: TestOutput, layout: Layout) -> Self {
        Self {
            output,
            layout,
            lines: Lines::default(),
        }
    }

    /// Something has happened, and is in the report already.
    pub(crate) fn event(
        &mut self,
        out: &mut dyn Write,
        report: &Report,
        event: &Event,
    ) -> io::Result<()> {
        let Some(target) = report.targets.get(event.target()) else {
            return Ok(());
        };
        match self.output {
            TestOutput::Report(Output::Json) | TestOutput::Junit => return Ok(()),
            TestOutput::Report(Output::Ndjson) => {
                json::document(out, SCHEMA, &ndjson(target, event))?;
            }
            TestOutput::Report(Output::Table) => self.lines.write(out, report, target, event)?,
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
            TestOutput::Report(output) => super::report(out, output, SCHEMA, report, |out| {
                table::write(out, plan, report, self.layout)
            }),
            TestOutput::Junit => junit::write(out, plan, report),
        }
    }
}

fn ndjson<'a>(report: &'a TargetReport, event: &'a Event) -> EventLine<'a> {
    let target = &report.target;
    match event {
        Event::Unmeasured { why, .. } => EventLine::Unmeasured { target, why },
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

#[cfg(test)]
mod tests;
