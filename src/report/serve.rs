//! What a far end has seen. Field names are promises.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::serve::Outcome;
use crate::run::serve::{Ended, Event};

/// The report of kalive serve.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Report {
    /// Whether it came to its own end: false after a signal, which is how a server usually ends.
    pub(crate) complete: bool,
    /// Where it listened; null if it came to none.
    pub(crate) listen: Option<SocketAddr>,
    /// Sessions in all.
    pub(crate) sessions: u64,
    /// Connections that were refused for a limit or for their address.
    pub(crate) refused: u64,
    /// What came of speaking on request.
    pub(crate) spoken: Spoken,
    /// How sessions ended before the server did.
    pub(crate) ended: Endings,
}

/// What came of speaking.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Spoken {
    /// The client's side acknowledged it.
    pub(crate) acknowledged: u64,
    /// A RST came back.
    pub(crate) reset: u64,
    /// Nothing came back.
    pub(crate) silence: u64,
}

/// How sessions ended.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Endings {
    /// By the client's FIN.
    pub(crate) closed: u64,
    /// By a RST.
    pub(crate) reset: u64,
    /// What was sent was never acknowledged.
    pub(crate) timed_out: u64,
    /// At --max-session-age.
    pub(crate) too_old: u64,
    /// The client said what is not of the language.
    pub(crate) malformed: u64,
    /// By another error.
    pub(crate) failed: u64,
}

impl Report {
    pub(crate) fn add(&mut self, event: &Event) {
        match event {
            Event::Listening { address, .. } => self.listen = Some(*address),
            Event::Accepted { .. } => self.sessions += 1,
            Event::Refused { .. } => self.refused += 1,
            Event::Spoke { outcome, .. } => match outcome {
                Outcome::Acknowledged => self.spoken.acknowledged += 1,
                Outcome::Reset => self.spoken.reset += 1,
                Outcome::Silence => self.spoken.silence += 1,
            },
            Event::Ended { how, .. } => match how {
                Ended::Closed => self.ended.closed += 1,
                Ended::Reset => self.ended.reset += 1,
                Ended::TimedOut => self.ended.timed_out += 1,
                Ended::TooOld => self.ended.too_old += 1,
                Ended::Malformed => self.ended.malformed += 1,
                Ended::Failed(_) => self.ended.failed += 1,
            },
        }
    }
}
