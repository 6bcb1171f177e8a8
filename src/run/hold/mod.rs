//! Carries a measurement out: opens sessions, lets them be silent, speaks, and tells what happens. What
//! it decides by is pure (`domain::hold`, `probing`, `session`); the world is behind a seam.

mod climb;
pub(crate) mod event;
mod keep;
pub(crate) mod net;
mod probing;
mod session;
mod speak;
mod start;
#[cfg(test)]
mod tests;
mod watch;
pub(crate) mod world;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::domain::hold::Direction;
use crate::domain::hold::ends::End;
use crate::domain::hold::tries::Tries;
use crate::domain::moment::Moment;
use crate::domain::serve::Lines;
use crate::domain::wheel::TickRate;
use crate::error::Result;
use crate::plan::hold::Plan;
use crate::sys::signals::Interrupt;

use climb::Ladder;
use event::{Event, Progress};
use session::{Session, State};
use world::{Happened, Id, World};

/// How often to tell how it goes.
const TICK: Duration = Duration::from_millis(250);
/// More than the two clocks' readings differ by.
const SUSPENDED: Duration = Duration::from_millis(200);
/// Tries are never closer than this.
const SPACING: Duration = Duration::from_millis(50);
/// How often a session that is being spoken on is looked at.
const LOOK: Duration = Duration::from_millis(4);

type Emit<'a> = &'a mut dyn FnMut(Event) -> Result<()>;

/// Carries `plan` out with the first of `addresses` that answers; returns the signal that ended it early.
pub(crate) fn run(
    plan: &Plan,
    addresses: &[SocketAddr],
    rate: TickRate,
    world: &mut dyn World,
    emit: Emit,
) -> Result<Option<Interrupt>> {
    let now = world.now()?;
    let mut run = Run {
        suspended: world.suspended()?,
        plan: plan.clone(),
        rate,
        world,
        emit,
        peer: addresses
            .first()
            .copied()
            .unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0))),
        sessions: Vec::new(),
        queue: BinaryHeap::new(),
        order: 0,
        start: now,
        serve: None,
        ladders: Vec::new(),
        controls: Vec::new(),
        line: None,
        line_wanted: None,
        line_lost: None,
        lines: Lines::default(),
        pings: Vec::new(),
        heard: now,
        opened: 0,
        shrunk: 0,
        tries: Tries::default(),
        round_trip: Duration::ZERO,
        ends: Vec::new(),
        judging_ends: false,
        phase: Phase::Measuring,
        interrupt: None,
    };
    run.measure(addresses)
}

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Measuring,
    /// The ladders are done; keepers are waited for, or asked since then.
    Keeping {
        asked: Option<Moment>,
    },
    Over,
}

/// What is to be done at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    Open(Id),
    /// It has taken too long to connect.
    Overdue(Id),
    /// Look whether anything has moved.
    Look(Id),
    /// A rung has been silent for long enough, perhaps.
    Due(Id),
    /// The next step of speaking.
    Step(Id),
    /// Look after the sessions that carry traffic.
    Control,
    JudgeEnds,
    Keepers,
    Tick,
}

struct Run<'a> {
    plan: Plan,
    rate: TickRate,
    world: &'a mut dyn World,
    emit: Emit<'a>,
    peer: SocketAddr,
    sessions: Vec<Session>,
    queue: BinaryHeap<Reverse<(Moment, u64, Task)>>,
    /// Tasks of the same moment are done in the order in which they were given.
    order: u64,
    start: Moment,
    suspended: Duration,
    /// Whether the far end is `kalive serve`, once that is known.
    serve: Option<bool>,
    ladders: Vec<Ladder>,
    controls: Vec<Id>,
    /// The control connection to `kalive serve`.
    line: Option<Id>,
    /// Since when that is wanted.
    line_wanted: Option<Moment>,
    line_lost: Option<Moment>,
    lines: Lines,
    /// When each ping was sent.
    pings: Vec<Moment>,
    /// The last moment at which the path is known to have worked.
    heard: Moment,
    /// Sessions opened so far.
    opened: usize,
    /// How often the plan was made smaller.
    shrunk: u32,
    tries: Tries,
    round_trip: Duration,
    ends: Vec<End>,
    judging_ends: bool,
    phase: Phase,
    /// A signal that came during a pause.
    interrupt: Option<Interrupt>,
}

impl Run<'_> {
    fn measure(&mut self, addresses: &[SocketAddr]) -> Result<Option<Interrupt>> {
        if let Some(interrupt) = self.establish(addresses)? {
            return Ok(Some(interrupt));
        }
        self.begin()?;
        let mut happened = Vec::new();
        while self.phase != Phase::Over {
            let now = self.world.now()?;
            while self.phase != Phase::Over
                && let Some(Reverse((at, _, task))) = self.queue.peek().copied()
                && at <= now
            {
                self.queue.pop();
                self.do_task(task)?;
            }
            if self.phase == Phase::Over {
                break;
            }
            let until = self
                .queue
                .peek()
                .map_or(now + TICK, |Reverse((at, _, _))| *at);
            if let Some(interrupt) = self.world.wait(until, &mut happened)? {
                return Ok(Some(interrupt));
            }
            for (id, what) in happened.drain(..) {
                self.notice(id, what)?;
            }
        }
        if let Some(interrupt) = self.interrupt {
            return Ok(Some(interrupt));
        }
        let elapsed = self.world.now()?.since(self.start);
        self.emit(Event::Done {
            sessions: self.opened,
            round_trip: self.round_trip,
            elapsed,
        })?;
        Ok(None)
    }

    fn do_task(&mut self, task: Task) -> Result<()> {
        match task {
            Task::Open(id) => self.open(id),
            Task::Overdue(id) => self.overdue(id),
            Task::Look(id) => self.look(id),
            Task::Due(id) => self.due(id),
            Task::Step(id) => self.step(id),
            Task::Control => self.watch_controls(),
            Task::JudgeEnds => self.judge_ends(),
            Task::Keepers => self.keepers(),
            Task::Tick => self.tick(),
        }
    }

    fn notice(&mut self, id: Id, what: Happened) -> Result<()> {
        match what {
            Happened::Connected => self.connected(id),
            Happened::Failed(errno) => self.failed(id, errno),
            Happened::Data(bytes) => self.heard(id, &bytes),
            Happened::Closed => self.gone(id, None),
            Happened::Broken(errno) => self.gone(id, Some(errno)),
        }
    }

    fn at(&mut self, moment: Moment, task: Task) {
        self.order += 1;
        self.queue.push(Reverse((moment, self.order, task)));
    }

    fn emit(&mut self, event: Event) -> Result<()> {
        (self.emit)(event)
    }

    fn passed(&mut self) -> Result<Duration> {
        Ok(self.world.now()?.since(self.start))
    }

    fn spacing(&self) -> Duration {
        SPACING.max(self.round_trip * 3 / 2)
    }

    fn state(&self, id: Id) -> Option<&State> {
        self.sessions.get(id).map(|session| &session.state)
    }

    fn inconclusive(&mut self, direction: Option<Direction>, why: impl Into<String>) -> Result<()> {
        let why = why.into();
        self.emit(Event::Inconclusive { direction, why })
    }

    /// Tells how it goes, and whether the machine has slept meanwhile.
    fn tick(&mut self) -> Result<()> {
        let now = self.world.now()?;
        let asleep = self.world.suspended()?.saturating_sub(self.suspended);
        if asleep > SUSPENDED {
            self.inconclusive(
                None,
                format!(
                    "this machine was suspended for {:.1} s: the path went on forgetting while the clock stood still",
                    asleep.as_secs_f64()
                ),
            )?;
            self.phase = Phase::Over;
            return Ok(());
        }
        let elapsed = now.since(self.start);
        let answered = self.ladders.iter().filter_map(Ladder::longest).max();
        let next = (0..self.ladders.len())
            .filter_map(|ladder| self.next_rung(ladder))
            .min();
        let progress = Progress {
            elapsed,
            answered,
            next,
            alive: self.sessions.iter().filter(|s| s.alive()).count(),
            left: self.plan.at_most().saturating_sub(elapsed),
        };
        self.emit(Event::Progress(progress))?;
        self.at(now + TICK, Task::Tick);
        Ok(())
    }
}
