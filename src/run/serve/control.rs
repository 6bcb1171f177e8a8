//! Answers control connections: speaks on a session of theirs and reports what came of it.

use std::cmp::Reverse;
use std::time::Duration;

use socket2::SockRef;

use crate::domain::moment::Moment;
use crate::domain::serve::{Outcome, Reply, Request, Token};
use crate::error::Result;
use crate::sys::tcp_info;

use super::session::Slot;
use super::speaking::{Speaking, Step};
use super::{Ended, Event, Server, now};

impl Server<'_> {
    /// Answers a request of the control connection in `control`, now or when it is known what came of it. What is
    /// answered now is still to be sent.
    pub(super) fn answer(&mut self, control: Slot, request: Request) -> Result<()> {
        match request {
            Request::Ping { number } => {
                self.reply(control, &Reply::Pong { number });
                Ok(())
            }
            Request::Speak {
                token,
                bytes,
                spacing,
            } => self.speak(control, token, (bytes, spacing)),
        }
    }

    fn speak(&mut self, control: Slot, token: Token, asked: (u32, Duration)) -> Result<()> {
        let now = now()?;
        let found = self.table.find(token).and_then(|slot| {
            let session = self.table.get_mut(slot)?;
            // Nothing but answers to its requests belongs on a control connection.
            let speaks = !session.is_control() && session.speaking.is_none();
            let info = tcp_info::read(&session.stream).ok()?;
            speaks.then_some((slot, session, info))
        });
        let Some((slot, session, info)) = found else {
            self.reply(control, &Reply::NoSession { token });
            return Ok(());
        };
        session.speaking = Some(Box::new(Speaking::begin(control, asked, &info, now)));
        self.look_after(slot, now)
    }

    /// Sends the next byte, looks for an answer, or gives up.
    pub(super) fn look_after(&mut self, slot: Slot, now: Moment) -> Result<()> {
        let Some(session) = self.table.get_mut(slot) else {
            return Ok(());
        };
        let Some(speaking) = session.speaking.as_deref_mut() else {
            return Ok(());
        };
        let step = match tcp_info::read(&session.stream) {
            Ok(info) => speaking.step(&info, now),
            Err(_) => Step::Over(Outcome::Reset),
        };
        match step {
            Step::Send(again) => {
                let sent = SockRef::from(&session.stream).send_with_flags(b".", libc::MSG_NOSIGNAL);
                if let Err(error) = sent
                    && error.kind() != std::io::ErrorKind::WouldBlock
                {
                    return self.broken(slot, &error);
                }
                self.looks.push(Reverse((again, slot)));
                Ok(())
            }
            Step::Wait(again) => {
                self.looks.push(Reverse((again, slot)));
                Ok(())
            }
            Step::Over(outcome) => self.conclude(slot, outcome),
        }
    }

    /// A session on which something is being said ends.
    pub(super) fn conclude_before_end(&mut self, slot: Slot, how: Ended) -> Result<()> {
        let outcome = match how {
            Ended::Reset => Outcome::Reset,
            Ended::TimedOut | Ended::Failed(_) | Ended::TooOld => Outcome::Silence,
            // Whatever the client said just now has come through.
            Ended::Closed | Ended::Malformed => Outcome::Acknowledged,
        };
        self.conclude(slot, outcome)
    }

    fn conclude(&mut self, slot: Slot, outcome: Outcome) -> Result<()> {
        let Some(session) = self.table.get_mut(slot) else {
            return Ok(());
        };
        let Some(speaking) = session.speaking.take() else {
            return Ok(());
        };
        let (peer, token) = (session.peer, session.token);
        (self.tell)(Event::Spoke {
            peer,
            outcome,
            silence: speaking.silence,
        })?;
        let reply = Reply::Spoken {
            token,
            outcome,
            silence: speaking.silence,
            bytes: speaking.sent,
        };
        self.reply(speaking.control, &reply);
        self.flush(speaking.control)
    }

    fn reply(&mut self, control: Slot, reply: &Reply) {
        // Who asked may be gone.
        if let Some(session) = self.table.get_mut(control) {
            session.reply(&reply.encode());
        }
    }
}
