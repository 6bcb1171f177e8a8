//! What the demonstration of `kalive lab` has measured, beside what is true. Field names are promises.

use std::net::SocketAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::domain::lab::Outcome;
use crate::domain::seconds::{self, Seconds};
use crate::lab::{Change, OnExpiry, Path};
use crate::plan::lab::{Plan, Step, Tool, ToolTruth, Trial};
use crate::run::lab::Event;

/// The report of kalive lab, of its demonstration.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Report {
    /// Whether every connection was tried: false after a signal.
    pub(crate) complete: bool,
    /// After how much silence the router forgets a connection.
    #[serde(with = "seconds", rename = "nat_timeout_s")]
    #[schemars(with = "Seconds")]
    pub(crate) nat_timeout: Duration,
    /// What it does with late packets.
    #[schemars(extend("enum" = ["drop", "reset", "forget"]))]
    pub(crate) on_expiry: String,
    /// The share of packets that get lost, each way, in percent.
    pub(crate) loss_percent: f64,
    /// Whether bare ACKs pass without refreshing the router's memory.
    pub(crate) untracked_keepalives: bool,
    /// What has happened to the network.
    pub(crate) changes: Vec<Changed>,
    /// The connections, by server, keepalive and silence.
    pub(crate) connections: Vec<Tried>,
    /// What kalive's own subcommands found.
    pub(crate) tools: Vec<Found>,
}

/// What a subcommand found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Tool")]
pub(crate) struct Found {
    /// hold with the direction, or probe.
    pub(crate) tool: String,
    /// What this network really does, in words.
    pub(crate) truth: String,
    /// What was measured, in words; why not, where it came to no result.
    pub(crate) measured: String,
    /// Whether that is the truth; null where it came to no result, of which measured says why.
    pub(crate) agrees: Option<bool>,
}

/// A change of the network.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Change")]
pub(crate) struct Changed {
    /// How long after the network was built.
    #[serde(with = "seconds", rename = "after_s")]
    #[schemars(with = "Seconds")]
    pub(crate) after: Duration,
    /// What has changed.
    #[schemars(extend("enum" = [
        "nat-timeout", "on-expiry", "loss-outbound", "loss-inbound", "open", "cut", "unreachable", "reboot-peer"
    ]))]
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
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Connection")]
pub(crate) struct Tried {
    /// To where.
    pub(crate) server: SocketAddr,
    /// `TCP_KEEPIDLE`; null without keepalive.
    #[serde(
        serialize_with = "seconds::optional::serialize",
        rename = "keepalive_s"
    )]
    #[schemars(with = "Option<Seconds>")]
    pub(crate) keepalive: Option<Duration>,
    /// How long the application was silent.
    #[serde(with = "seconds", rename = "silence_s")]
    #[schemars(with = "Seconds")]
    pub(crate) silence: Duration,
    /// What this network does to it.
    pub(crate) truth: Outcome,
    /// What came of it.
    pub(crate) measured: Outcome,
    /// Whether the two are the same.
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
            tools: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, event: &Event) {
        match event {
            Event::Changed(step) => self.changes.push(Changed::new(*step)),
            Event::Measured(tool, document) => {
                self.tools.extend(found(tool, document));
                self.tools.sort_by(|one, other| one.tool.cmp(&other.tool));
            }
            Event::Tried(trial, outcome) => {
                self.connections.push(Tried::new(*trial, *outcome));
                self.connections
                    .sort_by_key(|tried| (tried.server, tried.keepalive, tried.silence));
            }
        }
    }

    /// Whether the network did what it is known to do, as far as was tried.
    pub(crate) fn agrees(&self) -> bool {
        self.connections.iter().all(|tried| tried.agrees)
            && self.tools.iter().all(|found| found.agrees != Some(false))
    }
}

/// What a subcommand's report says, beside what is true.
pub(crate) fn found(tool: &Tool, document: &str) -> Vec<Found> {
    let report: Value = serde_json::from_str(document).unwrap_or_default();
    let nothing = |name: &str, truth: String| {
        let why = report.pointer("/inconclusive").and_then(Value::as_str);
        let measured = why.map_or_else(
            || "no report".to_owned(),
            |why| format!("inconclusive: {why}"),
        );
        vec![Found {
            tool: name.to_owned(),
            truth,
            measured,
            agrees: None,
        }]
    };
    match tool.truth {
        ToolTruth::Ends(truth) => {
            let name = truth.name();
            match report.pointer("/targets/0/outcome").and_then(Value::as_str) {
                Some(measured) => vec![Found {
                    tool: "probe".to_owned(),
                    agrees: Some(measured == name),
                    truth: name.to_owned(),
                    measured: measured.to_owned(),
                }],
                None => nothing("probe", name.to_owned()),
            }
        }
        ToolTruth::Forgets { after, then } => {
            let directions = report.pointer("/directions").and_then(Value::as_array);
            match directions.map(Vec::as_slice) {
                None | Some([]) => nothing("hold", remembers(after)),
                Some(directions) => directions
                    .iter()
                    .map(|direction| remembered(direction, after, then))
                    .collect(),
            }
        }
    }
}

/// Connection tracking counts in ticks, and the one in which the last packet came counts as whole: the router
/// may forget so much sooner, at 100 Hz.
const TICK: f64 = 0.01;

/// One direction of `kalive hold`.
fn remembered(direction: &Value, after: Duration, then: OnExpiry) -> Found {
    let name = direction
        .pointer("/direction")
        .and_then(Value::as_str)
        .unwrap_or_default();
    // A late packet of the client makes a new entry, so that it never sees the timeout.
    let truth = (name != "outbound" || then != OnExpiry::Forget).then_some(after);
    let edge = |edge: &str| {
        direction
            .pointer(&format!("/timeout/{edge}"))
            .and_then(Value::as_f64)
    };
    let expiry = direction.pointer("/expiry").and_then(Value::as_str);
    let (measured, agrees) = match (edge("lower_s"), edge("upper_s"), expiry) {
        (Some(lower), Some(upper), _) => {
            let truth = truth.map(|truth| truth.as_secs_f64());
            let inside = truth.is_some_and(|truth| lower <= truth && truth <= upper + TICK);
            (
                format!("forgets after {lower:.2}s to {upper:.2}s"),
                Some(inside),
            )
        }
        (_, _, Some("none")) => ("no timeout".to_owned(), Some(truth.is_none())),
        _ => ("inconclusive".to_owned(), None),
    };
    let truth = truth.map_or_else(|| "no timeout".to_owned(), remembers);
    Found {
        tool: format!("hold, {name}"),
        truth,
        measured,
        agrees,
    }
}

fn remembers(after: Duration) -> String {
    format!("forgets after {}s", after.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::probe;

    fn judged(truth: ToolTruth, document: &str) -> Vec<(String, Option<bool>)> {
        let tool = Tool {
            arguments: Vec::new(),
            truth,
        };
        found(&tool, document)
            .into_iter()
            .map(|found| (found.measured, found.agrees))
            .collect()
    }

    #[test]
    fn a_bracket_must_hold_the_truth() {
        let after = Duration::from_secs(5);
        let document = |direction: &str, lower: f64| {
            format!(
                r#"{{"directions":[{{"direction":"{direction}","expiry":"silent",
                "timeout":{{"lower_s":{lower},"upper_s":6.0}}}}]}}"#
            )
        };
        let forgets = |then| ToolTruth::Forgets { after, then };
        for (direction, lower, then, agrees) in [
            ("outbound", 4.5, OnExpiry::Drop, true),
            ("outbound", 5.5, OnExpiry::Drop, false),
            ("outbound", 4.5, OnExpiry::Forget, false),
            ("inbound", 4.5, OnExpiry::Forget, true),
        ] {
            let judged = judged(forgets(then), &document(direction, lower));
            assert_eq!(judged[0].1, Some(agrees), "{direction} {lower} {then:?}");
        }
        let none = r#"{"directions":[{"direction":"outbound","expiry":"none","timeout":null}]}"#;
        assert_eq!(judged(forgets(OnExpiry::Forget), none)[0].1, Some(true));
        assert_eq!(judged(forgets(OnExpiry::Drop), none)[0].1, Some(false));
    }

    #[test]
    fn no_result_is_no_agreement_and_no_contradiction() {
        let truth = ToolTruth::Ends(probe::Outcome::TimedOut);
        assert_eq!(judged(truth, "garbage"), [("no report".to_owned(), None)]);
        let timed_out = r#"{"targets":[{"outcome":"timed-out"}]}"#;
        assert_eq!(
            judged(truth, timed_out),
            [("timed-out".to_owned(), Some(true))]
        );
        let after = Duration::from_secs(5);
        let forgets = ToolTruth::Forgets {
            after,
            then: OnExpiry::Drop,
        };
        let document = r#"{"directions":[],"inconclusive":"the controls died"}"#;
        assert_eq!(
            judged(forgets, document),
            [("inconclusive: the controls died".to_owned(), None)]
        );
    }
}
