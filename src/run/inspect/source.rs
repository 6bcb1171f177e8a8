//! Where sockets, tunables and owners are read: sock_diag, the live /proc, or a copy of one.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use super::{Each, Emit, Event, Incomplete, Outcome, SourceUsed, Stop};
use crate::domain::socket::Socket;
use crate::domain::tunables::Values;
use crate::domain::wheel::TickRate;
use crate::error::{During as _, Error, Result};
use crate::plan::inspect::{Filter, Plan, Source};
use crate::sys::holders::{self, Holders};
use crate::sys::netlink::{self, DumpLoss};
use crate::sys::sock_diag::{self, Query};
use crate::sys::{file, proc_net, sysctl, tick};

/// The sources of one namespace, opened in it; they stay that namespace's wherever they are read.
pub(super) struct Opened {
    kernel: io::Result<netlink::Socket>,
    tables: Vec<Table>,
}

/// A table of sockets, or why it could not be opened; `None` where the kernel, or the copy, has none.
struct Table {
    path: PathBuf,
    file: io::Result<Option<File>>,
}

impl Opened {
    /// Opens what the plan needs, in the namespace of the calling thread.
    pub(super) fn open(plan: &Plan, proc: &Proc) -> Self {
        let kernel = match plan.source {
            Source::Auto | Source::Netlink => sock_diag::open(),
            Source::Proc | Source::Copy(_) => Err(io::ErrorKind::Unsupported.into()),
        };
        let tables = match plan.source {
            Source::Netlink => Vec::new(),
            Source::Auto | Source::Proc | Source::Copy(_) => ["tcp", "tcp6"]
                .map(|name| Table::open(&proc.net(), name))
                .into(),
        };
        Self { kernel, tables }
    }
}

impl Table {
    fn open(directory: &Path, name: &str) -> Self {
        let path = directory.join(name);
        let file = match file::open(&path) {
            // A kernel without IPv6 has no tcp6, and nothing is missing.
            Err(error) if name == "tcp6" && error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        };
        Self { path, file }
    }
}

/// Reads all sockets from the planned source, or from /proc where the kernel has no sock_diag.
pub(super) fn read_sockets(
    plan: &Plan,
    opened: Opened,
    emit: Emit,
    each: Each,
) -> Outcome<SourceUsed> {
    let mut seen = false;
    let refused = match plan.source {
        Source::Proc | Source::Copy(_) => None,
        Source::Auto | Source::Netlink => {
            let mut first = |socket: &Socket, emit: Emit| {
                seen = true;
                each(socket, emit)
            };
            match dump_sockets(plan, opened.kernel, emit, &mut first) {
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
            hides_sockets: false,
            pids: Vec::new(),
        }))?,
        (None, _) => {}
    }
    read_tables(&plan.source, opened.tables, emit, each)?;
    Ok(SourceUsed::Proc)
}

fn dump_sockets(
    plan: &Plan,
    kernel: io::Result<netlink::Socket>,
    emit: Emit,
    each: Each,
) -> Outcome<()> {
    let query = Query {
        states: plan.filter.states,
        local: &plan.filter.local,
        peer: &plan.filter.peer,
        info: plan.read.info,
    };
    let loss = sock_diag::dump(&mut kernel?, &query, |socket| each(socket, &mut *emit))?;
    if let Some(why) = describe(loss) {
        let what = String::from("some sockets, perhaps");
        emit(Event::Incomplete(Incomplete {
            what,
            why,
            hides_sockets: true,
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

fn read_tables(source: &Source, tables: Vec<Table>, emit: Emit, each: Each) -> Outcome<()> {
    for Table { path, file } in tables {
        let Some(file) = file.during(|| format!("open {}", path.display()))? else {
            // Only of the live kernel a missing table tells that there is no IPv6.
            if let Source::Copy(_) = source {
                emit(Event::Incomplete(Incomplete {
                    what: String::from("the IPv6 sockets"),
                    why: format!("{} is not in this copy of /proc", path.display()),
                    hides_sockets: true,
                    pids: Vec::new(),
                }))?;
            }
            continue;
        };
        let table = BufReader::new(file);
        let loss = proc_net::read(table, |socket| each(socket, &mut *emit))?;
        if let Some(first) = loss.first_malformed {
            emit(Event::Incomplete(Incomplete {
                what: format!("{} of the lines of {}", loss.malformed, path.display()),
                why: format!("malformed, the first is line {first}"),
                hides_sockets: true,
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
                hides_sockets: true,
                pids: Vec::new(),
            }))?;
        }
    }
    Ok(())
}

/// A /proc directory: the live one, or a copy.
pub(super) struct Proc {
    pub(super) root: PathBuf,
    pub(super) live: bool,
}

impl Proc {
    pub(super) fn of(source: &Source) -> Result<Self> {
        let (root, live) = match source {
            Source::Auto | Source::Netlink | Source::Proc => (Path::new("/proc"), true),
            Source::Copy(copy) => (copy.as_path(), false),
        };
        let wrong = |what: &str| {
            Err(Error::Usage(format!(
                "{} {what}: --proc takes a copy of /proc, in which net/tcp is",
                root.display()
            )))
        };
        if !root.is_dir() {
            return wrong("is not a directory");
        }
        let is_proc = |table: &&str| root.join(table).exists();
        if !live && !["net/tcp", "net/tcp6"].iter().any(is_proc) {
            return wrong("has no net/tcp");
        }
        Ok(Self {
            root: root.to_owned(),
            live,
        })
    }

    /// The settings of the calling thread's network namespace.
    pub(super) fn tunables(&self) -> Values {
        Values::read(|tunable| self.tunable(tunable.path))
    }

    /// Where the tables of sockets are. Each thread has its own, which /proc/net is not.
    fn net(&self) -> PathBuf {
        if self.live {
            self.root.join("thread-self/net")
        } else {
            self.root.join("net")
        }
    }

    /// The numbers of all processes.
    pub(super) fn processes(&self) -> io::Result<Vec<u32>> {
        holders::numeric_entries(&self.root)
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
    pub(super) fn tick_rate(&self) -> TickRate {
        if self.live {
            tick::rate()
        } else {
            TickRate::Unknown
        }
    }

    pub(super) fn holders(&self, filter: &Filter) -> Result<Holders> {
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
