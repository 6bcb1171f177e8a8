//! The arguments of `kalive inspect`.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum, ValueHint};

use super::values::{duration, positive};
use crate::domain::address::AddressPattern;
use crate::domain::digits::decimal;
use crate::domain::state::StateSet;

const FOOTER: &str = "More options, such as -o json, and examples: kalive inspect --help";

const EXAMPLES: &str = "\
Examples:
  kalive inspect                        settings, states, what is protected
  kalive inspect -s                     every connection with its owner
  kalive inspect -s --process postgres  those of one program
  kalive inspect -s --peer :5432 --keepalive off
      connections to a port that nothing keeps alive
  kalive inspect -s --options
      what each socket itself has set, and what follows the sysctls
  sudo kalive inspect -s --options --survives 350s --all-netns
      who would die silently behind a firewall that forgets after 350 s
  kalive inspect -o json | jq .detection
      for scripts
  kalive inspect --options --survives 350s -o junit
      the same as tests, for CI

Exit status: 0 read, and with --survives nothing is at risk; 1 with --survives a connection is at risk; 2 it could not be \
read, the call was wrong, or with --strict some could not be judged or there were none; 130 or 143 after SIGINT or SIGTERM, \
with the report so far.";

/// What `kalive inspect` was asked.
#[derive(Clone, Debug, Args)]
#[command(after_help = FOOTER, after_long_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct InspectArgs {
    /// List the sockets, one a row; off a terminal the rows alone
    #[arg(short, long)]
    pub sockets: bool,

    /// Read the options that each socket has itself
    #[arg(long_help = "\
        Read each socket's own SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT and \
        TCP_USER_TIMEOUT through a process that holds it (Linux 5.6, and the rights of ptrace); nothing \
        is changed")]
    #[arg(long)]
    pub options: bool,
    /// What is judged.
    #[command(flatten)]
    pub judge: JudgeArgs,

    /// Only in these states: established, listen, all, ...
    #[arg(long_help = "\
        Only sockets in these states: established, syn-sent, syn-received, fin-wait-1, fin-wait-2, \
        time-wait, closed, close-wait, last-ack, listen, closing, new-syn-recv, or all [default: all, \
        with -s established]")]
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = states(), ignore_case = true, hide_possible_values = true, help_heading = "Filters")]
    pub state: Vec<StateSet>,
    /// Only with this local address; written like --peer
    #[arg(
        long,
        value_name = "ADDR",
        help_heading = "Filters",
        hide_short_help = true
    )]
    pub local: Vec<AddressPattern>,
    /// Which peers.
    #[arg(help = "Only with this peer: 10.0.0.0/8, :443, [::1]:22")]
    #[arg(long_help = "\
        Only sockets with this peer: ADDRESS, ADDRESS/LENGTH, :PORT, ADDRESS:PORT or [IPV6]:PORT; \
        repeat for any of several")]
    #[arg(long, value_name = "ADDR", help_heading = "Filters")]
    pub peer: Vec<AddressPattern>,
    /// Only those that this process holds
    #[arg(long, value_parser = pid, help_heading = "Filters")]
    pub pid: Option<u32>,
    /// Only those that a process of this name holds
    #[arg(long, value_name = "NAME", help_heading = "Filters")]
    pub process: Option<String>,
    /// Only those of this user, by name or number
    #[arg(long, help_heading = "Filters", hide_short_help = true)]
    pub user: Option<String>,
    /// Only where it is
    #[arg(
        long_help = "Only sockets whose keepalive timer runs, does not run, or is hidden by another timer"
    )]
    #[arg(long, value_enum, value_name = "STATUS", help_heading = "Filters")]
    pub keepalive: Option<KeepaliveStatus>,
    /// Leave out sockets of a loopback address: no middlebox stands between their ends
    #[arg(long, hide_short_help = true, help_heading = "Filters")]
    pub no_loopback: bool,

    /// Look into another network namespace: that of a process, a path, or a name that ip-netns(8) knows
    #[arg(
        long,
        value_name = "PID|PATH|NAME",
        conflicts_with = "all_netns",
        hide_short_help = true,
        help_heading = "Source"
    )]
    pub netns: Option<NetnsTarget>,
    /// Look into every network namespace (containers)
    #[arg(
        long_help = "Look into every network namespace that a process lives in or ip-netns(8) keeps"
    )]
    #[arg(long, help_heading = "Source")]
    pub all_netns: bool,
    /// Where the sockets come from: the kernel's sock_diag, or /proc/net/tcp and tcp6
    #[arg(long, value_enum, default_value_t = SourceChoice::Auto, help_heading = "Source", hide_short_help = true)]
    pub source: SourceChoice,
    /// Read this copy of /proc instead of the live one; implies --source proc
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Source", hide_short_help = true)]
    pub proc: Option<PathBuf>,

    /// Which columns -s shows, in which order; owners are looked up only if one needs them
    #[arg(
        long,
        value_enum,
        value_name = "COLUMN",
        value_delimiter = ',',
        hide_short_help = true,
        help_heading = "Output"
    )]
    pub columns: Vec<Column>,
    /// Sort the rows of -s; they then take memory, and come at the end
    #[arg(
        long,
        value_enum,
        value_name = "KEY",
        help_heading = "Output",
        hide_short_help = true
    )]
    pub sort: Option<SortKey>,
    /// How many programs the summary of --survives and the metrics name; the rest is summed up [default: 15]
    #[arg(
        long,
        value_name = "N",
        help_heading = "Output",
        hide_short_help = true
    )]
    pub top: Option<usize>,
    /// Repeat so often
    #[arg(
        long_help = "Repeat so often: in place on a terminal, where ~ marks what changed, else as NDJSON"
    )]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Output")]
    pub watch: Option<Duration>,
    /// Write -o openmetrics to this file, atomically
    #[arg(
        long,
        value_name = "PATH",
        help_heading = "Output",
        hide_short_help = true
    )]
    pub textfile: Option<PathBuf>,
}

/// The question of a middlebox that forgets.
#[derive(Clone, Copy, Debug, Args)]
pub struct JudgeArgs {
    /// Who outlives a firewall that forgets after so long?
    #[arg(long_help = "\
        Would each established connection outlive a middlebox that forgets it after so much silence? \
        Needs two keepalive probes within the time, late timers counted in. Exit status 1 if any is at \
        risk")]
    #[arg(long, value_name = "DURATION", value_parser = positive)]
    pub survives: Option<Duration>,
    /// With --survives: exit status 2 if none is at risk but some are unknown
    #[arg(long, requires = "survives", hide_short_help = true)]
    pub strict: bool,
}

/// Which network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetnsTarget {
    /// That of this process.
    Pid(u32),
    /// The one that this file stands for.
    Path(PathBuf),
    /// One below /run/netns.
    Name(String),
}

impl FromStr for NetnsTarget {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match decimal(text) {
            Some(pid) => Self::Pid(pid),
            None if text.contains('/') => Self::Path(PathBuf::from(text)),
            None => Self::Name(text.to_owned()),
        })
    }
}

/// What is known of a socket's keepalive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeepaliveStatus {
    /// The keepalive timer runs
    On,
    /// No timer runs
    Off,
    /// The armed timer does not tell
    Unknown,
}

/// Where the sockets come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SourceChoice {
    /// sock_diag, or /proc where the kernel lacks it
    Auto,
    /// sock_diag
    Netlink,
    /// /proc/net/tcp and tcp6: no idle times, no cookies
    Proc,
}

/// What rows are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SortKey {
    /// The longest silence first
    Idle,
    /// At risk first, then unknown; the least margin first
    Risk,
    /// The name of the first holder
    Process,
    /// The name of the owner
    User,
    /// The TCP state
    State,
    /// The socket's own address
    Local,
    /// The peer's address
    Peer,
}

/// A column of the list of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Column {
    /// The TCP state
    State,
    /// The socket's own address
    Local,
    /// The peer's address
    Peer,
    /// on, off, or ? where the armed timer does not tell
    Keepalive,
    /// Silence so far, by tcp_info
    Idle,
    /// The armed timer, what is left of it, and retransmissions or unanswered probes
    Timer,
    /// The owner's name
    User,
    /// Every holder: name, pid and descriptor
    Process,
    /// TCP_KEEPIDLE/TCP_KEEPINTVL/TCP_KEEPCNT, then TCP_USER_TIMEOUT if set; * marks what is surely the
    /// socket's own, not the sysctl's
    Options,
    /// How soon it notices a silent peer, with every timer on time; >= with data in flight, whose retransmissions
    /// decide
    Notices,
    /// TCP_KEEPIDLE
    Keepidle,
    /// TCP_KEEPINTVL
    Interval,
    /// TCP_KEEPCNT
    Count,
    /// TCP_USER_TIMEOUT
    UserTimeout,
    /// The verdict of --survives and its reason
    Survives,
    /// The verdict's margin: how long before the time is up the second probe is sent
    Margin,
    /// The network namespace: its name, its container, or its number
    Netns,
    /// The receive queue in bytes; for a listener connections waiting
    RecvQ,
    /// The send queue in bytes; for a listener the limit of its queue
    SendQ,
    /// The owner's number
    Uid,
    /// The inode
    Inode,
    /// The kernel's unique number for the socket (SO_COOKIE)
    Cookie,
}

impl Column {
    /// Whether it shows what only --options reads.
    #[must_use]
    pub fn needs_options(self) -> bool {
        matches!(
            self,
            Self::Options
                | Self::Notices
                | Self::Keepidle
                | Self::Interval
                | Self::Count
                | Self::UserTimeout
        )
    }

    /// Whether it shows what only --survives judges.
    #[must_use]
    pub fn needs_verdict(self) -> bool {
        matches!(self, Self::Survives | Self::Margin)
    }
}

/// The names that a user may write for a state; clap then offers them, and the nearest to a mistyped one.
fn states() -> impl TypedValueParser<Value = StateSet> {
    let names = StateSet::names().map(|(name, others)| PossibleValue::new(name).aliases(others));
    PossibleValuesParser::new(names)
        .try_map(|name| StateSet::named(&name).ok_or("there is no such state"))
}

fn pid(text: &str) -> Result<u32, String> {
    decimal(text).ok_or_else(|| String::from("a process ID is a number; --process takes a name"))
}
