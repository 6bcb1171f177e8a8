//! What happens during a measurement, as the record and NDJSON show it.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use crate::domain::hold::ends::{CountedFrom, End};
use crate::domain::hold::{Direction, Expiry, Sample};
use crate::domain::seconds;

/// What happens.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Event {
    /// The first connection stands.
    Connected {
        address: SocketAddr,
        /// Whether the far end is `kalive serve`; null while it may still say so.
        serve: Option<bool>,
    },
    /// A pass begins.
    Pass {
        direction: Direction,
        pass: u32,
        sessions: usize,
        #[serde(rename = "longest_s", with = "seconds")]
        longest: Duration,
        #[serde(rename = "at_s", with = "seconds")]
        at: Duration,
    },
    /// A silence has been ended.
    Sample {
        direction: Direction,
        session: usize,
        #[serde(rename = "at_s", with = "seconds")]
        at: Duration,
        /// How long it was to be silent; null where that was for the moment to decide.
        #[serde(rename = "planned_s", serialize_with = "seconds::optional::serialize")]
        planned: Option<Duration>,
        /// The keepalive was answered and data was not.
        keepalive_only: bool,
        #[serde(flatten)]
        sample: Sample,
    },
    /// A connection ended by itself.
    Ended {
        session: usize,
        #[serde(flatten)]
        end: End,
    },
    /// What connections that ended by themselves tell together.
    Limit {
        expiry: Expiry,
        #[serde(rename = "lower_s", with = "seconds")]
        lower: Duration,
        #[serde(rename = "upper_s", with = "seconds")]
        upper: Duration,
        counted_from: CountedFrom,
    },
    /// The far end broke the silence.
    FarEndSpoke {
        session: usize,
        #[serde(rename = "after_s", with = "seconds")]
        after: Duration,
        #[serde(rename = "at_s", with = "seconds")]
        at: Duration,
    },
    /// Fewer connections than planned could be made.
    Limited { why: String, sessions: usize },
    /// The connections that carry traffic all along are silent, the last answer having come then.
    ControlLost {
        #[serde(rename = "at_s", with = "seconds")]
        at: Duration,
    },
    /// A connection that the kernel has kept alive.
    Keeper {
        #[serde(rename = "idle_s", with = "seconds")]
        idle: Duration,
        asked: bool,
        survived: bool,
        /// Whether the peer closed it with a FIN: that is no question of keepalive.
        closed: bool,
        /// Null where the far end does not echo.
        data_ok: Option<bool>,
    },
    /// It cannot be measured, or not in this direction.
    Inconclusive {
        direction: Option<Direction>,
        why: String,
    },
    /// How it goes.
    Progress(Progress),
    /// The end of a whole run.
    Done {
        sessions: usize,
        #[serde(rename = "round_trip_s", with = "seconds")]
        round_trip: Duration,
        #[serde(rename = "elapsed_s", with = "seconds")]
        elapsed: Duration,
    },
}

/// How it goes.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Progress {
    #[serde(rename = "elapsed_s", with = "seconds")]
    pub(crate) elapsed: Duration,
    /// The longest silence answered so far.
    #[serde(rename = "answered_s", serialize_with = "seconds::optional::serialize")]
    pub(crate) answered: Option<Duration>,
    /// The next silence to end.
    #[serde(rename = "next_s", serialize_with = "seconds::optional::serialize")]
    pub(crate) next: Option<Duration>,
    pub(crate) alive: usize,
    /// If the path never forgets.
    #[serde(rename = "left_s", with = "seconds")]
    pub(crate) left: Duration,
}

impl Event {
    /// Its name in NDJSON.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Connected { .. } => "connected",
            Self::Pass { .. } => "pass",
            Self::Sample { .. } => "sample",
            Self::Ended { .. } => "ended",
            Self::Limit { .. } => "limit",
            Self::FarEndSpoke { .. } => "far-end-spoke",
            Self::Limited { .. } => "limited",
            Self::ControlLost { .. } => "control-lost",
            Self::Keeper { .. } => "keeper",
            Self::Inconclusive { .. } => "inconclusive",
            Self::Progress(_) => "progress",
            Self::Done { .. } => "done",
        }
    }
}
