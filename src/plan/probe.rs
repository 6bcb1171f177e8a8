//! What a probe does with each target, and when it ends well.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::families;
use crate::cli::probe::{Outcome, Preset, ProbeArgs};
use crate::domain::digits::hexadecimal;
use crate::domain::target::{Families, Target};
use crate::error::{Error, Result};
use crate::sys::tcp::{Options, Origin};

/// A probe to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) targets: Vec<Target>,
    pub(crate) families: Families,
    pub(crate) origin: Origin,
    pub(crate) options: Options,
    pub(crate) connect_timeout: Duration,
    pub(crate) ending: Ending,
    pub(crate) traffic: Traffic,
    /// Whether ICMP errors are taken at once.
    pub(crate) icmp_errors: bool,
    pub(crate) require: Outcome,
}

/// When a target that goes on answering has answered enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    /// After so many answered rounds; `None`: never.
    pub(crate) rounds: Option<u32>,
    /// After so long; `None`: never.
    pub(crate) at_most: Option<Duration>,
}

/// What is sent on the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// Nothing: only keepalive.
    None,
    Heartbeat(Heartbeat),
    /// Data as soon as the last is acknowledged and this time has passed.
    InFlight {
        data: Payload,
        every: Duration,
    },
}

/// A request that the application at the far end answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    pub(crate) request: Payload,
    /// What the answer must contain; `None`: any answer counts.
    pub(crate) expect: Option<Vec<u8>>,
    /// How often, and how long an answer may take.
    pub(crate) every: Duration,
    /// Whether it may be sent more than once.
    pub(crate) repeat: bool,
}

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    Bytes(Vec<u8>),
    /// The contents of a file.
    File(PathBuf),
}

/// How many answered rounds are enough where nothing else is asked.
const ROUNDS: u32 = 3;
/// With data in flight: how long after an acknowledgement the next byte is sent.
const IN_FLIGHT_EVERY: Duration = Duration::from_secs(1);
/// What --in-flight sends: the least that most line protocols take without harm.
const IN_FLIGHT: &[u8] = b"\n";

/// # Errors
/// When a text to send cannot be understood.
pub(crate) fn plan(args: &ProbeArgs) -> Result<Plan> {
    let options = if args.system {
        Options {
            keepalive: true,
            ..Options::default()
        }
    } else {
        Options {
            keepalive: true,
            idle: Some(args.idle),
            interval: Some(args.interval),
            count: Some(args.count),
            user_timeout: args.user_timeout.0,
        }
    };
    let families = families(args.families.into(), args.bind)?;
    let heartbeat = args.send.is_some() || args.heartbeat_preset.is_some();
    if args.require == Outcome::Unresponsive && (args.in_flight || !heartbeat) {
        return Err(Error::Usage(String::from(
            "--require unresponsive is about the service: add a heartbeat, with --send or --heartbeat-preset",
        )));
    }
    let rounds = match (args.rounds, args.at_most) {
        (Some(0), _) | (None, Some(_)) => None,
        (None, None) => Some(ROUNDS),
        (Some(rounds), _) => Some(rounds),
    };
    Ok(Plan {
        targets: args.targets.clone(),
        families,
        origin: Origin {
            address: args.bind.map(|address| SocketAddr::new(address, 0)),
            interface: args.interface.clone(),
        },
        options,
        connect_timeout: args.connect_timeout,
        ending: Ending {
            rounds,
            at_most: args.at_most,
        },
        traffic: traffic(args)?,
        icmp_errors: args.icmp_errors,
        require: args.require,
    })
}

fn traffic(args: &ProbeArgs) -> Result<Traffic> {
    let payload = args.send.as_deref().map(payload).transpose()?;
    if args.in_flight {
        return Ok(Traffic::InFlight {
            data: payload.unwrap_or_else(|| Payload::Bytes(IN_FLIGHT.to_vec())),
            every: IN_FLIGHT_EVERY,
        });
    }
    let heartbeat = match (payload, args.heartbeat_preset) {
        (Some(request), _) => Heartbeat {
            request,
            expect: args.expect.as_deref().map(unescaped).transpose()?,
            every: args.heartbeat,
            repeat: true,
        },
        (None, Some(preset)) => ready_made(preset, args.heartbeat),
        (None, None) => return Ok(Traffic::None),
    };
    Ok(Traffic::Heartbeat(heartbeat))
}

fn ready_made(preset: Preset, every: Duration) -> Heartbeat {
    let (request, expect, repeat): (&[u8], Option<&[u8]>, bool) = match preset {
        Preset::Redis => (b"PING\r\n", None, true),
        Preset::Smtp => (b"NOOP\r\n", Some(b"250"), true),
        Preset::Http => (
            b"HEAD / HTTP/1.1\r\nHost: kalive\r\n\r\n",
            Some(b"HTTP/1."),
            true,
        ),
        // Length 8, code 80877103: the server answers S or N, and takes no second one.
        Preset::Postgres => (&[0, 0, 0, 8, 4, 210, 22, 47], None, false),
    };
    Heartbeat {
        request: Payload::Bytes(request.to_vec()),
        expect: expect.map(<[u8]>::to_vec),
        every,
        repeat,
    }
}

fn payload(text: &str) -> Result<Payload> {
    if let Some(path) = text.strip_prefix('@') {
        return Ok(Payload::File(path.into()));
    }
    let bytes = unescaped(text)?;
    if bytes.is_empty() {
        return Err(Error::Usage(String::from("--send needs something to send")));
    }
    Ok(Payload::Bytes(bytes))
}

/// The text with `\r \n \t \0 \\ \xNN` as the bytes they stand for.
fn unescaped(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend(before.as_bytes());
        let kind = after.chars().next();
        let hexadecimal = after.get(1..3).and_then(hexadecimal);
        let (byte, length) = match (kind, hexadecimal) {
            (Some('r'), _) => (b'\r', 1),
            (Some('n'), _) => (b'\n', 1),
            (Some('t'), _) => (b'\t', 1),
            (Some('0'), _) => (0, 1),
            (Some('\\'), _) => (b'\\', 1),
            (Some('x'), Some(byte)) => (byte, 3),
            _ => {
                return Err(Error::Usage(format!(
                    "'{text}' has a \\ that means nothing: write \\r, \\n, \\t, \\0, \\xNN, or \\\\ for itself"
                )));
            }
        };
        bytes.push(byte);
        rest = after.get(length..).unwrap_or_default();
    }
    bytes.extend(rest.as_bytes());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::domain::options::{Count, Idle, Interval};
    use crate::hostile::attack_text;

    fn planned(words: &[&str]) -> Result<Plan> {
        let words = ["kalive", "probe"].iter().chain(words);
        match Cli::try_parse_from(words).unwrap().command {
            Command::Probe(args) => plan(&args),
            other => panic!("not a probe: {other:?}"),
        }
    }

    #[test]
    fn a_plain_probe() {
        let seconds = Duration::from_secs;
        assert_eq!(
            planned(&["db:5432"]).unwrap(),
            Plan {
                targets: vec![Target::parse("db:5432", None).unwrap()],
                families: Families::Any,
                origin: Origin::default(),
                options: Options {
                    keepalive: true,
                    idle: Idle::new(seconds(5)).ok(),
                    interval: Interval::new(seconds(1)).ok(),
                    count: Count::new(5).ok(),
                    user_timeout: None,
                },
                connect_timeout: seconds(10),
                ending: Ending {
                    rounds: Some(3),
                    at_most: None
                },
                traffic: Traffic::None,
                icmp_errors: false,
                require: Outcome::Alive,
            }
        );
    }

    #[test]
    fn with_system_only_the_option_itself_is_set() {
        let options = planned(&["db:1", "--system"]).unwrap().options;
        assert_eq!(
            options,
            Options {
                keepalive: true,
                ..Options::default()
            }
        );
        let words = ["kalive", "probe", "db:1", "--system", "--idle", "5s"];
        assert!(
            Cli::try_parse_from(words).is_err(),
            "both at once contradict each other"
        );
    }

    #[test]
    fn when_it_is_enough() {
        let ending = |words: &[&str]| {
            let ending = planned(&[&["db:1"], words].concat()).unwrap().ending;
            (ending.rounds, ending.at_most.map(|time| time.as_secs()))
        };
        assert_eq!(ending(&["--rounds", "7"]), (Some(7), None));
        assert_eq!(ending(&["--rounds", "0"]), (None, None));
        assert_eq!(ending(&["--for", "1m"]), (None, Some(60)));
        assert_eq!(
            ending(&["--for", "1m", "--rounds", "2"]),
            (Some(2), Some(60))
        );
    }

    #[test]
    fn what_is_sent() {
        let sent = |words: &[&str]| planned(&[&["db:1"], words].concat()).unwrap().traffic;
        assert_eq!(
            sent(&[
                "--send",
                "PING\\r\\n",
                "--expect",
                "\\x2bPONG",
                "--heartbeat",
                "2s"
            ]),
            Traffic::Heartbeat(Heartbeat {
                request: Payload::Bytes(b"PING\r\n".to_vec()),
                expect: Some(b"+PONG".to_vec()),
                every: Duration::from_secs(2),
                repeat: true,
            })
        );
        assert_eq!(
            sent(&["--in-flight"]),
            Traffic::InFlight {
                data: Payload::Bytes(b"\n".to_vec()),
                every: Duration::from_secs(1)
            }
        );
        for text in ["a\\", "\\q", "\\x1", "\\xgg", "\\é", ""] {
            let error = planned(&["db:1", "--send", text]).unwrap_err();
            assert!(matches!(error, Error::Usage(_)), "{text}");
        }
    }

    /// The bytes, escaped again, are the text.
    #[test]
    fn hostile_escapes() {
        attack_text(&["PING\\r\\n", "a\\x00\\xff\\t", "\\\\x41é"], |text| {
            let Ok(bytes) = unescaped(text) else {
                return;
            };
            let escapes = text.replace("\\\\", "").matches('\\').count();
            assert!(bytes.len() <= text.len() - escapes);
            assert!(escapes > 0 || bytes == text.replace("\\\\", "\\").as_bytes());
            assert!(!text.contains("\\x+") || text.contains("\\\\x+"), "{text}");
        });
    }

    #[test]
    fn an_origin_decides_the_family() {
        assert_eq!(
            planned(&["db:1", "--bind", "::1"]).unwrap().families,
            Families::OnlyV6
        );
        assert!(planned(&["db:1", "--bind", "::1", "-4"]).is_err());
    }
}
