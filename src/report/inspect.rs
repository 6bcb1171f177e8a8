//! What an inspection found: the report, and a socket as JSON shows it. Field names are promises.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::domain::prediction::Prediction;
use crate::domain::seconds;
use crate::domain::socket::{Enabled, Socket};
use crate::domain::state::{State, StateSet};
use crate::domain::tunables::Values;
use crate::domain::wheel::TickRate;
use crate::run::inspect::{Event, Held, Incomplete, Row, SourceUsed};
use crate::sys::holders::Holder;

/// The report of `kalive inspect`, but for the sockets, which are printed as they are read.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// Whether the run reached its end.
    pub(crate) complete: bool,
    #[serde(serialize_with = "tunables")]
    pub(crate) tunables: Values,
    /// The kernel's ticks a second, `CONFIG_HZ`; null if not known, and then the worst is assumed.
    pub(crate) hz: TickRate,
    /// When a socket with SO_KEEPALIVE that follows the sysctls notices a silent peer.
    #[serde(flatten)]
    pub(crate) detection: Detection,
    /// Sockets by state, of those that pass the filter; states that were not asked for are absent.
    #[serde(serialize_with = "states")]
    pub(crate) states: BTreeMap<State, ByFamily>,
    /// The ESTABLISHED ones among them.
    pub(crate) protection: Protection,
    /// How many sockets pass the filter.
    pub(crate) count: u64,
    /// Where the sockets come from; null if none was read.
    pub(crate) source: Option<SourceUsed>,
    /// What could not be read, and why.
    pub(crate) incomplete: Vec<Incomplete>,
}

/// When a silent peer is noticed, or why that is not known.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Detection {
    pub(crate) detection: Option<Prediction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detection_unknown: Option<String>,
}

/// How many sockets, by address family. An IPv6 socket that talks IPv4 counts as IPv6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct ByFamily {
    pub(crate) ipv4: u64,
    pub(crate) ipv6: u64,
}

/// How many ESTABLISHED connections have which keepalive, by the armed timer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Protection {
    /// The keepalive timer runs.
    pub(crate) on: ByFamily,
    /// No timer runs: a silent peer is never noticed.
    pub(crate) off: ByFamily,
    /// Data in flight hides the keepalive timer.
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

impl Report {
    /// The report before anything was read; `asked` are the states that count.
    pub(crate) fn new(asked: StateSet) -> Self {
        Self {
            complete: false,
            tunables: Values::read(|_| Err(String::from("not read"))),
            hz: TickRate::Unknown,
            detection: Detection {
                detection: None,
                detection_unknown: Some(String::from("not read")),
            },
            states: State::known()
                .filter(|&state| asked.contains(state))
                .map(|state| (state, ByFamily::default()))
                .collect(),
            protection: Protection::default(),
            count: 0,
            source: None,
            incomplete: Vec::new(),
        }
    }

    /// Takes one event in.
    pub(crate) fn add(&mut self, event: &Event) {
        match event {
            Event::Settings { tunables, rate } => {
                let (detection, detection_unknown) = match tunables.detection(*rate) {
                    Ok(prediction) => (Some(prediction), None),
                    Err(why) => (None, Some(why)),
                };
                self.detection = Detection {
                    detection,
                    detection_unknown,
                };
                self.tunables = tunables.clone();
                self.hz = *rate;
            }
            Event::Socket(row) => self.add_socket(row.socket),
            Event::Incomplete(incomplete) => self.incomplete.push(incomplete.clone()),
            Event::Done(source) => {
                self.source = Some(*source);
                self.complete = true;
            }
        }
    }

    fn add_socket(&mut self, socket: &Socket) {
        self.count += 1;
        self.states.entry(socket.state).or_default().add(socket);
        if socket.state == State::Established {
            match socket.enabled() {
                Enabled::On => self.protection.on.add(socket),
                Enabled::Off => self.protection.off.add(socket),
                Enabled::Unknown(_) => self.protection.unknown.add(socket),
            }
        }
    }
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

/// A socket as JSON shows it.
#[derive(Debug, Serialize)]
pub(crate) struct SocketReport<'a> {
    state: String,
    local: String,
    /// Null for a listener.
    peer: Option<String>,
    inode: Option<u32>,
    cookie: Option<u64>,
    uid: Option<u32>,
    user: Option<&'a str>,
    receive_queue: u32,
    send_queue: u32,
    timer: TimerReport,
    #[serde(serialize_with = "seconds::optional::serialize")]
    idle_s: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_s_unknown: Option<&'static str>,
    #[serde(serialize_with = "seconds::optional::serialize")]
    last_data_sent_s: Option<Duration>,
    #[serde(serialize_with = "seconds::optional::serialize")]
    last_data_received_s: Option<Duration>,
    #[serde(serialize_with = "seconds::optional::serialize")]
    last_ack_received_s: Option<Duration>,
    keepalive: KeepaliveReport,
    processes: Option<&'a [Holder<'a>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processes_unknown: Option<&'static str>,
}

/// The armed timer.
#[derive(Debug, Serialize)]
struct TimerReport {
    kind: &'static str,
    #[serde(serialize_with = "seconds::optional::serialize")]
    expires_s: Option<Duration>,
    /// Retransmissions so far, or unanswered probes.
    count: u8,
}

/// What the armed timer tells of SO_KEEPALIVE.
#[derive(Debug, Serialize)]
struct KeepaliveReport {
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled_unknown: Option<&'static str>,
}

impl<'a> SocketReport<'a> {
    pub(crate) fn new(row: &Row<'a>) -> Self {
        let socket = row.socket;
        let (processes, processes_unknown) = match row.held {
            Held::By(holders) => (Some(holders), None),
            Held::NoDescriptor => (Some(&[][..]), None),
            Held::NotAsked => (None, Some("not asked for")),
            Held::Unknown => (None, Some(HOLDER_UNKNOWN)),
        };
        let (enabled, enabled_unknown) = match socket.enabled() {
            Enabled::On => (Some(true), None),
            Enabled::Off => (Some(false), None),
            Enabled::Unknown(hidden) => (None, Some(hidden.reason())),
        };
        let activity = socket.activity.filter(|_| socket.state.is_synchronized());
        Self {
            state: socket.state.to_string(),
            local: socket.local.to_string(),
            peer: (socket.state != State::Listen).then(|| socket.peer.to_string()),
            inode: socket.inode,
            cookie: socket.cookie,
            uid: socket.uid,
            user: row.user,
            receive_queue: socket.receive_queue,
            send_queue: socket.send_queue,
            timer: TimerReport {
                kind: socket.timer.kind.name(),
                expires_s: socket.timer.expires,
                count: socket.timer.count,
            },
            idle_s: socket.idle(),
            idle_s_unknown: why_idle_is_unknown(socket),
            last_data_sent_s: activity.map(|activity| activity.last_data_sent),
            last_data_received_s: activity.map(|activity| activity.last_data_received),
            last_ack_received_s: activity.map(|activity| activity.last_ack_received),
            keepalive: KeepaliveReport {
                enabled,
                enabled_unknown,
            },
            processes,
            processes_unknown,
        }
    }
}

/// Why no holder is known of a socket that has a descriptor.
pub(crate) const HOLDER_UNKNOWN: &str = "no process that could be read holds it: see incomplete, or it is new, the kernel's own, or of another PID namespace";

fn why_idle_is_unknown(socket: &Socket) -> Option<&'static str> {
    match (socket.state.is_synchronized(), socket.activity) {
        (true, Some(_)) => None,
        (true, None) => Some("the source has no tcp_info, or it was not asked for"),
        (false, _) => Some("the state has no idle time"),
    }
}

impl Serialize for Holder<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("pid", &self.pid)?;
        map.serialize_entry("fd", &self.fd)?;
        map.serialize_entry("name", self.name)?;
        map.end()
    }
}
