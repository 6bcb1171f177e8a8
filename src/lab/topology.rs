//! The lab's network as data: hosts, ports, addresses. The same in every lab, since each has
//! namespaces of its own; from the ranges of RFC 5737 (IPv4) and RFC 4193 (IPv6).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The far end listens here, as `kalive serve` does by default.
pub const SERVER_PORT: u16 = 7117;

/// The client's address behind the router.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// The client's IPv6 address behind the router.
pub const CLIENT6: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 2);
/// The router's address on the client's side.
pub const ROUTER_INSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The router's IPv6 address on the client's side.
pub const ROUTER_INSIDE6: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 1);
/// The router's address on the server's side: what the server sees of the client behind a NAT.
pub const ROUTER_OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// The router's IPv6 address on the server's side.
pub const ROUTER_OUTSIDE6: Ipv6Addr = Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 1);
/// The server's address.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
/// The server's IPv6 address.
pub const SERVER6: Ipv6Addr = Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 2);

/// The far end, over IPv4 and over IPv6.
#[must_use]
pub fn servers() -> [SocketAddr; 2] {
    [IpAddr::V4(SERVER), IpAddr::V6(SERVER6)].map(|ip| SocketAddr::new(ip, SERVER_PORT))
}

/// An address with the length of its network's prefix.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address {
    pub(super) ip: IpAddr,
    pub(super) prefix: u8,
}

/// One end of a cable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Port {
    pub(super) name: &'static str,
    /// Not that of the other end: the kernel takes a link whose peer has the same index for one
    /// that has no peer, and then reports it as running only once a second
    /// (`linkwatch_urgent_event` in `net/core/link_watch.c`).
    pub(super) index: u32,
    pub(super) mac: [u8; 6],
    pub(super) addresses: [Address; 2],
    /// The addresses at the other end of the cable.
    pub(super) neighbours: [IpAddr; 2],
    pub(super) neighbour_mac: [u8; 6],
    /// Whether everything else is reached through those neighbours.
    pub(super) default_route: bool,
}

/// A namespace with its ports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host {
    pub(super) name: &'static str,
    pub(super) ports: &'static [Port],
}

/// The router's port on the client's side.
pub(super) const INSIDE: &str = "inside";
/// The router's port on the server's side.
pub(super) const OUTSIDE: &str = "outside";

const fn on_link(v4: Ipv4Addr, v6: Ipv6Addr) -> [Address; 2] {
    [
        Address {
            ip: IpAddr::V4(v4),
            prefix: 24,
        },
        Address {
            ip: IpAddr::V6(v6),
            prefix: 64,
        },
    ]
}

/// A locally administered address (IEEE 802): the second bit of the first byte is set.
const fn mac(last: u8) -> [u8; 6] {
    [0x02, 0, 0, 0, 0, last]
}

pub(super) const CLIENT_PORT: Port = Port {
    name: "eth0",
    index: 11,
    mac: mac(1),
    addresses: on_link(CLIENT, CLIENT6),
    neighbours: [IpAddr::V4(ROUTER_INSIDE), IpAddr::V6(ROUTER_INSIDE6)],
    neighbour_mac: mac(2),
    default_route: true,
};

pub(super) const INSIDE_PORT: Port = Port {
    name: INSIDE,
    index: 12,
    mac: mac(2),
    addresses: on_link(ROUTER_INSIDE, ROUTER_INSIDE6),
    neighbours: [IpAddr::V4(CLIENT), IpAddr::V6(CLIENT6)],
    neighbour_mac: mac(1),
    default_route: false,
};

pub(super) const OUTSIDE_PORT: Port = Port {
    name: OUTSIDE,
    index: 13,
    mac: mac(3),
    addresses: on_link(ROUTER_OUTSIDE, ROUTER_OUTSIDE6),
    neighbours: [IpAddr::V4(SERVER), IpAddr::V6(SERVER6)],
    neighbour_mac: mac(4),
    default_route: false,
};

pub(super) const SERVER_LINK: Port = Port {
    name: "eth0",
    index: 14,
    mac: mac(4),
    addresses: on_link(SERVER, SERVER6),
    neighbours: [IpAddr::V4(ROUTER_OUTSIDE), IpAddr::V6(ROUTER_OUTSIDE6)],
    neighbour_mac: mac(3),
    default_route: true,
};

pub(super) const CLIENT_HOST: Host = Host {
    name: "client",
    ports: &[CLIENT_PORT],
};
pub(super) const ROUTER_HOST: Host = Host {
    name: "router",
    ports: &[INSIDE_PORT, OUTSIDE_PORT],
};
pub(super) const SERVER_HOST: Host = Host {
    name: "server",
    ports: &[SERVER_LINK],
};
