//! A connection that has been made: watched until it has answered enough, or has ended.

use std::io;
use std::time::Duration;

use super::application::Application;
use super::end::{Context, Emit, classify, take_error};
use super::watch::{Seen, Snapshot, Watch};
use super::{CountedFrom, End, Event, Instant, Opened, Phase, Round, RoundKind, Settings};
use crate::cli::probe::Outcome;
use crate::domain::moment::Moment;
use crate::domain::prediction::{self, Keepalive, Prediction, Retransmission};
use crate::domain::state::State;
use crate::error::{During as _, Error, Result};
use crate::plan::probe::Traffic;
use crate::sys::error_queue;
use crate::sys::tcp::{Connection, Effective};

/// On a busy machine a process is woken so much later than the kernel's event, at times.
const WOKEN_LATE: Duration = Duration::from_millis(50);

/// The connection and what is known of it.
pub(super) struct Open<'s> {
    connection: Connection,
    since: Moment,
    watch: Watch,
    application: Application<'s>,
    /// Keepalive probes that were unanswered when data was last sent: while it is in flight there are no more.
    unanswered_then: u8,
    answered: u32,
}

/// What reading has come to.
enum Received {
    /// All that is there now.
    More,
    Fin,
    Failed(io::Error),
}

impl<'s> Open<'s> {
    /// Takes over a connection that was made at the instant's event, `after` connecting had begun.
    pub(super) fn new(
        connection: Connection,
        after: Duration,
        instant: Instant,
        context: &Context<'s>,
        emit: Emit,
    ) -> Result<Self> {
        let settings = context.settings;
        let peer = connection.peer();
        let effective = connection.effective();
        let options =
            keepalive(effective.during(|| format!("reading back the options for {peer}"))?);
        let snapshot = snapshot(&connection, instant)?;
        let since = instant.event;
        let in_flight = retransmission(snapshot.info.rto, &options, settings);
        let idle = prediction::idle(&options, settings.rate);
        let (predicted, predicted_in_flight) = match settings.plan.traffic {
            // Keepalive is suspended all the time.
            Traffic::InFlight { .. } => (in_flight, None),
            Traffic::Heartbeat(_) => (idle, Some(in_flight)),
            Traffic::None => (idle, None),
        };
        emit(Event::Connected {
            target: context.target,
            opened: Box::new(Opened {
                address: peer,
                local: connection.local(),
                after,
                options,
                predicted,
                predicted_in_flight,
                rate: settings.rate,
            }),
        })?;
        Ok(Self {
            watch: Watch::new(
                options,
                settings.rate.jiffy(),
                settings.spacing,
                &snapshot,
                since,
            ),
            application: Application::new(&settings.plan.traffic, since),
            connection,
            since,
            unanswered_then: 0,
            answered: 0,
        })
    }

    /// When to look next.
    pub(super) fn next_wake(&self, context: &Context, instant: Instant) -> Moment {
        let Instant { now, tick, .. } = instant;
        let keepalive = self.watch.next_look(now, tick);
        let first = match self.application.unacknowledged() {
            // Keepalive is suspended.
            Some(_) => None,
            None => Some(keepalive),
        };
        let enough = context
            .settings
            .plan
            .ending
            .at_most
            .map(|time| self.since + time);
        [
            first,
            self.application.next_look(now),
            enough.filter(|&enough| enough > now),
        ]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(keepalive)
    }

    /// Looks at it, because its descriptor is ready or its time has come. Gives the end, if it is that.
    pub(super) fn step(
        &mut self,
        is_ready: bool,
        instant: Instant,
        context: &Context,
        emit: Emit,
    ) -> Result<Option<End>> {
        if is_ready {
            error_queue::take(&self.connection);
            if let Some(error) = take_error(&self.connection)? {
                return self.died(error, instant, context, emit).map(Some);
            }
            match self.receive(instant, context, emit)? {
                Received::More => {}
                Received::Fin => {
                    return Ok(Some(self.end(Outcome::Closed, instant.event, context)));
                }
                Received::Failed(error) => {
                    return self.died(error, instant, context, emit).map(Some);
                }
            }
        }
        if let Some(error) = self.look(instant, context, emit)? {
            return self.died(error, instant, context, emit).map(Some);
        }
        let now = instant.now;
        if let Some(sent) = self.application.overdue(now) {
            let unacknowledged = self.application.unacknowledged();
            let round = Round {
                kind: RoundKind::Heartbeat,
                at: sent.since(self.since),
                rtt: None,
                answered: false,
                unacknowledged: unacknowledged
                    .map(|(_, rto)| retransmission(rto, &self.watch.options(), context.settings)),
            };
            emit(Event::Round {
                target: context.target,
                round,
            })?;
        }
        if let Some(sent) = self.application.unresponsive(now) {
            let from = CountedFrom::HeartbeatSent;
            let end = context.end(Phase::Idle, Outcome::Unresponsive, from, now.since(sent));
            return Ok(Some(End {
                answered_otherwise: self.application.answered_otherwise(),
                at: Some(now.since(self.since)),
                ..end
            }));
        }
        if self.is_enough(context, now) {
            let end = self.end(Outcome::Alive, now, context);
            return Ok(Some(End {
                still_established: true,
                ..end
            }));
        }
        Ok(None)
    }

    /// The end that a signal makes.
    pub(super) fn interrupt(&mut self, now: Moment, context: &Context, emit: Emit) -> Result<End> {
        let last = self.watch.end();
        self.tell(last, now, context, emit)?;
        let Some((sent, rto)) = self.application.unacknowledged() else {
            return Ok(self.end(Outcome::Interrupted, now, context));
        };
        let after = now.since(sent);
        let end = context.end(
            Phase::InFlight,
            Outcome::Interrupted,
            CountedFrom::DataSent,
            after,
        );
        let predicted = retransmission(rto, &self.watch.options(), context.settings);
        Ok(End {
            at: Some(now.since(self.since)),
            predicted: Some(predicted),
            ..end
        })
    }

    /// An end at this moment that counts from the last segment received.
    fn end(&self, outcome: Outcome, now: Moment, context: &Context) -> End {
        let phase = match self.application.unacknowledged() {
            Some(_) => Phase::InFlight,
            None => Phase::Idle,
        };
        let after = now.since(self.watch.heard());
        End {
            at: Some(now.since(self.since)),
            ..context.end(phase, outcome, CountedFrom::LastSegmentReceived, after)
        }
    }

    /// Sees what happened since the last look, and sends what is due. Gives the error with which the
    /// connection refuses to send.
    fn look(
        &mut self,
        instant: Instant,
        context: &Context,
        emit: Emit,
    ) -> Result<Option<io::Error>> {
        let snapshot = snapshot(&self.connection, instant)?;
        if self.application.unacknowledged().is_some() && snapshot.info.unacked == 0 {
            let round = self.application.acknowledged(instant.now, self.since);
            self.tell_answer(round, context, emit)?;
        }
        if self.application.unacknowledged().is_none() {
            for seen in self.watch.look(&snapshot) {
                self.answered += u32::from(matches!(seen, Seen::Answered { .. }));
                self.tell(Some(seen), instant.now, context, emit)?;
            }
        }
        if !self.application.is_due(instant.now) {
            return Ok(None);
        }
        let request = &context.settings.request;
        match self.connection.send(request) {
            Ok(sent) if sent == request.len() => {
                self.application.sent(instant.now, snapshot.info.rto);
                self.unanswered_then = snapshot.info.probes;
                Ok(None)
            }
            Ok(sent) => Err(Error::System {
                operation: format!("send to {}", self.connection.peer()),
                cause: io::Error::other(format!("{sent} of {} bytes were taken", request.len())),
            }),
            Err(error) => Ok(Some(error)),
        }
    }

    fn receive(&mut self, instant: Instant, context: &Context, emit: Emit) -> Result<Received> {
        let mut buffer = [0; 8_192];
        loop {
            match self.connection.receive(&mut buffer) {
                Ok(0) => return Ok(Received::Fin),
                Ok(length) => {
                    let bytes = buffer.get(..length).unwrap_or_default();
                    let round = self.application.received(bytes, instant.event, self.since);
                    self.tell_answer(round, context, emit)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Received::More);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Ok(Received::Failed(error)),
            }
        }
    }

    /// Enough has been answered, or the time has passed and nothing waits for an answer that would tell more.
    fn is_enough(&self, context: &Context, now: Moment) -> bool {
        let ending = context.settings.plan.ending;
        let rounds = ending.rounds.is_some_and(|rounds| self.answered >= rounds);
        let time = ending.at_most.is_some_and(|time| now >= self.since + time);
        let awaits = self.watch.awaits_answer()
            || self.application.awaits_answer()
            || self.application.unacknowledged().is_some();
        rounds || time && !awaits
    }

    /// The connection has ended with an error, or (with `--icmp-errors`) an error has arrived.
    fn died(
        &mut self,
        error: io::Error,
        instant: Instant,
        context: &Context,
        emit: Emit,
    ) -> Result<End> {
        let (outcome, errno) = classify(error, &self.connection)?;
        let snapshot = snapshot(&self.connection, instant)?;
        let probing = snapshot.info.probes > self.unanswered_then;
        let in_flight = self.application.unacknowledged().filter(|_| !probing);
        let still_established = snapshot.info.state == State::Established;
        let (end, rule) = if let Some((sent, rto)) = in_flight {
            let last = self.watch.end();
            self.tell(last, instant.now, context, emit)?;
            let after = instant.event.since(sent);
            let end = context.end(Phase::InFlight, outcome, CountedFrom::DataSent, after);
            (
                end,
                Some(retransmission(rto, &self.watch.options(), context.settings)),
            )
        } else {
            // What the peer said last is the end itself, such as a RST.
            let seen = self
                .watch
                .look(&snapshot)
                .into_iter()
                .filter(|seen| *seen != Seen::PeerSpoke);
            for seen in seen {
                self.tell(Some(seen), instant.now, context, emit)?;
            }
            let last = self.watch.end();
            self.tell(last, instant.now, context, emit)?;
            let after = instant.event.since(self.watch.heard());
            let end = context.end(
                Phase::Idle,
                outcome,
                CountedFrom::LastSegmentReceived,
                after,
            );
            let rule = prediction::idle(&self.watch.options(), context.settings.rate);
            // Only giving up follows the rule; a RST comes when it comes.
            (end, Some(rule).filter(|_| outcome == Outcome::TimedOut))
        };
        let predicted = rule.filter(|_| !still_established && outcome != Outcome::Reset);
        let within = predicted.filter(|_| end.suspended.is_zero());
        Ok(End {
            at: Some(instant.event.since(self.since)),
            errno: Some(errno),
            predicted,
            within_prediction: within.map(|window| is_within(&window, end.after, context)),
            still_established,
            ..end
        })
    }

    fn tell_answer(&mut self, round: Option<Round>, context: &Context, emit: Emit) -> Result<()> {
        let Some(round) = round else { return Ok(()) };
        self.answered += 1;
        emit(Event::Round {
            target: context.target,
            round,
        })
    }

    fn tell(&self, seen: Option<Seen>, now: Moment, context: &Context, emit: Emit) -> Result<()> {
        let target = context.target;
        let round = |sent: Moment, rtt, answered| {
            let at = sent.since(self.since);
            Event::Round {
                target,
                round: Round {
                    kind: RoundKind::Keepalive,
                    at,
                    rtt,
                    answered,
                    unacknowledged: None,
                },
            }
        };
        match seen {
            None => Ok(()),
            Some(Seen::Answered { sent, rtt }) => emit(round(sent, rtt, true)),
            Some(Seen::Unanswered { sent }) => emit(round(sent, None, false)),
            Some(Seen::PeerSpoke) => emit(Event::PeerSpoke {
                target,
                at: now.since(self.since),
            }),
        }
    }
}

/// What applies while data is unacknowledged.
fn retransmission(rto: Duration, options: &Keepalive, settings: &Settings) -> Prediction {
    let options = Retransmission {
        rto,
        rto_max: settings.rto_max,
        retries: settings.retries2,
        user_timeout: options.user_timeout,
    };
    prediction::in_flight(&options, settings.rate)
}

/// Both ends of the time are read in ticks, and we may be woken late.
fn is_within(predicted: &Prediction, after: Duration, context: &Context) -> bool {
    let ticks = context.settings.rate.jiffy() * 2;
    after + ticks >= predicted.earliest
        && after <= predicted.latest.saturating_add(ticks + WOKEN_LATE)
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
