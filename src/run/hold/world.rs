//! What a measurement needs of the world: connections, looks at them, and time. The real one is `net`;
//! tests have one in virtual time.

use std::net::SocketAddr;
use std::time::Duration;

use crate::domain::moment::Moment;
use crate::domain::options::{Count, Idle, Interval};
use crate::error::Result;
use crate::sys::signals::Interrupt;

/// Names a session.
pub(crate) type Id = usize;

/// How the kernel keeps a session alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keepalive {
    pub(crate) idle: Idle,
    pub(crate) interval: Interval,
    pub(crate) count: Count,
}

/// A look at a connection (`TCP_INFO`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) segments_in: u32,
    pub(crate) segments_out: u32,
    /// Whether everything sent has been acknowledged, or some of it although what came before got lost.
    pub(crate) acknowledged: bool,
    /// Unanswered keepalive probes.
    pub(crate) probes: u8,
    /// Since data was sent or received or an acknowledgment came; to a tick.
    pub(crate) last: Duration,
    pub(crate) round_trip: Duration,
}

/// What happened to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Happened {
    Connected,
    /// It could not be made: the errno.
    Failed(i32),
    Data(Vec<u8>),
    /// A FIN.
    Closed,
    /// It ended with this errno.
    Broken(i32),
}

/// The seam.
pub(crate) trait World {
    fn now(&mut self) -> Result<Moment>;

    /// How long the machine has been suspended since it started.
    fn suspended(&mut self) -> Result<Duration>;

    /// Begins to connect, with keepalive on. `Err` is the errno of what is refused at once.
    fn open(
        &mut self,
        id: Id,
        peer: SocketAddr,
        keepalive: Keepalive,
    ) -> std::result::Result<(), i32>;

    /// `None` once the connection is gone.
    fn look(&mut self, id: Id) -> Option<Look>;

    /// Sets `TCP_KEEPIDLE`.
    fn set_idle(&mut self, id: Id, idle: Idle);

    /// Sends, all of it or nothing.
    fn send(&mut self, id: Id, bytes: &[u8]);

    /// Closes with a FIN, or with a RST.
    fn close(&mut self, id: Id, abort: bool);

    /// Waits until `until` has come, something has happened, or a signal, which it returns.
    fn wait(
        &mut self,
        until: Moment,
        happened: &mut Vec<(Id, Happened)>,
    ) -> Result<Option<Interrupt>>;
}
