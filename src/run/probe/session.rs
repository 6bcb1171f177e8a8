//! One target's life: its addresses are tried in turn, then its connection is watched until it has answered
//! enough, or has ended.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::application::Application;
use super::watch::{Seen, Snapshot, Watch};
use super::{
    Attempt, CountedFrom, End, Event, Instant, Opened, Phase, Round, RoundKind, SUSPENDED,
    Settings, instant,
};
use crate::cli::probe::Outcome;
use crate::domain::moment::Moment;
use crate::domain::prediction::{self, Keepalive, Prediction, Retransmission};
use crate::domain::state::State;
use crate::error::{During as _, Error, Result};
use crate::sys::netstat::{self, Counters};
use crate::sys::reactor::{Interest, Reactor, Ready};
use crate::sys::tcp::{Connection, Effective};
use crate::sys::{clock, error_queue};

/// On a busy machine a process is woken so much later than the kernel's event, at times.
const WOKEN_LATE: Duration = Duration::from_millis(50);

type Emit<'e> = &'e mut dyn FnMut(Event) -> Result<()>;

/// A target's session.
pub(crate) struct Session<'s> {
    settings: &'s Settings<'s>,
    target: usize,
    untried: std::vec::IntoIter<SocketAddr>,
    stage: Stage<'s>,
    wake: Moment,
    /// Of the namespace, when the present connection was begun.
    counters: Option<Counters>,
    suspended: Duration,
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

/// A connection that has been made.
struct Open<'s> {
    connection: Connection,
    since: Moment,
    watch: Watch,
    application: Application<'s>,
    answered: u32,
}

impl<'s> Session<'s> {
    pub(crate) fn new(
        settings: &'s Settings<'s>,
        target: usize,
        addresses: Vec<SocketAddr>,
        begun: Moment,
    ) -> Self {
        Self {
            settings,
            target,
            untried: addresses.into_iter(),
            stage: Stage::New,
            wake: begun,
            counters: None,
            suspended: Duration::ZERO,
        }
    }

    /// When it wants to be looked at, as last said.
    pub(crate) fn wake(&self) -> Moment {
        self.wake
    }

    pub(crate) fn target(&self) -> usize {
        self.target
    }

    /// Looks at it, because its descriptor was ready when we were woken, or its time has come.
    pub(crate) fn step(
        &mut self,
        ready: Option<Ready>,
        woken: Moment,
        reactor: &Reactor,
        emit: Emit,
    ) -> Result<Option<Moment>> {
        let mut instant = instant(self.settings)?;
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
        Ok(self.next_wake(instant))
    }

    /// Ends it with what is known so far.
    pub(crate) fn interrupt(&mut self, emit: Emit) -> Result<()> {
        let now = clock::now().during(|| "clock_gettime")?;
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Over => Ok(()),
            Stage::New => {
                let end = self.end(Phase::Connect, Outcome::Interrupted, None, Duration::ZERO);
                self.emit_end(
                    End {
                        counted_from: CountedFrom::Connect,
                        ..end
                    },
                    emit,
                )
            }
            Stage::Connecting { since, .. } => {
                let end = self.end(Phase::Connect, Outcome::Interrupted, None, now.since(since));
                self.emit_end(
                    End {
                        counted_from: CountedFrom::Connect,
                        ..end
                    },
                    emit,
                )
            }
            Stage::Open(mut open) => {
                self.emit_round(open.watch.end(), &open, emit)?;
                let phase = open.phase();
                let end = self.end(
                    phase,
                    Outcome::Interrupted,
                    None,
                    now.since(open.watch.heard()),
                );
                self.emit_end(end, emit)
            }
        }
    }

    fn next_wake(&mut self, Instant { now, tick, .. }: Instant) -> Option<Moment> {
        let wake = match &self.stage {
            Stage::New | Stage::Over => return None,
            Stage::Connecting { since, .. } => *since + self.settings.plan.connect_timeout,
            Stage::Open(open) => {
                let keepalive = match open.application.unacknowledged() {
                    // Keepalive is suspended.
                    Some(_) => None,
                    None => Some(open.watch.next_look(now, tick)),
                };
                let enough = self
                    .settings
                    .plan
                    .ending
                    .at_most
                    .map(|time| open.since + time);
                [
                    keepalive,
                    open.application.next_look(now),
                    enough.filter(|&enough| enough > now),
                ]
                .into_iter()
                .flatten()
                .min()?
            }
        };
        self.wake = wake;
        Some(wake)
    }

    /// Tries the next address; if there is none, `last` is how it ends.
    fn connect(
        &mut self,
        instant: Instant,
        last: Option<Attempt>,
        reactor: &Reactor,
        emit: Emit,
    ) -> Result<()> {
        let mut last = last;
        self.counters = netstat::read().ok();
        self.suspended = clock::suspended().during(|| "clock_gettime")?;
        for address in self.untried.by_ref() {
            let plan = self.settings.plan;
            match Connection::start(address, &plan.origin, &plan.options) {
                Ok(connection) => {
                    error_queue::receive_errors(&connection, true)
                        .during(|| format!("setsockopt IP_RECVERR for {address}"))?;
                    let token = u64::try_from(self.target).unwrap_or(u64::MAX);
                    reactor
                        .add(&connection, token, Interest::Writable)
                        .during(|| format!("epoll_ctl for {address}"))?;
                    self.stage = Stage::Connecting {
                        connection,
                        since: instant.now,
                    };
                    return Ok(());
                }
                Err(error) => {
                    let (outcome, errno) = classify_start(error)?;
                    let attempt = Attempt {
                        address,
                        outcome,
                        errno: Some(errno),
                        after: Duration::ZERO,
                        router: None,
                    };
                    emit(Event::Failed {
                        target: self.target,
                        attempt: attempt.clone(),
                    })?;
                    last = Some(attempt);
                }
            }
        }
        let Some(attempt) = last else { return Ok(()) };
        let end = self.end(
            Phase::Connect,
            attempt.outcome,
            attempt.errno,
            attempt.after,
        );
        self.emit_end(
            End {
                counted_from: CountedFrom::Connect,
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
        let after = instant.event.since(since);
        let failed = |outcome, errno, router| Attempt {
            address: connection.peer(),
            outcome,
            errno,
            after,
            router,
        };
        let attempt = if ready.is_some() {
            let router = error_queue::take(&connection).and_then(|error| error.offender);
            match take_error(&connection)? {
                Some(error) => {
                    let (outcome, errno) = classify(error, &connection)?;
                    failed(outcome, Some(errno), router)
                }
                None => return self.opened(connection, after, instant, reactor, emit),
            }
        } else if after >= self.settings.plan.connect_timeout {
            failed(Outcome::TimedOut, None, None)
        } else {
            self.stage = Stage::Connecting { connection, since };
            return Ok(());
        };
        drop(connection);
        emit(Event::Failed {
            target: self.target,
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
        let Settings {
            plan,
            rate,
            spacing,
            ..
        } = self.settings;
        let peer = connection.peer();
        let token = u64::try_from(self.target).unwrap_or(u64::MAX);
        reactor
            .modify(&connection, token, Interest::Readable)
            .during(|| format!("epoll_ctl for {peer}"))?;
        if !plan.icmp_errors {
            error_queue::receive_errors(&connection, false)
                .during(|| format!("setsockopt IP_RECVERR for {peer}"))?;
        }
        let effective = connection
            .effective()
            .during(|| format!("reading back the options for {peer}"))?;
        let options = keepalive(effective);
        let snapshot = snapshot(&connection, instant)?;
        let since = instant.event;
        emit(Event::Connected {
            target: self.target,
            opened: Box::new(Opened {
                address: peer,
                local: connection.local(),
                after,
                options,
                predicted: prediction::idle(&options, *rate),
                rate: *rate,
            }),
        })?;
        let open = Box::new(Open {
            watch: Watch::new(options, rate.jiffy(), *spacing, &snapshot, since),
            application: Application::new(&plan.traffic, since),
            connection,
            since,
            answered: 0,
        });
        self.open(open, None, instant, emit)
    }

    fn open(
        &mut self,
        mut open: Box<Open<'s>>,
        ready: Option<Ready>,
        instant: Instant,
        emit: Emit,
    ) -> Result<()> {
        if ready.is_some() {
            error_queue::take(&open.connection);
            if let Some(error) = take_error(&open.connection)? {
                return self.died(open, error, instant, emit);
            }
            match self.receive(&mut open, instant, emit) {
                Ok(Received::More) => {}
                Ok(Received::Fin) => {
                    let after = instant.event.since(open.watch.heard());
                    let end = self.end(open.phase(), Outcome::Closed, None, after);
                    return self.emit_end(end, emit);
                }
                Ok(Received::Failed(error)) => return self.died(open, error, instant, emit),
                Err(error) => return Err(error),
            }
        }
        self.look(&mut open, instant, emit)?;
        if let Some(sent) = open.application.unresponsive(instant.now) {
            let after = instant.now.since(sent);
            let end = self.end(Phase::Idle, Outcome::Unresponsive, None, after);
            let round = Round {
                kind: RoundKind::Heartbeat,
                at: sent.since(open.since),
                rtt: None,
                answered: false,
            };
            emit(Event::Round {
                target: self.target,
                round,
            })?;
            return self.emit_end(
                End {
                    counted_from: CountedFrom::HeartbeatSent,
                    ..end
                },
                emit,
            );
        }
        if self.is_enough(&open, instant.now) {
            let after = instant.now.since(open.watch.heard());
            let end = self.end(open.phase(), Outcome::Alive, None, after);
            return self.emit_end(
                End {
                    still_established: true,
                    ..end
                },
                emit,
            );
        }
        self.stage = Stage::Open(open);
        Ok(())
    }

    /// Sees what happened since the last look, and sends what is due.
    fn look(&self, open: &mut Open, instant: Instant, emit: Emit) -> Result<()> {
        let snapshot = snapshot(&open.connection, instant)?;
        if open.application.unacknowledged().is_some() && snapshot.info.unacked == 0 {
            let round = open.application.acknowledged(instant.now, open.since);
            self.answered(round, open, emit)?;
        }
        if open.application.unacknowledged().is_none() {
            for seen in open.watch.look(&snapshot) {
                if matches!(seen, Seen::Answered { .. }) {
                    open.answered += 1;
                }
                self.emit_round(Some(seen), open, emit)?;
            }
        }
        if open.application.is_due(instant.now) {
            let request = &self.settings.request;
            let sent = open.connection.send(request);
            let peer = open.connection.peer();
            let sent = sent.during(|| format!("send to {peer}"))?;
            if sent < request.len() {
                return Err(Error::System {
                    operation: format!("send to {peer}"),
                    cause: io::Error::other(format!(
                        "{sent} of {} bytes were taken",
                        request.len()
                    )),
                });
            }
            open.application.sent(instant.now, snapshot.info.rto);
        }
        Ok(())
    }

    fn receive(&self, open: &mut Open, instant: Instant, emit: Emit) -> Result<Received> {
        let mut buffer = [0; 8_192];
        loop {
            match open.connection.receive(&mut buffer) {
                Ok(0) => return Ok(Received::Fin),
                Ok(length) => {
                    let bytes = buffer.get(..length).unwrap_or_default();
                    let round = open.application.received(bytes, instant.event, open.since);
                    self.answered(round, open, emit)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Received::More);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Ok(Received::Failed(error)),
            }
        }
    }

    fn answered(&self, round: Option<Round>, open: &mut Open, emit: Emit) -> Result<()> {
        match round {
            None => Ok(()),
            Some(round) => {
                open.answered += 1;
                emit(Event::Round {
                    target: self.target,
                    round,
                })
            }
        }
    }

    /// Enough has been answered, and nothing waits for an answer that would tell more.
    fn is_enough(&self, open: &Open, now: Moment) -> bool {
        let ending = self.settings.plan.ending;
        let rounds = ending.rounds.is_some_and(|rounds| open.answered >= rounds);
        let time = ending.at_most.is_some_and(|time| now >= open.since + time);
        let awaits = open.watch.awaits_answer()
            || open.application.awaits_answer()
            || open.application.unacknowledged().is_some();
        rounds || time && !awaits
    }

    /// The connection has ended with an error, or (with `--icmp-errors`) an error has arrived.
    fn died(
        &mut self,
        mut open: Box<Open>,
        error: io::Error,
        instant: Instant,
        emit: Emit,
    ) -> Result<()> {
        let (outcome, errno) = classify(error, &open.connection)?;
        let snapshot = snapshot(&open.connection, instant)?;
        let probing = snapshot.info.probes > 0 || open.watch.awaits_answer();
        let in_flight = open.application.unacknowledged().filter(|_| !probing);
        if in_flight.is_none() {
            for seen in open.watch.look(&snapshot) {
                self.emit_round(Some(seen), &open, emit)?;
            }
            self.emit_round(open.watch.end(), &open, emit)?;
        }
        let still_established = snapshot.info.state == State::Established;
        let (phase, counted_from, since, predicted) = match in_flight {
            Some((sent, rto)) => (
                Phase::InFlight,
                CountedFrom::DataSent,
                sent,
                self.retransmission(&open, rto)?,
            ),
            None => (
                Phase::Idle,
                CountedFrom::LastSegmentReceived,
                open.watch.heard(),
                prediction::idle(&open.watch.options(), self.settings.rate),
            ),
        };
        let after = instant.event.since(since);
        let predicted =
            Some(predicted).filter(|_| errno == libc::ETIMEDOUT || phase == Phase::InFlight);
        let predicted = predicted.filter(|_| !still_established && outcome != Outcome::Reset);
        let end = self.end(phase, outcome, Some(errno), after);
        let trusted = end.suspended.is_zero();
        let within = predicted
            .filter(|_| trusted)
            .map(|predicted| self.is_within(&predicted, after));
        self.emit_end(
            End {
                counted_from,
                predicted,
                within_prediction: within,
                still_established,
                ..end
            },
            emit,
        )
    }

    /// Both ends of the time are read in ticks, and we may be woken late.
    fn is_within(&self, predicted: &Prediction, after: Duration) -> bool {
        let ticks = self.settings.rate.jiffy() * 2;
        after + ticks >= predicted.earliest
            && after <= predicted.latest.saturating_add(ticks + WOKEN_LATE)
    }

    fn retransmission(&self, open: &Open, rto: Duration) -> Result<Prediction> {
        let peer = open.connection.peer();
        let effective = open
            .connection
            .effective()
            .during(|| format!("reading back the options for {peer}"))?;
        let options = Retransmission {
            rto,
            rto_max: self.settings.rto_max,
            retries: self.settings.retries2,
            user_timeout: effective.user_timeout,
        };
        Ok(prediction::in_flight(&options, self.settings.rate))
    }

    /// An end that no rule predicts, counted from the last segment received.
    fn end(&self, phase: Phase, outcome: Outcome, errno: Option<i32>, after: Duration) -> End {
        let suspended = clock::suspended()
            .unwrap_or(self.suspended)
            .saturating_sub(self.suspended);
        let counters = netstat::read().ok();
        End {
            phase,
            outcome,
            errno,
            after,
            counted_from: CountedFrom::LastSegmentReceived,
            predicted: None,
            within_prediction: None,
            still_established: false,
            netstat: self
                .counters
                .as_ref()
                .zip(counters.as_ref())
                .map(|(before, after)| netstat::grown(before, after)),
            suspended: if suspended < SUSPENDED {
                Duration::ZERO
            } else {
                suspended
            },
        }
    }

    fn emit_end(&self, end: End, emit: Emit) -> Result<()> {
        emit(Event::Ended {
            target: self.target,
            end: Box::new(end),
        })
    }

    fn emit_round(&self, seen: Option<Seen>, open: &Open, emit: Emit) -> Result<()> {
        let target = self.target;
        let round = |sent: Moment, rtt, answered| Event::Round {
            target,
            round: Round {
                kind: RoundKind::Keepalive,
                at: sent.since(open.since),
                rtt,
                answered,
            },
        };
        match seen {
            None => Ok(()),
            Some(Seen::Answered { sent, rtt }) => emit(round(sent, rtt, true)),
            Some(Seen::Unanswered { sent }) => emit(round(sent, None, false)),
            Some(Seen::PeerSpoke) => {
                let now = clock::now().during(|| "clock_gettime")?;
                emit(Event::PeerSpoke {
                    target,
                    at: now.since(open.since),
                })
            }
        }
    }
}

impl Open<'_> {
    fn phase(&self) -> Phase {
        if self.application.unacknowledged().is_some() {
            Phase::InFlight
        } else {
            Phase::Idle
        }
    }
}

enum Received {
    /// All that is there now.
    More,
    Fin,
    Failed(io::Error),
}

fn keepalive(effective: Effective) -> Keepalive {
    Keepalive {
        idle: effective.idle,
        interval: effective.interval,
        count: u8::try_from(effective.count).unwrap_or(u8::MAX),
        user_timeout: effective.user_timeout,
    }
}

fn snapshot(connection: &Connection, Instant { now, tick, .. }: Instant) -> Result<Snapshot> {
    let info = connection
        .info()
        .during(|| format!("getsockopt TCP_INFO of {}", connection.peer()))?;
    Ok(Snapshot { now, tick, info })
}

fn take_error(connection: &Connection) -> Result<Option<io::Error>> {
    connection
        .take_error()
        .during(|| format!("getsockopt SO_ERROR of {}", connection.peer()))
}

/// The outcome that an error is; one that tells nothing of the peer is an error of ours.
fn classify(error: io::Error, connection: &Connection) -> Result<(Outcome, i32)> {
    outcome(&error)
        .ok_or(error)
        .during(|| format!("connection to {}", connection.peer()))
}

fn classify_start(error: Error) -> Result<(Outcome, i32)> {
    let known = match &error {
        Error::System { cause, .. } => outcome(cause),
        Error::Usage(_) | Error::Unsupported(_) | Error::Output(_) => None,
    };
    known.ok_or(error)
}

fn outcome(error: &io::Error) -> Option<(Outcome, i32)> {
    let errno = error.raw_os_error()?;
    let outcome = match errno {
        libc::ETIMEDOUT => Outcome::TimedOut,
        libc::ECONNRESET | libc::EPIPE => Outcome::Reset,
        libc::ECONNREFUSED => Outcome::Refused,
        libc::EHOSTUNREACH
        | libc::ENETUNREACH
        | libc::EHOSTDOWN
        | libc::ENETDOWN
        | libc::ENONET
        | libc::ENOPROTOOPT
        | libc::EOPNOTSUPP => Outcome::Unreachable,
        _ => return None,
    };
    Some((outcome, errno))
}
