//! Keepalive options as their owner sets and reads them, and what `kalive inspect --options` is to tell of them.

use fastrand::Rng;
use nix::sys::socket::sockopt::{
    KeepAlive, TcpKeepCount, TcpKeepIdle, TcpKeepInterval, TcpUserTimeout,
};
use nix::sys::socket::{getsockopt, setsockopt};
use serde_json::{Value, json};
use socket2::Socket;

/// Nothing that ends within this many seconds may be set: the connections are to last.
const LASTING: u32 = 300;

/// The options of a socket, as the kernel counts them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Options {
    enabled: bool,
    /// Seconds.
    idle: u32,
    /// Seconds.
    interval: u32,
    count: u32,
    /// Milliseconds; 0 is off.
    user_timeout: u32,
}

impl Options {
    /// Any that can be set; often the sysctl's own.
    pub(crate) fn choose(random: &mut Rng) -> Self {
        let enabled = random.bool();
        let shortest = if enabled { LASTING } else { 1 };
        let mut pick = |range: std::ops::RangeInclusive<u32>, usual| {
            if random.u32(0..4) == 0 {
                usual
            } else {
                random.u32(range)
            }
        };
        Self {
            enabled,
            idle: pick(shortest..=32_767, sysctl("tcp_keepalive_time")),
            interval: pick(1..=32_767, sysctl("tcp_keepalive_intvl")),
            count: pick(1..=127, sysctl("tcp_keepalive_probes")),
            user_timeout: pick(LASTING * 1_000..=i32::MAX.cast_unsigned(), 0),
        }
    }

    pub(crate) fn apply(&self, socket: &Socket) {
        setsockopt(socket, TcpKeepIdle, &self.idle).unwrap();
        setsockopt(socket, TcpKeepInterval, &self.interval).unwrap();
        setsockopt(socket, TcpKeepCount, &self.count).unwrap();
        setsockopt(socket, TcpUserTimeout, &self.user_timeout).unwrap();
        setsockopt(socket, KeepAlive, &self.enabled).unwrap();
    }

    /// What the kernel answers its owner.
    pub(crate) fn of(socket: &Socket) -> Self {
        Self {
            enabled: getsockopt(socket, KeepAlive).unwrap(),
            idle: getsockopt(socket, TcpKeepIdle).unwrap(),
            interval: getsockopt(socket, TcpKeepInterval).unwrap(),
            count: getsockopt(socket, TcpKeepCount).unwrap(),
            user_timeout: getsockopt(socket, TcpUserTimeout).unwrap(),
        }
    }

    /// As `kalive` is to tell them.
    pub(crate) fn told(&self) -> Value {
        let of_sysctl = |value: u32, name: &str| {
            if value == sysctl(name) {
                "socket-or-sysctl"
            } else {
                "socket"
            }
        };
        let or_default = |set: bool| if set { "socket" } else { "default" };
        json!({
            "enabled": self.enabled,
            "evidence": "option",
            "idle_s": f64::from(self.idle),
            "interval_s": f64::from(self.interval),
            "count": self.count,
            "user_timeout_s": f64::from(self.user_timeout) / 1_000.0,
            "origin": {
                "enabled": or_default(self.enabled),
                "idle": of_sysctl(self.idle, "tcp_keepalive_time"),
                "interval": of_sysctl(self.interval, "tcp_keepalive_intvl"),
                "count": of_sysctl(self.count, "tcp_keepalive_probes"),
                "user_timeout": or_default(self.user_timeout > 0),
            },
        })
    }
}

/// Of the namespace of the calling thread.
fn sysctl(name: &str) -> u32 {
    let path = format!("/proc/sys/net/ipv4/{name}");
    std::fs::read_to_string(path)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}
