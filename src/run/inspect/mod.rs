//! Carries an inspection out: reads tunables, sockets and their holders, and hands each on as it
//! is read, so that memory does not grow with the number of sockets.

mod batch;
mod evidence;
mod namespaces;
mod owners;
mod source;

use std::io;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::live_options::{LiveOptions, Unread};
use crate::domain::notice::{self, Notice};
use crate::domain::socket::{Enabled, Socket, TimerKind};
use crate::domain::state::State;
use crate::domain::survival::{self, Armed, Verdict};
use crate::domain::tunables::Values;
use crate::domain::wheel::TickRate;
use crate::error::Error;
use crate::plan::inspect::Plan;
use crate::sys::holders::Holder;
use batch::Batch;
use evidence::Evidence;
use namespaces::{Found, Survey};
use owners::Owners;
use source::{Opened, Proc};

/// What an inspection finds, in this order for each namespace; sockets and gaps many times.
#[derive(Clone, Debug)]
pub(crate) enum Event<'a> {
    /// A network namespace whose sockets follow.
    Namespace(&'a Arc<Namespace>),
    /// A socket that passes the filter.
    Socket(Row<'a>),
    /// Something could not be read.
    Incomplete(Incomplete),
    /// Where the sockets of the namespace came from.
    Read(SourceUsed),
    /// The last event of a whole run.
    Done,
}

/// A network namespace: who it is, and its settings.
#[derive(Clone, Debug)]
pub(crate) struct Namespace {
    /// Its number, as in `net:[4026531840]`; `None` in a copy of /proc.
    pub(crate) id: Option<u64>,
    /// Whether it is the one that kalive runs in.
    pub(crate) own: bool,
    /// What ip-netns(8) calls it.
    pub(crate) names: Vec<String>,
    /// The container of a process in it, if it is not our own.
    pub(crate) container: Option<String>,
    /// How many processes were seen in it, and the first of them; only if all were looked at.
    pub(crate) processes: Vec<u32>,
    pub(crate) tunables: Arc<Values>,
    pub(crate) rate: TickRate,
}

/// A socket and what is known of its owner.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) socket: &'a Socket,
    pub(crate) namespace: &'a Arc<Namespace>,
    pub(crate) user: Option<&'a str>,
    pub(crate) held: Held<'a>,
    pub(crate) options: Options,
    /// Would it outlive the silence that was asked about? `None` if nobody asked, or for its state.
    pub(crate) verdict: Option<Verdict>,
}

impl Row<'_> {
    /// Whether SO_KEEPALIVE is set: by the option, else by what the armed timer tells of it.
    pub(crate) fn enabled(&self) -> Enabled {
        self.options.enabled(self.socket)
    }

    /// How soon it notices a silent peer; `None` in a state in which other timers decide.
    pub(crate) fn notice(&self) -> Option<Result<Notice, String>> {
        matches!(self.socket.state, State::Established | State::CloseWait).then(|| {
            let namespace = self.namespace;
            notice::notice(&self.evidence(), &namespace.tunables, namespace.rate)
        })
    }

    /// All that is known of its keepalive.
    pub(crate) fn evidence(&self) -> survival::Evidence {
        let timer = self.socket.timer;
        let armed = timer
            .expires
            .filter(|_| timer.kind == TimerKind::Keepalive)
            .map(|left| Armed {
                left,
                unanswered: timer.count,
            });
        survival::Evidence {
            enabled: self.enabled(),
            keepalive: match self.options {
                Options::Read(options) => Some(options.keepalive),
                Options::NotAsked | Options::Unknown(_) => None,
            },
            armed,
            suspended: matches!(timer.kind, TimerKind::Retransmit | TimerKind::Persist),
            silence: self.socket.idle(),
        }
    }
}

/// The socket's own options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Options {
    NotAsked,
    Read(LiveOptions),
    Unknown(Unread),
}

impl Options {
    fn enabled(&self, socket: &Socket) -> Enabled {
        match self {
            Self::Read(options) if options.enabled => Enabled::On,
            Self::Read(_) => Enabled::Off,
            Self::NotAsked | Self::Unknown(_) => socket.enabled(),
        }
    }
}

/// Who holds a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held<'a> {
    /// Was not asked for.
    NotAsked,
    /// The kernel has no descriptor for it any more, or not yet.
    NoDescriptor,
    /// At least these.
    By(&'a [Holder]),
    /// No process that could be read holds it.
    Unknown,
}

/// Where the sockets came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Source")]
pub(crate) enum SourceUsed {
    /// The kernel's NETLINK_SOCK_DIAG.
    Netlink,
    /// /proc/net/tcp and tcp6.
    Proc,
}

/// Something that could not be read, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Incomplete {
    /// What is missing from the result.
    pub(crate) what: String,
    /// Why.
    pub(crate) why: String,
    /// Whether sockets may be missing, and not only what is known of them.
    #[serde(skip)]
    pub(crate) hides_sockets: bool,
    /// The processes or threads concerned; absent where it is not about processes.
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

type Emit<'a> = &'a mut dyn FnMut(Event) -> Outcome<()>;
type Each<'a> = &'a mut dyn FnMut(&Socket, Emit) -> Outcome<()>;
type Outcome<T> = std::result::Result<T, Stop>;

/// Carries `plan` out. `emit` takes each event; an error or a wish to stop from it ends the run.
pub(crate) fn run(plan: &Plan, emit: Emit) -> Outcome<()> {
    let proc = Proc::of(&plan.source)?;
    let Survey { found, gaps } = namespaces::survey(plan, &proc)?;
    for gap in gaps {
        emit(Event::Incomplete(gap))?;
    }
    let several = found.len() > 1;
    let holders = if plan.read.owners {
        Some(proc.holders(&plan.filter)?)
    } else {
        None
    };
    let mut owners = Owners::new(plan, &proc, holders.as_ref())?;
    let mut evidence = Evidence::new(plan);
    for mut found in found {
        let reached = if several {
            let again = |found: &Found| namespaces::again(found, plan, &proc);
            namespaces::reach(&mut found, |found| open(plan, &proc, found), again)
        } else {
            open(plan, &proc, &found).map(Some)
        };
        let (namespace, opened) = match reached {
            Ok(Some(opened)) => opened,
            // Nobody lives there any more.
            Ok(None) => continue,
            Err(error) if several => {
                emit(Event::Incomplete(found.not_looked_into(error.to_string())))?;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        emit(Event::Namespace(&namespace))?;
        let mut batch = Batch::default();
        let mut show = |batch: &mut Batch, emit: Emit, owners: &mut Owners| -> Outcome<()> {
            evidence.read(batch);
            for (socket, holders, options) in batch.rows() {
                let row = owners.row(socket, &namespace, holders);
                let row = evidence.judge(Row { options, ..row });
                if plan.filter.passes_keepalive(row.enabled()) {
                    emit(Event::Socket(row))?;
                }
            }
            batch.clear();
            Ok(())
        };
        let size = batch_size(plan);
        let used = source::read_sockets(plan, opened, emit, &mut |socket, emit| {
            if !plan.filter.passes(socket) || !owners.pass(socket) {
                return Ok(());
            }
            batch.add(socket, owners.take_current());
            if batch.len() < size {
                return Ok(());
            }
            show(&mut batch, emit, &mut owners)
        });
        if used.is_ok() || several {
            show(&mut batch, emit, &mut owners)?;
        }
        match used {
            Ok(used) => emit(Event::Read(used))?,
            Err(Stop::Failed(error @ Error::System { .. })) if several => {
                emit(Event::Incomplete(found.not_looked_into(error.to_string())))?;
            }
            Err(stop) => return Err(stop),
        }
    }
    for gap in holders.iter().flat_map(owners::gaps).chain(evidence.gaps()) {
        emit(Event::Incomplete(gap))?;
    }
    emit(Event::Done)
}

/// How many sockets are looked at together. Reading options takes system calls that several threads make at
/// once; all else is shown as it comes.
fn batch_size(plan: &Plan) -> usize {
    if plan.read.options { 1024 } else { 1 }
}

/// Reads a namespace's settings and opens the sources of its sockets, which stay its own.
fn open(plan: &Plan, proc: &Proc, found: &Found) -> crate::error::Result<(Arc<Namespace>, Opened)> {
    let (tunables, opened) = found.within(|| (proc.tunables(), Opened::open(plan, proc)))?;
    let namespace = Namespace {
        id: found.id,
        own: found.own,
        names: found.names.clone(),
        container: found.container(),
        processes: found.processes.clone(),
        tunables: Arc::new(tunables),
        rate: proc.tick_rate(),
    };
    Ok((Arc::new(namespace), opened))
}
