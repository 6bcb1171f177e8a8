//! The formats of `kalive serve`: a line when it listens, events as NDJSON, counts at the end.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use super::{json, text};
use crate::cli::Output;
use crate::domain::seconds;
use crate::domain::serve::Outcome;
use crate::report::serve::Report;
use crate::run::serve::{Ended, Event, Refusal};

const SCHEMA: &str = "kalive.serve/1";

/// The fields of an event.
#[derive(Serialize)]
struct Fields {
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_sessions: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(
        rename = "after_s",
        skip_serializing_if = "Option::is_none",
        serialize_with = "seconds::optional::serialize"
    )]
    after: Option<Duration>,
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
            let (name, fields) = fields(event);
            json::event(out, SCHEMA, name, &fields)?;
            out.flush()
        }
    }
}

fn fields(event: &Event) -> (&'static str, Fields) {
    let of = |peer| Fields {
        address: None,
        max_sessions: None,
        peer,
        outcome: None,
        after: None,
    };
    match *event {
        Event::Listening { address, sessions } => (
            "listening",
            Fields {
                address: Some(address),
                max_sessions: Some(sessions),
                ..of(None)
            },
        ),
        Event::Accepted { peer } => ("accepted", of(Some(peer))),
        Event::Refused { peer, why } => (
            "refused",
            Fields {
                outcome: Some(match why {
                    Refusal::NotAllowed => "not-allowed",
                    Refusal::Full => "max-sessions",
                    Refusal::ClientFull => "max-sessions-per-client",
                }),
                ..of(Some(peer))
            },
        ),
        Event::Spoke {
            peer,
            outcome,
            silence,
        } => (
            "spoke",
            Fields {
                outcome: Some(match outcome {
                    Outcome::Acknowledged => "acknowledged",
                    Outcome::Reset => "reset",
                    Outcome::Silence => "silence",
                }),
                after: Some(silence),
                ..of(Some(peer))
            },
        ),
        Event::Ended { peer, how, age } => (
            "ended",
            Fields {
                outcome: Some(match how {
                    Ended::Closed => "closed",
                    Ended::Reset => "reset",
                    Ended::TimedOut => "timed-out",
                    Ended::TooOld => "too-old",
                    Ended::Malformed => "malformed",
                    Ended::Failed(_) => "failed",
                }),
                after: Some(age),
                ..of(Some(peer))
            },
        ),
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
