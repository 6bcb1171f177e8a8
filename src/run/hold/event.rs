//! What happens during a measurement, as the record and NDJSON show it.

use std::net::SocketAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::hold::ends::{CountedFrom, End};
use crate::domain::hold::{Direction, Expiry, Sample};
use crate::domain::seconds::{self, Seconds};

/// What happens.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Event {
    /// The first connection stands.
    Connected {
        /// To which address.
        address: SocketAddr,
        /// Whether the far end is kalive serve; null while it may still say so.
        serve: Option<bool>,
    },
    /// A pass begins.
    Pass {
        /// Of which direction.
        direction: Direction,
        /// Which, the first being 1.
        pass: u32,
        /// With so many connections.
        sessions: usize,
        /// The longest silence of them.
        #[serde(rename = "longest_s", with = "seconds")]
        #[schemars(with = "Seconds")]
        longest: Duration,
        /// When, after the run began.
        #[serde(rename = "at_s", with = "seconds")]
        #[schemars(with = "Seconds")]
        at: Duration,
    },
    /// A silence has been ended.
    Sample {
        /// Who spoke.
        direction: Direction,
        /// On which connection.
        session: usize,
        /// When, after the run began.
        #[serde(rename = "at_s", with = "seconds")]
        #[schemars(with = "Seconds")]
        at: Duration,
        /// How long it was to be silent; null where that was for the moment to decide.
        #[serde(rename = "planned_s", serialize_with = "seconds::optional::serialize")]
        #[schemars(with = "Option<Seconds>")]
        planned: Option<Duration>,
        /// Whether the keepalive was answered and data was not.
        keepalive_only: bool,
        #[serde(flatten)]
        sample: Sample,
    },
    /// A connection ended by itself.
    Ended {
        /// Which.
        session: usize,
        #[serde(flatten)]
        end: End,
    },
    /// What connections that ended by themselves tell together.
    Limit {
        /// How they ended.
        expiry: Expiry,
        /// The limit is longer than this.
        #[serde(rename = "lower_s", with = "seconds")]
        #[schemars(with = "Seconds")]
        lower: Duration,
        /// It is at most this.
        #[serde(rename = "upper_s", with = "seconds")]
        #[schemars(with = "Seconds")]
        upper: Duration,
        /// What it counts from.
        counted_from: CountedFrom,
    },
    /// The far end broke the silence.
    FarEndSpoke {
        /// On which connection.
        session: usize,
        /// After so much silence.
        #[serde(rename = "after_s", with = "seconds")]
        #[schemars(with = "Seconds")]
        after: Duration,
        /// When, after the run began.
        #[serde(rename = "at_s", with = "seconds")]
        #[schemars(with = "Seconds")]
        at: Duration,
    },
    /// Fewer connections than planned could be made.
    Limited {
        /// Why.
        why: String,
        /// So many could be.
        sessions: usize,
    },
    /// The connections that carry traffic all along are silent, the last answer having come then.
    ControlLost {
        /// When that was, after the run began.
        #[serde(rename = "at_s", with = "seconds")]
        #[schemars(with = "Seconds")]
        at: Duration,
    },
    /// A connection that the kernel has kept alive.
    Keeper {
        /// Its TCP_KEEPIDLE.
        #[serde(rename = "idle_s", with = "seconds")]
        #[schemars(with = "Seconds")]
        idle: Duration,
        /// Whether --verify asked for it.
        asked: bool,
        /// Whether it was still there after a silence that the path forgets.
        survived: bool,
        /// Whether the peer closed it with a FIN: that is no question of keepalive.
        closed: bool,
        /// Whether data was echoed on it afterwards; null where the far end does not echo.
        data_ok: Option<bool>,
    },
    /// It cannot be measured, or not in this direction.
    Inconclusive {
        /// Which; null where that holds for all.
        direction: Option<Direction>,
        /// Why.
        why: String,
    },
    /// How it goes: for a line of progress, never for a record.
    #[serde(skip)]
    Progress(Progress),
    /// The end of a whole run.
    Done {
        /// How many connections were made.
        sessions: usize,
        /// A round trip on the path, as measured.
        #[serde(rename = "round_trip_s", with = "seconds")]
        #[schemars(with = "Seconds")]
        round_trip: Duration,
        /// How long the run took.
        #[serde(rename = "elapsed_s", with = "seconds")]
        #[schemars(with = "Seconds")]
        elapsed: Duration,
    },
}

/// How it goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) elapsed: Duration,
    /// The longest silence answered so far.
    pub(crate) answered: Option<Duration>,
    /// The next silence to end.
    pub(crate) next: Option<Duration>,
    pub(crate) alive: usize,
    /// If the path never forgets.
    pub(crate) left: Duration,
}
