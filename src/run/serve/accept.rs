//! Whoever comes: takes a connection, greets it, or refuses it with a RST.

use std::io::{self, Read as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::SockRef;

use super::session::Session;
use super::{Event, LISTENER, Refusal, Server, now};
use crate::domain::moment::Moment;
use crate::domain::serve::{Token, greeting};
use crate::error::{During as _, Result};
use crate::sys::reactor::Interest;

/// Those who come shall not keep those who are there waiting.
const ACCEPTED_AT_ONCE: usize = 256;
/// How long to leave connections waiting when none can be taken.
const EXHAUSTED: Duration = Duration::from_secs(1);

impl Server<'_> {
    pub(super) fn accept_some(&mut self) -> Result<()> {
        for _ in 0..ACCEPTED_AT_ONCE {
            match self.listener.accept() {
                Ok((stream, peer)) => self.accept(stream, peer)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // The connection ended before it was taken, or the network had a word to say: accept(2).
                Err(error) if concerns_one(&error) => {}
                Err(_) => {
                    self.exhausted = Some(now()? + EXHAUSTED);
                    // Level-triggered: without this the waiting connection would be told of for ever.
                    return self
                        .reactor
                        .modify(self.listener, LISTENER, Interest::Errors)
                        .during(|| "epoll_ctl");
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self, stream: TcpStream, peer: SocketAddr) -> Result<()> {
        let client = peer.ip().to_canonical();
        let held = self.clients.get(&client).copied().unwrap_or_default();
        let refusal = if !self.plan.allows(peer) {
            Some(Refusal::NotAllowed)
        } else if self.table.len() >= self.sessions {
            Some(Refusal::Full)
        } else if held >= self.plan.sessions_per_client {
            Some(Refusal::ClientFull)
        } else {
            None
        };
        if let Some(why) = refusal {
            refuse(&stream);
            return (self.tell)(Event::Refused { peer, why });
        }
        let now = now()?;
        let token = self.token()?;
        let prepared = stream
            .set_nonblocking(true)
            .and_then(|()| stream.set_nodelay(true))
            .and_then(|()| {
                // A new connection's buffer takes a line.
                SockRef::from(&stream)
                    .send_with_flags(greeting(token).as_bytes(), libc::MSG_NOSIGNAL)
            });
        if prepared.is_err() {
            refuse(&stream);
            return Ok(());
        }
        let slot = self.table.insert(Session::new(stream, peer, token, now));
        if let Some(session) = self.table.get(slot)
            && (self.reactor)
                .add(&session.stream, slot.key(), Interest::Readable)
                .is_err()
        {
            // No memory for one more, or /proc/sys/fs/epoll/max_user_watches.
            refuse(&session.stream);
            self.table.remove(slot);
            return Ok(());
        }
        *self.clients.entry(client).or_default() += 1;
        if let Some(at) = too_old(now, self.plan.age) {
            self.ages.add(at, slot, &self.table);
        }
        (self.tell)(Event::Accepted { peer })
    }

    fn token(&mut self) -> Result<Token> {
        let mut bytes = [0; 8];
        self.random
            .read_exact(&mut bytes)
            .during(|| "read /dev/urandom")?;
        Ok(Token(u64::from_ne_bytes(bytes)))
    }
}

/// `None` for an age that is never reached.
fn too_old(now: Moment, age: Duration) -> Option<Moment> {
    now.since_start()
        .checked_add(age)
        .map(Moment::after_start)
        .filter(|at| *at < Moment::after_start(Duration::MAX))
}

/// Whether an error of accept is that of a connection which is gone with it. Others, such as EMFILE, come again
/// at once.
fn concerns_one(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::EINTR
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::ENETDOWN
                | libc::EHOSTDOWN
                | libc::ENONET
                | libc::EHOSTUNREACH
                | libc::EOPNOTSUPP
                | libc::ENETUNREACH
        )
    )
}

/// Closes with a RST: neither side is left with a waiting end.
fn refuse(stream: &TcpStream) {
    // Whatever comes of it, the descriptor is closed next.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
