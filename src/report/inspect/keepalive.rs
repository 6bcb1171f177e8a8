//! A socket's keepalive as JSON shows it: the options, where they come from, what follows. Field names are promises.

use std::borrow::Cow;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::live_options::{LiveOptions, Origins};
use crate::domain::notice::Notice;
use crate::domain::options::Origin;
use crate::domain::seconds::{self, Seconds};
use crate::domain::socket::Enabled;
use crate::run::inspect::{Options, Row};

/// SO_KEEPALIVE and, if they were asked for, the options beside it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Keepalive")]
pub(super) struct KeepaliveReport {
    /// Whether SO_KEEPALIVE is set; null if not known.
    enabled: Option<bool>,
    /// Why enabled is null; absent if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled_unknown: Option<&'static str>,
    /// What tells of enabled.
    evidence: EvidenceOfEnabled,
    /// TCP_KEEPIDLE; null if not known.
    #[serde(serialize_with = "seconds::optional::serialize")]
    #[schemars(with = "Option<Seconds>")]
    idle_s: Option<Duration>,
    /// TCP_KEEPINTVL; null if not known.
    #[serde(serialize_with = "seconds::optional::serialize")]
    #[schemars(with = "Option<Seconds>")]
    interval_s: Option<Duration>,
    /// TCP_KEEPCNT; null if not known.
    count: Option<u8>,
    /// TCP_USER_TIMEOUT, 0 when off; null if not known.
    #[serde(serialize_with = "seconds::optional::serialize")]
    #[schemars(with = "Option<Seconds>")]
    user_timeout_s: Option<Duration>,
    /// Where the values come from; null if they are not known.
    origin: Option<OriginsReport>,
    /// Why idle_s, interval_s, count, user_timeout_s and origin are null; absent if they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    options_unknown: Option<Cow<'static, str>>,
}

/// What tells whether SO_KEEPALIVE is set.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Evidence")]
enum EvidenceOfEnabled {
    /// The option itself.
    Option,
    /// The armed timer.
    Timer,
}

/// Where the options' values come from.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Origins")]
struct OriginsReport {
    /// Of SO_KEEPALIVE, which no sysctl sets.
    enabled: Origin,
    /// Of TCP_KEEPIDLE; null if not known.
    idle: Option<Origin>,
    /// Why idle is null; absent if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_unknown: Option<String>,
    /// Of TCP_KEEPINTVL; null if not known.
    interval: Option<Origin>,
    /// Why interval is null; absent if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    interval_unknown: Option<String>,
    /// Of TCP_KEEPCNT; null if not known.
    count: Option<Origin>,
    /// Why count is null; absent if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    count_unknown: Option<String>,
    /// Of TCP_USER_TIMEOUT, which no sysctl sets.
    user_timeout: Origin,
}

/// How soon the connection notices a silent peer.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct NoticeReport {
    /// How soon it notices a silent peer; null if that is not known; absent without --options, and but for ESTABLISHED
    /// and CLOSE-WAIT.
    detection: Option<DetectionReport>,
    /// Why detection is null; absent if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    detection_unknown: Option<String>,
}

/// By which rule, and when.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Detection")]
struct DetectionReport {
    /// By which rule: never is without SO_KEEPALIVE, and for the others see Rule.
    #[schemars(extend("enum" = [
        "never", "keepalive-count", "keepalive-user-timeout", "retries2", "retransmission-user-timeout"
    ]))]
    rule: &'static str,
    /// Never before this; null for the rule `never`.
    #[serde(serialize_with = "seconds::optional::serialize")]
    #[schemars(with = "Option<Seconds>")]
    earliest_s: Option<Duration>,
    /// With every timer on time; null for the rule `never`, and with data in flight.
    #[serde(serialize_with = "seconds::optional::serialize")]
    #[schemars(with = "Option<Seconds>")]
    nominal_s: Option<Duration>,
    /// With every timer as late as can be; null like `nominal_s`.
    #[serde(serialize_with = "seconds::optional::serialize")]
    #[schemars(with = "Option<Seconds>")]
    latest_s: Option<Duration>,
}

impl NoticeReport {
    pub(super) fn new(notice: Result<Notice, String>) -> Self {
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

impl KeepaliveReport {
    pub(super) fn new(row: &Row) -> Self {
        let (enabled, enabled_unknown) = match row.enabled() {
            Enabled::On => (Some(true), None),
            Enabled::Off => (Some(false), None),
            Enabled::Unknown(hidden) => (None, Some(hidden.reason())),
        };
        let (options, options_unknown) = match &row.options {
            Options::Read(options) => (Some(options), None),
            Options::NotAsked => (None, Some("needs --options".into())),
            Options::Unknown(why) => (None, Some(why.to_string().into())),
        };
        let keepalive = options.map(|options| &options.keepalive);
        Self {
            enabled,
            enabled_unknown,
            evidence: match options {
                Some(_) => EvidenceOfEnabled::Option,
                None => EvidenceOfEnabled::Timer,
            },
            idle_s: keepalive.map(|keepalive| keepalive.idle),
            interval_s: keepalive.map(|keepalive| keepalive.interval),
            count: keepalive.map(|keepalive| keepalive.count),
            // 0 is the kernel's own word for off.
            user_timeout_s: keepalive.map(|keepalive| keepalive.user_timeout.unwrap_or_default()),
            origin: options
                .map(|options: &LiveOptions| options.origins(&row.namespace.tunables).into()),
            options_unknown,
        }
    }
}

impl From<Origins> for OriginsReport {
    fn from(origins: Origins) -> Self {
        let known = |origin| match origin {
            Origin::Unknown(why) => (None, Some(why)),
            Origin::Socket | Origin::Sysctl | Origin::SocketOrSysctl | Origin::Default => {
                (Some(origin), None)
            }
        };
        let (idle, idle_unknown) = known(origins.idle);
        let (interval, interval_unknown) = known(origins.interval);
        let (count, count_unknown) = known(origins.count);
        Self {
            enabled: origins.enabled,
            idle,
            idle_unknown,
            interval,
            interval_unknown,
            count,
            count_unknown,
            user_timeout: origins.user_timeout,
        }
    }
}
