//! What a probe found: one entry a target, folded from the events. Field names are promises.

mod explain;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Serialize;

use crate::cli::probe::Outcome;
use crate::domain::options::Origin;
use crate::domain::prediction::{Keepalive, Prediction};
use crate::domain::seconds;
use crate::domain::wheel::TickRate;
use crate::plan::probe::Plan;
use crate::run::probe::{Attempt, CountedFrom, End, Event, Opened, Phase, Round, RoundKind};

/// The report of `kalive probe`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// Whether every target came to its end.
    pub(crate) complete: bool,
    /// The kernel's ticks a second; null if not known, and then the worst is assumed.
    pub(crate) hz: Option<u32>,
    /// How that was found.
    pub(crate) hz_source: &'static str,
    pub(crate) targets: Vec<TargetReport>,
}

/// What became of one target.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TargetReport {
    /// As it was given.
    pub(crate) target: String,
    /// The address that was connected to, or tried last.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) local: Option<SocketAddr>,
    /// Where in its life it ended.
    pub(crate) phase: Phase,
    #[serde(serialize_with = "seconds::optional::serialize")]
    pub(crate) connect_s: Option<Duration>,
    /// The addresses that did not let us connect.
    pub(crate) attempts: Vec<AttemptReport>,
    pub(crate) options: Option<OptionsReport>,
    /// The window that applies to the end; while it lives, to a peer that falls silent now.
    pub(crate) predicted: Option<Prediction>,
    /// In the order in which they were sent.
    pub(crate) rounds: Vec<RoundReport>,
    /// How often the peer sent a segment that brought nothing, as its own keepalive probes are.
    pub(crate) peer_spoke: u32,
    /// Null while it goes on.
    pub(crate) outcome: Option<Outcome>,
    /// The kernel's error, by name; null where none ended it.
    pub(crate) errno: Option<String>,
    #[serde(serialize_with = "seconds::optional::serialize")]
    pub(crate) after_s: Option<Duration>,
    pub(crate) counted_from: Option<CountedFrom>,
    /// When it ended, after the connection was made; null where none was.
    #[serde(serialize_with = "seconds::optional::serialize")]
    pub(crate) ended_s: Option<Duration>,
    /// Null where no rule predicts this end, or the machine was suspended.
    pub(crate) within_prediction: Option<bool>,
    /// Whether the kernel still held the connection ESTABLISHED at the end.
    pub(crate) still_established: bool,
    /// By how much counters of the whole network namespace grew meanwhile.
    pub(crate) netstat: Option<BTreeMap<String, u64>>,
    #[serde(serialize_with = "seconds::serialize")]
    pub(crate) suspended_s: Duration,
    pub(crate) explanation: String,
}

/// The options in effect, and where each comes from.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct OptionsReport {
    keepalive: bool,
    #[serde(serialize_with = "seconds::serialize")]
    pub(crate) idle_s: Duration,
    #[serde(serialize_with = "seconds::serialize")]
    pub(crate) interval_s: Duration,
    pub(crate) count: u8,
    /// 0 when off, as in the kernel.
    #[serde(serialize_with = "seconds::serialize")]
    pub(crate) user_timeout_s: Duration,
    pub(crate) origin: OriginReport,
}

/// Where the values come from.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct OriginReport {
    pub(crate) idle: Origin,
    interval: Origin,
    count: Origin,
    user_timeout: Origin,
}

/// An address that did not let us connect.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AttemptReport {
    pub(crate) address: SocketAddr,
    pub(crate) outcome: Outcome,
    pub(crate) errno: Option<String>,
    #[serde(serialize_with = "seconds::serialize")]
    pub(crate) after_s: Duration,
    /// Who sent the ICMP error, where the kernel tells.
    pub(crate) router: Option<IpAddr>,
}

/// A probe, heartbeat or datum.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct RoundReport {
    pub(crate) kind: RoundKind,
    /// When it was sent, after the connection was made.
    #[serde(serialize_with = "seconds::serialize")]
    pub(crate) at_s: Duration,
    #[serde(serialize_with = "seconds::optional::serialize")]
    pub(crate) rtt_s: Option<Duration>,
    pub(crate) answered: bool,
}

impl From<Round> for RoundReport {
    fn from(round: Round) -> Self {
        Self {
            kind: round.kind,
            at_s: round.at,
            rtt_s: round.rtt,
            answered: round.answered,
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
            rounds: Vec::new(),
            peer_spoke: 0,
            outcome: None,
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
            Event::Failed { attempt, .. } => {
                target.address = Some(attempt.address);
                target.attempts.push(attempt.into());
            }
            Event::Connected { opened, .. } => target.connected(plan, opened),
            Event::Round { round, .. } => target.add(round),
            Event::PeerSpoke { .. } => target.peer_spoke += 1,
            Event::Ended { end, .. } => target.ended(end),
        }
        self.complete = self.targets.iter().all(|target| {
            target
                .outcome
                .is_some_and(|outcome| outcome != Outcome::Interrupted)
        });
    }

    /// Whether a connection was made or refused.
    pub(crate) fn has_learned(&self) -> bool {
        self.targets
            .iter()
            .any(|target| target.connect_s.is_some() || !target.attempts.is_empty())
    }

    /// Whether every target has the outcome that was required.
    pub(crate) fn holds(&self, plan: &Plan) -> bool {
        self.targets
            .iter()
            .all(|target| target.outcome == Some(plan.require))
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
