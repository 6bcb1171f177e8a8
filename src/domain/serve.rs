//! The language of `kalive serve`, version 1: lines of ASCII that end in `\n`. Pure: from bytes to
//! requests and replies and back. The manual page of `kalive serve` documents it.
//!
//! A server greets every session with its token. A connection that begins with [`CONTROL`] is a control
//! connection; all others get back what they send. Requests are padded to [`REQUEST`] bytes, and all
//! replies to one together are no longer than that.

use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::digits::decimal;
use super::hold::Answer;

/// Silences are told in milliseconds, and to a tick.
pub(crate) const ROUNDED: Duration = Duration::from_millis(1);
/// What a greeting begins with.
pub(crate) const GREETING: &str = "kalive-serve/1 ";
/// How a control connection begins. NUL, so that text that is to be echoed is never held back.
pub(crate) const CONTROL: &str = "\0kalive-control/1\n";
/// How long a request is, its line feed counted in.
pub(crate) const REQUEST: usize = 64;
/// How long a greeting is, its line feed counted in.
pub(crate) const GREETING_LENGTH: usize = GREETING.len() + 16 + 1;
/// The most bytes that one request makes the server send on a session: they fit the first congestion
/// window, so that none waits for an answer.
pub(crate) const MOST_BYTES: u32 = 10;
/// The longest time between two of them.
const LONGEST_SPACING: Duration = Duration::from_secs(10);

/// Names a session to whoever has been told: its client. Not to be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Token(pub(crate) u64);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A line that is not of this language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a line of kalive-serve/1")]
pub(crate) struct Malformed;

impl FromStr for Token {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 16 || !text.bytes().all(digits) {
            return Err(Malformed);
        }
        u64::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| Malformed)
    }
}

/// The greeting of a session.
pub(crate) fn greeting(token: Token) -> String {
    format!("{GREETING}{token}\n")
}

/// The token of a greeting. `Ok(None)` while it may still become one.
pub(crate) fn read_greeting(bytes: &[u8]) -> Result<Option<Token>, Malformed> {
    let known = bytes.len().min(GREETING.len());
    if bytes.get(..known) != GREETING.as_bytes().get(..known) {
        return Err(Malformed);
    }
    let Some(line) = bytes.get(..GREETING_LENGTH) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(line).map_err(|_| Malformed)?;
    let token = text
        .strip_prefix(GREETING)
        .and_then(|rest| rest.strip_suffix('\n'))
        .ok_or(Malformed)?;
    token.parse().map(Some)
}

/// What a control connection asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Say something, to show that the path still works.
    Ping { number: u32 },
    /// Send single bytes on a session until one is acknowledged, and tell what became of it.
    Speak {
        token: Token,
        bytes: u32,
        spacing: Duration,
    },
}

impl Request {
    /// As it goes over the wire.
    pub(crate) fn encode(&self) -> String {
        let mut line = match self {
            Self::Ping { number } => format!("ping {number}"),
            Self::Speak {
                token,
                bytes,
                spacing,
            } => format!("speak {token} {bytes} {}", spacing.as_millis()),
        };
        let padding = REQUEST.saturating_sub(line.len() + 1);
        line.extend(std::iter::repeat_n(' ', padding));
        line.push('\n');
        line
    }

    /// From a line of [`REQUEST`] bytes.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(line).map_err(|_| Malformed)?;
        let text = text.strip_suffix('\n').ok_or(Malformed)?;
        if line.len() != REQUEST || text.contains(|c: char| !(' '..='~').contains(&c)) {
            return Err(Malformed);
        }
        let mut words = text.trim_end_matches(' ').split(' ');
        let request = match words.next() {
            Some("ping") => Self::Ping {
                number: number(words.next())?,
            },
            Some("speak") => {
                let token = words.next().ok_or(Malformed)?.parse()?;
                let bytes = number(words.next())?;
                let spacing = Duration::from_millis(number(words.next())?);
                if !(1..=MOST_BYTES).contains(&bytes) || spacing > LONGEST_SPACING {
                    return Err(Malformed);
                }
                Self::Speak {
                    token,
                    bytes,
                    spacing,
                }
            }
            _ => return Err(Malformed),
        };
        words.next().is_none().then_some(request).ok_or(Malformed)
    }
}

/// What a control connection is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The answer to a ping.
    Pong { number: u32 },
    /// What became of speaking on a session.
    Spoken {
        token: Token,
        outcome: Outcome,
        /// How long the session had been silent at the first byte, by the server's clock.
        silence: Duration,
        /// How many bytes were sent.
        bytes: u32,
    },
    /// No session of this token: it has ended, or never was.
    NoSession { token: Token },
}

/// What a server sees of what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Spoke")]
pub(crate) enum Outcome {
    /// The client's side acknowledged it.
    Acknowledged,
    /// A RST came back.
    Reset,
    /// Silence.
    Silence,
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Acknowledged => Self::Answered,
            Outcome::Reset => Self::Reset,
            Outcome::Silence => Self::Lost,
        }
    }
}

impl Reply {
    /// As it goes over the wire.
    pub(crate) fn encode(&self) -> String {
        let mut line = match self {
            Self::Pong { number } => format!("pong {number}"),
            Self::Spoken {
                token,
                outcome,
                silence,
                bytes,
            } => {
                let outcome = match outcome {
                    Outcome::Acknowledged => "acknowledged",
                    Outcome::Reset => "reset",
                    Outcome::Silence => "silence",
                };
                format!("{outcome} {token} {} {bytes}", silence.as_millis())
            }
            Self::NoSession { token } => format!("unknown {token}"),
        };
        let _ = writeln!(line);
        line
    }

    /// From a line, its line feed included.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(line).map_err(|_| Malformed)?;
        let text = text.strip_suffix('\n').ok_or(Malformed)?;
        let mut words = text.split(' ');
        let kind = words.next().unwrap_or_default();
        let outcome = match kind {
            "acknowledged" => Some(Outcome::Acknowledged),
            "reset" => Some(Outcome::Reset),
            "silence" => Some(Outcome::Silence),
            _ => None,
        };
        let mut token = || words.next().ok_or(Malformed)?.parse();
        let reply = match (outcome, kind) {
            (Some(outcome), _) => Self::Spoken {
                token: token()?,
                outcome,
                silence: Duration::from_millis(number(words.next())?),
                bytes: number(words.next()).and_then(that_can_be_asked)?,
            },
            (None, "pong") => Self::Pong {
                number: number(words.next())?,
            },
            (None, "unknown") => Self::NoSession { token: token()? },
            (None, _) => return Err(Malformed),
        };
        words.next().is_none().then_some(reply).ok_or(Malformed)
    }
}

fn number<T: FromStr>(word: Option<&str>) -> Result<T, Malformed> {
    word.and_then(decimal).ok_or(Malformed)
}

/// No server is asked for more.
fn that_can_be_asked(bytes: u32) -> Result<u32, Malformed> {
    (bytes <= MOST_BYTES).then_some(bytes).ok_or(Malformed)
}

/// Takes whole lines off the front of what has arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    held: Vec<u8>,
    /// A line was too long: nothing that follows is one.
    refused: bool,
}

impl Lines {
    /// Adds what has arrived.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if !self.refused {
            self.held.extend_from_slice(bytes);
        }
    }

    /// The next line with its line feed; an error once a line is longer than `longest`.
    pub(crate) fn next(&mut self, longest: usize) -> Result<Option<Vec<u8>>, Malformed> {
        match self.held.iter().position(|&byte| byte == b'\n') {
            Some(end) if end < longest => Ok(Some(self.held.drain(..=end).collect())),
            None if self.held.len() < longest && !self.refused => Ok(None),
            Some(_) | None => {
                self.refused = true;
                self.held = Vec::new();
                Err(Malformed)
            }
        }
    }
}

#[cfg(test)]
mod tests;
