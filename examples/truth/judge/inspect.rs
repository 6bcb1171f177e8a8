//! Judges `kalive inspect --options --survives`: are the values those that were set, and does a connection do
//! what its verdict says when the NAT's time has passed?

use serde::Deserialize;
use std::time::Duration;

use super::{Judgement, Seen, Tick, kernel, report};
use crate::case::{Inspect, Options};

/// The reason of the good verdict.
const PROTECTED: &str = "enough-tries";

#[derive(Debug, Deserialize)]
struct Report {
    tunables: Tunables,
    sockets: Vec<Socket>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Tunables {
    #[serde(rename = "tcp_keepalive_time_s")]
    idle: f64,
    #[serde(rename = "tcp_keepalive_intvl_s")]
    interval: f64,
    #[serde(rename = "tcp_keepalive_probes")]
    count: f64,
}

#[derive(Debug, Deserialize)]
struct Socket {
    state: String,
    local: String,
    keepalive: Keepalive,
    survives: Survives,
}

#[derive(Debug, Deserialize)]
struct Keepalive {
    enabled: bool,
    idle_s: f64,
    interval_s: f64,
    count: f64,
    user_timeout_s: f64,
    origin: Origins,
}

#[derive(Debug, Deserialize)]
struct Origins {
    idle: String,
    interval: String,
    count: String,
}

#[derive(Debug, Deserialize)]
struct Survives {
    verdict: String,
    reason: String,
}

pub(super) fn judge(inspect: &Inspect, seen: &Seen, tick: Tick, judgement: &mut Judgement) {
    let Some(report) = report::<Report>(seen, "kalive.inspect/1", judgement) else {
        return;
    };
    judgement.must(report.sockets.len() == inspect.sockets.len(), || {
        format!(
            "{} sockets, not {}",
            report.sockets.len(),
            inspect.sockets.len()
        )
    });
    let mut at_risk = false;
    for (options, (address, lived)) in inspect.sockets.iter().zip(&seen.sockets) {
        let Some(socket) = report
            .sockets
            .iter()
            .find(|socket| socket.local == *address)
        else {
            judgement.wrong(format!("{address} is not listed"));
            continue;
        };
        values(options, socket, report.tunables, judgement);
        let (reason, lives) = truth(options, report.tunables, inspect.survives, tick);
        at_risk |= reason != PROTECTED;
        let verdict = if reason == PROTECTED {
            "protected"
        } else {
            "at-risk"
        };
        let told = &socket.survives;
        judgement.must(told.verdict == verdict && told.reason == reason, || {
            format!("{address}: {told:?}, not {reason}: {options:?}")
        });
        // Not what kalive says, but what this judge believes of the network.
        judgement.must(*lived == lives, || {
            format!("{address}: lives: {lived}, where {told:?} and {options:?}")
        });
    }
    let code = i32::from(at_risk);
    judgement.must(seen.code == Some(code), || {
        format!("exit {:?}, not {code}", seen.code)
    });
}

/// The values in effect are those that were set, or the sysctl's, and that is told.
fn values(options: &Options, socket: &Socket, sysctls: Tunables, judgement: &mut Judgement) {
    let keepalive = &socket.keepalive;
    judgement.must(socket.state == "ESTABLISHED", || socket.state.clone());
    judgement.must(keepalive.enabled == options.keepalive, || {
        format!("SO_KEEPALIVE {} of {options:?}", keepalive.enabled)
    });
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    let origin = &keepalive.origin;
    for (name, set, sysctl, found, origin) in [
        (
            "idle",
            seconds(options.idle),
            sysctls.idle,
            keepalive.idle_s,
            &origin.idle,
        ),
        (
            "interval",
            seconds(options.interval),
            sysctls.interval,
            keepalive.interval_s,
            &origin.interval,
        ),
        (
            "count",
            options.count.map(f64::from),
            sysctls.count,
            keepalive.count,
            &origin.count,
        ),
    ] {
        let expected = set.unwrap_or(sysctl);
        judgement.must((found - expected).abs() < 1e-9, || {
            format!("{name} {found}, not {expected}")
        });
        // Equal to the sysctl, it may be either.
        let right = match set {
            Some(set) if (set - sysctl).abs() > 1e-9 => origin == "socket",
            _ => origin != "socket",
        };
        judgement.must(right, || {
            format!("{name} {found} is said to come from {origin}: {options:?}")
        });
    }
    let user_timeout = seconds(options.user_timeout).unwrap_or_default();
    judgement.must(
        (keepalive.user_timeout_s - user_timeout).abs() < 1e-9,
        || {
            format!(
                "user_timeout {}, not {user_timeout}",
                keepalive.user_timeout_s
            )
        },
    );
}

/// The reason for the verdict, which takes two tries in time, and what becomes of the connection where nothing is lost.
fn truth(
    options: &Options,
    sysctls: Tunables,
    limit: Duration,
    tick: Tick,
) -> (&'static str, bool) {
    let limit = limit.as_secs_f64();
    let seconds = |time: Option<Duration>, sysctl| time.map_or(sysctl, |time| time.as_secs_f64());
    let idle = seconds(options.idle, sysctls.idle);
    let interval = seconds(options.interval, sysctls.interval);
    let count = options.count.map_or(sysctls.count, f64::from);
    if !options.keepalive {
        return ("no-keepalive", false);
    }
    if idle >= limit {
        return ("idle-too-long", false);
    }
    let ends_at_one = match options.user_timeout {
        None => count < 2.0,
        Some(user_timeout) => user_timeout.as_secs_f64() <= idle + interval,
    };
    let wait = idle.max(interval);
    // Answered probes come every `wait`, the first after `idle`: it lives if those are in time.
    let first = kernel::late(wait, tick);
    let reason = if wait >= limit {
        "interval-too-long"
    } else if first >= limit {
        "late-timer"
    } else if ends_at_one {
        "one-probe-ends-it"
    } else if first + kernel::late(interval, tick) >= limit {
        "one-try"
    } else {
        PROTECTED
    };
    (reason, first < limit)
}

#[cfg(test)]
#[path = "inspect_tests.rs"]
mod tests;
