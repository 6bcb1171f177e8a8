//! The arguments of `kalive probe`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};

use super::target::FamilyArgs;
use super::values::{duration, positive};
use crate::domain::digits::decimal;
use crate::domain::options::{Count, Idle, Interval, UserTimeout};
use crate::domain::target::Target;

const FOOTER: &str = "\
More, such as application heartbeats, -o json and examples: kalive probe --help";

const EXAMPLES: &str = "\
Examples:
  kalive probe db:5432
      is it alive, by 3 answered keepalive probes?
  kalive probe db:5432 --idle 60s --interval 10s --count 3 --rounds 0
      go on until it dies
  kalive probe db:5432 --system --rounds 1
      with the sysctls as they are
  kalive probe cache:6379 --heartbeat-preset redis --heartbeat 2s
      does the service answer, or only its kernel?
  kalive probe db:5432 --in-flight --user-timeout 30s --rounds 0
      with data unacknowledged
  kalive probe lb:443 --for 10m --require alive -o junit
      for CI
  kalive probe db:5432 --rounds 0 --svg timeline.svg
      a picture for a report

A round is an answered keepalive probe, an answered heartbeat or, with --in-flight, acknowledged data.

Exit status: 0 if every target's outcome is the one that --require names; 1 if one has another, whatever became of \
the rest; 2 if none has another, but not all could be probed, as when a name has no address; 130 or 143 after SIGINT or SIGTERM, with the report so far.";

/// What `kalive probe` was asked.
#[derive(Clone, Debug, Args)]
#[command(after_help = FOOTER, after_long_help = EXAMPLES)]
pub struct ProbeArgs {
    /// The far ends.
    #[arg(help = "Where to connect to: HOST:PORT or [IPV6]:PORT")]
    #[arg(required = true, value_name = "TARGET", value_parser = target)]
    pub targets: Vec<Target>,

    /// Silence before the first probe
    #[arg(long_help = "TCP_KEEPIDLE: silence before the first keepalive probe")]
    #[arg(long, value_name = "DURATION", value_parser = idle, default_value = "5s", help_heading = "Keepalive")]
    pub idle: Idle,
    /// Time between unanswered probes
    #[arg(long_help = "TCP_KEEPINTVL: time between unanswered probes")]
    #[arg(long, value_name = "DURATION", value_parser = interval, default_value = "1s", help_heading = "Keepalive")]
    pub interval: Interval,
    /// Unanswered probes that end it
    #[arg(long_help = "TCP_KEEPCNT: unanswered probes that end the connection")]
    #[arg(long, value_name = "N", value_parser = count, default_value = "5", help_heading = "Keepalive")]
    pub count: Count,
    /// Replaces the count; or off
    #[arg(
        long_help = "TCP_USER_TIMEOUT: replaces the count, and limits unacknowledged data; or off"
    )]
    #[arg(long, value_name = "DURATION", value_parser = user_timeout, default_value = "off", help_heading = "Keepalive")]
    pub user_timeout: MaybeTimeout,
    /// Leave all of these to the sysctls
    #[arg(long_help = "Set SO_KEEPALIVE only and leave the values to the sysctls")]
    #[arg(long, conflicts_with_all = ["idle", "interval", "count", "user_timeout"], help_heading = "Keepalive")]
    pub system: bool,

    /// End well after so many answers; 0: never [default: 3]
    #[arg(
        long_help = "End well after this many answered rounds; 0: go on until it dies [default: 3, with --for 0]"
    )]
    #[arg(long, value_name = "N", help_heading = "End")]
    pub rounds: Option<u32>,
    /// End well after so long
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, help_heading = "End")]
    pub at_most: Option<Duration>,
    /// Which outcome of every target is success
    #[arg(long, value_enum, value_name = "OUTCOME", default_value_t = Outcome::Alive, help_heading = "End", hide_short_help = true)]
    pub require: Outcome,

    /// Send this on the connection, and again every --heartbeat; \r \n \t \\ \xNN are understood, @FILE is read
    #[arg(
        long,
        value_name = "TEXT|@FILE",
        group = "request",
        hide_short_help = true,
        help_heading = "Application heartbeat"
    )]
    pub send: Option<String>,
    /// An answer counts if it contains this text [default: any answer does]
    #[arg(
        long,
        value_name = "TEXT",
        requires = "send",
        hide_short_help = true,
        help_heading = "Application heartbeat"
    )]
    pub expect: Option<String>,
    /// How often, and how long an answer may take
    #[arg(long, value_name = "DURATION", value_parser = positive, default_value = "5s", help_heading = "Application heartbeat")]
    #[arg(
        requires = "request",
        conflicts_with = "in_flight",
        hide_short_help = true
    )]
    pub heartbeat: Duration,
    /// A harmless request and its answer, ready-made
    #[arg(
        long,
        value_enum,
        value_name = "PROTOCOL",
        group = "request",
        hide_short_help = true,
        conflicts_with = "send",
        help_heading = "Application heartbeat"
    )]
    pub heartbeat_preset: Option<Preset>,

    /// Keep a byte unacknowledged: retransmission rules apply
    #[arg(long_help = "\
        Keep a byte (or --send) unacknowledged when the path goes: retransmission rules apply, not \
        keepalive")]
    #[arg(long, conflicts_with_all = ["expect", "heartbeat_preset"], help_heading = "Data in flight")]
    pub in_flight: bool,
    /// Take ICMP errors at once (IP_RECVERR), though the kernel would go on trying
    #[arg(long, help_heading = "Data in flight", hide_short_help = true)]
    pub icmp_errors: bool,

    /// How long one address may take to connect
    #[arg(long, value_name = "DURATION", value_parser = positive, default_value = "10s", help_heading = "Connection", hide_short_help = true)]
    pub connect_timeout: Duration,
    /// Connect from this address
    #[arg(
        long,
        value_name = "ADDR",
        help_heading = "Connection",
        hide_short_help = true
    )]
    pub bind: Option<IpAddr>,
    /// Connect through this interface (SO_BINDTODEVICE)
    #[arg(
        long,
        value_name = "NAME",
        help_heading = "Connection",
        hide_short_help = true
    )]
    pub interface: Option<String>,
    /// -4 and -6
    #[command(flatten)]
    pub families: FamilyArgs,

    /// Write a picture of the result to this file (SVG)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Output", hide_short_help = true)]
    pub svg: Option<PathBuf>,
}

/// What became of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It answered as long as was asked
    Alive,
    /// Nothing came any more: ETIMEDOUT, or no answer within --connect-timeout
    TimedOut,
    /// The peer, or something on the path, sent a RST: ECONNRESET
    Reset,
    /// The path ends: EHOSTUNREACH, ENETUNREACH and their like
    Unreachable,
    /// Nobody listens: ECONNREFUSED
    Refused,
    /// The peer closed the connection with a FIN
    Closed,
    /// The kernel at the far end answers, the service does not
    Unresponsive,
    /// SIGINT or SIGTERM ended the run first
    #[value(skip)]
    Interrupted,
}

impl Outcome {
    /// Its name: as an argument, in JSON and in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::TimedOut => "timed-out",
            Self::Reset => "reset",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Closed => "closed",
            Self::Unresponsive => "unresponsive",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Protocols with a harmless request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// PING; any answer counts, also that authentication is wanted
    Redis,
    /// NOOP, answered with 250
    Smtp,
    /// HEAD / over HTTP/1.1
    Http,
    /// An SSLRequest, once: PostgreSQL takes no second one
    Postgres,
}

/// A TCP_USER_TIMEOUT, or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaybeTimeout(pub Option<UserTimeout>);

fn target(text: &str) -> Result<Target, String> {
    Target::parse(text, None)
}

fn idle(text: &str) -> Result<Idle, String> {
    Idle::new(duration(text)?).map_err(|error| error.to_string())
}

fn interval(text: &str) -> Result<Interval, String> {
    Interval::new(duration(text)?).map_err(|error| error.to_string())
}

fn count(text: &str) -> Result<Count, String> {
    let number = decimal(text).ok_or_else(|| format!("'{text}' is not a number from 1 to 127"))?;
    Count::new(number).map_err(|error| error.to_string())
}

fn user_timeout(text: &str) -> Result<MaybeTimeout, String> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(MaybeTimeout(None));
    }
    let timeout = UserTimeout::new(duration(text)?).map_err(|error| error.to_string())?;
    Ok(MaybeTimeout(Some(timeout)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_has_one_name() {
        let hidden = [Outcome::Interrupted];
        for outcome in Outcome::value_variants().iter().chain(&hidden) {
            let json = serde_json::to_value(outcome).unwrap();
            assert_eq!(json, outcome.name());
            let argument = outcome.to_possible_value();
            assert!(argument.is_none_or(|argument| argument.matches(outcome.name(), false)));
        }
    }
}
