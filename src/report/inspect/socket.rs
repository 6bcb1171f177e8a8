//! A socket as JSON shows it. Field names are promises.

use std::time::Duration;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::domain::live_options::{LiveOptions, Origins, Unread};
use crate::domain::notice::Notice;
use crate::domain::options::Origin;
use crate::domain::seconds;
use crate::domain::socket::{Enabled, Socket};
use crate::domain::state::State;
use crate::domain::survival::{self, Verdict};
use crate::domain::tunables::Values;
use crate::run::inspect::{Held, Options, Row};
use crate::sys::holders::Holder;

/// A socket as JSON shows it.
#[derive(Debug, Serialize)]
pub(crate) struct SocketReport<'a> {
    netns: Option<u64>,
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
    keepalive: KeepaliveReport<'a>,
    /// How soon it notices a silent peer; only with --options, of ESTABLISHED and CLOSE-WAIT.
    #[serde(flatten)]
    notice: Option<NoticeReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    survives: Option<SurvivesReport>,
    processes: Option<&'a [Holder]>,
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

/// SO_KEEPALIVE and, if they were asked for, the options beside it.
#[derive(Debug)]
struct KeepaliveReport<'a> {
    enabled: Enabled,
    options: Options,
    sysctls: &'a Values,
}

/// How soon the connection notices a silent peer.
#[derive(Debug, Serialize)]
struct NoticeReport {
    /// Null if it is not known.
    detection: Option<DetectionReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detection_unknown: Option<String>,
}

/// By which rule, and when.
#[derive(Debug, Serialize)]
struct DetectionReport {
    rule: &'static str,
    /// Never before this; null for the rule `never`.
    #[serde(serialize_with = "seconds::optional::serialize")]
    earliest_s: Option<Duration>,
    /// With every timer on time; null for the rule `never`, and with data in flight.
    #[serde(serialize_with = "seconds::optional::serialize")]
    nominal_s: Option<Duration>,
    /// With every timer as late as can be; null like `nominal_s`.
    #[serde(serialize_with = "seconds::optional::serialize")]
    latest_s: Option<Duration>,
}

impl NoticeReport {
    fn new(notice: Result<Notice, String>) -> Self {
        let (rule, earliest, prediction) = match notice {
            Err(why) => {
                return Self {
                    detection: None,
                    detection_unknown: Some(why),
                };
            }
            Ok(Notice::Never) => ("never", None, None),
            Ok(Notice::Idle(prediction)) => (
                prediction.rule.name(),
                Some(prediction.earliest),
                Some(prediction),
            ),
            Ok(Notice::InFlight(rule, least)) => (rule.name(), Some(least), None),
        };
        Self {
            detection: Some(DetectionReport {
                rule,
                earliest_s: earliest,
                nominal_s: prediction.map(|prediction| prediction.nominal),
                latest_s: prediction.map(|prediction| prediction.latest),
            }),
            detection_unknown: None,
        }
    }
}

/// The verdict of --survives.
#[derive(Debug, Serialize)]
struct SurvivesReport {
    verdict: &'static str,
    reason: &'static str,
    explanation: String,
    /// Probes that are sent in time, however late the timers are; null where it is not known.
    tries: Option<u32>,
    /// When the first probe is sent at the latest, counted from the last segment received.
    #[serde(serialize_with = "seconds::optional::serialize")]
    first_probe_latest_s: Option<Duration>,
    /// By how much the second probe comes in time at the least; negative if too late.
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
        let (processes, processes_unknown) = match row.held {
            Held::By(holders) => (Some(holders), None),
            Held::NoDescriptor => (Some(&[][..]), None),
            Held::NotAsked => (None, Some("not asked for")),
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
                enabled: row.enabled(),
                options: row.options,
                sysctls: &row.namespace.tunables,
            },
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

impl Serialize for KeepaliveReport<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.enabled {
            Enabled::On => map.serialize_entry("enabled", &true)?,
            Enabled::Off => map.serialize_entry("enabled", &false)?,
            Enabled::Unknown(hidden) => {
                map.serialize_entry("enabled", &None::<bool>)?;
                map.serialize_entry("enabled_unknown", hidden.reason())?;
            }
        }
        let evidence = match self.options {
            Options::Read(_) => "option",
            Options::NotAsked | Options::Unknown(_) => "timer",
        };
        map.serialize_entry("evidence", evidence)?;
        match &self.options {
            Options::NotAsked => {}
            Options::Read(options) => read(&mut map, options, self.sysctls)?,
            Options::Unknown(why) => unread(&mut map, *why)?,
        }
        map.end()
    }
}

fn read<M: serde::ser::SerializeMap>(
    map: &mut M,
    options: &LiveOptions,
    sysctls: &Values,
) -> Result<(), M::Error> {
    let keepalive = &options.keepalive;
    map.serialize_entry("idle_s", &keepalive.idle.as_secs_f64())?;
    map.serialize_entry("interval_s", &keepalive.interval.as_secs_f64())?;
    map.serialize_entry("count", &keepalive.count)?;
    // 0 is the kernel's own word for off.
    let user_timeout = keepalive.user_timeout.unwrap_or_default();
    map.serialize_entry("user_timeout_s", &user_timeout.as_secs_f64())?;
    map.serialize_entry("origin", &OriginsReport(options.origins(sysctls)))
}

fn unread<M: serde::ser::SerializeMap>(map: &mut M, why: Unread) -> Result<(), M::Error> {
    for name in ["idle_s", "interval_s", "count", "user_timeout_s", "origin"] {
        map.serialize_entry(name, &None::<f64>)?;
        map.serialize_entry(&format!("{name}_unknown"), &why.to_string())?;
    }
    Ok(())
}

struct OriginsReport(Origins);

impl Serialize for OriginsReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, origin) in [
            ("enabled", &self.0.enabled),
            ("idle", &self.0.idle),
            ("interval", &self.0.interval),
            ("count", &self.0.count),
            ("user_timeout", &self.0.user_timeout),
        ] {
            match origin {
                Origin::Unknown(why) => {
                    map.serialize_entry(name, &None::<&str>)?;
                    map.serialize_entry(&format!("{name}_unknown"), why)?;
                }
                Origin::Socket | Origin::Sysctl | Origin::SocketOrSysctl | Origin::Default => {
                    map.serialize_entry(name, origin)?;
                }
            }
        }
        map.end()
    }
}
