//! A session of the far end: what it has received and not yet sent back. Small while it is idle, since
//! there are thousands.

use std::io::{self, Read as _};
use std::net::{SocketAddr, TcpStream};

use socket2::SockRef;

use crate::domain::moment::Moment;
use crate::domain::serve::{CONTROL, Lines, REQUEST, Request, Token};
use crate::sys::reactor::Interest;

use super::speaking::Speaking;
use super::turns::Said;

/// How much is read at once, and so the most that a session holds back.
const BUFFER: usize = 4 * 1024;

/// Where a session is in the table, and which of those that have been there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    index: u32,
    generation: u32,
}

impl Slot {
    pub(super) fn key(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    pub(super) fn from_key(key: u64) -> Self {
        let low = key & u64::from(u32::MAX);
        Self {
            index: u32::try_from(low).unwrap_or_default(),
            generation: u32::try_from(key >> 32).unwrap_or_default(),
        }
    }
}

/// All sessions.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<(u32, Option<Session>)>,
    free: Vec<u32>,
    tokens: std::collections::HashMap<Token, Slot>,
}

impl Table {
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.slots.len() - self.free.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn insert(&mut self, session: Session) -> Slot {
        let token = session.token;
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let mut generation = 0;
        if let Some((kept, place)) = self.slots.get_mut(index as usize) {
            // Below the tokens that the reactor and the listener have for themselves.
            *kept = (*kept + 1) % (u32::MAX - 1);
            generation = *kept;
            *place = Some(session);
        }
        let slot = Slot { index, generation };
        self.tokens.insert(token, slot);
        slot
    }

    pub(super) fn find(&self, token: Token) -> Option<Slot> {
        self.tokens.get(&token).copied()
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Session> {
        let (generation, session) = self.slots.get(slot.index as usize)?;
        session.as_ref().filter(|_| *generation == slot.generation)
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Session> {
        let (generation, session) = self.slots.get_mut(slot.index as usize)?;
        session.as_mut().filter(|_| *generation == slot.generation)
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Session> {
        self.get(slot)?;
        let (_, place) = self.slots.get_mut(slot.index as usize)?;
        let session = place.take()?;
        self.free.push(slot.index);
        self.tokens.remove(&session.token);
        Some(session)
    }
}

/// A connection of a client.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) token: Token,
    pub(super) since: Moment,
    pub(super) watched: Interest,
    pub(super) said: Said,
    kind: Kind,
    /// What is being said on it on request.
    pub(super) speaking: Option<Box<Speaking>>,
}

#[derive(Debug)]
enum Kind {
    /// Has said nothing yet, or only what a control connection begins with.
    New {
        said: u8,
    },
    /// Gets back what it sends; this is still to be sent.
    Echo {
        pending: Vec<u8>,
    },
    Control(Box<Control>),
}

#[derive(Debug, Default)]
struct Control {
    lines: Lines,
    pending: Vec<u8>,
}

/// What an exchange has brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Moved {
    Nothing,
    Requests(Vec<Request>),
}

/// Why a session cannot go on.
#[derive(Debug)]
pub(super) enum Broken {
    Closed,
    Malformed,
    Failed(io::Error),
}

impl Session {
    pub(super) fn new(stream: TcpStream, peer: SocketAddr, token: Token, since: Moment) -> Self {
        Self {
            stream,
            peer,
            token,
            since,
            watched: Interest::Readable,
            said: Said::default(),
            kind: Kind::New { said: 0 },
            speaking: None,
        }
    }

    pub(super) fn is_control(&self) -> bool {
        matches!(self.kind, Kind::Control(_))
    }

    /// Who does not read his answers is not read from either.
    pub(super) fn interest(&self) -> Interest {
        let pending = match &self.kind {
            Kind::New { .. } => false,
            Kind::Echo { pending } => !pending.is_empty(),
            Kind::Control(control) => !control.pending.is_empty(),
        };
        if pending {
            Interest::Writable
        } else {
            Interest::Readable
        }
    }

    /// Queues a reply of a control connection; it goes out with the next exchange.
    pub(super) fn reply(&mut self, text: &str) {
        if let Kind::Control(control) = &mut self.kind {
            control.pending.extend_from_slice(text.as_bytes());
        }
    }

    /// Sends what is pending, else receives and takes it further.
    pub(super) fn exchange(&mut self, now: Moment) -> Result<Moved, Broken> {
        self.flush()?;
        if self.interest() == Interest::Writable {
            return Ok(Moved::Nothing);
        }
        let mut buffer = [0; BUFFER];
        let length = match (&self.stream).read(&mut buffer) {
            Ok(0) => return Err(Broken::Closed),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Moved::Nothing),
            Err(error) => return Err(Broken::Failed(error)),
            Ok(length) => length,
        };
        self.said.add(length, now);
        let moved = self.received(buffer.get(..length).unwrap_or_default())?;
        self.flush()?;
        Ok(moved)
    }

    fn received(&mut self, mut bytes: &[u8]) -> Result<Moved, Broken> {
        if let Kind::New { said } = self.kind {
            let begun = usize::from(said);
            let opening = CONTROL.as_bytes();
            let awaited = opening.get(begun..).unwrap_or_default();
            let common = awaited.len().min(bytes.len());
            let (now, rest) = bytes.split_at_checked(common).unwrap_or((bytes, &[]));
            if !awaited.starts_with(now) {
                let begun = opening.get(..begun).unwrap_or_default();
                self.echo([begun, bytes].concat());
                return Ok(Moved::Nothing);
            }
            if common < awaited.len() {
                // The opening has fewer than 256 bytes.
                let said = u8::try_from(begun + common).unwrap_or_default();
                self.kind = Kind::New { said };
                return Ok(Moved::Nothing);
            }
            self.kind = Kind::Control(Box::default());
            bytes = rest;
        }
        match &mut self.kind {
            Kind::New { .. } | Kind::Echo { .. } => {
                self.echo(bytes.to_vec());
                Ok(Moved::Nothing)
            }
            Kind::Control(control) => {
                control.lines.push(bytes);
                let mut requests = Vec::new();
                while let Some(line) = control.lines.next(REQUEST).map_err(|_| Broken::Malformed)? {
                    requests.push(Request::parse(&line).map_err(|_| Broken::Malformed)?);
                }
                Ok(Moved::Requests(requests))
            }
        }
    }

    fn echo(&mut self, bytes: Vec<u8>) {
        self.kind = Kind::Echo { pending: bytes };
    }

    pub(super) fn flush(&mut self) -> Result<(), Broken> {
        let send = |bytes: &mut Vec<u8>| loop {
            if bytes.is_empty() {
                return Ok(());
            }
            match SockRef::from(&self.stream).send_with_flags(bytes, libc::MSG_NOSIGNAL) {
                Ok(sent) => drop(bytes.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(Broken::Failed(error)),
            }
        };
        match &mut self.kind {
            Kind::New { .. } => {}
            Kind::Echo { pending } => {
                send(pending)?;
                if pending.is_empty() {
                    // An idle session is small.
                    *pending = Vec::new();
                }
            }
            Kind::Control(control) => send(&mut control.pending)?,
        }
        Ok(())
    }
}
