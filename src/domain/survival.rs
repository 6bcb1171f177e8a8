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
    /// Whether data in flight or a closed window has a timer of its own armed: until that is over, keepalive
    /// sends nothing, and the waits between what is sent instead grow (TCP_RTO_MAX: to two minutes).
    pub suspended: bool,
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
    /// Its keepalive would be enough, but is suspended: what is sent instead of probes is not judged.
    Suspended,
}

impl Verdict {
    /// Every name that [`Self::name`] gives.
    pub const NAMES: [&str; 3] = ["protected", "at-risk", "unknown"];
    /// Every word that [`Self::reason`] gives.
    pub const REASONS: [&str; 12] = [
        "enough-tries",
        "no-keepalive",
        "idle-too-long",
        "interval-too-long",
        "late-timer",
        "armed-for-longer",
        "one-try",
        "one-probe-ends-it",
        "timer-too-long",
        "hidden",
        "timer-only",
        "suspended",
    ];

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
                Doubt::Suspended => "suspended",
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
                Doubt::Suspended => {
                    "data in flight suspends keepalive, and what is sent instead of probes is not judged"
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
        suspended: false,
        silence: None,
    };
    overrides && matches!(judge(&following, limit, rate), Verdict::Protected(_))
}

/// TCP_RTO_MAX, the most that `tcp_rto_max_ms` takes too.
const LONGEST_RTO: Duration = Duration::from_secs(120);

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
            match with_options(evidence, &keepalive, limit, rate) {
                // What is too late when idle is no better while suspended: only the good verdict is in doubt. What is
                // sent again instead of probes never comes later than the longest retransmission timeout.
                Verdict::Protected(_)
                    if evidence.suspended
                        && limit <= LONGEST_RTO.saturating_add(rate.lateness(LONGEST_RTO)) =>
                {
                    Verdict::Unknown(Doubt::Suspended)
                }
                verdict => verdict,
            }
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

/// What is left of a keepalive timer that was set for longer than `TCP_KEEPIDLE` now says, as when a sysctl was
/// lowered since; `None` if there is no such timer.
#[must_use]
pub fn outdated_timer(evidence: &Evidence, rate: TickRate) -> Option<Duration> {
    let keepalive = evidence.keepalive?.after_an_answer();
    late_start(evidence, &keepalive, rate)?;
    evidence.armed.map(|armed| armed.left)
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
mod tests;
