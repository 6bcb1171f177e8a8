//! What a probe found: one entry a target, folded from the events. Field names are promises.

mod explain;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::probe::Outcome;
use crate::domain::options::Origin;
use crate::domain::prediction::{Keepalive, Prediction};
use crate::domain::seconds::{self, Seconds};
use crate::domain::wheel::TickRate;
use crate::plan::probe::Plan;
use crate::run::probe::{Attempt, CountedFrom, End, Event, Opened, Phase, Round, RoundKind};

/// The report of kalive probe.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Report {
    /// Whether every target came to its end: false after a signal.
    pub(crate) complete: bool,
    /// The kernel's ticks a second, CONFIG_HZ; null if not known, and then the worst is assumed.
    pub(crate) hz: Option<u32>,
    /// How hz was found, or why it was not.
    pub(crate) hz_source: &'static str,
    /// Each target, in the order in which they were given.
    pub(crate) targets: Vec<TargetReport>,
}

/// What became of one target.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Target")]
pub(crate) struct TargetReport {
    /// As it was given.
    pub(crate) target: String,
    /// The address that was connected to, or tried last; null if none was tried.
    pub(crate) address: Option<SocketAddr>,
    /// This side's address; null if no connection was made.
    pub(crate) local: Option<SocketAddr>,
    /// Where in its life it ended.
    pub(crate) phase: Phase,
    /// How long the handshake took; null if no connection was made.
    #[serde(serialize_with = "seconds::optional::serialize")]
    #[schemars(with = "Option<Seconds>")]
    pub(crate) connect_s: Option<Duration>,
    /// The addresses that did not let us connect.
    pub(crate) attempts: Vec<AttemptReport>,
    /// The options in effect, as read back; null if no connection was made.
    pub(crate) options: Option<OptionsReport>,
    /// The window that applies to the end; while it lives, to a peer that falls silent now; null if no connection
    /// was made.
    pub(crate) predicted: Option<Prediction>,
    /// With a heartbeat: the window that applies instead while one is unacknowledged, which suspends keepalive. It
    /// counts from the sending of the heartbeat. Absent without a heartbeat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) predicted_in_flight: Option<Prediction>,
    /// In the order in which they were sent.
    pub(crate) rounds: Vec<RoundReport>,
    /// How often the peer sent a segment that brought nothing, as its own keepalive probes are.
    pub(crate) peer_spoke: u32,
    /// What became of it; null while it goes on, or if it could not be probed.
    pub(crate) outcome: Option<Outcome>,
    /// Why it could not be probed, such as that its name has no address; absent if it could.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome_unknown: Option<String>,
    /// The kernel's error, by name; null where none ended it.
    pub(crate) errno: Option<String>,
    /// How long it took to its end, from what counted_from says; null while it goes on.
    #[serde(serialize_with = "seconds::optional::serialize")]
    #[schemars(with = "Option<Seconds>")]
    pub(crate) after_s: Option<Duration>,
    /// From when after_s counts; null while it goes on.
    pub(crate) counted_from: Option<CountedFrom>,
    /// When it ended, after the connection was made; null where none was.
    #[serde(serialize_with = "seconds::optional::serialize")]
    #[schemars(with = "Option<Seconds>")]
    pub(crate) ended_s: Option<Duration>,
    /// Whether the end lies in the window of predicted; null where no rule predicts this end, or the machine was suspended.
    pub(crate) within_prediction: Option<bool>,
    /// Whether the kernel still held the connection ESTABLISHED at the end.
    pub(crate) still_established: bool,
    /// By how much counters of /proc/net/netstat grew meanwhile; null where that cannot be read, and while it goes
    /// on. They count for the whole network namespace: other connections add to them, and so do the other targets,
    /// which all show the same growth.
    pub(crate) netstat: Option<BTreeMap<String, u64>>,
    /// How long the machine was suspended meanwhile.
    #[serde(serialize_with = "seconds::serialize")]
    #[schemars(with = "Seconds")]
    pub(crate) suspended_s: Duration,
    /// The end in words: what happened, why, and what helps.
    pub(crate) explanation: String,
}

/// The options in effect, and where each comes from.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Options")]
pub(crate) struct OptionsReport {
    /// Whether SO_KEEPALIVE is set.
    keepalive: bool,
    /// TCP_KEEPIDLE.
    #[serde(serialize_with = "seconds::serialize")]
    #[schemars(with = "Seconds")]
    pub(crate) idle_s: Duration,
    /// TCP_KEEPINTVL.
    #[serde(serialize_with = "seconds::serialize")]
    #[schemars(with = "Seconds")]
    pub(crate) interval_s: Duration,
    /// TCP_KEEPCNT.
    pub(crate) count: u8,
    /// TCP_USER_TIMEOUT, 0 when off, as in the kernel.
    #[serde(serialize_with = "seconds::serialize")]
    #[schemars(with = "Seconds")]
    pub(crate) user_timeout_s: Duration,
    /// Where each comes from.
    pub(crate) origin: OriginReport,
}

/// Where the values come from.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Origins")]
pub(crate) struct OriginReport {
    /// Of TCP_KEEPIDLE.
    pub(crate) idle: Origin,
    /// Of TCP_KEEPINTVL.
    interval: Origin,
    /// Of TCP_KEEPCNT.
    count: Origin,
    /// Of TCP_USER_TIMEOUT, which no sysctl sets.
    user_timeout: Origin,
}

/// An address that did not let us connect.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Attempt")]
pub(crate) struct AttemptReport {
    /// Which.
    pub(crate) address: SocketAddr,
    /// What came of it.
    pub(crate) outcome: Outcome,
    /// The kernel's error, by name; null where the limit was --connect-timeout.
    pub(crate) errno: Option<String>,
    /// After how long.
    #[serde(serialize_with = "seconds::serialize")]
    #[schemars(with = "Seconds")]
    pub(crate) after_s: Duration,
    /// Who sent the ICMP error; null if there was none, or the kernel does not tell.
    pub(crate) router: Option<IpAddr>,
}

/// A probe, heartbeat or datum.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Round")]
pub(crate) struct RoundReport {
    /// Which of them.
    pub(crate) kind: RoundKind,
    /// When it was sent, after the connection was made.
    #[serde(serialize_with = "seconds::serialize")]
    #[schemars(with = "Seconds")]
    pub(crate) at_s: Duration,
    /// How long the answer took; null where none came, or its time is not known.
    #[serde(serialize_with = "seconds::optional::serialize")]
    #[schemars(with = "Option<Seconds>")]
    pub(crate) rtt_s: Option<Duration>,
    /// Whether an answer came.
    pub(crate) answered: bool,
    /// Of a heartbeat that was not answered in its time: whether the kernel at the far end had acknowledged it by
    /// then. If not, the path or the peer's machine is at fault, not the service. Absent for all else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) acknowledged: Option<bool>,
    /// Of one that was not acknowledged: when the kernel gives it up, from its sending. Absent for all else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) predicted: Option<Prediction>,
}

impl From<Round> for RoundReport {
    fn from(round: Round) -> Self {
        Self {
            kind: round.kind,
            at_s: round.at,
            rtt_s: round.rtt,
            answered: round.answered,
            acknowledged: (round.kind == RoundKind::Heartbeat && !round.answered)
                .then_some(round.unacknowledged.is_none()),
            predicted: round.unacknowledged,
        }
    }
}

impl From<&Attempt> for AttemptReport {
    fn from(attempt: &Attempt) -> Self {
        Self {
            address: attempt.address,
            outcome: attempt.outcome,
            errno: attempt.errno.map(errno_name),
            after_s: attempt.after,
            router: attempt.router,
        }
    }
}

impl OptionsReport {
    fn new(options: &Keepalive, plan: &Plan) -> Self {
        let origin = |set: bool| if set { Origin::Socket } else { Origin::Sysctl };
        Self {
            keepalive: plan.options.keepalive,
            idle_s: options.idle,
            interval_s: options.interval,
            count: options.count,
            user_timeout_s: options.user_timeout.unwrap_or_default(),
            origin: OriginReport {
                idle: origin(plan.options.idle.is_some()),
                interval: origin(plan.options.interval.is_some()),
                count: origin(plan.options.count.is_some()),
                // No sysctl stands behind it.
                user_timeout: match options.user_timeout {
                    Some(_) => Origin::Socket,
                    None => Origin::Default,
                },
            },
        }
    }
}

impl Report {
    /// The report before anything has happened.
    pub(crate) fn new(plan: &Plan) -> Self {
        let target = |target: &crate::domain::target::Target| TargetReport {
            target: target.to_string(),
            address: None,
            local: None,
            phase: Phase::Connect,
            connect_s: None,
            attempts: Vec::new(),
            options: None,
            predicted: None,
            predicted_in_flight: None,
            rounds: Vec::new(),
            peer_spoke: 0,
            outcome: None,
            outcome_unknown: None,
            errno: None,
            after_s: None,
            counted_from: None,
            ended_s: None,
            within_prediction: None,
            still_established: false,
            netstat: None,
            suspended_s: Duration::ZERO,
            explanation: String::new(),
        };
        Self {
            complete: false,
            hz: None,
            hz_source: "no connection was made",
            targets: plan.targets.iter().map(target).collect(),
        }
    }

    /// Takes one event in.
    pub(crate) fn add(&mut self, plan: &Plan, event: &Event) {
        if let Event::Connected { opened, .. } = event {
            self.hz = opened.rate.into();
            self.hz_source = match opened.rate {
                TickRate::Known(_) => "the resolution of CLOCK_MONOTONIC_COARSE",
                TickRate::Unknown => "not known: the worst of the usual rates is assumed",
            };
        }
        let Some(target) = self.targets.get_mut(event.target()) else {
            return;
        };
        match event {
            Event::Unmeasured { why, .. } => {
                target.outcome_unknown = Some(why.clone());
                target.explanation = format!("Not probed: {why}.");
            }
            Event::Failed { attempt, .. } => {
                target.address = Some(attempt.address);
                target.attempts.push(attempt.into());
            }
            Event::Connected { opened, .. } => target.connected(plan, opened),
            Event::Round { round, .. } => target.add(round),
            Event::PeerSpoke { .. } => target.peer_spoke += 1,
            Event::Ended { end, .. } => target.ended(end),
        }
        self.complete = self.targets.iter().all(|target| match target.outcome {
            Some(outcome) => outcome != Outcome::Interrupted,
            None => target.outcome_unknown.is_some(),
        });
    }

    /// Whether every target has the outcome that was required: one that has another says no, whatever is not
    /// known of the rest; `None` if no such is known, but not all could be probed.
    pub(crate) fn holds(&self, plan: &Plan) -> Option<bool> {
        let outcomes = || self.targets.iter().map(|target| target.outcome);
        if outcomes().flatten().any(|outcome| outcome != plan.require) {
            return Some(false);
        }
        outcomes().all(|outcome| outcome.is_some()).then_some(true)
    }
}

impl TargetReport {
    /// What becomes of a heartbeat may be known later than that of probes sent after it.
    fn add(&mut self, round: &Round) {
        let place = self.rounds.partition_point(|known| known.at_s <= round.at);
        self.rounds.insert(place, (*round).into());
    }

    fn connected(&mut self, plan: &Plan, opened: &Opened) {
        self.address = Some(opened.address);
        self.local = opened.local;
        self.phase = Phase::Idle;
        self.connect_s = Some(opened.after);
        self.options = Some(OptionsReport::new(&opened.options, plan));
        self.predicted = Some(opened.predicted);
        self.predicted_in_flight = opened.predicted_in_flight;
    }

    fn ended(&mut self, end: &End) {
        self.phase = end.phase;
        self.outcome = Some(end.outcome);
        self.errno = end.errno.map(errno_name);
        self.after_s = Some(end.after);
        self.counted_from = Some(end.counted_from);
        self.ended_s = end.at;
        if end.predicted.is_some() {
            self.predicted = end.predicted;
        }
        self.within_prediction = end.within_prediction;
        self.still_established = end.still_established;
        self.netstat.clone_from(&end.netstat);
        self.suspended_s = end.suspended;
        self.explanation = self.explain(end);
    }
}

/// The name of an error, such as ETIMEDOUT.
pub(crate) fn errno_name(errno: i32) -> String {
    format!("{:?}", nix::errno::Errno::from_raw(errno))
}
