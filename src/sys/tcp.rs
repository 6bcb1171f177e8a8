//! TCP sockets of our own: a connection that is being made without blocking, its keepalive options, and
//! what the kernel says of it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use super::tcp_info::{self, TcpInfo};
use crate::domain::options::{Count, Idle, Interval, UserTimeout};
use crate::error::{During as _, Result};

/// The options to set; what is `None` is left as the kernel has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) keepalive: bool,
    pub(crate) idle: Option<Idle>,
    pub(crate) interval: Option<Interval>,
    pub(crate) count: Option<Count>,
    pub(crate) user_timeout: Option<UserTimeout>,
}

/// The options as they are in effect, read back from the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Effective {
    pub(crate) keepalive: bool,
    pub(crate) idle: Duration,
    pub(crate) interval: Duration,
    pub(crate) count: u32,
    /// `None` when off.
    pub(crate) user_timeout: Option<Duration>,
}

/// Where a connection is to come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) interface: Option<String>,
}

/// A connection, perhaps still being made.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Socket,
    peer: SocketAddr,
}

impl Connection {
    /// [Prepares](Self::prepare) one and begins to connect.
    ///
    /// # Errors
    /// What the kernel refuses at once: an option, the origin, ENETUNREACH, EMFILE.
    pub(crate) fn start(peer: SocketAddr, origin: &Origin, options: &Options) -> Result<Self> {
        let connection = Self::prepare(peer, origin, options)?;
        connection.connect()?;
        Ok(connection)
    }

    /// One that is to be connected. The options are set before, so that the keepalive timer starts with the
    /// connection.
    ///
    /// # Errors
    /// What the kernel refuses: an option, the origin, EMFILE.
    pub(crate) fn prepare(peer: SocketAddr, origin: &Origin, options: &Options) -> Result<Self> {
        let domain = Domain::for_address(peer);
        let socket = Socket::new(
            domain,
            Type::STREAM.nonblocking().cloexec(),
            Some(Protocol::TCP),
        )
        .during(|| "opening a TCP socket")?;
        if let Some(interface) = &origin.interface {
            socket
                .bind_device(Some(interface.as_bytes()))
                .during(|| format!("setsockopt SO_BINDTODEVICE={interface}"))?;
        }
        if let Some(address) = origin.address {
            socket
                .bind(&address.into())
                .during(|| format!("bind to {address}"))?;
        }
        set(&socket, options).during(|| format!("setting keepalive options for {peer}"))?;
        Ok(Self { socket, peer })
    }

    /// Begins to connect. It is writable once connected; [`Self::take_error`] tells a failure.
    ///
    /// # Errors
    /// What the kernel refuses at once, such as ENETUNREACH.
    pub(crate) fn connect(&self) -> Result<()> {
        match self.socket.connect(&self.peer.into()) {
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
            other => other.during(|| format!("connect to {}", self.peer)),
        }
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Its own address, once it has one.
    pub(crate) fn local(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()?.as_socket()
    }

    /// SO_ERROR: the error that ended it, which is told once.
    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }

    pub(crate) fn info(&self) -> io::Result<TcpInfo> {
        tcp_info::read(&self.socket)
    }

    /// Lowering TCP_KEEPIDLE on an idle connection below its idle time makes the kernel send a keepalive
    /// probe within a jiffy.
    pub(crate) fn set_idle(&self, idle: Idle) -> io::Result<()> {
        self.socket
            .set_tcp_keepalive(&TcpKeepalive::new().with_time(idle.duration()))
    }

    /// The options in effect.
    pub(crate) fn effective(&self) -> io::Result<Effective> {
        Ok(Effective {
            keepalive: self.socket.keepalive()?,
            idle: self.socket.tcp_keepalive_time()?,
            interval: self.socket.tcp_keepalive_interval()?,
            count: self.socket.tcp_keepalive_retries()?,
            user_timeout: self
                .socket
                .tcp_user_timeout()?
                .filter(|timeout| !timeout.is_zero()),
        })
    }

    /// Sends what fits without blocking; how much that was.
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.send_with_flags(bytes, libc::MSG_NOSIGNAL)
    }

    /// Receives what is there without blocking: 0 at the peer's FIN, `WouldBlock` if there is nothing.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut &self.socket, buffer)
    }

    /// The socket itself, for what only one command needs.
    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn set(socket: &Socket, options: &Options) -> io::Result<()> {
    if let Some(timeout) = options.user_timeout {
        socket.set_tcp_user_timeout(Some(timeout.duration()))?;
    }
    if !options.keepalive {
        return Ok(());
    }
    let mut keepalive = TcpKeepalive::new();
    if let Some(idle) = options.idle {
        keepalive = keepalive.with_time(idle.duration());
    }
    if let Some(interval) = options.interval {
        keepalive = keepalive.with_interval(interval.duration());
    }
    if let Some(count) = options.count {
        keepalive = keepalive.with_retries(count.get().into());
    }
    socket.set_tcp_keepalive(&keepalive)
}
