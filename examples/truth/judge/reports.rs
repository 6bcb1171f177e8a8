//! What of the JSON documents of `hold` and `probe` is judged. A field that is missing or of another type makes the
//! document a wrong one.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(super) struct HoldReport {
    pub(super) directions: Vec<Found>,
    pub(super) control: Control,
    pub(super) verify: Vec<Verified>,
    pub(super) recommendation: Option<Recommendation>,
    pub(super) far_end_speaks_every_s: Option<f64>,
    pub(super) inconclusive: Option<String>,
    pub(super) explanation: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Found {
    pub(super) direction: String,
    pub(super) timeout: Option<Timeout>,
    pub(super) expiry: Option<String>,
    pub(super) counted_from: Option<String>,
    pub(super) answered_s: Option<f64>,
    pub(super) inconclusive: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Timeout {
    pub(super) lower_s: f64,
    pub(super) upper_s: f64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Control {
    pub(super) alive: bool,
    pub(super) lost_at_s: Option<f64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Verified {
    pub(super) idle_s: f64,
    pub(super) asked: bool,
    pub(super) survived: bool,
    pub(super) data_ok: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Recommendation {
    pub(super) idle_s: f64,
    pub(super) interval_s: f64,
    pub(super) survives_lost_probes: f64,
}

#[derive(Debug, Deserialize)]
pub(super) struct ProbeReport {
    pub(super) targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Target {
    pub(super) phase: String,
    pub(super) predicted: Option<Predicted>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) rounds: Vec<Round>,
    pub(super) peer_spoke: u32,
    pub(super) outcome: String,
    pub(super) errno: Option<String>,
    pub(super) after_s: f64,
    pub(super) within_prediction: Option<bool>,
    pub(super) still_established: bool,
    pub(super) netstat: std::collections::BTreeMap<String, u64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Predicted {
    #[serde(rename = "earliest_s")]
    pub(super) earliest: f64,
    #[serde(rename = "nominal_s")]
    pub(super) nominal: f64,
    #[serde(rename = "latest_s")]
    pub(super) latest: f64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Attempt {
    pub(super) router: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Round {
    pub(super) kind: String,
    pub(super) at_s: f64,
    pub(super) answered: bool,
}
