//! Speaks on a session, or has the far end speak, and makes a sample of what comes of it.

use std::time::Duration;

use crate::domain::hold::{Answer, Direction, Sample};
use crate::domain::serve::{MOST_BYTES, Request, Token};
use crate::error::Result;

use super::event::Event;
use super::probing::{How, Manner, Probing, RTO_MIN, Step};
use super::session::{Session, State};
use super::start::{now_or_in_a_second, silent};
use super::world::Id;
use super::{LOOK, Run, Task};

/// How long a request to the far end may take beyond what it asks for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Two clocks differ by less than this part.
const DRIFT: u32 = 1_000;
/// The server tells silences in milliseconds and to a tick.
pub(super) const ROUNDED: Duration = Duration::from_millis(1);

impl Run<'_> {
    /// Ends the silence of a session.
    pub(super) fn speak(&mut self, id: Id) -> Result<()> {
        let Some(look) = self.world.look(id) else {
            return Ok(());
        };
        let now = self.world.now()?;
        let spacing = self.spacing();
        let lossy = self.tries.lossy();
        let needed = self.tries.needed();
        let Some(session) = self.sessions.get_mut(id) else {
            return Ok(());
        };
        // Something may have passed since the last look.
        session.observe(&look, now);
        let direction = session
            .role
            .ladder()
            .and_then(|ladder| self.ladders.get(ladder))
            .map(|ladder| ladder.direction);
        let how = match direction {
            Some(Direction::Inbound) => How::Asked,
            Some(Direction::Outbound) | None => How::Keepalive,
        };
        let manner = Manner {
            spacing,
            needed,
            confirm: session.token.is_some(),
            lossy,
        };
        let role = session.role;
        let probing = Probing::begin(how, session.quiet, &look, manner, now);
        let token = session.token;
        session.state = State::Probing(Box::new(probing));
        match (how, token) {
            (How::Keepalive | How::Data, _) => self.step(id),
            (How::Asked, Some(token)) => {
                let bytes = needed.min(MOST_BYTES);
                self.ask(token, bytes, spacing);
                self.at(now + PATIENCE + spacing * (bytes + 1), Task::Step(id));
                Ok(())
            }
            (How::Asked, None) => {
                self.world.close(id, true);
                self.set(id, State::Gone);
                self.unanswerable(role)
            }
        }
    }

    fn ask(&mut self, token: Token, bytes: u32, spacing: Duration) {
        if let Some(line) = self.line {
            let request = Request::Speak {
                token,
                bytes,
                spacing,
            };
            self.world.send(line, request.encode().as_bytes());
        }
    }

    /// The next step of a session that is being spoken on.
    pub(super) fn step(&mut self, id: Id) -> Result<()> {
        let now = self.world.now()?;
        let Some(session) = self.sessions.get_mut(id) else {
            return Ok(());
        };
        let role = session.role;
        let State::Probing(probing) = &mut session.state else {
            return Ok(());
        };
        if probing.how == How::Asked {
            // The far end has not told what became of it.
            self.world.close(id, true);
            self.set(id, State::Gone);
            return self.unanswerable(role);
        }
        let Some(look) = self.world.look(id) else {
            return Ok(());
        };
        match probing.step(&look, now) {
            Step::Probe => self.world.set_idle(id, now_or_in_a_second()?),
            Step::Send => self.world.send(id, b"k"),
            Step::Wait => {}
            Step::Over(answer) => return self.verdict(id, answer),
        }
        self.at(now + LOOK, Task::Step(id));
        Ok(())
    }

    /// It is known what became of a session on which this side spoke.
    pub(super) fn verdict(&mut self, id: Id, answer: Answer) -> Result<()> {
        let now = self.world.now()?;
        let decisive = self.tries.decisive();
        let Some(session) = self.sessions.get_mut(id) else {
            return Ok(());
        };
        let State::Probing(probing) = &session.state else {
            return Ok(());
        };
        let pass = session
            .role
            .ladder()
            .and_then(|ladder| self.ladders.get(ladder))
            .map_or(1, |ladder| ladder.pass);
        let keepalive_only = probing.how == How::Data && answer != Answer::Answered;
        let (began, tries) = (probing.began, probing.tries);
        let sample = probing.sample(answer, decisive, now, pass);
        if answer == Answer::Answered {
            self.tries.answered_after(tries);
        }
        self.conclude(id, sample, keepalive_only, began)
    }

    /// The far end has told what became of a session on which it spoke.
    pub(super) fn spoken(
        &mut self,
        token: Token,
        answer: Answer,
        silence: Duration,
        bytes: u32,
    ) -> Result<()> {
        let decisive = self.tries.decisive();
        let spacing = self.spacing();
        let jiffy = self.rate.jiffy() + ROUNDED;
        let Some((id, began, pass)) = self.asked(token) else {
            return Ok(());
        };
        let now = self.world.now()?;
        let connected = self.sessions.get(id).map(|session| session.connected);
        let age = connected.map_or(Duration::ZERO, |connected| now.since(connected));
        if silence > age + age / DRIFT + jiffy {
            // No silence is longer than there has been a connection: that far end cannot be believed.
            return self.unknown(token);
        }
        // The last packet went through the path up to half a round trip before, the byte as much after.
        let at = |byte: u32| silence + jiffy + self.round_trip + spacing * byte.saturating_sub(1);
        let latest = match answer {
            Answer::Lost => at(decisive.min(bytes)),
            Answer::Reset => at(bytes),
            Answer::Answered => at(1),
        };
        let sample = Sample {
            earliest: silence.saturating_sub(jiffy),
            latest,
            answer,
            tries: bytes,
            pass,
            tried: (1..=bytes)
                .filter(|byte| spacing * (byte - 1) < RTO_MIN)
                .map(at)
                .collect(),
            decisive,
        };
        if answer == Answer::Answered {
            self.tries.answered_after(bytes.max(1));
        }
        self.conclude(id, sample, false, began)
    }

    /// The far end has no such session any more.
    pub(super) fn unknown(&mut self, token: Token) -> Result<()> {
        let Some((id, _, _)) = self.asked(token) else {
            return Ok(());
        };
        let role = self.sessions.get(id).map(|session| session.role);
        self.world.close(id, true);
        self.set(id, State::Gone);
        match role {
            Some(role) => self.unanswerable(role),
            None => Ok(()),
        }
    }

    /// The session that waits for the far end, when it began to, and in which pass.
    fn asked(&self, token: Token) -> Option<(Id, crate::domain::moment::Moment, u32)> {
        let waits = |session: &Session| session.token == Some(token);
        let id = self.sessions.iter().position(waits)?;
        let session = self.sessions.get(id)?;
        let State::Probing(probing) = &session.state else {
            return None;
        };
        let ladder = self.ladders.get(session.role.ladder()?)?;
        Some((id, probing.began, ladder.pass))
    }

    fn conclude(
        &mut self,
        id: Id,
        sample: Sample,
        keepalive_only: bool,
        began: crate::domain::moment::Moment,
    ) -> Result<()> {
        let now = self.world.now()?;
        let at = self.passed()?;
        let Some(session) = self.sessions.get_mut(id) else {
            return Ok(());
        };
        session.state = State::Spoken(sample.answer);
        session.quiet = (began, now);
        let ladder = session.role.ladder();
        let planned = session.role.age();
        if sample.answer == Answer::Answered {
            self.world.set_idle(id, silent()?);
        } else {
            self.world.close(id, true);
        }
        let Some(ladder) = ladder else {
            return Ok(());
        };
        let direction = self.ladders.get(ladder).map(|ladder| ladder.direction);
        if let Some(direction) = direction {
            self.emit(Event::Sample {
                direction,
                session: id,
                at,
                planned,
                keepalive_only,
                sample: sample.clone(),
            })?;
        }
        self.learn(ladder, sample, began)
    }
}
