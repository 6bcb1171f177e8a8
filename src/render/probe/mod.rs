//! The formats of `kalive probe`. For people each event is a line as it happens, and a table sums up.

mod charts;
mod junit;
mod lines;
mod picture;
mod table;

use std::io::{self, Write};

use serde::Serialize;

use super::{Layout, json};
use crate::cli::{Output, TestOutput};
use crate::plan::probe::Plan;
use crate::report::probe::{AttemptReport, Report, RoundReport, TargetReport};
use crate::run::probe::Event;
use lines::Lines;
pub(crate) use picture::picture;

const SCHEMA: &str = "kalive.probe/1";

/// One of the formats.
pub(crate) struct Renderer {
    output: TestOutput,
    layout: Layout,
    lines: Lines,
}

/// An event of NDJSON: which target, and what.
#[derive(Serialize)]
struct TargetEvent<'a, T> {
    target: &'a str,
    #[serde(flatten)]
    fields: T,
}

/// The peer sent a segment that brought nothing: its own keepalive probe, or a repeated SYN+ACK.
#[derive(Serialize)]
struct PeerSpoke {
    at_s: f64,
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
            TestOutput::Report(Output::Ndjson) => ndjson(out, target, event)?,
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

fn ndjson(out: &mut dyn Write, target: &TargetReport, event: &Event) -> io::Result<()> {
    let name = &target.target;
    match event {
        Event::Failed { attempt, .. } => {
            let fields = AttemptReport::from(attempt);
            json::event(
                out,
                SCHEMA,
                "failed",
                &TargetEvent {
                    target: name,
                    fields,
                },
            )
        }
        Event::Connected { .. } => json::event(out, SCHEMA, "connected", target),
        Event::Round { round, .. } => {
            let fields = RoundReport::from(*round);
            json::event(
                out,
                SCHEMA,
                "round",
                &TargetEvent {
                    target: name,
                    fields,
                },
            )
        }
        Event::PeerSpoke { at, .. } => {
            let fields = PeerSpoke {
                at_s: at.as_secs_f64(),
            };
            json::event(
                out,
                SCHEMA,
                "peer-spoke",
                &TargetEvent {
                    target: name,
                    fields,
                },
            )
        }
        Event::Ended { .. } => json::event(out, SCHEMA, "ended", target),
    }
}
