//! What can become of a connection of the lab that sends after a silence.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

/// How a connection answers data after a silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// The data came back.
    Alive,
    /// Nothing came back for a while.
    Silent,
    /// ECONNRESET: a RST came back.
    Reset,
    /// The other side had closed it.
    Closed,
    /// It could not be established in the first place.
    NotConnected,
    /// It ended with another error.
    Failed(i32),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alive => f.write_str("lives"),
            Self::Silent => f.write_str("dead, silently"),
            Self::Reset => f.write_str("dead, with a RST"),
            Self::Closed => f.write_str("closed by the peer"),
            Self::NotConnected => f.write_str("did not connect"),
            Self::Failed(errno) => write!(f, "dead: {}", std::io::Error::from_raw_os_error(*errno)),
        }
    }
}
