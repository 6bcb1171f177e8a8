//! What `kalive hold` knows of a path that forgets: samples of silence, how a memory ends, what the
//! samples carry, and the keepalive settings that follow. Pure.

pub(crate) mod ends;
pub(crate) mod ladder;
pub(crate) mod recommendation;
pub(crate) mod software;
pub(crate) mod tries;
pub(crate) mod verdict;

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::seconds::{self, Seconds};

/// Who speaks after the silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Direction {
    /// This side.
    Outbound,
    /// The far end.
    Inbound,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
        })
    }
}

/// What came of speaking after a silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// The other side answered: the path still knew the connection.
    Answered,
    /// Silence, after several tries.
    Lost,
    /// A RST came back.
    Reset,
}

/// One silence and what came of it. What is known of its length is a range, because the moments of
/// the last and of the first packet are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Sample {
    /// The silence lasted at least so long.
    #[serde(rename = "idle_s", with = "seconds")]
    #[schemars(with = "Seconds")]
    pub(crate) earliest: Duration,
    /// It lasted at most so long, with as many of the tries counted in as chance could have
    /// taken.
    #[serde(rename = "idle_latest_s", with = "seconds")]
    #[schemars(with = "Seconds")]
    pub(crate) latest: Duration,
    /// What came of it.
    #[serde(rename = "result")]
    pub(crate) answer: Answer,
    /// How many probes were sent.
    pub(crate) tries: u32,
    /// In which pass, the first being 1.
    pub(crate) pass: u32,
    /// How long the silence was at most at each try that was independent of the others.
    #[serde(skip)]
    pub(crate) tried: Vec<Duration>,
    /// So many independent tries are not all lost by chance.
    #[serde(skip)]
    pub(crate) decisive: u32,
}

/// How the path's memory ends.
#[expect(
    clippy::enum_variant_names,
    reason = "the names are those that the JSON promises"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Expiry {
    /// It does not, as far as was measured.
    None,
    /// Late packets vanish.
    Silent,
    /// A late packet is answered with a RST.
    ResetOnProbe,
    /// A RST came by itself.
    ResetAtExpiry,
    /// A FIN came by itself.
    ClosedByPeer,
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "does not forget",
            Self::Silent => "late packets vanish",
            Self::ResetOnProbe => "RST on the next packet",
            Self::ResetAtExpiry => "RST at expiry",
            Self::ClosedByPeer => "FIN at expiry",
        })
    }
}
