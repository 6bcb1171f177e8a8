//! Would a connection outlive a middlebox that forgets it after so much silence? Pure: from what is known
//! of a connection's keepalive to a verdict with its reason. Only this end is judged: keepalives of the
//! peer would refresh the middlebox too, and nothing on this host tells of them.

use std::fmt;
use std::time::Duration;

use super::live_options::LiveOptions;
use super::prediction::{Keepalive, KeepaliveTimers};
use super::socket::{Enabled, Hidden};
use super::tunables::Values;
use super::wheel::TickRate;

/// So many probes have to be on their way in time: one may be lost.
pub const TRIES_NEEDED: u32 = 2;

/// What is known of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Whether SO_KEEPALIVE is set, by its option or else by the armed timer.
    pub enabled: Enabled,
    /// The options' values; `None` if they could not be read.
    pub keepalive: Option<Keepalive>,
    /// The keepalive timer, if that is the one that is armed.
    pub armed: Option<Armed>,
    /// How long the connection has been silent.
    pub silence: Option<Duration>,
}

/// A keepalive timer that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Armed {
    /// What is left of it, nominally.
    pub left: Duration,
    /// Probes that were sent and not answered.
    pub unanswered: u8,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Enough probes are under way before the middlebox forgets.
    Protected(Probes),
    /// The middlebox may forget it, and nobody would notice.
    AtRisk(Risk),
    /// What is known does not tell.
    Unknown(Doubt),
}

/// When this connection's probes come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probes {
    /// The first probe, if the timer is as late as the wheel allows.
    pub first_latest: Duration,
    /// The last probe that is needed, likewise.
    pub needed_latest: Duration,
    /// How many are sent in time, however late the timers are.
    pub tries: u32,
}

/// Why a connection is at risk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Risk {
    /// SO_KEEPALIVE is off.
    NoKeepalive,
    /// `TCP_KEEPIDLE` itself is not below the limit.
    IdleTooLong(Probes),
    /// `TCP_KEEPINTVL` is not below the limit: once a probe was answered, the next one waits for it.
    IntervalTooLong(Probes),
    /// `TCP_KEEPIDLE` is below the limit, but a late timer is not.
    LateTimer(Probes),
    /// The armed timer was set for longer than `TCP_KEEPIDLE` now says, as when a sysctl was lowered
    /// afterwards or SO_KEEPALIVE was set after a long silence. It helps from the next probe on.
    ArmedForLonger(Probes),
    /// The first probe comes in time, a second one does not.
    OneTry(Probes),
    /// `TCP_KEEPCNT` or `TCP_USER_TIMEOUT` end the connection after one lost probe.
    OneProbeEndsIt(Probes),
    /// The options are not known, but the armed timer has more than the limit left, and it never starts with
    /// more than `TCP_KEEPIDLE`.
    TimerTooLong(Duration),
}

/// Why there is no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The armed timer does not tell whether SO_KEEPALIVE is set, and the option was not read.
    Hidden(Hidden),
    /// The keepalive timer runs, but says only what is left of it: `TCP_KEEPIDLE` and the rest are not known.
    TimerOnly,
}

impl Verdict {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Protected(_) => "protected",
            Self::AtRisk(_) => "at-risk",
            Self::Unknown(_) => "unknown",
        }
    }

    /// A word for the reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Protected(_) => "enough-tries",
            Self::AtRisk(risk) => match risk {
                Risk::NoKeepalive => "no-keepalive",
                Risk::IdleTooLong(_) => "idle-too-long",
                Risk::IntervalTooLong(_) => "interval-too-long",
                Risk::LateTimer(_) => "late-timer",
                Risk::ArmedForLonger(_) => "armed-for-longer",
                Risk::OneTry(_) => "one-try",
                Risk::OneProbeEndsIt(_) => "one-probe-ends-it",
                Risk::TimerTooLong(_) => "timer-too-long",
            },
            Self::Unknown(doubt) => match doubt {
                Doubt::Hidden(_) => "hidden",
                Doubt::TimerOnly => "timer-only",
            },
        }
    }

    /// When the probes come, where that is known.
    #[must_use]
    pub fn probes(&self) -> Option<Probes> {
        match *self {
            Self::Protected(probes)
            | Self::AtRisk(
                Risk::IdleTooLong(probes)
                | Risk::IntervalTooLong(probes)
                | Risk::LateTimer(probes)
                | Risk::ArmedForLonger(probes)
                | Risk::OneTry(probes)
                | Risk::OneProbeEndsIt(probes),
            ) => Some(probes),
            Self::AtRisk(Risk::NoKeepalive | Risk::TimerTooLong(_)) | Self::Unknown(_) => None,
        }
    }

    /// By how much the last probe that is needed comes before `limit`, in seconds; negative if after it.
    #[must_use]
    pub fn margin(&self, limit: Duration) -> Option<f64> {
        self.probes()
            .map(|probes| limit.as_secs_f64() - probes.needed_latest.as_secs_f64())
    }
}

/// The reason in words.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Protected(_) => "two probes or more are sent in time, so one may be lost",
            Self::AtRisk(risk) => match risk {
                Risk::NoKeepalive => "SO_KEEPALIVE is off: nothing breaks the silence",
                Risk::IdleTooLong(_) => "TCP_KEEPIDLE is too long",
                Risk::IntervalTooLong(_) => {
                    "TCP_KEEPINTVL is too long: after an answered probe the next one waits for it"
                }
                Risk::LateTimer(_) => {
                    "TCP_KEEPIDLE is short enough, but the kernel's timer may be too late"
                }
                Risk::ArmedForLonger(_) => {
                    "the running timer was set before TCP_KEEPIDLE became this short; it fires too late once"
                }
                Risk::OneTry(_) => "only one probe is sent in time: if that is lost, so is the connection",
                Risk::OneProbeEndsIt(_) => {
                    "TCP_KEEPCNT or TCP_USER_TIMEOUT end the connection after one lost probe"
                }
                Risk::TimerTooLong(_) => "the running keepalive timer has longer to go",
            },
            Self::Unknown(doubt) => match doubt {
                Doubt::Hidden(hidden) => hidden.reason(),
                Doubt::TimerOnly => {
                    "the armed timer tells what is left of it, not TCP_KEEPIDLE: --options reads that"
                }
            },
        })
    }
}

/// Whether a connection that is at risk would be protected if it had set nothing but SO_KEEPALIVE: the
/// sysctls are good enough, and its program overrides them.
#[must_use]
pub fn sysctls_would_protect(
    verdict: &Verdict,
    options: &LiveOptions,
    sysctls: &Values,
    limit: Duration,
    rate: TickRate,
) -> bool {
    let at_risk = matches!(verdict, Verdict::AtRisk(_));
    let Some(followed) = sysctls.keepalive().ok().filter(|_| at_risk) else {
        return false;
    };
    let overrides = options.enabled && options.keepalive != followed;
    let following = Evidence {
        enabled: Enabled::On,
        keepalive: Some(followed),
        armed: None,
        silence: None,
    };
    overrides && matches!(judge(&following, limit, rate), Verdict::Protected(_))
}

/// Times are rounded to ticks on their way here: so much more than `TCP_KEEPIDLE` is none.
const ROUNDING: Duration = Duration::from_millis(100);

/// Whether such a connection outlives a middlebox that forgets it after `limit` of silence.
#[must_use]
pub fn judge(evidence: &Evidence, limit: Duration, rate: TickRate) -> Verdict {
    match (evidence.enabled, evidence.keepalive) {
        (Enabled::Off, _) => Verdict::AtRisk(Risk::NoKeepalive),
        (Enabled::Unknown(hidden), None) => Verdict::Unknown(Doubt::Hidden(hidden)),
        (Enabled::On, None) => match evidence.armed {
            // A timer is never armed for longer than TCP_KEEPIDLE, or between probes TCP_KEEPINTVL.
            Some(armed) if armed.left.saturating_add(rate.lateness(armed.left)) >= limit => {
                Verdict::AtRisk(Risk::TimerTooLong(armed.left))
            }
            _ => Verdict::Unknown(Doubt::TimerOnly),
        },
        (Enabled::On | Enabled::Unknown(_), Some(keepalive)) => {
            with_options(evidence, &keepalive, limit, rate)
        }
    }
}

fn with_options(
    evidence: &Evidence,
    keepalive: &Keepalive,
    limit: Duration,
    rate: TickRate,
) -> Verdict {
    let probes = probes(keepalive, limit, rate);
    if keepalive.idle >= limit {
        return Verdict::AtRisk(Risk::IdleTooLong(probes));
    }
    let keepalive = &keepalive.after_an_answer();
    let possible = KeepaliveTimers::new(keepalive, rate).probes_before_the_end(keepalive);
    if keepalive.idle >= limit {
        return Verdict::AtRisk(Risk::IntervalTooLong(probes));
    }
    if probes.first_latest >= limit {
        return Verdict::AtRisk(Risk::LateTimer(probes));
    }
    if possible < TRIES_NEEDED.into() {
        return Verdict::AtRisk(Risk::OneProbeEndsIt(probes));
    }
    if probes.tries < TRIES_NEEDED {
        return Verdict::AtRisk(Risk::OneTry(probes));
    }
    match late_start(evidence, keepalive, rate) {
        Some(later) => {
            let late = Probes {
                first_latest: probes.first_latest.saturating_add(later),
                needed_latest: probes.needed_latest.saturating_add(later),
                ..probes
            };
            if late.needed_latest < limit {
                Verdict::Protected(late)
            } else {
                Verdict::AtRisk(Risk::ArmedForLonger(Probes {
                    tries: u32::from(late.first_latest < limit),
                    ..late
                }))
            }
        }
        None => Verdict::Protected(probes),
    }
}

/// By how much the timer that runs now comes later than `TCP_KEEPIDLE` says. It was armed by what
/// applied then: a sysctl that is changed re-arms no timer (`tcp_keepalive_timer` reads it when it fires).
fn late_start(evidence: &Evidence, keepalive: &Keepalive, rate: TickRate) -> Option<Duration> {
    let armed = evidence.armed.filter(|armed| armed.unanswered == 0)?;
    let silent_until = armed
        .left
        .saturating_add(evidence.silence.unwrap_or_default());
    let later = silent_until.checked_sub(keepalive.idle)?;
    // A longer delay may also be later.
    let lateness = rate
        .lateness(silent_until)
        .saturating_sub(rate.lateness(keepalive.idle));
    (later > ROUNDING).then(|| later.saturating_add(lateness))
}

/// When the probes of an idle connection come, and how many of them before `limit`. Those after an answered
/// one, which may come later than the very first.
#[must_use]
pub fn probes(keepalive: &Keepalive, limit: Duration, rate: TickRate) -> Probes {
    let keepalive = keepalive.after_an_answer();
    let timers = KeepaliveTimers::new(&keepalive, rate);
    let possible = timers.probes_before_the_end(&keepalive);
    let first_latest = timers.late(0);
    let interval = timers.late(1).saturating_sub(first_latest);
    // Those strictly before the limit.
    let in_time = match limit.checked_sub(first_latest) {
        None | Some(Duration::ZERO) => 0,
        Some(rest) => rest.as_nanos().div_ceil(interval.as_nanos().max(1)),
    };
    Probes {
        first_latest,
        needed_latest: timers.late(u128::from(TRIES_NEEDED) - 1),
        tries: u32::try_from(in_time.min(possible)).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::wheel::Hz;

    const LIMIT: Duration = Duration::from_secs(350);

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

    fn evidence(keepalive: Keepalive) -> Evidence {
        Evidence {
            enabled: Enabled::On,
            keepalive: Some(keepalive),
            armed: None,
            silence: None,
        }
    }

    /// idle, interval, count, user timeout in ms -> reason and tries, for 350 s at HZ=250.
    #[test]
    fn by_options() {
        for (options, reason, tries) in [
            ((60, 10, 9, 0), "enough-tries", 9),
            ((300, 20, 9, 0), "enough-tries", 2),
            // 300 + 16.4 + 30 + 2 = 348.4 < 350
            ((300, 30, 9, 0), "enough-tries", 2),
            ((300, 32, 9, 0), "one-try", 1),
            ((300, 75, 9, 0), "one-try", 1),
            // kernel-facts: 340 s does not keep a 350 s NAT open, it may fire at 356 s.
            ((340, 1, 9, 0), "late-timer", 0),
            ((350, 1, 9, 0), "idle-too-long", 0),
            ((7_200, 75, 9, 0), "idle-too-long", 0),
            // Measured: probes come every max(idle, interval) while they are answered.
            ((60, 400, 9, 0), "interval-too-long", 0),
            ((60, 200, 9, 0), "one-try", 1),
            ((60, 150, 9, 0), "enough-tries", 2),
            ((60, 10, 1, 0), "one-probe-ends-it", 1),
            ((60, 10, 9, 70_000), "one-probe-ends-it", 1),
            ((60, 10, 9, 30_000), "one-probe-ends-it", 1),
            ((60, 10, 1, 120_000), "enough-tries", 6),
        ] {
            let (idle, interval, count, user_timeout) = options;
            let known = evidence(keepalive(idle, interval, count, user_timeout));
            let verdict = judge(&known, LIMIT, hz(250));
            assert_eq!(verdict.reason(), reason, "{options:?}: {verdict:?}");
            assert_eq!(
                verdict.probes().unwrap().tries,
                tries,
                "{options:?}: {verdict:?}"
            );
        }
    }

    #[test]
    fn a_coarser_tick_is_later() {
        let known = evidence(keepalive(300, 30, 9, 0));
        assert_eq!(judge(&known, LIMIT, hz(250)).name(), "protected");
        assert_eq!(judge(&known, LIMIT, hz(1000)).reason(), "one-try");
        assert_eq!(judge(&known, LIMIT, TickRate::Unknown).reason(), "one-try");
    }

    #[test]
    fn the_margin_is_that_of_the_second_try() {
        let known = evidence(keepalive(60, 10, 9, 0));
        let margin = judge(&known, LIMIT, hz(250)).margin(LIMIT).unwrap();
        assert!(
            (margin - (350.0 - 60.0 - 2.048 - 10.0 - 0.256)).abs() < 0.001,
            "{margin}"
        );
        let known = evidence(keepalive(7_200, 75, 9, 0));
        assert!(judge(&known, LIMIT, hz(250)).margin(LIMIT) < Some(-6_900.0));
    }

    /// A sysctl was lowered from 7200 s to 60 s: getsockopt says 60 at once, the timer still runs for 7200.
    #[test]
    fn a_timer_that_was_armed_for_longer_counts() {
        let mut known = evidence(keepalive(60, 10, 9, 0));
        let armed = |left| {
            Some(Armed {
                left: Duration::from_secs(left),
                unanswered: 0,
            })
        };
        known.armed = armed(7_000);
        known.silence = Some(Duration::from_secs(200));
        assert_eq!(judge(&known, LIMIT, hz(250)).reason(), "armed-for-longer");
        known.armed = armed(10);
        assert_eq!(judge(&known, LIMIT, hz(250)).name(), "protected");
        known.armed = armed(59);
        known.silence = Some(Duration::from_secs(1));
        let on_time = judge(&evidence(keepalive(60, 10, 9, 0)), LIMIT, hz(250));
        assert_eq!(judge(&known, LIMIT, hz(250)), on_time);
    }

    #[test]
    fn by_the_timer_alone() {
        let mut known = Evidence {
            enabled: Enabled::Off,
            keepalive: None,
            armed: None,
            silence: None,
        };
        let reason = |known: &Evidence| judge(known, LIMIT, hz(250)).reason();
        assert_eq!(reason(&known), "no-keepalive");
        known.enabled = Enabled::Unknown(Hidden::InFlight);
        assert_eq!(reason(&known), "hidden");
        known.enabled = Enabled::On;
        assert_eq!(reason(&known), "timer-only");
        for (left, expected) in [
            (7_000, "timer-too-long"),
            (340, "timer-too-long"),
            (300, "timer-only"),
        ] {
            known.armed = Some(Armed {
                left: Duration::from_secs(left),
                unanswered: 0,
            });
            assert_eq!(reason(&known), expected, "{left}");
        }
    }

    proptest::proptest! {
        /// Protected means: the rule of kernel-facts holds for two tries.
        #[test]
        fn protected_is_the_rule(idle in 1..32_768_u64, interval in 1..32_768_u64, count in 1..128_u8, limit in 1..40_000_u64) {
            let (limit, rate) = (Duration::from_secs(limit), hz(250));
            let options = keepalive(idle, interval, count, 0);
            let verdict = judge(&evidence(options), limit, rate);
            let second = options.longest_wait() + rate.lateness(options.longest_wait()) + options.interval + rate.lateness(options.interval);
            proptest::prop_assert_eq!(matches!(verdict, Verdict::Protected(_)), count >= 2 && second < limit);
            let probes = verdict.probes().unwrap();
            proptest::prop_assert_eq!(probes.tries >= 2, count >= 2 && second < limit);
        }

        #[test]
        fn no_value_panics(idle: u64, interval: u64, count: u8, user_timeout: u64, left: u64, limit: u64) {
            let mut known = evidence(keepalive(idle, interval, count, user_timeout));
            known.armed = Some(Armed { left: Duration::from_secs(left), unanswered: count });
            known.silence = Some(Duration::from_secs(left));
            for rate in [hz(100), TickRate::Unknown] {
                let verdict = judge(&known, Duration::from_secs(limit), rate);
                let _ = verdict.margin(Duration::from_secs(limit));
            }
        }
    }
}
