//! Listeners and single sockets of a world, over loopback. A socket with a filter that drops everything stands for
//! a path that is cut.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use fastrand::Rng;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use crate::common::defer_accept;

pub(crate) const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
pub(crate) const ANY6: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);
pub(crate) const LOCALHOST6: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0);

/// The listeners that connections are made to.
pub(crate) struct Doors {
    /// For IPv4, for IPv6, and for both.
    pub(crate) open: [Socket; 3],
    /// Drops every SYN.
    pub(crate) deaf: [Socket; 2],
    /// Accept only what sends data, and leave requests in their queues until then.
    pub(crate) waiting: [Socket; 2],
    /// An address of fe80::/10, if there is one.
    pub(crate) link_local: Option<SocketAddrV6>,
}

/// How one end reaches the other.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    V4,
    V6,
    /// From IPv4 to a socket of IPv6.
    MappedServer,
    /// From a socket of IPv6 to IPv4.
    MappedClient,
    LinkLocal,
}

impl Doors {
    pub(crate) fn open() -> Self {
        let doors = Self {
            open: [door(ANY, false), door(ANY6, true), door(ANY6, false)],
            deaf: [door(ANY, false), door(ANY6, true)],
            waiting: [door(ANY, false), door(ANY6, true)],
            link_local: link_local(),
        };
        doors.deaf.iter().for_each(deafen);
        doors.waiting.iter().for_each(defer_accept);
        doors
    }

    pub(crate) fn into_all(self) -> impl Iterator<Item = Socket> {
        self.open.into_iter().chain(self.deaf).chain(self.waiting)
    }

    pub(crate) fn of(&self, way: Way) -> &Socket {
        let [v4, v6, both] = &self.open;
        match way {
            Way::V4 => v4,
            Way::V6 | Way::LinkLocal => v6,
            Way::MappedServer | Way::MappedClient => both,
        }
    }
}

fn door(at: SocketAddr, only_v6: bool) -> Socket {
    let door = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP)).unwrap();
    if at.is_ipv6() {
        door.set_only_v6(only_v6).unwrap();
    }
    // What is accepted has the small buffer too: little stuffs it.
    door.set_recv_buffer_size(4_096).unwrap();
    door.bind(&at.into()).unwrap();
    door.listen(4_096).unwrap();
    door
}

pub(crate) fn bound(at: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP)).unwrap();
    socket.bind(&at.into()).unwrap();
    socket
}

/// Any address of 127.0.0.0/8 but the ends of it.
pub(crate) fn loopback(random: &mut Rng) -> Ipv4Addr {
    Ipv4Addr::from_bits(random.u32(0x7f00_0001..0x7fff_ffff))
}

/// The first address of fe80::/10 in this namespace.
fn link_local() -> Option<SocketAddrV6> {
    let all = std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap();
    let line = all.lines().find(|line| line.starts_with("fe80"))?;
    let mut columns = line.split_whitespace();
    let bits = u128::from_str_radix(columns.next()?, 16).ok()?;
    let index = u32::from_str_radix(columns.next()?, 16).ok()?;
    Some(SocketAddrV6::new(Ipv6Addr::from_bits(bits), 0, 0, index))
}

pub(crate) fn address(socket: &Socket) -> SocketAddr {
    socket.local_addr().unwrap().as_socket().unwrap()
}

/// Drops whatever arrives at this socket from now on.
pub(crate) fn deafen(socket: &Socket) {
    const RETURN: u16 = 0x06;
    let drop_all = SockFilter::new(RETURN, 0, 0, 0);
    socket.attach_filter(&[drop_all]).unwrap();
}

pub(crate) fn begin_connect(client: &Socket, to: SocketAddr) {
    client.set_nonblocking(true).unwrap();
    match client.connect(&to.into()) {
        Ok(()) => {}
        Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EINPROGRESS), "{to}"),
    }
}

pub(crate) fn say(socket: &Socket, length: usize) {
    assert_eq!(socket.send(&vec![7; length]).unwrap(), length);
}

/// Closes the other end with `close`, and waits until this one has heard and acknowledged it.
pub(crate) fn end_of_stream_after(this: &Socket, close: impl FnOnce()) {
    close();
    assert_eq!(io::copy(&mut &*this, &mut io::sink()).unwrap(), 0);
    // Sends the ACK that would have been delayed.
    this.set_tcp_quickack(true).unwrap();
}
