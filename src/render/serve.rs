//! The formats of `kalive serve`: a line when it listens, events as NDJSON, counts at the end.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::{json, text};
use crate::cli::Output;
use crate::domain::seconds::{self, Seconds};
use crate::domain::serve::Outcome;
use crate::report::probe::errno_name;
use crate::report::serve::Report;
use crate::run::serve::{Ended, Event, Refusal};

pub(crate) const SCHEMA: &str = "kalive.serve/1";

/// An event of NDJSON.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum EventLine {
    /// It listens.
    Listening {
        /// Where.
        address: SocketAddr,
        /// For so many sessions at most.
        max_sessions: u32,
    },
    /// A session begins.
    Accepted {
        /// Whose.
        peer: SocketAddr,
    },
    /// A connection was refused.
    Refused {
        /// Whose.
        peer: SocketAddr,
        /// Why.
        outcome: Refusal,
    },
    /// A client had it speak first on a session.
    Spoke {
        /// Whose session.
        peer: SocketAddr,
        /// What came of it.
        outcome: Outcome,
        /// After so much silence on that session.
        #[serde(with = "seconds")]
        #[schemars(with = "Seconds")]
        after_s: Duration,
    },
    /// A session ended before the server did.
    Ended {
        /// Whose.
        peer: SocketAddr,
        /// How.
        outcome: Ended,
        /// The kernel's error, by name; absent where none ended it.
        #[serde(skip_serializing_if = "Option::is_none")]
        errno: Option<String>,
        /// How old it was.
        #[serde(with = "seconds")]
        #[schemars(with = "Seconds")]
        after_s: Duration,
    },
}

/// An event as it happens.
pub(crate) fn event(out: &mut dyn Write, output: Output, event: &Event) -> io::Result<()> {
    match output {
        Output::Table => {
            if let Event::Listening { address, sessions } = event {
                let sessions = text::counted(*sessions, "session");
                writeln!(out, "listening on {address}, for {sessions}")?;
                out.flush()?;
            }
            Ok(())
        }
        Output::Json => Ok(()),
        Output::Ndjson => {
            json::document(out, SCHEMA, &EventLine::from(event))?;
            out.flush()
        }
    }
}

impl From<&Event> for EventLine {
    fn from(event: &Event) -> Self {
        match *event {
            Event::Listening { address, sessions } => Self::Listening {
                address,
                max_sessions: sessions,
            },
            Event::Accepted { peer } => Self::Accepted { peer },
            Event::Refused { peer, why } => Self::Refused { peer, outcome: why },
            Event::Spoke {
                peer,
                outcome,
                silence,
            } => Self::Spoke {
                peer,
                outcome,
                after_s: silence,
            },
            Event::Ended { peer, how, age } => Self::Ended {
                peer,
                outcome: how,
                errno: match how {
                    Ended::Failed(errno) => Some(errno_name(errno)),
                    Ended::Closed
                    | Ended::Reset
                    | Ended::TimedOut
                    | Ended::TooOld
                    | Ended::Malformed => None,
                },
                after_s: age,
            },
        }
    }
}

/// The counts.
pub(crate) fn finish(out: &mut dyn Write, output: Output, report: &Report) -> io::Result<()> {
    super::report(out, output, SCHEMA, report, |out| {
        let (spoken, ended) = (&report.spoken, &report.ended);
        writeln!(
            out,
            "{}, {} refused; spoke: {} acknowledged, {} reset, {} silence",
            text::counted(report.sessions, "session"),
            report.refused,
            spoken.acknowledged,
            spoken.reset,
            spoken.silence
        )?;
        writeln!(
            out,
            "ended: {} closed, {} reset, {} timed out, {} too old, {} malformed, {} failed",
            ended.closed,
            ended.reset,
            ended.timed_out,
            ended.too_old,
            ended.malformed,
            ended.failed
        )
    })
}
