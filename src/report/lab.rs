//! What the demonstration of `kalive lab` has measured, beside what is true. Field names are promises.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use crate::domain::lab::Outcome;
use crate::domain::seconds;
use crate::lab::{Change, Path};
use crate::plan::lab::{Plan, Step, Trial};
use crate::run::lab::Event;

/// The report of `kalive lab`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// Whether every connection was tried.
    pub(crate) complete: bool,
    /// After how much silence the router forgets a connection.
    #[serde(with = "seconds", rename = "nat_timeout_s")]
    pub(crate) nat_timeout: Duration,
    /// What it does with late packets: drop, reset, forget.
    pub(crate) on_expiry: String,
    /// The share of packets that get lost, each way, in percent.
    pub(crate) loss_percent: f64,
    /// Whether bare ACKs pass without refreshing the router's memory.
    pub(crate) untracked_keepalives: bool,
    /// What has happened to the network.
    pub(crate) changes: Vec<Changed>,
    /// The connections, by server, keepalive and silence.
    pub(crate) connections: Vec<Tried>,
}

/// A change of the network.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Changed {
    /// How long after it was built.
    #[serde(with = "seconds", rename = "after_s")]
    pub(crate) after: Duration,
    pub(crate) change: &'static str,
}

impl Changed {
    pub(crate) fn new(step: Step) -> Self {
        Self {
            after: step.after,
            change: match step.change {
                Change::NatTimeout(_) => "nat-timeout",
                Change::OnExpiry(_) => "on-expiry",
                Change::LossOutbound(_) => "loss-outbound",
                Change::LossInbound(_) => "loss-inbound",
                Change::Path(Path::Open) => "open",
                Change::Path(Path::Cut) => "cut",
                Change::Path(Path::Unreachable) => "unreachable",
                Change::RebootPeer => "reboot-peer",
            },
        }
    }
}

/// A connection that was silent and then sent.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Tried {
    pub(crate) server: SocketAddr,
    /// `TCP_KEEPIDLE`; null without keepalive.
    #[serde(
        serialize_with = "seconds::optional::serialize",
        rename = "keepalive_s"
    )]
    pub(crate) keepalive: Option<Duration>,
    /// How long the application was silent.
    #[serde(with = "seconds", rename = "silence_s")]
    pub(crate) silence: Duration,
    /// What this network does to it.
    pub(crate) truth: Outcome,
    /// What came of it.
    pub(crate) measured: Outcome,
    pub(crate) agrees: bool,
}

impl Tried {
    pub(crate) fn new(trial: Trial, measured: Outcome) -> Self {
        Self {
            server: trial.server,
            keepalive: trial.keepalive,
            silence: trial.silence,
            truth: trial.truth,
            measured,
            agrees: trial.truth == measured,
        }
    }
}

impl Report {
    pub(crate) fn new(plan: &Plan) -> Self {
        let behaviour = plan.lab.behaviour;
        Self {
            complete: false,
            nat_timeout: behaviour.nat_timeout.get(),
            on_expiry: behaviour.on_expiry.to_string(),
            loss_percent: f64::from(behaviour.loss_outbound.get()) / 10_000.0,
            untracked_keepalives: behaviour.untracked_keepalives,
            changes: Vec::new(),
            connections: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, event: Event) {
        match event {
            Event::Changed(step) => self.changes.push(Changed::new(step)),
            Event::Tried(trial, outcome) => {
                self.connections.push(Tried::new(trial, outcome));
                self.connections
                    .sort_by_key(|tried| (tried.server, tried.keepalive, tried.silence));
            }
        }
    }

    /// Whether the network did what it is known to do, as far as was tried.
    pub(crate) fn agrees(&self) -> bool {
        self.connections.iter().all(|tried| tried.agrees)
    }
}
