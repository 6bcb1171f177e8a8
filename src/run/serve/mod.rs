//! The far end: accepts, greets, echoes, speaks when a control connection asks, and tells what it sees as
//! events. One thread, one epoll. Whoever is slow or hostile costs nothing but his own session.

mod accept;
mod ages;
mod control;
mod session;
mod slot;
mod speaking;
mod table;
mod turns;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use socket2::{Domain, Socket, Type};

use crate::domain::moment::Moment;
use crate::domain::serve::Outcome;
use crate::error::{During as _, Error, Result};
use crate::plan::serve::Plan;
use crate::sys::clock;
use crate::sys::limits;
use crate::sys::reactor::{Interest, Reactor, Ready};
use crate::sys::signals::Interrupt;

use ages::Ages;
use slot::Slot;
use table::Table;
use turns::Turns;

/// More than one client opens at once: a full queue costs its clients a second each.
const BACKLOG: i32 = 4096;
/// Descriptors that are not sessions.
const RESERVED: u64 = 32;

const LISTENER: u64 = u64::MAX - 2;
const STOP: u64 = u64::MAX - 3;

/// What happens at the far end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// It listens, for so many sessions.
    Listening {
        address: SocketAddr,
        sessions: u32,
    },
    Accepted {
        peer: SocketAddr,
    },
    /// Was not served.
    Refused {
        peer: SocketAddr,
        why: Refusal,
    },
    /// Spoke on request.
    Spoke {
        peer: SocketAddr,
        outcome: Outcome,
        silence: Duration,
    },
    Ended {
        peer: SocketAddr,
        how: Ended,
        age: Duration,
    },
}

/// Why somebody is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Refusal {
    /// The address is none of those of --allow.
    NotAllowed,
    /// There are as many sessions as --max-sessions allows.
    #[serde(rename = "max-sessions")]
    Full,
    /// There are as many of this address as --max-sessions-per-client allows.
    #[serde(rename = "max-sessions-per-client")]
    ClientFull,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ended {
    /// The client's FIN.
    Closed,
    /// A RST.
    Reset,
    /// What was sent on it was never acknowledged.
    TimedOut,
    /// It was too old.
    TooOld,
    /// It said what is not of the language.
    Malformed,
    /// Another error.
    Failed(#[serde(skip)] i32),
}

/// Opens a listener. `[::]` takes IPv4 too.
pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener> {
    let open = || -> io::Result<TcpListener> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM.nonblocking().cloexec(),
            None,
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    open().map_err(|cause| match cause.kind() {
        io::ErrorKind::PermissionDenied => Error::Unsupported(format!(
            "listen on {address}: {cause}: a port below 1024 takes CAP_NET_BIND_SERVICE: run with sudo, or take a higher one"
        )),
        io::ErrorKind::AddrInUse => Error::Unsupported(format!(
            "listen on {address}: {cause}: kalive inspect -s --state listen --local :{} shows by whom; or take another --listen",
            address.port()
        )),
        _ => Error::System {
            operation: format!("listen on {address}"),
            cause,
        },
    })
}

/// Serves until a signal or until `stop` is readable, and returns the signal.
pub(crate) fn run(
    plan: &Plan,
    listener: &TcpListener,
    reactor: Reactor,
    stop: Option<BorrowedFd>,
    tell: &mut dyn FnMut(Event) -> Result<()>,
) -> Result<Option<Interrupt>> {
    let room = limits::raise_descriptors().during(|| "RLIMIT_NOFILE")?;
    let room = u32::try_from(room.saturating_sub(RESERVED)).unwrap_or(u32::MAX);
    let sessions = plan.sessions.min(room);
    tell(Event::Listening {
        address: listener.local_addr().during(|| "getsockname")?,
        sessions,
    })?;
    reactor
        .add(listener, LISTENER, Interest::Readable)
        .during(|| "epoll_ctl")?;
    if let Some(stop) = stop {
        reactor
            .add(stop, STOP, Interest::Readable)
            .during(|| "epoll_ctl")?;
    }
    let mut server = Server {
        plan,
        listener,
        sessions,
        reactor,
        random: File::open("/dev/urandom").during(|| "open /dev/urandom")?,
        table: Table::default(),
        clients: HashMap::new(),
        ages: Ages::default(),
        looks: BinaryHeap::new(),
        exhausted: None,
        turns: Turns::default(),
        tell,
    };
    server.serve()
}

struct Server<'a> {
    plan: &'a Plan,
    listener: &'a TcpListener,
    sessions: u32,
    reactor: Reactor,
    random: File,
    table: Table,
    /// How many sessions each address has.
    clients: HashMap<IpAddr, u32>,
    ages: Ages,
    /// When to look after sessions on which something was said.
    looks: BinaryHeap<Reverse<(Moment, Slot)>>,
    /// Until when no connection is taken, for want of descriptors or the like.
    exhausted: Option<Moment>,
    turns: Turns,
    tell: &'a mut dyn FnMut(Event) -> Result<()>,
}

impl Server<'_> {
    fn serve(&mut self) -> Result<Option<Interrupt>> {
        let mut ready = Vec::new();
        let mut loud = Vec::new();
        loop {
            let next = self.next_moment();
            if let Some(interrupt) = self
                .reactor
                .wait(next, &mut ready)
                .during(|| "epoll_wait")?
            {
                return Ok(Some(interrupt));
            }
            let woken = now()?;
            for event in &ready {
                match event.token {
                    STOP => return Ok(None),
                    LISTENER => self.accept_some()?,
                    key if self.is_loud(key, woken) => loud.push(*event),
                    key => self.attend(Slot::from_key(key), *event)?,
                }
                // Who was to be spoken to does not wait for thousands of others.
                self.keep_time()?;
            }
            self.keep_time()?;
            self.attend_loud(&mut loud)?;
        }
    }

    fn is_loud(&self, key: u64, now: Moment) -> bool {
        let session = self.table.get(Slot::from_key(key));
        session.is_some_and(|session| session.said.is_loud(now))
    }

    /// Those who wait for another turn are told of again: epoll is level-triggered.
    fn attend_loud(&mut self, loud: &mut Vec<Ready>) -> Result<()> {
        for place in self.turns.begin(loud.len(), now()?) {
            if !self.turns.goes_on(now()?) {
                break;
            }
            if let Some(event) = loud.get(place) {
                self.attend(Slot::from_key(event.token), *event)?;
            }
        }
        loud.clear();
        Ok(())
    }

    fn next_moment(&self) -> Option<Moment> {
        let look = self.looks.peek().map(|Reverse((at, _))| *at);
        [look, self.ages.next(), self.exhausted]
            .into_iter()
            .flatten()
            .min()
    }

    fn keep_time(&mut self) -> Result<()> {
        let now = now()?;
        while let Some(Reverse((at, slot))) = self.looks.peek().copied()
            && at <= now
        {
            self.looks.pop();
            self.look_after(slot, now)?;
        }
        while let Some(slot) = self.ages.take(now) {
            self.end(slot, Ended::TooOld)?;
        }
        if self.exhausted.is_some_and(|until| until <= now) {
            self.exhausted = None;
            self.reactor
                .modify(self.listener, LISTENER, Interest::Readable)
                .during(|| "epoll_ctl")?;
        }
        Ok(())
    }

    /// Something has happened on a session's socket.
    fn attend(&mut self, slot: Slot, ready: Ready) -> Result<()> {
        let Some(session) = self.table.get_mut(slot) else {
            return Ok(());
        };
        if ready.error
            && let Ok(Some(error)) = session.stream.take_error()
        {
            return self.broken(slot, &error);
        }
        match session.exchange(now()?) {
            Ok(session::Moved::Nothing) => {}
            Ok(session::Moved::Requests(requests)) => {
                for request in requests {
                    self.answer(slot, request)?;
                }
            }
            Err(session::Broken::Closed) => return self.end(slot, Ended::Closed),
            Err(session::Broken::Malformed) => return self.end(slot, Ended::Malformed),
            Err(session::Broken::Failed(error)) => return self.broken(slot, &error),
        }
        self.flush(slot)
    }

    /// Sends what is pending, and waits for what the session needs from then on.
    fn flush(&mut self, slot: Slot) -> Result<()> {
        let Some(session) = self.table.get_mut(slot) else {
            return Ok(());
        };
        // A failure shows on the socket, which is watched.
        let _ = session.flush();
        let interest = session.interest();
        self.watch(slot, interest)
    }

    /// Waits for what the session needs from now on.
    fn watch(&mut self, slot: Slot, interest: Interest) -> Result<()> {
        if let Some(session) = self.table.get_mut(slot)
            && session.watched != interest
        {
            session.watched = interest;
            self.reactor
                .modify(&session.stream, slot.key(), interest)
                .during(|| "epoll_ctl")?;
        }
        Ok(())
    }

    fn broken(&mut self, slot: Slot, error: &io::Error) -> Result<()> {
        let how = match error.raw_os_error() {
            Some(libc::ECONNRESET | libc::EPIPE) => Ended::Reset,
            Some(libc::ETIMEDOUT) => Ended::TimedOut,
            Some(errno) => Ended::Failed(errno),
            None => Ended::Closed,
        };
        self.end(slot, how)
    }

    fn end(&mut self, slot: Slot, how: Ended) -> Result<()> {
        self.conclude_before_end(slot, how)?;
        let Some(session) = self.table.remove(slot) else {
            return Ok(());
        };
        let client = session.peer.ip().to_canonical();
        if let Some(held) = self.clients.get_mut(&client) {
            *held -= 1;
            if *held == 0 {
                self.clients.remove(&client);
            }
        }
        let age = now()?.since(session.since);
        (self.tell)(Event::Ended {
            peer: session.peer,
            how,
            age,
        })
    }
}

fn now() -> Result<Moment> {
    clock::now().during(|| "clock_gettime CLOCK_MONOTONIC")
}
