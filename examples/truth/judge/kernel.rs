//! What the kernel promises about keepalive timers, in seconds: kernel/time/timer.c and net/ipv4/tcp_timer.c.
//! Written anew, so that a mistake in kalive's prediction is not repeated here.

use std::time::Duration;

use super::Tick;
use crate::case::Probe;

/// Between which moments something is due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    pub(super) earliest: f64,
    pub(super) nominal: f64,
    pub(super) latest: f64,
}

/// When a timer of this delay fires at the latest: level n of the wheel takes delays from 63 * 8^(n-1) ticks on
/// and rounds up to steps of 8^n ticks.
pub(super) fn late(delay: f64, tick: Tick) -> f64 {
    let mut step = tick.0;
    while delay >= step * 63.0 {
        step *= 8.0;
    }
    delay + step
}

/// The silence before a probe: TCP_KEEPIDLE, but after an answered one the timer that was set for TCP_KEEPINTVL
/// has to fire first.
pub(super) fn wait(probe: &Probe, answered: bool) -> f64 {
    let wait = if answered {
        probe.idle.max(probe.interval)
    } else {
        probe.idle
    };
    wait.as_secs_f64()
}

/// How many probes go unanswered before the end: TCP_KEEPCNT, or as many as it takes to reach TCP_USER_TIMEOUT,
/// at least one.
pub(super) fn probes_to_the_end(probe: &Probe, first: f64) -> f64 {
    match probe.user_timeout {
        None => f64::from(probe.count),
        Some(limit) => ((limit.as_secs_f64() - first) / probe.interval.as_secs_f64())
            .ceil()
            .max(1.0),
    }
}

/// When an idle connection is given up, counted from the last segment received.
pub(super) fn idle_end(probe: &Probe, answered: bool, tick: Tick) -> Window {
    let first = wait(probe, answered);
    let interval = probe.interval.as_secs_f64();
    let probes = probes_to_the_end(probe, first);
    let nominal = first + probes * interval;
    let earliest = match probe.user_timeout {
        None => nominal,
        // Late timers may reach it one firing sooner.
        Some(limit) => limit.as_secs_f64().clamp(first + interval, nominal),
    };
    // Whether a probe was answered cannot always be told from outside.
    let first_late = late(wait(probe, true), tick);
    Window {
        earliest,
        nominal,
        latest: first_late + probes * late(interval, tick),
    }
}

/// TCP_RTO_MIN, below which no retransmission timeout is.
const RTO_MIN: f64 = 0.2;
/// What it grows to on a lab's network, where an answer takes less than a tick but for a busy machine.
const RTO_BUSY: f64 = 0.6;

/// When unacknowledged data is given up with TCP_USER_TIMEOUT, counted from its sending: the limit counts from
/// the first retransmission.
pub(super) fn in_flight_end(limit: Duration, tick: Tick) -> Window {
    let limit = limit.as_secs_f64();
    Window {
        earliest: limit + RTO_MIN,
        nominal: limit + RTO_MIN,
        latest: late(limit, tick) + 2.0 * RTO_BUSY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Ending, Traffic};

    const TICK: Tick = Tick(0.004);

    fn probe(idle: u64, interval: u64, count: u32, user_timeout: Option<u64>) -> Probe {
        Probe {
            idle: Duration::from_secs(idle),
            interval: Duration::from_secs(interval),
            count,
            user_timeout: user_timeout.map(Duration::from_millis),
            ending: Ending::Never,
            traffic: Traffic::None,
            connect_timeout: Duration::from_secs(1),
            require: "alive",
            closed_port: false,
        }
    }

    /// The table of kernel-facts, measured on Linux 6.18.
    #[test]
    fn measured_ends_lie_in_their_windows() {
        for (idle, interval, count, limit, nominal, measured) in [
            (2, 1, 3, None, 5.0, 5.08),
            (1, 2, 2, None, 5.0, 5.06),
            (3, 1, 5, None, 8.0, 8.35),
            (20, 5, 3, None, 35.0, 35.65),
            (240, 30, 3, None, 330.0, 335.68),
            (2, 1, 9, Some(4_000), 4.0, 4.07),
            (2, 1, 2, Some(9_000), 9.0, 9.18),
            (2, 1, 9, Some(2_500), 3.0, 3.02),
            (1, 2, 9, Some(5_010), 7.0, 5.09),
        ] {
            let window = idle_end(&probe(idle, interval, count, limit), false, TICK);
            assert!((window.nominal - nominal).abs() < 1e-9, "{window:?}");
            assert!(
                window.earliest <= measured && measured <= window.latest,
                "{window:?}"
            );
        }
    }

    #[test]
    fn a_timer_is_late_by_a_step_of_its_level() {
        for (delay, step) in [(0.1, 0.004), (0.252, 0.032), (3.0, 0.256), (16.2, 2.048)] {
            assert!((late(delay, TICK) - delay - step).abs() < 1e-9, "{delay}");
        }
    }

    #[test]
    fn after_an_answer_the_interval_counts() {
        let probe = probe(1, 3, 2, None);
        assert!((idle_end(&probe, false, TICK).nominal - 7.0).abs() < 1e-9);
        assert!((idle_end(&probe, true, TICK).nominal - 9.0).abs() < 1e-9);
    }
}
