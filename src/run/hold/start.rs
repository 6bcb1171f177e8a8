//! Connecting: the first session, whom it meets, and all others at a polite rate. Fewer sessions where
//! the server or this machine refuses.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::cli::hold::{DEFAULT_PORT, DirectionArg};
use crate::domain::hold::Direction;
use crate::domain::moment::Moment;
use crate::domain::options::{Count, Interval};
use crate::domain::serve::CONTROL;
use crate::error::{During as _, Error, Result};
use crate::plan::hold::CONTROLS;
use crate::sys::signals::Interrupt;

use super::climb::Ladder;
use super::event::Event;
use super::session::{Greeted, Role, Session, State};
use super::world::{Happened, Id, Keepalive, now_or_in_a_second, silent};
use super::{Phase, Run, Task};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// Nearly TCP_TIMEOUT_INIT, after which a SYN is repeated.
const REPEATED: Duration = Duration::from_millis(950);
/// How long to wait for a greeting where there need not be one, and where there has to be: if packets get lost it
/// comes after three repetitions of the SYN+ACK, or of its own.
const GREETING: Duration = Duration::from_millis(300);
const GREETING_NEEDED: Duration = Duration::from_secs(10);
/// A server that closes within this time has refused.
pub(super) const REFUSED: Duration = Duration::from_secs(1);
/// How often the plan is made smaller, and after which pause.
const SHRINKS: u32 = 4;
/// Between the connections that carry traffic.
const APART: Duration = Duration::from_millis(330);
const PAUSE: Duration = Duration::from_millis(500);

impl Run<'_> {
    /// Connects the first session to the first address that answers, and sees who is there.
    pub(super) fn establish(&mut self, addresses: &[SocketAddr]) -> Result<Option<Interrupt>> {
        let mut refused = None;
        for &address in addresses {
            self.peer = address;
            let id = self.add(Role::Control);
            match self.connect_first(id)? {
                First::Interrupted(interrupt) => return Ok(Some(interrupt)),
                First::Connected => return self.meet(id),
                First::Failed(error) => refused = Some((address, error)),
            }
        }
        match refused {
            Some((address, error)) => Err(error).during(|| {
                let hint = if address.port() == DEFAULT_PORT {
                    " (run kalive serve there, or name the port of another server)"
                } else {
                    ""
                };
                format!("connect to {address}{hint}")
            }),
            None => Err(Error::Usage("there is no address to connect to".to_owned())),
        }
    }

    fn connect_first(&mut self, id: Id) -> Result<First> {
        let keepalive = self.keepalive(Role::Control)?;
        if let Err(errno) = self.world.open(id, self.peer, keepalive) {
            return Ok(First::Failed(io::Error::from_raw_os_error(errno)));
        }
        self.opened += 1;
        let now = self.world.now()?;
        self.connecting(id, now);
        let until = now + CONNECT;
        let mut happened = Vec::new();
        loop {
            if let Some(interrupt) = self.world.wait(until, &mut happened)? {
                return Ok(First::Interrupted(interrupt));
            }
            for (_, what) in happened.drain(..) {
                match what {
                    Happened::Connected => {
                        self.connected(id)?;
                        return Ok(First::Connected);
                    }
                    Happened::Failed(errno) | Happened::Broken(errno) => {
                        self.set(id, State::Gone);
                        return Ok(First::Failed(io::Error::from_raw_os_error(errno)));
                    }
                    Happened::Data(_) | Happened::Closed => {}
                }
            }
            if self.world.now()? >= until {
                self.world.close(id, true);
                self.set(id, State::Gone);
                return Ok(First::Failed(io::ErrorKind::TimedOut.into()));
            }
        }
    }

    /// Waits for a greeting, within reason.
    fn meet(&mut self, id: Id) -> Result<Option<Interrupt>> {
        let needed = matches!(
            self.plan.direction,
            DirectionArg::Inbound | DirectionArg::Both
        );
        let patience = if needed { GREETING_NEEDED } else { GREETING };
        let until = self.world.now()? + patience + self.round_trip * 3;
        let mut happened = Vec::new();
        while self.serve.is_none() && self.world.now()? < until {
            if let Some(interrupt) = self.world.wait(until, &mut happened)? {
                return Ok(Some(interrupt));
            }
            for (id, what) in happened.drain(..) {
                self.notice(id, what)?;
            }
            if !matches!(self.state(id), Some(State::Quiet)) {
                return Err(Error::Unsupported(format!(
                    "{} closes connections as soon as they are made",
                    self.peer
                )));
            }
        }
        if needed && self.serve != Some(true) {
            return Err(Error::Unsupported(format!(
                "--direction {} needs kalive serve at the far end, and {} did not greet like it",
                if self.plan.direction == DirectionArg::Both {
                    "both"
                } else {
                    "inbound"
                },
                self.peer
            )));
        }
        self.emit(Event::Connected {
            address: self.peer,
            serve: self.serve,
        })?;
        Ok(None)
    }

    /// Opens everything else.
    pub(super) fn begin(&mut self) -> Result<()> {
        let now = self.world.now()?;
        self.start = now;
        self.heard = now;
        let mut at = now;
        let missing = CONTROLS.saturating_sub(self.controls.len());
        for _ in 0..missing {
            let id = self.add(Role::Control);
            // Their probes come once a second: not all at once.
            let place = u32::try_from(self.controls.len() - 1).unwrap_or_default();
            self.at(now + APART * place, Task::Open(id));
        }
        let mut paced = |run: &mut Self, role| {
            let id = run.add(role);
            run.at(at, Task::Open(id));
            at = at + run.plan.spacing;
        };
        for keeper in 0..self.plan.keepers.len() {
            paced(self, Role::Keeper(keeper));
        }
        self.at(now, Task::Control);
        self.at(now, Task::Tick);
        if self.plan.direction != DirectionArg::Inbound {
            self.begin_ladder(Direction::Outbound)?;
        }
        if self.serve == Some(true) {
            self.begin_inbound()?;
        }
        Ok(())
    }

    /// Once the far end is known to be `kalive serve`.
    pub(super) fn begin_inbound(&mut self) -> Result<()> {
        let begun = self
            .ladders
            .iter()
            .any(|ladder| ladder.direction == Direction::Inbound);
        if begun || self.plan.direction == DirectionArg::Outbound {
            return Ok(());
        }
        self.line_wanted = Some(self.world.now()?);
        self.open_line()?;
        self.begin_ladder(Direction::Inbound)
    }

    fn open_line(&mut self) -> Result<()> {
        let id = self.add(Role::Line);
        self.line = Some(id);
        let now = self.world.now()?;
        self.at(now, Task::Open(id));
        Ok(())
    }

    fn begin_ladder(&mut self, direction: Direction) -> Result<()> {
        let (first, _) = self.plan.first()?;
        self.ladders.push(Ladder::new(direction));
        let ladder = self.ladders.len() - 1;
        self.begin_pass(ladder, &first)
    }

    pub(super) fn add(&mut self, role: Role) -> Id {
        self.sessions.push(Session::planned(role));
        let id = self.sessions.len() - 1;
        if role == Role::Control {
            self.controls.push(id);
        }
        id
    }

    pub(super) fn set(&mut self, id: Id, state: State) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.state = state;
        }
    }

    fn connecting(&mut self, id: Id, now: Moment) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.state = State::Connecting;
            session.connected = now;
        }
    }

    fn keepalive(&self, role: Role) -> Result<Keepalive> {
        let wrong = |error: crate::domain::options::OutOfBounds| Error::Usage(error.to_string());
        let idle = match role {
            Role::Control => now_or_in_a_second()?,
            Role::Keeper(place) => match self.plan.keepers.get(place) {
                Some(keeper) => keeper.idle,
                None => silent()?,
            },
            Role::Line | Role::Rung { .. } | Role::Vernier { .. } => silent()?,
        };
        let count = match role {
            Role::Keeper(_) => 9,
            Role::Control | Role::Line | Role::Rung { .. } | Role::Vernier { .. } => 127,
        };
        Ok(Keepalive {
            idle,
            interval: Interval::new(Duration::from_secs(1)).map_err(wrong)?,
            count: Count::new(count).map_err(wrong)?,
        })
    }

    pub(super) fn open(&mut self, id: Id) -> Result<()> {
        let Some(session) = self.sessions.get(id) else {
            return Ok(());
        };
        if !matches!(session.state, State::Planned) {
            return Ok(());
        }
        let keepalive = self.keepalive(session.role)?;
        if let Err(errno) = self.world.open(id, self.peer, keepalive) {
            return self.failed(id, errno);
        }
        self.opened += 1;
        let now = self.world.now()?;
        self.connecting(id, now);
        self.at(now + CONNECT, Task::Overdue(id));
        Ok(())
    }

    pub(super) fn overdue(&mut self, id: Id) -> Result<()> {
        if matches!(self.state(id), Some(State::Connecting)) {
            return self.failed(id, libc::ETIMEDOUT);
        }
        Ok(())
    }

    pub(super) fn connected(&mut self, id: Id) -> Result<()> {
        let now = self.world.now()?;
        let look = self.world.look(id);
        let Some(session) = self.sessions.get_mut(id) else {
            return Ok(());
        };
        let opening = now.since(session.connected);
        session.connect(now);
        let role = session.role;
        // The SYN or its answer was lost: the kernel repeats it after a second.
        self.tries.repeated(u32::from(opening >= REPEATED));
        if let Some(look) = look {
            session.observe(&look, now);
            // A SYN that was repeated takes a second and more, and is no measure of the way.
            if look.round_trip < Duration::from_secs(1) {
                self.round_trip = self.round_trip.max(look.round_trip);
            }
        }
        self.at(now + Duration::from_millis(10), Task::Look(id));
        match role {
            Role::Rung { age, .. } => self.at(now + age, Task::Due(id)),
            Role::Line => self.world.send(id, CONTROL.as_bytes()),
            Role::Control | Role::Keeper(_) | Role::Vernier { .. } => {}
        }
        Ok(())
    }

    /// What the far end says.
    pub(super) fn heard(&mut self, id: Id, bytes: &[u8]) -> Result<()> {
        let greeted = match self.sessions.get_mut(id) {
            Some(session) if session.token.is_some() && session.role == Role::Line => {
                return self.replies(bytes);
            }
            Some(session) => session.hear(bytes),
            None => return Ok(()),
        };
        match greeted {
            Greeted::NotYet => {}
            Greeted::Other => self.serve = self.serve.or(Some(false)),
            Greeted::Serve => {
                let first = self.serve != Some(true);
                self.serve = Some(true);
                if first && !self.ladders.is_empty() {
                    self.begin_inbound()?;
                }
            }
        }
        self.look_now(id)
    }

    /// It could not be connected: the end of a session, or of the plan as it is.
    pub(super) fn failed(&mut self, id: Id, errno: i32) -> Result<()> {
        self.world.close(id, true);
        self.set(id, State::Gone);
        if self.line == Some(id) && errno == libc::ETIMEDOUT {
            // Its SYNs got lost; without it the far end cannot be asked anything.
            return self.open_line();
        }
        let why = io::Error::from_raw_os_error(errno);
        let why = match errno {
            libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::EADDRNOTAVAIL => {
                format!("this machine has no more room: {why}")
            }
            _ => format!("{} takes no more connections: {why}", self.peer),
        };
        self.shrink(id, why)
    }

    /// Whether an end so soon after connecting is a refusal; if so the plan is made smaller.
    pub(super) fn refused(&mut self, id: Id, now: Moment) -> Result<bool> {
        let Some(session) = self.sessions.get(id) else {
            return Ok(false);
        };
        let early = matches!(session.state, State::Quiet)
            && now.since(session.connected) < REFUSED
            && session.role != Role::Line;
        if early {
            self.world.close(id, true);
            self.set(id, State::Gone);
            let why = format!("{} closes further connections at once", self.peer);
            self.shrink(id, why)?;
        }
        Ok(early)
    }

    /// Starts again with as many sessions as could be had, unless something has been learned already: then it goes
    /// on without session `id`.
    fn shrink(&mut self, id: Id, why: String) -> Result<()> {
        let alive = self.sessions.iter().filter(|s| s.alive()).count();
        let learned = self.ladders.iter().any(Ladder::has_learned);
        if learned || self.shrunk >= SHRINKS {
            self.emit(Event::Limited {
                why,
                sessions: alive,
            })?;
            return match self.sessions.get(id).map(|session| session.role) {
                Some(role) => self.unanswerable(role),
                None => Ok(()),
            };
        }
        self.shrunk += 1;
        let directions = self.ladders.len().max(1);
        // What the others, if any, need besides.
        let sessions = alive / directions - alive / directions / 16;
        self.emit(Event::Limited {
            why: why.clone(),
            sessions,
        })?;
        let Ok(smaller) = self.plan.within(sessions) else {
            self.inconclusive(None, format!("{why}; {sessions} are not enough"))?;
            self.phase = Phase::Over;
            return Ok(());
        };
        self.plan = smaller;
        for id in 0..self.sessions.len() {
            self.world.close(id, true);
            self.set(id, State::Gone);
        }
        self.queue.clear();
        self.controls.clear();
        self.ladders.clear();
        self.line = None;
        self.lines = crate::domain::serve::Lines::default();
        // The server has to notice that they are gone.
        let until = self.world.now()? + PAUSE;
        let mut happened = Vec::new();
        while self.world.now()? < until {
            self.interrupt = self.world.wait(until, &mut happened)?;
            if self.interrupt.is_some() {
                self.phase = Phase::Over;
                return Ok(());
            }
            happened.clear();
        }
        self.begin()
    }
}

enum First {
    Connected,
    Failed(io::Error),
    Interrupted(Interrupt),
}
