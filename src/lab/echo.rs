//! A small far end: one thread that accepts connections and sends back what it receives. It never
//! closes a connection first and sets no option on it.

use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::thread::{self, JoinHandle};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use socket2::{Domain, Socket, Type};

use super::namespace::Namespace;
use super::topology::SERVER_PORT;
use crate::error::{During, Result};

/// More than any test opens at once: a full queue costs its clients a second each.
const BACKLOG: i32 = 4096;

/// A running echo server; dropping it closes its connections.
#[derive(Debug)]
pub(super) struct Echo {
    stop: EventFd,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    /// Starts it in this namespace. It listens when this returns.
    pub(super) fn start(namespace: &Namespace) -> Result<Self> {
        let listener = namespace
            .run(listen)?
            .during(|| format!("listen on [::]:{SERVER_PORT} of the lab's server"))?;
        let stop = EventFd::new().during(|| "eventfd")?;
        let own = stop.as_fd().try_clone_to_owned().during(|| "dup eventfd")?;
        let thread = thread::Builder::new()
            .name("lab echo".to_owned())
            .spawn(move || serve(&listener, &own))
            .during(|| "start the echo server's thread")?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // An eventfd that cannot be written has been written already.
        let _full = self.stop.write(1);
        if let Some(thread) = self.thread.take() {
            // A panic in it has been reported by the thread itself.
            let _panicked = thread.join();
        }
    }
}

fn listen() -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    socket.set_only_v6(false)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, SERVER_PORT)).into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// A connection, with what it has sent and not yet got back.
struct Session {
    stream: TcpStream,
    pending: Vec<u8>,
}

fn serve(listener: &TcpListener, stop: &impl AsFd) {
    let mut sessions: Vec<Session> = Vec::new();
    while let Some(ready) = wait(listener, stop, &sessions) {
        let mut index = 0;
        sessions.retain_mut(|session| {
            let ready = ready.get(index).copied().unwrap_or_default();
            index += 1;
            !ready || echo(session).is_ok()
        });
        accept_all(listener, &mut sessions);
    }
}

/// Waits until something can be done: whether each session is ready, or `None` to stop.
fn wait(listener: &TcpListener, stop: &impl AsFd, sessions: &[Session]) -> Option<Vec<bool>> {
    let mut watched = vec![
        PollFd::new(stop.as_fd(), PollFlags::POLLIN),
        PollFd::new(listener.as_fd(), PollFlags::POLLIN),
    ];
    watched.extend(sessions.iter().map(|session| {
        // Who does not read his answers is not read from either.
        let interest = if session.pending.is_empty() {
            PollFlags::POLLIN
        } else {
            PollFlags::POLLOUT
        };
        PollFd::new(session.stream.as_fd(), interest)
    }));
    match poll(&mut watched, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(_) => return None,
    }
    let mut ready = watched
        .iter()
        .map(|fd| fd.revents().is_some_and(|events| !events.is_empty()));
    if ready.next()? {
        return None;
    }
    Some(ready.skip(1).collect())
}

fn accept_all(listener: &TcpListener, sessions: &mut Vec<Session>) {
    while let Ok((stream, _)) = listener.accept() {
        if stream.set_nonblocking(true).is_ok() {
            sessions.push(Session {
                stream,
                pending: Vec::new(),
            });
        }
    }
}

/// Moves one buffer. `Err` ends the session: the other side closed it or it broke.
fn echo(session: &mut Session) -> io::Result<()> {
    if session.pending.is_empty() {
        let mut buffer = [0; 16 * 1024];
        let length = match session.stream.read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            other => other?,
        };
        session.pending.extend(buffer.iter().take(length));
    }
    match session.stream.write(&session.pending) {
        Ok(written) => drop(session.pending.drain(..written)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    Ok(())
}
