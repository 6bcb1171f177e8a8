//! What a far end has seen. Field names are promises.

use std::net::SocketAddr;

use serde::Serialize;

use crate::domain::serve::Outcome;
use crate::run::serve::{Ended, Event};

/// The report of `kalive serve`.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Report {
    /// Where it listened.
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
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Spoken {
    pub(crate) acknowledged: u64,
    pub(crate) reset: u64,
    pub(crate) silence: u64,
}

/// How sessions ended.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Endings {
    pub(crate) closed: u64,
    pub(crate) reset: u64,
    pub(crate) timed_out: u64,
    pub(crate) too_old: u64,
    pub(crate) malformed: u64,
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
