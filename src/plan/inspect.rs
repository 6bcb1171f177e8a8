//! What an inspection reads and which sockets it is about.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::OutputChoice;
use crate::cli::inspect::{
    Column, InspectArgs, KeepaliveStatus, NetnsTarget, SortKey, SourceChoice,
};
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
    /// Whether they were asked for by name.
    pub(crate) columns_chosen: bool,
    pub(crate) read: Reading,
    /// The silence that established connections are judged by.
    pub(crate) survives: Option<Duration>,
    /// Whether an unknown verdict is a failure.
    pub(crate) strict: bool,
    pub(crate) namespaces: Namespaces,
    pub(crate) format: Format,
    /// What the rows are sorted by; `None`: shown as they come.
    pub(crate) sort: Option<SortKey>,
    /// How many programs are named.
    pub(crate) top: usize,
    /// How often to repeat; `None`: once.
    pub(crate) watch: Option<Duration>,
}

/// How the result is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Table,
    Json,
    Ndjson,
    /// A test for each connection that is judged.
    Junit,
    /// Metrics, to stdout or to this file.
    Openmetrics(Option<PathBuf>),
}

/// What is read of each socket beside what every source tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Whether to find out which processes hold it.
    pub(crate) owners: bool,
    /// Whether idle times are wanted.
    pub(crate) info: bool,
    /// Whether the options are read through the holders.
    pub(crate) options: bool,
}

impl Plan {
    /// Whether connections are counted by the processes that hold them.
    pub(crate) fn by_process(&self) -> bool {
        self.survives.is_some() || matches!(self.format, Format::Openmetrics(_))
    }
}

/// Which network namespaces are looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Namespaces {
    /// The one that this process lives in.
    Current,
    One(NetnsTarget),
    /// Each that can be found.
    All,
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
    /// Whether sockets of a loopback address are left out.
    pub(crate) no_loopback: bool,
}

impl Filter {
    /// Whether the socket passes what can be told from itself, but for its keepalive.
    pub(crate) fn passes(&self, socket: &Socket) -> bool {
        self.states.contains(socket.state)
            && any(&self.local, |pattern| pattern.matches(&socket.local))
            && any(&self.peer, |pattern| pattern.matches(&socket.peer))
            && !(self.no_loopback && socket.local.ip().to_canonical().is_loopback())
    }

    /// Whether a socket with this keepalive passes.
    pub(crate) fn passes_keepalive(&self, enabled: Enabled) -> bool {
        self.keepalive
            .is_none_or(|wanted| status(enabled) == wanted)
    }

    /// Whether it must be known who holds a socket.
    pub(crate) fn by_owner(&self) -> bool {
        self.pid.is_some() || self.process.is_some()
    }
}

/// The kernel keeps the first 15 bytes of a process's name (`TASK_COMM_LEN`), so that no more can be compared.
fn as_comm(name: &str) -> String {
    const LONGEST: usize = 15;
    let fits = |&(start, character): &(usize, char)| start + character.len_utf8() <= LONGEST;
    let kept = name.char_indices().take_while(fits);
    kept.map(|(_, character)| character).collect()
}

fn any<T>(alternatives: &[T], holds: impl FnMut(&T) -> bool) -> bool {
    alternatives.is_empty() || alternatives.iter().any(holds)
}

fn status(enabled: Enabled) -> KeepaliveStatus {
    match enabled {
        Enabled::On => KeepaliveStatus::On,
        Enabled::Off => KeepaliveStatus::Off,
        Enabled::Unknown(_) => KeepaliveStatus::Unknown,
    }
}

/// # Errors
/// When the arguments contradict each other.
pub(crate) fn plan(args: &InspectArgs, output: OutputChoice) -> Result<Plan> {
    let format = format(args, output)?;
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
        process: args.process.as_deref().map(as_comm),
        user: args.user.clone(),
        keepalive: args.keepalive,
        no_loopback: args.no_loopback,
    };
    let namespaces = match (&args.netns, args.all_netns) {
        (Some(target), _) => Namespaces::One(target.clone()),
        (None, true) => Namespaces::All,
        (None, false) => Namespaces::Current,
    };
    if let (Source::Copy(copy), Namespaces::One(_) | Namespaces::All) = (&source, &namespaces) {
        return Err(Error::Usage(format!(
            "--netns and --all-netns enter live namespaces, --proc {} is a copy of /proc: leave one of them out",
            copy.display()
        )));
    }
    if let (Source::Copy(copy), true) = (&source, args.options) {
        return Err(Error::Usage(format!(
            "--options asks live processes, --proc {} is a copy of /proc: leave one of them out",
            copy.display()
        )));
    }
    let columns = match &args.columns[..] {
        [] => default_columns(args, &filter, &namespaces),
        chosen => chosen.to_vec(),
    };
    let shows = |is: fn(Column) -> bool| args.sockets && columns.iter().any(|&column| is(column));
    if shows(Column::needs_verdict) && args.judge.survives.is_none() {
        return Err(Error::Usage(String::from(
            "the columns survives and margin need to know how much silence: add --survives, such as --survives 350s",
        )));
    }
    check_list(args)?;
    if args.top.is_some() && args.judge.survives.is_none() && output != OutputChoice::Openmetrics {
        return Err(Error::Usage(String::from(
            "--top is about connections by program: add --survives, such as --survives 350s, or -o openmetrics",
        )));
    }
    let sorts = |by| args.sort == Some(by);
    let metrics = matches!(format, Format::Openmetrics(_));
    let options = args.options || shows(Column::needs_options);
    let judged = args.judge.survives.is_some();
    Ok(Plan {
        list: args.sockets,
        read: Reading {
            owners: filter.by_owner()
                || options
                || judged
                || metrics
                || sorts(SortKey::Process)
                || shows(|column| column == Column::Process),
            // A document has all, whatever a table would show.
            info: judged
                || (args.sockets && matches!(format, Format::Json | Format::Ndjson))
                || sorts(SortKey::Idle)
                || shows(|column| column == Column::Idle),
            options,
        },
        filter,
        source,
        columns,
        columns_chosen: !args.columns.is_empty(),
        survives: args.judge.survives,
        strict: args.judge.strict,
        namespaces,
        format,
        sort: args.sort,
        top: args.top.unwrap_or(TOP),
        watch: args.watch,
    })
}

fn format(args: &InspectArgs, output: OutputChoice) -> Result<Format> {
    let wrong = |why: &str| Err(Error::Usage(String::from(why)));
    if args.watch.is_some_and(|period| period < SHORTEST_WATCH) {
        return wrong("--watch repeats every 100ms at the most often: give a longer time");
    }
    let watched = args.watch.is_some();
    match (output, &args.textfile) {
        (OutputChoice::Openmetrics, _) if args.sockets => {
            wrong("-o openmetrics counts sockets, -s lists them: leave one of them out")
        }
        (OutputChoice::Openmetrics, None) if watched => wrong(
            "-o openmetrics with --watch needs a file to write again and again: add --textfile PATH",
        ),
        (OutputChoice::Openmetrics, file) => Ok(Format::Openmetrics(file.clone())),
        (_, Some(_)) => wrong("--textfile is for metrics: add -o openmetrics"),
        (OutputChoice::Junit, None) if watched => {
            wrong("-o junit is one document, --watch many: take -o ndjson")
        }
        (OutputChoice::Junit, None) if args.judge.survives.is_none() => {
            wrong("-o junit needs something to be judged: add --survives, such as --survives 350s")
        }
        (OutputChoice::Junit, None) => Ok(Format::Junit),
        (OutputChoice::Json, None) if watched => {
            wrong("-o json is one document, --watch many: take -o ndjson")
        }
        (OutputChoice::Table, None) => Ok(Format::Table),
        (OutputChoice::Json, None) => Ok(Format::Json),
        (OutputChoice::Ndjson, None) => Ok(Format::Ndjson),
    }
}

/// How many programs are named unless told otherwise.
const TOP: usize = 15;

/// More often than this a watch would do little else.
const SHORTEST_WATCH: Duration = Duration::from_millis(100);

/// What is about the rows of a list wants a list.
fn check_list(args: &InspectArgs) -> Result<()> {
    let wrong = |why: &str| Err(Error::Usage(String::from(why)));
    if !args.columns.is_empty() && !args.sockets {
        return wrong("--columns is about the rows of -s: add -s");
    }
    match args.sort {
        Some(_) if !args.sockets => wrong("--sort is about the rows of -s: add -s"),
        Some(SortKey::Risk) if args.judge.survives.is_none() => wrong(
            "--sort risk needs to know how much silence: add --survives, such as --survives 350s",
        ),
        Some(_) | None => Ok(()),
    }
}

/// What -s shows unless asked otherwise: what was asked for beside it, as far as it fits 80 columns.
fn default_columns(args: &InspectArgs, filter: &Filter, namespaces: &Namespaces) -> Vec<Column> {
    let judged = args.judge.survives.is_some();
    let only_established = filter.states == StateSet::from(State::Established);
    let wanted = |column: &Column| match column {
        // All would say the same.
        Column::State => !only_established || !judged && !args.options,
        Column::Options | Column::Notices => args.options && !judged,
        Column::Survives | Column::Margin => judged,
        Column::Netns => *namespaces == Namespaces::All,
        // What the options or the verdict say, these would only say again.
        Column::Keepalive | Column::Idle | Column::Timer | Column::User => !judged && !args.options,
        Column::Local | Column::Peer | Column::Process => true,
        Column::Keepidle
        | Column::Interval
        | Column::Count
        | Column::UserTimeout
        | Column::RecvQ
        | Column::SendQ
        | Column::Uid
        | Column::Inode
        | Column::Cookie => false,
    };
    [
        Column::State,
        Column::Local,
        Column::Peer,
        Column::Keepalive,
        Column::Idle,
        Column::Timer,
        Column::Options,
        Column::Notices,
        Column::Survives,
        Column::Margin,
        Column::User,
        Column::Netns,
        Column::Process,
    ]
    .into_iter()
    .filter(wanted)
    .collect()
}

#[cfg(test)]
mod tests;
