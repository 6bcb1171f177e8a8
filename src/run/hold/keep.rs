//! At the end: which of the connections that the kernel kept alive are, and carry data?

use std::time::Duration;

use crate::domain::moment::Moment;
use crate::error::Result;

use super::event::Event;
use super::probing::RATE_LIMIT;
use super::session::{Role, Session, State};
use super::start::now_or_in_a_second;
use super::world::Id;
use super::{Phase, Run, Task};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(40);
/// How long an answer may take, and where repetitions of what got lost have to be waited for.
const PATIENCE: Duration = Duration::from_millis(1_200);
const LOSSY: Duration = Duration::from_secs(7);
/// After its first probe a keeper is given time for an answer or a few more probes.
const ANSWER: Duration = Duration::from_millis(1_500);

impl Run<'_> {
    pub(super) fn keepers(&mut self) -> Result<()> {
        let now = self.world.now()?;
        match self.phase {
            Phase::Measuring | Phase::Over => Ok(()),
            Phase::Keeping { asked: None } => {
                let ready = self.all_keepers().filter_map(|id| self.ready_at(id)).max();
                if let Some(ready) = ready
                    && ready > now
                {
                    self.at(ready, Task::Keepers);
                    return Ok(());
                }
                self.ask_keepers(now)
            }
            Phase::Keeping { asked: Some(since) } => self.hear_keepers(since, now),
        }
    }

    fn all_keepers(&self) -> impl Iterator<Item = Id> {
        let keeper = |session: &Session| matches!(session.role, Role::Keeper(_));
        (self.sessions.iter().enumerate())
            .filter(move |(_, session)| keeper(session) && !session.unconnected())
            .map(|(id, _)| id)
    }

    /// When a keeper that was asked for has had its first probe, if it lives.
    fn ready_at(&self, id: Id) -> Option<Moment> {
        let session = self.sessions.get(id).filter(|session| session.alive())?;
        let Role::Keeper(place) = session.role else {
            return None;
        };
        self.plan.keepers.get(place).filter(|keeper| keeper.asked)?;
        self.probed_by(id).map(|at| at + ANSWER)
    }

    /// When the kernel has sent a keeper's first probe, however late its timer is.
    fn probed_by(&self, id: Id) -> Option<Moment> {
        let session = self.sessions.get(id)?;
        let Role::Keeper(place) = session.role else {
            return None;
        };
        let idle = self.plan.keepers.get(place)?.idle.duration();
        Some(session.connected + idle + self.rate.lateness(idle))
    }

    fn ask_keepers(&mut self, now: Moment) -> Result<()> {
        for id in self.all_keepers().collect::<Vec<_>>() {
            self.look_now(id)?;
            if self.serve == Some(true) {
                self.world.send(id, b"k");
            }
            let look = self.world.look(id);
            if let (Some(session), Some(look)) = (self.sessions.get_mut(id), look) {
                session.marked = look.segments_in;
                session.echoed = false;
                session.answered = false;
            }
        }
        self.phase = Phase::Keeping { asked: Some(now) };
        self.at(now + LOOK, Task::Keepers);
        Ok(())
    }

    fn hear_keepers(&mut self, since: Moment, now: Moment) -> Result<()> {
        let serve = self.serve == Some(true);
        let keepers: Vec<Id> = self.all_keepers().collect();
        let apart = self.spacing().max(RATE_LIMIT);
        let mut all = true;
        for &id in &keepers {
            let due = self.probed_by(id).is_some_and(|at| at < now);
            let look = self.world.look(id);
            let Some(session) = self.sessions.get_mut(id) else {
                continue;
            };
            if let Some(look) = look
                && session.alive()
            {
                session.answered |= look.segments_in != session.marked;
                let heard = if serve {
                    session.echoed
                } else {
                    session.answered
                };
                // What has not been kept alive yet proves nothing, and is not waited for.
                all &= heard || !due;
                // Sooner it could not be answered again, and would count towards TCP_KEEPCNT.
                let again = session.asked.is_none_or(|asked| now.since(asked) >= apart);
                if !heard && !serve && again {
                    session.asked = Some(now);
                    self.world.set_idle(id, now_or_in_a_second()?);
                }
            }
        }
        let patience = if self.tries.lossy() { LOSSY } else { PATIENCE };
        if !all && now.since(since) < patience + self.round_trip * 4 {
            self.at(now + LOOK, Task::Keepers);
            return Ok(());
        }
        for id in keepers {
            self.tell_keeper(id, now)?;
        }
        self.phase = Phase::Over;
        Ok(())
    }

    fn tell_keeper(&mut self, id: Id, now: Moment) -> Result<()> {
        let serve = self.serve == Some(true);
        let Some(session) = self.sessions.get(id) else {
            return Ok(());
        };
        let Role::Keeper(place) = session.role else {
            return Ok(());
        };
        let Some(keeper) = self.plan.keepers.get(place).copied() else {
            return Ok(());
        };
        let idle = keeper.idle.duration();
        let lives = !matches!(session.state, State::Gone);
        let probed = self.probed_by(id).is_some_and(|at| at < now);
        // What has not been kept alive yet, and lives, proves nothing.
        if lives && !probed {
            return Ok(());
        }
        self.emit(Event::Keeper {
            idle,
            asked: keeper.asked,
            survived: lives && (session.answered || session.echoed),
            closed: session.closed,
            data_ok: serve.then_some(lives && session.echoed),
        })
    }
}
