//! The real world: the kernel's TCP, one epoll, CLOCK_MONOTONIC.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::domain::moment::Moment;
use crate::domain::options::Idle;
use crate::error::{During as _, Error, Result};
use crate::sys::clock;
use crate::sys::reactor::{Interest, Reactor, Ready};
use crate::sys::signals::Interrupt;
use crate::sys::tcp::{Connection, Options, Origin};

use super::world::{Happened, Id, Keepalive, Look, World};

/// The kernel's TCP.
#[derive(Debug)]
pub(crate) struct Net {
    reactor: Reactor,
    origin: Origin,
    connections: HashMap<Id, Made>,
    ready: Vec<Ready>,
}

#[derive(Debug)]
struct Made {
    connection: Connection,
    connected: bool,
    /// Nothing more is to be expected of it.
    over: bool,
}

impl Net {
    pub(crate) fn new(reactor: Reactor, origin: Origin) -> Self {
        Self {
            reactor,
            origin,
            connections: HashMap::new(),
            ready: Vec::new(),
        }
    }

    /// Whether the kernel counts segments in `TCP_INFO`, without which there is nothing to see.
    pub(crate) fn counts_segments() -> Result<()> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
            .during(|| "opening a TCP socket")?;
        let info = crate::sys::tcp_info::read(&socket).during(|| "getsockopt TCP_INFO")?;
        if info.segs_in.is_some() && info.segs_out.is_some() {
            return Ok(());
        }
        Err(Error::Unsupported(
            "this kernel's TCP_INFO does not count segments: hold needs Linux 4.2 or later"
                .to_owned(),
        ))
    }

    fn attend(&mut self, ready: Ready, happened: &mut Vec<(Id, Happened)>) {
        let Ok(id) = Id::try_from(ready.token) else {
            return;
        };
        let Some(made) = self.connections.get_mut(&id) else {
            return;
        };
        let before = happened.len();
        if made.connected {
            receive(made, id, ready, happened);
        } else if ready.writable || ready.error || ready.hung_up {
            happened.push((id, connected(made)));
            if made.connected {
                let _ = self
                    .reactor
                    .modify(&made.connection, ready.token, Interest::Readable);
            }
        }
        let over = happened.iter().skip(before).any(|(_, what)| {
            matches!(
                what,
                Happened::Failed(_) | Happened::Closed | Happened::Broken(_)
            )
        });
        if over {
            made.over = true;
            // Level-triggered: it would be told for ever.
            let _ = self.reactor.remove(&made.connection);
        }
    }
}

fn connected(made: &mut Made) -> Happened {
    match made.connection.take_error() {
        Ok(None) => {
            made.connected = true;
            // Banners are acknowledged at once, not after the delay that saves a segment.
            let _ = made.connection.socket().set_tcp_quickack(true);
            let _ = made.connection.socket().set_tcp_nodelay(true);
            Happened::Connected
        }
        Ok(Some(error)) | Err(error) => Happened::Failed(error.raw_os_error().unwrap_or(0)),
    }
}

fn receive(made: &Made, id: Id, ready: Ready, happened: &mut Vec<(Id, Happened)>) {
    if ready.error
        && let Ok(Some(error)) = made.connection.take_error()
    {
        happened.push((id, Happened::Broken(error.raw_os_error().unwrap_or(0))));
        return;
    }
    let mut buffer = [0; 4096];
    loop {
        match made.connection.receive(&mut buffer) {
            Ok(0) => return happened.push((id, Happened::Closed)),
            Ok(length) => {
                let bytes = buffer.get(..length).unwrap_or_default();
                happened.push((id, Happened::Data(bytes.to_vec())));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(0);
                return happened.push((id, Happened::Broken(errno)));
            }
        }
    }
}

impl World for Net {
    fn now(&mut self) -> Result<Moment> {
        clock::now().during(|| "clock_gettime CLOCK_MONOTONIC")
    }

    fn suspended(&mut self) -> Result<Duration> {
        clock::suspended().during(|| "clock_gettime CLOCK_BOOTTIME")
    }

    fn open(
        &mut self,
        id: Id,
        peer: SocketAddr,
        keepalive: Keepalive,
    ) -> std::result::Result<(), i32> {
        let options = Options {
            keepalive: true,
            idle: Some(keepalive.idle),
            interval: Some(keepalive.interval),
            count: Some(keepalive.count),
            user_timeout: None,
        };
        let errno = |error: Error| match error {
            Error::System { cause, .. } => cause.raw_os_error().unwrap_or(0),
            Error::Usage(_) | Error::Unsupported(_) | Error::Output(_) => 0,
        };
        let connection = Connection::start(peer, &self.origin, &options).map_err(errno)?;
        let token = u64::try_from(id).unwrap_or(u64::MAX);
        self.reactor
            .add(&connection, token, Interest::Writable)
            .map_err(|error| error.raw_os_error().unwrap_or(0))?;
        let made = Made {
            connection,
            connected: false,
            over: false,
        };
        self.connections.insert(id, made);
        Ok(())
    }

    fn look(&mut self, id: Id) -> Option<Look> {
        let made = self.connections.get(&id).filter(|made| !made.over)?;
        let info = made.connection.info().ok()?;
        let activity = info.activity;
        Some(Look {
            segments_in: info.segs_in?,
            segments_out: info.segs_out?,
            acknowledged: info.unacked == 0 || info.sacked > 0,
            probes: info.probes,
            last: activity
                .last_data_sent
                .min(activity.last_data_received)
                .min(activity.last_ack_received),
            round_trip: info.rtt,
        })
    }

    fn set_idle(&mut self, id: Id, idle: Idle) {
        if let Some(made) = self.connections.get(&id) {
            // A connection that is gone tells so itself.
            let _ = made.connection.set_idle(idle);
        }
    }

    fn send(&mut self, id: Id, bytes: &[u8]) {
        if let Some(made) = self.connections.get(&id) {
            let _ = made.connection.send(bytes);
        }
    }

    fn close(&mut self, id: Id, abort: bool) {
        if let Some(made) = self.connections.remove(&id)
            && abort
        {
            let _ = made.connection.socket().set_linger(Some(Duration::ZERO));
        }
    }

    fn wait(
        &mut self,
        until: Moment,
        happened: &mut Vec<(Id, Happened)>,
    ) -> Result<Option<Interrupt>> {
        let mut ready = std::mem::take(&mut self.ready);
        let interrupt = self
            .reactor
            .wait(Some(until), &mut ready)
            .during(|| "epoll_wait")?;
        for event in &ready {
            self.attend(*event, happened);
        }
        self.ready = ready;
        Ok(interrupt)
    }
}
