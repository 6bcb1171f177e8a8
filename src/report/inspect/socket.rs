//! A socket as JSON shows it. Field names are promises.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::keepalive::{KeepaliveReport, NoticeReport};
use crate::domain::seconds::{self, Seconds};
use crate::domain::socket::{Socket, TimerKind};
use crate::domain::state::State;
use crate::domain::survival::{self, Verdict};
use crate::run::inspect::{Held, Options, Row};
use crate::sys::holders::Holder;

/// A socket as JSON shows it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Socket")]
pub(crate) struct SocketReport<'a> {
    /// The number of its network namespace, as in `net:[4026531840]`; null in a copy of /proc.
    netns: Option<u64>,
    /// Its state, as RFC 9293 names it: ESTABLISHED, TIME-WAIT, ...
    #[schemars(with = "State")]
    state: String,
    /// Its own address and port. An IPv6 socket that talks IPv4 has a v4-mapped one.
    local: String,
    /// The peer's address and port; null for a listener.
    peer: Option<String>,
    /// The inode of its descriptors; null once no descriptor refers to it, or not yet.
    inode: Option<u32>,
    /// The kernel's unique number for it (SO_COOKIE); null if not known.
    cookie: Option<u64>,
    /// Why cookie is null; absent if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    cookie_unknown: Option<&'static str>,
    /// The number of the user who owns it; null where the kernel keeps none, as for TIME-WAIT.
    uid: Option<u32>,
    /// The name of the user who owns it; null if not known.
    user: Option<&'a str>,
    /// Why user is null; absent if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_unknown: Option<&'static str>,
    /// Bytes received and not read; for a listener the connections waiting for accept.
    receive_queue: u32,
    /// Bytes sent and not acknowledged; for a listener the limit of its queue.
    send_queue: u32,
    /// The timer that is armed.
    timer: TimerReport,
    /// Silence so far, by tcp_info: since data was sent or received or an ACK came; null if not known.
    #[serde(serialize_with = "seconds::optional::serialize")]
    #[schemars(with = "Option<Seconds>")]
    idle_s: Option<Duration>,
    /// Why idle_s and the three times below are null; absent if they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_s_unknown: Option<&'static str>,
    /// Since data was sent (tcpi_last_data_sent); null where idle_s is.
    #[serde(serialize_with = "seconds::optional::serialize")]
    #[schemars(with = "Option<Seconds>")]
    last_data_sent_s: Option<Duration>,
    /// Since data was received (tcpi_last_data_recv); null where idle_s is.
    #[serde(serialize_with = "seconds::optional::serialize")]
    #[schemars(with = "Option<Seconds>")]
    last_data_received_s: Option<Duration>,
    /// Since an ACK was received (tcpi_last_ack_recv); null where idle_s is.
    #[serde(serialize_with = "seconds::optional::serialize")]
    #[schemars(with = "Option<Seconds>")]
    last_ack_received_s: Option<Duration>,
    /// SO_KEEPALIVE, and with --options the options beside it.
    keepalive: KeepaliveReport,
    #[serde(flatten)]
    notice: Option<NoticeReport>,
    /// Would it outlive the silence? Absent without --survives, and in states that are not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    survives: Option<SurvivesReport>,
    /// The processes that hold it; null if not known.
    processes: Option<&'a [Holder]>,
    /// Why processes is null; absent if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    processes_unknown: Option<&'static str>,
}

/// The armed timer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Timer")]
struct TimerReport {
    /// Which one: retransmit and persist hide the keepalive timer.
    #[schemars(extend("enum" = TimerKind::NAMES))]
    kind: &'static str,
    /// What is left of it; null where none is armed.
    #[serde(serialize_with = "seconds::optional::serialize")]
    #[schemars(with = "Option<Seconds>")]
    expires_s: Option<Duration>,
    /// Retransmissions so far, or unanswered probes.
    count: u8,
}

/// The verdict of --survives.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Survival")]
struct SurvivesReport {
    /// Whether it outlives a middlebox that forgets.
    #[schemars(extend("enum" = Verdict::NAMES))]
    verdict: &'static str,
    /// Why, in a word.
    #[schemars(extend("enum" = Verdict::REASONS))]
    reason: &'static str,
    /// Why, in a sentence.
    explanation: String,
    /// Probes that are sent in time, however late the timers are; null where no probe is sent, or the options are
    /// not known: reason says which.
    tries: Option<u32>,
    /// When the first probe is sent at the latest, counted from the last segment received; null where tries is.
    #[serde(serialize_with = "seconds::optional::serialize")]
    #[schemars(with = "Option<Seconds>")]
    first_probe_latest_s: Option<Duration>,
    /// By how much the second probe comes in time at the least, in seconds; negative if too late; null where tries
    /// is.
    margin_s: Option<f64>,
    /// Whether the sysctls would protect it, but the program sets other values; null where the options are not
    /// known.
    overrides_sysctls: Option<bool>,
}

impl SurvivesReport {
    fn new(verdict: &Verdict, row: &Row, limit: Duration) -> Self {
        let probes = verdict.probes();
        let namespace = row.namespace;
        let overrides_sysctls = match &row.options {
            Options::Read(options) => Some(survival::sysctls_would_protect(
                verdict,
                options,
                &namespace.tunables,
                limit,
                namespace.rate,
            )),
            Options::NotAsked | Options::Unknown(_) => None,
        };
        let mut explanation = verdict.to_string();
        if overrides_sysctls == Some(true) {
            explanation
                .push_str("; the sysctls would protect it, but the program sets its own values");
        }
        Self {
            verdict: verdict.name(),
            reason: verdict.reason(),
            explanation,
            tries: probes.map(|probes| probes.tries),
            first_probe_latest_s: probes.map(|probes| probes.first_latest),
            margin_s: verdict.margin(limit),
            overrides_sysctls,
        }
    }
}

impl<'a> SocketReport<'a> {
    /// `limit` is what the verdict was asked for.
    pub(crate) fn new(row: &Row<'a>, limit: Option<Duration>) -> Self {
        let socket = row.socket;
        // No copy of /proc tells which namespace it is of.
        let copied = row.namespace.id.is_none();
        let (processes, processes_unknown) = match row.held {
            Held::By(holders) => (Some(holders), None),
            Held::NoDescriptor => (Some(&[][..]), None),
            Held::NotAsked => (None, Some("not asked for")),
            Held::Unknown if copied => (None, Some(HOLDER_NOT_COPIED)),
            Held::Unknown => (None, Some(HOLDER_UNKNOWN)),
        };
        let activity = socket.activity.filter(|_| socket.state.is_synchronized());
        Self {
            netns: row.namespace.id,
            state: socket.state.to_string(),
            local: socket.local.to_string(),
            peer: (socket.state != State::Listen).then(|| socket.peer.to_string()),
            inode: socket.inode,
            cookie: socket.cookie,
            cookie_unknown: socket
                .cookie
                .is_none()
                .then_some("/proc/net/tcp does not tell it"),
            uid: socket.uid,
            user: row.user,
            user_unknown: match (row.user, socket.uid) {
                (Some(_), _) => None,
                (None, None) => Some("the kernel keeps or tells no owner in this state"),
                (None, Some(_)) if copied => Some("a copy of /proc may be of another machine"),
                (None, Some(_)) => Some("no user of this machine has this number"),
            },
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
            keepalive: KeepaliveReport::new(row),
            notice: match row.options {
                Options::NotAsked => None,
                Options::Read(_) | Options::Unknown(_) => row.notice().map(NoticeReport::new),
            },
            survives: row
                .verdict
                .zip(limit)
                .map(|(verdict, limit)| SurvivesReport::new(&verdict, row, limit)),
            processes,
            processes_unknown,
        }
    }
}

/// Why no holder is known of a socket that has a descriptor.
pub(crate) const HOLDER_UNKNOWN: &str = "no process that could be read holds it: see incomplete, or it is new, the kernel's own, or of another PID namespace";

/// The same for a copy, in which descriptors are links that lead nowhere, if they are there at all.
const HOLDER_NOT_COPIED: &str =
    "the copy of /proc has no descriptor of it (PID/fd): such copies seldom have";

fn why_idle_is_unknown(socket: &Socket) -> Option<&'static str> {
    match (socket.state.is_synchronized(), socket.activity) {
        (true, Some(_)) => None,
        (true, None) => Some("the source has no tcp_info, or it was not asked for"),
        (false, _) => Some("the state has no idle time"),
    }
}

impl Serialize for Holder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("pid", &self.pid)?;
        map.serialize_entry("fd", &self.fd)?;
        map.serialize_entry("name", &*self.name)?;
        map.end()
    }
}

impl JsonSchema for Holder {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Process")
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let number = generator.subschema_for::<u32>();
        let described = |of: &Schema, text: &str| {
            let mut of = of.clone();
            of.insert(String::from("description"), text.into());
            of
        };
        json_schema!({
            "description": "A process that holds the socket.",
            "type": "object",
            "properties": {
                "pid": described(&number, "Its number; that of the thread, where a thread has descriptors of its own."),
                "fd": described(&number, "The descriptor."),
                "name": {"type": "string", "description": "What it is called (comm)."},
            },
            "required": ["pid", "fd", "name"],
        })
    }
}
