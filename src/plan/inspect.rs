//! What an inspection reads and which sockets it is about.

use std::path::PathBuf;

use crate::cli::inspect::{Column, InspectArgs, KeepaliveStatus, SourceChoice};
use crate::domain::address::AddressPattern;
use crate::domain::socket::{Enabled, Socket};
use crate::domain::state::{State, StateSet};
use crate::error::{Error, Result};

/// An inspection to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Whether each socket is wanted, and not only the counts.
    pub(crate) list: bool,
    pub(crate) filter: Filter,
    pub(crate) source: Source,
    /// The columns of the list.
    pub(crate) columns: Vec<Column>,
    /// Whether to find out which processes hold the sockets.
    pub(crate) owners: bool,
    /// Whether idle times are wanted.
    pub(crate) info: bool,
}

/// Where sockets, tunables and owners are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The live system: by sock_diag, else /proc.
    Auto,
    /// The live system, by sock_diag only.
    Netlink,
    /// The live /proc only.
    Proc,
    /// A copy of some machine's /proc.
    Copy(PathBuf),
}

/// Which sockets count: those that pass every part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) states: StateSet,
    /// Any of these; empty: all.
    pub(crate) local: Vec<AddressPattern>,
    /// Any of these; empty: all.
    pub(crate) peer: Vec<AddressPattern>,
    pub(crate) pid: Option<u32>,
    pub(crate) process: Option<String>,
    /// By name or number, as given.
    pub(crate) user: Option<String>,
    pub(crate) keepalive: Option<KeepaliveStatus>,
}

impl Filter {
    /// Whether the socket passes what can be told from itself.
    pub(crate) fn passes(&self, socket: &Socket) -> bool {
        self.states.contains(socket.state)
            && any(&self.local, |pattern| pattern.matches(&socket.local))
            && any(&self.peer, |pattern| pattern.matches(&socket.peer))
            && self.keepalive.is_none_or(|wanted| status(socket) == wanted)
    }

    /// Whether it must be known who holds a socket.
    pub(crate) fn by_owner(&self) -> bool {
        self.pid.is_some() || self.process.is_some()
    }
}

fn any<T>(alternatives: &[T], holds: impl FnMut(&T) -> bool) -> bool {
    alternatives.is_empty() || alternatives.iter().any(holds)
}

fn status(socket: &Socket) -> KeepaliveStatus {
    match socket.enabled() {
        Enabled::On => KeepaliveStatus::On,
        Enabled::Off => KeepaliveStatus::Off,
        Enabled::Unknown(_) => KeepaliveStatus::Unknown,
    }
}

/// # Errors
/// When the arguments contradict each other.
pub(crate) fn plan(args: &InspectArgs) -> Result<Plan> {
    let source = match (args.source, &args.proc) {
        (SourceChoice::Netlink, Some(copy)) => {
            return Err(Error::Usage(format!(
                "--source netlink reads the live kernel, --proc {} a copy of /proc: leave one of them out",
                copy.display()
            )));
        }
        (_, Some(copy)) => Source::Copy(copy.clone()),
        (SourceChoice::Auto, None) => Source::Auto,
        (SourceChoice::Netlink, None) => Source::Netlink,
        (SourceChoice::Proc, None) => Source::Proc,
    };
    let filter = Filter {
        states: match (&args.state[..], args.sockets) {
            ([], false) => StateSet::ALL,
            ([], true) => StateSet::from(State::Established),
            (states, _) => states.iter().copied().collect(),
        },
        local: args.local.clone(),
        peer: args.peer.clone(),
        pid: args.pid,
        process: args.process.clone(),
        user: args.user.clone(),
        keepalive: args.keepalive,
    };
    let columns = match &args.columns[..] {
        [] => Column::DEFAULT.to_vec(),
        chosen => chosen.to_vec(),
    };
    let owners = filter.by_owner() || args.sockets && columns.contains(&Column::Process);
    let info = args.sockets && columns.contains(&Column::Idle);
    Ok(Plan {
        list: args.sockets,
        filter,
        source,
        columns,
        owners,
        info,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn planned(line: &str) -> Result<Plan> {
        let words = ["kalive", "inspect"]
            .into_iter()
            .chain(line.split_whitespace());
        match Cli::try_parse_from(words).unwrap().command {
            Command::Inspect(args) => plan(&args),
            other => panic!("not an inspection: {other:?}"),
        }
    }

    fn summary() -> Plan {
        Plan {
            list: false,
            filter: Filter {
                states: StateSet::ALL,
                local: Vec::new(),
                peer: Vec::new(),
                pid: None,
                process: None,
                user: None,
                keepalive: None,
            },
            source: Source::Auto,
            columns: Column::DEFAULT.to_vec(),
            owners: false,
            info: false,
        }
    }

    #[test]
    fn without_options_only_counts_are_wanted() {
        assert_eq!(planned("").unwrap(), summary());
    }

    #[test]
    fn a_list_is_of_established_connections() {
        let plan = planned("-s").unwrap();
        assert_eq!(plan.filter.states, StateSet::from(State::Established));
        assert!(plan.owners && plan.info);
    }

    #[test]
    fn owners_and_idle_times_are_read_only_if_needed() {
        let needs = |line| planned(line).map(|plan| (plan.owners, plan.info)).unwrap();
        assert_eq!(needs("-s --columns local,peer"), (false, false));
        assert_eq!(needs("-s --columns local,idle"), (false, true));
        assert_eq!(needs("-s --columns local --pid 1"), (true, false));
        assert_eq!(needs("--process sshd"), (true, false));
    }

    #[test]
    fn a_copy_of_proc_is_read_as_proc() {
        let copy = Source::Copy(PathBuf::from("/tmp/x"));
        assert_eq!(planned("--proc /tmp/x").unwrap().source, copy);
        assert_eq!(planned("--proc /tmp/x --source proc").unwrap().source, copy);
        let error = planned("--proc /tmp/x --source netlink").unwrap_err();
        assert!(matches!(error, Error::Usage(_)), "{error}");
    }
}
