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

use super::hold::Answer;

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
                bytes: number(words.next())?,
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

/// A decimal number without a sign.
fn number<T: FromStr>(word: Option<&str>) -> Result<T, Malformed> {
    word.filter(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|word| word.parse().ok())
        .ok_or(Malformed)
}

/// Takes whole lines off the front of what has arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    held: Vec<u8>,
}

impl Lines {
    /// Adds what has arrived.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next line with its line feed; an error once a line is longer than `longest`.
    pub(crate) fn next(&mut self, longest: usize) -> Result<Option<Vec<u8>>, Malformed> {
        match self.held.iter().position(|&byte| byte == b'\n') {
            Some(end) if end < longest => Ok(Some(self.held.drain(..=end).collect())),
            None if self.held.len() < longest => Ok(None),
            Some(_) | None => Err(Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_lines_are_promises() {
        let token = Token(0x0123_4567_89ab_cdef);
        assert_eq!(greeting(token), "kalive-serve/1 0123456789abcdef\n");
        let speak = Request::Speak {
            token,
            bytes: 4,
            spacing: Duration::from_millis(50),
        };
        assert_eq!(speak.encode().trim_end(), "speak 0123456789abcdef 4 50");
        let spoken = Reply::Spoken {
            token,
            outcome: Outcome::Acknowledged,
            silence: Duration::from_millis(12_345),
            bytes: 1,
        };
        assert_eq!(spoken.encode(), "acknowledged 0123456789abcdef 12345 1\n");
    }

    #[test]
    fn what_is_not_of_the_language_is_refused() {
        let padded = |text: &str| format!("{text:<63}\n");
        for text in [
            "",
            "ping",
            "ping -1",
            "ping +1",
            "ping 1 2",
            "ping  1",
            "speak 0123456789abcdef 0 50",
            "speak 0123456789abcdef 11 50",
            "speak 0123456789abcdef 1 10001",
            "speak 0123456789ABCDEF 1 50",
            "speak 123 1 50",
            "speak 0123456789abcdef 1",
            "shout 0123456789abcdef 1 50",
        ] {
            assert_eq!(
                Request::parse(padded(text).as_bytes()),
                Err(Malformed),
                "{text}"
            );
        }
        assert_eq!(Request::parse(b"ping 1\n"), Err(Malformed), "not padded");
        assert!(Request::parse(padded("ping 1").as_bytes()).is_ok());
        assert_eq!(read_greeting(b"SSH-2.0-OpenSSH_9.6\r\n"), Err(Malformed));
        assert_eq!(
            read_greeting(b"kalive-serve/2 0123456789abcdef\n"),
            Err(Malformed)
        );
        assert_eq!(read_greeting(b"kalive-se"), Ok(None));
        assert_eq!(read_greeting(b""), Ok(None));
    }

    #[test]
    fn a_line_that_never_ends_is_refused() {
        let mut lines = Lines::default();
        lines.push(b"ab\ncd");
        assert_eq!(lines.next(4), Ok(Some(b"ab\n".to_vec())));
        assert_eq!(lines.next(4), Ok(None));
        lines.push(b"ef");
        assert_eq!(lines.next(4), Err(Malformed));
    }

    fn replies() -> impl Strategy<Value = Reply> {
        let outcome = prop_oneof![
            Just(Outcome::Acknowledged),
            Just(Outcome::Reset),
            Just(Outcome::Silence)
        ];
        prop_oneof![
            any::<u32>().prop_map(|number| Reply::Pong { number }),
            any::<u64>().prop_map(|token| Reply::NoSession {
                token: Token(token)
            }),
            (any::<u64>(), outcome, 0_u64..1 << 40, 0_u32..=MOST_BYTES).prop_map(
                |(token, outcome, silence, bytes)| Reply::Spoken {
                    token: Token(token),
                    outcome,
                    silence: Duration::from_millis(silence),
                    bytes,
                }
            ),
        ]
    }

    fn requests() -> impl Strategy<Value = Request> {
        prop_oneof![
            any::<u32>().prop_map(|number| Request::Ping { number }),
            (any::<u64>(), 1..=MOST_BYTES, 0_u64..=10_000).prop_map(|(token, bytes, spacing)| {
                Request::Speak {
                    token: Token(token),
                    bytes,
                    spacing: Duration::from_millis(spacing),
                }
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(request in requests(), reply in replies(), token: u64) {
            let line = request.encode();
            prop_assert_eq!(line.len(), REQUEST);
            prop_assert_eq!(Request::parse(line.as_bytes()), Ok(request));
            let line = reply.encode();
            prop_assert!(line.len() <= REQUEST, "an answer is never longer than its question");
            prop_assert_eq!(Reply::parse(line.as_bytes()), Ok(reply));
            let line = greeting(Token(token));
            prop_assert_eq!(line.len(), GREETING_LENGTH);
            prop_assert_eq!(read_greeting(line.as_bytes()), Ok(Some(Token(token))));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), longest in 0_usize..80) {
            let _ = Request::parse(&bytes);
            let _ = Reply::parse(&bytes);
            let _ = read_greeting(&bytes);
            let mut lines = Lines::default();
            lines.push(&bytes);
            while let Ok(Some(line)) = lines.next(longest) {
                prop_assert!(line.len() <= longest);
            }
        }
    }
}
