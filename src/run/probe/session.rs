//! One target's life: its addresses are tried in turn, then its connection is watched to its end.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::end::{Context, Emit, classify, classify_start, take_error};
use super::open::Open;
use super::{Attempt, CountedFrom, End, Event, Instant, Phase, Settings, instant};
use crate::cli::probe::Outcome;
use crate::domain::moment::Moment;
use crate::error::{During as _, Result};
use crate::plan::probe::Plan;
use crate::sys::reactor::{Interest, Reactor, Ready};
use crate::sys::tcp::Connection;
use crate::sys::{clock, error_queue};

/// A target's session.
pub(super) struct Session<'s> {
    context: Context<'s>,
    untried: std::vec::IntoIter<SocketAddr>,
    stage: Stage<'s>,
    wake: Moment,
}

enum Stage<'s> {
    /// Not begun.
    New,
    Connecting {
        connection: Connection,
        since: Moment,
    },
    Open(Box<Open<'s>>),
    Over,
}

impl<'s> Session<'s> {
    pub(super) fn new(
        settings: &'s Settings<'s>,
        target: usize,
        addresses: Vec<SocketAddr>,
        begun: Moment,
    ) -> Self {
        Self {
            context: Context::new(settings, target),
            untried: addresses.into_iter(),
            stage: Stage::New,
            wake: begun,
        }
    }

    /// Where it stands among its kind, by the time at which it wants to be looked at.
    pub(super) fn place(&self) -> (Moment, usize) {
        (self.wake, self.context.target)
    }

    /// Looks at it, because its descriptor was ready when we were woken, or its time has come. Gives its new
    /// place, or `None` once it is over.
    pub(super) fn step(
        &mut self,
        ready: Option<Ready>,
        woken: Moment,
        reactor: &Reactor,
        emit: Emit,
    ) -> Result<Option<(Moment, usize)>> {
        let mut instant = instant(self.context.settings)?;
        if ready.is_some() {
            instant.event = woken;
        }
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::New => self.connect(instant, None, reactor, emit)?,
            Stage::Over => {}
            Stage::Connecting { connection, since } => {
                self.connecting(connection, since, ready, instant, reactor, emit)?;
            }
            Stage::Open(open) => self.open(open, ready, instant, emit)?,
        }
        self.wake = match &self.stage {
            Stage::New | Stage::Over => return Ok(None),
            Stage::Connecting { since, .. } => *since + self.context.settings.plan.connect_timeout,
            Stage::Open(open) => open.next_wake(&self.context, instant),
        };
        Ok(Some(self.place()))
    }

    /// Ends it with what is known so far.
    pub(super) fn interrupt(&mut self, emit: Emit) -> Result<()> {
        let now = clock::now().during(|| "clock_gettime")?;
        let end = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Over => return Ok(()),
            Stage::New if self.untried.as_slice().is_empty() => return Ok(()),
            Stage::New => self.not_connected(Outcome::Interrupted, Duration::ZERO),
            Stage::Connecting { since, .. } => {
                self.not_connected(Outcome::Interrupted, now.since(since))
            }
            Stage::Open(mut open) => open.interrupt(now, &self.context, emit)?,
        };
        self.context.tell_end(end, emit)
    }

    fn not_connected(&self, outcome: Outcome, after: Duration) -> End {
        self.context
            .end(Phase::Connect, outcome, CountedFrom::Connect, after)
    }

    /// Tries the next address; if there is none, `last` is how it ends.
    fn connect(
        &mut self,
        instant: Instant,
        mut last: Option<Attempt>,
        reactor: &Reactor,
        emit: Emit,
    ) -> Result<()> {
        self.context.begin()?;
        let plan = self.context.settings.plan;
        for address in self.untried.by_ref() {
            match start(address, plan) {
                Ok(connection) => {
                    reactor
                        .add(&connection, self.context.token(), Interest::Writable)
                        .during(|| format!("epoll_ctl for {address}"))?;
                    self.stage = Stage::Connecting {
                        connection,
                        since: instant.now,
                    };
                    return Ok(());
                }
                Err(error) => {
                    let (outcome, errno) = classify_start(error)?;
                    let errno = Some(errno);
                    let attempt = Attempt {
                        address,
                        outcome,
                        errno,
                        after: Duration::ZERO,
                        router: None,
                    };
                    emit(Event::Failed {
                        target: self.context.target,
                        attempt: attempt.clone(),
                    })?;
                    last = Some(attempt);
                }
            }
        }
        let Some(attempt) = last else { return Ok(()) };
        let end = self.not_connected(attempt.outcome, attempt.after);
        self.context.tell_end(
            End {
                errno: attempt.errno,
                ..end
            },
            emit,
        )
    }

    fn connecting(
        &mut self,
        connection: Connection,
        since: Moment,
        ready: Option<Ready>,
        instant: Instant,
        reactor: &Reactor,
        emit: Emit,
    ) -> Result<()> {
        let address = connection.peer();
        let after = instant.event.since(since);
        let attempt = if ready.is_some() {
            let queued = error_queue::take(&connection);
            let router = queued.and_then(|queued| queued.offender);
            // An ICMP error that arrived within the call of connect, as from a firewall of this machine, is in the
            // queue alone (sk_err_soft): the kernel would go on trying.
            let told = queued.and_then(|queued| queued.errno);
            let told = told.map(io::Error::from_raw_os_error);
            let Some(error) = take_error(&connection)?.or(told) else {
                return self.opened(connection, after, instant, reactor, emit);
            };
            let (outcome, errno) = classify(error, &connection)?;
            Attempt {
                address,
                outcome,
                errno: Some(errno),
                after,
                router,
            }
        } else if after >= self.context.settings.plan.connect_timeout {
            Attempt {
                address,
                outcome: Outcome::TimedOut,
                errno: None,
                after,
                router: None,
            }
        } else {
            self.stage = Stage::Connecting { connection, since };
            return Ok(());
        };
        drop(connection);
        emit(Event::Failed {
            target: self.context.target,
            attempt: attempt.clone(),
        })?;
        self.connect(instant, Some(attempt), reactor, emit)
    }

    fn opened(
        &mut self,
        connection: Connection,
        after: Duration,
        instant: Instant,
        reactor: &Reactor,
        emit: Emit,
    ) -> Result<()> {
        let peer = connection.peer();
        reactor
            .modify(&connection, self.context.token(), Interest::Readable)
            .during(|| format!("epoll_ctl for {peer}"))?;
        if !self.context.settings.plan.icmp_errors {
            error_queue::receive_errors(&connection, false)
                .during(|| format!("setsockopt IP_RECVERR for {peer}"))?;
        }
        let open = Open::new(connection, after, instant, &self.context, emit)?;
        self.open(Box::new(open), None, instant, emit)
    }

    fn open(
        &mut self,
        mut open: Box<Open<'s>>,
        ready: Option<Ready>,
        instant: Instant,
        emit: Emit,
    ) -> Result<()> {
        if let Some(end) = open.step(ready.is_some(), instant, &self.context, emit)? {
            return self.context.tell_end(end, emit);
        }
        self.stage = Stage::Open(open);
        Ok(())
    }
}

/// Begins to connect, ready for ICMP errors that arrive before connect returns.
fn start(address: SocketAddr, plan: &Plan) -> Result<Connection> {
    let connection = Connection::prepare(address, &plan.origin, &plan.options)?;
    error_queue::receive_errors(&connection, true)
        .during(|| format!("setsockopt IP_RECVERR for {address}"))?;
    connection.connect()?;
    Ok(connection)
}
