//! When the kernel gives a silent peer up, as a window. Pure: from options, timers and the rate of
//! ticks to a rule and three times. Source: `tcp_keepalive_timer`, `tcp_write_timeout`,
//! `retransmits_timed_out` and `tcp_model_timeout` in net/ipv4/tcp_timer.c.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::seconds::{self, Seconds};
use super::wheel::TickRate;

/// The effective keepalive settings of a connection, wherever each value comes from. Values that
/// follow a sysctl may lie outside the bounds of the socket options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence before the first probe.
    pub idle: Duration,
    /// Time between unanswered probes.
    pub interval: Duration,
    /// Unanswered probes that end the connection.
    pub count: u8,
    /// `TCP_USER_TIMEOUT`; `None` when off.
    pub user_timeout: Option<Duration>,
}

impl Keepalive {
    /// The silence before a probe that follows an answered one: the timer, set anew for `interval` when that
    /// probe was sent, is looked at only when it fires. Measured on 6.18 (idle 1 s, interval 3 s): probes at
    /// 1.0, 4.1, 7.1 s.
    #[must_use]
    pub fn longest_wait(&self) -> Duration {
        self.idle.max(self.interval)
    }

    /// The same options as they work once a probe has been answered.
    #[must_use]
    pub fn after_an_answer(self) -> Self {
        Self {
            idle: self.longest_wait(),
            ..self
        }
    }
}

/// What decides while data is unacknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retransmission {
    /// The connection's retransmission timeout (`tcpi_rto`) when the data was sent.
    pub rto: Duration,
    /// The longest time between retransmissions (`tcp_rto_max_ms`, 120 s).
    pub rto_max: Duration,
    /// `tcp_retries2`.
    pub retries: u8,
    /// `TCP_USER_TIMEOUT`; `None` when off.
    pub user_timeout: Option<Duration>,
}

/// Which of the kernel's rules ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Idle, no `TCP_USER_TIMEOUT`: `count` unanswered probes.
    KeepaliveCount,
    /// Idle with `TCP_USER_TIMEOUT`: the first keepalive timer at or after it, and after one lost probe;
    /// the count is ignored.
    KeepaliveUserTimeout,
    /// Data unacknowledged: keepalive is suspended, `tcp_retries2` decides.
    Retries2,
    /// Data unacknowledged with `TCP_USER_TIMEOUT`.
    RetransmissionUserTimeout,
}

impl Rule {
    /// Its name, as JSON has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::KeepaliveCount => "keepalive-count",
            Self::KeepaliveUserTimeout => "keepalive-user-timeout",
            Self::Retries2 => "retries2",
            Self::RetransmissionUserTimeout => "retransmission-user-timeout",
        }
    }
}

/// When a silent peer is given up. Counted from the last segment received on an idle connection,
/// from the sending of the data otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Prediction {
    /// What ends the connection.
    pub rule: Rule,
    /// Never before this. Below `nominal` only where late timers let an earlier one pass
    /// `TCP_USER_TIMEOUT`.
    #[serde(rename = "earliest_s", serialize_with = "seconds::serialize")]
    #[schemars(with = "Seconds")]
    pub earliest: Duration,
    /// If every timer fired on time.
    #[serde(rename = "nominal_s", serialize_with = "seconds::serialize")]
    #[schemars(with = "Seconds")]
    pub nominal: Duration,
    /// If every timer fired as late as the wheel allows.
    #[serde(rename = "latest_s", serialize_with = "seconds::serialize")]
    #[schemars(with = "Seconds")]
    pub latest: Duration,
}

/// When an idle connection with SO_KEEPALIVE notices that its peer has gone silent.
#[must_use]
pub fn idle(options: &Keepalive, rate: TickRate) -> Prediction {
    let timers = KeepaliveTimers::new(options, rate);
    let Some(limit) = options.user_timeout else {
        let count = u128::from(options.count);
        let nominal = timers.on_time(count);
        return Prediction {
            rule: Rule::KeepaliveCount,
            earliest: nominal,
            nominal,
            latest: timers.late(count),
        };
    };
    let fires_on_time = count_to_reach(limit, timers.idle, timers.interval);
    let fires_late = count_to_reach(limit, timers.idle_late, timers.interval_late);
    let latest = timers
        .late(fires_on_time)
        .min(limit.saturating_add(timers.interval_late))
        .max(timers.late(1));
    Prediction {
        rule: Rule::KeepaliveUserTimeout,
        earliest: timers.on_time(fires_late).max(limit),
        nominal: timers.on_time(fires_on_time),
        latest,
    }
}

/// The times at which the keepalive timer fires: after `idle`, then every `interval`.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeepaliveTimers {
    idle: Duration,
    interval: Duration,
    idle_late: Duration,
    interval_late: Duration,
}

impl KeepaliveTimers {
    pub(super) fn new(options: &Keepalive, rate: TickRate) -> Self {
        let interval = options.interval.max(rate.jiffy());
        let late = |delay: Duration| delay.saturating_add(rate.lateness(delay));
        Self {
            idle: options.idle,
            interval,
            idle_late: late(options.longest_wait()),
            interval_late: late(interval),
        }
    }

    /// The time of firing `n`, the first being 0, with every timer on time.
    fn on_time(&self, n: u128) -> Duration {
        after(self.idle, self.interval, n)
    }

    /// The same with every timer as late as can be.
    pub(super) fn late(&self, n: u128) -> Duration {
        after(self.idle_late, self.interval_late, n)
    }

    /// How many probes the kernel sends at the least before it gives the peer up: the timer that finds
    /// the end reached sends none.
    pub(super) fn probes_before_the_end(&self, options: &Keepalive) -> u128 {
        match options.user_timeout {
            None => options.count.into(),
            Some(limit) => count_to_reach(limit, self.idle_late, self.interval_late),
        }
    }
}

fn after(first: Duration, interval: Duration, n: u128) -> Duration {
    first.saturating_add(times(interval, n))
}

/// `n` times `duration`, or the longest there is.
fn times(duration: Duration, n: u128) -> Duration {
    let nanos = duration.as_nanos().saturating_mul(n);
    u64::try_from(nanos / 1_000_000_000).map_or(Duration::MAX, |seconds| {
        // The remainder is below a billion.
        let below = u32::try_from(nanos % 1_000_000_000).unwrap_or_default();
        Duration::new(seconds, below)
    })
}

/// How many intervals after `first` reach `limit`; at least one, because one probe must have been lost.
fn count_to_reach(limit: Duration, first: Duration, interval: Duration) -> u128 {
    limit
        .saturating_sub(first)
        .as_nanos()
        .div_ceil(interval.as_nanos())
        .max(1)
}

/// The most that `tcp_rto_max_ms` takes is 120 s; what a file claims beyond a day is not believed.
const LONGEST_RTO: Duration = Duration::from_secs(24 * 3_600);

/// TCP_RTO_MIN, on which the kernel's model of `tcp_retries2` is based whatever the real timeout.
const RTO_MIN: Duration = Duration::from_millis(200);

/// How long `tcp_retries2` retransmissions would take if they began at `RTO_MIN`
/// (`tcp_model_timeout`): 924.6 s for 15.
#[must_use]
pub fn retries2_timeout(retries: u8, rto_max: Duration) -> Duration {
    let ratio = rto_max.as_nanos() / RTO_MIN.as_nanos();
    let doublings = u128::from(retries).min(ratio.max(1).ilog2().into());
    let at_most = u128::from(retries) - doublings;
    times(RTO_MIN, (2 << doublings) - 1).saturating_add(times(rto_max, at_most))
}

/// When unacknowledged data makes the kernel give up. The limit counts from the first
/// retransmission, and is looked at only when the retransmission timer fires.
#[must_use]
pub fn in_flight(options: &Retransmission, rate: TickRate) -> Prediction {
    let rto_max = options.rto_max.clamp(rate.jiffy(), LONGEST_RTO);
    let rto = options.rto.clamp(rate.jiffy(), rto_max);
    // A tail loss probe may put the first retransmission off by up to one more timeout.
    let first_late = rto + rto + rate.lateness(rto);
    if let Some(limit) = options.user_timeout {
        // The last timer is shortened to end at the limit (tcp_clamp_rto_to_user_timeout), unless an ICMP error
        // sets it anew to a whole timeout (tcp_ld_RTO_revert, RFC 6069).
        let overshoot = rate
            .lateness(limit.min(rto_max))
            .max(rto + rate.lateness(rto));
        return Prediction {
            rule: Rule::RetransmissionUserTimeout,
            earliest: rto.saturating_add(limit),
            nominal: rto.saturating_add(limit),
            latest: (first_late + overshoot).saturating_add(limit),
        };
    }
    let limit = retries2_timeout(options.retries, rto_max);
    let mut gap = rto;
    let mut elapsed = Duration::ZERO;
    while elapsed < limit {
        gap = (gap * 2).min(rto_max);
        elapsed += gap;
    }
    Prediction {
        rule: Rule::Retries2,
        earliest: rto + limit,
        nominal: rto + elapsed,
        latest: first_late + limit + gap + rate.lateness(gap),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::wheel::Hz;

    fn hz(hz: u32) -> TickRate {
        TickRate::Known(Hz::new(hz).unwrap())
    }

    fn keepalive(idle: u64, interval: u64, count: u8, user_timeout_ms: u64) -> Keepalive {
        Keepalive {
            idle: Duration::from_secs(idle),
            interval: Duration::from_secs(interval),
            count,
            user_timeout: (user_timeout_ms > 0).then(|| Duration::from_millis(user_timeout_ms)),
        }
    }

    /// Every measured row of kernel-facts (Linux 6.18, HZ=250): idle, interval, count,
    /// `TCP_USER_TIMEOUT` in ms, nominal end, measured end.
    const MEASURED: [(u64, u64, u8, u64, f64, f64); 11] = [
        (2, 1, 3, 0, 5.0, 5.08),
        (1, 2, 2, 0, 5.0, 5.06),
        (3, 1, 5, 0, 8.0, 8.35),
        (20, 5, 3, 0, 35.0, 35.65),
        (60, 10, 3, 0, 90.0, 91.96),
        (120, 20, 3, 0, 180.0, 182.09),
        (240, 30, 3, 0, 330.0, 335.68),
        (350, 75, 2, 0, 500.0, 509.76),
        (2, 1, 9, 4_000, 4.0, 4.07),
        (2, 1, 2, 9_000, 9.0, 9.18),
        (2, 1, 9, 2_500, 3.0, 3.02),
    ];

    #[test]
    fn every_measured_end_lies_in_its_window() {
        for (idle_s, interval, count, user_timeout, nominal, measured) in MEASURED {
            let options = keepalive(idle_s, interval, count, user_timeout);
            let predicted = idle(&options, hz(250));
            let measured = Duration::from_secs_f64(measured);
            assert_eq!(
                predicted.nominal,
                Duration::from_secs_f64(nominal),
                "{options:?}"
            );
            assert!(predicted.earliest <= measured, "{options:?} {predicted:?}");
            assert!(measured <= predicted.latest, "{options:?} {predicted:?}");
            assert!(
                predicted.latest <= idle(&options, TickRate::Unknown).latest,
                "not knowing HZ never narrows the window"
            );
        }
    }

    /// With a long interval the wait after an answered probe is longer than the first one.
    #[test]
    fn an_interval_longer_than_the_idle_time_delays_the_next_probe() {
        let options = keepalive(1, 3, 2, 0);
        let fresh = idle(&options, hz(250));
        assert_eq!(fresh.nominal, Duration::from_secs(7));
        let later = idle(&options.after_an_answer(), hz(250));
        assert_eq!(later.nominal, Duration::from_secs(9));
        assert_eq!(
            fresh.latest, later.latest,
            "which of the two it is may not be known"
        );
    }

    #[test]
    fn user_timeout_replaces_the_count() {
        let with = |count| idle(&keepalive(10, 5, count, 23_000), hz(250));
        assert_eq!(with(1), with(127));
        assert_eq!(with(1).rule, Rule::KeepaliveUserTimeout);
        assert_eq!(with(1).nominal, Duration::from_secs(25));
    }

    /// A limit just above a firing: on time the next one is needed, but a timer that is late by
    /// 10 ms already passes it. Measured on 6.18: it ended at 5.09 to 5.11 s.
    #[test]
    fn late_timers_can_reach_the_user_timeout_one_firing_sooner() {
        let predicted = idle(&keepalive(1, 2, 9, 5_010), hz(250));
        assert_eq!(predicted.nominal, Duration::from_secs(7));
        assert_eq!(predicted.earliest, Duration::from_millis(5_010));
        assert!(predicted.latest >= predicted.nominal);
        assert!(predicted.latest <= Duration::from_millis(7_200));
    }

    #[test]
    fn a_user_timeout_below_the_first_probe_makes_one_lost_probe_fatal() {
        for limit in [1, 1_000, 60_000, 69_999, 70_000] {
            let predicted = idle(&keepalive(60, 10, 9, limit), hz(250));
            assert_eq!(predicted.nominal, Duration::from_secs(70), "{limit}");
            assert_eq!(predicted.earliest, predicted.nominal, "{limit}");
        }
    }

    #[test]
    fn the_defaults_take_more_than_two_hours() {
        let predicted = idle(&keepalive(7_200, 75, 9, 0), hz(250));
        assert_eq!(predicted.nominal, Duration::from_secs(7_875));
        assert_eq!(
            predicted.latest,
            Duration::from_millis(7_875_000 + 131_072 + 9 * 2_048)
        );
    }

    #[test]
    fn no_probes_and_no_interval_are_not_a_division_by_zero() {
        let options = keepalive(5, 0, 0, 0);
        assert_eq!(idle(&options, hz(250)).nominal, Duration::from_secs(5));
        let options = keepalive(5, 0, 0, 6_000);
        assert_eq!(idle(&options, hz(250)).nominal, Duration::from_secs(6));
    }

    #[test]
    fn retries2_as_the_documentation_gives_it() {
        for (retries, milliseconds) in [(0, 200), (8, 102_200), (9, 204_600), (15, 924_600)] {
            let timeout = retries2_timeout(retries, Duration::from_secs(120));
            assert_eq!(timeout, Duration::from_millis(milliseconds), "{retries}");
        }
    }

    #[test]
    fn data_in_flight_follows_the_retransmissions() {
        let options = Retransmission {
            rto: Duration::from_millis(204),
            rto_max: Duration::from_secs(120),
            retries: 15,
            user_timeout: None,
        };
        let predicted = in_flight(&options, hz(250));
        assert_eq!(predicted.rule, Rule::Retries2);
        assert_eq!(predicted.earliest, Duration::from_millis(924_804));
        assert!(predicted.earliest <= predicted.nominal && predicted.nominal <= predicted.latest);
        assert!(predicted.latest < Duration::from_secs(924 + 125));
    }

    proptest::proptest! {
        /// Values that follow a sysctl, or a file that claims to be one, have no bounds.
        #[test]
        fn no_value_panics_and_the_window_is_in_order(
            idle_s: u64, interval: u64, count: u8, user_timeout: u64, retries: u8, rto: u64, rto_max: u64,
        ) {
            for rate in [hz(100), hz(1000), TickRate::Unknown] {
                let keepalive = keepalive(idle_s, interval, count, user_timeout);
                let retransmission = Retransmission {
                    rto: Duration::from_millis(rto),
                    rto_max: Duration::from_millis(rto_max),
                    retries,
                    user_timeout: keepalive.user_timeout.filter(|_| count % 2 == 0),
                };
                for predicted in [idle(&keepalive, rate), in_flight(&retransmission, rate)] {
                    proptest::prop_assert!(predicted.earliest <= predicted.nominal);
                    proptest::prop_assert!(predicted.nominal <= predicted.latest);
                }
            }
        }
    }

    /// Measured: 8.4 s with a limit of 8 s and one unacknowledged byte.
    #[test]
    fn data_in_flight_with_a_user_timeout() {
        let options = Retransmission {
            rto: Duration::from_millis(204),
            rto_max: Duration::from_secs(120),
            retries: 15,
            user_timeout: Some(Duration::from_secs(8)),
        };
        let predicted = in_flight(&options, hz(250));
        assert_eq!(predicted.rule, Rule::RetransmissionUserTimeout);
        assert!(predicted.earliest <= Duration::from_millis(8_400));
        assert!(Duration::from_millis(8_400) <= predicted.latest);
        assert!(predicted.latest < Duration::from_secs(9));
    }

    /// Measured, a router answering every retransmission with host unreachable: 1.640 s with a limit of 1.098 s.
    #[test]
    fn an_icmp_error_sets_the_last_timer_anew() {
        let options = Retransmission {
            rto: Duration::from_millis(204),
            rto_max: Duration::from_secs(120),
            retries: 15,
            user_timeout: Some(Duration::from_millis(1_098)),
        };
        let predicted = in_flight(&options, hz(250));
        assert_eq!(predicted.latest, Duration::from_millis(1_098 + 412 + 208));
    }
}
