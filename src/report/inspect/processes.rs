//! ESTABLISHED connections counted by the processes that hold them.

use std::collections::HashMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::Verdicts;
use crate::domain::socket::Enabled;
use crate::run::inspect::{Held, Row};

/// What is counted for each name. A connection that several programs hold counts for each of them, and
/// once for several processes of one name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Processes {
    by_name: HashMap<Option<Arc<str>>, Counts>,
}

/// The connections of one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Counts {
    /// How many are ESTABLISHED.
    pub(crate) connections: u64,
    /// How many of them have SO_KEEPALIVE.
    pub(crate) keepalive: Statuses,
    /// How many of them would outlive the silence that --survives asks about.
    pub(crate) verdicts: Verdicts,
}

/// How many have SO_KEEPALIVE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Statuses {
    /// SO_KEEPALIVE is set.
    pub(crate) on: u64,
    /// It is not.
    pub(crate) off: u64,
    /// Data in flight hides the keepalive timer, and the option was not read.
    pub(crate) unknown: u64,
}

/// The connections of the processes of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Program")]
pub(crate) struct ByProcess<'a> {
    /// What the program is called (comm); null for those whose holder is not known, or that nobody holds.
    pub(crate) name: Option<&'a str>,
    #[serde(flatten)]
    pub(crate) counts: Counts,
}

impl Counts {
    fn add(&mut self, row: &Row) {
        self.connections += 1;
        match row.enabled() {
            Enabled::On => self.keepalive.on += 1,
            Enabled::Off => self.keepalive.off += 1,
            Enabled::Unknown(_) => self.keepalive.unknown += 1,
        }
        if let Some(verdict) = &row.verdict {
            self.verdicts.add(verdict);
        }
    }

    /// Adds what was counted elsewhere.
    pub(crate) fn join(&mut self, other: &Self) {
        self.connections += other.connections;
        self.keepalive.on += other.keepalive.on;
        self.keepalive.off += other.keepalive.off;
        self.keepalive.unknown += other.keepalive.unknown;
        self.verdicts.at_risk += other.verdicts.at_risk;
        self.verdicts.protected += other.verdicts.protected;
        self.verdicts.unknown += other.verdicts.unknown;
    }
}

/// How many there are beyond the first `shown`, and what they have together.
pub(crate) fn rest(sorted: &[ByProcess], shown: usize) -> (usize, Counts) {
    let mut together = Counts::default();
    let rest = sorted.get(shown..).unwrap_or_default();
    for process in rest {
        together.join(&process.counts);
    }
    (rest.len(), together)
}

impl Processes {
    pub(super) fn add(&mut self, row: &Row) {
        let holders = match row.held {
            Held::By(holders) => holders,
            Held::NotAsked | Held::NoDescriptor | Held::Unknown => &[],
        };
        if holders.is_empty() {
            self.by_name.entry(None).or_default().add(row);
        }
        for (index, holder) in holders.iter().enumerate() {
            let seen = holders.iter().take(index);
            if seen.into_iter().any(|other| other.name == holder.name) {
                continue;
            }
            let name = Some(Arc::clone(&holder.name));
            self.by_name.entry(name).or_default().add(row);
        }
    }

    /// Those with most at risk first, then most unknown, then most connections, then by name.
    pub(crate) fn sorted(&self) -> Vec<ByProcess<'_>> {
        let mut all: Vec<ByProcess<'_>> = self
            .by_name
            .iter()
            .map(|(name, counts)| ByProcess {
                name: name.as_deref(),
                counts: *counts,
            })
            .collect();
        all.sort_by(|one, other| {
            let key = |of: &ByProcess| {
                let verdicts = of.counts.verdicts;
                (verdicts.at_risk, verdicts.unknown, of.counts.connections)
            };
            key(other)
                .cmp(&key(one))
                .then_with(|| one.name.cmp(&other.name))
        });
        all
    }
}

impl Serialize for Processes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.sorted())
    }
}
