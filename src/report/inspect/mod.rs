//! What an inspection found: the report, and a socket as JSON shows it. Field names are promises.

mod keepalive;
mod processes;
mod reach;
mod socket;
mod sorted;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::domain::prediction::Prediction;
use crate::domain::seconds::{self, Seconds};
use crate::domain::socket::{Enabled, Socket};
use crate::domain::state::{State, StateSet};
use crate::domain::survival::Verdict;
use crate::domain::tunables::Values;
use crate::domain::wheel::TickRate;
use crate::plan::inspect::Plan;
use crate::run::inspect::{Event, Incomplete, Namespace, Row, SourceUsed};
pub(crate) use processes::{Counts, Processes, rest};
pub(crate) use reach::Reach;
pub(crate) use socket::SocketReport;
pub(crate) use sorted::Kept;

/// The report of kalive inspect, but for the sockets, which are printed as they are read.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Report {
    /// Whether the run reached its end: false after a signal.
    pub(crate) complete: bool,
    /// When a round of --watch began (RFC 3339); absent without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<String>,
    /// Those of the namespace that kalive runs in; of the one that was asked for with --netns.
    #[serde(flatten)]
    pub(crate) settings: Settings,
    /// Sockets by state, of those that pass the filter; those that were not asked for are left out.
    #[serde(serialize_with = "states")]
    #[schemars(with = "BTreeMap<State, ByFamily>", extend("propertyNames" = {"$ref": "#/$defs/State"}))]
    pub(crate) states: BTreeMap<State, ByFamily>,
    /// The ESTABLISHED ones among them; null where --state leaves those out.
    pub(crate) protection: Option<Protection>,
    /// For which of them the keepalive sysctls decide; null unless --options asked the sockets.
    pub(crate) sysctls_reach: Option<Reach>,
    /// The connections' verdicts together; null without --survives.
    pub(crate) survives: Option<Survives>,
    /// The connections by the program that holds them, most at risk first; null without --survives.
    #[schemars(with = "Option<Vec<processes::ByProcess<'static>>>")]
    pub(crate) processes: Option<Processes>,
    /// How many sockets pass the filter.
    pub(crate) count: u64,
    /// Where the sockets come from; null if they could not be read.
    pub(crate) source: Option<SourceUsed>,
    /// Each network namespace that was looked into.
    pub(crate) namespaces: Vec<NamespaceReport>,
    /// What could not be read, and why.
    pub(crate) incomplete: Vec<Incomplete>,
}

/// The settings of a network namespace, and what they come to.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Settings {
    /// The kernel's tunables by name. Times are in seconds, and then the name ends in _s.
    #[serde(serialize_with = "tunables")]
    pub(crate) tunables: Arc<Values>,
    /// The kernel's ticks a second, `CONFIG_HZ`; null if not known, and then the worst is assumed.
    pub(crate) hz: TickRate,
    /// Why hz is null; absent if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hz_unknown: Option<&'static str>,
    /// When a socket with SO_KEEPALIVE that follows the sysctls notices a silent peer.
    #[serde(flatten)]
    pub(crate) detection: Detection,
}

/// A network namespace.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Namespace")]
pub(crate) struct NamespaceReport {
    /// Its number, as in `net:[4026531840]`; null in a copy of /proc.
    pub(crate) netns: Option<u64>,
    /// Whether kalive runs in it.
    pub(crate) own: bool,
    /// What ip-netns(8) calls it.
    pub(crate) names: Vec<String>,
    /// The container that a process in it runs in; null where the control groups tell of none.
    pub(crate) container: Option<String>,
    /// The processes seen in it; all of them with --all-netns.
    pub(crate) pids: Vec<u32>,
    #[serde(flatten)]
    pub(crate) settings: Settings,
    /// How many sockets pass the filter.
    pub(crate) count: u64,
    /// Where they come from; null if they could not be read.
    pub(crate) source: Option<SourceUsed>,
}

/// How many ESTABLISHED connections would outlive so much silence on the path.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(crate) struct Survives {
    /// After so much silence the path forgets a connection.
    #[serde(rename = "timeout_s", serialize_with = "seconds::serialize")]
    #[schemars(with = "Seconds")]
    pub(crate) limit: Duration,
    #[serde(flatten)]
    pub(crate) verdicts: Verdicts,
}

/// How many connections got which verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Verdicts {
    /// The middlebox may forget it, and nobody would notice.
    pub(crate) at_risk: u64,
    /// Two keepalive probes or more are sent in time.
    pub(crate) protected: u64,
    /// What is known does not tell.
    pub(crate) unknown: u64,
}

impl Verdicts {
    pub(crate) fn add(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::AtRisk(_) => self.at_risk += 1,
            Verdict::Protected(_) => self.protected += 1,
            Verdict::Unknown(_) => self.unknown += 1,
        }
    }
}

/// When a silent peer is noticed, or why that is not known.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Detection {
    /// When an idle socket with SO_KEEPALIVE that sets no values of its own notices a silent peer; null if the
    /// tunables are not known.
    pub(crate) detection: Option<Prediction>,
    /// Why detection is null; absent if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detection_unknown: Option<String>,
}

/// How many sockets, by address family. An IPv6 socket that talks IPv4 counts as IPv6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct ByFamily {
    /// Sockets of IPv4.
    pub(crate) ipv4: u64,
    /// Sockets of IPv6.
    pub(crate) ipv6: u64,
}

/// How many ESTABLISHED connections have which keepalive, by the option, else the armed timer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Protection {
    /// SO_KEEPALIVE is set.
    pub(crate) on: ByFamily,
    /// It is not: a silent peer is never noticed.
    pub(crate) off: ByFamily,
    /// Data in flight hides the keepalive timer, and the option was not read.
    pub(crate) unknown: ByFamily,
}

impl ByFamily {
    fn add(&mut self, socket: &Socket) {
        if socket.local.is_ipv4() {
            self.ipv4 += 1;
        } else {
            self.ipv6 += 1;
        }
    }

    pub(crate) fn total(self) -> u64 {
        self.ipv4 + self.ipv6
    }
}

impl Settings {
    fn new(tunables: &Arc<Values>, rate: TickRate, copied: bool) -> Self {
        let (detection, detection_unknown) = match tunables.detection(rate) {
            Ok(prediction) => (Some(prediction), None),
            Err(why) => (None, Some(why)),
        };
        Self {
            tunables: Arc::clone(tunables),
            hz: rate,
            hz_unknown: match rate {
                TickRate::Known(_) => None,
                TickRate::Unknown if copied => Some("a copy of /proc does not tell it"),
                TickRate::Unknown => Some("the resolution of CLOCK_MONOTONIC_COARSE is no tick"),
            },
            detection: Detection {
                detection,
                detection_unknown,
            },
        }
    }
}

impl Report {
    /// The report before anything was read.
    pub(crate) fn new(plan: &Plan) -> Self {
        let asked = plan.filter.states.contains(State::Established);
        let not_read = Values::read(|_| Err(String::from("not read")));
        Self {
            complete: false,
            at: None,
            settings: Settings::new(
                &Arc::new(not_read),
                TickRate::Unknown,
                matches!(plan.source, crate::plan::inspect::Source::Copy(_)),
            ),
            states: counted_states(plan.filter.states),
            protection: asked.then(Protection::default),
            sysctls_reach: plan.read.options.then(Reach::default),
            survives: plan.survives.map(|limit| Survives {
                limit,
                verdicts: Verdicts::default(),
            }),
            processes: plan.by_process().then(Processes::default),
            count: 0,
            source: None,
            namespaces: Vec::new(),
            incomplete: Vec::new(),
        }
    }

    /// Takes one event in.
    pub(crate) fn add(&mut self, event: &Event) {
        match event {
            Event::Namespace(namespace) => self.add_namespace(namespace),
            Event::Socket(row) => self.add_socket(row),
            Event::Incomplete(incomplete) => self.incomplete.push(incomplete.clone()),
            Event::Read(source) => {
                // Where they differ, the poorer one counts.
                if self.source != Some(SourceUsed::Proc) {
                    self.source = Some(*source);
                }
                if let Some(namespace) = self.namespaces.last_mut() {
                    namespace.source = Some(*source);
                }
            }
            Event::Done => self.complete = true,
        }
    }

    fn add_namespace(&mut self, namespace: &Namespace) {
        let settings = Settings::new(&namespace.tunables, namespace.rate, namespace.id.is_none());
        if self.namespaces.is_empty() {
            self.settings = settings.clone();
        }
        self.namespaces.push(NamespaceReport {
            netns: namespace.id,
            own: namespace.own,
            names: namespace.names.clone(),
            container: namespace.container.clone(),
            pids: namespace.processes.clone(),
            settings,
            count: 0,
            source: None,
        });
    }

    fn add_socket(&mut self, row: &Row) {
        let socket = row.socket;
        self.count += 1;
        if let Some(namespace) = self.namespaces.last_mut() {
            namespace.count += 1;
        }
        self.states.entry(socket.state).or_default().add(socket);
        if socket.state == State::Established {
            if let Some(protection) = &mut self.protection {
                protection.of(row.enabled()).add(socket);
            }
            if let Some(reach) = &mut self.sysctls_reach {
                reach.add(row);
            }
            if let Some(processes) = &mut self.processes {
                processes.add(row);
            }
        }
        if let (Some(survives), Some(verdict)) = (&mut self.survives, &row.verdict) {
            survives.verdicts.add(verdict);
        }
    }
}

impl Protection {
    fn of(&mut self, enabled: Enabled) -> &mut ByFamily {
        match enabled {
            Enabled::On => &mut self.on,
            Enabled::Off => &mut self.off,
            Enabled::Unknown(_) => &mut self.unknown,
        }
    }
}

/// Each state that was asked for, with nothing counted yet.
fn counted_states(asked: StateSet) -> BTreeMap<State, ByFamily> {
    State::known()
        .filter(|&state| asked.contains(state))
        .map(|state| (state, ByFamily::default()))
        .collect()
}

fn tunables<S: Serializer>(values: &Values, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    for (tunable, value) in values.iter() {
        let name = tunable.json_name();
        match value {
            Ok(value) => match tunable.time(*value) {
                Some(time) => map.serialize_entry(&name, &time.as_secs_f64())?,
                None => map.serialize_entry(&name, value)?,
            },
            Err(why) => {
                map.serialize_entry(&name, &None::<u64>)?;
                map.serialize_entry(&format!("{name}_unknown"), why)?;
            }
        }
    }
    map.end()
}

fn states<S: Serializer>(
    states: &BTreeMap<State, ByFamily>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(
        states
            .iter()
            .map(|(state, count)| (state.to_string(), count)),
    )
}
