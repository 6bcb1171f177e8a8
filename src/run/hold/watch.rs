//! Looks after sessions that are silent or carry traffic: who broke the silence, who ended by himself,
//! whether the path still works.

use std::time::Duration;

use crate::domain::hold::ends::{self, CountedFrom, End, Told};
use crate::domain::hold::{Answer, Direction, Expiry};
use crate::domain::moment::Moment;
use crate::domain::serve::{REQUEST, Reply, Request};
use crate::error::Result;

use super::climb::{Climb, Ladder};
use super::event::Event;
use super::probing::How;
use super::session::{Role, Session, State};
use super::start::REFUSED;
use super::world::{Id, now_or_in_a_second};
use super::{Phase, Run, Task};

/// A session is looked at no more and no less often.
const OFTEN: Duration = Duration::from_millis(20);
const SELDOM: Duration = Duration::from_millis(250);
/// What looks may cost: one a millisecond, whatever the number of sessions.
const COST: Duration = Duration::from_millis(1);
/// Banners come within this time, and what got lost of the connection's start comes again; later the far end
/// speaks by itself.
const REPEATED: Duration = Duration::from_millis(3_500);
/// How often to look after the sessions that carry traffic, and while a rung's loss is being checked.
const CONTROL: Duration = Duration::from_millis(100);
const CHECKING: Duration = Duration::from_millis(20);
/// So long it may take to stand, with all that the kernel repeats.
const LINE: Duration = Duration::from_secs(30);
const PING: Duration = Duration::from_millis(500);
/// Without an answer on any of them for so long the path has failed.
const LOST: Duration = Duration::from_secs(5);
/// How long others may follow a session that ended by itself, at least and at most.
const FOLLOW: (Duration, Duration) = (Duration::from_millis(1_500), Duration::from_secs(5));
/// Two ends that differ by no more are the same.
const SAME: Duration = Duration::from_millis(250);
/// How exactly the moment of an end is known, but for the way that it has to go.
const EXACT: Duration = Duration::from_millis(25);

impl Run<'_> {
    fn period(&self) -> Duration {
        let sessions = u32::try_from(self.sessions.len()).unwrap_or(u32::MAX);
        let wanted = (self.plan.search.resolution / 4).clamp(OFTEN, SELDOM);
        wanted.max(COST * sessions)
    }

    pub(super) fn look(&mut self, id: Id) -> Result<()> {
        self.look_now(id)?;
        let Some(session) = self.sessions.get(id) else {
            return Ok(());
        };
        if matches!(session.state, State::Quiet) && session.role.ladder().is_some() {
            let now = self.world.now()?;
            let young = now.since(session.connected) < Duration::from_millis(100);
            let again = if young { OFTEN } else { self.period() };
            self.at(now + again, Task::Look(id));
        }
        Ok(())
    }

    /// Whether anything has passed since the last look; tells if the far end broke the silence.
    pub(super) fn look_now(&mut self, id: Id) -> Result<()> {
        let now = self.world.now()?;
        let Some(look) = self.world.look(id) else {
            return Ok(());
        };
        let Some(session) = self.sessions.get_mut(id) else {
            return Ok(());
        };
        let after = session.silence(now).0;
        let watched = matches!(session.state, State::Quiet) && session.role.ladder().is_some();
        if matches!(session.role, Role::Control) || !session.observe(&look, now) || !watched {
            return Ok(());
        }
        if now.since(session.connected) > REPEATED {
            session.disturbed += 1;
            let at = now.since(self.start);
            self.emit(Event::FarEndSpoke {
                session: id,
                after,
                at,
            })?;
        }
        Ok(())
    }

    /// A session has ended: by a FIN, or with an errno.
    pub(super) fn gone(&mut self, id: Id, errno: Option<i32>) -> Result<()> {
        let now = self.world.now()?;
        let reset = matches!(errno, Some(libc::ECONNRESET | libc::EPIPE));
        let (state, role) = match self.sessions.get_mut(id) {
            Some(session) => {
                session.closed = errno.is_none();
                (&session.state, session.role)
            }
            None => return Ok(()),
        };
        match state {
            State::Planned | State::Gone | State::Spoken(Answer::Lost | Answer::Reset) => Ok(()),
            State::Connecting => self.failed(id, errno.unwrap_or(libc::ECONNRESET)),
            State::Probing(probing) => match (errno, probing.how) {
                (Some(_), How::Keepalive | How::Data) => {
                    let answer = if reset { Answer::Reset } else { Answer::Lost };
                    self.verdict(id, answer)
                }
                (None, How::Keepalive | How::Data) | (_, How::Asked) => {
                    self.ended(id, errno, now)?;
                    self.set(id, State::Gone);
                    self.unanswerable(role)
                }
            },
            State::Quiet | State::Spoken(Answer::Answered) => {
                if self.refused(id, now)? {
                    return Ok(());
                }
                if role.ladder().is_some() {
                    self.ended(id, errno, now)?;
                }
                if role == Role::Line {
                    self.line_lost = Some(now);
                }
                self.set(id, State::Gone);
                if role == Role::Control && errno.is_none() {
                    self.replace(id, now);
                }
                if self.judging_ends {
                    return Ok(());
                }
                self.unanswerable(role)
            }
        }
    }

    /// A session that carries traffic has ended by a FIN: that is the server's decision, and it got through, so
    /// that another one can take its place. After a RST the peer may have rebooted, and others tell nothing.
    fn replace(&mut self, id: Id, now: Moment) {
        let age = self
            .sessions
            .get(id)
            .map(|session| now.since(session.connected));
        if age >= Some(REFUSED) && self.phase == Phase::Measuring {
            let id = self.add(Role::Control);
            self.at(now, Task::Open(id));
        }
    }

    /// Notes that a session ended by itself.
    fn ended(&mut self, id: Id, errno: Option<i32>, now: Moment) -> Result<()> {
        let expiry = match errno {
            None => Expiry::ClosedByPeer,
            Some(libc::ECONNRESET | libc::EPIPE) => Expiry::ResetAtExpiry,
            // The kernel gave up, or the network had a word to say: nobody's decision.
            Some(_) => return Ok(()),
        };
        let Some(session) = self.sessions.get(id) else {
            return Ok(());
        };
        let end = End {
            expiry,
            at: now.since(self.start),
            age: now.since(session.connected),
            silence: session.silence(now).1,
        };
        self.ends.push(end);
        self.emit(Event::Ended { session: id, end })?;
        if !self.judging_ends {
            self.judging_ends = true;
            let step = self.plan.search.resolution * 5 / 2;
            let follow = step.clamp(FOLLOW.0, FOLLOW.1);
            self.at(now + follow, Task::JudgeEnds);
        }
        Ok(())
    }

    pub(super) fn judge_ends(&mut self) -> Result<()> {
        self.judging_ends = false;
        if self.phase != Phase::Measuring {
            return Ok(());
        }
        let mut exact = EXACT + self.round_trip;
        if self.ends.len() < 3 && self.tries.lossy() {
            exact += SAME * 2;
        }
        let same = SAME.max(self.round_trip * 2);
        match ends::judge(&self.ends, same, exact) {
            None | Some(Told::Unclear) => self.go_on_with_those_left(),
            // Nor does what became of a few of them tell of the others.
            Some(Told::AtOnce { at }) if self.outlived(at) >= self.ends.len() => {
                self.go_on_with_those_left()
            }
            Some(Told::AtOnce { at }) => {
                let why = format!(
                    "all connections were ended at the same moment, {:.1} s after the start, whatever their age: \
                     the far end or a box on the way was restarted",
                    at.as_secs_f64()
                );
                self.inconclusive(None, why)?;
                self.phase = Phase::Over;
                Ok(())
            }
            Some(Told::Limit {
                expiry,
                lower,
                upper,
                from,
            }) => {
                if self.survivors(upper + same * 3, from)? {
                    // It was those connections, not the path.
                    return self.go_on_with_those_left();
                }
                self.emit(Event::Limit {
                    expiry,
                    lower,
                    upper,
                    counted_from: from,
                })?;
                for ladder in 0..self.ladders.len() {
                    self.finish_ladder(ladder)?;
                }
                Ok(())
            }
        }
    }

    /// Where those that ended were the last ones, nobody else would bring the run to its end.
    fn go_on_with_those_left(&mut self) -> Result<()> {
        for ladder in 0..self.ladders.len() {
            self.judge_if_all_spoke(ladder)?;
        }
        Ok(())
    }

    /// How many sessions have lived then and still do.
    fn outlived(&self, at: Duration) -> usize {
        let lived = |session: &&Session| session.connected < self.start + at && session.alive();
        let measured = |session: &&Session| session.role.ladder().is_some();
        self.sessions.iter().filter(measured).filter(lived).count()
    }

    /// Whether a session has outlived a limit.
    fn survivors(&mut self, limit: Duration, from: CountedFrom) -> Result<bool> {
        let now = self.world.now()?;
        Ok(self.sessions.iter().any(|session| {
            let counted = match from {
                CountedFrom::LastPacket => session.silence(now).0,
                CountedFrom::Start | CountedFrom::Unknown => now.since(session.connected),
            };
            let quiet = matches!(session.state, State::Quiet);
            quiet && session.role.ladder().is_some() && counted > limit
        }))
    }

    /// Looks after the sessions that carry traffic.
    pub(super) fn watch_controls(&mut self) -> Result<()> {
        if self.phase != Phase::Measuring {
            return Ok(());
        }
        let now = self.world.now()?;
        let since = self.ladders.iter().filter_map(Ladder::checking_since).max();
        for id in self.controls.clone() {
            let Some(look) = self.world.look(id) else {
                continue;
            };
            let Some(session) = self.sessions.get_mut(id) else {
                continue;
            };
            let (before, at) = (session.segments_in(), session.looked);
            session.observe(&look, now);
            // The answer has come after the look before.
            if before.is_some_and(|before| before != look.segments_in) {
                self.heard = self.heard.max(at);
            }
            if since.is_some() {
                self.world.set_idle(id, now_or_in_a_second()?);
            }
        }
        self.ping(now, since);
        for ladder in 0..self.ladders.len() {
            let checking = self.ladders.get(ladder).and_then(Ladder::checking_since);
            if checking.is_some_and(|since| since < self.heard) {
                self.sweep(ladder)?;
            }
        }
        if now.since(self.heard) > LOST && !self.judging_ends {
            return self.control_lost();
        }
        self.watch_line(now)?;
        let again = if since.is_some() { CHECKING } else { CONTROL };
        self.at(now + again, Task::Control);
        Ok(())
    }

    /// Whether requests to `kalive serve` can be made.
    pub(super) fn line_stands(&self) -> bool {
        let line = self.line.and_then(|line| self.sessions.get(line));
        line.is_some_and(|line| line.token.is_some() && line.alive())
    }

    fn ping(&mut self, now: Moment, since: Option<Moment>) {
        let Some(line) = self.line.filter(|_| self.line_stands()) else {
            return;
        };
        let due = self.pings.last().is_none_or(|last| {
            now.since(*last) >= PING || since.is_some_and(|since| *last < since)
        });
        if due {
            let number = u32::try_from(self.pings.len()).unwrap_or(u32::MAX);
            self.pings.push(now);
            let request = Request::Ping { number };
            self.world.send(line, request.encode().as_bytes());
        }
    }

    fn watch_line(&mut self, now: Moment) -> Result<()> {
        let lost = self
            .line_lost
            .is_some_and(|at| now.since(at) > FOLLOW.0 && !self.judging_ends);
        let wanted = self
            .line_wanted
            .filter(|_| self.line_lost.is_none() && !self.line_stands());
        let why = if lost {
            "the control connection to kalive serve was lost"
        } else if wanted.is_some_and(|since| now.since(since) > LINE) {
            "no control connection to kalive serve could be made, or it did not greet on it"
        } else {
            return Ok(());
        };
        self.line_lost = None;
        self.line_wanted = None;
        if !self.controls.iter().any(|&id| self.lives(id)) {
            // A peer that has rebooted resets all of them.
            return self.control_lost();
        }
        let inbound = (0..self.ladders.len()).find(|&ladder| {
            self.ladders
                .get(ladder)
                .is_some_and(|ladder| ladder.direction == Direction::Inbound && !ladder.is_done())
        });
        if let Some(ladder) = inbound {
            self.inconclusive(Some(Direction::Inbound), why)?;
            self.finish_ladder(ladder)?;
        }
        Ok(())
    }

    fn control_lost(&mut self) -> Result<()> {
        let at = self.heard.since(self.start);
        self.emit(Event::ControlLost { at })?;
        let why = format!(
            "the connections that carry traffic all along have been silent since {:.1} s after the start: the \
             path or the far end failed, which is no timeout of idle connections{}",
            at.as_secs_f64(),
            if self.serve == Some(true) {
                ""
            } else {
                " (or something on the path does not count keepalives as traffic, which only kalive serve at the \
                 far end would tell)"
            }
        );
        self.inconclusive(None, why)?;
        self.phase = Phase::Over;
        Ok(())
    }

    fn lives(&self, id: Id) -> bool {
        self.sessions.get(id).is_some_and(Session::alive)
    }

    /// What `kalive serve` says on the control connection.
    pub(super) fn replies(&mut self, bytes: &[u8]) -> Result<()> {
        self.lines.push(bytes);
        while let Ok(Some(line)) = self.lines.next(REQUEST) {
            match Reply::parse(&line) {
                Ok(Reply::Pong { number }) => {
                    let sent = usize::try_from(number).ok().and_then(|n| self.pings.get(n));
                    self.heard = self.heard.max(sent.copied().unwrap_or_default());
                }
                Ok(Reply::Spoken {
                    token,
                    outcome,
                    silence,
                    bytes,
                }) => self.spoken(token, outcome.into(), silence, bytes)?,
                Ok(Reply::NoSession { token }) => self.unknown(token)?,
                // A server of another mind: the control connection will be missed.
                Err(_) => {}
            }
        }
        if self
            .ladders
            .iter()
            .any(|ladder| ladder.phase_is(Climb::is_checking))
        {
            let now = self.world.now()?;
            self.at(now, Task::Control);
        }
        Ok(())
    }
}
