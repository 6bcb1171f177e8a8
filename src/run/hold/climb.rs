//! A ladder being climbed in one direction: which session speaks next, and what its answer leads to.

use std::time::Duration;

use crate::domain::hold::ladder::{self, SHORTEST};
use crate::domain::hold::verdict::{self, Finding};
use crate::domain::hold::{Answer, Direction, Sample};
use crate::domain::moment::Moment;
use crate::domain::serve::ROUNDED;
use crate::error::Result;

use super::event::Event;
use super::probing::RATE_LIMIT;
use super::session::{Role, State};
use super::world::Id;
use super::{Phase, Run, Task};

/// After so many passes what is known has to do.
const PASSES: u32 = 4;
/// A far end that has broken the silence so often does it regularly; where packets get lost, what is sent again
/// looks like that at first.
const REGULAR: u32 = 2;
const REGULAR_WITH_LOSS: u32 = 5;

/// One direction's search.
#[derive(Debug)]
pub(super) struct Ladder {
    pub(super) direction: Direction,
    pub(super) pass: u32,
    rungs: Vec<Id>,
    vernier: Vec<Id>,
    climb: Climb,
    samples: Vec<Sample>,
}

/// Where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Climb {
    /// Rungs speak as their time comes.
    Climbing,
    /// One was lost that spoke first at this moment: has the path failed altogether?
    Checking {
        since: Moment,
    },
    /// It has not, and there is no vernier: further rungs speak.
    Checked,
    /// The vernier speaks.
    Sweeping,
    Done,
}

impl Climb {
    pub(super) fn is_checking(self) -> bool {
        matches!(self, Self::Checking { .. })
    }
}

impl Ladder {
    pub(super) fn new(direction: Direction) -> Self {
        Self {
            direction,
            pass: 0,
            rungs: Vec::new(),
            vernier: Vec::new(),
            climb: Climb::Climbing,
            samples: Vec::new(),
        }
    }

    pub(super) fn longest(&self) -> Option<Duration> {
        let answered = |sample: &&Sample| sample.answer == Answer::Answered;
        let answered = self.samples.iter().filter(answered);
        answered.map(|sample| sample.earliest).max()
    }

    pub(super) fn has_learned(&self) -> bool {
        !self.samples.is_empty()
    }

    pub(super) fn is_done(&self) -> bool {
        self.climb == Climb::Done
    }

    pub(super) fn phase_is(&self, is: impl Fn(Climb) -> bool) -> bool {
        is(self.climb)
    }

    pub(super) fn checking_since(&self) -> Option<Moment> {
        match self.climb {
            Climb::Checking { since } => Some(since),
            Climb::Climbing | Climb::Checked | Climb::Sweeping | Climb::Done => None,
        }
    }
}

impl Run<'_> {
    pub(super) fn begin_pass(&mut self, ladder: usize, plan: &ladder::Ladder) -> Result<()> {
        let now = self.world.now()?;
        let mut rungs = Vec::with_capacity(plan.rungs.len());
        let mut at = now;
        for &age in &plan.rungs {
            let id = self.add(Role::Rung { ladder, age });
            rungs.push(id);
            self.at(at, Task::Open(id));
            at = at + self.plan.spacing;
        }
        let mut vernier = Vec::with_capacity(plan.vernier.count);
        let mut at = now;
        for _ in 0..plan.vernier.count {
            let id = self.add(Role::Vernier { ladder });
            vernier.push(id);
            self.at(at, Task::Open(id));
            at = at + plan.vernier.step.max(self.plan.spacing);
        }
        let started = now.since(self.start);
        let Some(climbing) = self.ladders.get_mut(ladder) else {
            return Ok(());
        };
        climbing.pass += 1;
        climbing.rungs = rungs;
        climbing.vernier = vernier;
        climbing.climb = Climb::Climbing;
        let event = Event::Pass {
            direction: climbing.direction,
            pass: climbing.pass,
            sessions: plan.sessions(),
            longest: plan.rungs.last().copied().unwrap_or_default(),
            at: started,
        };
        self.emit(event)
    }

    /// The age of the next rung to speak.
    pub(super) fn next_rung(&self, ladder: usize) -> Option<Duration> {
        self.waiting(ladder).map(|(_, age)| age).min()
    }

    /// Rungs that have not spoken yet.
    fn waiting(&self, ladder: usize) -> impl Iterator<Item = (Id, Duration)> {
        let rungs = self.ladders.get(ladder).map(|ladder| &ladder.rungs);
        rungs.into_iter().flatten().filter_map(|&id| {
            let session = self.sessions.get(id)?;
            match (&session.state, session.role) {
                (State::Planned | State::Connecting | State::Quiet, Role::Rung { age, .. }) => {
                    Some((id, age))
                }
                _ => None,
            }
        })
    }

    /// A rung may have been silent for long enough.
    pub(super) fn due(&mut self, id: Id) -> Result<()> {
        self.look_now(id)?;
        let now = self.world.now()?;
        let Some(session) = self.sessions.get(id) else {
            return Ok(());
        };
        let (State::Quiet, Role::Rung { ladder, age }) = (&session.state, session.role) else {
            return Ok(());
        };
        let (climb, direction) = match self.ladders.get(ladder) {
            Some(ladder) => (Some(ladder.climb), ladder.direction),
            None => return Ok(()),
        };
        // The far end tells its silences to a tick: what it tells shall not fall short of the age.
        let rounding = match direction {
            Direction::Outbound => Duration::ZERO,
            Direction::Inbound => (self.rate.jiffy() + ROUNDED) * 2,
        };
        let due = session.quiet.1 + age + rounding;
        if due <= now && direction == Direction::Inbound && !self.line_stands() {
            // Whoever would have to be asked cannot be yet: it will be a bit more silent.
            self.at(now + Duration::from_millis(50), Task::Due(id));
            return Ok(());
        }
        match climb {
            Some(Climb::Climbing | Climb::Checking { .. } | Climb::Checked) if due <= now => {
                self.speak(id)
            }
            Some(Climb::Climbing | Climb::Checking { .. } | Climb::Checked) => {
                self.at(due, Task::Due(id));
                self.give_up_if_never_silent(ladder)
            }
            // Should the vernier contradict the rung, this one will speak a bit late.
            Some(Climb::Sweeping) => {
                self.at(now + Duration::from_millis(50), Task::Due(id));
                Ok(())
            }
            Some(Climb::Done) | None => Ok(()),
        }
    }

    /// Where the far end itself speaks more often than any rung that is left, nothing is to be learned.
    fn give_up_if_never_silent(&mut self, ladder: usize) -> Result<()> {
        let regular = if self.tries.lossy() {
            REGULAR_WITH_LOSS
        } else {
            REGULAR
        };
        let never = self.waiting(ladder).all(|(id, _)| {
            self.sessions
                .get(id)
                .is_some_and(|session| session.disturbed >= regular)
        });
        if !never {
            return Ok(());
        }
        let direction = self.ladders.get(ladder).map(|ladder| ladder.direction);
        let why = "the far end itself speaks so often that no connection is ever silent for longer than was tried";
        self.inconclusive(direction, why)?;
        self.finish_ladder(ladder)
    }

    /// What came of a session that spoke first at `since`.
    pub(super) fn learn(&mut self, ladder: usize, sample: Sample, since: Moment) -> Result<()> {
        let Some(climbing) = self.ladders.get_mut(ladder) else {
            return Ok(());
        };
        let dead = sample.answer != Answer::Answered;
        climbing.samples.push(sample);
        match climbing.climb {
            Climb::Climbing if dead => {
                climbing.climb = Climb::Checking { since };
                let now = self.world.now()?;
                self.at(now, Task::Control);
                Ok(())
            }
            Climb::Checking { .. } | Climb::Done => Ok(()),
            Climb::Checked if dead => self.judge(ladder),
            Climb::Climbing | Climb::Checked | Climb::Sweeping => self.judge_if_all_spoke(ladder),
        }
    }

    /// A session of the ladder has no answer to give.
    pub(super) fn unanswerable(&mut self, role: Role) -> Result<()> {
        match role.ladder() {
            Some(ladder) => self.judge_if_all_spoke(ladder),
            None => Ok(()),
        }
    }

    pub(super) fn judge_if_all_spoke(&mut self, ladder: usize) -> Result<()> {
        let Some(climbing) = self.ladders.get(ladder) else {
            return Ok(());
        };
        let all = climbing.rungs.iter().chain(&climbing.vernier);
        let speaking = all
            .filter_map(|&id| self.state(id))
            .any(|state| matches!(state, State::Probing(_)));
        let over = match climbing.climb {
            Climb::Sweeping => !speaking,
            Climb::Climbing | Climb::Checked => !speaking && self.waiting(ladder).next().is_none(),
            Climb::Checking { .. } | Climb::Done => false,
        };
        if over { self.judge(ladder) } else { Ok(()) }
    }

    fn finding(&self, ladder: usize) -> Finding {
        let samples = self.ladders.get(ladder).map(|l| l.samples.as_slice());
        verdict::judge(samples.unwrap_or_default(), self.plan.search.resolution)
    }

    /// The path works, and yet a rung was lost: the vernier speaks, all of it at once.
    pub(super) fn sweep(&mut self, ladder: usize) -> Result<()> {
        let now = self.world.now()?;
        let lower = self.finding(ladder).lower.unwrap_or_default();
        let vernier = match self.ladders.get_mut(ladder) {
            Some(climbing) => std::mem::take(&mut climbing.vernier),
            None => return Ok(()),
        };
        let mut spoken = Vec::new();
        for &id in &vernier {
            let ready = self.sessions.get(id).is_some_and(|session| {
                let silence = session.silence(now).0;
                matches!(session.state, State::Quiet) && silence >= SHORTEST && silence > lower
            });
            if ready {
                spoken.push(id);
            } else if !matches!(self.state(id), Some(State::Quiet)) {
                self.world.close(id, true);
                self.set(id, State::Gone);
            }
        }
        if let Some(climbing) = self.ladders.get_mut(ladder) {
            climbing.climb = if spoken.is_empty() {
                Climb::Checked
            } else {
                Climb::Sweeping
            };
            climbing.vernier = vernier;
        }
        if spoken.is_empty() {
            return self.judge(ladder);
        }
        for id in spoken {
            self.speak(id)?;
        }
        self.judge_if_all_spoke(ladder)
    }

    /// What the samples so far lead to: more rungs, another pass, or the end.
    fn judge(&mut self, ladder: usize) -> Result<()> {
        let finding = self.finding(ladder);
        let search = self.plan.search;
        let waiting = self.waiting(ladder).next().is_some();
        let pass = self.ladders.get(ladder).map_or(PASSES, |l| l.pass);
        let next = match finding.upper {
            None if waiting => Some(Climb::Climbing),
            Some(_) if !finding.supported && waiting => Some(Climb::Checked),
            None | Some(_) => None,
        };
        if let Some(next) = next {
            if let Some(climbing) = self.ladders.get_mut(ladder) {
                climbing.climb = next;
            }
            return Ok(());
        }
        // With loss a second pass has to do: chance would take ever more of them.
        let apart = self.spacing().max(RATE_LIMIT);
        let slack = apart * self.tries.decisive().saturating_sub(1);
        let enough = if pass > 1 {
            search.resolution + slack
        } else {
            search.resolution
        };
        let bounds = finding
            .upper
            .map(|upper| (finding.lower.unwrap_or_default(), upper));
        let fine = bounds.is_none_or(|(lower, upper)| {
            let width = upper.saturating_sub(lower);
            finding.supported && (width <= enough || finding.lower.is_none())
        });
        // What is asked for is answered: how exactly it is does not change that.
        let told = bounds.zip(self.plan.at_least);
        let told = told.is_some_and(|((_, upper), least)| upper <= least && finding.supported);
        if ((fine || told) && finding.consistent()) || pass >= PASSES {
            return self.finish_ladder(ladder);
        }
        let decisive = self.tries.decisive();
        match search.again(bounds, &finding.contradictions, decisive) {
            Some(again) => {
                self.close_ladder(ladder);
                self.begin_pass(ladder, &again)
            }
            None => self.finish_ladder(ladder),
        }
    }

    fn close_ladder(&mut self, ladder: usize) {
        for id in 0..self.sessions.len() {
            let own = self
                .sessions
                .get(id)
                .is_some_and(|session| session.role.ladder() == Some(ladder));
            if own && !matches!(self.state(id), Some(State::Gone)) {
                let alive = matches!(
                    self.state(id),
                    Some(State::Quiet | State::Spoken(Answer::Answered))
                );
                self.world.close(id, !alive);
                self.set(id, State::Gone);
            }
        }
    }

    /// One direction is done; after the last one the keepers' turn comes.
    pub(super) fn finish_ladder(&mut self, ladder: usize) -> Result<()> {
        self.close_ladder(ladder);
        if let Some(climbing) = self.ladders.get_mut(ladder) {
            climbing.climb = Climb::Done;
        }
        if self.phase == Phase::Measuring && self.ladders.iter().all(Ladder::is_done) {
            self.phase = Phase::Keeping { asked: None };
            let now = self.world.now()?;
            self.at(now, Task::Keepers);
        }
        Ok(())
    }
}
