//! The arguments of `kalive hold`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};

use super::target::FamilyArgs;
use super::values::duration;
use crate::domain::target::Target;

/// Where `kalive serve` listens unless told otherwise.
pub const DEFAULT_PORT: u16 = 7117;

const FOOTER: &str = "More options, such as -o json, and examples: kalive hold --help";

const AFTER_HELP: &str = "\
Many connections are opened at once; each is silent for a time of its own and then probed with one keepalive, \
which carries no data, so that any TCP server will do. With kalive serve at the far end each answer is confirmed \
with data, and the far end speaks first on connections of its own: a NAT may let a late client back in and yet \
have forgotten it.

Exit status: 0 measured (and not below --at-least); 1 the path forgets earlier than --at-least, or keepalives as of \
--verify do not hold it; 2 inconclusive, or the call was wrong; 130 or 143 after SIGINT or SIGTERM, with the report so far.

Examples:
  kalive hold db.example:5432
      how long does the path to my database remember?
  kalive hold db.example:5432 --at-least 10m
      for scripts
  kalive hold db.example:5432 --max 15m --verify 60s,300s
      do keepalives after 60 s or 300 s hold the path open?
  kalive hold server.example
      kalive serve at the far end: both directions
  kalive hold db.example:5432 --record run.ndjson
      keep what a two-hour run has learned, whatever happens
  kalive hold db.example:5432 --at-least 10m -o junit
      for CI
  kalive hold db.example:5432 --svg hold.svg
      a picture for a report";

/// What `kalive hold` was asked.
#[derive(Clone, Debug, Args)]
#[command(after_help = FOOTER, after_long_help = AFTER_HELP)]
pub struct HoldArgs {
    /// The far end.
    #[arg(help = "Where to connect to: HOST:PORT, [IPV6]:PORT, or HOST for port 7117")]
    #[arg(value_name = "TARGET", value_parser = |text: &str| Target::parse(text, Some(DEFAULT_PORT)))]
    pub target: Target,

    /// The longest silence to try [default: 2h]
    #[arg(long_help = "The longest silence to try [default: that of --at-least, else 2h]")]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Search")]
    pub max: Option<Duration>,
    /// The shortest silence to try
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration, help_heading = "Search")]
    pub min: Duration,
    /// How exactly it is to be found
    #[arg(long_help = "How exactly the limit is to be found")]
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration, help_heading = "Search")]
    pub resolution: Duration,
    /// Who speaks after the silence; inbound needs kalive serve at the far end
    #[arg(long, value_enum, value_name = "WHO", default_value_t = DirectionArg::Auto, help_heading = "Search", hide_short_help = true)]
    pub direction: DirectionArg,
    /// Also with keepalives after so much silence
    #[arg(long_help = "\
        Also hold connections with these values of TCP_KEEPIDLE: do keepalives really keep this path \
        open?")]
    #[arg(long, value_name = "DURATION", value_delimiter = ',', value_parser = duration, help_heading = "Search")]
    pub verify: Vec<Duration>,
    /// Exit with 1 if the path forgets earlier
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Search")]
    pub at_least: Option<Duration>,

    /// At most so many, for each direction
    #[arg(long_help = "At most so many connections, for each direction")]
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(8..=8_192), help_heading = "Connection")]
    pub sessions: u32,
    /// Open at most so many connections a second
    #[arg(hide_short_help = true, long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "Connection")]
    pub connect_rate: u32,
    /// Connect from this address
    #[arg(long, value_name = "ADDR", help_heading = "Connection")]
    pub bind: Option<IpAddr>,
    /// Connect through this interface
    #[arg(long, value_name = "NAME", help_heading = "Connection")]
    pub interface: Option<String>,
    /// Which address family to use.
    #[command(flatten)]
    pub families: FamilyArgs,

    /// Write every event to this file as it happens (NDJSON)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Output")]
    pub record: Option<PathBuf>,
    /// Write a picture of the result to this file (SVG)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Output", hide_short_help = true)]
    pub svg: Option<PathBuf>,
}

/// Who speaks after the silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DirectionArg {
    /// Both if the far end is kalive serve, else this side
    Auto,
    /// This side
    Outbound,
    /// The far end
    Inbound,
    /// Both
    Both,
}
