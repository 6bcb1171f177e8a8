//! The arguments of `kalive inspect`.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::values::duration;
use crate::domain::address::AddressPattern;
use crate::domain::digits::decimal;
use crate::domain::state::StateSet;

const EXAMPLES: &str = "\
Examples:
  kalive inspect                          settings, states, and how connections are protected
  kalive inspect -s                       every established connection with its keepalive and owner
  kalive inspect -s --process postgres    those of one program
  kalive inspect -s --peer :5432 --keepalive off
  kalive inspect -s --options             what each socket itself has set, and what follows the sysctls
  sudo kalive inspect -s --options --survives 350s --all-netns
                                          who would die silently behind a firewall that forgets after 350 s
  kalive inspect -o json | jq .detection  for scripts";

/// What `kalive inspect` was asked.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct InspectArgs {
    /// List the sockets, one a row
    #[arg(short, long)]
    pub sockets: bool,

    /// Read each socket's own SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT and TCP_USER_TIMEOUT
    /// through a process that holds it (Linux 5.6, and the rights of ptrace); nothing is changed
    #[arg(long)]
    pub options: bool,
    /// What is judged.
    #[command(flatten)]
    pub judge: JudgeArgs,

    /// Only sockets in these states: established, listen, time-wait, ... or all [default: all, with -s
    /// established]
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = states, help_heading = "Filters")]
    pub state: Vec<StateSet>,
    /// Only sockets with this local ADDRESS, ADDRESS/LENGTH, :PORT or ADDRESS:PORT; repeat for any of several
    #[arg(long, value_name = "ADDR", help_heading = "Filters")]
    pub local: Vec<AddressPattern>,
    /// Only sockets with this peer; written like --local
    #[arg(long, value_name = "ADDR", help_heading = "Filters")]
    pub peer: Vec<AddressPattern>,
    /// Only sockets that this process holds
    #[arg(long, help_heading = "Filters")]
    pub pid: Option<u32>,
    /// Only sockets that a process of this name holds
    #[arg(long, value_name = "NAME", help_heading = "Filters")]
    pub process: Option<String>,
    /// Only sockets of this user, by name or number
    #[arg(long, help_heading = "Filters")]
    pub user: Option<String>,
    /// Only sockets whose keepalive timer runs, does not run, or is hidden
    #[arg(long, value_enum, value_name = "STATUS", help_heading = "Filters")]
    pub keepalive: Option<KeepaliveStatus>,

    /// Look into another network namespace: that of a process, a path, or a name that ip-netns(8) knows
    #[arg(
        long,
        value_name = "PID|PATH|NAME",
        conflicts_with = "all_netns",
        help_heading = "Source"
    )]
    pub netns: Option<NetnsTarget>,
    /// Look into every network namespace that a process lives in or ip-netns(8) keeps
    #[arg(long, help_heading = "Source")]
    pub all_netns: bool,
    /// Where the sockets come from: the kernel's sock_diag, or /proc/net/tcp and tcp6
    #[arg(long, value_enum, default_value_t = SourceChoice::Auto, help_heading = "Source")]
    pub source: SourceChoice,
    /// Read this copy of /proc instead of the live one; implies --source proc
    #[arg(long, value_name = "DIR", help_heading = "Source")]
    pub proc: Option<PathBuf>,

    /// Which columns -s shows, in which order; owners are looked up only if one needs them
    #[arg(
        long,
        value_enum,
        value_name = "COLUMN",
        value_delimiter = ',',
        help_heading = "Output"
    )]
    pub columns: Vec<Column>,
    /// Sort the rows of -s; they then take memory, and come at the end
    #[arg(long, value_enum, value_name = "KEY", help_heading = "Output")]
    pub sort: Option<SortKey>,
    /// How many programs are named in summaries and metrics; the rest is summed up
    #[arg(long, value_name = "N", default_value_t = 15, help_heading = "Output")]
    pub top: usize,
    /// Repeat so often: in place on a terminal, where ~ marks what changed, else as NDJSON
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Output")]
    pub watch: Option<Duration>,
    /// Write -o openmetrics to this file, atomically
    #[arg(long, value_name = "PATH", help_heading = "Output")]
    pub textfile: Option<PathBuf>,
}

/// The question of a middlebox that forgets.
#[derive(Clone, Copy, Debug, Args)]
pub struct JudgeArgs {
    /// Would each established connection outlive a middlebox that forgets it after so much silence? Needs
    /// two keepalive probes within the time, late timers counted in. Exit status 1 if any is at risk
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub survives: Option<Duration>,
    /// With --survives: exit status 2 if none is at risk but some are unknown
    #[arg(long, requires = "survives")]
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
            Self::Options | Self::Keepidle | Self::Interval | Self::Count | Self::UserTimeout
        )
    }

    /// Whether it shows what only --survives judges.
    #[must_use]
    pub fn needs_verdict(self) -> bool {
        matches!(self, Self::Survives | Self::Margin)
    }
}

fn states(name: &str) -> Result<StateSet, String> {
    StateSet::named(name).ok_or_else(|| {
        let names: Vec<String> = crate::domain::state::State::known()
            .map(|state| state.to_string().to_lowercase())
            .collect();
        format!("no such state: write all, {}", names.join(", "))
    })
}
