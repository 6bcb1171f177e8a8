//! Carries an inspection out: reads tunables, sockets and their holders, and hands each on as it
//! is read, so that memory does not grow with the number of sockets.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};
use serde::Serialize;

use crate::domain::socket::Socket;
use crate::domain::tunables::Values;
use crate::domain::wheel::TickRate;
use crate::error::{During as _, Error, Result};
use crate::plan::inspect::{Filter, Plan, Source};
use crate::sys::holders::{Holder, Holders};
use crate::sys::netlink::DumpLoss;
use crate::sys::sock_diag::{self, Query};
use crate::sys::{proc_net, sysctl, tick};

/// What an inspection finds, in this order; sockets and gaps many times.
#[derive(Clone, Debug)]
pub(crate) enum Event<'a> {
    /// The settings of the network namespace.
    Settings { tunables: Values, rate: TickRate },
    /// A socket that passes the filter.
    Socket(Row<'a>),
    /// Something could not be read.
    Incomplete(Incomplete),
    /// Where the sockets came from; the last event of a whole run.
    Done(SourceUsed),
}

/// A socket and what is known of its owner.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) socket: &'a Socket,
    pub(crate) user: Option<&'a str>,
    pub(crate) held: Held<'a>,
}

/// Who holds a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held<'a> {
    /// Was not asked for.
    NotAsked,
    /// The kernel has no descriptor for it any more, or not yet.
    NoDescriptor,
    /// At least these.
    By(&'a [Holder<'a>]),
    /// No process that could be read holds it.
    Unknown,
}

/// Where the sockets came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SourceUsed {
    /// The kernel's NETLINK_SOCK_DIAG.
    Netlink,
    /// /proc/net/tcp and tcp6.
    Proc,
}

/// Something that could not be read, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Incomplete {
    /// What is missing from the result.
    pub(crate) what: String,
    /// Why.
    pub(crate) why: String,
    /// The processes or threads concerned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) pids: Vec<u32>,
}

/// Why a run ended before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    Failed(Error),
    /// The run was asked to stop.
    Interrupted,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<io::Error> for Stop {
    fn from(cause: io::Error) -> Self {
        let operation = String::from("dumping TCP sockets with NETLINK_SOCK_DIAG");
        Self::Failed(Error::System { operation, cause })
    }
}

/// Carries `plan` out. `emit` takes each event; an error or a wish to stop from it ends the run.
pub(crate) fn run(
    plan: &Plan,
    emit: &mut dyn FnMut(Event) -> std::result::Result<(), Stop>,
) -> std::result::Result<(), Stop> {
    let proc = Proc::of(&plan.source)?;
    emit(Event::Settings {
        tunables: Values::read(|tunable| proc.tunable(tunable.path)),
        rate: proc.tick_rate(),
    })?;
    let holders = if plan.owners {
        Some(proc.holders(&plan.filter)?)
    } else {
        None
    };
    let mut owners = Owners::new(plan, &proc, holders.as_ref())?;
    let used = read_sockets(plan, &proc, emit, &mut |socket, emit| {
        if !plan.filter.passes(socket) || !owners.pass(socket) {
            return Ok(());
        }
        emit(Event::Socket(owners.row(socket)))
    })?;
    for (why, pids) in holders.iter().flat_map(|holders| &holders.unreadable) {
        emit(Event::Incomplete(Incomplete {
            what: match pids.len() {
                1 => String::from("which sockets 1 process holds"),
                several => format!("which sockets {several} processes hold"),
            },
            why: why.clone(),
            pids: pids.clone(),
        }))?;
    }
    emit(Event::Done(used))
}

type Emit<'a> = &'a mut dyn FnMut(Event) -> std::result::Result<(), Stop>;
type Each<'a> = &'a mut dyn FnMut(&Socket, Emit) -> std::result::Result<(), Stop>;

/// Reads all sockets from the planned source, or from /proc where the kernel has no sock_diag.
fn read_sockets(
    plan: &Plan,
    proc: &Proc,
    emit: Emit,
    each: Each,
) -> std::result::Result<SourceUsed, Stop> {
    let mut seen = false;
    let refused = match plan.source {
        Source::Proc | Source::Copy(_) => None,
        Source::Auto | Source::Netlink => {
            let mut first = |socket: &Socket, emit: Emit| {
                seen = true;
                each(socket, emit)
            };
            match dump_sockets(plan, emit, &mut first) {
                Ok(()) => return Ok(SourceUsed::Netlink),
                Err(Stop::Failed(error @ Error::System { .. })) => Some(error),
                Err(stop) => return Err(stop),
            }
        }
    };
    match (refused, &plan.source) {
        // Half a dump and then a whole table would count sockets twice.
        (Some(error), Source::Netlink) => return Err(error.into()),
        (Some(error), _) if seen => return Err(error.into()),
        (Some(error), _) => emit(Event::Incomplete(Incomplete {
            what: String::from(
                "idle times and cookies, because the sockets come from /proc/net/tcp",
            ),
            why: error.to_string(),
            pids: Vec::new(),
        }))?,
        (None, _) => {}
    }
    read_tables(proc, emit, each)?;
    Ok(SourceUsed::Proc)
}

fn dump_sockets(plan: &Plan, emit: Emit, each: Each) -> std::result::Result<(), Stop> {
    let query = Query {
        states: plan.filter.states,
        local: &plan.filter.local,
        peer: &plan.filter.peer,
        info: plan.info,
    };
    let loss = sock_diag::dump(&query, |socket| each(socket, &mut *emit))?;
    if let Some(why) = describe(loss) {
        let what = String::from("some sockets, perhaps");
        emit(Event::Incomplete(Incomplete {
            what,
            why,
            pids: Vec::new(),
        }))?;
    }
    Ok(())
}

fn describe(loss: DumpLoss) -> Option<String> {
    let mut reasons = Vec::new();
    if loss.interrupted {
        reasons.push(String::from("the kernel's table changed during the dump"));
    }
    if loss.truncated > 0 {
        reasons.push(format!(
            "{} datagrams of the dump were cut short",
            loss.truncated
        ));
    }
    if loss.malformed > 0 {
        reasons.push(format!(
            "{} messages of the dump made no sense",
            loss.malformed
        ));
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

fn read_tables(proc: &Proc, emit: Emit, each: Each) -> std::result::Result<(), Stop> {
    for name in ["tcp", "tcp6"] {
        let path = proc.root.join("net").join(name);
        let table = match File::open(&path) {
            Ok(table) => BufReader::new(table),
            // A kernel without IPv6 has no tcp6, and nothing is missing.
            Err(error) if name == "tcp6" && error.kind() == io::ErrorKind::NotFound => {
                continue;
            }
            Err(error) => Err(error).during(|| format!("open {}", path.display()))?,
        };
        let loss = proc_net::read(table, |socket| each(socket, &mut *emit))?;
        if let Some(first) = loss.first_malformed {
            emit(Event::Incomplete(Incomplete {
                what: format!("{} of the lines of {}", loss.malformed, path.display()),
                why: format!("malformed, the first is line {first}"),
                pids: Vec::new(),
            }))?;
        }
        if loss.repeated > 0 {
            emit(Event::Incomplete(Incomplete {
                what: String::from("some sockets, perhaps"),
                why: format!(
                    "{} changed while it was read: {} lines came twice and were counted once",
                    path.display(),
                    loss.repeated
                ),
                pids: Vec::new(),
            }))?;
        }
    }
    Ok(())
}

/// A /proc directory: the live one, or a copy.
struct Proc {
    root: PathBuf,
    live: bool,
}

impl Proc {
    fn of(source: &Source) -> Result<Self> {
        let (root, live) = match source {
            Source::Auto | Source::Netlink | Source::Proc => (Path::new("/proc"), true),
            Source::Copy(copy) => (copy.as_path(), false),
        };
        if !root.is_dir() {
            return Err(Error::Usage(format!(
                "{} is not a directory: --proc takes a copy of /proc, in which net/tcp is",
                root.display()
            )));
        }
        Ok(Self {
            root: root.to_owned(),
            live,
        })
    }

    fn tunable(&self, path: &str) -> std::result::Result<u64, String> {
        match sysctl::number(&self.root, path) {
            Ok(Some(value)) => Ok(value),
            Ok(None) if self.live => Err(String::from(
                "this kernel has none, or its module is not loaded",
            )),
            Ok(None) => Err(String::from("not in this copy of /proc")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// A copy does not tell the tick rate of its machine.
    fn tick_rate(&self) -> TickRate {
        if self.live {
            tick::rate()
        } else {
            TickRate::Unknown
        }
    }

    fn holders(&self, filter: &Filter) -> Result<Holders> {
        let holders = Holders::scan(&self.root, self.live)
            .during(|| format!("listing the processes in {}", self.root.display()))?;
        let Some(pid) = filter.pid else {
            return Ok(holders);
        };
        if !self.root.join(pid.to_string()).is_dir() {
            return Err(Error::Usage(format!("there is no process {pid}")));
        }
        match holders
            .unreadable
            .iter()
            .find(|(_, pids)| pids.contains(&pid))
        {
            Some((why, _)) => Err(Error::Unsupported(format!(
                "the descriptors of process {pid} cannot be read: {why}; run as its user or with sudo"
            ))),
            None => Ok(holders),
        }
    }
}

/// Resolves who owns sockets, and filters by it.
struct Owners<'a> {
    filter: &'a Filter,
    uid: Option<u32>,
    holders: Option<&'a Holders>,
    /// The holders of the socket at hand.
    current: Vec<Holder<'a>>,
    /// Whether user names of this machine apply.
    live: bool,
    names: HashMap<u32, Option<String>>,
}

impl<'a> Owners<'a> {
    fn new(plan: &'a Plan, proc: &Proc, holders: Option<&'a Holders>) -> Result<Self> {
        Ok(Self {
            filter: &plan.filter,
            uid: plan.filter.user.as_deref().map(uid_of).transpose()?,
            holders,
            current: Vec::new(),
            live: proc.live,
            names: HashMap::new(),
        })
    }

    /// Whether the socket's owner passes the filter. Looks the holders up for [`Self::row`].
    fn pass(&mut self, socket: &Socket) -> bool {
        self.current.clear();
        if let (Some(holders), Some(inode)) = (self.holders, socket.inode) {
            self.current.extend(holders.of(inode));
        }
        self.uid.is_none_or(|uid| socket.uid == Some(uid))
            && self.held_by(self.filter.pid.as_ref(), |holder, pid| holder.pid == *pid)
            && self.held_by(self.filter.process.as_ref(), |holder, name| {
                holder.name == name
            })
    }

    fn held_by<T>(&self, wanted: Option<&T>, is: impl Fn(&Holder, &T) -> bool) -> bool {
        wanted.is_none_or(|wanted| self.current.iter().any(|holder| is(holder, wanted)))
    }

    fn row<'b>(&'b mut self, socket: &'b Socket) -> Row<'b> {
        let held = match (self.holders, socket.inode) {
            (None, _) => Held::NotAsked,
            (Some(_), None) => Held::NoDescriptor,
            (Some(_), Some(_)) if self.current.is_empty() => Held::Unknown,
            (Some(_), Some(_)) => Held::By(&self.current),
        };
        let live = self.live;
        let user = socket.uid.filter(|_| live).and_then(|uid| {
            self.names
                .entry(uid)
                .or_insert_with(|| name_of(uid))
                .as_deref()
        });
        Row { socket, user, held }
    }
}

fn name_of(uid: u32) -> Option<String> {
    User::from_uid(Uid::from_raw(uid))
        .ok()
        .flatten()
        .map(|user| user.name)
}

fn uid_of(user: &str) -> Result<u32> {
    if let Ok(uid) = user.parse() {
        return Ok(uid);
    }
    match User::from_name(user).during(|| format!("looking up the user {user}"))? {
        Some(user) => Ok(user.uid.as_raw()),
        None => Err(Error::Usage(format!(
            "there is no user '{user}': give a name or a number"
        ))),
    }
}
