//! Which ESTABLISHED connections the keepalive sysctls decide for: what a change of them would reach, and
//! what not.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::live_options::Origins;
use crate::domain::options::Origin;
use crate::domain::seconds::{self, Seconds};
use crate::domain::survival;
use crate::run::inspect::{Options, Row};

/// How many ESTABLISHED connections have whose values, by their own options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Reach {
    /// SO_KEEPALIVE is off: no value applies.
    pub(crate) off: u64,
    /// The program has set TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT.
    pub(crate) own: u64,
    /// The program has set some of them; the sysctls decide the others.
    pub(crate) partly: u64,
    /// All equal the sysctls, which decide them unless the program has set the very same values.
    pub(crate) sysctl: u64,
    /// The options are not known, or the sysctls are not.
    pub(crate) unknown: u64,
    /// Connections whose keepalive timer was set for longer than TCP_KEEPIDLE now says, as when a sysctl was lowered
    /// since: it keeps its length until it fires.
    pub(crate) outdated_timers: u64,
    /// What is left of the longest such timer; null if there is none.
    #[serde(
        rename = "outdated_timers_fire_within_s",
        serialize_with = "seconds::optional::serialize"
    )]
    #[schemars(with = "Option<Seconds>")]
    pub(crate) outdated_left: Option<Duration>,
}

impl Reach {
    pub(super) fn add(&mut self, row: &Row) {
        let Options::Read(options) = row.options else {
            self.unknown += 1;
            return;
        };
        if !options.enabled {
            self.off += 1;
            return;
        }
        *self.of(&options.origins(&row.namespace.tunables)) += 1;
        if let Some(left) = survival::outdated_timer(&row.evidence(), row.namespace.rate) {
            self.outdated_timers += 1;
            self.outdated_left = self.outdated_left.max(Some(left));
        }
    }

    fn of(&mut self, origins: &Origins) -> &mut u64 {
        let all = [&origins.idle, &origins.interval, &origins.count];
        if all
            .iter()
            .any(|origin| matches!(origin, Origin::Unknown(_)))
        {
            return &mut self.unknown;
        }
        match all
            .iter()
            .filter(|origin| **origin == &Origin::Socket)
            .count()
        {
            0 => &mut self.sysctl,
            3 => &mut self.own,
            _ => &mut self.partly,
        }
    }
}
