//! The arguments of `kalive inspect`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::domain::address::AddressPattern;
use crate::domain::state::StateSet;

const EXAMPLES: &str = "\
Examples:
  kalive inspect                          settings, states, and how connections are protected
  kalive inspect -s                       every established connection with its keepalive and owner
  kalive inspect -s --process postgres    those of one program
  kalive inspect -s --peer :5432 --keepalive off
  kalive inspect -o json | jq .detection  for scripts";

/// What `kalive inspect` was asked.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct InspectArgs {
    /// List the sockets, one a row
    #[arg(short, long)]
    pub sockets: bool,

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
    /// What -s shows unless asked otherwise.
    pub const DEFAULT: [Self; 8] = [
        Self::State,
        Self::Local,
        Self::Peer,
        Self::Keepalive,
        Self::Idle,
        Self::Timer,
        Self::User,
        Self::Process,
    ];
}

fn states(name: &str) -> Result<StateSet, String> {
    StateSet::named(name).ok_or_else(|| {
        let names: Vec<String> = crate::domain::state::State::known()
            .map(|state| state.to_string().to_lowercase())
            .collect();
        format!("no such state: write all, {}", names.join(", "))
    })
}
