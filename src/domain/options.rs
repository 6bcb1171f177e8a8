//! The keepalive options of a socket as types that hold only what the kernel accepts, and where a
//! value comes from. Bounds: `tcp(7)` and `do_tcp_setsockopt` in the kernel's net/ipv4/tcp.c.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

/// A value that the kernel would refuse with EINVAL, or that a socket option cannot carry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{option} cannot be {given}: it takes {accepted}")]
pub struct OutOfBounds {
    option: &'static str,
    given: String,
    accepted: &'static str,
}

/// The most seconds that `TCP_KEEPIDLE` and `TCP_KEEPINTVL` take.
const MAX_SECONDS: u64 = 32_767;
const SECONDS: &str = "whole seconds from 1s to 32767s (9h 6m 7s)";

/// `TCP_KEEPIDLE`: silence before the first keepalive probe, 1 to 32767 whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Idle(Duration);

/// `TCP_KEEPINTVL`: time between unanswered probes, 1 to 32767 whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval(Duration);

/// `TCP_KEEPCNT`: how many unanswered probes end the connection, 1 to 127.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(u8);

/// `TCP_USER_TIMEOUT`: how long data or probes may stay unacknowledged, 1 to 2147483647 whole
/// milliseconds. The kernel's 0, "off", is the absence of a value here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserTimeout(Duration);

impl Idle {
    /// # Errors
    /// When the kernel would not take exactly this value.
    pub fn new(idle: Duration) -> Result<Self, OutOfBounds> {
        whole_seconds("TCP_KEEPIDLE", idle).map(Self)
    }

    /// The value as time.
    #[must_use]
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl Interval {
    /// # Errors
    /// When the kernel would not take exactly this value.
    pub fn new(interval: Duration) -> Result<Self, OutOfBounds> {
        whole_seconds("TCP_KEEPINTVL", interval).map(Self)
    }

    /// The value as time.
    #[must_use]
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl Count {
    /// # Errors
    /// When the kernel would not take exactly this value.
    pub fn new(count: u64) -> Result<Self, OutOfBounds> {
        match u8::try_from(count) {
            Ok(value @ 1..=127) => Ok(Self(value)),
            _ => Err(OutOfBounds {
                option: "TCP_KEEPCNT",
                given: count.to_string(),
                accepted: "1 to 127",
            }),
        }
    }

    /// The number of probes.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

impl UserTimeout {
    /// # Errors
    /// When the kernel would not take exactly this value.
    pub fn new(timeout: Duration) -> Result<Self, OutOfBounds> {
        let whole = timeout.subsec_nanos().is_multiple_of(1_000_000);
        if whole && (1..=0x7fff_ffff).contains(&timeout.as_millis()) {
            return Ok(Self(timeout));
        }
        Err(OutOfBounds {
            option: "TCP_USER_TIMEOUT",
            given: humantime::format_duration(timeout).to_string(),
            accepted: "whole milliseconds from 1ms to 2147483647ms (24 days)",
        })
    }

    /// The value as time.
    #[must_use]
    pub fn duration(self) -> Duration {
        self.0
    }
}

fn whole_seconds(option: &'static str, value: Duration) -> Result<Duration, OutOfBounds> {
    if value.subsec_nanos() == 0 && (1..=MAX_SECONDS).contains(&value.as_secs()) {
        return Ok(value);
    }
    Err(OutOfBounds {
        option,
        given: humantime::format_duration(value).to_string(),
        accepted: SECONDS,
    })
}

/// Where the effective value of an option comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Set on the socket itself.
    Socket,
    /// The sysctl of the socket's network namespace, which a socket without a value of its own follows.
    Sysctl,
    /// The value equals the sysctl's: the socket follows that, or was set to the same. On a socket of
    /// another program these cannot be told apart, as getsockopt(2) answers the same for both.
    SocketOrSysctl,
    /// Nothing was set, and no sysctl applies: the kernel's own start value, which is off.
    Default,
    /// Not known, and why.
    #[schemars(skip)]
    Unknown(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket => f.write_str("socket"),
            Self::Sysctl => f.write_str("sysctl"),
            Self::SocketOrSysctl => f.write_str("socket-or-sysctl"),
            Self::Default => f.write_str("default"),
            Self::Unknown(why) => write!(f, "unknown: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn seconds_take_what_the_kernel_takes() {
        for (value, accepted) in [
            (ms(0), false),
            (ms(999), false),
            (ms(1_000), true),
            (ms(1_900), false),
            (ms(32_767_000), true),
            (ms(32_767_001), false),
            (ms(32_768_000), false),
            (Duration::MAX, false),
        ] {
            assert_eq!(Idle::new(value).is_ok(), accepted, "idle {value:?}");
            assert_eq!(Interval::new(value).is_ok(), accepted, "interval {value:?}");
        }
    }

    #[test]
    fn count_takes_what_the_kernel_takes() {
        for (value, accepted) in [
            (0, false),
            (1, true),
            (127, true),
            (128, false),
            (256 + 1, false),
        ] {
            assert_eq!(Count::new(value).is_ok(), accepted, "{value}");
        }
    }

    #[test]
    fn user_timeout_takes_what_the_kernel_takes() {
        for (value, accepted) in [
            (ms(0), false),
            (Duration::from_micros(1_500), false),
            (ms(1), true),
            (ms(0x7fff_ffff), true),
            (ms(0x8000_0000), false),
            (Duration::MAX, false),
        ] {
            assert_eq!(UserTimeout::new(value).is_ok(), accepted, "{value:?}");
        }
    }

    #[test]
    fn the_error_says_what_is_right() {
        assert_eq!(
            Idle::new(ms(1_900)).unwrap_err().to_string(),
            "TCP_KEEPIDLE cannot be 1s 900ms: it takes whole seconds from 1s to 32767s (9h 6m 7s)"
        );
    }

    /// The bounds are the kernel's: what a newtype refuses, setsockopt refuses too, and the reverse.
    #[test]
    fn the_kernel_agrees() {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let keepalive = socket2::TcpKeepalive::new;
        for seconds in [1, 32_767, 32_768] {
            let value = Duration::from_secs(seconds);
            let idle = socket.set_tcp_keepalive(&keepalive().with_time(value));
            let interval = socket.set_tcp_keepalive(&keepalive().with_interval(value));
            assert_eq!(Idle::new(value).is_ok(), idle.is_ok(), "idle {seconds}");
            assert_eq!(
                Interval::new(value).is_ok(),
                interval.is_ok(),
                "interval {seconds}"
            );
        }
        for count in [0, 1, 127, 128] {
            let set = socket.set_tcp_keepalive(&keepalive().with_retries(count));
            assert_eq!(
                Count::new(count.into()).is_ok(),
                set.is_ok(),
                "count {count}"
            );
        }
        for timeout in [1, 0x7fff_ffff, 0x8000_0000] {
            let set = socket.set_tcp_user_timeout(Some(ms(timeout)));
            assert_eq!(
                UserTimeout::new(ms(timeout)).is_ok(),
                set.is_ok(),
                "{timeout}"
            );
        }
    }
}
