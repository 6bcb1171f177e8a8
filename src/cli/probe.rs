//! The arguments of `kalive probe`.

use std::net::IpAddr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::target::FamilyArgs;
use super::values::duration;
use crate::domain::digits::decimal;
use crate::domain::options::{Count, Idle, Interval, UserTimeout};
use crate::domain::target::Target;

const EXAMPLES: &str = "\
Examples:
  kalive probe db:5432                                        is it alive, by 3 answered keepalive probes?
  kalive probe db:5432 --idle 60s --interval 10s --count 3 --rounds 0    go on until it dies
  kalive probe db:5432 --system --rounds 1                    with the sysctls as they are
  kalive probe cache:6379 --heartbeat-preset redis --heartbeat 2s        the service, or only its kernel?
  kalive probe db:5432 --in-flight --user-timeout 30s --rounds 0         with data unacknowledged
  kalive probe lb:443 --for 10m --require alive -o json       for CI

A round is an answered keepalive probe, an answered heartbeat or, with --in-flight, acknowledged data.

Exit status: 0 if every target's outcome is the one that --require names, else 1; 2 if it could not be \
measured; 130 or 143 after SIGINT or SIGTERM, with the report so far.";

/// What `kalive probe` was asked.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ProbeArgs {
    /// The far ends.
    #[arg(help = "Where to connect to: HOST:PORT or [IPV6]:PORT")]
    #[arg(required = true, value_name = "TARGET", value_parser = target)]
    pub targets: Vec<Target>,

    /// TCP_KEEPIDLE: silence before the first keepalive probe
    #[arg(long, value_name = "DURATION", value_parser = idle, default_value = "5s", help_heading = "Keepalive")]
    pub idle: Idle,
    /// TCP_KEEPINTVL: time between unanswered probes
    #[arg(long, value_name = "DURATION", value_parser = interval, default_value = "1s", help_heading = "Keepalive")]
    pub interval: Interval,
    /// TCP_KEEPCNT: unanswered probes that end the connection
    #[arg(long, value_name = "N", value_parser = count, default_value = "5", help_heading = "Keepalive")]
    pub count: Count,
    /// TCP_USER_TIMEOUT: replaces the count, and limits unacknowledged data; or off
    #[arg(long, value_name = "DURATION", value_parser = user_timeout, default_value = "off", help_heading = "Keepalive")]
    pub user_timeout: MaybeTimeout,
    /// Set SO_KEEPALIVE only and leave the values to the sysctls
    #[arg(long, conflicts_with_all = ["idle", "interval", "count", "user_timeout"], help_heading = "Keepalive")]
    pub system: bool,

    /// End well after this many answered rounds; 0: go on until it dies [default: 3, with --for 0]
    #[arg(long, value_name = "N", help_heading = "End")]
    pub rounds: Option<u32>,
    /// End well after so long
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, help_heading = "End")]
    pub at_most: Option<Duration>,
    /// Which outcome of every target is success
    #[arg(long, value_enum, value_name = "OUTCOME", default_value_t = Outcome::Alive, help_heading = "End")]
    pub require: Outcome,

    /// Send this on the connection, and again every --heartbeat; \r \n \t \\ \xNN are understood, @FILE is read
    #[arg(
        long,
        value_name = "TEXT|@FILE",
        help_heading = "Application heartbeat"
    )]
    pub send: Option<String>,
    /// An answer counts if it contains this text [default: any answer does]
    #[arg(
        long,
        value_name = "TEXT",
        requires = "send",
        help_heading = "Application heartbeat"
    )]
    pub expect: Option<String>,
    /// How often, and how long an answer may take
    #[arg(long, value_name = "DURATION", value_parser = positive, default_value = "5s", help_heading = "Application heartbeat")]
    pub heartbeat: Duration,
    /// A harmless request and its answer, ready-made
    #[arg(
        long,
        value_enum,
        value_name = "PROTOCOL",
        conflicts_with = "send",
        help_heading = "Application heartbeat"
    )]
    pub heartbeat_preset: Option<Preset>,

    /// Keep a byte (or --send) unacknowledged when the path goes: retransmission rules apply, not keepalive
    #[arg(long, conflicts_with_all = ["expect", "heartbeat_preset"], help_heading = "Data in flight")]
    pub in_flight: bool,
    /// Take ICMP errors at once (IP_RECVERR), though the kernel would go on trying
    #[arg(long, help_heading = "Data in flight")]
    pub icmp_errors: bool,

    /// How long one address may take to connect
    #[arg(long, value_name = "DURATION", value_parser = positive, default_value = "10s", help_heading = "Connection")]
    pub connect_timeout: Duration,
    /// Connect from this address
    #[arg(long, value_name = "ADDR", help_heading = "Connection")]
    pub bind: Option<IpAddr>,
    /// Connect through this interface (SO_BINDTODEVICE)
    #[arg(long, value_name = "NAME", help_heading = "Connection")]
    pub interface: Option<String>,
    /// -4 and -6
    #[command(flatten)]
    pub families: FamilyArgs,
}

/// What became of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
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

fn positive(text: &str) -> Result<Duration, String> {
    let value = duration(text)?;
    if value.is_zero() {
        Err(String::from("must be longer than 0s"))
    } else {
        Ok(value)
    }
}
